#ifndef SLUICE_NODES_VULKAN_WAIT_AHEAD_H_
#define SLUICE_NODES_VULKAN_WAIT_AHEAD_H_

#include <algorithm>
#include <cstdint>

namespace sluice::vulkan {

/// How the thread that waits for a queue spends the time. To be woken by the driver costs more than
/// a short submission, and in waits with a short limit drivers turn in circles (NVIDIA's do below
/// two milliseconds): of several short submissions, those that complete within kBatchNs are slept
/// over, but no more than half of what is under way, so that the device never stands idle
/// meanwhile. Times are ns. Threads: any one at a time.
class WaitAhead {
 public:
  /// By how much the news of a completed submission may be late.
  static constexpr uint64_t kBatchNs = 200'000;

  /// Before the counter is looked at; 0: the next submission is waited for with the driver.
  uint64_t SleepNs(uint64_t outstanding) const {
    if (interval_ns_ == 0) return 0;
    return std::min(outstanding / 2, kBatchNs / interval_ns_) * interval_ns_;
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
