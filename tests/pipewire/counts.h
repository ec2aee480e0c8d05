#ifndef SLUICE_TESTS_PIPEWIRE_COUNTS_H_
#define SLUICE_TESTS_PIPEWIRE_COUNTS_H_

#include <algorithm>
#include <cstddef>
#include <vector>

namespace sluice::testing {

/// Whether descriptors, counted once a kill, are constant. A count is that of a moment, in which the
/// old and the new may both be open: the least of the last five is held against the most of five near
/// the start, which is exceeded when each kill leaves one behind. Needs twelve.
inline bool StaysConstant(const std::vector<std::size_t>& counts) {
  constexpr std::ptrdiff_t kFew = 5;
  if (counts.size() < 12) return false;
  // What the first of all opens is then kept.
  const auto early = std::max_element(counts.begin() + 1, counts.begin() + 1 + kFew);
  return *std::min_element(counts.end() - kFew, counts.end()) <= *early;
}

}  // namespace sluice::testing

#endif  // SLUICE_TESTS_PIPEWIRE_COUNTS_H_
