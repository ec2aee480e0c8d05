#pragma once

#include <atomic>
#include <cstdint>

namespace sluice {

/// Nanoseconds on CLOCK_MONOTONIC (or on a test's stepped clock).
using MonotonicNs = int64_t;
inline constexpr MonotonicNs kNoDeadline = INT64_MAX;

/// Where deadlines come from. Threads: [thread-safe].
class Clock {
 public:
  virtual ~Clock() = default;
  virtual MonotonicNs Now() const = 0;

  /// CLOCK_MONOTONIC; lives for the whole process.
  static const Clock& Real();
};

/// A clock that moves only when told. Threads: [thread-safe].
class SteppableClock final : public Clock {
 public:
  explicit SteppableClock(MonotonicNs start = 0) : now_(start) {}
  MonotonicNs Now() const override { return now_.load(std::memory_order_relaxed); }
  void Step(MonotonicNs delta_ns) { now_.fetch_add(delta_ns, std::memory_order_relaxed); }

 private:
  std::atomic<MonotonicNs> now_;
};

}  // namespace sluice
