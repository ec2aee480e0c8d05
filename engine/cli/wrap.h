#pragma once

#include <string>
#include <string_view>

namespace sluice::cli {

/// `text` in lines of at most `width` columns where its words allow it, each indented. Line breaks
/// of the text are kept.
std::string Wrap(std::string_view text, size_t indent, size_t width = 100);

/// Wrap() of a documentation text: lines that only continue a sentence are joined first; blank
/// lines and lines that begin with a space, a dash or a star stay apart.
std::string WrapDoc(std::string_view text, size_t indent, size_t width = 100);

}  // namespace sluice::cli
