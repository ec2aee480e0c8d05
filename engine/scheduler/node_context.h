#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/domain/domain.h"
#include "engine/media/copy_meter.h"
#include "engine/plugin/host.h"
#include "engine/scheduler/reactor.h"
#include "engine/scheduler/stats.h"

namespace sluice::scheduler {

class NodeRunner;

/// What a node did; outlives epochs and restarts.
struct NodeStats {
  Counter fired;
  Counter frames_in;
  Counter frames_out;
  FrameRate rate;         ///< Of its first output that has an edge, or else of its first input.
  Histogram process_ns;   ///< Time in process(), sampled.
  Histogram latency_ns;   ///< Sinks: from the source's emit to done with it, sampled.
};

/// A node's identity towards its plugin, from creation to destruction. What it
/// calls while it runs goes on to the NodeRunner of the present epoch.
class NodeContext final : public plugin::NodeHost {
 public:
  NodeContext(std::string name, media::CopyMeter& copies, Reactor& reactor)
      : name_(std::move(name)), copies_(copies), reactor_(reactor), waiter_(reactor.fd_waiter()) {}

  // plugin::NodeHost
  const char* Name() const override { return name_.c_str(); }
  int32_t Emit(uint32_t output, media::Frame* frame, sync::Fence fence) override;
  int32_t Acquire(uint32_t output, media::Frame** out) override;
  int32_t AcquireBuffer(uint32_t output, uint32_t index, media::Frame** out) override;
  int32_t IsFree(uint32_t output, uint32_t index) override;
  void Complete(uint64_t invocation, int32_t result) override;
  void Wake() override;
  void WakeAt(MonotonicNs at_ns) override;
  int32_t RequestRenegotiate(uint32_t output) override;
  int32_t RequestRenegotiateInput(uint32_t input) override;
  void SetError(int32_t code, std::string_view message) override;
  void CountCopy(std::string_view port, uint64_t bytes, std::string_view reason) override;
  void CountDrop(std::string_view port, uint64_t frames, std::string_view reason) override;
  void Note(std::string_view text) override;
  void Progress(uint64_t done, uint64_t total) override;
  void LogLine(int32_t level, std::string_view message) override;
  int32_t WatchFd(int32_t fd, uint32_t events) override;
  void UnwatchFd(int32_t fd) override;
  const std::shared_ptr<sync::FdWaiter>& Waiter() const override { return waiter_; }
  void* DomainSelf() const override { return domain != nullptr ? domain->self() : nullptr; }

  const std::string& name() const { return name_; }
  /// Borrowed; set before the node is created.
  domain::Domain* domain = nullptr;
  NodeStats stats;

  /// Forgets the fds of an instance that is gone.
  void UnwatchAll();
  /// Attaches the runner of an epoch; null detaches and waits for calls in progress.
  void Attach(NodeRunner* runner);

  /// The last error that the node set, and forgets it. Nothing for none.
  std::optional<Error> TakeError();
  /// The same with `code` and `fallback` for none.
  Error TakeError(Code code, std::string_view fallback);
  std::vector<std::string> notes() const;
  std::map<std::string, uint64_t> drops() const;
  uint64_t progress_done() const { return progress_done_.load(std::memory_order_relaxed); }
  uint64_t progress_total() const { return progress_total_.load(std::memory_order_relaxed); }

 private:
  /// Calls from foreign threads come at any time, also between epochs.
  template <typename F>
  void WithRunner(F&& function);

  const std::string name_;
  media::CopyMeter& copies_;
  Reactor& reactor_;
  const std::shared_ptr<sync::FdWaiter> waiter_;
  std::atomic<NodeRunner*> runner_{nullptr};
  std::atomic<bool> emits_from_threads_{true};
  std::atomic<uint32_t> callers_{0};
  std::atomic<bool> missed_wake_{false};  ///< Between two epochs.
  std::atomic<uint64_t> progress_done_{0};
  std::atomic<uint64_t> progress_total_{0};
  mutable std::mutex mutex_;
  std::unique_ptr<Reactor::Timer> timer_;    // guarded by mutex_, as all below
  std::map<int32_t, std::unique_ptr<Reactor::Watch>> watches_;  // by fd
  bool has_error_ = false;
  Error error_;
  std::vector<std::string> notes_;
  std::map<std::string, uint64_t> drops_;
};

}  // namespace sluice::scheduler
