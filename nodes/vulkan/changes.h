#ifndef SLUICE_NODES_VULKAN_CHANGES_H_
#define SLUICE_NODES_VULKAN_CHANGES_H_

#include <atomic>
#include <cstdint>

namespace sluice::vulkan {

/// Counts what changes for frames to come, in whichever node: while the count stays, so do the
/// numbers, stages and tables of every node of this plugin. One word that a firing looks at,
/// however many nodes an island has. [thread-safe]
class Changes {
 public:
  /// To be called behind the change.
  static void Add() { count_.fetch_add(1, std::memory_order_release); }
  /// To be asked before what may have changed is looked at.
  static uint64_t count() { return count_.load(std::memory_order_acquire); }

 private:
  static inline std::atomic<uint64_t> count_{1};
};

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_CHANGES_H_
