// What a runner does about the fences of the frames that come to it.

#include "engine/scheduler/node_runner.h"

#include <utility>

#include <fmt/format.h>

#include "engine/scheduler/run_group.h"

namespace sluice::scheduler {

bool NodeRunner::FenceReady(size_t input, media::Frame& frame) {
  if (!frame.acquire().timeline) return true;
  sync::FenceState state = frame.acquire().State();
  if (state == sync::FenceState::kSignalled) return true;
  if (state == sync::FenceState::kFailed) {
    DropFront(input);
    group->Schedule();
    return false;
  }
  InputFence& waiter = input_fences_[input];
  if (!waiter.pending.load(std::memory_order_acquire)) {
    {
      std::lock_guard lock(fence_mutex_);
      waiter.fence = frame.acquire();
      waiter.since_ns = Clock::Real().Now();
    }
    waiter.pending.store(true, std::memory_order_release);
    if (!waiter.fence.timeline->Subscribe(waiter.fence.point, &waiter, &state)) {
      waiter.pending.store(false, std::memory_order_release);
      if (state == sync::FenceState::kSignalled) return true;
      DropFront(input);
      group->Schedule();
      return false;
    }
  }
  NotFired(Waiting::kFence, static_cast<uint32_t>(input));
  return false;
}

bool NodeRunner::DropIfFailed(size_t input, media::Frame& frame) {
  if (!frame.acquire().timeline || frame.acquire().State() != sync::FenceState::kFailed) {
    return false;
  }
  DropFront(input);
  group->Schedule();
  return true;
}

void NodeRunner::WatchFence(Edge* edge, const media::Frame& frame) {
  if (!frame.acquire().timeline || frame.acquire().Passed()) return;
  std::lock_guard lock(fence_mutex_);
  // One for each buffer of the pool at most, else a caller forgot to look: CheckFenceDeadline.
  std::erase_if(taken_fences_, [](const TakenFence& taken) {
    return taken.fence.State() == sync::FenceState::kSignalled;
  });
  taken_fences_.push_back({edge, frame.acquire(), Clock::Real().Now()});
}

void NodeRunner::InputFencePassed(sync::FenceWaiter* waiter, sync::FenceState) {
  auto* input = static_cast<InputFence*>(waiter);
  // Not pending first, so that the slice can subscribe again; telling until the
  // very end, so that the runner does not die under us.
  input->telling.fetch_add(1, std::memory_order_relaxed);
  input->pending.store(false, std::memory_order_release);
  input->runner->group->Schedule();
  input->telling.fetch_sub(1, std::memory_order_release);
}

/// The pixels never came to be: the frame is dropped and its producer answers for it.
void NodeRunner::DropFront(size_t input) {
  Edge* edge = options_.inputs[input].edge;
  bool wake = false;
  media::Frame* frame = edge->Pop(&wake);
  if (frame == nullptr) return;
  const sync::Fence& fence = frame->acquire();
  Error error{fence.timeline->ErrorOf(fence.point),
              fmt::format("the frame {} for {} failed: the fence of {} carries an error",
                          frame->info.sequence, options_.name,
                          fence.timeline->signaller())};
  frame->Release();
  edge->stats().dropped_failed.Add(1);
  if (wake) edge->producer->group->Schedule();
  edge->producer->ReportFault(std::move(error));
}

void NodeRunner::ReportFault(Error error) {
  {
    std::lock_guard lock(fence_mutex_);
    if (fault_.load(std::memory_order_relaxed)) return;  // one is enough
    error.message = error.ToString();  // what the fence carried
    fault_error_ = std::move(error);
    fault_.store(true, std::memory_order_release);
  }
  group->Schedule();
}

NodeRunner::Fired NodeRunner::HandleFault(State state) {
  Error error;
  {
    std::lock_guard lock(fence_mutex_);
    error = std::move(fault_error_);
  }
  if (state != State::kFailed) {  // else it answers already
    if (state != State::kEnded) {
      async_pending_.store(false, std::memory_order_relaxed);
      async_done_.store(false, std::memory_order_relaxed);
      ReturnReserved();
      state_.store(State::kFailed, std::memory_order_release);
    }
    options_.events->OnError(*this, nullptr, std::move(error));
  }
  // Last, so that nobody takes the graph for ended before the error is told.
  fault_.store(false, std::memory_order_release);
  return Fired::kYes;
}

std::optional<NodeRunner::LateFence> NodeRunner::CheckFenceDeadline(MonotonicNs now_ns,
                                                                    MonotonicNs limit_ns) {
  if (state_.load(std::memory_order_acquire) != State::kRunning) return std::nullopt;
  for (size_t i = 0; i < options_.inputs.size(); ++i) {
    InputFence& waiter = input_fences_[i];
    if (!waiter.pending.load(std::memory_order_acquire)) continue;
    std::lock_guard lock(fence_mutex_);
    if (now_ns - waiter.since_ns < limit_ns) continue;
    return LateFence{waiter.fence.timeline->signaller(), now_ns - waiter.since_ns};
  }
  return CheckTakenFences(now_ns, limit_ns);
}

/// Fences that went along to a device.
std::optional<NodeRunner::LateFence> NodeRunner::CheckTakenFences(MonotonicNs now_ns,
                                                                  MonotonicNs limit_ns) {
  std::vector<TakenFence> failed;
  std::optional<LateFence> late;
  std::vector<RefPtr<sync::Timeline>> pending;
  {
    std::lock_guard lock(fence_mutex_);
    for (const TakenFence& taken : taken_fences_) {
      if (!taken.fence.Passed()) pending.push_back(taken.fence.timeline);
    }
  }
  // Nobody here subscribes to them: the kernel has to be asked, outside the lock.
  for (const auto& timeline : pending) timeline->Refresh();
  {
    std::lock_guard lock(fence_mutex_);
    std::erase_if(taken_fences_, [&](TakenFence& taken) {
      const sync::FenceState state = taken.fence.State();
      if (state == sync::FenceState::kFailed) failed.push_back(std::move(taken));
      if (state >= sync::FenceState::kSignalled) return true;
      if (now_ns - taken.since_ns >= limit_ns) {
        late = {taken.fence.timeline->signaller(), now_ns - taken.since_ns};
      }
      return false;
    });
  }
  for (const TakenFence& taken : failed) {
    taken.edge->stats().dropped_failed.Add(1);
    taken.edge->producer->ReportFault(
        {taken.fence.timeline->ErrorOf(taken.fence.point),
         fmt::format("a frame that {} had taken already failed: the fence of {} carries an error",
                     options_.name, taken.fence.timeline->signaller())});
  }
  return late;
}

}  // namespace sluice::scheduler
