#include "engine/media/buffer_pool.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace sluice::media {

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
  HolderId before = holder_.exchange(holder, std::memory_order_relaxed);
  since_ns_.store(now_ns, std::memory_order_relaxed);
  BufferPool& owner = pool();
  if (owner.options_.dynamic_reserve == 0 || before == holder) return;
  std::lock_guard lock(owner.mutex_);
  if (before == kProducer) owner.CountProducerLeaseLocked(*buffer_, -1);
  if (holder == kProducer) owner.CountProducerLeaseLocked(*buffer_, +1);
}

void Frame::Release(sync::Fence done) { pool().EndLease(*this, std::move(done)); }

void Buffer::FencePassed(sync::FenceWaiter* waiter, sync::FenceState state) {
  static_cast<DrainWaiter*>(waiter)->buffer->OneFencePassed(state);
}

void Buffer::OneFencePassed(sync::FenceState state) {
  if (state == sync::FenceState::kFailed) fence_failed_.store(true, std::memory_order_relaxed);
  if (fences_pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) pool_->FinishDrain(*this);
}

BufferPool::BufferPool(Options options) : options_(std::move(options)) {
  holder_names_.push_back(options_.name);
}

BufferPool::~BufferPool() = default;

Result<RefPtr<BufferPool>> BufferPool::Create(Options options, Allocator& allocator) {
  SLUICE_RETURN_IF_ERROR(CheckLayout(options.layout, options.format, options.layout.size));
  if (options.buffers == 0 || options.buffers > 4096) {
    return Fail(Code::kInvalidArgument,
                fmt::format("a pool of {} buffers for {}", options.buffers, options.name));
  }
  auto pool = RefPtr<BufferPool>::Adopt(new BufferPool(std::move(options)));
  const Options& settings = pool->options_;
  pool->views_ = allocator.views();
  for (uint32_t i = 0; i < settings.buffers; ++i) {
    auto memory = allocator.Allocate(fmt::format("sluice:{}:{}", settings.name, i),
                                     settings.layout.size);
    if (!memory) return tl::unexpected(memory.error());
    auto buffer = std::make_unique<Buffer>();
    buffer->id_ = {settings.id, settings.epoch, i};
    buffer->pool_ = pool.get();
    buffer->memory_ = std::move(*memory);
    buffer->releases_.Reserve(Buffer::kWaitersAtOnce);
    for (auto& waiter : buffer->drain_waiters_) waiter.buffer = buffer.get();
    pool->buffers_.push_back(std::move(buffer));
  }
  uint32_t leases = settings.max_leases != 0 ? settings.max_leases : settings.buffers * 8;
  for (uint32_t i = 0; i < leases; ++i) {
    pool->frames_.push_back(std::make_unique<Frame>());
    pool->frames_.back()->next_free_ = pool->free_frames_;
    pool->free_frames_ = pool->frames_.back().get();
  }
  pool->free_.reserve(settings.buffers);
  // Taken from the back: index 0 first.
  for (auto it = pool->buffers_.rbegin(); it != pool->buffers_.rend(); ++it) {
    pool->free_.push_back(it->get());
  }
  pool->free_count_ = settings.buffers;
  return pool;
}

HolderId BufferPool::AddHolder(std::string name) {
  holder_names_.push_back(std::move(name));
  return static_cast<HolderId>(holder_names_.size() - 1);
}

Frame* BufferPool::TryAcquire(MonotonicNs now_ns) {
  std::lock_guard lock(mutex_);
  if (retired_ || free_.empty() || free_frames_ == nullptr) return nullptr;
  if (options_.dynamic_reserve != 0 && producer_held_ >= options_.dynamic_reserve) return nullptr;
  Buffer& buffer = *free_.back();
  free_.pop_back();
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

void BufferPool::ReturnFrameLocked(Frame& frame) {
  SLUICE_CHECK(frame.in_use_);
  frame.in_use_ = false;
  frame.acquire_ = {};
  frame.next_free_ = free_frames_;
  free_frames_ = &frame;
}

void BufferPool::CountProducerLeaseLocked(Buffer& buffer, int change) {
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
  bool freed = false;
  bool last = false;
  {
    std::lock_guard lock(mutex_);
    if (done.timeline) {
      buffer.releases_.Add(std::move(done));
      buffer.last_holder_ = frame.holder();
    }
    if (frame.holder() == kProducer) CountProducerLeaseLocked(buffer, -1);
    ReturnFrameLocked(frame);
    if (--buffer.leases_ == 0) {
      drain = !buffer.releases_.empty();
      if (drain) {
        SetState(buffer, BufferState::kDraining);
        buffer.since_ns_ = options_.clock->Now();
      } else {
        MakeFreeLocked(buffer);
        NotBusyLocked(&last);
        freed = true;
      }
    }
  }
  if (drain) Drain(buffer);
  if (freed && listener_) listener_->OnFreed();
  if (last) Unref();
}

// Subscribes outside the pool's lock: a fence that has passed answers at once.
void BufferPool::Drain(Buffer& buffer) {
  const auto& fences = buffer.releases_.fences();
  size_t count = std::min(fences.size(), Buffer::kWaitersAtOnce);
  buffer.fence_failed_.store(false, std::memory_order_relaxed);
  // One more than there are, so that it cannot end while we subscribe.
  buffer.fences_pending_.store(static_cast<uint32_t>(count + 1), std::memory_order_release);
  for (size_t i = 0; i < count; ++i) {
    sync::FenceState state;
    const sync::Fence& fence = fences[i];
    if (!fence.timeline->Subscribe(fence.point, &buffer.drain_waiters_[i], &state)) {
      buffer.OneFencePassed(state);
    }
  }
  buffer.OneFencePassed(sync::FenceState::kSignalled);
}

void BufferPool::FinishDrain(Buffer& buffer) {
  bool again = false;
  bool freed = false;
  bool last = false;
  {
    std::lock_guard lock(mutex_);
    sync::FenceState state = buffer.releases_.State();
    if (buffer.fence_failed_.load(std::memory_order_relaxed) ||
        state == sync::FenceState::kFailed) {
      FailLocked(buffer);
    } else if (state != sync::FenceState::kSignalled) {
      again = true;  // more fences than waiters
    } else {
      MakeFreeLocked(buffer);
      freed = true;
    }
    if (!again) NotBusyLocked(&last);
  }
  if (again) {
    Drain(buffer);
    return;
  }
  if (freed && listener_) listener_->OnFreed();
  if (last) Unref();
}

// What the failed device did to the pixels, and may still do, nobody knows.
void BufferPool::FailLocked(Buffer& buffer) {
  Verdict verdict{buffer.id_, holder_names_[buffer.last_holder_], "", 0, true};
  for (const sync::Fence& fence : buffer.releases_.fences()) {
    if (fence.State() == sync::FenceState::kFailed) verdict.signaller = fence.timeline->signaller();
  }
  failures_.push_back(std::move(verdict));
  buffer.releases_.Clear();
  SetState(buffer, BufferState::kQuarantined);
}

void BufferPool::MakeFreeLocked(Buffer& buffer) {
  buffer.releases_.Clear();
  buffer.late_ = false;
  if (retired_) {
    SetState(buffer, BufferState::kRetired);
    return;
  }
  if (options_.poison) Poison(buffer);
  SetState(buffer, BufferState::kFree);
  free_.push_back(&buffer);
  free_count_.store(static_cast<uint32_t>(free_.size()), std::memory_order_release);
}

void BufferPool::Poison(Buffer& buffer) {
  if (buffer.memory_->mapping() == nullptr) return;
  std::memset(buffer.memory_->mapping(), 0xA5, buffer.memory_->size());
}

void BufferPool::NotBusyLocked(bool* last) { *last = --busy_ == 0; }

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
    SetState(*buffer, BufferState::kQuarantined);
    buffer->late_ = true;
    for (const sync::Fence& fence : buffer->releases_.fences()) {
      if (fence.Passed()) continue;
      verdicts.push_back({buffer->id_, holder_names_[buffer->last_holder_],
                          fence.timeline->signaller(), waited, false});
      break;
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

uint32_t BufferPool::Outstanding() const {
  std::lock_guard lock(mutex_);
  return busy_;
}

}  // namespace sluice::media
