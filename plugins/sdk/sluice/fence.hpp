#ifndef SLUICE_SDK_FENCE_HPP_
#define SLUICE_SDK_FENCE_HPP_

#include <utility>

#include <sluice/frame.h>
#include <sluice/host.hpp>

namespace sluice::sdk {

/// Monotonic points; one reference to a timeline of the host.
/// Threads: [thread-safe], but for moves and destruction.
class Timeline {
 public:
  Timeline() = default;
  /// Errors: what the host says.
  /// `signaller` names who will signal. `ops` (may be null) must outlive the timeline.
  static Expected<Timeline> Create(const Host& host, const char* signaller,
                                   const sluice_timeline_ops* ops = nullptr, void* self = nullptr) {
    sluice_timeline* timeline = nullptr;
    const int32_t code = host.timelines()->create(signaller, ops, self, &timeline);
    if (code < 0) return Status::Error(code, "no timeline for %s", signaller);
    return Timeline(host.timelines(), timeline);
  }
  /// Takes one reference.
  Timeline(const sluice_timeline_api* api, sluice_timeline* timeline)
      : api_(api), timeline_(timeline) {}
  Timeline(Timeline&& other) noexcept
      : api_(other.api_), timeline_(std::exchange(other.timeline_, nullptr)) {}
  Timeline& operator=(Timeline&& other) noexcept {
    if (this != &other) {
      Reset();
      api_ = other.api_;
      timeline_ = std::exchange(other.timeline_, nullptr);
    }
    return *this;
  }
  ~Timeline() { Reset(); }

  /// One more reference.
  Timeline Share() const {
    if (timeline_ != nullptr) api_->ref(timeline_);
    return Timeline(api_, timeline_);
  }
  /// All points up to `point` have work behind them.
  void Submitted(uint64_t point) { api_->submitted(timeline_, point); }
  /// All points up to `point` have happened.
  void Signal(uint64_t point) { api_->signal(timeline_, point); }
  /// Exactly `point` failed; call it before Signal(point).
  void Fail(uint64_t point, int32_t code) { api_->fail(timeline_, point, code); }
  /// 1 signalled, 0 pending, negative: the error that the point carries.
  int32_t StatusOf(uint64_t point) const { return api_->status(timeline_, point); }

  explicit operator bool() const { return timeline_ != nullptr; }
  sluice_timeline* c() const { return timeline_; }

 private:
  void Reset() {
    if (timeline_ != nullptr) api_->unref(std::exchange(timeline_, nullptr));
  }

  const sluice_timeline_api* api_ = nullptr;
  sluice_timeline* timeline_ = nullptr;
};

/// One point in time that comes. A view: it borrows the timeline or the fd, for as long as it is
/// used.
class Fence {
 public:
  /// Has happened.
  Fence() : fence_{SLUICE_FENCE_SIGNALLED, -1, nullptr, 0} {}
  explicit Fence(const sluice_fence& fence) : fence_(fence) {}

  static Fence At(const Timeline& timeline, uint64_t point) {
    return Fence(sluice_fence{SLUICE_FENCE_TIMELINE, -1, timeline.c(), point});
  }
  static Fence SyncFile(int fd) {
    return Fence(sluice_fence{SLUICE_FENCE_SYNC_FILE, fd, nullptr, 0});
  }

  /// Whether there is nothing to wait for by construction; a timeline point may have passed too.
  bool IsSignalled() const { return fence_.kind == SLUICE_FENCE_SIGNALLED; }
  const sluice_fence* c() const { return &fence_; }

 private:
  sluice_fence fence_;
};

}  // namespace sluice::sdk

#endif  // SLUICE_SDK_FENCE_HPP_
