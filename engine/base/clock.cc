#include "engine/base/clock.h"

#include <ctime>

namespace sluice {
namespace {

class RealClock final : public Clock {
 public:
  MonotonicNs Now() const override {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
  }
};

}  // namespace

const Clock& Clock::Real() {
  static const RealClock clock;
  return clock;
}

}  // namespace sluice
