#include "engine/scheduler/node_context.h"

#include <algorithm>
#include <thread>

#include <fmt/format.h>

#include "engine/base/log.h"
#include "engine/scheduler/node_runner.h"

namespace sluice::scheduler {

// The count is raised before the pointer is read, and Attach(nullptr) writes the
// pointer before it reads the count: no call outlives its runner.
template <typename F>
void NodeContext::WithRunner(F&& function) {
  callers_.fetch_add(1, std::memory_order_seq_cst);
  if (NodeRunner* runner = runner_.load(std::memory_order_seq_cst)) function(*runner);
  callers_.fetch_sub(1, std::memory_order_release);
}

void NodeContext::Attach(NodeRunner* runner) {
  NodeRunner* before = runner_.load(std::memory_order_relaxed);
  if (runner != nullptr) emits_from_threads_.store(runner->options().emits_from_threads);
  runner_.store(runner, std::memory_order_seq_cst);
  if (runner != nullptr) {
    if (missed_wake_.exchange(false)) runner->Wake();
    return;
  }
  while (callers_.load(std::memory_order_seq_cst) != 0) std::this_thread::yield();
  // What it was woken for is still to be done, by the runner of the next epoch.
  if (before != nullptr && before->TakeWake()) missed_wake_ = true;
}

int32_t NodeContext::Emit(uint32_t output, media::Frame* frame, sync::Fence fence) {
  if (!emits_from_threads_.load(std::memory_order_relaxed)) {
    // Within process(): the runner is alive.
    NodeRunner* runner = runner_.load(std::memory_order_relaxed);
    if (runner != nullptr) return runner->Emit(output, frame, std::move(fence));
  }
  int32_t result = SLUICE_E_CANCELLED;
  bool sent = false;
  WithRunner([&](NodeRunner& runner) {
    sent = true;
    result = runner.Emit(output, frame, std::move(fence));
  });
  if (!sent) frame->Release();
  return result;
}

int32_t NodeContext::Acquire(uint32_t output, media::Frame** out) {
  *out = nullptr;
  int32_t result = SLUICE_E_CANCELLED;
  WithRunner([&](NodeRunner& runner) { result = runner.Acquire(output, out); });
  return result;
}

int32_t NodeContext::AcquireBuffer(uint32_t output, uint32_t index, media::Frame** out) {
  *out = nullptr;
  int32_t result = SLUICE_E_CANCELLED;
  WithRunner([&](NodeRunner& runner) { result = runner.AcquireBuffer(output, index, out); });
  return result;
}

int32_t NodeContext::IsFree(uint32_t output, uint32_t index) {
  int32_t result = SLUICE_E_CANCELLED;
  WithRunner([&](NodeRunner& runner) { result = runner.IsFree(output, index); });
  return result;
}

void NodeContext::Complete(uint64_t invocation, int32_t result) {
  WithRunner([&](NodeRunner& runner) { runner.Complete(invocation, result); });
}

void NodeContext::Wake() {
  bool woken = false;
  WithRunner([&](NodeRunner& runner) {
    woken = true;
    runner.Wake();
  });
  if (!woken) missed_wake_ = true;
}

void NodeContext::WakeAt(MonotonicNs at_ns) {
  std::lock_guard lock(mutex_);
  if (!timer_) {
    auto timer = reactor_.CreateTimer([this] { Wake(); });
    if (!timer) {
      Log(LogLevel::kError, name_, "no timer: {}", timer.error().message);
      return;
    }
    timer_ = std::move(*timer);
  }
  timer_->SetAt(at_ns);
}

int32_t NodeContext::WatchFd(int32_t fd, uint32_t events) {
  std::lock_guard lock(mutex_);
  auto found = watches_.find(fd);
  if (found == watches_.end()) {
    auto watch = reactor_.WatchFd(fd, [this] { Wake(); });
    if (!watch) {
      Log(LogLevel::kError, name_, "watch fd {}: {}", fd, watch.error().message);
      return static_cast<int32_t>(watch.error().code);
    }
    found = watches_.emplace(fd, std::move(*watch)).first;
  }
  found->second->Arm(events);
  return SLUICE_OK;
}

// A watch ends outside the lock: it waits for its callback.
void NodeContext::UnwatchFd(int32_t fd) {
  std::unique_ptr<Reactor::Watch> watch;
  std::lock_guard lock(mutex_);
  auto found = watches_.find(fd);
  if (found == watches_.end()) return;
  watch = std::move(found->second);
  watches_.erase(found);
}

void NodeContext::UnwatchAll() {
  std::map<int32_t, std::unique_ptr<Reactor::Watch>> watches;
  std::lock_guard lock(mutex_);
  watches.swap(watches_);
}

int32_t NodeContext::RequestRenegotiate(uint32_t output) {
  int32_t result = SLUICE_E_CANCELLED;
  WithRunner([&](NodeRunner& runner) { result = runner.RequestRenegotiate(*this, output); });
  return result;
}

int32_t NodeContext::RequestRenegotiateInput(uint32_t input) {
  int32_t result = SLUICE_E_CANCELLED;
  WithRunner([&](NodeRunner& runner) { result = runner.RequestRenegotiateInput(*this, input); });
  return result;
}

void NodeContext::SetError(int32_t code, std::string_view message) {
  std::lock_guard lock(mutex_);
  has_error_ = true;
  // It may have had nothing to say but the code.
  const auto known = static_cast<Code>(code);
  error_ = {known, std::string(message.empty() ? CodeName(known) : message)};
}

std::optional<Error> NodeContext::TakeError() {
  std::lock_guard lock(mutex_);
  if (!has_error_) return std::nullopt;
  has_error_ = false;
  return std::move(error_);
}

Error NodeContext::TakeError(Code code, std::string_view fallback) {
  auto said = TakeError();
  return said ? std::move(*said) : Error{code, std::string(fallback)};
}

void NodeContext::CountCopy(std::string_view port, uint64_t bytes, std::string_view reason) {
  // A place is short: this stays within the string's own storage or one small block.
  copies_.Count(fmt::format("{}.{}", name_, port), reason, bytes);
}

void NodeContext::CountDrop(std::string_view, uint64_t frames, std::string_view reason) {
  std::lock_guard lock(mutex_);
  drops_[std::string(reason)] += frames;
}

void NodeContext::Note(std::string_view text) {
  std::lock_guard lock(mutex_);
  std::string note(text);
  // A node is probed again for each plan.
  if (std::find(notes_.begin(), notes_.end(), note) == notes_.end()) {
    notes_.push_back(std::move(note));
  }
}

void NodeContext::Progress(uint64_t done, uint64_t total) {
  progress_done_.store(done, std::memory_order_relaxed);
  progress_total_.store(total, std::memory_order_relaxed);
}

void NodeContext::LogLine(int32_t level, std::string_view message) {
  plugin::Host()->log(plugin::Host(), level, name_.c_str(), std::string(message).c_str());
}

std::vector<std::string> NodeContext::notes() const {
  std::lock_guard lock(mutex_);
  return notes_;
}

std::map<std::string, uint64_t> NodeContext::drops() const {
  std::lock_guard lock(mutex_);
  return drops_;
}

}  // namespace sluice::scheduler
