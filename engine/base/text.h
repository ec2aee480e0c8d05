#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// Code points: near enough to columns for names and units.
size_t Columns(std::string_view text);

/// Left-aligned columns, each as wide as its widest cell; rows are indented by `indent` spaces.
std::string FormatTable(const std::vector<std::vector<std::string>>& rows, size_t indent = 0);

/// "512 B", "12.3 kB", "3.1 MB": powers of ten, for people.
std::string FormatBytes(uint64_t bytes);

}  // namespace sluice
