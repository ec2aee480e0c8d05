#include "nodes/vulkan/user_text.h"

#include <algorithm>
#include <utility>

#include "nodes/vulkan/glsl.h"

namespace sluice::vulkan {
namespace {

/// A line that goes on in the next.
constexpr std::string_view kContinuation = "\\\n";

/// The length of the comment to the end of its line, which may be continued.
size_t LineComment(std::string_view text) {
  size_t i = 0;
  while (i < text.size() && text[i] != '\n')
    i += text.substr(i).starts_with(kContinuation) ? kContinuation.size() : 1;
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

struct Shade {
  Interface interface = Interface::kNone;
  std::vector<std::string> arguments;
};

Interface InterfaceWith(std::string_view result, const std::vector<std::string_view>& types) {
  using Types = std::vector<std::string_view>;
  if (result == "vec3" && types == Types{"vec3", "ivec2"}) return Interface::kColor;
  if (result == "vec4" && types == Types{"vec4", "ivec2"}) return Interface::kColorAlpha;
  if (result == "vec4" && types == Types{"ivec2"}) return Interface::kSample;
  return Interface::kNone;
}

/// All functions with that name, prototypes as well.
std::vector<Shade> FindShades(std::string_view text) {
  const std::vector<std::string_view> tokens = GlslTokens(text);
  std::vector<Shade> found;
  for (size_t i = 1; i + 1 < tokens.size(); ++i) {
    if (tokens[i] != "shade" || tokens[i + 1] != "(") continue;
    std::vector<std::string_view> types;
    Shade shade;
    for (const auto& argument : Arguments(tokens, i + 2)) {
      types.push_back(argument.empty() ? std::string_view() : argument.front());
      if (argument.size() > 1) shade.arguments.emplace_back(argument.back());
    }
    shade.interface = InterfaceWith(tokens[i - 1], types);
    found.push_back(std::move(shade));
  }
  return found;
}

bool HasBranches(std::string_view text) {
  const std::vector<std::string_view> tokens = GlslTokens(text);
  for (size_t i = 1; i < tokens.size(); ++i) {
    if (tokens[i - 1] == "#" && (tokens[i] == "else" || tokens[i] == "elif")) return true;
  }
  return false;
}

}  // namespace

std::string WithLineFeeds(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
    out += text[i] == '\r' ? '\n' : text[i];
  }
  return out;
}

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
    } else if (rest.starts_with(kContinuation)) {
      ++joined;
      i += kContinuation.size();
    } else {
      if (text[i] == '\n') out.append(std::exchange(joined, 0), '\n');
      out += text[i++];
    }
  }
  return out;
}

Interface InterfaceOf(std::string_view text) {
  for (const Shade& shade : FindShades(text)) {
    if (shade.interface != Interface::kNone) return shade.interface;
  }
  return Interface::kNone;
}

std::vector<std::string> ArgumentsOf(std::string_view text) {
  const Interface interface = InterfaceOf(text);
  std::vector<std::string> names;
  for (const Shade& shade : FindShades(text)) {
    if (shade.interface == interface)
      names.insert(names.end(), shade.arguments.begin(), shade.arguments.end());
  }
  return names;
}

bool ReadsAround(std::string_view text) {
  const std::vector<std::string_view> tokens = GlslTokens(text);
  return std::any_of(tokens.begin(), tokens.end(), [](std::string_view token) {
    return token == "sampleRgb" || token == "pixel0" || token == "bilinear0";
  });
}

std::optional<Unclosed> UnclosedComment(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const std::string_view rest = text.substr(i);
    if (rest.starts_with("//")) {
      i += LineComment(rest);
    } else if (rest.starts_with("/*")) {
      if (rest.find("*/", 2) == std::string_view::npos)
        return Unclosed{1 + static_cast<int>(CountLines(text.substr(0, i))), "/*"};
      i += BlockComment(rest);
    } else {
      ++i;
    }
  }
  return std::nullopt;
}

std::optional<Unclosed> UnclosedBracket(std::string_view text) {
  constexpr std::string_view kOpening = "([{", kClosing = ")]}";
  if (HasBranches(text)) return std::nullopt;
  std::vector<Unclosed> open;
  int line = 1;
  for (const char c : WithoutComments(text)) {
    if (c == '\n') ++line;
    if (kOpening.find(c) != std::string_view::npos) open.push_back({line, std::string(1, c)});
    const size_t kind = kClosing.find(c);
    if (kind == std::string_view::npos) continue;
    // One that closes nothing is the compiler's to say.
    if (open.empty()) return std::nullopt;
    if (open.back().what[0] != kOpening[kind]) return open.back();
    open.pop_back();
  }
  if (open.empty()) return std::nullopt;
  return open.back();
}

}  // namespace sluice::vulkan
