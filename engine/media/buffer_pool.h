#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/base/clock.h"
#include "engine/base/ref_ptr.h"
#include "engine/base/result.h"
#include "engine/media/allocator.h"
#include "engine/media/format.h"
#include "engine/media/frame.h"
#include "engine/media/memory.h"
#include "engine/sync/fd_waiter.h"
#include "engine/sync/timeline.h"

namespace sluice::media {

/// docs/leases.md draws the machine.
enum class BufferState : uint8_t { kFree, kWriting, kLent, kDraining, kQuarantined, kRetired };
std::string_view Name(BufferState state);

/// Whom a pool tells that a buffer is free. May outlive what it wakes: leases
/// come home whenever their holders like. Threads: [thread-safe].
class FreedListener : public RefCounted<FreedListener> {
 public:
  virtual ~FreedListener() = default;
  virtual void OnFreed() = 0;
};

/// Reusable image memory with a fixed layout. Owned by its pool.
class Buffer {
 public:
  const BufferId& id() const { return id_; }
  const Memory& memory() const { return *memory_; }
  BufferPool& pool() const { return *pool_; }
  BufferState state() const { return state_.load(std::memory_order_relaxed); }
  /// A reader exists or existed on this trip: nobody may write any more.
  bool published() const { return published_.load(std::memory_order_relaxed); }

 private:
  friend class BufferPool;
  friend class Frame;

  /// One outstanding release fence of a draining buffer.
  struct DrainWaiter : sync::FenceWaiter {
    DrainWaiter() : FenceWaiter(&Buffer::FencePassed) {}
    Buffer* buffer = nullptr;
  };
  static constexpr size_t kWaitersAtOnce = 8;

  /// What the next writer waits for, and who said so.
  struct Pending {
    sync::Fence fence;
    HolderId holder = kProducer;
  };

  static void FencePassed(sync::FenceWaiter* waiter, sync::FenceState state);
  void OneFencePassed();
  void AddPending(const sync::Fence& fence, HolderId holder);

  BufferId id_;
  BufferPool* pool_ = nullptr;
  std::unique_ptr<Memory> memory_;
  std::atomic<BufferState> state_{BufferState::kFree};
  std::atomic<bool> published_{false};
  uint32_t leases_ = 0;           // guarded by the pool's mutex, as all below
  uint32_t producer_leases_ = 0;
  std::vector<Pending> pending_;  // while it drains, whoever drains it may read without
  bool passed_ = false;           // all of pending_: no deadline looks at it any more
  MonotonicNs since_ns_ = 0;      // of the trip, or of draining
  std::atomic<uint32_t> fences_pending_{0};
  std::array<DrainWaiter, kWaitersAtOnce> drain_waiters_;
};

/// A set of buffers for one output port and one epoch.
///
/// The pool lives until its owner let go *and* the last lease came home: leases
/// may outlive the graph that made them. Threads: [thread-safe] unless said.
class BufferPool final : public RefCounted<BufferPool> {
 public:
  struct Options {
    uint32_t id = 0;
    uint32_t epoch = 0;
    std::string name;  ///< "clip.out", for the ledger and messages.
    Format format;
    Layout layout;
    uint32_t buffers = 0;
    uint32_t max_leases = 0;       ///< At once; 0 = 8 for each buffer.
    uint32_t dynamic_reserve = 0;  ///< The most the producer holds at once; 0 = not dynamic.
    const Clock* clock = &Clock::Real();
    /// Format and layout in the form that plugins read; made and read by
    /// engine/plugin only, kept here because it lives as long as the pool.
    std::shared_ptr<const void> abi_shape;
    /// Fill free buffers with 0xA5, as far as the CPU has mapped them: a reader after
    /// release shows.
    bool poison = false;
    std::string allocator;  ///< Who made the memory: "udmabuf", "camera". For reports.
    bool producer_raw_fds = false;  ///< The producer may have the fds of its buffers.
    /// Who waits for the sync_files that come with releases. Null: they are refused.
    std::shared_ptr<sync::FdWaiter> fd_waiter;
  };

  /// Allocates everything now. Errors: those of the allocator and CheckLayout.
  static Result<RefPtr<BufferPool>> Create(Options options, Allocator& allocator);
  /// Of memory that a port made: memories[i] is the buffer of index i, and
  /// options.buffers is 0 or their number. Views are those that all have. Errors:
  /// InvalidArgument where the layout does not fit one of them, naming buffer and plane.
  static Result<RefPtr<BufferPool>> Create(Options options,
                                           std::vector<std::unique_ptr<Memory>> memories);

  const Options& options() const { return options_; }
  const Format& format() const { return options_.format; }
  const Layout& layout() const { return options_.layout; }
  const void* abi_shape() const { return options_.abi_shape.get(); }
  uint32_t views() const { return views_; }
  uint32_t size() const { return static_cast<uint32_t>(buffers_.size()); }

  /// Names somebody who may hold a lease; the result is his id, the same for the same
  /// name. `raw_fds`: he may have the fds of the buffers (once given, it stays).
  HolderId AddHolder(std::string name, bool raw_fds = false);
  bool MayHaveFds(HolderId holder) const;
  std::string HolderName(HolderId holder) const;

  /// A buffer to write, or null when none is free (or the producer of a dynamic
  /// pool holds its reserve already). Never waits.
  Frame* TryAcquire(MonotonicNs now_ns);
  /// The same, but this one; null also while it is not free. Requires: index < size().
  Frame* TryAcquireBuffer(uint32_t index, MonotonicNs now_ns);
  /// Whether it could be handed out now. Requires: index < size().
  bool IsFree(uint32_t index) const;
  /// Another lease on the same pixels, with a copy of the info, for `holder`.
  /// Null when the leases are used up.
  Frame* Share(Frame& frame, HolderId holder, MonotonicNs now_ns);

  /// Dynamic pools: whether the producer can be fed: what it holds and what is
  /// free cover its reserve.
  bool ReserveCovered() const;
  uint32_t FreeCount() const { return free_count_.load(std::memory_order_acquire); }

  /// Told, with no lock held, whenever a buffer became free. Set before use.
  void SetFreedListener(RefPtr<FreedListener> listener);

  /// No more buffers are handed out; each retires as its leases come home.
  void Retire();

  /// Quarantines buffers that have drained for `limit_ns`, and says for each
  /// fence who is late. A late fence that passes after all frees its buffer; a
  /// failed one keeps it quarantined for good.
  struct Verdict {
    BufferId buffer;
    std::string holder;
    std::string signaller;
    MonotonicNs waited_ns = 0;
    bool failed = false;  ///< The fence failed; else it is late.
  };
  std::vector<Verdict> CheckDeadlines(MonotonicNs now_ns, MonotonicNs limit_ns);

  /// For the ledger, `plan`, stall reports and tests.
  struct LeaseRow {
    BufferId buffer;
    BufferState state;
    MonotonicNs since_ns = 0;  ///< Start of the trip, or of draining.
    std::vector<std::string> holders;
  };
  std::vector<LeaseRow> Ledger() const;
  /// Whether a buffer is not handed out any more, or not for now, because of its fences.
  bool HasQuarantined() const;
  uint32_t PeakLeased() const { return peak_leased_.load(std::memory_order_relaxed); }
  uint64_t BytesMapped() const { return bytes_mapped_.load(std::memory_order_relaxed); }
  void CountMapped(uint64_t bytes) { bytes_mapped_.fetch_add(bytes, std::memory_order_relaxed); }
  /// Buffers that somebody will still give back: not free, retired, or
  /// quarantined for good.
  uint32_t Outstanding() const;

 private:
  friend class RefCounted<BufferPool>;
  friend class Frame;
  friend class Buffer;

  explicit BufferPool(Options options);
  ~BufferPool();

  void AddBuffer(std::unique_ptr<Memory> memory);
  void Open();

  bool MayAcquireLocked() const;
  Frame* HandOutLocked(Buffer& buffer, MonotonicNs now_ns);
  Frame* TakeFrameLocked(Buffer& buffer, HolderId holder, MonotonicNs now_ns);
  /// Who holds a lease twice over has lost count: ends the process, and names him.
  [[noreturn]] void ReleasedTwice(const Frame& frame) const;
  void ReturnFrameLocked(Frame& frame);
  void CountProducerLeaseLocked(Buffer& buffer, int change);
  void EndLease(Frame& frame, sync::Fence done);
  void Drain(Buffer& buffer);
  void FinishDrain(Buffer& buffer);
  void MakeFreeLocked(Buffer& buffer);
  void SetState(Buffer& buffer, BufferState state);
  bool RecordFailuresLocked(const Buffer& buffer);
  RefPtr<FreedListener> EndTripLocked(Buffer& buffer, bool failed, bool* last);
  void Poison(Buffer& buffer);

  Options options_;
  uint32_t views_ = 0;
  std::vector<std::unique_ptr<Buffer>> buffers_;
  std::vector<std::unique_ptr<Frame>> frames_;
  std::vector<std::string> holder_names_;  // guarded by mutex_, as the next
  std::vector<bool> holder_fds_;
  RefPtr<FreedListener> listener_;
  std::atomic<uint32_t> free_count_{0};
  std::atomic<uint32_t> peak_leased_{0};
  std::atomic<uint64_t> bytes_mapped_{0};

  mutable std::mutex mutex_;
  std::vector<Buffer*> free_;      // a heap; guarded by mutex_, as all below
  Frame* free_frames_ = nullptr;
  uint32_t producer_held_ = 0;     // buffers
  uint32_t busy_ = 0;              // buffers neither free nor retired nor dead in quarantine
  bool retired_ = false;
  std::vector<Verdict> failures_;
};

}  // namespace sluice::media
