#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <sluice/sdk.hpp>
#include <sluice/unique_fd.hpp>

#include "nodes/drm/event_loop.h"

namespace sluice::drm {

class Card;
class Screen;

/// One reference to a GEM handle. The kernel gives the same handle to every import of the same
/// dma-buf, and closes it for all of them: so the card counts.
class GemHandle {
 public:
  GemHandle() = default;
  GemHandle(GemHandle&& other) noexcept
      : card_(std::exchange(other.card_, nullptr)), handle_(other.handle_) {}
  GemHandle& operator=(GemHandle&& other) noexcept {
    std::swap(card_, other.card_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~GemHandle();
  uint32_t get() const { return handle_; }
  explicit operator bool() const { return card_ != nullptr; }

 private:
  friend class Card;
  GemHandle(Card* card, uint32_t handle) : card_(card), handle_(handle) {}
  Card* card_ = nullptr;
  uint32_t handle_ = 0;
};

/// A framebuffer and the memory it shows. Requires: it is not on a screen any more when it ends.
class Framebuffer {
 public:
  Framebuffer() = default;
  Framebuffer(Framebuffer&& other) noexcept
      : card_(std::move(other.card_)),
        id_(std::exchange(other.id_, 0)),
        handles_(std::move(other.handles_)) {}
  Framebuffer& operator=(Framebuffer&& other) noexcept {
    std::swap(card_, other.card_);
    std::swap(id_, other.id_);
    std::swap(handles_, other.handles_);
    return *this;
  }
  ~Framebuffer();
  uint32_t id() const { return id_; }

 private:
  friend class Card;
  // First, so that it outlives the handles.
  std::shared_ptr<Card> card_;
  uint32_t id_ = 0;
  std::array<GemHandle, SLUICE_MAX_PLANES> handles_;
};

/// Memory that the card's driver made for the CPU to paint in.
struct DumbBuffer {
  GemHandle handle;
  uint32_t stride = 0;  ///< bytes
  uint64_t size = 0;    ///< bytes
};

/// An open KMS device. There is one in a process for each device, as there is one DRM master.
/// Threads: [thread-safe].
class Card : public std::enable_shared_from_this<Card> {
 public:
  /// The device at `path`, or, for "auto", the first card with a connected connector.
  /// Errors: NOT_FOUND; PERMISSION_DENIED; UNSUPPORTED (no KMS, or not atomic).
  static sdk::Expected<std::shared_ptr<Card>> Open(const std::string& path);
  ~Card();

  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }
  const std::string& driver() const { return driver_; }
  bool has_modifiers() const { return has_modifiers_; }
  bool has_dumb_buffers() const { return has_dumb_buffers_; }
  EventLoop& events() { return events_; }

  /// The device has gone: the next Open() looks for it anew.
  void MarkLost();
  bool lost() const;

  /// Errors: UNSUPPORTED, with the driver's words.
  sdk::Expected<GemHandle> Import(int dmabuf);
  /// Errors: UNSUPPORTED; RESOURCE_EXHAUSTED.
  sdk::Expected<DumbBuffer> MakeDumb(uint32_t width, uint32_t height, uint32_t bits_per_pixel);
  /// A dma-buf fd of it.
  /// Errors: UNSUPPORTED.
  sdk::Expected<sdk::UniqueFd> Export(const GemHandle& handle);
  /// One handle for each part of the layout. `fourcc`: how the planes are read.
  /// Errors: INVALID_ARGUMENT for a layout that does not fit 32 bits; UNSUPPORTED.
  sdk::Expected<Framebuffer> MakeFramebuffer(uint32_t fourcc, uint64_t modifier,
                                             const sluice_layout& layout,
                                             std::array<GemHandle, SLUICE_MAX_PLANES> handles);

  /// The screens that display nodes of this process show on.
  void AddScreen(const std::shared_ptr<Screen>& screen);
  /// Its connector, CRTC and plane are free from now on, whoever else still holds it.
  void RemoveScreen(const Screen* screen);
  std::vector<std::shared_ptr<Screen>> Screens() const;

 private:
  friend class GemHandle;
  Card() = default;
  static sdk::Expected<std::shared_ptr<Card>> OpenPath(const std::string& path);
  sdk::Status Setup();
  GemHandle Counted(uint32_t handle);  ///< the lock is held
  void Close(uint32_t handle);

  sdk::UniqueFd fd_;
  std::string path_;
  std::string driver_;
  dev_t number_ = 0;
  bool has_modifiers_ = false;
  bool has_dumb_buffers_ = false;
  EventLoop events_;

  mutable std::mutex mutex_;
  std::map<uint32_t, uint32_t> handles_;  ///< GEM handle -> references
  std::vector<std::weak_ptr<Screen>> screens_;
  bool lost_ = false;
};

}  // namespace sluice::drm
