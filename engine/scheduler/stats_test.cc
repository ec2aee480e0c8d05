#include "engine/scheduler/stats.h"

#include <gtest/gtest.h>

namespace sluice::scheduler {
namespace {

constexpr MonotonicNs kMs = 1'000'000;

TEST(FrameRateTest, ARateBeginsWithTheFirstFrameAndEndsWithTheLast) {
  SteppableClock clock(1);
  FrameRate frames;
  clock.Step(5'000 * kMs);  // the start of a run
  for (int i = 0; i < 5; ++i) {
    frames.Tick(clock);
    if (i < 4) clock.Step(40 * kMs);
  }
  clock.Step(5'000 * kMs);  // its end
  EXPECT_DOUBLE_EQ(frames.PerSecond(), 25);
}

TEST(FrameRateTest, OneFrameOrNoneHasNoRate) {
  SteppableClock clock(1);
  FrameRate frames;
  EXPECT_EQ(frames.PerSecond(), 0);
  frames.Tick(clock);
  clock.Step(kMs);
  EXPECT_EQ(frames.PerSecond(), 0);
}

TEST(FrameRateTest, ALongRunIsMeasuredToTheEndThoughFewTimesAreTaken) {
  SteppableClock clock(1);
  FrameRate frames;
  for (int i = 0; i < 6400; ++i, clock.Step(i < 3200 ? 10 * kMs : 30 * kMs)) frames.Tick(clock);
  EXPECT_NEAR(frames.PerSecond(), 50, 0.5);
}

}  // namespace
}  // namespace sluice::scheduler
