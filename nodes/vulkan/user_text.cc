#include "nodes/vulkan/user_text.h"

#include <algorithm>
#include <utility>

#include "nodes/vulkan/glsl.h"

namespace sluice::vulkan {
namespace {

/// The length of the continuation ("\" and the end of the line) that the text begins with, or 0.
size_t Continuation(std::string_view text) {
  if (text.starts_with("\\\n")) return 2;
  return text.starts_with("\\\r\n") ? 3 : 0;
}

/// The length of the comment to the end of its line, which may be continued.
size_t LineComment(std::string_view text) {
  size_t i = 0;
  while (i < text.size() && text[i] != '\n') i += std::max<size_t>(Continuation(text.substr(i)), 1);
  return i;
}

/// The length of the comment that the text begins with; up to its end if nothing closes it.
size_t BlockComment(std::string_view text) {
  const size_t end = text.find("*/", 2);
  return end == std::string_view::npos ? text.size() : end + 2;
}

size_t CountLines(std::string_view text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

/// Behind the "(" of the `shade` that the text defines or declares first; 0 if none.
size_t BehindShade(const std::vector<std::string_view>& tokens) {
  for (size_t i = 1; i + 1 < tokens.size(); ++i) {
    const bool typed = tokens[i - 1] == "vec3" || tokens[i - 1] == "vec4";
    if (typed && tokens[i] == "shade" && tokens[i + 1] == "(") return i + 2;
  }
  return 0;
}

/// A function's arguments, each as its tokens; `at`: behind the "(".
std::vector<std::vector<std::string_view>> Arguments(const std::vector<std::string_view>& tokens,
                                                     size_t at) {
  std::vector<std::vector<std::string_view>> arguments(1);
  for (; at < tokens.size() && tokens[at] != ")"; ++at) {
    if (tokens[at] == ",") {
      arguments.emplace_back();
    } else if (tokens[at] != "const" && tokens[at] != "in") {
      arguments.back().push_back(tokens[at]);
    }
  }
  return arguments;
}

}  // namespace

std::string WithoutComments(std::string_view text) {
  std::string out;
  size_t joined = 0;
  for (size_t i = 0; i < text.size();) {
    const std::string_view rest = text.substr(i);
    if (rest.starts_with("//")) {
      const size_t end = LineComment(rest);
      joined += CountLines(rest.substr(0, end));
      i += end;
    } else if (rest.starts_with("/*")) {
      const size_t end = BlockComment(rest);
      out += ' ';
      out.append(CountLines(rest.substr(0, end)), '\n');
      i += end;
    } else if (const size_t length = Continuation(rest); length > 0) {
      ++joined;
      i += length;
    } else {
      if (text[i] == '\n') out.append(std::exchange(joined, 0), '\n');
      out += text[i++];
    }
  }
  return out;
}

Interface InterfaceOf(std::string_view text) {
  const std::vector<std::string_view> tokens = GlslTokens(text);
  const size_t at = BehindShade(tokens);
  if (at == 0) return Interface::kNone;
  std::vector<std::string_view> types;
  for (const auto& argument : Arguments(tokens, at)) {
    types.push_back(argument.empty() ? std::string_view() : argument.front());
  }
  using Types = std::vector<std::string_view>;
  const bool opaque = tokens[at - 3] == "vec3";
  if (opaque) return types == Types{"vec3", "ivec2"} ? Interface::kColor : Interface::kNone;
  if (types == Types{"vec4", "ivec2"}) return Interface::kColorAlpha;
  return types == Types{"ivec2"} ? Interface::kSample : Interface::kNone;
}

std::vector<std::string> ArgumentsOf(std::string_view text) {
  const std::vector<std::string_view> tokens = GlslTokens(text);
  std::vector<std::string> names;
  const size_t at = BehindShade(tokens);
  if (at == 0) return names;
  for (const auto& argument : Arguments(tokens, at)) {
    if (argument.size() > 1) names.emplace_back(argument.back());
  }
  return names;
}

bool ReadsAround(std::string_view text) {
  const std::vector<std::string_view> tokens = GlslTokens(text);
  return std::any_of(tokens.begin(), tokens.end(), [](std::string_view token) {
    return token == "sampleRgb" || token == "pixel0" || token == "bilinear0";
  });
}

std::optional<Unclosed> FindUnclosed(std::string_view text) {
  constexpr std::string_view kOpening = "([{", kClosing = ")]}";
  std::vector<Unclosed> open;
  int line = 1;
  for (size_t i = 0; i < text.size();) {
    const std::string_view rest = text.substr(i);
    size_t length = 1;
    if (rest.starts_with("//")) {
      length = LineComment(rest);
    } else if (rest.starts_with("/*")) {
      length = BlockComment(rest);
      if (length < 4 || !rest.substr(0, length).ends_with("*/")) return Unclosed{line, "/*"};
    } else if (kOpening.find(text[i]) != std::string_view::npos) {
      open.push_back({line, std::string(1, text[i])});
    } else if (const size_t kind = kClosing.find(text[i]); kind != std::string_view::npos) {
      // One that closes nothing is the compiler's to say.
      if (open.empty()) return std::nullopt;
      if (open.back().what[0] != kOpening[kind]) return open.back();
      open.pop_back();
    }
    line += static_cast<int>(CountLines(rest.substr(0, length)));
    i += length;
  }
  if (open.empty()) return std::nullopt;
  return open.back();
}

}  // namespace sluice::vulkan
