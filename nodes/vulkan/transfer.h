#ifndef SLUICE_NODES_VULKAN_TRANSFER_H_
#define SLUICE_NODES_VULKAN_TRANSFER_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "nodes/vulkan/device.h"
#include "nodes/vulkan/memory.h"
#include "nodes/vulkan/passes.h"
#include "nodes/vulkan/queue.h"
#include "nodes/vulkan/timeline.h"

namespace sluice::vulkan {

/// A queue of the device that only copies, and a timeline semaphore that counts its submissions:
/// points are 1, 2, 3, ... in the order of submission, and complete in that order. It has no
/// thread: who needs to know asks. Threads: [thread-safe].
class TransferQueue {
 public:
  /// The first `bytes` of one buffer into another; both are Memory that queues share.
  struct Copy {
    VkBuffer from = VK_NULL_HANDLE;
    VkBuffer to = VK_NULL_HANDLE;
    uint64_t bytes = 0;
    uint32_t border = 0;  ///< of an island, whose it is: for CopyTimes
  };
  struct Work {
    std::span<const Copy> copies;
    bool to_host = false;                ///< the CPU reads what they write
    TimelinePoint after;                 ///< of the other queue
    std::span<const VkSemaphore> waits;  ///< binary; at most Queue::kMaxWaits
    /// Of timestamps, before the first copy and behind each; unavailable. Null: none are written.
    VkQueryPool stamps = VK_NULL_HANDLE;
  };
  /// Requires: `queue` is one of Device::transfer(), and nobody else
  /// uses it. Ownership: borrows the device.
  static Result<std::unique_ptr<TransferQueue>> Create(const Device& device, VkQueue queue);
  /// Requires: all that was submitted is over, or the device is lost.
  ~TransferQueue();
  TransferQueue(const TransferQueue&) = delete;
  TransferQueue& operator=(const TransferQueue&) = delete;

  /// Returns the new point. Errors: DeviceLost, ResourceExhausted, naming the device.
  Result<uint64_t> Submit(const Work& work);
  /// `point` of it, for the other queue to wait for.
  TimelinePoint At(uint64_t point) const { return timeline_.At(point); }

  bool IsOver(uint64_t point) const;
  uint64_t submitted() const;
  /// Blocks until `point` is over. Errors: Timeout, DeviceLost.
  Status WaitFor(uint64_t point, std::chrono::steady_clock::time_point deadline) const;
  /// The same until Stop(), in slices, for a thread that has nothing else to do. False: the device
  /// is lost, or it was stopped.
  bool Await(uint64_t point) const;
  /// What waits stops waiting, for good.
  void Stop() { stopped_.store(true); }
  bool stopped() const { return stopped_.load(); }

 private:
  using State = TimelineSemaphore::State;
  TransferQueue(const Device& device, VkQueue queue)
      : device_(device), queue_(queue), timeline_(device) {}
  State WaitSlice(uint64_t point, uint64_t slice_ns) const;
  Status Record(VkCommandBuffer commands, const Work& work) const;
  /// Has the first of commands_ be one that no submission in flight uses.
  Status HaveCommands();

  const Device& device_;
  const VkQueue queue_;
  TimelineSemaphore timeline_;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  mutable std::mutex mutex_;  // queue_, pool_, and what follows
  uint64_t submitted_ = 0;
  /// Those of each submission, with its point, as far as they were not taken again; 0: of none.
  std::deque<std::pair<uint64_t, VkCommandBuffer>> commands_;
  std::atomic<bool> stopped_{false};
};

/// Points of the queue that copies to the device, and of the one that copies from it.
struct TransferPoints {
  uint64_t in = 0;
  uint64_t out = 0;
};

/// Memory of the device's own in place of the frames at an island's borders that lie beyond the
/// link: a few frames deep, so that one is copied while another is worked on. Memory is made once
/// for each border and slot. Threads: one at a time.
class TransferRing {
 public:
  static constexpr size_t kDepth = 3;
  struct Slot {
    std::vector<Memory> inputs;  ///< by border; empty: was not needed so far
    std::vector<Memory> outputs;
    uint64_t computed = 0;  ///< last point of the queue of kernels that uses it
    TransferPoints copied;  ///< last copies from and to it
  };
  explicit TransferRing(const Device& device) : device_(device) {}

  void Resize(size_t inputs, size_t outputs);
  /// Makes the memory of an input in all slots. Errors: ResourceExhausted, Unsupported.
  Status Reserve(size_t input, uint64_t bytes);
  /// The one whose last use is the longest ago: that may still be going on.
  Slot& Next() { return slots_[next_++ % kDepth]; }
  /// Does without it.
  void Drop(size_t input);
  /// `place`, an input or output of a slot, with its memory. Errors: as Reserve.
  Status Fill(Memory& place, uint64_t bytes) const;

 private:
  const Device& device_;
  std::vector<Slot> slots_{kDepth};
  size_t next_ = 0;
};

/// Which of `inputs` of the network are worth a copy to the device: those in far memory that a wide
/// stage reads, or more than one pass. What one pass reads once it reads over the link as fast as
/// an engine copies. Those are near afterwards. `may`: by input, whether it can be copied.
std::vector<bool> BringOver(const std::vector<bool>& may, const PassOptions& options,
                            Network& network);
/// Says of the first passes that read those inputs how they come to the device, and counts the
/// memory that they come to among the plan's.
void ExplainBrought(const std::vector<bool>& brought, const Network& network, PassPlan& plan);
/// What a border's copy is called among the passes: "copy in: blur.in".
std::string CopyLabel(bool is_input, const std::string& node, const std::string& port);

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_TRANSFER_H_
