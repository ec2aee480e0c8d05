// The fences of other drivers, and ours for them, through the plugin's ABI. They need SYNC_FD
// semaphores and sw_sync: in a guest.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "nodes/vulkan/dmabuf_testing.h"
#include "nodes/vulkan/semaphores.h"

namespace sluice::vulkan::testing {
namespace {

class SyncFileTest : public DmabufTest {
 protected:
  void SetUp() override {
    DmabufTest::SetUp();
    if (domain_.self == nullptr || IsSkipped()) return;
    if (!external().sync_files()) GTEST_SKIP() << device() << " has no SYNC_FD semaphores";
    if (!sw_sync_.IsThere()) GTEST_SKIP() << "no sw_sync here";
  }
  int32_t StatusOf(const sluice_fence& fence) {
    if (fence.timeline == nullptr) return SLUICE_E_INTERNAL;  // nothing was submitted
    return host_.host().timelines()->status(fence.timeline, fence.point);
  }
  int32_t Ask(const sluice_fence& fence, int32_t* fd) {
    return host_.host().timelines()->to_sync_file(fence.timeline, fence.point, fd);
  }
  /// One firing whose input may be read when `acquire` signals.
  void Fire(const Picture& picture, const sdk::UniqueFd& acquire) {
    in_ = Lease(*in_pool_);
    out_ = Lease(*out_pool_);
    Write(in_, picture);
    if (acquire) in_->acquire = sdk::testing::OwnedFence(sdk::Fence::SyncFile(acquire.get()).c());
    ASSERT_EQ(Submit(in_, out_, fences_), SLUICE_OK) << nodes_[0]->error;
  }
  Picture Finish() {
    Picture got(formats_.back());
    EXPECT_EQ(WaitIdle(), SLUICE_OK);
    EXPECT_EQ(StatusOf(fences_[0]), 1);
    Read(out_, got);
    Return(in_);
    Return(out_);
    return got;
  }

  SwSync sw_sync_;
  FakeFrame* in_ = nullptr;
  FakeFrame* out_ = nullptr;
  sluice_fence fences_[2]{};
};

TEST_F(SyncFileTest, AFenceThatIsHeldBackDelaysTheResultAndNobodyElse) {
  borders_[0].sync = SLUICE_SYNC_SYNC_FILE;
  AddLook(kRgb);
  ASSERT_EQ(Build(), SLUICE_OK);
  const Picture picture = Noise(kRgb);
  Fire(picture, sw_sync_.Fence(1));
  // Another device has its work done meanwhile.
  std::string why;
  const auto bench = Bench::Create(&why);
  ASSERT_NE(bench, nullptr) << why;
  Picture other(kRgb);
  bench->Run(picture, other, 0, Params{});
  ExpectWithin(1, other, picture);
  EXPECT_EQ(StatusOf(fences_[0]), 0);
  sw_sync_.Advance();
  ExpectWithin(1, Finish(), Negative(picture));
}

TEST_F(SyncFileTest, WhatIsWrittenBeforeTheFenceSignalsIsWhatIsRead) {
  borders_[0].sync = SLUICE_SYNC_SYNC_FILE;
  AddLook(kRgb);
  ASSERT_EQ(Build(), SLUICE_OK);
  const Picture before = Noise(kRgb);
  Picture after(kRgb);
  Fill(after, Pattern::kBars);
  Fire(before, sw_sync_.Fence(1));
  // The producer is not done before its fence: a submission that does not wait reads the old.
  Write(in_, after);
  sw_sync_.Advance();
  ExpectWithin(1, Finish(), Negative(after));
}

TEST_F(SyncFileTest, WhileAFenceIsHeldBackAnAskedForFileIsPendingOrNotYetThere) {
  AddLook(kRgb);
  ASSERT_EQ(Build(), SLUICE_OK);
  const Picture picture = Noise(kRgb);
  Fire(picture, sw_sync_.Fence(1));
  int32_t fd = -1;
  const int32_t code = Ask(fences_[0], &fd);
  const sdk::UniqueFd file(fd);
  if (vulkan().device().exports_late()) {
    EXPECT_EQ(code, SLUICE_E_NOT_SUBMITTED);
  } else {
    ASSERT_EQ(code, SLUICE_OK);
    EXPECT_FALSE(IsReady(file.get()));
  }
  sw_sync_.Advance();
  ExpectWithin(1, Finish(), Negative(picture));
  // Over: there is nothing to wait for.
  EXPECT_EQ(Ask(fences_[0], &fd), SLUICE_OK);
  EXPECT_EQ(fd, -1);
}

TEST_F(SyncFileTest, AnOutputThatIsWantedAsAFileHasOneUntilItsEnd) {
  borders_[1].sync = SLUICE_SYNC_SYNC_FILE;
  AddLook(kRgb);
  ASSERT_EQ(Build(), SLUICE_OK);
  const Picture picture = Noise(kRgb);
  Fire(picture, {});
  int32_t fd = -1;
  EXPECT_EQ(Ask(fences_[0], &fd), SLUICE_OK);
  const sdk::UniqueFd file(fd);
  ExpectWithin(1, Finish(), Negative(picture));
  if (file) {
    EXPECT_TRUE(IsReady(file.get()));
  }
  EXPECT_EQ(vulkan().sync_files(), 0U);
}

TEST_F(SyncFileTest, AFenceThatHasSignalledCostsNothing) {
  borders_[0].sync = borders_[1].sync = SLUICE_SYNC_SYNC_FILE;
  AddLook(kRgb);
  ASSERT_EQ(Build(), SLUICE_OK);
  const sdk::UniqueFd fence = sw_sync_.Fence(1);
  sw_sync_.Advance();
  const Picture picture = Noise(kRgb);
  Fire(picture, fence);
  ExpectWithin(1, Finish(), Negative(picture));
}

TEST_F(SyncFileTest, AReleaseFenceOfAReaderHoldsTheNextWriter) {
  static sdk::UniqueFd held;
  held = sw_sync_.Fence(1);
  static sluice_frame_api api = FakeHost::FrameApi();
  api.release_fences = [](const sluice_frame*, sluice_fence* out, uint32_t) -> uint32_t {
    out[0] = *sdk::Fence::SyncFile(held.get()).c();
    return 1;
  };
  // The domain looked the table up when it was made.
  domain_.destroy(domain_.self);
  host_.SetExtension(SLUICE_FRAME_API_ID, &api);
  OpenDomain();
  AddLook(kRgb);
  ASSERT_EQ(Build(), SLUICE_OK);
  const Picture picture = Noise(kRgb);
  Fire(picture, {});
  EXPECT_EQ(StatusOf(fences_[0]), 0);
  sw_sync_.Advance();
  ExpectWithin(1, Finish(), Negative(picture));
  held = sdk::UniqueFd();
}

TEST_F(SyncFileTest, ManyFencesLeaveNoSemaphoreAndNoFdBehind) {
  borders_[0].sync = SLUICE_SYNC_SYNC_FILE;
  AddLook(kRgb);
  ASSERT_EQ(Build(), SLUICE_OK);
  const Picture picture = Noise(kRgb), want = Negative(picture);
  int64_t before = 0;
  for (uint32_t i = 1; i <= 60; ++i) {
    Fire(picture, sw_sync_.Fence(i));
    sw_sync_.Advance();
    const Picture got = Finish();
    if (i % 20 == 0) ExpectWithin(1, got, want);
    if (i == 10) before = OpenFds();
    // A driver may close what it waited for a moment after it says that it is done.
    if (i > 10) {
      ASSERT_LE(OpenFds(), before + 2);
    }
  }
}

TEST_F(SyncFileTest, AFenceThatFailedIsAnError) {
  borders_[0].sync = SLUICE_SYNC_SYNC_FILE;
  const TestNode& look = AddLook(kRgb);
  ASSERT_EQ(Build(), SLUICE_OK);
  sdk::UniqueFd fence;
  {
    // A timeline that goes fails the fences that are left.
    const SwSync gone;
    fence = gone.Fence(1);
  }
  FakeFrame* in = Lease(*in_pool_);
  FakeFrame* out = Lease(*out_pool_);
  in->acquire = sdk::testing::OwnedFence(sdk::Fence::SyncFile(fence.get()).c());
  EXPECT_EQ(Submit(in, out, fences_), SLUICE_E_IO);
  EXPECT_NE(look.error.find("failed"), std::string::npos) << look.error;
  Return(in);
  Return(out);
}

TEST_F(SyncFileTest, WhatIsNoSyncFileIsRefusedAndClosed) {
  borders_[0].sync = SLUICE_SYNC_SYNC_FILE;
  const TestNode& look = AddLook(kRgb);
  ASSERT_EQ(Build(), SLUICE_OK);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const sdk::UniqueFd reader(ends[0]), writer(ends[1]);
  FakeFrame* in = Lease(*in_pool_);
  FakeFrame* out = Lease(*out_pool_);
  in->acquire = sdk::testing::OwnedFence(sdk::Fence::SyncFile(reader.get()).c());
  const int64_t before = OpenFds();
  EXPECT_EQ(Submit(in, out, fences_), SLUICE_E_INVALID_ARGUMENT);
  EXPECT_NE(look.error.find("is no sync_file"), std::string::npos) << look.error;
  EXPECT_EQ(OpenFds(), before);
  Return(in);
  Return(out);
}

TEST_F(SyncFileTest, ASemaphoreIsReusedWhenItsSubmissionIsOver) {
  const Device& device = vulkan().device();
  SemaphoreRing ring(device, SemaphoreRing::Use::kWait);
  const VkSemaphore first = ring.Import(sw_sync_.Fence(1), 0).value();
  ring.Submitted(1);
  const VkSemaphore second = ring.Import(sw_sync_.Fence(2), 0).value();
  EXPECT_NE(first, second);
  ring.Submitted(2);
  EXPECT_EQ(ring.Import(sw_sync_.Fence(3), 1).value(), first);
  ring.NotSubmitted();
  EXPECT_EQ(ring.Import(sw_sync_.Fence(4), 1).value(), first);
  EXPECT_EQ(ring.size(), 2U);
}

TEST_F(SyncFileTest, WhereExportsComeLateAFenceThatNeverSignalsIsAnErrorAndNotAHang) {
  if (!vulkan().device().exports_late()) GTEST_SKIP() << device() << " exports at once";
  borders_[0].sync = borders_[1].sync = SLUICE_SYNC_SYNC_FILE;
  const TestNode& look = AddLook(kRgb);
  ASSERT_EQ(Build(), SLUICE_OK);
  FakeFrame* in = Lease(*in_pool_);
  FakeFrame* out = Lease(*out_pool_);
  const sdk::UniqueFd fence = sw_sync_.Fence(1);
  in->acquire = sdk::testing::OwnedFence(sdk::Fence::SyncFile(fence.get()).c());
  EXPECT_EQ(Submit(in, out, fences_), SLUICE_E_TIMEOUT);
  EXPECT_NE(look.error.find("has not signalled"), std::string::npos) << look.error;
  Return(in);
  Return(out);
}

TEST_F(SyncFileTest, APoolThatIsForgottenEarlyStaysUntilItsSubmissionIsOver) {
  borders_[0].sync = SLUICE_SYNC_SYNC_FILE;
  AddLook(kRgb);
  ASSERT_EQ(Build(), SLUICE_OK);
  const Picture picture = Noise(kRgb);
  Fire(picture, sw_sync_.Fence(1));
  ForgetAll();
  EXPECT_EQ(vulkan().imports(), 2U);
  sw_sync_.Advance();
  ExpectWithin(1, Finish(), Negative(picture));
  EXPECT_EQ(vulkan().imports(), 0U);
}

TEST_F(SyncFileTest, AnInputThatIsCopiedIsNotReadBeforeItsFence) {
  domain_.destroy(domain_.self);
  setenv("SLUICE_VULKAN_FORCE_STAGING", "1", 1);
  OpenDomain();
  unsetenv("SLUICE_VULKAN_FORCE_STAGING");
  borders_[0] = {SLUICE_VIEW_SHM, SLUICE_SYNC_SYNC_FILE};
  borders_[1] = {SLUICE_VIEW_SHM, SLUICE_SYNC_TIMELINE};
  const TestNode& look = AddLook(kRgb);
  ASSERT_EQ(Build(), SLUICE_OK);
  const sdk::UniqueFd fence = sw_sync_.Fence(1);
  FakeFrame* in = Lease(*in_pool_);
  FakeFrame* out = Lease(*out_pool_);
  in->acquire = sdk::testing::OwnedFence(sdk::Fence::SyncFile(fence.get()).c());
  EXPECT_EQ(Submit(in, out, fences_), SLUICE_E_TIMEOUT);
  EXPECT_NE(look.error.find("has not signalled"), std::string::npos) << look.error;
  Return(in);
  Return(out);
  sw_sync_.Advance();
  const Picture picture = Noise(kRgb);
  Fire(picture, fence);
  ExpectWithin(1, Finish(), Negative(picture));
}

// --- Neighbours with implicit fences only ------------------------------------------------------

class ImplicitTest : public SyncFileTest {
 protected:
  /// Puts `fence` into the dma-buf of the pool's only buffer, as a reader's or a writer's.
  static void Attach(FakePool& pool, uint32_t access, const sdk::UniqueFd& fence) {
    FakeFrame* frame = Lease(pool);
    ASSERT_EQ(KernelMemory::Api().import_sync_file(frame->c(), access, fence.get()), SLUICE_OK);
    Return(frame);
    KernelMemory::Imported().clear();
  }
  /// One firing that must wait for `sw_sync_`.
  void FireHeld(const Picture& picture) {
    if (vulkan().device().exports_late()) {
      FakeFrame* in = Lease(*in_pool_);
      FakeFrame* out = Lease(*out_pool_);
      EXPECT_EQ(Submit(in, out, fences_), SLUICE_E_TIMEOUT);
      Return(in);
      Return(out);
      sw_sync_.Advance();
      Fire(picture, {});
      return;
    }
    Fire(picture, {});
    EXPECT_EQ(StatusOf(fences_[0]), 0);
    sw_sync_.Advance();
  }
};

TEST_F(ImplicitTest, AReadWaitsForWritersAndIsShownToLaterWriters) {
  borders_[0].sync = SLUICE_SYNC_IMPLICIT;
  AddLook(kRgb);
  ASSERT_EQ(Build(1), SLUICE_OK);
  Attach(*in_pool_, SLUICE_ACCESS_WRITE, sw_sync_.Fence(1));
  const Picture picture = Noise(kRgb);
  FireHeld(picture);
  EXPECT_EQ(KernelMemory::Imported(), std::vector<uint32_t>{SLUICE_ACCESS_READ});
  ExpectWithin(1, Finish(), Negative(picture));
}

TEST_F(ImplicitTest, AReadDoesNotWaitForOtherReaders) {
  borders_[0].sync = SLUICE_SYNC_IMPLICIT;
  AddLook(kRgb);
  ASSERT_EQ(Build(1), SLUICE_OK);
  Attach(*in_pool_, SLUICE_ACCESS_READ, sw_sync_.Fence(1));
  const Picture picture = Noise(kRgb);
  Fire(picture, {});
  // The other's fence is still held back.
  ExpectWithin(1, Finish(), Negative(picture));
}

TEST_F(ImplicitTest, AWriteWaitsForReadersAndIsShownToEverybody) {
  borders_[1].sync = SLUICE_SYNC_IMPLICIT;
  AddLook(kRgb);
  ASSERT_EQ(Build(1), SLUICE_OK);
  Attach(*out_pool_, SLUICE_ACCESS_READ, sw_sync_.Fence(1));
  const Picture picture = Noise(kRgb);
  FireHeld(picture);
  EXPECT_EQ(KernelMemory::Imported(), std::vector<uint32_t>{SLUICE_ACCESS_WRITE});
  ExpectWithin(1, Finish(), Negative(picture));
}

// --- A fence that never comes ------------------------------------------------------------------

TEST_F(SyncFileTest, ADeviceWhoseWorkNeverEndsIsLeftAndTheProcessGoesOn) {
  // Never closed: a timeline that goes signals its fences.
  static SwSync* const forever = new SwSync();
  borders_[0].sync = SLUICE_SYNC_SYNC_FILE;
  AddLook(kRgb);
  ASSERT_EQ(Build(), SLUICE_OK);
  Fire(Noise(kRgb), forever->Fence(1));
  EXPECT_EQ(domain_.wait_idle(domain_.self, sdk_now_ns()), SLUICE_E_TIMEOUT);
  domain_.destroy_island(domain_.self, island_);
  island_ = nullptr;
  // What the device may still use is kept.
  ForgetAll();
  EXPECT_EQ(vulkan().imports(), 2U);
  domain_.destroy(domain_.self);
  domain_ = {};
  bool said = false;
  for (const std::string& log : host_.logs())
    said |= log.find("is left as it is") != std::string::npos;
  EXPECT_TRUE(said);
  Return(in_);
  Return(out_);
}

}  // namespace
}  // namespace sluice::vulkan::testing
