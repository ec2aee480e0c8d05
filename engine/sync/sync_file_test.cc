// With a kernel that the test plays; tests/vm/fences_test.cc asks a real one.

#include "engine/sync/sync_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/sync_file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>
#include <cstdarg>
#include <map>
#include <mutex>
#include <thread>

#include <gtest/gtest.h>

#include "engine/base/clock.h"
#include "engine/sync/testing/manual_waiter.h"

namespace {

/// What SYNC_IOC_FILE_INFO answers, by the inode of the pipe that plays the sync_file.
struct FakeKernel {
  std::mutex mutex;
  std::map<ino_t, int> status;
  int interrupts = 0;  ///< So many calls are interrupted first.

  static FakeKernel& Get() {
    static FakeKernel kernel;
    return kernel;
  }
};

ino_t InodeOf(int fd) {
  struct stat info {};
  return fstat(fd, &info) == 0 ? info.st_ino : 0;
}

}  // namespace

extern "C" int ioctl(int fd, unsigned long request, ...) noexcept {
  va_list arguments;
  va_start(arguments, request);
  void* argument = va_arg(arguments, void*);
  va_end(arguments);
  if (request != SYNC_IOC_FILE_INFO) {
    return static_cast<int>(syscall(SYS_ioctl, fd, request, argument));
  }
  FakeKernel& kernel = FakeKernel::Get();
  std::lock_guard lock(kernel.mutex);
  auto found = kernel.status.find(InodeOf(fd));
  errno = fcntl(fd, F_GETFD) < 0 ? EBADF : ENOTTY;
  if (found == kernel.status.end()) return -1;
  errno = EINTR;
  if (kernel.interrupts > 0) return kernel.interrupts--, -1;
  static_cast<sync_file_info*>(argument)->status = found->second;
  return 0;
}

namespace sluice::sync {
namespace {

size_t OpenFds() {
  size_t count = 0;
  DIR* dir = opendir("/proc/self/fd");
  while (readdir(dir) != nullptr) ++count;
  closedir(dir);
  return count;
}

/// A pipe: readable when the fence has passed, as a sync_file is.
class FakeFence {
 public:
  FakeFence() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    read_.Reset(ends[0]);
    write_.Reset(ends[1]);
    Set(0);
  }
  ~FakeFence() {
    FakeKernel& kernel = FakeKernel::Get();
    std::lock_guard lock(kernel.mutex);
    kernel.status.erase(InodeOf(write_.get()));
  }
  UniqueFd Take() { return std::move(read_); }
  /// 1, or a negative errno.
  void Pass(int status) {
    Set(status);
    EXPECT_EQ(write(write_.get(), "x", 1), 1);
  }

 private:
  void Set(int status) {
    FakeKernel& kernel = FakeKernel::Get();
    std::lock_guard lock(kernel.mutex);
    kernel.status[InodeOf(write_.get())] = status;
  }
  UniqueFd read_;
  UniqueFd write_;
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

class SyncFileTest : public testing::Test {
 protected:
  Fence Import(FakeFence& fake) {
    auto fence = ImportSyncFile(fake.Take(), "display 'HDMI-A-1'", waiter_);
    EXPECT_TRUE(fence) << fence.error().ToString();
    return fence.value_or(Fence{});
  }
  std::shared_ptr<ManualWaiter> waiter_ = std::make_shared<ManualWaiter>();
};

TEST_F(SyncFileTest, PendingOneIsSubmittedAndNobodyWaitsForIt) {
  FakeFence fake;
  Fence fence = Import(fake);
  EXPECT_EQ(fence.State(), FenceState::kSubmitted);
  EXPECT_EQ(fence.timeline->signaller(), "display 'HDMI-A-1'");
  EXPECT_EQ(waiter_->waiting(), 0u);
}

TEST_F(SyncFileTest, TellsWhoSubscribedWhenItPasses) {
  FakeFence fake;
  Fence fence = Import(fake);
  Told told, second;
  FenceState state;
  ASSERT_TRUE(fence.timeline->Subscribe(1, &told, &state));
  ASSERT_TRUE(fence.timeline->Subscribe(1, &second, &state));
  EXPECT_EQ(waiter_->waiting(), 1u) << "one wait serves all";
  EXPECT_EQ(waiter_->Run(), 0u);
  fake.Pass(1);
  EXPECT_EQ(waiter_->Run(), 1u);
  EXPECT_EQ(told.state, FenceState::kSignalled);
  EXPECT_EQ(told.count + second.count, 2);
  EXPECT_EQ(fence.State(), FenceState::kSignalled);
}

TEST_F(SyncFileTest, OneThatHasPassedNeedsNoWait) {
  FakeFence early, late;
  early.Pass(1);
  EXPECT_FALSE(Import(early).timeline);
  Fence fence = Import(late);
  late.Pass(1);
  Told told;
  FenceState state;
  EXPECT_FALSE(fence.timeline->Subscribe(1, &told, &state)) << "Subscribe asks the kernel";
  EXPECT_EQ(state, FenceState::kSignalled);
  EXPECT_EQ(waiter_->waiting(), 0u);
}

TEST_F(SyncFileTest, CarriesTheErrorOfItsDriver) {
  const std::pair<int, Code> kErrors[] = {{-EIO, Code::kIo},
                                          {-ENODEV, Code::kDeviceLost},
                                          {-ENOENT, Code::kDeviceLost},
                                          {-ETIMEDOUT, Code::kTimeout},
                                          {-ECANCELED, Code::kCancelled}};
  for (const auto& [status, code] : kErrors) {
    FakeFence fake;
    Fence fence = Import(fake);
    Told told;
    FenceState state;
    ASSERT_TRUE(fence.timeline->Subscribe(1, &told, &state));
    fake.Pass(status);
    EXPECT_EQ(waiter_->Run(), 1u);
    EXPECT_EQ(told.state, FenceState::kFailed);
    EXPECT_EQ(fence.timeline->ErrorOf(1), code);
  }
}

TEST_F(SyncFileTest, WaiterThatEndsFailsWhatIsPendingSoThatNobodyWaitsForEver) {
  FakeFence pending, passed;
  Fence a = Import(pending), b = Import(passed);
  Told told_a, told_b;
  FenceState state;
  ASSERT_TRUE(a.timeline->Subscribe(1, &told_a, &state));
  ASSERT_TRUE(b.timeline->Subscribe(1, &told_b, &state));
  passed.Pass(1);
  waiter_->DropAll();
  EXPECT_EQ(told_a.state, FenceState::kFailed);
  EXPECT_EQ(a.timeline->ErrorOf(1), Code::kCancelled);
  EXPECT_EQ(told_b.state, FenceState::kSignalled) << "the kernel's word counts";
}

TEST_F(SyncFileTest, WaiterThatNobodyKeepsEnds) {
  FakeFence fake;
  Fence fence = Import(fake);
  Told told;
  FenceState state;
  ASSERT_TRUE(fence.timeline->Subscribe(1, &told, &state));
  waiter_ = nullptr;
  EXPECT_EQ(told.state, FenceState::kFailed);
}

TEST_F(SyncFileTest, WithoutAWaiterASubscriptionFails) {
  FakeFence fake;
  auto fence = ImportSyncFile(fake.Take(), "camera", nullptr);
  ASSERT_TRUE(fence);
  EXPECT_EQ(fence->State(), FenceState::kSubmitted);
  EXPECT_TRUE(fence->timeline->ToSyncFile(1)) << "a device can still wait for it";
  auto status = WaitBlocking(*fence, Clock::Real().Now() + 60'000'000'000);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kCancelled);
}

TEST_F(SyncFileTest, GivesADuplicateOfItself) {
  FakeFence fake;
  Fence fence = Import(fake);
  auto fd = fence.timeline->ToSyncFile(1);
  ASSERT_TRUE(fd);
  fence = {};
  fake.Pass(-EIO);
  auto state = QuerySyncFile(fd->get());
  ASSERT_TRUE(state);
  EXPECT_EQ(state->state, FenceState::kFailed) << "it lives longer than the timeline";
}

TEST_F(SyncFileTest, WhatIsNoSyncFileIsRefusedAndClosed) {
  const size_t fds = OpenFds();
  for (const char* path : {"/dev/null", "/proc/self/exe"}) {
    auto fence = ImportSyncFile(UniqueFd(open(path, O_RDONLY | O_CLOEXEC)), "peer", waiter_);
    ASSERT_FALSE(fence) << path;
    EXPECT_EQ(fence.error().code, Code::kInvalidArgument);
  }
  EXPECT_EQ(ImportSyncFile(UniqueFd(), "peer", waiter_).error().code, Code::kInvalidArgument);
  EXPECT_EQ(QuerySyncFile(-1).error().code, Code::kInvalidArgument);
  EXPECT_EQ(OpenFds(), fds);
}

TEST_F(SyncFileTest, SignalsDoNotDisturbTheQuery) {
  FakeFence fake;
  FakeKernel::Get().interrupts = 3;
  EXPECT_EQ(Import(fake).State(), FenceState::kSubmitted);
  EXPECT_EQ(FakeKernel::Get().interrupts, 0);
}

TEST_F(SyncFileTest, LeavesNoFdBehind) {
  const size_t fds = OpenFds();
  for (int i = 0; i < 50; ++i) {
    FakeFence fake;
    Fence fence = Import(fake);
    Told told;
    FenceState state;
    ASSERT_TRUE(fence.timeline->Subscribe(1, &told, &state));
    fake.Pass(i % 2 == 0 ? 1 : -EIO);
    waiter_->Run();
  }
  EXPECT_EQ(OpenFds(), fds);
}

TEST_F(SyncFileTest, WaiterThatLetsGoFirstMayBeTheLast) {
  FakeFence fake;
  // The subscriber drops the only reference as soon as it is told.
  struct Owner : FenceWaiter {
    Owner() : FenceWaiter(&Tell) {}
    static void Tell(FenceWaiter* waiter, FenceState) { static_cast<Owner*>(waiter)->fence = {}; }
    Fence fence;
  } owner;
  owner.fence = Import(fake);
  FenceState state;
  ASSERT_TRUE(owner.fence.timeline->Subscribe(1, &owner, &state));
  fake.Pass(1);
  EXPECT_EQ(waiter_->Run(), 1u);
  EXPECT_FALSE(owner.fence.timeline);
}

TEST_F(SyncFileTest, SubscribersRaceWithThePassing) {
  for (int i = 0; i < 200; ++i) {
    FakeFence fake;
    Fence fence = Import(fake);
    std::thread kernel([&] {
      fake.Pass(1);
      waiter_->Run();
    });
    Told told;
    FenceState state;
    const bool waits = fence.timeline->Subscribe(1, &told, &state);
    kernel.join();
    if (waits) waiter_->Run();
    EXPECT_EQ(waits ? told.state : state, FenceState::kSignalled);
    EXPECT_EQ(told.count, waits ? 1 : 0);
  }
}

TEST(ToOneSyncFileTest, NothingToWaitForIsNoFd) {
  auto signalled = MakeRef<Timeline>("gpu");
  signalled->Signal(1);
  const Fence fences[] = {{}, {signalled, 1}};
  auto fd = ToOneSyncFile(fences, "set");
  ASSERT_TRUE(fd);
  EXPECT_FALSE(fd->valid());
}

TEST(ToOneSyncFileTest, SaysWhoFailedOrHasNoKernelFence) {
  auto failed = MakeRef<Timeline>("gpu");
  failed->Fail(1, Code::kDeviceLost);
  failed->Signal(1);
  const Fence of_gpu[] = {{failed, 1}};
  auto fd = ToOneSyncFile(of_gpu, "set");
  ASSERT_FALSE(fd);
  EXPECT_EQ(fd.error().code, Code::kDeviceLost);
  EXPECT_NE(fd.error().message.find("gpu"), std::string::npos);
  auto host = MakeRef<Timeline>("host");
  const Fence promised[] = {{host, 1}};
  EXPECT_EQ(ToOneSyncFile(promised, "set").error().code, Code::kNotSubmitted);
  host->Submitted(1);
  EXPECT_EQ(ToOneSyncFile(promised, "set").error().code, Code::kUnsupported);
}

TEST_F(SyncFileTest, OneFenceIsItselfAtABorder) {
  FakeFence fake, passed;
  const Fence fences[] = {Import(passed), Import(fake)};
  passed.Pass(1);
  auto fd = ToOneSyncFile(fences, "set");
  ASSERT_TRUE(fd) << fd.error().ToString();
  EXPECT_EQ(QuerySyncFile(fd->get())->state, FenceState::kSubmitted);
}

TEST(MergeSyncFilesTest, OfNoneIsNoneAndOfOneIsItself) {
  auto none = MergeSyncFiles({}, "set");
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->valid());
  std::vector<UniqueFd> one(1);
  one[0].Reset(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int fd = one[0].get();
  auto merged = MergeSyncFiles(std::move(one), "set");
  ASSERT_TRUE(merged);
  EXPECT_EQ(merged->get(), fd);
}

}  // namespace
}  // namespace sluice::sync
