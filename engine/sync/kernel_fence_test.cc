// Fences of a real kernel: sw_sync makes them, udmabuf and a DRM device take them. What this
// machine lacks is skipped with the reason; tests/vm runs all of it in a guest.

#include <dirent.h>
#include <fcntl.h>
#include <libdrm/drm.h>
#include <linux/udmabuf.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <string>

#include <gtest/gtest.h>

#include "engine/base/clock.h"
#include "engine/sync/dmabuf_fence.h"
#include "engine/sync/sync_file.h"
#include "engine/sync/syncobj.h"
#include "engine/sync/testing/manual_waiter.h"

namespace sluice::sync {
namespace {

constexpr int kFarMs = 20'000;

size_t OpenFds() {
  size_t count = 0;
  DIR* dir = opendir("/proc/self/fd");
  while (readdir(dir) != nullptr) ++count;
  closedir(dir);
  return count;
}

bool Readable(int fd) {
  pollfd look{fd, POLLIN, 0};
  return poll(&look, 1, 0) == 1;
}

/// A timeline of fences that the test signals. drivers/dma-buf/sw_sync.c; the
/// kernel has no header of it for programs.
class SwSync {
 public:
  static constexpr char kPath[] = "/sys/kernel/debug/sync/sw_sync";
  SwSync() : timeline_(open(kPath, O_RDWR | O_CLOEXEC)) {}
  bool valid() const { return timeline_.valid(); }
  UniqueFd Fence(uint32_t value) {
    struct {
      uint32_t value;
      char name[32];
      int32_t fence;
    } request{value, "kernel_fence_test", -1};
    EXPECT_EQ(ioctl(timeline_.get(), _IOWR('W', 0, decltype(request)), &request), 0);
    return UniqueFd(request.fence);
  }
  void Advance(uint32_t steps = 1) {
    EXPECT_EQ(ioctl(timeline_.get(), _IOW('W', 1, uint32_t), &steps), 0);
  }
  /// What is pending fails (ENOENT): as a driver that goes away.
  void End() { timeline_.Reset(); }

 private:
  UniqueFd timeline_;
};

struct Told : FenceWaiter {
  Told() : FenceWaiter(&Tell) {}
  static void Tell(FenceWaiter* waiter, FenceState s) {
    auto* self = static_cast<Told*>(waiter);
    self->state = s;
    ++self->count;
  }
  FenceState state = FenceState::kPromised;
  int count = 0;
};

class KernelFenceTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!SwSync().valid()) GTEST_SKIP() << SwSync::kPath << ": " << strerror(errno);
  }
  Fence Import(UniqueFd fd, std::string signaller = "display") {
    auto fence = ImportSyncFile(std::move(fd), std::move(signaller), waiter_);
    EXPECT_TRUE(fence) << fence.error().ToString();
    return fence.value_or(Fence{});
  }
  std::shared_ptr<ManualWaiter> waiter_ = std::make_shared<ManualWaiter>();
};

// --- sync_file ----------------------------------------------------------------------------------

TEST_F(KernelFenceTest, PendingSyncFilePassesWhenTheKernelSignals) {
  SwSync device;
  Fence fence = Import(device.Fence(1));
  EXPECT_EQ(fence.State(), FenceState::kSubmitted);
  Told told;
  FenceState state;
  ASSERT_TRUE(fence.timeline->Subscribe(1, &told, &state));
  EXPECT_EQ(waiter_->Run(), 0u);
  device.Advance();
  EXPECT_EQ(waiter_->Run(kFarMs), 1u);
  EXPECT_EQ(told.state, FenceState::kSignalled);
}

TEST_F(KernelFenceTest, SignalledSyncFileHasPassedAtOnce) {
  SwSync device;
  UniqueFd fd = device.Fence(1);
  device.Advance();
  EXPECT_EQ(Import(std::move(fd)).State(), FenceState::kSignalled);
  EXPECT_EQ(waiter_->waiting(), 0u);
}

TEST_F(KernelFenceTest, QueryNamesTheDriver) {
  SwSync device;
  UniqueFd fd = device.Fence(1);
  auto state = QuerySyncFile(fd.get());
  ASSERT_TRUE(state);
  EXPECT_EQ(state->driver, "sw_sync");
}

TEST_F(KernelFenceTest, DriverThatGoesAwayFailsItsFence) {
  SwSync device;
  Fence fence = Import(device.Fence(1));
  Told told;
  FenceState state;
  ASSERT_TRUE(fence.timeline->Subscribe(1, &told, &state));
  device.End();
  EXPECT_EQ(waiter_->Run(kFarMs), 1u);
  EXPECT_EQ(told.state, FenceState::kFailed);
  EXPECT_EQ(fence.timeline->ErrorOf(1), Code::kDeviceLost);
}

TEST_F(KernelFenceTest, FenceThatNeverSignalsEndsInAVerdictThatNamesTheSignaller) {
  SwSync device;
  Fence fence = Import(device.Fence(1), "display 'Virtual-1'");
  auto status = WaitBlocking(fence, Clock::Real().Now() + 5'000'000);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kTimeout);
  EXPECT_NE(status.error().message.find("display 'Virtual-1'"), std::string::npos);
}

TEST_F(KernelFenceTest, MergedSyncFilePassesWithItsLast) {
  SwSync a, b;
  const Fence fences[] = {Import(a.Fence(1)), Import(b.Fence(1)), Import(a.Fence(2))};
  auto all = ToOneSyncFile(fences, "frame");
  ASSERT_TRUE(all) << all.error().ToString();
  auto state = QuerySyncFile(all->get());
  ASSERT_TRUE(state) << state.error().ToString();
  EXPECT_EQ(state->state, FenceState::kSubmitted);
  a.Advance(2);
  EXPECT_FALSE(Readable(all->get()));
  b.Advance();
  EXPECT_TRUE(Readable(all->get()));
  EXPECT_EQ(QuerySyncFile(all->get())->state, FenceState::kSignalled);
}

TEST_F(KernelFenceTest, MergedSyncFileCarriesAnErrorOfAnyMember) {
  SwSync a, b;
  const Fence fences[] = {Import(a.Fence(1)), Import(b.Fence(1))};
  auto all = ToOneSyncFile(fences, "frame");
  ASSERT_TRUE(all);
  a.End();
  EXPECT_EQ(QuerySyncFile(all->get())->state, FenceState::kSubmitted) << "not all have passed";
  b.Advance();
  EXPECT_EQ(QuerySyncFile(all->get())->state, FenceState::kFailed);
  EXPECT_EQ(QuerySyncFile(all->get())->error, Code::kDeviceLost);
}

TEST_F(KernelFenceTest, FailedMemberIsNotLostInAMerge) {
  SwSync a, b;
  const Fence fences[] = {Import(a.Fence(1)), Import(b.Fence(1), "gpu")};
  b.End();  // nobody has subscribed, so the timeline has not heard of it
  auto all = ToOneSyncFile(fences, "frame");
  ASSERT_FALSE(all) << "the kernel drops fences that have passed, and their errors";
  EXPECT_EQ(all.error().code, Code::kDeviceLost);
  EXPECT_NE(all.error().message.find("gpu"), std::string::npos);
}

TEST_F(KernelFenceTest, MergeRefusesWhatIsNoSyncFile) {
  SwSync device;
  std::vector<UniqueFd> fds;
  fds.push_back(device.Fence(1));
  fds.emplace_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
  auto merged = MergeSyncFiles(std::move(fds), "frame");
  ASSERT_FALSE(merged);
  EXPECT_EQ(merged.error().code, Code::kInvalidArgument);
}

TEST_F(KernelFenceTest, ThousandFencesLeaveNoFd) {
  SwSync device;
  const size_t fds = OpenFds();
  for (uint32_t i = 1; i <= 1000; ++i) {
    Fence fence = Import(device.Fence(i));
    Told told;
    FenceState state;
    ASSERT_TRUE(fence.timeline->Subscribe(1, &told, &state));
    device.Advance();
    ASSERT_EQ(waiter_->Run(kFarMs), 1u);
    ASSERT_EQ(told.count, 1);
  }
  EXPECT_EQ(OpenFds(), fds);
}

// --- the implicit fences of a dma-buf -------------------------------------------------------------

class DmabufFenceTest : public KernelFenceTest {
 protected:
  void SetUp() override {
    KernelFenceTest::SetUp();
    if (IsSkipped()) return;
    UniqueFd device(open("/dev/udmabuf", O_RDWR | O_CLOEXEC));
    if (!device.valid()) GTEST_SKIP() << "/dev/udmabuf: " << strerror(errno);
    UniqueFd memory(memfd_create("kernel_fence_test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    ASSERT_EQ(ftruncate(memory.get(), 4096), 0);
    ASSERT_EQ(fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK), 0);
    udmabuf_create request{};
    request.memfd = static_cast<uint32_t>(memory.get());
    request.flags = UDMABUF_FLAGS_CLOEXEC;
    request.size = 4096;
    dmabuf_.Reset(ioctl(device.get(), UDMABUF_CREATE, &request));
    ASSERT_TRUE(dmabuf_.valid());
  }
  UniqueFd Export(uint32_t access) {
    auto fd = ExportSyncFile(dmabuf_.get(), access);
    EXPECT_TRUE(fd) << fd.error().ToString();
    return fd ? std::move(*fd) : UniqueFd();
  }
  UniqueFd dmabuf_;
};

TEST_F(DmabufFenceTest, IdleBufferHasNothingToWaitFor) {
  EXPECT_FALSE(Export(kDmabufRead).valid());
  EXPECT_FALSE(Export(kDmabufWrite).valid());
}

TEST_F(DmabufFenceTest, EverybodyWaitsForAWriter) {
  SwSync device;
  ASSERT_TRUE(ImportSyncFile(dmabuf_.get(), kDmabufWrite, device.Fence(1).get()));
  UniqueFd reader = Export(kDmabufRead), writer = Export(kDmabufWrite);
  ASSERT_TRUE(reader.valid() && writer.valid());
  EXPECT_FALSE(Readable(reader.get()) || Readable(writer.get()));
  device.Advance();
  EXPECT_TRUE(Readable(reader.get()) && Readable(writer.get()));
  EXPECT_FALSE(Export(kDmabufWrite).valid());
}

TEST_F(DmabufFenceTest, OnlyWritersWaitForAReader) {
  SwSync device;
  ASSERT_TRUE(ImportSyncFile(dmabuf_.get(), kDmabufRead, device.Fence(1).get()));
  EXPECT_FALSE(Export(kDmabufRead).valid());
  UniqueFd writer = Export(kDmabufWrite);
  ASSERT_TRUE(writer.valid());
  EXPECT_FALSE(Readable(writer.get()));
  device.Advance();
  EXPECT_TRUE(Readable(writer.get()));
}

TEST_F(DmabufFenceTest, ExportIsASnapshot) {
  SwSync first, later;
  ASSERT_TRUE(ImportSyncFile(dmabuf_.get(), kDmabufWrite, first.Fence(1).get()));
  UniqueFd snapshot = Export(kDmabufWrite);
  ASSERT_TRUE(ImportSyncFile(dmabuf_.get(), kDmabufWrite, later.Fence(1).get()));
  first.Advance();
  EXPECT_TRUE(Readable(snapshot.get()));
  EXPECT_TRUE(Export(kDmabufWrite).valid());
}

TEST_F(DmabufFenceTest, ExportedFenceBecomesATimeline) {
  SwSync device;
  ASSERT_TRUE(ImportSyncFile(dmabuf_.get(), kDmabufWrite, device.Fence(1).get()));
  Fence fence = Import(Export(kDmabufRead), "camera");
  Told told;
  FenceState state;
  ASSERT_TRUE(fence.timeline->Subscribe(1, &told, &state));
  device.Advance();
  EXPECT_EQ(waiter_->Run(kFarMs), 1u);
  EXPECT_EQ(told.state, FenceState::kSignalled);
}

TEST_F(DmabufFenceTest, RefusesWhatIsNoDmaBufOrNoFence) {
  SwSync device;
  UniqueFd memory(memfd_create("plain", MFD_CLOEXEC));
  EXPECT_EQ(ExportSyncFile(memory.get(), kDmabufRead).error().code, Code::kUnsupported);
  EXPECT_EQ(ImportSyncFile(memory.get(), kDmabufRead, device.Fence(1).get()).error().code,
            Code::kUnsupported);
  EXPECT_EQ(ExportSyncFile(dmabuf_.get(), 0).error().code, Code::kInvalidArgument);
  EXPECT_EQ(ImportSyncFile(dmabuf_.get(), kDmabufRead, memory.get()).error().code,
            Code::kInvalidArgument);
}

// --- syncobj --------------------------------------------------------------------------------------

class SyncobjTest : public KernelFenceTest {
 protected:
  void SetUp() override {
    KernelFenceTest::SetUp();
    if (IsSkipped()) return;
    for (const char* kind : {"renderD", "card"}) {
      for (int i = 0; i < 256 && !drm_.valid(); ++i) {
        const std::string path = std::string("/dev/dri/") + kind + std::to_string(i);
        UniqueFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
        drm_get_cap cap{DRM_CAP_SYNCOBJ_TIMELINE, 0};
        if (fd.valid() && ioctl(fd.get(), DRM_IOCTL_GET_CAP, &cap) == 0 && cap.value != 0) {
          drm_ = std::move(fd);
        }
      }
    }
    if (!drm_.valid()) GTEST_SKIP() << "no DRM device with timeline syncobjs";
    drm_syncobj_create create{};
    ASSERT_EQ(ioctl(drm_.get(), DRM_IOCTL_SYNCOBJ_CREATE, &create), 0);
    drm_syncobj_handle handle{};
    handle.handle = create.handle;
    ASSERT_EQ(ioctl(drm_.get(), DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &handle), 0);
    syncobj_.Reset(handle.fd);
    timeline_ = ImportObject();
  }
  RefPtr<Timeline> ImportObject() {
    auto timeline = ImportSyncobj("wayland peer", drm_.get(), syncobj_.get(), waiter_);
    EXPECT_TRUE(timeline) << timeline.error().ToString();
    return timeline.value_or(nullptr);
  }
  UniqueFd drm_;
  UniqueFd syncobj_;
  RefPtr<Timeline> timeline_;
};

TEST_F(SyncobjTest, PointsAreThoseOfTheSyncobj) {
  EXPECT_EQ(timeline_->State(1), FenceState::kPromised);
  ASSERT_TRUE(SignalSyncobj(*timeline_, 3));
  EXPECT_EQ(timeline_->State(3), FenceState::kSignalled);
  EXPECT_EQ(timeline_->State(4), FenceState::kPromised);
  RefPtr<Timeline> other = ImportObject();
  EXPECT_EQ(other->completed(), 3u) << "another importer sees the same";
}

TEST_F(SyncobjTest, PromiseHasNoSyncFileAndASubmittedPointHas) {
  EXPECT_EQ(timeline_->ToSyncFile(2).error().code, Code::kNotSubmitted);
  SwSync device;
  ASSERT_TRUE(AttachSyncobj(*timeline_, 2, device.Fence(1).get()));
  EXPECT_EQ(timeline_->State(2), FenceState::kSubmitted);
  auto fd = timeline_->ToSyncFile(2);
  ASSERT_TRUE(fd) << fd.error().ToString();
  EXPECT_FALSE(Readable(fd->get()));
  device.Advance();
  EXPECT_TRUE(Readable(fd->get()));
  EXPECT_TRUE(timeline_->ToSyncFile(2)) << "also when it has passed";
}

TEST_F(SyncobjTest, SubscriberOfAPromiseIsToldWhenItHasCome) {
  Told told;
  FenceState state;
  ASSERT_TRUE(timeline_->Subscribe(5, &told, &state));
  EXPECT_EQ(waiter_->Run(), 0u);
  SwSync device;
  ASSERT_TRUE(AttachSyncobj(*timeline_, 5, device.Fence(1).get()));
  EXPECT_EQ(waiter_->Run(), 0u) << "submitted is not signalled";
  device.Advance();
  EXPECT_EQ(waiter_->Run(kFarMs), 1u);
  EXPECT_EQ(told.state, FenceState::kSignalled);
  EXPECT_EQ(timeline_->completed(), 5u);
}

// By whoever knows that its signaller is gone.
TEST_F(SyncobjTest, APromiseThatIsGivenUpIsNoLongerWaitedFor) {
  Told told;
  FenceState state;
  ASSERT_TRUE(timeline_->Subscribe(5, &told, &state));
  ASSERT_EQ(waiter_->waiting(), 1u);
  timeline_->Fail(5, Code::kDeviceLost);
  timeline_->Signal(5);
  EXPECT_EQ(told.count, 1);
  EXPECT_EQ(told.state, FenceState::kFailed);
  EXPECT_EQ(waiter_->Run(), 1u);
  EXPECT_EQ(waiter_->waiting(), 0u);
  EXPECT_EQ(ImportObject()->State(5), FenceState::kPromised) << "others go on waiting";
}

TEST_F(SyncobjTest, SignalFromAnotherProcessIsHeard) {
  RefPtr<Timeline> peer = ImportObject();
  Told told;
  FenceState state;
  ASSERT_TRUE(timeline_->Subscribe(1, &told, &state));
  ASSERT_TRUE(SignalSyncobj(*peer, 1));
  EXPECT_EQ(told.count, 0);
  EXPECT_EQ(waiter_->Run(kFarMs), 1u);
  EXPECT_EQ(told.count, 1);
}

TEST_F(SyncobjTest, PointsPassInOrderWhateverTheirFencesDo) {
  SwSync a, b;
  ASSERT_TRUE(AttachSyncobj(*timeline_, 1, a.Fence(1).get()));
  ASSERT_TRUE(AttachSyncobj(*timeline_, 2, b.Fence(1).get()));
  Told first, second, again;
  FenceState state;
  ASSERT_TRUE(timeline_->Subscribe(2, &second, &state));
  ASSERT_TRUE(timeline_->Subscribe(1, &first, &state));
  ASSERT_TRUE(timeline_->Subscribe(2, &again, &state));
  EXPECT_EQ(waiter_->waiting(), 2u) << "one wait for each point";
  b.Advance();
  EXPECT_EQ(waiter_->Run(), 0u);
  timeline_->Refresh();
  EXPECT_EQ(timeline_->completed(), 0u);
  a.Advance();
  while (waiter_->waiting() != 0) ASSERT_GT(waiter_->Run(kFarMs), 0u);
  EXPECT_EQ(first.count + second.count + again.count, 3);
  EXPECT_EQ(timeline_->completed(), 2u);
}

TEST_F(SyncobjTest, PointsOnlyGoForward) {
  ASSERT_TRUE(SignalSyncobj(*timeline_, 5));
  auto back = SignalSyncobj(*timeline_, 5);
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().code, Code::kInvalidArgument);
  EXPECT_NE(back.error().message.find("point 5 of wayland peer"), std::string::npos);
  SwSync device;
  EXPECT_EQ(AttachSyncobj(*timeline_, 4, device.Fence(1).get()).error().code,
            Code::kInvalidArgument);
}

TEST_F(SyncobjTest, WaiterThatEndsFailsAllThatWereWaitedFor) {
  Told early, late;
  FenceState state;
  ASSERT_TRUE(timeline_->Subscribe(2, &early, &state));
  ASSERT_TRUE(timeline_->Subscribe(7, &late, &state));
  waiter_->DropAll();
  EXPECT_EQ(early.state, FenceState::kFailed);
  EXPECT_EQ(late.state, FenceState::kFailed);
  EXPECT_EQ(timeline_->ErrorOf(7), Code::kCancelled);
}

TEST_F(SyncobjTest, RefusesWhatIsNoSyncobj) {
  const size_t fds = OpenFds();
  UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  EXPECT_EQ(ImportSyncobj("peer", drm_.get(), null.get(), waiter_).error().code,
            Code::kInvalidArgument);
  EXPECT_EQ(ImportSyncobj("peer", null.get(), syncobj_.get(), waiter_).error().code,
            Code::kInvalidArgument);
  EXPECT_EQ(ImportSyncobj("peer", -1, syncobj_.get(), waiter_).error().code,
            Code::kInvalidArgument);
  EXPECT_EQ(AttachSyncobj(*timeline_, 1, null.get()).error().code, Code::kInvalidArgument);
  Timeline host("host");
  EXPECT_EQ(SignalSyncobj(host, 1).error().code, Code::kUnsupported);
  EXPECT_EQ(AttachSyncobj(host, 1, null.get()).error().code, Code::kUnsupported);
  null.Reset();
  EXPECT_EQ(OpenFds(), fds);
}

TEST_F(SyncobjTest, ThousandPointsLeaveNoFd) {
  const size_t fds = OpenFds();
  {
    SwSync device;
    RefPtr<Timeline> timeline = ImportObject();
    for (uint32_t i = 1; i <= 1000; ++i) {
      ASSERT_TRUE(AttachSyncobj(*timeline, i, device.Fence(i).get()));
      Told told;
      FenceState state;
      ASSERT_TRUE(timeline->Subscribe(i, &told, &state));
      ASSERT_TRUE(timeline->ToSyncFile(i));
      device.Advance();
      while (told.count == 0) ASSERT_EQ(waiter_->Run(kFarMs), 1u);
    }
  }
  EXPECT_EQ(OpenFds(), fds);
}

}  // namespace
}  // namespace sluice::sync
