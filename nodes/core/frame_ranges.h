#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <sluice/status.hpp>

namespace sluice::core {

/// A set of frame indices: "10", "0,5,10-20", "100-" (to the end); spaces and one pair of brackets
/// may stand around.
class FrameRanges {
 public:
  /// Errors: INVALID_ARGUMENT, with the part that is wrong.
  static sdk::Expected<FrameRanges> Parse(std::string_view text);

  bool Contains(uint64_t index) const;
  /// Whether no index above `index` is in the set.
  bool EndsAt(uint64_t index) const { return index >= ranges_.back().last; }

 private:
  struct Range {
    uint64_t first;
    uint64_t last;
  };
  std::vector<Range> ranges_;  // sorted, apart from each other, at least one
};

}  // namespace sluice::core
