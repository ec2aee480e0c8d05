#include "engine/scheduler/run_group.h"

#include <utility>

namespace sluice::scheduler {
namespace {

/// A group that has more to do gives way to others after this long.
constexpr MonotonicNs kBudgetNs = 2'000'000;
/// The clock is read this often where rounds are short, else in every round.
constexpr unsigned kShortRounds = 8;
constexpr MonotonicNs kShortNs = 20'000;
/// Firings of one node before the next of the chain gets its turn.
constexpr unsigned kBurst = 8;

}  // namespace

RunGroup::RunGroup(WorkerPool& workers, std::vector<NodeRunner*> nodes)
    : workers_(workers), nodes_(std::move(nodes)) {
  for (NodeRunner* node : nodes_) node->group = this;
}

void RunGroup::Pause() {
  paused_.store(true);
  run_mutex_.lock();
}

bool RunGroup::RunSlice() {
  if (paused_.load(std::memory_order_acquire)) return false;
  std::unique_lock lock(run_mutex_, std::try_to_lock);
  // Looked at again: it may have been paused, and let go, since.
  if (!lock || paused_.load(std::memory_order_acquire)) return false;
  const Clock& clock = Clock::Real();
  MonotonicNs now = clock.Now();
  const MonotonicNs end = now + kBudgetNs;
  unsigned until_reading = 1;
  for (;;) {
    uint64_t fired = 0;
    for (NodeRunner* node : nodes_) {
      unsigned burst = 0;
      while (burst < kBurst && node->TryFire(now) == NodeRunner::Fired::kYes) {
        ++burst;
        if (node->source()) break;
      }
      fired += burst;
    }
    if (fired == 0) return false;
    activity_.store(activity_.load(std::memory_order_relaxed) + fired, std::memory_order_relaxed);
    if (--until_reading != 0) continue;
    MonotonicNs before = std::exchange(now, clock.Now());
    until_reading = now - before < kShortNs ? kShortRounds : 1;
    if (now >= end || paused_.load(std::memory_order_relaxed)) return true;
  }
}

}  // namespace sluice::scheduler
