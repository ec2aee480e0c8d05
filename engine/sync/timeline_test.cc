#include "engine/sync/timeline.h"

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>

#include "engine/base/clock.h"

namespace sluice::sync {
namespace {

struct CountingWaiter : FenceWaiter {
  CountingWaiter() : FenceWaiter(&Told) {}
  static void Told(FenceWaiter* waiter, FenceState state) {
    auto* self = static_cast<CountingWaiter*>(waiter);
    self->state = state;
    self->told.fetch_add(1);
  }
  FenceState state = FenceState::kPromised;
  std::atomic<int> told{0};
};

MonotonicNs Soon() { return Clock::Real().Now() + 1'000'000; }
MonotonicNs Far() { return Clock::Real().Now() + 60'000'000'000; }

TEST(TimelineTest, PointsGoFromPromisedOverSubmittedToSignalled) {
  Timeline timeline("camera");
  EXPECT_EQ(timeline.State(1), FenceState::kPromised);
  timeline.Submitted(2);
  EXPECT_EQ(timeline.State(1), FenceState::kSubmitted);
  EXPECT_EQ(timeline.State(2), FenceState::kSubmitted);
  EXPECT_EQ(timeline.State(3), FenceState::kPromised);
  timeline.Signal(1);
  EXPECT_EQ(timeline.State(1), FenceState::kSignalled);
  EXPECT_EQ(timeline.State(2), FenceState::kSubmitted);
  EXPECT_EQ(timeline.completed(), 1u);
}

TEST(TimelineTest, PointZeroHasAlwaysPassed) {
  Timeline timeline("camera");
  EXPECT_EQ(timeline.State(0), FenceState::kSignalled);
}

TEST(TimelineTest, NeverGoesBack) {
  Timeline timeline("camera");
  timeline.Submitted(9);
  timeline.Submitted(3);
  EXPECT_EQ(timeline.State(9), FenceState::kSubmitted);
  timeline.Signal(5);
  timeline.Signal(4);
  EXPECT_EQ(timeline.completed(), 5u);
}

TEST(TimelineTest, SignalsAPointThatNobodySubmitted) {
  Timeline timeline("camera");
  timeline.Signal(7);
  EXPECT_EQ(timeline.State(7), FenceState::kSignalled);
  EXPECT_EQ(timeline.State(8), FenceState::kPromised);
}

TEST(TimelineTest, FailedPointPassesWithTheSignalThatReachesIt) {
  Timeline timeline("gpu");
  timeline.Submitted(3);
  timeline.Fail(2, Code::kDeviceLost);
  EXPECT_EQ(timeline.State(2), FenceState::kSubmitted);
  timeline.Signal(3);
  EXPECT_EQ(timeline.State(1), FenceState::kSignalled);
  EXPECT_EQ(timeline.State(2), FenceState::kFailed);
  EXPECT_EQ(timeline.State(3), FenceState::kSignalled);
  EXPECT_EQ(timeline.ErrorOf(2), Code::kDeviceLost);
  EXPECT_EQ(timeline.ErrorOf(3), Code::kInternal);
}

TEST(TimelineTest, PointThatHasPassedCannotFail) {
  Timeline timeline("gpu");
  timeline.Signal(2);
  timeline.Fail(2, Code::kDeviceLost);
  EXPECT_EQ(timeline.State(2), FenceState::kSignalled);
}

TEST(TimelineTest, FirstErrorOfAPointStays) {
  Timeline timeline("gpu");
  timeline.Fail(1, Code::kIo);
  timeline.Fail(1, Code::kCancelled);
  timeline.Signal(1);
  EXPECT_EQ(timeline.ErrorOf(1), Code::kIo);
}

TEST(TimelineTest, TellsEachWaiterOnceAndOnlyWhenItsPointPassed) {
  Timeline timeline("gpu");
  CountingWaiter first, second, failed;
  FenceState state;
  ASSERT_TRUE(timeline.Subscribe(1, &first, &state));
  ASSERT_TRUE(timeline.Subscribe(2, &failed, &state));
  ASSERT_TRUE(timeline.Subscribe(3, &second, &state));
  timeline.Fail(2, Code::kTimeout);
  timeline.Signal(2);
  EXPECT_EQ(first.told, 1);
  EXPECT_EQ(first.state, FenceState::kSignalled);
  EXPECT_EQ(failed.told, 1);
  EXPECT_EQ(failed.state, FenceState::kFailed);
  EXPECT_EQ(second.told, 0);
  timeline.Signal(2);
  timeline.Signal(10);
  EXPECT_EQ(first.told, 1);
  EXPECT_EQ(second.told, 1);
}

TEST(TimelineTest, SubscribingToAPassedPointAnswersAtOnce) {
  Timeline timeline("gpu");
  timeline.Fail(1, Code::kIo);
  timeline.Signal(2);
  CountingWaiter waiter;
  FenceState state = FenceState::kPromised;
  EXPECT_FALSE(timeline.Subscribe(1, &waiter, &state));
  EXPECT_EQ(state, FenceState::kFailed);
  EXPECT_FALSE(timeline.Subscribe(2, &waiter, &state));
  EXPECT_EQ(state, FenceState::kSignalled);
  EXPECT_EQ(waiter.told, 0);
}

TEST(TimelineTest, UnsubscribedWaiterIsNotTold) {
  Timeline timeline("gpu");
  CountingWaiter kept, dropped;
  FenceState state;
  ASSERT_TRUE(timeline.Subscribe(1, &kept, &state));
  ASSERT_TRUE(timeline.Subscribe(1, &dropped, &state));
  EXPECT_TRUE(timeline.Unsubscribe(&dropped));
  EXPECT_FALSE(timeline.Unsubscribe(&dropped));
  timeline.Signal(1);
  EXPECT_EQ(kept.told, 1);
  EXPECT_EQ(dropped.told, 0);
  EXPECT_FALSE(timeline.Unsubscribe(&kept));
}

TEST(TimelineTest, CallbackMaySubscribeAgainAndEndItself) {
  struct Again : FenceWaiter {
    Again() : FenceWaiter(&Told) {}
    static void Told(FenceWaiter* waiter, FenceState) {
      std::unique_ptr<Again> self(static_cast<Again*>(waiter));
      ++*self->times;
      FenceState state;
      // Subscribed again or gone for good.
      if (*self->times < 3 && self->timeline->Subscribe(10u * *self->times, self.get(), &state)) {
        self.release();
      }
    }
    Timeline* timeline = nullptr;
    int* times = nullptr;
  };
  Timeline timeline("gpu");
  int times = 0;
  auto* waiter = new Again;
  waiter->timeline = &timeline;
  waiter->times = &times;
  FenceState state;
  ASSERT_TRUE(timeline.Subscribe(1, waiter, &state));
  for (uint64_t point = 1; point <= 20; ++point) timeline.Signal(point);
  EXPECT_EQ(times, 3);
}

TEST(TimelineTest, UnsubscribeRacingWithSignalIsEitherToldOrWithdrawn) {
  constexpr int kRounds = 2000;
  auto timeline = MakeRef<Timeline>("gpu");
  std::vector<CountingWaiter> waiters(kRounds);
  std::atomic<int> subscribed{0};
  std::thread signaller([&] {
    for (int round = 1; round <= kRounds; ++round) {
      while (subscribed.load() < round) std::this_thread::yield();
      timeline->Signal(static_cast<uint64_t>(round));
    }
  });
  int withdrawn = 0;
  std::vector<bool> out(kRounds);
  for (int round = 0; round < kRounds; ++round) {
    FenceState state;
    ASSERT_TRUE(timeline->Subscribe(static_cast<uint64_t>(round) + 1, &waiters[round], &state));
    subscribed.store(round + 1);
    out[round] = timeline->Unsubscribe(&waiters[round]);
    withdrawn += out[round];
  }
  signaller.join();
  for (int round = 0; round < kRounds; ++round) {
    ASSERT_EQ(waiters[round].told, out[round] ? 0 : 1) << "round " << round;
  }
  RecordProperty("withdrawn", withdrawn);
}

TEST(TimelineTest, ManySignallersTellEveryWaiterOnce) {
  auto timeline = MakeRef<Timeline>("gpu");
  constexpr uint64_t kPoints = 3000;
  std::vector<CountingWaiter> waiters(kPoints);
  std::atomic<int> at_once{0};
  auto signal = [&](uint64_t first) {
    for (uint64_t point = first; point <= kPoints; point += 2) timeline->Signal(point);
  };
  std::thread odd(signal, 1), even(signal, 2);
  for (uint64_t i = 0; i < kPoints; ++i) {
    FenceState state;
    if (!timeline->Subscribe(i + 1, &waiters[i], &state)) {
      EXPECT_EQ(state, FenceState::kSignalled);
      waiters[i].told = 1;
      ++at_once;
    }
  }
  odd.join();
  even.join();
  for (auto& waiter : waiters) ASSERT_EQ(waiter.told, 1);
}

TEST(TimelineTest, SelfIsGivenOnlyToItsOwnBackend) {
  TimelineBackend mine, other;
  int self = 0;
  Timeline timeline("gpu", &mine, &self);
  EXPECT_EQ(timeline.SelfFor(&mine), &self);
  EXPECT_EQ(timeline.SelfFor(&other), nullptr);
}

TEST(TimelineTest, HasNoSyncFileWithoutABackend) {
  Timeline timeline("host");
  timeline.Submitted(1);
  auto fd = timeline.ToSyncFile(1);
  ASSERT_FALSE(fd);
  EXPECT_EQ(fd.error().code, Code::kUnsupported);
  EXPECT_NE(fd.error().message.find("host"), std::string::npos);
}

TEST(TimelineTest, GivesNoSyncFileForAPromise) {
  TimelineBackend backend;
  backend.to_sync_file = [](void*, uint64_t) -> Result<UniqueFd> {
    return UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC));
  };
  Timeline timeline("gpu", &backend);
  timeline.Submitted(1);
  EXPECT_TRUE(timeline.ToSyncFile(1));
  auto fd = timeline.ToSyncFile(2);
  ASSERT_FALSE(fd);
  EXPECT_EQ(fd.error().code, Code::kNotSubmitted);
}

TEST(TimelineTest, TellsTheBackendWhenItDies) {
  TimelineBackend backend;
  backend.destroy = [](void* self) { ++*static_cast<int*>(self); };
  int destroyed = 0;
  Fence fence{MakeRef<Timeline>("gpu", &backend, &destroyed), 1};
  Fence copy = fence;
  fence = {};
  EXPECT_EQ(destroyed, 0);
  copy = {};
  EXPECT_EQ(destroyed, 1);
}

/// A device that tells nobody: it counts how often it is asked.
struct SilentDevice {
  SilentDevice() {
    backend.refresh = [](void* self) {
      auto* device = static_cast<SilentDevice*>(self);
      ++device->asked;
      device->timeline->Submitted(device->submitted);
      device->timeline->Signal(device->done);
    };
    backend.arm = [](void* self, uint64_t point) {
      static_cast<SilentDevice*>(self)->armed.push_back(point);
    };
    backend.to_sync_file = [](void*, uint64_t) -> Result<UniqueFd> { return UniqueFd(); };
    timeline = MakeRef<Timeline>("silent", &backend, this);
  }
  TimelineBackend backend;
  uint64_t submitted = 0;
  uint64_t done = 0;
  int asked = 0;
  std::vector<uint64_t> armed;
  RefPtr<Timeline> timeline;
};

TEST(TimelineTest, DeviceThatTellsNobodyIsAskedBeforeSomebodyWaits) {
  SilentDevice device;
  device.done = 3;
  CountingWaiter waiter;
  FenceState state;
  EXPECT_EQ(device.timeline->State(3), FenceState::kPromised) << "looking asks nobody";
  EXPECT_FALSE(device.timeline->Subscribe(3, &waiter, &state));
  EXPECT_EQ(state, FenceState::kSignalled);
  EXPECT_TRUE(device.armed.empty());
}

TEST(TimelineTest, DeviceIsArmedForThePointThatSomebodyWaitsFor) {
  SilentDevice device;
  CountingWaiter waiter;
  FenceState state;
  EXPECT_TRUE(device.timeline->Subscribe(2, &waiter, &state));
  EXPECT_EQ(device.armed, std::vector<uint64_t>{2});
  device.done = 2;
  device.timeline->Refresh();
  EXPECT_EQ(waiter.told, 1);
}

TEST(TimelineTest, DeviceIsAskedBeforeAPointCountsAsAPromise) {
  SilentDevice device;
  EXPECT_EQ(device.timeline->ToSyncFile(1).error().code, Code::kNotSubmitted);
  device.submitted = 1;
  EXPECT_TRUE(device.timeline->ToSyncFile(1));
}

TEST(TimelineTest, FirstCauseOfAFailureIsKept) {
  Timeline timeline("gpu");
  timeline.Fail(5, Code::kIo);
  timeline.Fail(2, Code::kTimeout);
  timeline.Fail(5, Code::kDeviceLost);
  timeline.Signal(9);
  EXPECT_EQ(timeline.ErrorOf(2), Code::kTimeout);
  EXPECT_EQ(timeline.ErrorOf(5), Code::kIo);
  EXPECT_EQ(timeline.State(3), FenceState::kSignalled);
}

TEST(TimelineDeathTest, DiesWithAWaiterThatNobodyWillTell) {
  EXPECT_DEATH(
      {
        CountingWaiter waiter;
        Timeline timeline("gpu");
        FenceState state;
        timeline.Subscribe(1, &waiter, &state);
      },
      "waiters_");
}

TEST(FenceTest, EmptyFenceHasPassed) {
  Fence fence;
  EXPECT_TRUE(fence.Passed());
  EXPECT_TRUE(WaitBlocking(fence, 0));
}

TEST(FenceSetTest, SaysTheLeastAdvancedState) {
  auto gpu = MakeRef<Timeline>("gpu");
  auto camera = MakeRef<Timeline>("camera");
  FenceSet set;
  EXPECT_EQ(set.State(), FenceState::kSignalled);
  gpu->Submitted(1);
  set.Add({gpu, 1});
  EXPECT_EQ(set.State(), FenceState::kSubmitted);
  set.Add({camera, 1});
  EXPECT_EQ(set.State(), FenceState::kPromised);
  camera->Fail(1, Code::kIo);
  camera->Signal(1);
  EXPECT_EQ(set.State(), FenceState::kSubmitted) << "a failure shows when all have passed";
  gpu->Signal(1);
  EXPECT_EQ(set.State(), FenceState::kFailed);
}

TEST(FenceSetTest, DropsWhatHasSignalledAndWhatItHas) {
  auto gpu = MakeRef<Timeline>("gpu");
  gpu->Signal(1);
  FenceSet set;
  set.Add({});
  set.Add({gpu, 1});
  EXPECT_TRUE(set.empty());
  set.Add({gpu, 2});
  set.Add({gpu, 2});
  EXPECT_EQ(set.fences().size(), 1u);
}

TEST(FenceSetTest, EarlierPointOfTheSameTimelineMayStillFail) {
  auto gpu = MakeRef<Timeline>("gpu");
  FenceSet set;
  set.Add({gpu, 2});
  set.Add({gpu, 3});
  set.Add({gpu, 1});
  gpu->Fail(2, Code::kDeviceLost);
  gpu->Signal(3);
  EXPECT_EQ(set.State(), FenceState::kFailed);
}

TEST(FenceSetTest, KeepsAFenceThatFailedBefore) {
  auto gpu = MakeRef<Timeline>("gpu");
  gpu->Fail(1, Code::kDeviceLost);
  gpu->Signal(1);
  FenceSet set;
  set.Add({gpu, 1});
  EXPECT_EQ(set.State(), FenceState::kFailed);
  set.Clear();
  EXPECT_EQ(set.State(), FenceState::kSignalled);
}

TEST(WaitBlockingTest, NamesWhoIsLate) {
  Fence fence{MakeRef<Timeline>("display 'HDMI-A-1'"), 4};
  fence.timeline->Signal(2);
  auto status = WaitBlocking(fence, Soon());
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kTimeout);
  EXPECT_EQ(status.error().message, "display 'HDMI-A-1' has not signalled point 4 (it is at 2)");
  fence.timeline->Signal(4);  // and nobody is told any more
}

TEST(WaitBlockingTest, DeadlineInThePastOnlyLooks) {
  Fence fence{MakeRef<Timeline>("gpu"), 1};
  EXPECT_FALSE(WaitBlocking(fence, 0));
  fence.timeline->Signal(1);
  EXPECT_TRUE(WaitBlocking(fence, 0));
}

TEST(WaitBlockingTest, ReportsTheErrorOfTheFence) {
  Fence fence{MakeRef<Timeline>("gpu"), 1};
  fence.timeline->Fail(1, Code::kDeviceLost);
  fence.timeline->Signal(1);
  auto status = WaitBlocking(fence, Far());
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kDeviceLost);
  EXPECT_NE(status.error().message.find("gpu"), std::string::npos);
}

TEST(WaitBlockingTest, WakesWhenAnotherThreadSignals) {
  auto timeline = MakeRef<Timeline>("gpu");
  for (uint64_t point = 1; point <= 200; ++point) {
    bool fails = point % 3 == 0;
    std::thread signaller([&] {
      if (fails) timeline->Fail(point, Code::kIo);
      timeline->Signal(point);
    });
    auto status = WaitBlocking({timeline, point}, Far());
    signaller.join();
    ASSERT_EQ(status.has_value(), !fails);
  }
}

TEST(WaitBlockingTest, DeadlineRacingWithTheSignalLeavesNoWaiterBehind) {
  auto timeline = MakeRef<Timeline>("gpu");
  for (uint64_t point = 1; point <= 300; ++point) {
    std::thread signaller([&] { timeline->Signal(point); });
    auto status = WaitBlocking({timeline, point}, Clock::Real().Now() + 20'000);
    if (!status) {
      EXPECT_EQ(status.error().code, Code::kTimeout);
    }
    signaller.join();
  }
  EXPECT_EQ(timeline->completed(), 300u);
}

TEST(WaitBlockingTest, WaitsWithoutADeadline) {
  auto timeline = MakeRef<Timeline>("gpu");
  std::thread signaller([&] { timeline->Signal(1); });
  EXPECT_TRUE(WaitBlocking({timeline, 1}, kNoDeadline));
  signaller.join();
}

}  // namespace
}  // namespace sluice::sync
