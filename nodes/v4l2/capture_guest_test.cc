// Capture from vivid's webcam input, /dev/video0. Runs in the test guest.

#include <gtest/gtest.h>
#include <poll.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>

#include "nodes/v4l2/camera.h"
#include "nodes/v4l2/controls.h"
#include "nodes/v4l2/enumerate.h"
#include "nodes/v4l2/queue.h"

namespace sluice::v4l2::testing {
namespace {

constexpr uint32_t kWidth = 320, kHeight = 180;

const char* NameOf(Way way) {
  return way == Way::kExport ? "Export" : way == Way::kUdmabuf ? "Udmabuf" : "Userptr";
}

class CaptureTest : public ::testing::TestWithParam<std::tuple<Way, uint32_t>> {};

// vivid's first pattern: eight bars of full colour.
constexpr Rgb kBars[8] = {{255, 255, 255}, {255, 255, 0}, {0, 255, 255}, {0, 255, 0},
                          {255, 0, 255},   {255, 0, 0},   {0, 0, 255},   {0, 0, 0}};

constexpr sluice_color kLimited601{0, 0, SLUICE_MATRIX_BT601, SLUICE_RANGE_LIMITED, 0, {}};

void ExpectBars(uint32_t fourcc, const sluice_layout& layout,
                const std::vector<std::vector<uint8_t>>& parts, const sluice_color& color) {
  Rgb last{256, 256, 256};
  for (uint32_t bar = 0; bar < 8; ++bar) {
    const Rgb seen =
        PixelAt(fourcc, layout, parts, kWidth / 16 + bar * kWidth / 8, kHeight / 2, color);
    if (fourcc == SLUICE_FORMAT_R8) {
      EXPECT_LT(seen[0], last[0]) << "bar " << bar << ": each is darker than the one before";
    } else {
      for (int c = 0; c < 3; ++c) {
        EXPECT_NEAR(seen[c], kBars[bar][c], 12) << "bar " << bar << ", component " << c;
      }
    }
    last = seen;
  }
}

TEST_P(CaptureTest, ShowsTheBarsInTheirColours) {
  const auto [way, fourcc] = GetParam();
  sluice_color color{};
  {
    NodeRunner probe(sluice_plugin, "v4l2.capture", Still());
    ASSERT_EQ(probe.Probe(), SLUICE_OK) << probe.error();
    for (const auto& offer : probe.offers()) {
      if (std::find(offer.fourccs.begin(), offer.fourccs.end(), fourcc) != offer.fourccs.end()) {
        color = offer.offer.color;
      }
    }
    ASSERT_NE(color.range, 0) << "no offer with this format";
  }
  Camera camera(way, MakeFormat(fourcc, kWidth, kHeight));
  ASSERT_EQ(camera.code, SLUICE_OK) << camera.runner.error();
  HeldFrame frame = camera.Next();
  ASSERT_TRUE(frame) << camera.runner.error();
  ExpectBars(fourcc, frame.frame()->pool->layout(), camera.Pixels(frame), color);
  EXPECT_TRUE(camera.runner.copies().empty());
  EXPECT_TRUE(camera.runner.violations().empty());
}

INSTANTIATE_TEST_SUITE_P(
    Ways, CaptureTest,
    ::testing::Combine(::testing::Values(Way::kExport, Way::kUdmabuf, Way::kUserptr),
                       ::testing::Values(SLUICE_FORMAT_YUYV, SLUICE_FORMAT_UYVY, SLUICE_FORMAT_NV12,
                                         SLUICE_FORMAT_NV21, SLUICE_FORMAT_NV16, SLUICE_FORMAT_YU12,
                                         SLUICE_FORMAT_R8, SLUICE_FORMAT_XR24, SLUICE_FORMAT_AR24,
                                         SLUICE_FORMAT_XB24, SLUICE_FORMAT_AB24, SLUICE_FORMAT_BG24,
                                         SLUICE_FORMAT_RG24, SLUICE_FORMAT_RG16)),
    [](const auto& test) {
      return NameOf(std::get<0>(test.param)) + FourccText(std::get<1>(test.param));
    });

// --- The multi-planar API
// --------------------------------------------------------------------------

/// The second vivid: its driver speaks the multi-planar API alone.
constexpr const char* kMultiplanar = "platform:vivid-001";

class MultiplanarTest : public ::testing::TestWithParam<std::tuple<Way, uint32_t>> {};

TEST_P(MultiplanarTest, ShowsTheSameBars) {
  const auto [way, fourcc] = GetParam();
  Camera camera(way, MakeFormat(fourcc, kWidth, kHeight, {0, 0}), Still("", kMultiplanar));
  ASSERT_EQ(camera.code, SLUICE_OK) << camera.runner.error();
  HeldFrame frame = camera.Next();
  ASSERT_TRUE(frame) << camera.runner.error();
  ExpectBars(fourcc, frame.frame()->pool->layout(), camera.Pixels(frame), kLimited601);
}

INSTANTIATE_TEST_SUITE_P(
    Ways, MultiplanarTest,
    ::testing::Combine(::testing::Values(Way::kExport, Way::kUdmabuf, Way::kUserptr),
                       ::testing::Values(SLUICE_FORMAT_YUYV, SLUICE_FORMAT_NV12,
                                         SLUICE_FORMAT_XR24)),
    [](const auto& test) {
      return NameOf(std::get<0>(test.param)) + FourccText(std::get<1>(test.param));
    });

TEST(MultiplanarPartsTest, APlaneThatMustBeAlignedGetsABufferOfItsOwn) {
  for (const uint32_t fourcc : {SLUICE_FORMAT_NV12, SLUICE_FORMAT_NV21, SLUICE_FORMAT_YU12}) {
    SCOPED_TRACE(FourccText(fourcc));
    NodeRunner runner(sluice_plugin, "v4l2.capture", Still("", kMultiplanar));
    ASSERT_EQ(runner.Probe(), SLUICE_OK) << runner.error();
    OwnBuffers own;
    sluice_pool_request request =
        OwnBuffers::Request(MakeFormat(fourcc, kWidth, kHeight, {0, 0}), 4);
    request.offset_multiple = 65536;  // behind 320x180 bytes of luma there is no such place
    ASSERT_EQ(own.Make(runner, SLUICE_PORT_OUTPUT, request), SLUICE_OK) << runner.error();
    EXPECT_EQ(own.layout().part_count, fourcc == SLUICE_FORMAT_YU12 ? 3u : 2u);
    EXPECT_EQ(own.layout().planes[1].part, 1u);
    EXPECT_EQ(own.layout().planes[1].offset, 0u);
    PortSpec out;
    out.format = request.format;
    out.dynamic = true;
    out.views = SLUICE_VIEW_DMABUF;
    out.layout = own.layout();
    runner.Output("out", out);
    ASSERT_EQ(runner.Configure(), SLUICE_OK) << runner.error();
    ASSERT_EQ(runner.Start(), SLUICE_OK);
    for (int i = 0; i < 20 && runner.emitted() == 0; ++i) {
      ASSERT_GE(runner.Step(), 0) << runner.error();
      if (runner.emitted() == 0) runner.WaitForFd(1000);
    }
    HeldFrame frame = runner.Take();
    ASSERT_TRUE(frame);
    ExpectBars(fourcc, own.layout(), own.Read(frame.BufferId().index), kLimited601);
    frame.Release();
    runner.Stop(false);
    runner.Destroy();
  }
}

// --- Times and sequence
// ---------------------------------------------------------------------------

constexpr sluice_rate kFast{60, 1};

sluice_format Small() { return MakeFormat(SLUICE_FORMAT_YUYV, kWidth, kHeight, kFast); }

bool Has(const std::vector<std::string>& texts, const char* part) {
  return std::any_of(texts.begin(), texts.end(), [part](const std::string& text) {
    return text.find(part) != std::string::npos;
  });
}

TEST(CaptureRunTest, TimesAreTheKernelsAndTheFirstFrameIsAtZero) {
  Camera camera(Way::kExport, Small());
  ASSERT_EQ(camera.code, SLUICE_OK) << camera.runner.error();
  int64_t last_pts = -1;
  for (uint64_t i = 0; i < 6; ++i) {
    HeldFrame frame = camera.Next();
    ASSERT_TRUE(frame) << camera.runner.error();
    const sluice_frame_info& info = frame.Info();
    if (i == 0) {
      EXPECT_EQ(info.pts_ns, 0);
    }
    EXPECT_GT(info.pts_ns, last_pts);
    last_pts = info.pts_ns;
    EXPECT_GT(info.captured_ns, 0);
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    // vivid's end of a frame lies one frame ahead of the moment at which it gives it out.
    const int64_t late = now.tv_sec * 1'000'000'000 + now.tv_nsec - info.captured_ns;
    EXPECT_LT(std::abs(late), 1'000'000'000);
    EXPECT_EQ(info.duration_ns, 16'666'666);
    EXPECT_EQ(info.crop_width, kWidth);
    EXPECT_EQ(info.bytes_used, 0u);
  }
  EXPECT_TRUE(Has(camera.runner.notes(), "when their last line has arrived"));
}

TEST(CaptureRunTest, FramesThatTheDriverDropsAreGapsAndCounted) {
  Camera camera(Way::kExport, Small(), Still(R"(, "percentage_of_dropped_buffers": 50)"));
  ASSERT_EQ(camera.code, SLUICE_OK) << camera.runner.error();
  uint64_t last = 0, lost = 0;
  for (int i = 0; i < 30; ++i) {
    HeldFrame frame = camera.Next();
    ASSERT_TRUE(frame) << camera.runner.error();
    if (i > 0) lost += frame.Info().sequence - last - 1;
    last = frame.Info().sequence;
  }
  uint64_t counted = 0;
  for (const auto& drop : camera.runner.drops()) {
    EXPECT_EQ(drop.port, "out");
    EXPECT_EQ(drop.reason, "lost by the driver");
    counted += drop.frames;
  }
  EXPECT_GT(lost, 0u);
  EXPECT_EQ(counted, lost);
  NodeRunner reset(sluice_plugin, "v4l2.capture", Still(R"(, "percentage_of_dropped_buffers": 0)"));
  EXPECT_EQ(reset.Probe(), SLUICE_OK) << reset.error();
}

TEST(CaptureRunTest, ADriverWithoutABufferLosesFramesAndGoesOn) {
  Camera camera(Way::kExport, Small());
  ASSERT_EQ(camera.code, SLUICE_OK) << camera.runner.error();
  // Whoever holds every buffer starves the camera; the first one that comes back feeds it again.
  std::vector<HeldFrame> held;
  for (int i = 0; i < 6; ++i) {
    held.push_back(camera.Next());
    ASSERT_TRUE(held.back()) << camera.runner.error();
  }
  const uint64_t before = held.back().Info().sequence;
  EXPECT_EQ(camera.runner.Step(), SLUICE_PROCESS_NEED_MORE);
  // Nothing is awaited but time, in which the camera goes on: a few frames of it.
  poll(nullptr, 0, 300);
  EXPECT_EQ(camera.runner.Step(), SLUICE_PROCESS_NEED_MORE);
  EXPECT_EQ(camera.runner.emitted(), 0u);
  held.clear();
  HeldFrame frame = camera.Next();
  ASSERT_TRUE(frame) << camera.runner.error();
  EXPECT_GT(frame.Info().sequence, before + 1);
  EXPECT_FALSE(camera.runner.drops().empty());
}

TEST(CaptureRunTest, ADamagedFrameIsMarked) {
  Camera camera(Way::kExport, Small());
  ASSERT_EQ(camera.code, SLUICE_OK) << camera.runner.error();
  ASSERT_TRUE(camera.Next());
  sluice_param param{"controls", SLUICE_VALUE_MAP, 1, 0, 0, R"({"inject_v4l2_buf_flag_error": 1})"};
  ASSERT_EQ(camera.runner.SetParam(param), SLUICE_OK) << camera.runner.error();
  bool marked = false;
  for (int i = 0; i < 20 && !marked; ++i) {
    HeldFrame frame = camera.Next();
    ASSERT_TRUE(frame) << camera.runner.error();
    marked = (frame.Info().flags & SLUICE_FRAME_CORRUPT) != 0;
  }
  EXPECT_TRUE(marked);
}

TEST(CaptureRunTest, AStreamThatBreaksOffIsAnError) {
  Camera camera(Way::kExport, Small());
  ASSERT_EQ(camera.code, SLUICE_OK) << camera.runner.error();
  ASSERT_TRUE(camera.Next());
  sluice_param param{
      "controls", SLUICE_VALUE_MAP, 1, 0, 0, R"({"inject_fatal_streaming_error": 1})"};
  ASSERT_EQ(camera.runner.SetParam(param), SLUICE_OK) << camera.runner.error();
  for (int i = 0; i < 20 && camera.result >= 0; ++i) camera.Next();
  EXPECT_EQ(camera.result, SLUICE_E_IO);
  EXPECT_NE(camera.runner.error().find("/dev/video0"), std::string::npos);
}

TEST(CaptureRunTest, TheLastFrameThatWasAskedForEndsIt) {
  Camera camera(Way::kExport, Small(), Still().Int("frames", 3));
  ASSERT_EQ(camera.code, SLUICE_OK) << camera.runner.error();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(camera.Next()) << i;
  EXPECT_FALSE(camera.Next());
  EXPECT_EQ(camera.result, SLUICE_PROCESS_END);
}

TEST(CaptureRunTest, ACameraThatSendsNothingTimesOut) {
  Camera camera(
      Way::kExport, Small(),
      Still(R"(, "percentage_of_dropped_buffers": 100)").DurationNs("timeout", 300'000'000));
  ASSERT_EQ(camera.code, SLUICE_OK) << camera.runner.error();
  int32_t result = camera.runner.Step();
  for (int i = 0; i < 20 && result == SLUICE_PROCESS_NEED_MORE; ++i) {
    camera.runner.WaitForFd(100);
    result = camera.runner.Step();
  }
  EXPECT_EQ(result, SLUICE_E_TIMEOUT);
  NodeRunner reset(sluice_plugin, "v4l2.capture", Still(R"(, "percentage_of_dropped_buffers": 0)"));
  EXPECT_EQ(reset.Probe(), SLUICE_OK) << reset.error();
}

TEST(CaptureRunTest, AThousandFramesLeaveTheNumberOfFdsAlone) {
  for (const Way way : {Way::kExport, Way::kUdmabuf}) {
    Camera camera(way, Small());
    ASSERT_EQ(camera.code, SLUICE_OK) << camera.runner.error();
    {
      // All buffers once: the test's host makes the dma-buf of each when it is first asked for.
      std::vector<HeldFrame> held;
      for (int i = 0; i < 6; ++i) {
        held.push_back(camera.Next());
        ASSERT_TRUE(held.back()) << camera.runner.error();
      }
    }
    const int fds = CountFds();
    for (int i = 0; i < 500; ++i) ASSERT_TRUE(camera.Next()) << camera.runner.error();
    EXPECT_EQ(CountFds(), fds);
    EXPECT_TRUE(camera.runner.copies().empty());
    EXPECT_TRUE(camera.runner.violations().empty());
  }
}

TEST(CaptureRunTest, FullHdFits) {
  Camera camera(Way::kExport, MakeFormat(SLUICE_FORMAT_NV12, 1920, 1080, {0, 0}));
  ASSERT_EQ(camera.code, SLUICE_OK) << camera.runner.error();
  for (int i = 0; i < 5; ++i) {
    HeldFrame frame = camera.Next();
    ASSERT_TRUE(frame) << camera.runner.error();
    const Rgb white = PixelAt(SLUICE_FORMAT_NV12, camera.own.layout(), camera.Pixels(frame), 60,
                              1079, kLimited601);
    for (const int component : white) EXPECT_NEAR(component, 255, 12);
  }
}

// --- Memory
// ---------------------------------------------------------------------------------------

TEST(CaptureMemoryTest, MakesTheStrideThatTheOthersDemand) {
  NodeRunner runner(sluice_plugin, "v4l2.capture", Still());
  OwnBuffers own;
  sluice_pool_request request =
      OwnBuffers::Request(MakeFormat(SLUICE_FORMAT_YU12, kWidth, kHeight, {0, 0}), 4);
  request.stride_multiple = 256;
  ASSERT_EQ(own.Make(runner, SLUICE_PORT_OUTPUT, request), SLUICE_OK) << runner.error();
  ASSERT_EQ(own.buffers().size(), 4u);
  EXPECT_EQ(own.layout().planes[0].stride, 512u);
  EXPECT_EQ(own.layout().planes[1].stride, 256u);
  EXPECT_EQ(own.layout().part_count, 1u);
  const int fd = own.buffers()[0].memory.parts[0].fd;
  EXPECT_EQ(static_cast<uint64_t>(lseek(fd, 0, SEEK_END)), own.layout().size);
  EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
}

TEST(CaptureMemoryTest, RefusesWhatTheDriverCannotDoWithTheNumbers) {
  NodeRunner runner(sluice_plugin, "v4l2.capture", Still());
  sluice_pool_request request = OwnBuffers::Request(Small(), 4);
  request.base_multiple = 65536;
  {
    OwnBuffers own;
    EXPECT_EQ(own.Make(runner, SLUICE_PORT_OUTPUT, request), SLUICE_E_UNSUPPORTED);
    EXPECT_NE(runner.error().find("65536"), std::string::npos) << runner.error();
  }
  request.base_multiple = 1;
  request.tail_bytes = 1 << 20;
  {
    OwnBuffers own;
    EXPECT_EQ(own.Make(runner, SLUICE_PORT_OUTPUT, request), SLUICE_E_UNSUPPORTED);
    EXPECT_NE(runner.error().find("buffer 0, part 0"), std::string::npos) << runner.error();
  }
  request.tail_bytes = 0;
  request.format.width = 321;
  OwnBuffers own;
  EXPECT_EQ(own.Make(runner, SLUICE_PORT_OUTPUT, request), SLUICE_E_UNSUPPORTED);
  EXPECT_NE(runner.error().find("321x180"), std::string::npos) << runner.error();
}

TEST(CaptureMemoryTest, AMemfdIsNoDmabuf) {
  NodeRunner runner(sluice_plugin, "v4l2.capture", Still());
  PortSpec out;
  out.format = Small();
  out.layout = Camera::Contiguous(out.format);
  out.dynamic = true;
  out.views = SLUICE_VIEW_DMABUF;
  runner.Output("out", out);
  ASSERT_EQ(runner.Configure(), SLUICE_OK) << runner.error();
  const auto* importer = static_cast<const sluice_importer*>(
      runner.node().get_extension(runner.node().self, SLUICE_IMPORTER_ID));
  ASSERT_NE(importer, nullptr);
  FakeFrame* frame = nullptr;
  {
    const std::lock_guard lock(runner.host().mutex());
    frame = runner.output_pool(0)->TakeBuffer(sdk::testing::Holder::kHost);
  }
  const HeldFrame held(frame);
  frame->buffer->dmabuf = fcntl(frame->buffer->fd, F_DUPFD_CLOEXEC, 0);
  EXPECT_EQ(importer->test(runner.node().self, SLUICE_PORT_OUTPUT, 0, frame->c()),
            SLUICE_E_UNSUPPORTED);
  EXPECT_NE(runner.error().find("DMABUF"), std::string::npos) << runner.error();
}

TEST(CaptureMemoryTest, AnImportThatWorksLeavesTheDeviceReadyToStream) {
  Camera camera(Way::kUdmabuf, Small());
  ASSERT_EQ(camera.code, SLUICE_OK) << camera.runner.error();
  camera.runner.Stop(false);
  ASSERT_EQ(camera.runner.Configure(), SLUICE_OK) << camera.runner.error();
  const auto* importer = static_cast<const sluice_importer*>(
      camera.runner.node().get_extension(camera.runner.node().self, SLUICE_IMPORTER_ID));
  {
    FakeFrame* frame = nullptr;
    {
      const std::lock_guard lock(camera.runner.host().mutex());
      frame = camera.runner.output_pool(0)->TakeBuffer(sdk::testing::Holder::kHost);
    }
    const HeldFrame held(frame);
    EXPECT_EQ(importer->test(camera.runner.node().self, SLUICE_PORT_OUTPUT, 0, frame->c()),
              SLUICE_OK)
        << camera.runner.error();
  }
  ASSERT_EQ(camera.runner.Start(), SLUICE_OK);
  EXPECT_TRUE(camera.Next()) << camera.runner.error();
}

TEST(CaptureMemoryTest, ItsBuffersOutliveTheRenegotiationOfAnotherNode) {
  for (const Way way : {Way::kExport, Way::kUdmabuf, Way::kUserptr}) {
    SCOPED_TRACE(NameOf(way));
    Camera camera(way, Small());
    ASSERT_EQ(camera.code, SLUICE_OK) << camera.runner.error();
    ASSERT_TRUE(camera.Next()) << camera.runner.error();
    const uint32_t lent = camera.runner.Leaked();
    ASSERT_GT(lent, 0u);
    ASSERT_EQ(camera.runner.Probe(), SLUICE_OK) << camera.runner.error();
    EXPECT_EQ(camera.runner.offers()[0].offer.allocates, SLUICE_VIEW_DMABUF | SLUICE_VIEW_CPU);
    EXPECT_EQ(camera.runner.Leaked(), lent);
    for (int i = 0; i < 8; ++i) ASSERT_TRUE(camera.Next()) << camera.runner.error();
  }
}

/// The host goes over to a pool of its own that looks like the node's.
TEST(CaptureMemoryTest, BuffersThatOnlyLookLikeItsOwnAreRefused) {
  Camera camera(Way::kExport, Small());
  ASSERT_EQ(camera.code, SLUICE_OK) << camera.runner.error();
  ASSERT_TRUE(camera.Next()) << camera.runner.error();
  camera.runner.Stop(false);
  ASSERT_EQ(camera.runner.Configure(), SLUICE_OK) << camera.runner.error();
  const auto* importer = static_cast<const sluice_importer*>(
      camera.runner.node().get_extension(camera.runner.node().self, SLUICE_IMPORTER_ID));
  {
    FakeFrame* frame = nullptr;
    {
      const std::lock_guard lock(camera.runner.host().mutex());
      frame = camera.runner.output_pool(0)->TakeBuffer(sdk::testing::Holder::kHost);
    }
    const HeldFrame held(frame);
    EXPECT_EQ(importer->test(camera.runner.node().self, SLUICE_PORT_OUTPUT, 0, frame->c()),
              SLUICE_E_UNSUPPORTED);
    EXPECT_NE(camera.runner.error().find("pool 2 of epoch 2"), std::string::npos)
        << camera.runner.error();
  }
  ASSERT_EQ(camera.runner.Start(), SLUICE_OK);
  EXPECT_EQ(camera.runner.Step(), SLUICE_E_INTERNAL);
}

TEST(CaptureMemoryTest, ForeignBuffersAreWrittenInTheirOwnStride) {
  NodeRunner runner(sluice_plugin, "v4l2.capture", Still());
  PortSpec out;
  out.format = MakeFormat(SLUICE_FORMAT_NV12, kWidth, kHeight, {0, 0});
  out.dynamic = true;
  out.views = SLUICE_VIEW_SHM;
  out.layout = sdk::testing::MakeLayout(out.format, 1024);
  runner.Output("out", out);
  ASSERT_EQ(runner.Configure(), SLUICE_OK) << runner.error();
  out.layout.planes[1].offset += 4096;
  out.layout.size += 4096;
  runner.SetLayout(SLUICE_PORT_OUTPUT, 0, out.layout);
  EXPECT_EQ(runner.Configure(), SLUICE_E_UNSUPPORTED);
  EXPECT_NE(runner.error().find("plane 1"), std::string::npos) << runner.error();
  EXPECT_NE(runner.error().find("188416"), std::string::npos) << runner.error();
}

TEST(CaptureMemoryTest, ADeviceThatSomebodyUsesIsBusy) {
  Camera camera(Way::kExport, Small());
  ASSERT_EQ(camera.code, SLUICE_OK) << camera.runner.error();
  NodeRunner other(sluice_plugin, "v4l2.capture", Still());
  OwnBuffers own;
  EXPECT_EQ(own.Make(other, SLUICE_PORT_OUTPUT, OwnBuffers::Request(Small(), 4)),
            SLUICE_E_RESOURCE_EXHAUSTED);
  EXPECT_NE(other.error().find("another program"), std::string::npos) << other.error();
}

// --- Finding, offers, controls
// --------------------------------------------------------------------

TEST(CaptureOffersTest, SizesRatesAndKindsOfMemoryAreAskedOfTheDevice) {
  NodeRunner runner(sluice_plugin, "v4l2.capture", Still());
  ASSERT_EQ(runner.Probe(), SLUICE_OK) << runner.error();
  ASSERT_FALSE(runner.offers().empty());
  EXPECT_LE(runner.offers().size(), kMaxGroups * 3);
  const auto& first = runner.offers()[0].offer;
  EXPECT_EQ(first.width_max, 1920u);
  EXPECT_EQ(first.height_max, 1080u);
  EXPECT_EQ(first.allocates, SLUICE_VIEW_DMABUF | SLUICE_VIEW_CPU);
  EXPECT_EQ(runner.offers()[1].offer.views, SLUICE_VIEW_DMABUF);
  EXPECT_EQ(runner.offers()[1].offer.allocates, 0u);
  EXPECT_EQ(runner.offers()[2].offer.views, SLUICE_VIEW_SHM);
  NodeRunner narrowed(sluice_plugin, "v4l2.capture",
                      Still().Size("size", 640, 360).Rate("rate", 25, 1).String("format", "NV12"));
  ASSERT_EQ(narrowed.Probe(), SLUICE_OK) << narrowed.error();
  EXPECT_EQ(narrowed.offers().size(), 3u);
  NodeRunner none(sluice_plugin, "v4l2.capture", Still().Size("size", 641, 360));
  EXPECT_EQ(none.Probe(), SLUICE_E_UNSUPPORTED);
  EXPECT_NE(none.error().find("641x360"), std::string::npos) << none.error();
}

TEST(CaptureOffersTest, SharedMemoryIsOfferedWhereTheDriverTakesIt) {
  bool takes = false;
  {
    const auto device = Device::Open("/dev/video0", Direction::kCapture);
    ASSERT_TRUE(device.ok());
    takes = Queue::Supports(**device, MemoryKind::kUserptr);
  }
  NodeRunner runner(sluice_plugin, "v4l2.capture", Still());
  ASSERT_EQ(runner.Probe(), SLUICE_OK) << runner.error();
  const bool offered = std::any_of(
      runner.offers().begin(), runner.offers().end(),
      [](const auto& recorded) { return (recorded.offer.views & SLUICE_VIEW_SHM) != 0; });
  EXPECT_EQ(offered, takes);
}

TEST(CaptureOffersTest, ADeviceIsFoundByNodeCardAndBus) {
  for (const char* name : {"video0", "vivid", "platform:vivid-000", "/dev/video0"}) {
    NodeRunner runner(sluice_plugin, "v4l2.capture", Parameters().String("device", name));
    EXPECT_EQ(runner.Probe(), SLUICE_OK) << name << ": " << runner.error();
  }
  NodeRunner first(sluice_plugin, "v4l2.capture", Parameters());
  EXPECT_EQ(first.Probe(), SLUICE_OK) << first.error();
  NodeRunner other(sluice_plugin, "v4l2.capture", Parameters().String("device", "webcam"));
  EXPECT_EQ(other.Probe(), SLUICE_E_NOT_FOUND);
  EXPECT_NE(other.error().find("/dev/video0 (vivid, platform:vivid-000)"), std::string::npos)
      << other.error();
  NodeRunner output(sluice_plugin, "v4l2.capture", Parameters().String("device", "/dev/video1"));
  EXPECT_EQ(output.Probe(), SLUICE_E_UNSUPPORTED);
}

TEST(CaptureOffersTest, AnInputThatIsNotThereIsNamedWithThoseThatAre) {
  NodeRunner runner(sluice_plugin, "v4l2.capture", Parameters().String("input", "Scart"));
  EXPECT_EQ(runner.Probe(), SLUICE_E_NOT_FOUND);
  EXPECT_NE(runner.error().find("Webcam 000-0"), std::string::npos) << runner.error();
}

TEST(CaptureControlsTest, AreSetWhileItRuns) {
  Camera camera(Way::kExport, Small());
  ASSERT_EQ(camera.code, SLUICE_OK) << camera.runner.error();
  ASSERT_TRUE(camera.Next());
  const auto set = [&](const char* json) {
    return camera.runner.SetParam({"controls", SLUICE_VALUE_MAP, 1, 0, 0, json});
  };
  EXPECT_EQ(set(R"({"brightness": 200, "string": "abc", "integer_64_bits": 5000000000})"),
            SLUICE_OK)
      << camera.runner.error();
  const auto device = Device::Open("/dev/video0", Direction::kCapture);
  EXPECT_EQ(GetControl(**device, V4L2_CID_BRIGHTNESS, -1), 200);
  EXPECT_EQ(set(R"({"brightness": 128})"), SLUICE_OK);
  EXPECT_EQ(set(R"({"brightness": 256})"), SLUICE_E_INVALID_ARGUMENT);
  EXPECT_NE(camera.runner.error().find("0 to 255"), std::string::npos);
  EXPECT_EQ(set(R"({"zoom": 1})"), SLUICE_E_NOT_FOUND);
  EXPECT_NE(camera.runner.error().find("brightness"), std::string::npos);
  EXPECT_EQ(set(R"({"test_pattern": "Plaid"})"), SLUICE_E_INVALID_ARGUMENT);
  EXPECT_NE(camera.runner.error().find("100% Colorbar"), std::string::npos);
  EXPECT_TRUE(camera.Next());
}

}  // namespace
}  // namespace sluice::v4l2::testing
