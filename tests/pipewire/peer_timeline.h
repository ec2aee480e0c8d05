#pragma once

#include <cstdint>
#include <memory>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace sluice::testing {

// Explicit sync by DRM syncobjs. PipeWire's names for it, which headers before 1.2 have not.
inline constexpr uint32_t kMetaSyncTimeline = 9;
inline constexpr uint32_t kDataSyncobj = 5;
inline constexpr uint32_t kBuffersMetaType = 7;

/// spa_meta_sync_timeline.
struct SyncPoints {
  uint32_t flags;
  uint32_t padding;
  uint64_t acquire;
  uint64_t release;
};
static_assert(sizeof(SyncPoints) == 24);

/// A DRM device that knows timelines.
class SyncDevice {
 public:
  /// The first in /dev/dri. Errors: Unsupported where there is none.
  static Result<std::shared_ptr<SyncDevice>> Open();
  int fd() const { return fd_.get(); }

 private:
  UniqueFd fd_;
};

/// One timeline syncobj.
class Syncobj {
 public:
  Syncobj() = default;
  Syncobj(Syncobj&& other) noexcept { *this = std::move(other); }
  Syncobj& operator=(Syncobj&& other) noexcept;
  ~Syncobj();

  /// Errors: Io.
  static Result<Syncobj> Create(const std::shared_ptr<SyncDevice>& device);
  /// `fd` is borrowed. Errors: Io, also for a fd that is no syncobj.
  static Result<Syncobj> Import(const std::shared_ptr<SyncDevice>& device, int fd);

  Result<UniqueFd> Export() const;
  Status Signal(uint64_t point);
  /// Whether `point` has been signalled, by then. A point that nobody has
  /// promised yet is waited for, too.
  bool Signalled(uint64_t point, uint64_t wait_ns = 0) const;

 private:
  std::shared_ptr<SyncDevice> device_;
  uint32_t handle_ = 0;
};

}  // namespace sluice::testing
