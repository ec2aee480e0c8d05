#pragma once

#include <atomic>
#include <cstdint>

#include "engine/base/clock.h"
#include "engine/media/format.h"
#include "engine/sync/timeline.h"

namespace sluice::media {

class BufferPool;
class Buffer;

inline constexpr int64_t kPtsNone = INT64_MIN;

/// What travels with the pixels of one trip. Layout, names and units equal
/// sluice_frame_info of the plugin ABI (engine/plugin asserts it).
struct FrameInfo {
  int64_t pts_ns = kPtsNone;
  int64_t duration_ns = 0;
  int64_t pts_ticks = kPtsNone;
  int64_t duration_ticks = 0;
  uint32_t time_base_num = 0;
  uint32_t time_base_den = 0;
  uint64_t sequence = 0;
  uint32_t flags = 0;
  uint32_t field_order = 0;
  uint32_t crop_x = 0;
  uint32_t crop_y = 0;
  uint32_t crop_width = 0;
  uint32_t crop_height = 0;
  uint32_t aspect_num = 0;
  uint32_t aspect_den = 0;
  int32_t rotation_degrees = 0;
  uint32_t reserved = 0;
  uint64_t bytes_used = 0;
  int64_t captured_ns = 0;
};

/// {pool, epoch, index}: who a buffer is, never reused within a run.
struct BufferId {
  uint32_t pool = 0;
  uint32_t epoch = 0;
  uint32_t index = 0;
  friend auto operator<=>(const BufferId&, const BufferId&) = default;
};

/// Index into the names of a pool's ledger. 0 is the producer.
using HolderId = uint16_t;
inline constexpr HolderId kProducer = 0;

/// One holder's lease on a buffer, with its own copy of the info. Handled by
/// pointer; Release ends it, exactly once. One thread at a time; a lease may
/// wander between threads that synchronise with each other.
class Frame {
 public:
  FrameInfo info;

  Buffer& buffer() const { return *buffer_; }
  BufferPool& pool() const;
  HolderId holder() const { return holder_.load(std::memory_order_relaxed); }
  /// Not emitted yet: its holder may write, and change `info`.
  bool writing() const { return writing_; }

  /// When the pixels may be read. Empty: now.
  const sync::Fence& acquire() const { return acquire_; }

  /// Monotonic time of the first emit if this trip is sampled, else 0.
  MonotonicNs born_ns() const { return born_ns_; }

  /// Since when `holder` has it.
  MonotonicNs since_ns() const { return since_ns_.load(std::memory_order_relaxed); }

  /// Ends writing: from now on everybody reads. `born_ns` 0 keeps what it has.
  void Publish(sync::Fence acquire, MonotonicNs born_ns);
  /// The same lease, now held by `holder` since `now_ns`.
  void HandOver(HolderId holder, MonotonicNs now_ns);
  /// Ends the lease: the holder is done when `done` passes.
  void Release(sync::Fence done = {});

 private:
  friend class BufferPool;
  Buffer* buffer_ = nullptr;
  Frame* next_free_ = nullptr;
  std::atomic<HolderId> holder_{kProducer};
  bool writing_ = false;
  bool in_use_ = false;  // guarded by the pool's mutex
  sync::Fence acquire_;
  MonotonicNs born_ns_ = 0;
  std::atomic<MonotonicNs> since_ns_{0};
};

}  // namespace sluice::media
