#include "engine/media/buffer_pool.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace sluice::media {
namespace {

/// Of a heap whose front has the lowest index.
bool ByIndex(const Buffer* a, const Buffer* b) { return a->id().index > b->id().index; }

}  // namespace

std::string_view Name(BufferState state) {
  constexpr std::string_view kNames[] = {"free",     "writing",     "lent",
                                         "draining", "quarantined", "retired"};
  return kNames[static_cast<size_t>(state)];
}

BufferPool& Frame::pool() const { return buffer_->pool(); }

void Frame::Publish(sync::Fence acquire, MonotonicNs born_ns) {
  writing_ = false;
  acquire_ = std::move(acquire);
  if (born_ns != 0) born_ns_ = born_ns;
  buffer_->published_.store(true, std::memory_order_relaxed);
  buffer_->state_.store(BufferState::kLent, std::memory_order_relaxed);
}

void Frame::HandOver(HolderId holder, MonotonicNs now_ns) {
  // One thread at a time has a lease: no exchange needed.
  HolderId before = holder_.load(std::memory_order_relaxed);
  holder_.store(holder, std::memory_order_relaxed);
  since_ns_.store(now_ns, std::memory_order_relaxed);
  BufferPool& owner = pool();
  if (owner.options_.dynamic_reserve == 0 || before == holder) return;
  std::lock_guard lock(owner.mutex_);
  if (before == kProducer) owner.CountProducerLeaseLocked(*buffer_, -1);
  if (holder == kProducer) owner.CountProducerLeaseLocked(*buffer_, +1);
}

void Frame::Release(sync::Fence done) { pool().EndLease(*this, std::move(done)); }

void Buffer::FencePassed(sync::FenceWaiter* waiter, sync::FenceState) {
  static_cast<DrainWaiter*>(waiter)->buffer->OneFencePassed();
}

// Points of one timeline do not collapse: each may fail, each has a holder.
void Buffer::AddPending(const sync::Fence& fence, HolderId holder) {
  if (fence.State() == sync::FenceState::kSignalled) return;
  for (const Pending& present : pending_) {
    if (present.fence.timeline == fence.timeline && present.fence.point == fence.point) return;
  }
  pending_.push_back({fence, holder});
}

void Buffer::OneFencePassed() {
  if (fences_pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) pool_->FinishDrain(*this);
}

BufferPool::BufferPool(Options options) : options_(std::move(options)) {
  holder_names_.push_back(options_.name);
  holder_fds_.push_back(options_.producer_raw_fds);
}

BufferPool::~BufferPool() = default;

namespace {

Status CheckCount(const BufferPool::Options& options) {
  if (options.buffers != 0 && options.buffers <= 4096) return {};
  return Fail(Code::kInvalidArgument,
              fmt::format("a pool of {} buffers for {}", options.buffers, options.name));
}

Status CheckMemory(const BufferPool::Options& options, size_t index, const Memory& memory) {
  std::vector<uint64_t> sizes;
  for (uint32_t part = 0; part < memory.part_count(); ++part) sizes.push_back(memory.size(part));
  Status fits = CheckLayout(options.layout, options.format, sizes);
  if (fits) return {};
  return Fail(fits.error().code,
              fmt::format("buffer {} of {}: {}", index, options.name, fits.error().message));
}

}  // namespace

Result<RefPtr<BufferPool>> BufferPool::Create(Options options, Allocator& allocator) {
  SLUICE_RETURN_IF_ERROR(CheckLayout(options.layout, options.format, options.layout.size));
  SLUICE_RETURN_IF_ERROR(CheckCount(options));
  if (options.allocator.empty()) options.allocator = allocator.name();
  std::vector<std::unique_ptr<Memory>> memories;
  for (uint32_t i = 0; i < options.buffers; ++i) {
    auto memory =
        allocator.Allocate(fmt::format("sluice:{}:{}", options.name, i), options.layout.size);
    if (!memory) return tl::unexpected(std::move(memory).error());
    if ((*memory)->size() < options.layout.size) {
      return Fail(Code::kInternal,
                  fmt::format("{} gave {} bytes for {}, not {}", allocator.name(),
                              (*memory)->size(), options.name, options.layout.size));
    }
    memories.push_back(std::move(*memory));
  }
  return Create(std::move(options), std::move(memories));
}

Result<RefPtr<BufferPool>> BufferPool::Create(Options options,
                                              std::vector<std::unique_ptr<Memory>> memories) {
  if (options.buffers == 0) options.buffers = static_cast<uint32_t>(memories.size());
  SLUICE_RETURN_IF_ERROR(CheckCount(options));
  if (options.buffers != memories.size()) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{} wants {} buffers, {} were made", options.name, options.buffers,
                            memories.size()));
  }
  for (size_t i = 0; i < memories.size(); ++i) {
    SLUICE_RETURN_IF_ERROR(CheckMemory(options, i, *memories[i]));
  }
  auto pool = RefPtr<BufferPool>::Adopt(new BufferPool(std::move(options)));
  for (auto& memory : memories) pool->AddBuffer(std::move(memory));
  pool->Open();
  return pool;
}

void BufferPool::AddBuffer(std::unique_ptr<Memory> memory) {
  views_ = buffers_.empty() ? memory->views() : views_ & memory->views();
  auto buffer = std::make_unique<Buffer>();
  buffer->id_ = {options_.id, options_.epoch, size()};
  buffer->pool_ = this;
  buffer->memory_ = std::move(memory);
  buffer->pending_.reserve(Buffer::kWaitersAtOnce);
  for (auto& waiter : buffer->drain_waiters_) waiter.buffer = buffer.get();
  buffers_.push_back(std::move(buffer));
}

// All that is ever needed, so that a steady state allocates nothing.
void BufferPool::Open() {
  uint32_t leases = options_.max_leases != 0 ? options_.max_leases : options_.buffers * 8;
  for (uint32_t i = 0; i < leases; ++i) {
    frames_.push_back(std::make_unique<Frame>());
    frames_.back()->next_free_ = free_frames_;
    free_frames_ = frames_.back().get();
  }
  free_.reserve(options_.buffers);
  for (const auto& buffer : buffers_) free_.push_back(buffer.get());
  free_count_ = options_.buffers;
}

HolderId BufferPool::AddHolder(std::string name, bool raw_fds) {
  std::lock_guard lock(mutex_);
  for (size_t i = 1; i < holder_names_.size(); ++i) {
    if (holder_names_[i] != name) continue;
    if (raw_fds) holder_fds_[i] = true;
    return static_cast<HolderId>(i);
  }
  holder_names_.push_back(std::move(name));
  holder_fds_.push_back(raw_fds);
  return static_cast<HolderId>(holder_names_.size() - 1);
}

bool BufferPool::MayHaveFds(HolderId holder) const {
  std::lock_guard lock(mutex_);
  return holder < holder_fds_.size() && holder_fds_[holder];
}

std::string BufferPool::HolderName(HolderId holder) const {
  std::lock_guard lock(mutex_);
  return holder < holder_names_.size() ? holder_names_[holder] : std::string();
}

void BufferPool::SetFreedListener(RefPtr<FreedListener> listener) {
  std::lock_guard lock(mutex_);
  std::swap(listener_, listener);
}

bool BufferPool::MayAcquireLocked() const {
  if (retired_ || free_.empty() || free_frames_ == nullptr) return false;
  return options_.dynamic_reserve == 0 || producer_held_ < options_.dynamic_reserve;
}

Frame* BufferPool::TryAcquire(MonotonicNs now_ns) {
  std::lock_guard lock(mutex_);
  if (!MayAcquireLocked()) return nullptr;
  // The lowest index: the same buffers come again while few are needed, whatever order they come
  // home in.
  std::pop_heap(free_.begin(), free_.end(), ByIndex);
  Buffer& buffer = *free_.back();
  free_.pop_back();
  return HandOutLocked(buffer, now_ns);
}

Frame* BufferPool::TryAcquireBuffer(uint32_t index, MonotonicNs now_ns) {
  std::lock_guard lock(mutex_);
  if (!MayAcquireLocked()) return nullptr;
  const auto found = std::find(free_.begin(), free_.end(), buffers_[index].get());
  if (found == free_.end()) return nullptr;
  Buffer& buffer = **found;
  *found = free_.back();
  free_.pop_back();
  std::make_heap(free_.begin(), free_.end(), ByIndex);
  return HandOutLocked(buffer, now_ns);
}

bool BufferPool::IsFree(uint32_t index) const {
  std::lock_guard lock(mutex_);
  return buffers_[index]->state() == BufferState::kFree;
}

Frame* BufferPool::HandOutLocked(Buffer& buffer, MonotonicNs now_ns) {
  free_count_.store(static_cast<uint32_t>(free_.size()), std::memory_order_release);
  // Busy pools keep themselves: the last lease may come home after the owner left.
  if (busy_++ == 0) Ref();
  peak_leased_.store(std::max(peak_leased_.load(std::memory_order_relaxed), busy_),
                     std::memory_order_relaxed);
  SetState(buffer, BufferState::kWriting);
  buffer.since_ns_ = now_ns;
  buffer.published_.store(false, std::memory_order_relaxed);
  Frame* frame = TakeFrameLocked(buffer, kProducer, now_ns);
  frame->info = FrameInfo{};
  frame->writing_ = true;
  frame->born_ns_ = 0;
  return frame;
}

Frame* BufferPool::Share(Frame& frame, HolderId holder, MonotonicNs now_ns) {
  std::lock_guard lock(mutex_);
  if (free_frames_ == nullptr) return nullptr;
  Frame* shared = TakeFrameLocked(*frame.buffer_, holder, now_ns);
  shared->info = frame.info;
  shared->writing_ = frame.writing_;
  shared->acquire_ = frame.acquire_;
  shared->born_ns_ = frame.born_ns_;
  return shared;
}

Frame* BufferPool::TakeFrameLocked(Buffer& buffer, HolderId holder, MonotonicNs now_ns) {
  Frame* frame = free_frames_;
  free_frames_ = frame->next_free_;
  frame->in_use_ = true;
  frame->buffer_ = &buffer;
  frame->holder_.store(holder, std::memory_order_relaxed);
  frame->since_ns_.store(now_ns, std::memory_order_relaxed);
  ++buffer.leases_;
  if (holder == kProducer) CountProducerLeaseLocked(buffer, +1);
  return frame;
}

void BufferPool::ReleasedTwice(const Frame& frame) const {
  const HolderId holder = frame.holder();
  const char* who = holder < holder_names_.size() ? holder_names_[holder].c_str() : "?";
  std::fprintf(stderr, "pool %s: a lease of %s was released twice, by it or by who emitted it\n",
               options_.name.c_str(), who);
  std::abort();
}

void BufferPool::ReturnFrameLocked(Frame& frame) {
  SLUICE_CHECK(frame.in_use_);
  frame.in_use_ = false;
  frame.next_free_ = free_frames_;
  free_frames_ = &frame;
}

void BufferPool::CountProducerLeaseLocked(Buffer& buffer, int change) {
  if (options_.dynamic_reserve == 0) return;  // HandOver does not take the lock then
  if (change > 0 && buffer.producer_leases_++ == 0) ++producer_held_;
  if (change < 0 && --buffer.producer_leases_ == 0) --producer_held_;
}

bool BufferPool::ReserveCovered() const {
  std::lock_guard lock(mutex_);
  return producer_held_ + free_.size() >= options_.dynamic_reserve;
}

void BufferPool::SetState(Buffer& buffer, BufferState state) {
  buffer.state_.store(state, std::memory_order_relaxed);
}

void BufferPool::EndLease(Frame& frame, sync::Fence done) {
  Buffer& buffer = *frame.buffer_;
  bool drain = false;
  bool last = false;
  RefPtr<FreedListener> listener;
  // Both fences end outside the lock: the last reference to a timeline runs its backend.
  sync::Fence acquire;
  {
    std::lock_guard lock(mutex_);
    if (!frame.in_use_) ReleasedTwice(frame);
    // Who skips a frame does not wait for its pixels, but the next writer must.
    acquire = std::move(frame.acquire_);
    buffer.AddPending(acquire, kProducer);
    buffer.AddPending(done, frame.holder());
    if (frame.holder() == kProducer) CountProducerLeaseLocked(buffer, -1);
    ReturnFrameLocked(frame);
    if (--buffer.leases_ != 0) return;
    drain = !buffer.pending_.empty();
    if (drain) {
      SetState(buffer, BufferState::kDraining);
      buffer.since_ns_ = options_.clock->Now();
    } else {
      listener = EndTripLocked(buffer, false, &last);
    }
  }
  // The pool may be gone here: another thread's last lease may have kept it.
  if (drain) return Drain(buffer);
  if (listener) listener->OnFreed();
  if (last) Unref();
}

// Subscribes outside the pool's lock: a fence that has passed answers at once.
// Nobody changes `pending_` before the last of them passed.
void BufferPool::Drain(Buffer& buffer) {
  size_t count = std::min(buffer.pending_.size(), Buffer::kWaitersAtOnce);
  // One more than there are, so that it cannot end while we subscribe.
  buffer.fences_pending_.store(static_cast<uint32_t>(count + 1), std::memory_order_release);
  for (size_t i = 0; i < count; ++i) {
    sync::FenceState state;
    const sync::Fence& fence = buffer.pending_[i].fence;
    if (!fence.timeline->Subscribe(fence.point, &buffer.drain_waiters_[i], &state)) {
      buffer.OneFencePassed();
    }
  }
  buffer.OneFencePassed();
}

void BufferPool::FinishDrain(Buffer& buffer) {
  bool all_passed = false;
  bool failed = false;
  {
    std::lock_guard lock(mutex_);
    // More fences than waiters: those that have not passed come first next time.
    auto passed = std::partition(buffer.pending_.begin(), buffer.pending_.end(),
                                 [](const Buffer::Pending& p) { return !p.fence.Passed(); });
    all_passed = buffer.passed_ = passed == buffer.pending_.begin();
    if (all_passed) failed = RecordFailuresLocked(buffer);
  }
  if (!all_passed) return Drain(buffer);
  // Outside the lock: the last reference to a timeline runs its backend.
  buffer.pending_.clear();
  bool last = false;
  RefPtr<FreedListener> listener;
  {
    std::lock_guard lock(mutex_);
    buffer.passed_ = false;
    listener = EndTripLocked(buffer, failed, &last);
  }
  if (listener) listener->OnFreed();
  if (last) Unref();
}

// Returns whom to tell.
RefPtr<FreedListener> BufferPool::EndTripLocked(Buffer& buffer, bool failed, bool* last) {
  *last = --busy_ == 0;
  if (failed) {
    // What the failed device did to the pixels, and may still do, nobody knows.
    SetState(buffer, BufferState::kQuarantined);
    return {};
  }
  MakeFreeLocked(buffer);
  return listener_;
}

bool BufferPool::RecordFailuresLocked(const Buffer& buffer) {
  bool failed = false;
  for (const Buffer::Pending& pending : buffer.pending_) {
    if (pending.fence.State() != sync::FenceState::kFailed) continue;
    failed = true;
    failures_.push_back(
        {buffer.id_, holder_names_[pending.holder], pending.fence.timeline->signaller(), 0, true});
  }
  return failed;
}

void BufferPool::MakeFreeLocked(Buffer& buffer) {
  if (retired_) {
    SetState(buffer, BufferState::kRetired);
    return;
  }
  if (options_.poison) Poison(buffer);
  SetState(buffer, BufferState::kFree);
  free_.push_back(&buffer);
  std::push_heap(free_.begin(), free_.end(), ByIndex);
  free_count_.store(static_cast<uint32_t>(free_.size()), std::memory_order_release);
}

// Maps nothing: who wrongly reads a free buffer has mapped it before. Shared memory
// only: a dma-buf might have to be waited for, and this is no place to wait.
void BufferPool::Poison(Buffer& buffer) {
  const Memory& memory = *buffer.memory_;
  if ((memory.views() & kViewShm) == 0) return;
  for (uint32_t part = 0; part < memory.part_count(); ++part) {
    if (!memory.mapped(part) || !memory.writable(part)) continue;
    std::memset(memory.mapping(part), 0xA5, memory.size(part));
  }
}

void BufferPool::Retire() {
  std::lock_guard lock(mutex_);
  retired_ = true;
  for (Buffer* buffer : free_) SetState(*buffer, BufferState::kRetired);
  free_.clear();
  free_count_.store(0, std::memory_order_release);
}

std::vector<BufferPool::Verdict> BufferPool::CheckDeadlines(MonotonicNs now_ns,
                                                            MonotonicNs limit_ns) {
  std::lock_guard lock(mutex_);
  std::vector<Verdict> verdicts = std::move(failures_);
  failures_.clear();
  for (auto& buffer : buffers_) {
    MonotonicNs waited = now_ns - buffer->since_ns_;
    if (buffer->state() != BufferState::kDraining || waited < limit_ns) continue;
    if (buffer->passed_) continue;  // `pending_` is about to be emptied
    for (const Buffer::Pending& pending : buffer->pending_) {
      if (pending.fence.Passed()) continue;
      SetState(*buffer, BufferState::kQuarantined);
      verdicts.push_back({buffer->id_, holder_names_[pending.holder],
                          pending.fence.timeline->signaller(), waited, false});
    }
  }
  return verdicts;
}

std::vector<BufferPool::LeaseRow> BufferPool::Ledger() const {
  std::lock_guard lock(mutex_);
  std::vector<LeaseRow> rows;
  for (const auto& buffer : buffers_) {
    rows.push_back({buffer->id_, buffer->state(), buffer->since_ns_, {}});
  }
  for (const auto& frame : frames_) {
    if (!frame->in_use_) continue;
    rows[frame->buffer_->id_.index].holders.push_back(holder_names_[frame->holder()]);
  }
  return rows;
}

bool BufferPool::HasQuarantined() const {
  std::lock_guard lock(mutex_);
  return std::any_of(buffers_.begin(), buffers_.end(), [](const auto& buffer) {
    return buffer->state() == BufferState::kQuarantined;
  });
}

uint32_t BufferPool::Outstanding() const {
  std::lock_guard lock(mutex_);
  return busy_;
}

}  // namespace sluice::media
