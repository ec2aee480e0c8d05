#ifndef SLUICE_NODES_VULKAN_SEMAPHORES_H_
#define SLUICE_NODES_VULKAN_SEMAPHORES_H_

#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include <sluice/unique_fd.hpp>

#include "nodes/vulkan/device.h"

namespace sluice::vulkan {

/// Binary semaphores that carry a sync_file into a submission or out of it, reused when that
/// submission has completed. Makes none once as many exist as are in flight.
/// Spec: VK_KHR_external_semaphore_fd, "Importing Semaphore Payloads" (SYNC_FD: copy transference,
/// temporary only). Threads: one at a time; the owner locks.
class SemaphoreRing {
 public:
  enum class Use {
    kWait,    ///< Import(), then waited for
    kSignal,  ///< signalled, then Export()
  };
  SemaphoreRing(const Device& device, Use use) : device_(device), use_(use) {}
  ~SemaphoreRing();
  SemaphoreRing(const SemaphoreRing&) = delete;
  SemaphoreRing& operator=(const SemaphoreRing&) = delete;

  /// A semaphore that waits for `fd` once. Takes `fd`: the driver's on success, closed otherwise.
  /// Errors: Unsupported for what is no sync_file; ResourceExhausted.
  Result<VkSemaphore> Import(sdk::UniqueFd fd, uint64_t completed);
  /// An unsignalled semaphore that the next submission signals. Errors: ResourceExhausted.
  Result<VkSemaphore> Take(uint64_t completed);
  /// Those taken since the last call were submitted as `point`.
  void Submitted(uint64_t point);
  /// They were not.
  void NotSubmitted();
  /// The sync_file of a semaphore whose signal was submitted; empty: it has signalled. Once for
  /// each signal. Ownership: the caller's.
  Result<sdk::UniqueFd> Export(VkSemaphore semaphore);
  size_t size() const { return slots_.size(); }

 private:
  struct Slot {
    VkSemaphore semaphore = VK_NULL_HANDLE;
    uint64_t point = 0;  ///< of its last submission
    bool taken = false;
    bool spoiled = false;  ///< still signalled: an export failed
  };
  Result<Slot*> Free(uint64_t completed);

  const Device& device_;
  const Use use_;
  std::vector<Slot> slots_;
};

/// sync_files of a queue's points, until those have completed. Threads: [thread-safe].
class SyncFiles {
 public:
  /// `file` signals when `point` completes; empty files and completed points are not kept.
  void Put(uint64_t point, sdk::UniqueFd file);
  /// Another descriptor of the point's file; empty when none is kept.
  sdk::UniqueFd Get(uint64_t point) const;
  /// All points up to `point` have completed.
  void Completed(uint64_t point);
  size_t size() const;

 private:
  mutable std::mutex mutex_;
  uint64_t completed_ = 0;
  std::map<uint64_t, sdk::UniqueFd> files_;
};

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_SEMAPHORES_H_
