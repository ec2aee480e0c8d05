#ifndef SLUICE_NODES_VULKAN_USER_SHADER_H_
#define SLUICE_NODES_VULKAN_USER_SHADER_H_

#include <cstdint>
#include <sluice/params.hpp>
#include <string>
#include <vector>

#include "nodes/vulkan/looks.h"
#include "nodes/vulkan/result.h"

namespace sluice::vulkan {

/// GLSL of a graph's own and its numbers. docs/shaders.md says what the text must hold.
struct UserShader {
  std::string name;  ///< For messages: the file's path, or "source".
  std::string text;
  /// In the order of Params; the first is "amount".
  std::vector<std::string> param_names;
  Params values{};
};

/// From the node's parameters: `shader` (a file) or `source` (the text); `params` (a map of
/// numbers), and every other number: those that the manifest of a plugin without code declares.
/// Errors: InvalidArgument, NotFound, Io.
Result<UserShader> LoadUserShader(const sdk::Params& params);

/// Compiles to SPIR-V that has the interface of the built-in kernels.
/// Errors: InvalidArgument; the message has the compiler's lines, each with the shader's name and
/// line.
Result<std::vector<uint32_t>> CompileUserShader(const UserShader& shader);

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_USER_SHADER_H_
