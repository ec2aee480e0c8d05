#include "nodes/vulkan/glsl.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "nodes/vulkan/shader_sources.h"

namespace sluice::vulkan {
namespace {

bool IsNameStart(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool IsNameChar(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

/// Words and single characters, without white space, comments and numbers' inner life.
class Tokens {
 public:
  explicit Tokens(std::string_view text) : text_(text) {}

  /// The next token, or "" at the end. A preprocessor line comes as "#" and its words.
  std::string_view Next() {
    SkipSpace();
    if (at_ >= text_.size()) return {};
    const size_t begin = at_++;
    if (IsNameChar(text_[begin])) {
      while (at_ < text_.size() && IsNameChar(text_[at_])) ++at_;
    }
    return text_.substr(begin, at_ - begin);
  }
  /// The same, or "" if its line has no more.
  std::string_view NextInLine() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
    if (at_ >= text_.size() || text_[at_] == '\n' || text_[at_] == '\r') return {};
    return Next();
  }
  void SkipLine() {
    while (at_ < text_.size() && text_[at_] != '\n') {
      if (text_[at_] == '\\') ++at_;
      ++at_;
    }
  }

 private:
  bool SkipComment() {
    if (text_.substr(at_, 2) == "//") {
      SkipLine();
      return true;
    }
    if (text_.substr(at_, 2) != "/*") return false;
    const size_t end = text_.find("*/", at_ + 2);
    at_ = end == std::string_view::npos ? text_.size() : end + 2;
    return true;
  }
  void SkipSpace() {
    while (at_ < text_.size()) {
      if (std::isspace(static_cast<unsigned char>(text_[at_])) != 0) {
        ++at_;
      } else if (!SkipComment()) {
        return;
      }
    }
  }

  const std::string_view text_;
  size_t at_ = 0;
};

bool IsWord(std::string_view token) { return !token.empty() && IsNameStart(token[0]); }

}  // namespace

std::vector<std::string_view> GlslTokens(std::string_view glsl) {
  std::vector<std::string_view> all;
  Tokens tokens(glsl);
  for (std::string_view token = tokens.Next(); !token.empty(); token = tokens.Next())
    all.push_back(token);
  return all;
}

std::vector<std::string> TopLevelNames(std::string_view glsl) {
  std::vector<std::string> names;
  std::set<std::string, std::less<>> known;
  const auto add = [&](std::string_view name) {
    if (IsWord(name) && known.emplace(name).second) names.emplace_back(name);
  };
  Tokens tokens(glsl);
  int braces = 0, parens = 0, brackets = 0;
  bool in_block = false;      // a buffer's or uniform's members are names of the top level
  bool in_precision = false;  // a statement that declares nothing
  size_t members = 0;         // where those of the last block begin
  std::string_view array;     // what stands before the brackets: a name, or a type
  std::string_view before, last;
  for (std::string_view token = tokens.Next(); !token.empty(); token = tokens.Next()) {
    if (token == "#") {
      if (tokens.NextInLine() == "define") add(tokens.NextInLine());
      tokens.SkipLine();
      before = last = {};
      continue;
    }
    const bool top = parens == 0 && (braces == 0 || (in_block && braces == 1));
    const bool declared = top && IsWord(last) && before != "return" && !in_precision &&
                          (IsWord(before) || before == "]" || before == "," || before == "}");
    if (token == "{") {
      if (braces++ == 0) {
        in_block = before == "buffer" || before == "uniform";
        if (in_block || before == "struct") add(last);
        members = names.size();
      }
    } else if (token == "}") {
      braces = std::max(braces - 1, 0);
    } else if (token == "[") {
      if (brackets++ == 0 && declared) array = last;
    } else if (token == "]") {
      brackets = std::max(brackets - 1, 0);
    } else if (!array.empty() && brackets == 0) {
      if (!IsWord(token)) add(array);
      array = {};
    } else if (declared && (token == "(" || token == "=" || token == ";" || token == ",")) {
      add(last);
    }
    if (token == "precision" && top) in_precision = true;
    if (token == ";") in_precision = false;
    if (in_block && braces == 0 && last == "}" && IsWord(token)) {
      // An instance: they are reached by its name only.
      for (; names.size() > members; names.pop_back()) known.erase(names.back());
      in_block = false;
    }
    if (token == "(") ++parens;
    if (token == ")") parens = std::max(parens - 1, 0);
    before = last;
    last = token;
  }
  return names;
}

std::string Rename(std::string_view glsl,
                   const std::map<std::string, std::string, std::less<>>& names) {
  std::string out;
  out.reserve(glsl.size() + glsl.size() / 8);
  for (size_t i = 0; i < glsl.size();) {
    if (!IsNameChar(glsl[i])) {
      out += glsl[i++];
      continue;
    }
    size_t end = i;
    while (end < glsl.size() && IsNameChar(glsl[end])) ++end;
    const std::string_view word = glsl.substr(i, end - i);
    const auto found = names.find(word);
    const bool member = i > 0 && glsl[i - 1] == '.';
    out += found != names.end() && !member ? std::string_view(found->second) : word;
    i = end;
  }
  return out;
}

std::string_view ShaderText(std::string_view name) {
  for (const ShaderSource& source : kShaderSources) {
    if (source.name == name) return source.text;
  }
  return {};
}

}  // namespace sluice::vulkan
