#include "engine/scheduler/stats.h"

#include <gtest/gtest.h>

namespace sluice::scheduler {
namespace {

constexpr MonotonicNs kMs = 1'000'000;

TEST(FrameCounterTest, ARateBeginsWithTheFirstFrameAndEndsWithTheLast) {
  SteppableClock clock(1);
  FrameCounter frames;
  clock.Step(5'000 * kMs);  // the start of a run
  for (int i = 0; i < 5; ++i) {
    frames.Add(1, clock);
    if (i < 4) clock.Step(40 * kMs);
  }
  clock.Step(5'000 * kMs);  // its end
  EXPECT_EQ(frames.value(), 5u);
  EXPECT_DOUBLE_EQ(frames.PerSecond(), 25);
}

TEST(FrameCounterTest, OneFrameOrNoneHasNoRate) {
  SteppableClock clock(1);
  FrameCounter frames;
  EXPECT_EQ(frames.PerSecond(), 0);
  frames.Add(1, clock);
  clock.Step(kMs);
  EXPECT_EQ(frames.PerSecond(), 0);
}

TEST(FrameCounterTest, FramesThatComeAtOnceAreWeighedTogether) {
  SteppableClock clock(1);
  FrameCounter frames;
  for (int i = 0; i < 3; ++i, clock.Step(40 * kMs)) frames.Add(2, clock);
  EXPECT_DOUBLE_EQ(frames.PerSecond(), 50);
}

TEST(FrameCounterTest, ALongRunIsMeasuredToTheEndThoughFewTimesAreTaken) {
  SteppableClock clock(1);
  FrameCounter frames;
  for (int i = 0; i < 6400; ++i, clock.Step(i < 3200 ? 10 * kMs : 30 * kMs)) frames.Add(1, clock);
  EXPECT_NEAR(frames.PerSecond(), 50, 0.1);
}

}  // namespace
}  // namespace sluice::scheduler
