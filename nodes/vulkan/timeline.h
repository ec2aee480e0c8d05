#ifndef SLUICE_NODES_VULKAN_TIMELINE_H_
#define SLUICE_NODES_VULKAN_TIMELINE_H_

#include <cstdint>

#include "nodes/vulkan/device.h"

namespace sluice::vulkan {

/// What a submission to another queue of the device can wait for.
struct TimelinePoint {
  VkSemaphore semaphore = VK_NULL_HANDLE;
  uint64_t value = 0;  ///< 0: nothing to wait for
};

/// A timeline semaphore that counts the submissions of a queue. Spec: "Semaphores".
/// Threads: [thread-safe], but for Create and Leave.
class TimelineSemaphore {
 public:
  enum class State { kPending, kOver, kLost };

  /// Ownership: borrows the device, which must outlive it.
  explicit TimelineSemaphore(const Device& device) : device_(device) {}
  /// Requires: no submission uses it any more, or it was left.
  ~TimelineSemaphore();
  TimelineSemaphore(const TimelineSemaphore&) = delete;
  TimelineSemaphore& operator=(const TimelineSemaphore&) = delete;

  /// Errors: ResourceExhausted, DeviceLost.
  Status Create();
  /// It stays the device's, for good.
  void Leave() { left_ = true; }

  VkSemaphore handle() const { return semaphore_; }
  TimelinePoint At(uint64_t value) const { return {semaphore_, value}; }

  /// Waits for at most `slice_ns`. Pending also when there was no memory to wait with: that says
  /// nothing about the submissions.
  State Wait(uint64_t value, uint64_t slice_ns) const;
  /// False: the device is lost. `value` is set where the driver can say.
  bool Ask(uint64_t* value) const;

 private:
  const Device& device_;
  VkSemaphore semaphore_ = VK_NULL_HANDLE;
  bool left_ = false;
};

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_TIMELINE_H_
