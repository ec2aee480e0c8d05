#ifndef SLUICE_NODES_VULKAN_QUEUE_H_
#define SLUICE_NODES_VULKAN_QUEUE_H_

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>

#include "nodes/vulkan/device.h"
#include "nodes/vulkan/timeline.h"
#include "nodes/vulkan/wait_ahead.h"

namespace sluice::vulkan {

/// The device's queue, one timeline semaphore that counts submissions, and the thread that waits
/// for it. Points are 1, 2, 3, ... in the order of submission, and complete in that order.
class Queue {
 public:
  struct Listener {
    /// All points up to `point` have completed. Called from the waiter thread, in order, once for
    /// each batch.
    std::function<void(uint64_t point)> completed;
    /// The device is lost: the points `first`..`last` will never complete; last < first: nothing
    /// was outstanding. Called once, from the waiter thread.
    std::function<void(uint64_t first, uint64_t last, const Error& error)> lost;
  };

  /// Ownership: borrows the device, which must outlive the queue.
  static Result<std::unique_ptr<Queue>> Create(const Device& device, Listener listener);
  /// Waits for what was submitted, for at most two seconds.
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  /// One submission.
  struct Work {
    VkCommandBuffer commands = VK_NULL_HANDLE;  ///< null: nothing but its semaphores
    uint64_t wait_point = 0;                    ///< of this queue; 0: nothing to wait for
    std::span<const VkSemaphore> waits;         ///< binary; at most kMaxWaits
    VkSemaphore signal = VK_NULL_HANDLE;        ///< binary; null: none
    std::array<TimelinePoint, 2> after = {};    ///< of other queues
  };
  static constexpr size_t kMaxWaits = 128;

  /// Submits once and returns the new point. Errors: DeviceLost, ResourceExhausted, naming the
  /// device.
  /// Threads: [thread-safe].
  Result<uint64_t> Submit(VkCommandBuffer commands, uint64_t wait_point);

  /// The same; `prepare` is called with the point that the submission gets, under the queue's lock
  /// and before the device sees it, so that the listener finds what it needs. When the device then
  /// refuses it, `refused` is called with that point, before another submission gets it.
  using AtPoint = std::function<void(uint64_t point)>;
  Result<uint64_t> Submit(const Work& work, const AtPoint& prepare, const AtPoint& refused);

  /// What the device has completed; of a lost one, what it was last seen to have. Never less than
  /// before. Threads: [thread-safe].
  uint64_t completed() const;
  /// Nothing of what was submitted is used by the device any more, and nothing can be submitted.
  /// Spec: "Lost Device". Threads: [thread-safe].
  bool lost() const;
  uint64_t submitted() const;
  /// `point` of it, for another queue to wait for.
  TimelinePoint At(uint64_t point) const { return timeline_.At(point); }
  /// Another queue of the device has found it lost. Threads: [thread-safe].
  void Lose();

  /// Blocks until everything submitted so far has completed and the listener has been told.
  /// Errors: Timeout, DeviceLost.
  Status WaitIdle(std::chrono::steady_clock::time_point deadline);
  /// The same for what was submitted up to `point`.
  Status WaitFor(uint64_t point, std::chrono::steady_clock::time_point deadline);

  /// Stops listening, and leaves the device what its submissions still use, for good.
  void Abandon();

 private:
  Queue(const Device& device, Listener listener)
      : device_(device), listener_(std::move(listener)), timeline_(device) {}
  void Run();
  void StopWaiter();
  Error Lost() const;
  /// False: the device is lost.
  bool Refresh() const;
  /// The device is lost: nothing is submitted from now on. The last point that was.
  uint64_t EndSubmissions();

  const Device& device_;
  const Listener listener_;
  TimelineSemaphore timeline_;
  /// Who submits: the driver takes its time, in which the waiter does not stand in line. Before
  /// mutex_.
  mutable std::mutex submit_mutex_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t submitted_ = 0;  // changed under both: read under either
  uint64_t announced_ = 0;  // what the listener knows
  bool idle_ = false;       // the waiter waits for a submission
  bool stopping_ = false;
  bool lost_ = false;
  bool told_lost_ = false;
  mutable std::atomic<uint64_t> completed_{0};
  WaitAhead ahead_;  // the waiter's
  std::thread waiter_;
};

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_QUEUE_H_
