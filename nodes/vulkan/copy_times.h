#ifndef SLUICE_NODES_VULKAN_COPY_TIMES_H_
#define SLUICE_NODES_VULKAN_COPY_TIMES_H_

#include <cstdint>
#include <span>
#include <vector>

#include "nodes/vulkan/device.h"
#include "nodes/vulkan/program.h"
#include "nodes/vulkan/transfer.h"

namespace sluice::vulkan {

/// Time on the device of an island's copies in one direction, from their timestamps. Sampled: one
/// submission of kTimedOneIn has timestamps, unless those of the last one are still to come.
/// Threads: one at a time.
class CopyTimes {
 public:
  static constexpr uint64_t kTimedOneIn = 16;

  /// Ownership: borrows the device, and the queue in each call: always the same one.
  explicit CopyTimes(const Device& device) : device_(device) {}
  /// Requires: what was submitted is over, or the device is lost.
  ~CopyTimes();
  CopyTimes(const CopyTimes&) = delete;
  CopyTimes& operator=(const CopyTimes&) = delete;

  /// Of so many borders; nothing is allocated later. Where the queue has no timestamps, times()
  /// stay 0. Errors: ResourceExhausted, DeviceLost: as without timestamps.
  Status Create(size_t borders);
  /// TransferQueue::Submit, with timestamps if it is its turn. Requires: one copy of a border.
  Result<uint64_t> Submit(TransferQueue& queue, TransferQueue::Work work);
  /// Takes the timestamps of what is over.
  void Collect(const TransferQueue& queue);
  /// By border.
  const std::vector<PassTime>& times() const { return times_; }

 private:
  /// Null: the next submission has none.
  VkQueryPool Next(const TransferQueue& queue);
  uint64_t Nanoseconds(uint64_t ticks) const;

  const Device& device_;
  VkQueryPool queries_ = VK_NULL_HANDLE;
  std::vector<PassTime> times_;
  uint64_t submissions_ = 0;
  // The submission whose timestamps are to come.
  uint64_t point_ = 0;             // 0: none
  std::vector<uint32_t> borders_;  // of its copies
  std::vector<uint64_t> stamps_;
};

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_COPY_TIMES_H_
