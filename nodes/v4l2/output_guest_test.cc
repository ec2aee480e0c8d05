// Output by vivid's HDMI output, /dev/video1, and what its HDMI input, /dev/video0, then sees.
// Runs in the test guest; its vivid has the two connected.

#include <gtest/gtest.h>
#include <poll.h>

#include <cstring>

#include "nodes/v4l2/camera.h"
#include "nodes/v4l2/controls.h"
#include "nodes/v4l2/source_input.h"

namespace sluice::v4l2::testing {
namespace {

constexpr uint32_t kWidth = 1280, kHeight = 720;

/// Dark rows, and bright ones further down with each `step`.
void Paint(uint8_t* base, const sluice_layout& layout, int step) {
  for (uint32_t y = 0; y < kHeight; ++y) {
    std::memset(base + y * layout.planes[0].stride,
                y < 32u * static_cast<uint32_t>(step) ? 0x40 : 0xc0, kWidth * 2);
  }
}

/// An output that is fed by the test.
class Output {
 public:
  explicit Output(Way way, uint32_t buffers = 6)
      : way_(way),
        runner(sluice_plugin, "v4l2.output",
               Parameters().String("device", "/dev/video1").String("output", "HDMI 000-0")) {
    PortSpec in;
    in.format = MakeFormat(SLUICE_FORMAT_YUYV, kWidth, kHeight, {0, 0});
    in.buffers = buffers;
    in.views = way == Way::kUserptr ? SLUICE_VIEW_SHM | SLUICE_VIEW_CPU : SLUICE_VIEW_DMABUF;
    code = runner.Probe();
    if (code < 0) return;
    if (way == Way::kExport) {
      code = own.Make(runner, SLUICE_PORT_INPUT, OwnBuffers::Request(in.format, buffers));
      if (code < 0) return;
      in.layout = own.layout();
    } else {
      in.layout = Camera::Contiguous(in.format);
    }
    runner.Input("in", in);
    code = runner.Configure();
    if (code >= 0) code = runner.Start();
  }
  ~Output() {
    runner.Stop(false);
    runner.Destroy();
  }

  /// Sends a picture, when a buffer is free: waits for one.
  int32_t Send(int step) {
    for (int i = 0; i < 100; ++i) {
      if (HeldFrame frame = runner.NewFrame()) {
        uint8_t* base =
            way_ == Way::kExport ? own.map(frame.BufferId().index).data() : frame.Row(0, 0);
        Paint(base, frame.frame()->pool->layout(), step);
        return runner.Push(std::move(frame));
      }
      if (!runner.WaitForFd(3000)) return SLUICE_E_TIMEOUT;
      if (const int32_t stepped = runner.Step(); stepped < 0) return stepped;
    }
    return SLUICE_E_TIMEOUT;
  }

 private:
  Way way_;

 public:
  OwnBuffers own;
  NodeRunner runner;
  int32_t code = SLUICE_OK;
};

class OutputTest : public ::testing::TestWithParam<Way> {};

TEST_P(OutputTest, KeepsFramesUntilTheDeviceIsDoneWithThem) {
  Output output(GetParam());
  ASSERT_EQ(output.code, SLUICE_OK) << output.runner.error();
  for (int i = 0; i < 20; ++i) ASSERT_GE(output.Send(i), 0) << output.runner.error();
  EXPECT_GT(output.runner.Leaked(), 0u) << "some are in the device";
  EXPECT_EQ(output.runner.Drain(1), SLUICE_PROCESS_NEED_MORE);
  int32_t result = SLUICE_PROCESS_NEED_MORE;
  for (int i = 0; i < 200 && result == SLUICE_PROCESS_NEED_MORE; ++i) {
    output.runner.WaitForFd(50);
    result = output.runner.Step();
  }
  EXPECT_EQ(result, SLUICE_PROCESS_END);
  output.runner.Stop();
  EXPECT_EQ(output.runner.Leaked(), 0u);
  EXPECT_TRUE(output.runner.copies().empty());
  EXPECT_TRUE(output.runner.violations().empty());
}

TEST_P(OutputTest, ItsBuffersOutliveTheRenegotiationOfAnotherNode) {
  Output output(GetParam());
  ASSERT_EQ(output.code, SLUICE_OK) << output.runner.error();
  // Before its first frame nothing streams, and the driver would let the buffers go.
  ASSERT_EQ(output.runner.Probe(), SLUICE_OK) << output.runner.error();
  for (int i = 0; i < 8; ++i) ASSERT_GE(output.Send(i), 0) << output.runner.error();
  ASSERT_EQ(output.runner.Probe(), SLUICE_OK) << output.runner.error();
  for (int i = 0; i < 8; ++i) ASSERT_GE(output.Send(i), 0) << output.runner.error();
}

TEST_P(OutputTest, DoesNotWakeItsHostWhileNothingIsDone) {
  Output output(GetParam());
  ASSERT_EQ(output.code, SLUICE_OK) << output.runner.error();
  for (int i = 0; i < 3; ++i) ASSERT_GE(output.Send(i), 0) << output.runner.error();
  // The device goes through what it has, keeps the last, and is silent.
  int wakes = 0;
  while (wakes < 100 && output.runner.WaitForFd(500)) {
    ++wakes;
    ASSERT_GE(output.runner.Step(), 0) << output.runner.error();
  }
  EXPECT_LT(wakes, 20);
}

TEST_P(OutputTest, WhatItSendsIsWhatTheOtherEndCaptures) {
  Output output(GetParam());
  ASSERT_EQ(output.code, SLUICE_OK) << output.runner.error();
  for (int i = 0; i < 4; ++i) ASSERT_GE(output.Send(i), 0) << output.runner.error();
  Camera camera(
      Way::kExport, MakeFormat(SLUICE_FORMAT_YUYV, kWidth, kHeight, {0, 0}),
      Parameters()
          .String("device", "/dev/video0")
          .String("input", "HDMI 000-0")
          .Map("controls", R"({"osd_text_mode": "None", "hdmi_000_0_is_connected_to": 2})"));
  ASSERT_EQ(camera.code, SLUICE_OK) << camera.runner.error();
  bool seen = false;
  for (int i = 0; i < 12 && !seen; ++i) {
    ASSERT_GE(output.Send(11), 0) << output.runner.error();
    HeldFrame frame = camera.Next();
    ASSERT_TRUE(frame) << camera.runner.error();
    const auto parts = camera.Pixels(frame);
    const uint64_t stride = camera.own.layout().planes[0].stride;
    seen = parts[0][stride * 100] == 0x40 && parts[0][stride * 340 + 500] == 0x40 &&
           parts[0][stride * 360] == 0xc0 && parts[0][stride * 719 + 1000] == 0xc0;
  }
  EXPECT_TRUE(seen) << "352 dark rows, then bright ones";
}

INSTANTIATE_TEST_SUITE_P(Ways, OutputTest,
                         ::testing::Values(Way::kExport, Way::kUdmabuf, Way::kUserptr),
                         [](const auto& test) {
                           return std::string(test.param == Way::kExport    ? "Export"
                                              : test.param == Way::kUdmabuf ? "Udmabuf"
                                                                            : "Userptr");
                         });

TEST(OutputOffersTest, ADeviceThatCapturesIsNoOutput) {
  NodeRunner runner(sluice_plugin, "v4l2.output", Parameters().String("device", "/dev/video0"));
  EXPECT_EQ(runner.Probe(), SLUICE_E_UNSUPPORTED);
  NodeRunner first(sluice_plugin, "v4l2.output", Parameters());
  EXPECT_EQ(first.Probe(), SLUICE_OK) << first.error();
  EXPECT_FALSE(first.offers().empty());
}

// --- The sender changes its mind
// --------------------------------------------------------------------

/// Puts the timings back that were set before, for the other tests.
class SavedTimings {
 public:
  explicit SavedTimings(const Device& device) : device_(device) {
    device_.Ioctl(VIDIOC_G_DV_TIMINGS, &timings_);
  }
  ~SavedTimings() { EXPECT_EQ(device_.Ioctl(VIDIOC_S_DV_TIMINGS, &timings_), 0); }

 private:
  const Device& device_;
  v4l2_dv_timings timings_{};
};

TEST(SourceChangeTest, NewTimingsOfTheSenderAreNegotiatedAnew) {
  Parameters hdmi = Parameters()
                        .String("device", "/dev/video0")
                        .String("input", "HDMI 000-0")
                        .Map("controls", R"({"hdmi_000_0_is_connected_to": 0})");
  const auto device = Device::Open("/dev/video0", Direction::kCapture);
  ASSERT_TRUE(device.ok());
  ASSERT_TRUE(SelectInput(**device, "HDMI 000-0").ok());
  const SavedTimings saved(**device);
  Camera camera(Way::kExport, MakeFormat(SLUICE_FORMAT_YUYV, kWidth, kHeight, {0, 0}), hdmi);
  ASSERT_EQ(camera.code, SLUICE_OK) << camera.runner.error();
  ASSERT_TRUE(camera.Next()) << camera.runner.error();
  const auto set = [&](const char* json) {
    return camera.runner.SetParam({"controls", SLUICE_VALUE_MAP, 1, 0, 0, json});
  };
  std::string other;
  for (const Control& control : ListControls(**device)) {
    if (control.name != "dv_timings") continue;
    for (const auto& [name, index] : control.menu) {
      if (name.find("1920x1080p60") != std::string::npos) other = name;
    }
  }
  ASSERT_FALSE(other.empty());
  ASSERT_EQ(
      set(("{\"dv_timings\": \"" + other + R"(", "dv_timings_signal_mode": "Selected DV Timings"})")
              .c_str()),
      SLUICE_OK)
      << camera.runner.error();
  for (int i = 0; i < 20 && camera.runner.renegotiations() == 0; ++i) {
    camera.runner.WaitForFd(500);
    ASSERT_GE(camera.runner.Step(), 0) << camera.runner.error();
  }
  ASSERT_EQ(camera.runner.renegotiations(), 1u);
  while (camera.runner.Take()) {
  }
  ASSERT_EQ(camera.runner.Probe(), SLUICE_OK) << camera.runner.error();
  ASSERT_FALSE(camera.runner.offers().empty());
  EXPECT_EQ(camera.runner.offers()[0].offer.width_max, 1920u);
  OwnBuffers larger;
  sluice_pool_request request =
      OwnBuffers::Request(MakeFormat(SLUICE_FORMAT_YUYV, 1920, 1080, {0, 0}), 6);
  request.pool = request.epoch = 2;
  ASSERT_EQ(larger.Make(camera.runner, SLUICE_PORT_OUTPUT, request), SLUICE_OK)
      << camera.runner.error();
  camera.runner.SetFormat(SLUICE_PORT_OUTPUT, 0, request.format);
  camera.runner.SetLayout(SLUICE_PORT_OUTPUT, 0, larger.layout());
  ASSERT_EQ(camera.runner.Reconfigure(), SLUICE_OK) << camera.runner.error();
  for (int i = 0; i < 3; ++i) {
    HeldFrame frame = camera.Next();
    ASSERT_TRUE(frame) << camera.runner.error();
    EXPECT_EQ(frame.Info().crop_width, 1920u);
  }
  EXPECT_TRUE(camera.runner.violations().empty());
  EXPECT_EQ(set(R"({"dv_timings_signal_mode": "Current DV Timings"})"), SLUICE_OK);
}

}  // namespace
}  // namespace sluice::v4l2::testing
