#ifndef SLUICE_NODES_VULKAN_WAIT_AHEAD_H_
#define SLUICE_NODES_VULKAN_WAIT_AHEAD_H_

#include <algorithm>
#include <cstdint>

namespace sluice::vulkan {

/// How many submissions the thread that waits for a queue waits for at once. To be woken costs more
/// than a short submission: of those that complete within kBatchNs, it waits for the last, but for
/// no more than half of what is under way, so that the device never stands idle meanwhile.
/// Times are ns. Threads: any one at a time.
class WaitAhead {
 public:
  /// By how much the news of a completed submission may be late.
  static constexpr uint64_t kBatchNs = 200'000;

  /// At least 1.
  uint64_t Next(uint64_t outstanding) const {
    if (interval_ns_ == 0) return 1;
    return std::max<uint64_t>(1, std::min(outstanding / 2, kBatchNs / interval_ns_));
  }
  /// `points` (0: none yet) have completed in `elapsed_ns`, in which the device had work.
  void Completed(uint64_t points, uint64_t elapsed_ns) {
    const uint64_t each = std::max<uint64_t>(1, elapsed_ns / std::max<uint64_t>(1, points));
    // Slower is believed at once.
    interval_ns_ = each >= interval_ns_ ? each : (3 * interval_ns_ + each) / 4;
  }

 private:
  uint64_t interval_ns_ = 0;  ///< from one to the next; 0: not known
};

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_WAIT_AHEAD_H_
