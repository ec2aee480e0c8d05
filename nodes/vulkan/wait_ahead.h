#ifndef SLUICE_NODES_VULKAN_WAIT_AHEAD_H_
#define SLUICE_NODES_VULKAN_WAIT_AHEAD_H_

#include <algorithm>
#include <cstdint>
#include <utility>

namespace sluice::vulkan {

/// How the thread that waits for a queue spends the time. To be woken by the driver costs more than
/// a short submission; a thread that waits with it slows the one that submits down, and in waits
/// with a short limit drivers turn in circles (NVIDIA's do below two milliseconds). So short
/// submissions are slept over, several at a time, but no more than half of what is under way, so
/// that the device never stands idle meanwhile. Times are ns. Threads: any one at a time.
class WaitAhead {
 public:
  /// By how much the news of a completed submission may be late.
  static constexpr uint64_t kBatchNs = 200'000;

  /// Before the counter is looked at; 0: the next submission is waited for with the driver.
  /// `outstanding`: at least one.
  uint64_t SleepNs(uint64_t outstanding) {
    guessed_ = false;
    if (interval_ns_ == 0 || interval_ns_ > kBatchNs) return 0;
    // It should have come. Each look in vain lengthens the interval: with the driver in the end.
    if (spent_ns_ > 0) return std::max(interval_ns_ / 16, kShortestNs);
    if (outstanding <= 1) {
      // When one has come within a sleep is not seen: a little less each time, until one has not.
      guessed_ = true;
      return interval_ns_ - interval_ns_ / 8;
    }
    return std::min(outstanding / 2, kBatchNs / interval_ns_) * interval_ns_;
  }
  /// `points` (0: none yet) have completed in `elapsed_ns`, in which the device had work.
  void Completed(uint64_t points, uint64_t elapsed_ns) {
    spent_ns_ += elapsed_ns;
    if (points == 0) {
      interval_ns_ = std::max(interval_ns_ + interval_ns_ / 16, spent_ns_);
      in_vain_ = guessed_;
      return;
    }
    const uint64_t each = std::max<uint64_t>(1, spent_ns_ / points);
    spent_ns_ = 0;
    if (std::exchange(in_vain_, false)) return;
    if (guessed_) {
      interval_ns_ -= interval_ns_ / 64;
    } else {
      // Slower is believed at once.
      interval_ns_ = each >= interval_ns_ ? each : (3 * interval_ns_ + each) / 4;
    }
  }

 private:
  static constexpr uint64_t kShortestNs = 10'000;
  uint64_t interval_ns_ = 0;  ///< from one to the next; 0: not known
  uint64_t spent_ns_ = 0;     ///< in looks in vain
  bool guessed_ = false;      ///< the last sleep was for a single one
  bool in_vain_ = false;      ///< such a sleep was too short
};

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_WAIT_AHEAD_H_
