#ifndef SLUICE_SDK_FRAME_HPP_
#define SLUICE_SDK_FRAME_HPP_

#include <utility>

#include <sluice/frame.h>
#include <sluice/fence.hpp>
#include <sluice/host.hpp>

namespace sluice::sdk {

/// CPU access to a frame's planes, for the scope of this object.
/// Requires: the frame's lease is held until it is gone; a written frame is emitted afterwards.
class Mapping {
 public:
  /// Takes a mapping that was made.
  Mapping(const sluice_frame_api* api, sluice_frame* frame, uint32_t flags,
          const sluice_mapping& mapping)
      : api_(api), frame_(frame), flags_(flags), mapping_(mapping) {}
  Mapping(Mapping&& other) noexcept
      : api_(other.api_),
        frame_(std::exchange(other.frame_, nullptr)),
        flags_(other.flags_),
        mapping_(other.mapping_) {}
  Mapping& operator=(Mapping&&) = delete;
  ~Mapping() { Unmap(); }

  void Unmap() {
    if (frame_ != nullptr) api_->unmap(std::exchange(frame_, nullptr), flags_);
  }
  uint32_t planes() const { return mapping_.plane_count; }
  uint8_t* plane(uint32_t index) const { return mapping_.planes[index]; }
  /// Bytes from one row to the next.
  uint64_t stride(uint32_t index) const { return mapping_.strides[index]; }
  uint8_t* Row(uint32_t index, uint64_t row) const { return plane(index) + row * stride(index); }

 private:
  const sluice_frame_api* api_;
  sluice_frame* frame_;
  uint32_t flags_;
  sluice_mapping mapping_;
};

/// A borrowed frame: valid while somebody else's lease is.
class FrameRef {
 public:
  FrameRef() = default;
  FrameRef(const sluice_frame_api* api, sluice_frame* frame) : api_(api), frame_(frame) {}

  explicit operator bool() const { return frame_ != nullptr; }
  sluice_frame* c() const { return frame_; }
  const sluice_frame_api* api() const { return api_; }

  /// What travels with the pixels. Valid while the lease is held.
  const sluice_frame_info& Info() const { return *api_->info(frame_); }
  /// The same, to change it. Null once the frame was emitted.
  sluice_frame_info* InfoMut() const { return api_->info_mut(frame_); }
  const sluice_format& Format() const { return *api_->format(frame_); }
  const sluice_layout& Layout() const { return *api_->layout(frame_); }
  sluice_buffer_id BufferId() const { return api_->buffer_id(frame_); }
  /// SLUICE_VIEW_* bits.
  uint32_t Views() const { return api_->views(frame_); }
  /// Errors: UNSUPPORTED without a shm view.
  Expected<sluice_shm_view> Shm() const {
    sluice_shm_view view{};
    if (const int32_t code = api_->shm(frame_, &view); code < 0) {
      return Status::Error(code, "the frame has no shared-memory view");
    }
    return view;
  }
  /// CPU access; never waits. Flags: SLUICE_MAP_*.
  /// Errors: UNSUPPORTED; PERMISSION_DENIED for WRITE after the emit.
  Expected<Mapping> Map(uint32_t flags) const {
    sluice_mapping mapping{};
    if (const int32_t code = api_->map(frame_, flags, &mapping); code < 0) {
      return Status::Error(code, "the frame cannot be mapped (%s)", CodeName(code));
    }
    return Mapping(api_, frame_, flags, mapping);
  }
  /// When it may be read.
  Fence AcquireFence() const { return Fence(api_->acquire_fence(frame_)); }
  /// What must have happened before the first device write. Fills up to `capacity`, returns the
  /// count.
  uint32_t ReleaseFences(sluice_fence* out, uint32_t capacity) const {
    return api_->release_fences(frame_, out, capacity);
  }

 protected:
  const sluice_frame_api* api_ = nullptr;
  sluice_frame* frame_ = nullptr;
};

/// One lease. Destruction releases it as done now; Release() says when otherwise.
/// Threads: any one at a time.
class Frame : public FrameRef {
 public:
  Frame() = default;
  /// Takes `frame`.
  Frame(const sluice_frame_api* api, sluice_frame* frame) : FrameRef(api, frame) {}
  Frame(Frame&& other) noexcept : FrameRef(other.api_, std::exchange(other.frame_, nullptr)) {}
  Frame& operator=(Frame&& other) noexcept {
    if (this != &other) {
      Release();
      api_ = other.api_;
      frame_ = std::exchange(other.frame_, nullptr);
    }
    return *this;
  }
  ~Frame() { Release(); }

  /// Gives the lease back: its holder is done now. Nothing happens on an empty one.
  void Release() {
    if (frame_ != nullptr) api_->release(std::exchange(frame_, nullptr), nullptr);
  }
  /// Gives the lease back: its holder is done when `fence` signals.
  void Release(const Fence& fence) {
    if (frame_ != nullptr) api_->release(std::exchange(frame_, nullptr), fence.c());
  }
  /// Another lease on the same pixels. Empty when the pool's leases are used up.
  Frame Share() const { return Frame(api_, api_->share(frame_)); }
  /// Hands the lease to the caller.
  [[nodiscard]] sluice_frame* Take() { return std::exchange(frame_, nullptr); }
};

}  // namespace sluice::sdk

#endif  // SLUICE_SDK_FRAME_HPP_
