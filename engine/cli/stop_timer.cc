#include "engine/cli/stop_timer.h"

#include <charconv>
#include <chrono>
#include <utility>

namespace sluice::cli {

std::optional<MonotonicNs> ParseDuration(std::string_view text) {
  constexpr std::pair<std::string_view, double> kUnits[] = {
      {"", 1e9}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
  constexpr double kMaxNs = 366.0 * 24 * 3600e9;
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  const std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  for (const auto& [name, ns] : kUnits) {
    if (name != unit) continue;
    // Written so that NaN is refused too.
    if (!(number * ns >= 1 && number * ns <= kMaxNs)) return std::nullopt;
    return static_cast<MonotonicNs>(number * ns);
  }
  return std::nullopt;
}

StopTimer::StopTimer(MonotonicNs delay_ns, std::function<void()> due)
    : thread_([this, delay_ns, due = std::move(due)] {
        std::unique_lock lock(mutex_);
        const auto until = std::chrono::steady_clock::now() + std::chrono::nanoseconds(delay_ns);
        if (cancelled_.wait_until(lock, until, [this] { return cancel_; })) return;
        fired_ = true;
        lock.unlock();
        due();
      }) {}

StopTimer::~StopTimer() {
  {
    std::lock_guard lock(mutex_);
    cancel_ = true;
  }
  cancelled_.notify_one();
  thread_.join();
}

bool StopTimer::fired() const {
  std::lock_guard lock(mutex_);
  return fired_;
}

}  // namespace sluice::cli
