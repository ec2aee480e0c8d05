#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/ref_ptr.h"
#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace sluice::sync {

/// promised: nothing stands behind the point yet. submitted: a device works on
/// it, so it ends by itself. A failed point has passed and carries an error.
enum class FenceState : uint8_t { kPromised, kSubmitted, kSignalled, kFailed };

std::string_view Name(FenceState state);

class Timeline;

/// Told once when a point has passed. Intrusive: subscribing allocates nothing.
/// The subscriber keeps it alive until it was told or Unsubscribe succeeded.
class FenceWaiter {
 public:
  /// `state` is kSignalled or kFailed. Runs on the thread that signalled, with no
  /// lock held; it must not block.
  using Callback = void (*)(FenceWaiter* waiter, FenceState state);

  explicit FenceWaiter(Callback callback) : callback_(callback) {}
  FenceWaiter(const FenceWaiter&) = delete;
  FenceWaiter& operator=(const FenceWaiter&) = delete;

 private:
  friend class Timeline;
  Callback callback_;
  uint64_t point_ = 0;
  FenceState result_ = FenceState::kPromised;
  FenceWaiter* next_ = nullptr;
};

/// What a backend adds to a timeline: the table that sync_file, drm_syncobj and
/// a domain's device fill in. Any entry may be null.
struct TimelineBackend {
  /// Asks the device how far it is. Threads: [thread-safe].
  Result<uint64_t> (*query)(void* self) = nullptr;
  /// Errors: NotSubmitted, Unsupported. Threads: [thread-safe].
  Result<UniqueFd> (*to_sync_file)(void* self, uint64_t point) = nullptr;
  /// Called when the timeline dies.
  void (*destroy)(void* self) = nullptr;
  /// For devices that tell nobody by themselves: asks how far they are, and calls
  /// Submitted, Fail and Signal as they answer. With no lock held. Threads: [thread-safe].
  void (*refresh)(void* self) = nullptr;
  /// Somebody waits for `point` from now on: have it signalled when it happens. With
  /// no lock held, after `refresh`; must not block. Threads: [thread-safe].
  void (*arm)(void* self, uint64_t point) = nullptr;
  /// All points up to `point` have passed, by Signal: nobody waits for them any more. With no
  /// lock held; must not block. Threads: [thread-safe].
  void (*passed)(void* self, uint64_t point) = nullptr;
};

/// Monotonic points in time that somebody signals. Threads: [thread-safe].
class Timeline final : public RefCounted<Timeline> {
 public:
  /// `signaller` names who will signal, for verdicts. `backend` may be null (a
  /// host timeline) and must outlive the timeline.
  explicit Timeline(std::string signaller, const TimelineBackend* backend = nullptr,
                    void* self = nullptr)
      : signaller_(std::move(signaller)), backend_(backend), self_(self) {}
  ~Timeline();

  const std::string& signaller() const { return signaller_; }
  /// The backend's object if `backend` is this timeline's, else null.
  void* SelfFor(const TimelineBackend* backend) const { return backend == backend_ ? self_ : nullptr; }

  /// All points up to `point` have work behind them.
  void Submitted(uint64_t point);
  /// All points up to `point` have passed. Going back is ignored.
  void Signal(uint64_t point);
  /// Exactly `point` carries `code`; it passes with the next Signal that reaches
  /// it. Fail then Signal is atomic to nobody: a point that has passed already
  /// cannot fail.
  void Fail(uint64_t point, Code code);

  /// Asks a device that tells nobody by itself; Subscribe and ToSyncFile do it too.
  void Refresh() const;

  uint64_t completed() const { return completed_.load(std::memory_order_acquire); }
  FenceState State(uint64_t point) const;
  /// The error of a failed point, kInternal for any other.
  Code ErrorOf(uint64_t point) const;

  /// True: `waiter` will be told later. False: the point has passed, `*state`
  /// says how, and the waiter is not called. Others may be told from within.
  bool Subscribe(uint64_t point, FenceWaiter* waiter, FenceState* state);
  /// True: it was waiting and will not be told. False: it was or is being told.
  bool Unsubscribe(FenceWaiter* waiter);

  /// Errors: NotSubmitted, Unsupported where the backend has none.
  Result<UniqueFd> ToSyncFile(uint64_t point) const;

 private:
  using Failure = std::pair<uint64_t, Code>;
  FenceState PassedState(uint64_t point) const;
  const Failure* FindFailure(uint64_t point) const;

  const std::string signaller_;
  const TimelineBackend* const backend_;
  void* const self_;
  std::atomic<uint64_t> completed_{0};
  std::atomic<uint64_t> submitted_{0};
  std::atomic<bool> any_failed_{false};
  mutable std::mutex mutex_;
  FenceWaiter* waiters_ = nullptr;  // guarded by mutex_, as the next
  std::vector<Failure> failures_;   // by point; anyone may still ask about any of them
};

/// One point in time that comes. Empty: nothing to wait for.
struct Fence {
  RefPtr<Timeline> timeline;
  uint64_t point = 0;

  FenceState State() const {
    return timeline ? timeline->State(point) : FenceState::kSignalled;
  }
  bool Passed() const { return State() >= FenceState::kSignalled; }
};

/// Fences that must all have passed. Points of one timeline do not collapse to the
/// latest: an earlier one may still fail.
class FenceSet {
 public:
  void Add(Fence fence);
  void Clear() { fences_.clear(); }
  /// Keeps the capacity reserved, so that a steady state allocates nothing.
  void Reserve(size_t count) { fences_.reserve(count); }
  bool empty() const { return fences_.empty(); }
  const std::vector<Fence>& fences() const { return fences_; }

  /// kFailed if any failed and all passed, kSignalled if all passed, else
  /// kPromised or kSubmitted (the least advanced).
  FenceState State() const;

 private:
  std::vector<Fence> fences_;
};

/// Blocks until `fence` has passed or `deadline` (CLOCK_MONOTONIC). For the CLI,
/// tests and teardown only. Errors: Timeout, naming the signaller; the fence's.
Status WaitBlocking(const Fence& fence, int64_t deadline_ns);

}  // namespace sluice::sync
