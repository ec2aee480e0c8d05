#include "engine/cli/wrap.h"

#include <algorithm>

#include "engine/base/text.h"

namespace sluice::cli {
namespace {

void WrapLine(std::string_view line, size_t indent, size_t width, std::string* out) {
  size_t column = 0;
  while (!line.empty()) {
    const size_t end = std::min(line.find(' '), line.size());
    const std::string_view word = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
    if (word.empty()) continue;
    if (column > 0 && column + 1 + Columns(word) > width) {
      *out += '\n';
      column = 0;
    }
    if (column == 0) {
      out->append(indent, ' ');
      column = indent;
    } else {
      *out += ' ';
      ++column;
    }
    *out += word;
    column += Columns(word);
  }
  *out += '\n';
}

}  // namespace

std::string Wrap(std::string_view text, size_t indent, size_t width) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  std::string out;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    WrapLine(text.substr(0, end), indent, width, &out);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::string WrapDoc(std::string_view text, size_t indent, size_t width) {
  std::string joined;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool inside = text[i] == '\n' && i > 0 && i + 1 < text.size() && text[i - 1] != '\n';
    const bool continues =
        inside && std::string_view("\n -*").find(text[i + 1]) == std::string_view::npos;
    joined += continues ? ' ' : text[i];
  }
  return Wrap(joined, indent, width);
}

}  // namespace sluice::cli
