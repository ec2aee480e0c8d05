#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "engine/base/clock.h"
#include "engine/base/result.h"
#include "engine/sync/fd_waiter.h"

namespace sluice::scheduler {

/// One thread that waits for fds, timers and signals (Boost.Asio). The path of a
/// frame never touches it. Threads: [thread-safe].
class Reactor {
 public:
  static Result<std::unique_ptr<Reactor>> Create();
  ~Reactor();

  /// A one-shot timer that can be set again from any thread without allocating.
  class Timer {
   public:
    virtual ~Timer() = default;
    /// Replaces an earlier setting. A time in the past fires at once.
    virtual void SetAt(MonotonicNs at_ns) = 0;
  };
  /// `fired` runs on the reactor's thread. Destroying the timer waits for a run in progress.
  Result<std::unique_ptr<Timer>> CreateTimer(std::function<void()> fired);

  /// Readiness of a fd, one call for each Arm. Threads: [thread-safe].
  class Watch {
   public:
    virtual ~Watch() = default;
    /// `events`: kReadable, kPriority, or 0; errors always count. Replaces an earlier
    /// setting; a fd that is ready already is told at once.
    virtual void Arm(uint32_t events) = 0;
  };
  static constexpr uint32_t kReadable = 1;
  static constexpr uint32_t kPriority = 2;
  /// `ready` runs on the reactor's thread. `fd` is borrowed; the watch keeps a duplicate.
  /// Destroying the watch waits for a call in progress, unless it happens within one.
  /// Errors: InvalidArgument for a fd that cannot be waited for, ResourceExhausted.
  Result<std::unique_ptr<Watch>> WatchFd(int fd, std::function<void()> ready);

  /// Waits for fences' fds. May outlive the reactor: then it only looks, once.
  std::shared_ptr<sync::FdWaiter> fd_waiter();

  /// Catches SIGINT and SIGTERM from now on. `caught` runs on the reactor's thread.
  void OnInterrupt(std::function<void(int signal)> caught);

 private:
  Reactor();
  Status Start();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::scheduler
