#ifndef SLUICE_NODES_VULKAN_USER_TEXT_H_
#define SLUICE_NODES_VULKAN_USER_TEXT_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::vulkan {

/// Of a user's GLSL, what can be known without compiling it.

/// The text with "\n" at the end of each line, whichever it had.
std::string WithLineFeeds(std::string_view text);

/// The text with blanks for comments and continued lines joined, as the compiler sees it. What
/// comes behind stays in its line.
std::string WithoutComments(std::string_view text);

/// Which of the three interfaces (docs/shaders.md) the text defines.
enum class Interface { kNone, kColor, kColorAlpha, kSample };
Interface InterfaceOf(std::string_view text);

/// The names of the arguments of that `shade`.
std::vector<std::string> ArgumentsOf(std::string_view text);

/// Whether the text names a function that reads pixels other than its own.
bool ReadsAround(std::string_view text);

/// What is opened and not closed, where it begins.
struct Unclosed {
  int line = 1;
  std::string what;  ///< "{"
};
std::optional<Unclosed> UnclosedComment(std::string_view text);
/// Nothing of a text with branches of the preprocessor: which of them count is not known here.
std::optional<Unclosed> UnclosedBracket(std::string_view text);

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_USER_TEXT_H_
