#include "engine/sync/timeline.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>

#include <fmt/format.h>

namespace sluice::sync {

std::string_view Name(FenceState state) {
  constexpr std::string_view kNames[] = {"promised", "submitted", "signalled", "failed"};
  return kNames[static_cast<size_t>(state)];
}

Timeline::~Timeline() {
  SLUICE_CHECK(waiters_ == nullptr);
  if (backend_ != nullptr && backend_->destroy != nullptr) backend_->destroy(self_);
}

void Timeline::Submitted(uint64_t point) {
  uint64_t seen = submitted_.load(std::memory_order_relaxed);
  while (seen < point &&
         !submitted_.compare_exchange_weak(seen, point, std::memory_order_release,
                                           std::memory_order_relaxed)) {
  }
}

void Timeline::Signal(uint64_t point) {
  FenceWaiter* passed = nullptr;
  {
    std::lock_guard lock(mutex_);
    if (point <= completed_.load(std::memory_order_relaxed)) return;
    completed_.store(point, std::memory_order_release);
    FenceWaiter** link = &waiters_;
    while (FenceWaiter* waiter = *link) {
      if (waiter->point_ > point) {
        link = &waiter->next_;
        continue;
      }
      *link = waiter->next_;
      waiter->result_ = PassedState(waiter->point_);
      waiter->next_ = passed;
      passed = waiter;
    }
  }
  // First: those who are told may drop the last reference.
  if (backend_ != nullptr && backend_->passed != nullptr) backend_->passed(self_, point);
  // A told waiter may be gone at once: read its link first.
  while (passed != nullptr) {
    FenceWaiter* waiter = std::exchange(passed, passed->next_);
    waiter->callback_(waiter, waiter->result_);
  }
}

void Timeline::Fail(uint64_t point, Code code) {
  std::lock_guard lock(mutex_);
  if (point <= completed_.load(std::memory_order_relaxed)) return;
  auto at = std::lower_bound(failures_.begin(), failures_.end(), point,
                             [](const Failure& f, uint64_t p) { return f.first < p; });
  if (at != failures_.end() && at->first == point) return;  // the first cause is the cause
  failures_.insert(at, {point, code});
  any_failed_.store(true, std::memory_order_release);
}

const Timeline::Failure* Timeline::FindFailure(uint64_t point) const {
  auto at = std::lower_bound(failures_.begin(), failures_.end(), point,
                             [](const Failure& f, uint64_t p) { return f.first < p; });
  return at != failures_.end() && at->first == point ? &*at : nullptr;
}

FenceState Timeline::PassedState(uint64_t point) const {
  return FindFailure(point) != nullptr ? FenceState::kFailed : FenceState::kSignalled;
}

void Timeline::Refresh() const {
  if (backend_ != nullptr && backend_->refresh != nullptr) backend_->refresh(self_);
}

FenceState Timeline::State(uint64_t point) const {
  if (completed_.load(std::memory_order_acquire) < point) {
    return submitted_.load(std::memory_order_acquire) < point ? FenceState::kPromised
                                                              : FenceState::kSubmitted;
  }
  if (!any_failed_.load(std::memory_order_acquire)) return FenceState::kSignalled;
  std::lock_guard lock(mutex_);
  return PassedState(point);
}

Code Timeline::ErrorOf(uint64_t point) const {
  std::lock_guard lock(mutex_);
  const Failure* failure = FindFailure(point);
  return failure != nullptr ? failure->second : Code::kInternal;
}

bool Timeline::Subscribe(uint64_t point, FenceWaiter* waiter, FenceState* state) {
  RefPtr<Timeline> self;
  if (backend_ != nullptr && backend_->arm != nullptr) {
    // The waiter may be told, and let go of the last reference, before `arm` returns.
    self = RefPtr<Timeline>(this);
    if (completed() < point) Refresh();
  }
  {
    std::lock_guard lock(mutex_);
    if (point <= completed_.load(std::memory_order_relaxed)) {
      *state = PassedState(point);
      return false;
    }
    waiter->point_ = point;
    waiter->next_ = waiters_;
    waiters_ = waiter;
  }
  if (self) backend_->arm(self_, point);
  return true;
}

bool Timeline::Unsubscribe(FenceWaiter* waiter) {
  std::lock_guard lock(mutex_);
  for (FenceWaiter** link = &waiters_; *link != nullptr; link = &(*link)->next_) {
    if (*link != waiter) continue;
    *link = waiter->next_;
    return true;
  }
  return false;
}

Result<UniqueFd> Timeline::ToSyncFile(uint64_t point) const {
  if (State(point) == FenceState::kPromised) Refresh();
  if (State(point) == FenceState::kPromised) {
    return sluice::Fail(Code::kNotSubmitted,
                        fmt::format("point {} of {} is only promised", point, signaller_));
  }
  if (backend_ == nullptr || backend_->to_sync_file == nullptr) {
    return sluice::Fail(Code::kUnsupported,
                        fmt::format("the timeline of {} has no sync_file", signaller_));
  }
  return backend_->to_sync_file(self_, point);
}

void FenceSet::Add(Fence fence) {
  if (!fence.timeline || fence.State() == FenceState::kSignalled) return;
  for (const Fence& present : fences_) {
    if (present.timeline == fence.timeline && present.point == fence.point) return;
  }
  fences_.push_back(std::move(fence));
}

FenceState FenceSet::State() const {
  FenceState least = FenceState::kSignalled;
  bool failed = false;
  for (const Fence& fence : fences_) {
    FenceState state = fence.State();
    if (state == FenceState::kFailed) {
      failed = true;
    } else {
      least = std::min(least, state);
    }
  }
  return failed && least == FenceState::kSignalled ? FenceState::kFailed : least;
}

namespace {

struct BlockingWaiter : FenceWaiter {
  BlockingWaiter() : FenceWaiter(&Told) {}
  static void Told(FenceWaiter* waiter, FenceState) {
    auto* self = static_cast<BlockingWaiter*>(waiter);
    std::lock_guard lock(self->mutex);
    self->told = true;
    self->condition.notify_all();
  }
  std::mutex mutex;
  std::condition_variable condition;
  bool told = false;
};

Status Verdict(const Fence& fence) {
  if (fence.State() != FenceState::kFailed) return {};
  return Fail(fence.timeline->ErrorOf(fence.point),
              fmt::format("the fence of {} failed", fence.timeline->signaller()));
}

}  // namespace

Status WaitBlocking(const Fence& fence, int64_t deadline_ns) {
  BlockingWaiter waiter;
  FenceState state;
  if (!fence.timeline || !fence.timeline->Subscribe(fence.point, &waiter, &state)) {
    return Verdict(fence);
  }
  std::unique_lock lock(waiter.mutex);
  auto deadline = std::chrono::steady_clock::time_point(std::chrono::nanoseconds(deadline_ns));
  if (waiter.condition.wait_until(lock, deadline, [&] { return waiter.told; })) {
    return Verdict(fence);
  }
  lock.unlock();
  if (!fence.timeline->Unsubscribe(&waiter)) {
    lock.lock();
    waiter.condition.wait(lock, [&] { return waiter.told; });  // being told right now
    return Verdict(fence);
  }
  return Fail(Code::kTimeout, fmt::format("{} has not signalled point {} (it is at {})",
                                          fence.timeline->signaller(), fence.point,
                                          fence.timeline->completed()));
}

}  // namespace sluice::sync
