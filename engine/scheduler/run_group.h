#pragma once

#include <atomic>
#include <mutex>
#include <vector>

#include "engine/base/clock.h"
#include "engine/scheduler/node_runner.h"
#include "engine/scheduler/worker_pool.h"

namespace sluice::scheduler {

/// Serial nodes that one worker runs as a chain, in topological order. emit()
/// only enqueues; the next node runs after process() has returned.
class RunGroup final : public Task {
 public:
  RunGroup(WorkerPool& workers, std::vector<NodeRunner*> nodes);

  /// From now on slices run the nodes.
  void Open() {
    paused_.store(false, std::memory_order_release);
    Schedule();
  }
  /// [thread-safe]
  void Schedule() { workers_.Schedule(*this); }
  const std::vector<NodeRunner*>& nodes() const { return nodes_; }

  /// Waits for the slice in progress and keeps later ones from running nodes,
  /// for good. The caller holds the group until Unlock.
  void Pause();
  void Unlock() { run_mutex_.unlock(); }
  bool Idle() const { return workers_.Idle(*this); }
  /// Whole firings so far, for stall detection. [thread-safe]
  uint64_t activity() const { return activity_.load(std::memory_order_relaxed); }

 private:
  bool RunSlice() override;

  WorkerPool& workers_;
  std::vector<NodeRunner*> nodes_;
  std::mutex run_mutex_;
  std::atomic<bool> paused_{true};  // until Open()
  std::atomic<uint64_t> activity_{0};
};

}  // namespace sluice::scheduler
