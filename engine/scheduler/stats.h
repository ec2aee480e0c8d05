#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>

#include "engine/base/clock.h"

namespace sluice::scheduler {

/// A number with one writer and any number of readers.
class Counter {
 public:
  void Add(uint64_t n) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

/// How many frames come in a second, from the first to the last. One writer, any number of readers.
class FrameRate {
 public:
  /// One more. A time is taken of each of the first frames, so that short runs are measured whole,
  /// and then of one in 64: a reading of the clock costs about as much as a hop.
  void Tick(const Clock& clock = Clock::Real()) {
    const uint64_t before = frames_.value();
    frames_.Add(1);
    if (before >= kAllOfTheFirst && before % kOneIn != 0) return;
    const MonotonicNs now = clock.Now();
    if (before == 0) first_ns_.store(now, std::memory_order_relaxed);
    timed_.store(before, std::memory_order_relaxed);
    timed_ns_.store(now, std::memory_order_relaxed);
  }
  /// Those after the first by the time since it, up to the latest that a time was taken of; 0
  /// where no time has passed.
  double PerSecond() const {
    const MonotonicNs passed =
        timed_ns_.load(std::memory_order_relaxed) - first_ns_.load(std::memory_order_relaxed);
    if (passed <= 0) return 0;
    return static_cast<double>(timed_.load(std::memory_order_relaxed)) * 1e9 /
           static_cast<double>(passed);
  }

 private:
  static constexpr uint64_t kAllOfTheFirst = 128;
  static constexpr uint64_t kOneIn = 64;
  Counter frames_;
  std::atomic<MonotonicNs> first_ns_{0};
  std::atomic<uint64_t> timed_{0};  ///< frames before the one that a time was last taken of
  std::atomic<MonotonicNs> timed_ns_{0};
};

/// Durations in nanoseconds, in buckets 1/8 of an octave wide (so a quantile is
/// right to 9%). One writer, any number of readers.
class Histogram {
 public:
  void Record(int64_t ns) {
    counts_[Bucket(ns < 0 ? 0 : static_cast<uint64_t>(ns))].Add(1);
    total_.Add(1);
  }
  uint64_t count() const { return total_.value(); }
  /// The upper end of the bucket that holds quantile `q` in 0..1; 0 if empty.
  int64_t Quantile(double q) const {
    uint64_t total = total_.value();
    if (total == 0) return 0;
    auto rank = static_cast<uint64_t>(q * static_cast<double>(total - 1));
    uint64_t seen = 0;
    for (size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i].value();
      if (seen > rank) return UpperEnd(i);
    }
    return UpperEnd(counts_.size() - 1);
  }

 private:
  static constexpr int kSub = 3;
  static size_t Bucket(uint64_t ns) {
    if (ns < (1u << kSub)) return ns;
    int octave = std::bit_width(ns) - 1 - kSub;
    return static_cast<size_t>(octave + 1) * (1u << kSub) + ((ns >> octave) & ((1u << kSub) - 1));
  }
  static int64_t UpperEnd(size_t bucket) {
    if (bucket < (1u << kSub)) return static_cast<int64_t>(bucket);
    size_t octave = (bucket >> kSub) - 1;
    uint64_t mantissa = (1u << kSub) | (bucket & ((1u << kSub) - 1));
    return static_cast<int64_t>(((mantissa + 1) << octave) - 1);
  }
  std::array<Counter, 61 * (1u << kSub)> counts_;
  Counter total_;
};

}  // namespace sluice::scheduler
