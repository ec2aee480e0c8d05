#include <cmath>

#include "nodes/ffmpeg/testing.h"

namespace sluice::ffmpeg::testing {
namespace {

constexpr sluice_color kBt709Limited{SLUICE_PRIMARIES_BT709, SLUICE_TRANSFER_BT709,
                                     SLUICE_MATRIX_BT709,    SLUICE_RANGE_LIMITED,
                                     SLUICE_SITING_LEFT,     {0, 0, 0}};
constexpr sluice_color kRgb{SLUICE_PRIMARIES_BT709,
                            SLUICE_TRANSFER_BT709,
                            SLUICE_MATRIX_RGB,
                            SLUICE_RANGE_FULL,
                            0,
                            {0, 0, 0}};

sluice_format Make(uint32_t fourcc, uint32_t width, uint32_t height, const sluice_color& color) {
  sluice_format format = st::MakeFormat(fourcc, width, height);
  format.color = color;
  return format;
}

/// A frame through one conversion; `fill` writes the input's rows.
struct Conversion {
  st::NodeRunner runner;
  st::HeldFrame output;
  int32_t result = SLUICE_OK;

  template <class Fill>
  Conversion(const char* type, const sluice_format& in, const sluice_format& out, Fill fill)
      : runner(sluice_plugin, type) {
    st::PortSpec spec;
    spec.format = in;
    runner.Input("in", spec);
    spec.format = out;
    runner.Output("out", spec);
    result = runner.Configure();
    if (result >= 0) result = runner.Start();
    if (result < 0) return;
    st::HeldFrame frame = runner.NewFrame();
    frame.Info().pts_ticks = 7;
    frame.Info().sequence = 3;
    fill(frame);
    result = runner.Push(std::move(frame));
    output = runner.Take();
  }
};

TEST(ConvertNodeTest, ConvertsBt709ToTheRgbThatTheMatrixSays) {
  // Y 63, Cb 102, Cr 240: red of (255, 0, 0) in BT.709, limited range.
  Conversion conversion("ffmpeg.convert", Make(SLUICE_FORMAT_YU12, 64, 48, kBt709Limited),
                        Make(SLUICE_FORMAT_AB24, 64, 48, kRgb), [](st::HeldFrame& frame) {
                          const uint8_t values[] = {63, 102, 240};
                          int plane = 0;
                          uint64_t rows = 0;
                          SinkRun::ForEachRow(frame, [&](uint8_t* row, uint64_t bytes) {
                            std::fill_n(row, bytes, values[plane]);
                            if (++rows == (plane == 0 ? 48u : 24u)) {
                              rows = 0;
                              ++plane;
                            }
                          });
                        });
  ASSERT_EQ(conversion.result, SLUICE_PROCESS_DONE) << conversion.runner.error();
  ASSERT_TRUE(conversion.output);
  const uint8_t* pixel = conversion.output.Row(0, 20) + 20 * 4;
  EXPECT_NEAR(pixel[0], 255, 2);
  EXPECT_NEAR(pixel[1], 0, 2);
  EXPECT_NEAR(pixel[2], 0, 2);
  EXPECT_EQ(pixel[3], 255);
  EXPECT_EQ(conversion.output.Info().pts_ticks, 7);
  EXPECT_EQ(conversion.output.Info().sequence, 3u);
}

// What cameras give, and no other node reads.
TEST(ConvertNodeTest, TakesThePixelsOfCameras) {
  struct Case {
    uint32_t fourcc;
    sluice_color color;
    std::vector<uint8_t> pattern;  // of two pixels, which are red
  };
  for (const Case& one : {Case{SLUICE_FORMAT_UYVY, kBt709Limited, {102, 63, 240, 63}},
                          Case{SLUICE_FORMAT_BG24, kRgb, {255, 0, 0, 255, 0, 0}},
                          Case{SLUICE_FORMAT_RG24, kRgb, {0, 0, 255, 0, 0, 255}}}) {
    Conversion conversion("ffmpeg.convert", Make(one.fourcc, 64, 48, one.color),
                          Make(SLUICE_FORMAT_AB24, 64, 48, kRgb), [&](st::HeldFrame& frame) {
                            for (uint64_t y = 0; y < 48; ++y) {
                              for (uint64_t i = 0; i < 32 * one.pattern.size(); ++i) {
                                frame.Row(0, y)[i] = one.pattern[i % one.pattern.size()];
                              }
                            }
                          });
    ASSERT_GE(conversion.result, 0) << conversion.runner.error();
    const uint8_t* pixel = conversion.output.Row(0, 20) + 4 * 30;
    EXPECT_NEAR(pixel[0], 255, 2) << FourccName(one.fourcc);
    EXPECT_NEAR(pixel[1], 0, 2) << FourccName(one.fourcc);
    EXPECT_NEAR(pixel[2], 0, 2) << FourccName(one.fourcc);
  }
}

TEST(ConvertNodeTest, StretchesLimitedRangeToFullRange) {
  sluice_color full = kBt709Limited;
  full.range = SLUICE_RANGE_FULL;
  Conversion conversion("ffmpeg.convert", Make(SLUICE_FORMAT_YU12, 64, 48, kBt709Limited),
                        Make(SLUICE_FORMAT_YU12, 64, 48, full), [](st::HeldFrame& frame) {
                          SinkRun::ForEachRow(frame, [](uint8_t* row, uint64_t bytes) {
                            std::fill_n(row, bytes, uint8_t{128});
                          });
                          std::fill_n(frame.Row(0, 0), 64, uint8_t{235});
                        });
  ASSERT_EQ(conversion.result, SLUICE_PROCESS_DONE) << conversion.runner.error();
  EXPECT_NEAR(conversion.output.Row(0, 0)[10], 255, 1);
  EXPECT_NEAR(conversion.output.Row(0, 20)[10], std::lround((128 - 16) * 255.0 / 219), 1);
}

TEST(ConvertNodeTest, KeepsTheMatrixWhereThePlanLeavesItOpen) {
  Conversion conversion("ffmpeg.convert", Make(SLUICE_FORMAT_NV12, 64, 48, kBt709Limited),
                        Make(SLUICE_FORMAT_YU12, 64, 48, {}), [](st::HeldFrame& frame) {
                          SinkRun::ForEachRow(frame, [](uint8_t* row, uint64_t bytes) {
                            std::fill_n(row, bytes, uint8_t{90});
                          });
                        });
  ASSERT_EQ(conversion.result, SLUICE_PROCESS_DONE) << conversion.runner.error();
  for (uint32_t plane = 0; plane < 3; ++plane) {
    EXPECT_EQ(conversion.output.Row(plane, 10)[10], 90) << plane;
  }
}

TEST(ConvertNodeTest, CountsTheCopyAndLosesNoLease) {
  Conversion conversion("ffmpeg.convert", Make(SLUICE_FORMAT_YUYV, 65, 33, kBt709Limited),
                        Make(SLUICE_FORMAT_NV12, 65, 33, kBt709Limited), [](st::HeldFrame& frame) {
                          SinkRun::ForEachRow(frame, [](uint8_t* row, uint64_t bytes) {
                            std::fill_n(row, bytes, uint8_t{100});
                          });
                        });
  ASSERT_EQ(conversion.result, SLUICE_PROCESS_DONE) << conversion.runner.error();
  ASSERT_EQ(conversion.runner.copies().size(), 1u);
  EXPECT_EQ(conversion.runner.copies()[0].bytes, 65u * 33 + 33 * 17 * 2);
  EXPECT_EQ(conversion.runner.copies()[0].reason, "swscale from 65x33 YUYV to 65x33 NV12");
  EXPECT_EQ(conversion.output.Row(0, 32)[64], 100);
  EXPECT_EQ(conversion.runner.Leaked(), 0u);
  EXPECT_TRUE(conversion.runner.violations().empty());
}

TEST(ScaleNodeTest, ScalesAndKeepsTheShapeOfThePicture) {
  Conversion conversion(
      "ffmpeg.scale", Make(SLUICE_FORMAT_YU12, 641, 359, kBt709Limited),
      Make(SLUICE_FORMAT_YU12, 320, 180, kBt709Limited), [](st::HeldFrame& frame) {
        SinkRun::ForEachRow(
            frame, [](uint8_t* row, uint64_t bytes) { std::fill_n(row, bytes, uint8_t{77}); });
      });
  ASSERT_EQ(conversion.result, SLUICE_PROCESS_DONE) << conversion.runner.error();
  EXPECT_EQ(conversion.output.Row(0, 179)[319], 77);
  EXPECT_EQ(conversion.output.Info().crop_width, 320u);
  const double shape =
      320.0 / 180 * conversion.output.Info().aspect_num / conversion.output.Info().aspect_den;
  EXPECT_NEAR(shape, 641.0 / 359, 1e-9);
}

}  // namespace
}  // namespace sluice::ffmpeg::testing
