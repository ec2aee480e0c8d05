#ifndef SLUICE_NODES_VULKAN_GLSL_H_
#define SLUICE_NODES_VULKAN_GLSL_H_

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::vulkan {

/// Words and single characters of the text, without white space and comments. Borrows the text.
std::vector<std::string_view> GlslTokens(std::string_view glsl);

/// What GLSL text is called by others: its functions, constants, global variables, structures,
/// macros, and the members of blocks without an instance name. In order, each once.
std::vector<std::string> TopLevelNames(std::string_view glsl);

/// The text with whole identifiers replaced, but for members (after a dot). Comments too: nobody
/// reads them.
std::string Rename(std::string_view glsl,
                   const std::map<std::string, std::string, std::less<>>& names);

/// The text of one of shaders/ or filters/, by its file's name; "" if there is none.
std::string_view ShaderText(std::string_view name);

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_GLSL_H_
