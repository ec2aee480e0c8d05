// Frames that other drivers share, through the plugin's ABI. On a machine without udmabuf memfds
// stand in for dma-bufs: that shows the plumbing. In a guest they are real, and so are the fences.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "nodes/vulkan/dmabuf_testing.h"

namespace sluice::vulkan::testing {
namespace {

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

TEST_F(DmabufTest, WhereAMappingCannotBeImportedEveryFrameOfTheBufferGoesByItsDmabuf) {
  static sluice_frame_api api = FakeHost::FrameApi();
  api.shm = [](const sluice_frame* frame, sluice_shm_view* out) -> int32_t {
    const int32_t code = FakeHost::FrameApi().shm(frame, out);
    out->base = static_cast<uint8_t*>(out->base) + 1;  // aligned for no device
    return code;
  };
  // The domain looked the table up when it was made.
  domain_.destroy(domain_.self);
  host_.SetExtension(SLUICE_FRAME_API_ID, &api);
  OpenDomain();
  borders_[0].views = borders_[1].views = SLUICE_VIEW_SHM | SLUICE_VIEW_DMABUF;
  const TestNode& look = AddLook(kRgb);
  ASSERT_EQ(Build(1), SLUICE_OK);
  const Picture picture = Noise(kRgb), want = Negative(picture);
  for (int i = 0; i < 3; ++i) ExpectWithin(1, RunOnce(picture), want);
  EXPECT_TRUE(look.copies.empty());
  EXPECT_EQ(look.error, "");
}

TEST_F(DmabufTest, AFrameOfTheHeapIsReadWhereItLies) {
  AddLook(kRgb);
  ASSERT_EQ(Build(1), SLUICE_OK);
  const sluice_layout layout = in_pool_->layout();
  const sdk::UniqueFd heap = MakeHeapBuffer(layout.size);
  if (!heap) GTEST_SKIP() << "no /dev/dma_heap/system here";
  KernelMemory::Give(IdOf(*in_pool_), OnePart(heap.get(), layout.size));
  const Picture picture = Noise(kRgb);
  { Put(picture, layout, CpuView(heap.get(), layout.size).base()); }
  // What RunOnce writes into the fake pool's own memory is not looked at.
  ExpectWithin(1, RunOnce(Picture(kRgb)), Negative(picture));
}

/// The negative of a frame with a buffer for each of its two planes.
class PlanesApartTest : public DmabufTest, public ::testing::WithParamInterface<uint32_t> {};

TEST_P(PlanesApartTest, PlanesInBuffersOfTheirOwnAreReadAndWritten) {
  const sluice_format format = MakeFormat(GetParam(), 192, 90);
  sluice_layout layout = sdk::testing::MakeLayout(format);
  layout.part_count = 2;
  layout.planes[1].part = 1;
  layout.planes[1].offset = 0;
  in_layout_ = out_layout_ = &layout;
  const TestNode& look = AddLook(format);
  ASSERT_EQ(Build(1), SLUICE_OK);
  std::vector<sdk::UniqueFd> fds;
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
  const Picture picture = Noise(format), got(format);
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

INSTANTIATE_TEST_SUITE_P(Formats, PlanesApartTest,
                         ::testing::Values(SLUICE_FORMAT_NV12, SLUICE_FORMAT_P010),
                         [](const auto& test) { return FourccName(test.param); });

TEST_F(DmabufTest, ADmabufThatMayOnlyBeReadIsReadByAMappingAndNeverWritten) {
  const TestNode& look = AddLook(kRgb);
  ASSERT_EQ(Build(1), SLUICE_OK);
  if (!vulkan().device().is_software()) GTEST_SKIP() << device() << " imports what it likes";
  const sluice_layout layout = in_pool_->layout();
  const uint64_t size = (layout.size + 4095) / 4096 * 4096;
  const sdk::UniqueFd pages = MakePages(size);
  const std::string name = "/proc/self/fd/" + std::to_string(pages.get());
  const sdk::UniqueFd read_only(open(name.c_str(), O_RDONLY | O_CLOEXEC));
  if (!read_only) GTEST_SKIP() << "a dma-buf of this kernel cannot be opened anew, to be read only";
  const int64_t before = OpenFds();
  KernelMemory::Give(IdOf(*in_pool_), OnePart(read_only.get(), layout.size));
  FakeFrame* in = Lease(*in_pool_);
  EXPECT_EQ(TestImport(look, SLUICE_PORT_INPUT, in), SLUICE_OK) << look.error;
  Return(in);
  for (int i = 0; i < 3; ++i) {
    const Picture picture = Noise(kRgb);
    { Put(picture, layout, CpuView(pages.get(), size).base()); }
    // What RunOnce writes into the fake pool's own memory is not looked at.
    ExpectWithin(1, RunOnce(Picture(kRgb)), Negative(picture));
  }
  EXPECT_TRUE(look.copies.empty());
  // As a picture to be written, it is refused: also when it is known as one that is read.
  in = Lease(*in_pool_);
  EXPECT_EQ(TestImport(look, SLUICE_PORT_OUTPUT, in), SLUICE_E_UNSUPPORTED);
  Return(in);
  ForgetAll();
  EXPECT_EQ(OpenFds(), before);
}

TEST_F(DmabufTest, AnImportThatFailsIsRefusedWithPlaneAndNumbersAndLeaksNothing) {
  const TestNode& look = AddLook(kNv12);
  ASSERT_EQ(Build(1), SLUICE_OK);
  const sluice_layout layout = in_pool_->layout();
  FakeFrame* frame = Lease(*in_pool_);
  const sluice_buffer_id id = frame->buffer->id;
  const sdk::UniqueFd small = MakePages(4096);
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
  const sdk::UniqueFd reader(ends[0]), writer(ends[1]);
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

/// Of filters that have none.
struct NoNumbers final : NumberSource {
  void CopyParams(uint32_t, std::span<float>) const override {}
  uint64_t changes() const override { return 0; }
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
  Network network;
  network.nodes.push_back({"convert", {}, {FromInput(0)}});
  network.inputs = {shape};
  network.outputs = {to.shape()};
  network.output_nodes = {0};
  auto program =
      Program::Create(bench->device(), bench->kernels(), std::move(network), {{}}, {}).value();
  const ForeignBuffer foreign{from->buffer(), false};
  const BoundFrame source{AllPlanesIn(from->buffer()), from->serial()};
  const BoundFrame target{AllPlanesIn(into->buffer()), into->serial()};
  const NoNumbers numbers;
  Program::Recording* const recording = program
                                            ->Prepare(std::span(&source, 1), std::span(&target, 1),
                                                      std::span(&foreign, 1), 0, numbers)
                                            .value();
  program->Submitted(*recording, bench->queue().Submit(Program::Commands(*recording), 0).value());
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

}  // namespace
}  // namespace sluice::vulkan::testing
