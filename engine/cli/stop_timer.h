#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>

#include "engine/base/clock.h"

namespace sluice::cli {

/// "90", "1.5s", "500ms", "2m", "1h" in nanoseconds; nothing for anything else, 0 or more than a
/// year.
std::optional<MonotonicNs> ParseDuration(std::string_view text);

/// Calls `due` once, on a thread of its own, unless it is destroyed before.
class StopTimer {
 public:
  StopTimer(MonotonicNs delay_ns, std::function<void()> due);
  /// Waits for a call in progress.
  ~StopTimer();
  StopTimer(const StopTimer&) = delete;
  StopTimer& operator=(const StopTimer&) = delete;

  bool fired() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable cancelled_;
  bool cancel_ = false;  // guarded by mutex_
  bool fired_ = false;   // guarded by mutex_
  std::thread thread_;
};

}  // namespace sluice::cli
