// Frames that other drivers share, through the plugin's ABI. On a machine without udmabuf memfds
// stand in for dma-bufs: that shows the plumbing. In a guest they are real, and so are the fences.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "nodes/vulkan/domain.h"
#include "nodes/vulkan/island_testing.h"
#include "nodes/vulkan/kernel_testing.h"
#include "nodes/vulkan/reference.h"

namespace sluice::vulkan::testing {
namespace {

const sluice_format kRgb = MakeFormat(SLUICE_FORMAT_XR24, 160, 90);
const sluice_format kNv12 = MakeFormat(SLUICE_FORMAT_NV12, 192, 90);

class DmabufTest : public IslandTest {
 protected:
  void SetUp() override {
    KernelMemory::Clear();
    host_.SetExtension(SLUICE_MEMORY_API_ID, &KernelMemory::Api());
    borders_[0].views = borders_[1].views = SLUICE_VIEW_DMABUF;
    IslandTest::SetUp();
    if (domain_.self == nullptr) return;
    if (!external().import_dmabuf) GTEST_SKIP() << device() << " cannot import dma-bufs";
  }

  VulkanDomain& vulkan() { return *sdk::DomainCast<VulkanDomain>(domain_.self); }
  const ExternalSupport& external() { return vulkan().device().info().external; }
  std::string device() { return vulkan().device().info().name; }

  TestNode& AddLook(const sluice_format& format) {
    return Add("vulkan.look", {Text("look", "negative")}, format, format);
  }
  static Picture Negative(const Picture& picture) {
    Picture want(picture.format());
    Reference(picture, want, "negative", {{"amount", 1}});
    return want;
  }
  static Picture Noise(const sluice_format& format) {
    Picture picture(format);
    Fill(picture, Pattern::kNoise);
    return picture;
  }

  template <class T>
  static const T* Extension(const TestNode& node, const char* id) {
    return static_cast<const T*>(node.node.get_extension(node.node.self, id));
  }
  static int32_t TestImport(const TestNode& node, int32_t direction, FakeFrame* frame) {
    const auto* importer = Extension<sluice_importer>(node, SLUICE_IMPORTER_ID);
    return importer->test(node.node.self, direction, 0, frame->c());
  }
  void ForgetAll() {
    for (const FakePool* pool : {in_pool_, out_pool_}) {
      const sluice_buffer_id id = IdOf(const_cast<FakePool&>(*pool));
      domain_.forget_pool(domain_.self, id.pool, id.epoch);
    }
  }
  static sluice_buffer_id IdOf(FakePool& pool) {
    FakeFrame* frame = Lease(pool);
    const sluice_buffer_id id = frame->buffer->id;
    Return(frame);
    return id;
  }
  static sluice_memory OnePart(int fd, uint64_t size) {
    sluice_memory memory{};
    memory.view = SLUICE_VIEW_DMABUF;
    memory.part_count = 1;
    memory.parts[0] = {fd, 0, size};
    return memory;
  }
  static void Put(const Picture& picture, const sluice_layout& layout, uint8_t* base) {
    for (uint32_t p = 0; p < picture.layout().plane_count; ++p)
      std::memcpy(base + layout.planes[p].offset, picture.plane(p), picture.layout().planes[p].size);
  }
  static void Get(const Picture& picture, const sluice_layout& layout, const uint8_t* base) {
    for (uint32_t p = 0; p < picture.layout().plane_count; ++p)
      std::memcpy(picture.plane(p), base + layout.planes[p].offset, picture.layout().planes[p].size);
  }
};

TEST_F(DmabufTest, ALookIsAppliedToDmabufsWithoutACopy) {
  const TestNode& look = AddLook(kNv12);
  ASSERT_EQ(Build(), SLUICE_OK);
  const Picture picture = Noise(kNv12);
  ExpectWithin(2, RunOnce(picture), Negative(picture));
  EXPECT_TRUE(look.copies.empty());
  EXPECT_EQ(vulkan().imports(), 2U);
  ForgetAll();
  EXPECT_EQ(vulkan().imports(), 0U);
}

TEST_F(DmabufTest, AFrameOfTheHeapIsReadWhereItLies) {
  AddLook(kRgb);
  ASSERT_EQ(Build(1), SLUICE_OK);
  const sluice_layout layout = in_pool_->layout();
  const UniqueFd heap = MakeHeapBuffer(layout.size);
  if (!heap.IsValid()) GTEST_SKIP() << "no /dev/dma_heap/system here";
  KernelMemory::Give(IdOf(*in_pool_), OnePart(heap.get(), layout.size));
  const Picture picture = Noise(kRgb);
  { Put(picture, layout, CpuView(heap.get(), layout.size).base()); }
  // What RunOnce writes into the fake pool's own memory is not looked at.
  ExpectWithin(1, RunOnce(Picture(kRgb)), Negative(picture));
}

TEST_F(DmabufTest, PlanesInBuffersOfTheirOwnAreReadAndWritten) {
  sluice_layout layout = sdk::testing::MakeLayout(kNv12);
  layout.part_count = 2;
  layout.planes[1].part = 1;
  layout.planes[1].offset = 0;
  in_layout_ = out_layout_ = &layout;
  const TestNode& look = AddLook(kNv12);
  ASSERT_EQ(Build(1), SLUICE_OK);
  std::vector<UniqueFd> fds;
  for (FakePool* pool : {in_pool_, out_pool_}) {
    sluice_memory memory{};
    memory.view = SLUICE_VIEW_DMABUF;
    memory.part_count = 2;
    for (uint32_t i = 0; i < 2; ++i) {
      fds.push_back(MakePages(65536));
      memory.parts[i] = {fds.back().get(), 0, 65536};
    }
    KernelMemory::Give(IdOf(*pool), memory);
  }
  const Picture picture = Noise(kNv12), got(kNv12);
  for (uint32_t p = 0; p < 2; ++p) {
    const CpuView view(fds[p].get(), 65536);
    std::memcpy(view.base(), picture.plane(p), picture.layout().planes[p].size);
  }
  FakeFrame* in = Lease(*in_pool_);
  FakeFrame* out = Lease(*out_pool_);
  EXPECT_EQ(TestImport(look, SLUICE_PORT_INPUT, in), SLUICE_OK) << look.error;
  sluice_fence fences[2];
  ASSERT_EQ(Submit(in, out, fences), SLUICE_OK) << look.error;
  ASSERT_EQ(WaitIdle(), SLUICE_OK);
  for (uint32_t p = 0; p < 2; ++p) {
    const CpuView view(fds[2 + p].get(), 65536);
    std::memcpy(got.plane(p), view.base(), picture.layout().planes[p].size);
  }
  ExpectWithin(2, got, Negative(picture));
  Return(in);
  Return(out);
}

TEST_F(DmabufTest, AnImportThatFailsIsRefusedWithPlaneAndNumbersAndLeaksNothing) {
  const TestNode& look = AddLook(kNv12);
  ASSERT_EQ(Build(1), SLUICE_OK);
  const sluice_layout layout = in_pool_->layout();
  FakeFrame* frame = Lease(*in_pool_);
  const sluice_buffer_id id = frame->buffer->id;
  const UniqueFd small = MakePages(4096);
  const int64_t before = OpenFds();

  KernelMemory::Give(id, OnePart(1 << 20, layout.size));  // closed
  EXPECT_EQ(TestImport(look, SLUICE_PORT_INPUT, frame), SLUICE_E_UNSUPPORTED);
  EXPECT_NE(look.error.find("planes 0, 1"), std::string::npos) << look.error;
  EXPECT_NE(look.error.find("Bad file descriptor"), std::string::npos) << look.error;

  KernelMemory::Give(id, OnePart(small.get(), layout.size));  // it lies
  EXPECT_EQ(TestImport(look, SLUICE_PORT_INPUT, frame), SLUICE_E_UNSUPPORTED);
  EXPECT_NE(look.error.find("4096"), std::string::npos) << look.error;
  EXPECT_NE(look.error.find(std::to_string(layout.size)), std::string::npos) << look.error;

  KernelMemory::Give(id, OnePart(small.get(), 4096));  // too small
  EXPECT_EQ(TestImport(look, SLUICE_PORT_INPUT, frame), SLUICE_E_UNSUPPORTED);
  EXPECT_NE(look.error.find("plane 0 reaches byte"), std::string::npos) << look.error;

  // The first part is fine, the second is not: nothing of it stays.
  sluice_memory two = OnePart(small.get(), 4096);
  two.part_count = 2;
  two.parts[1] = {-1, 0, 4096};
  KernelMemory::Give(id, two);
  EXPECT_EQ(TestImport(look, SLUICE_PORT_INPUT, frame), SLUICE_E_UNSUPPORTED);

  EXPECT_EQ(OpenFds(), before);
  EXPECT_EQ(vulkan().imports(), 0U);
  // The same buffer, described as it is, goes.
  KernelMemory::Clear();
  EXPECT_EQ(TestImport(look, SLUICE_PORT_INPUT, frame), SLUICE_OK) << look.error;
  Return(frame);
}

TEST_F(DmabufTest, APipeIsNoMemory) {
  const TestNode& look = AddLook(kRgb);
  ASSERT_EQ(Build(1), SLUICE_OK);
  FakeFrame* frame = Lease(*in_pool_);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const UniqueFd reader(ends[0]), writer(ends[1]);
  const int64_t before = OpenFds();
  KernelMemory::Give(frame->buffer->id, OnePart(reader.get(), in_pool_->layout().size));
  EXPECT_EQ(TestImport(look, SLUICE_PORT_INPUT, frame), SLUICE_E_UNSUPPORTED);
  EXPECT_EQ(OpenFds(), before);
  Return(frame);
}

TEST_F(DmabufTest, FiveHundredFramesOpenNothingAfterTheFirst) {
  if (external().sync_files()) borders_[1].sync = SLUICE_SYNC_SYNC_FILE;
  AddLook(kRgb);
  ASSERT_EQ(Build(4), SLUICE_OK);
  const Picture picture = Noise(kRgb), want = Negative(picture);
  int64_t before = 0;
  for (int i = 0; i < 500; ++i) {
    const Picture got = RunOnce(picture);
    if (i % 50 == 0) ExpectWithin(1, got, want);
    if (i == 100) before = OpenFds();
  }
  EXPECT_EQ(OpenFds(), before);
  EXPECT_EQ(vulkan().sync_files(), 0U);
}

TEST_F(DmabufTest, WhereTheDeviceHasNoSyncFilesAPlanWithThemIsRefused) {
  if (external().sync_files()) GTEST_SKIP() << "it has";
  borders_[1].sync = SLUICE_SYNC_SYNC_FILE;
  AddLook(kRgb);
  EXPECT_EQ(Build(), SLUICE_E_UNSUPPORTED);
}

TEST_F(DmabufTest, WhereTheDeviceCannotExportAPoolIsRefused) {
  if (external().export_dmabuf) GTEST_SKIP() << "it can";
  const TestNode& look = AddLook(kRgb);
  const auto* allocator = Extension<sluice_allocator>(look, SLUICE_ALLOCATOR_ID);
  sluice_pool_request request{};
  request.pool = 9;
  request.buffers = 1;
  request.views = SLUICE_VIEW_DMABUF;
  request.format = kRgb;
  sdk::testing::FakePoolSink sink;
  EXPECT_EQ(allocator->allocate(look.node.self, SLUICE_PORT_OUTPUT, 0, &request, sink.c()),
            SLUICE_E_UNSUPPORTED);
  EXPECT_NE(look.error.find("export"), std::string::npos) << look.error;
}

// --- Pools that the device makes ---------------------------------------------------------------

class ExportTest : public DmabufTest {
 protected:
  void SetUp() override {
    DmabufTest::SetUp();
    if (domain_.self == nullptr || IsSkipped()) return;
    if (!external().export_dmabuf) GTEST_SKIP() << device() << " cannot export dma-bufs";
  }
  int32_t Allocate(const TestNode& node, const sluice_pool_request& request) {
    const auto* allocator = Extension<sluice_allocator>(node, SLUICE_ALLOCATOR_ID);
    return allocator->allocate(node.node.self, SLUICE_PORT_OUTPUT, 0, &request, sink_.c());
  }
  sluice_pool_request RequestFor(const sluice_format& format, uint32_t buffers) {
    sluice_pool_request request{};
    request.pool = 2;  // the second that Build() makes
    request.epoch = 1;
    request.buffers = buffers;
    request.views = SLUICE_VIEW_DMABUF;
    request.format = format;
    return request;
  }

  sdk::testing::FakePoolSink sink_;
};

/// Reads a dma-buf on another device: converts it into `to`.
void ReadOnAnotherDevice(int fd, uint64_t size, const Shape& shape, const Picture& to) {
  std::string why;
  const auto bench = Bench::Create(&why);
  ASSERT_NE(bench, nullptr) << why;
  auto from = Memory::ImportDmabuf(bench->device(), fd, size);
  ASSERT_TRUE(from.has_value()) << from.error().message;
  auto into = Memory::ImportHost(bench->device(), to.base(), to.bytes());
  ASSERT_TRUE(into.has_value());
  auto ring = CommandRing::Create(bench->device(), bench->kernels().set_layout(), 1).value();
  const Step step{&bench->kernels(), bench->kernels().Get(ConstantsFor(shape, to.shape(), 0)).value(),
                  AllPlanesIn(from->buffer()), AllPlanesIn(into->buffer()),
                  PushFor(shape, to.shape(), Params{})};
  const ForeignBuffer foreign{from->buffer(), false};
  const auto commands = ring->Record(std::span(&step, 1), 0, std::span(&foreign, 1));
  ring->Submitted(bench->queue().Submit(commands.value(), 0).value());
  ASSERT_TRUE(bench->queue()
                  .WaitIdle(std::chrono::steady_clock::now() + std::chrono::seconds(60))
                  .has_value());
}

TEST_F(ExportTest, WhatIsWrittenIntoAPoolOfTheDeviceIsSeenByOthers) {
  sluice_pool_request request = RequestFor(kNv12, 2);
  request.stride_multiple = 256;
  request.size_multiple = 65536;
  const TestNode probe(host_, "vulkan.look", {Text("look", "negative")}, domain_.self);
  ASSERT_EQ(Allocate(probe, request), SLUICE_OK) << probe.error;
  ASSERT_EQ(sink_.buffers().size(), 2U);
  const sluice_buffer_desc& buffer = sink_.buffers()[0];
  const sluice_layout layout = buffer.layout;
  EXPECT_EQ(layout.planes[0].stride, 256U);
  EXPECT_EQ(layout.size % 65536, 0U);
  EXPECT_EQ(buffer.memory.view, SLUICE_VIEW_DMABUF);
  EXPECT_GE(buffer.memory.parts[0].size, layout.size);
  dma_buf_sync sync{DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ};
  EXPECT_EQ(ioctl(buffer.memory.parts[0].fd, DMA_BUF_IOCTL_SYNC, &sync), 0) << "not a dma-buf";

  out_layout_ = &layout;
  AddLook(kNv12);
  ASSERT_EQ(Build(2), SLUICE_OK);
  const Picture picture = Noise(kNv12), got(kNv12), read(kNv12);
  FakeFrame* in = Lease(*in_pool_);
  FakeFrame* out = Lease(*out_pool_);
  ASSERT_EQ(out->buffer->id.pool, request.pool);
  Write(in, picture);
  sluice_fence fences[2];
  ASSERT_EQ(Submit(in, out, fences), SLUICE_OK) << nodes_[0]->error;
  ASSERT_EQ(WaitIdle(), SLUICE_OK);
  const sluice_memory_part part = sink_.buffers()[out->buffer->id.index].memory.parts[0];
  const CpuView view(part.fd, part.size);
  for (uint32_t p = 0; p < 2; ++p) {
    for (uint64_t y = 0; y < (p == 0 ? 90U : 45U); ++y) {
      std::memcpy(got.plane(p) + y * got.stride(p),
                  view.base() + layout.planes[p].offset + y * layout.planes[p].stride, 192);
    }
  }
  ExpectWithin(2, got, Negative(picture));
  ReadOnAnotherDevice(part.fd, part.size, MakeShape(kNv12, layout).value(), read);
  ExpectWithin(1, read, got);
  Return(in);
  Return(out);
}

TEST_F(ExportTest, ReleasingAPoolGivesItsMemoryBack) {
  const TestNode& look = AddLook(kRgb);
  const int64_t before = OpenFds();
  for (int round = 0; round < 5; ++round) {
    sdk::testing::FakePoolSink sink;
    const auto* allocator = Extension<sluice_allocator>(look, SLUICE_ALLOCATOR_ID);
    const sluice_pool_request request = RequestFor(kRgb, 3);
    ASSERT_EQ(allocator->allocate(look.node.self, SLUICE_PORT_OUTPUT, 0, &request, sink.c()),
              SLUICE_OK)
        << look.error;
    EXPECT_EQ(vulkan().imports(), 3U);
    allocator->release_pool(look.node.self, request.pool, request.epoch);
    EXPECT_EQ(vulkan().imports(), 0U);
  }
  EXPECT_EQ(OpenFds(), before);
}

TEST_F(ExportTest, DemandsThatCannotBeMetAreRefused) {
  const TestNode& look = AddLook(kRgb);
  sluice_pool_request request = RequestFor(kRgb, 1);
  request.base_multiple = 65536;
  EXPECT_EQ(Allocate(look, request), SLUICE_E_UNSUPPORTED);
  request = RequestFor(kRgb, 1);
  request.views = SLUICE_VIEW_DMABUF | SLUICE_VIEW_SHM;
  EXPECT_EQ(Allocate(look, request), SLUICE_E_UNSUPPORTED);
  request = RequestFor(kRgb, 1);
  request.format.modifier = 1;
  EXPECT_EQ(Allocate(look, request), SLUICE_E_UNSUPPORTED);
  EXPECT_NE(look.error.find("modifier 1"), std::string::npos) << look.error;
  EXPECT_TRUE(sink_.buffers().empty());
}

// --- Fences of other drivers -------------------------------------------------------------------

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
  void Fire(const Picture& picture, const UniqueFd& acquire) {
    in_ = Lease(*in_pool_);
    out_ = Lease(*out_pool_);
    Write(in_, picture);
    if (acquire.IsValid())
      in_->acquire = sdk::testing::OwnedFence(sdk::Fence::SyncFile(acquire.get()).c());
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
  const UniqueFd file(fd);
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
  const UniqueFd file(fd);
  ExpectWithin(1, Finish(), Negative(picture));
  if (file.IsValid()) {
    EXPECT_TRUE(IsReady(file.get()));
  }
  EXPECT_EQ(vulkan().sync_files(), 0U);
}

TEST_F(SyncFileTest, AFenceThatHasSignalledCostsNothing) {
  borders_[0].sync = borders_[1].sync = SLUICE_SYNC_SYNC_FILE;
  AddLook(kRgb);
  ASSERT_EQ(Build(), SLUICE_OK);
  const UniqueFd fence = sw_sync_.Fence(1);
  sw_sync_.Advance();
  const Picture picture = Noise(kRgb);
  Fire(picture, fence);
  ExpectWithin(1, Finish(), Negative(picture));
}

TEST_F(SyncFileTest, AReleaseFenceOfAReaderHoldsTheNextWriter) {
  static UniqueFd held;
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
  held = UniqueFd();
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
  UniqueFd fence;
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
  const UniqueFd reader(ends[0]), writer(ends[1]);
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
  const UniqueFd fence = sw_sync_.Fence(1);
  in->acquire = sdk::testing::OwnedFence(sdk::Fence::SyncFile(fence.get()).c());
  EXPECT_EQ(Submit(in, out, fences_), SLUICE_E_TIMEOUT);
  EXPECT_NE(look.error.find("has not signalled"), std::string::npos) << look.error;
  Return(in);
  Return(out);
}

// --- Neighbours with implicit fences only ------------------------------------------------------

class ImplicitTest : public SyncFileTest {
 protected:
  /// Puts `fence` into the dma-buf of the pool's only buffer, as a reader's or a writer's.
  static void Attach(FakePool& pool, uint32_t access, const UniqueFd& fence) {
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
