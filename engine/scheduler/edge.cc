#include "engine/scheduler/edge.h"

#include <algorithm>
#include <bit>

namespace sluice::scheduler {

// Both ends in one thread need no total order with the waiting flags.
void Edge::Publish(std::atomic<uint32_t>& index, uint32_t value) {
  if (options_.local) {
    index.store(value, std::memory_order_release);
  } else {
    index.store(value, std::memory_order_seq_cst);
  }
}

Edge::Edge(Options options, EdgeStats& stats) : options_(options), stats_(stats) {
  uint32_t capacity = std::bit_ceil(std::max(options_.queue.depth, 1u) + options_.slack);
  mask_ = capacity - 1;
  ring_ = std::make_unique<media::Frame*[]>(capacity);
}

Edge::~Edge() { Clear(); }

uint32_t Edge::size() const {
  return tail_.load(std::memory_order_seq_cst) - head_.load(std::memory_order_seq_cst);
}

bool Edge::Full() const { return size() >= std::max(options_.queue.depth, 1u); }

// The flag is set first and the queue read again, the other side writes the
// queue first and reads the flag then, all in one total order (seq_cst): one of
// the two sees the other.
bool Edge::WaitForRoom() {
  if (options_.local) return Full() && !closed();
  producer_waiting_.store(true, std::memory_order_seq_cst);
  if (Full() && !closed()) return true;
  producer_waiting_.store(false, std::memory_order_relaxed);
  return false;
}

bool Edge::WaitForFrame() {
  if (options_.local) return size() == 0 && !ended();
  consumer_waiting_.store(true, std::memory_order_seq_cst);
  if (size() == 0 && !ended()) return true;
  consumer_waiting_.store(false, std::memory_order_relaxed);
  return false;
}

bool Edge::WakeConsumer() {
  if (options_.local) return false;
  return consumer_waiting_.load(std::memory_order_seq_cst) && consumer_waiting_.exchange(false);
}

bool Edge::Push(media::Frame* frame) {
  if (closed()) {
    frame->Release();
    stats_.dropped_closed.fetch_add(1, std::memory_order_relaxed);
    ReleaseAll();  // what slipped in while the consumer closed
    return false;
  }
  std::unique_lock<std::mutex> lock(mutex_, std::defer_lock);
  if (locked()) lock.lock();
  if (Full() && options_.queue.when_full == graph::WhenFull::kDropNewest) {
    frame->Release();
    stats_.dropped_newest.Add(1);
    return false;
  }
  while (Full() && options_.queue.when_full == graph::WhenFull::kDropOldest) {
    PopFront()->Release();
    stats_.dropped_oldest.Add(1);
  }
  if (size() > mask_) {
    frame->Release();
    stats_.dropped_overrun.Add(1);
    return false;
  }
  uint32_t tail = tail_.load(std::memory_order_relaxed);
  ring_[tail & mask_] = frame;
  Publish(tail_, tail + 1);
  stats_.passed.Add(1);
  uint32_t filled = tail + 1 - head_.load(std::memory_order_relaxed);
  if (filled > stats_.peak.load(std::memory_order_relaxed)) {
    stats_.peak.store(filled, std::memory_order_relaxed);
  }
  return WakeConsumer();
}

bool Edge::End() {
  ended_.store(true, std::memory_order_seq_cst);
  return WakeConsumer();
}

media::Frame* Edge::Front() {
  if (!locked()) {
    return size() == 0 ? nullptr : ring_[head_.load(std::memory_order_relaxed) & mask_];
  }
  media::Frame* shown = shown_.load(std::memory_order_relaxed);
  if (shown != nullptr) return shown;
  std::lock_guard lock(mutex_);
  if (size() == 0) return nullptr;
  shown = PopFront();
  shown_.store(shown, std::memory_order_release);
  return shown;
}

media::Frame* Edge::PopFront() {
  uint32_t head = head_.load(std::memory_order_relaxed);
  media::Frame* frame = ring_[head & mask_];
  Publish(head_, head + 1);
  return frame;
}

media::Frame* Edge::Pop(bool* wake) {
  *wake = false;
  if (locked()) {
    media::Frame* frame = Front();
    shown_.store(nullptr, std::memory_order_release);
    return frame;  // nobody waits for room where the oldest is dropped
  }
  if (size() == 0) return nullptr;
  media::Frame* frame = PopFront();
  *wake = !options_.local && producer_waiting_.load(std::memory_order_seq_cst) &&
          producer_waiting_.exchange(false);
  return frame;
}

bool Edge::Close() {
  closed_.store(true, std::memory_order_seq_cst);
  if (media::Frame* shown = shown_.exchange(nullptr)) shown->Release();
  ReleaseAll();
  return !options_.local && producer_waiting_.exchange(false);
}

// Once closed, both ends may empty the queue.
void Edge::ReleaseAll() {
  std::lock_guard lock(mutex_);
  while (size() != 0) {
    PopFront()->Release();
    stats_.dropped_closed.fetch_add(1, std::memory_order_relaxed);
  }
}

void Edge::Clear() {
  if (media::Frame* shown = shown_.exchange(nullptr)) shown->Release();
  while (size() != 0) PopFront()->Release();
}

}  // namespace sluice::scheduler
