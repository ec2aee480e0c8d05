#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sluice::cli {

/// Left-aligned columns, each as wide as its widest cell; rows are indented by `indent` spaces.
std::string FormatTable(const std::vector<std::vector<std::string>>& rows, size_t indent = 0);

/// `text` in lines of at most `width` columns where its words allow it, each indented. Line breaks
/// of the text are kept.
std::string Wrap(std::string_view text, size_t indent, size_t width = 100);

/// Wrap() of a documentation text: lines that only continue a sentence are joined first; blank
/// lines and lines that begin with a space, a dash or a star stay apart.
std::string WrapDoc(std::string_view text, size_t indent, size_t width = 100);

}  // namespace sluice::cli
