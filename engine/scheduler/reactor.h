#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "engine/base/clock.h"
#include "engine/base/result.h"

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

  /// Catches SIGINT and SIGTERM from now on. `caught` runs on the reactor's thread.
  void OnInterrupt(std::function<void(int signal)> caught);

 private:
  Reactor();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::scheduler
