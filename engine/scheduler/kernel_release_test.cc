// Buffers, the kernel's fences and the reactor together: when does a buffer come home? sw_sync
// plays the devices; where there is none, all of this is skipped. tests/vm runs it.

#include <dirent.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <memory>
#include <semaphore>
#include <string>

#include <gtest/gtest.h>

#include "engine/media/buffer_pool.h"
#include "engine/scheduler/reactor.h"
#include "engine/sync/sync_file.h"

namespace sluice::scheduler {
namespace {

using media::BufferPool;
using media::BufferState;
using media::Frame;
using media::HolderId;

/// A device whose fences the test signals. drivers/dma-buf/sw_sync.c.
class Device {
 public:
  static constexpr char kPath[] = "/sys/kernel/debug/sync/sw_sync";
  Device() : timeline_(open(kPath, O_RDWR | O_CLOEXEC)) {}
  bool valid() const { return timeline_.valid(); }
  UniqueFd NextFence() {
    struct {
      uint32_t value;
      char name[32];
      int32_t fence;
    } request{++last_, "kernel_release_test", -1};
    EXPECT_EQ(ioctl(timeline_.get(), _IOWR('W', 0, decltype(request)), &request), 0);
    return UniqueFd(request.fence);
  }
  void Finish(uint32_t steps = 1) {
    EXPECT_EQ(ioctl(timeline_.get(), _IOW('W', 1, uint32_t), &steps), 0);
  }
  void GoAway() { timeline_.Reset(); }

 private:
  UniqueFd timeline_;
  uint32_t last_ = 0;
};

struct Freed : media::FreedListener {
  void OnFreed() override { happened.release(); }
  void Await() { happened.acquire(); }
  bool HasHappened() { return happened.try_acquire(); }
  std::counting_semaphore<> happened{0};
};

size_t OpenFds() {
  size_t count = 0;
  DIR* dir = opendir("/proc/self/fd");
  while (readdir(dir) != nullptr) ++count;
  closedir(dir);
  return count;
}

class KernelReleaseTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!Device().valid()) GTEST_SKIP() << Device::kPath << ": " << strerror(errno);
    reactor_ = std::move(*Reactor::Create());
    pool_ = MakePool();
    show_ = pool_->AddHolder("show");
    look_ = pool_->AddHolder("look");
  }
  RefPtr<BufferPool> MakePool() {
    BufferPool::Options options;
    options.name = "camera.out";
    options.format.fourcc = media::kYu12;
    options.format.width = 64;
    options.format.height = 32;
    options.layout = *media::ComputeLayout(options.format, {});
    options.buffers = 2;
    options.clock = &clock_;
    auto pool = BufferPool::Create(options, *media::CreateMemfdAllocator());
    EXPECT_TRUE(pool);
    (*pool)->SetFreedListener(freed_);
    return *pool;
  }
  /// A frame that was emitted and is now `holder`'s.
  Frame* Lend(HolderId holder) {
    Frame* frame = pool_->TryAcquire(clock_.Now());
    EXPECT_NE(frame, nullptr);
    frame->Publish({}, 0);
    frame->HandOver(holder, clock_.Now());
    return frame;
  }
  sync::Fence Import(UniqueFd fd, std::string signaller) {
    auto fence = sync::ImportSyncFile(std::move(fd), std::move(signaller), reactor_->fd_waiter());
    EXPECT_TRUE(fence);
    return fence.value_or(sync::Fence{});
  }

  SteppableClock clock_{1000};
  std::unique_ptr<Reactor> reactor_;
  RefPtr<Freed> freed_ = MakeRef<Freed>();
  RefPtr<BufferPool> pool_;
  HolderId show_ = 0;
  HolderId look_ = 0;
};

TEST_F(KernelReleaseTest, BufferComesHomeWhenTheDeviceHasFinished) {
  Device display;
  Frame* frame = Lend(show_);
  const media::Buffer& buffer = frame->buffer();
  frame->Release(Import(display.NextFence(), "display"));
  EXPECT_EQ(buffer.state(), BufferState::kDraining);
  EXPECT_EQ(pool_->FreeCount(), 1u);
  EXPECT_FALSE(freed_->HasHappened()) << "the display still reads";
  display.Finish();
  freed_->Await();
  EXPECT_EQ(buffer.state(), BufferState::kFree);
}

TEST_F(KernelReleaseTest, FenceThatHasPassedCostsNoWait) {
  Device display;
  Frame* frame = Lend(show_);
  UniqueFd fence = display.NextFence();
  display.Finish();
  frame->Release(Import(std::move(fence), "display"));
  EXPECT_EQ(pool_->FreeCount(), 2u);
}

TEST_F(KernelReleaseTest, HeldBackFenceDelaysItsBufferAndNoOther) {
  Device slow, quick;
  Frame* held = Lend(show_);
  Frame* other = Lend(look_);
  const media::Buffer& held_buffer = held->buffer();
  const media::Buffer& other_buffer = other->buffer();
  held->Release(Import(slow.NextFence(), "display"));
  other->Release(Import(quick.NextFence(), "gpu"));
  quick.Finish();
  freed_->Await();
  EXPECT_EQ(other_buffer.state(), BufferState::kFree);
  EXPECT_EQ(held_buffer.state(), BufferState::kDraining);
  slow.Finish();
  freed_->Await();
  EXPECT_EQ(held_buffer.state(), BufferState::kFree);
}

TEST_F(KernelReleaseTest, SlowestOfAllHoldersDecides) {
  Device display, gpu;
  Frame* frame = Lend(show_);
  Frame* second = pool_->Share(*frame, look_, clock_.Now());
  const media::Buffer& buffer = frame->buffer();
  frame->Release(Import(display.NextFence(), "display"));
  second->Release(Import(gpu.NextFence(), "gpu"));
  display.Finish();
  EXPECT_EQ(pool_->FreeCount(), 1u);
  EXPECT_EQ(buffer.state(), BufferState::kDraining);
  gpu.Finish();
  freed_->Await();
  EXPECT_EQ(buffer.state(), BufferState::kFree);
}

TEST_F(KernelReleaseTest, FenceThatNeverSignalsIsAVerdictAndItsBufferIsNotReused) {
  Device display;
  Frame* frame = Lend(show_);
  const media::Buffer& buffer = frame->buffer();
  frame->Release(Import(display.NextFence(), "display 'Virtual-1'"));
  EXPECT_TRUE(pool_->CheckDeadlines(clock_.Now(), 1'000'000).empty());
  clock_.Step(1'000'000);
  auto verdicts = pool_->CheckDeadlines(clock_.Now(), 1'000'000);
  ASSERT_EQ(verdicts.size(), 1u);
  EXPECT_EQ(verdicts[0].holder, "show");
  EXPECT_EQ(verdicts[0].signaller, "display 'Virtual-1'");
  EXPECT_FALSE(verdicts[0].failed);
  EXPECT_EQ(buffer.state(), BufferState::kQuarantined);
  EXPECT_EQ(pool_->FreeCount(), 1u);
  display.Finish();
  freed_->Await();
  EXPECT_EQ(buffer.state(), BufferState::kFree) << "late, but it came";
}

TEST_F(KernelReleaseTest, FenceThatFailsQuarantinesItsBufferAndNamesTheHolder) {
  Device gpu, display;
  Frame* failing = Lend(look_);
  Frame* good = Lend(show_);
  const media::Buffer& buffer = failing->buffer();
  failing->Release(Import(gpu.NextFence(), "gpu"));
  good->Release(Import(display.NextFence(), "display"));
  gpu.GoAway();
  display.Finish();
  freed_->Await();  // the good one
  // Both were told by the reactor's one thread, but nothing says in which order.
  std::vector<BufferPool::Verdict> verdicts;
  while (verdicts.empty()) verdicts = pool_->CheckDeadlines(clock_.Now(), 1'000'000'000);
  ASSERT_EQ(verdicts.size(), 1u);
  EXPECT_TRUE(verdicts[0].failed);
  EXPECT_EQ(verdicts[0].holder, "look");
  EXPECT_EQ(verdicts[0].signaller, "gpu");
  EXPECT_EQ(buffer.state(), BufferState::kQuarantined);
  EXPECT_EQ(pool_->FreeCount(), 1u);
}

TEST_F(KernelReleaseTest, EndOfTheReactorKeepsNoPoolAlive) {
  Device display;
  const size_t fds = OpenFds();
  pool_ = MakePool();
  show_ = pool_->AddHolder("show");
  Lend(show_)->Release(Import(display.NextFence(), "display"));
  pool_ = nullptr;
  EXPECT_GT(OpenFds(), fds);
  reactor_ = nullptr;
  EXPECT_LT(OpenFds(), fds) << "the reactor's fds are gone too";
}

TEST_F(KernelReleaseTest, TwoThousandTripsLeaveNoFd) {
  Device display;
  auto trip = [&] {
    Frame* frame = Lend(show_);
    frame->Release(Import(display.NextFence(), "display"));
    display.Finish();
    freed_->Await();
  };
  for (int i = 0; i < 10; ++i) trip();
  const size_t fds = OpenFds();
  for (int i = 0; i < 2000; ++i) trip();
  // Of the last one, the reactor may still have to close what it waited for and the fence.
  EXPECT_LE(OpenFds(), fds + 2);
  EXPECT_EQ(pool_->Outstanding(), 0u);
}

}  // namespace
}  // namespace sluice::scheduler
