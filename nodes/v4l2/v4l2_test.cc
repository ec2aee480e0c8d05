// What needs no device: tables, conversions, and how a device that is not there is answered.

#include <gtest/gtest.h>

#include <fstream>

#include <sluice/testing/node_runner.hpp>

#include "nodes/v4l2/controls.h"
#include "nodes/v4l2/enumerate.h"
#include "nodes/v4l2/find_device.h"
#include "nodes/v4l2/formats.h"

extern "C" const sluice_entry sluice_plugin;

namespace sluice::v4l2 {
namespace {

using sdk::testing::NodeRunner;
using sdk::testing::Parameters;

PixFormat Pix(uint32_t pixelformat, uint32_t width, uint32_t height, uint32_t bytesperline,
              uint32_t sizeimage) {
  PixFormat format;
  format.pixelformat = pixelformat;
  format.width = width;
  format.height = height;
  format.planes[0] = {bytesperline, sizeimage};
  return format;
}

uint32_t DrmOf(uint32_t v4l2) {
  const FormatEntry* entry = FindV4l2(v4l2);
  return entry == nullptr ? 0 : entry->drm;
}

// --- Formats -------------------------------------------------------------------------------------

TEST(FormatsTest, NamesByMemoryOrderBecomeNamesByWord) {
  EXPECT_EQ(DrmOf(V4L2_PIX_FMT_XBGR32), SLUICE_FORMAT_XR24);
  EXPECT_EQ(DrmOf(V4L2_PIX_FMT_ABGR32), SLUICE_FORMAT_AR24);
  EXPECT_EQ(DrmOf(V4L2_PIX_FMT_RGBX32), SLUICE_FORMAT_XB24);
  EXPECT_EQ(DrmOf(V4L2_PIX_FMT_RGBA32), SLUICE_FORMAT_AB24);
  EXPECT_EQ(DrmOf(V4L2_PIX_FMT_RGB24), SLUICE_FORMAT_BG24);
  EXPECT_EQ(DrmOf(V4L2_PIX_FMT_BGR24), SLUICE_FORMAT_RG24);
  EXPECT_EQ(DrmOf(V4L2_PIX_FMT_GREY), SLUICE_FORMAT_R8);
}

TEST(FormatsTest, OneFormatInSeveralBuffersIsTheSameFormat) {
  EXPECT_EQ(DrmOf(V4L2_PIX_FMT_NV12M), SLUICE_FORMAT_NV12);
  EXPECT_EQ(DrmOf(V4L2_PIX_FMT_YUV420M), SLUICE_FORMAT_YU12);
  EXPECT_EQ(DrmOf(V4L2_PIX_FMT_JPEG), SLUICE_FORMAT_MJPG);
}

TEST(FormatsTest, ABigEndianVariantIsAnotherFormat) {
  EXPECT_EQ(FindV4l2(v4l2_fourcc_be('Y', 'U', 'Y', 'V')), nullptr);
  EXPECT_EQ(FourccText(v4l2_fourcc_be('R', 'G', 'B', 'P')), "RGBP-BE");
}

TEST(FormatsTest, EveryTokenIsFoundByItsName) {
  for (const FormatEntry& entry : AllFormats()) {
    EXPECT_EQ(DrmFourcc(FourccText(entry.drm)), entry.drm);
  }
  EXPECT_EQ(DrmFourcc("BGR3"), 0u);
}

TEST(LayoutTest, ChromaLiesBehindLumaInOneBuffer) {
  const auto nv12 = LayoutOf(*FindV4l2(V4L2_PIX_FMT_NV12),
                             Pix(V4L2_PIX_FMT_NV12, 640, 360, 704, 704 * 360 * 3 / 2));
  ASSERT_TRUE(nv12.ok()) << nv12.status().message();
  EXPECT_EQ(nv12->plane_count, 2u);
  EXPECT_EQ(nv12->part_count, 1u);
  EXPECT_EQ(nv12->planes[1].offset, 704u * 360);
  EXPECT_EQ(nv12->planes[1].stride, 704u);
  EXPECT_EQ(nv12->planes[1].size, 704u * 180);
  const auto yu12 = LayoutOf(*FindV4l2(V4L2_PIX_FMT_YUV420),
                             Pix(V4L2_PIX_FMT_YUV420, 640, 360, 704, 704 * 360 * 3 / 2));
  ASSERT_TRUE(yu12.ok());
  EXPECT_EQ(yu12->planes[1].stride, 352u);
  EXPECT_EQ(yu12->planes[2].offset, 704u * 360 + 352 * 180);
}

TEST(LayoutTest, PlanesOfTheirOwnAreParts) {
  PixFormat format = Pix(V4L2_PIX_FMT_NV12M, 64, 32, 128, 128 * 32);
  format.plane_count = 2;
  format.planes[1] = {64, 64 * 16};
  const auto layout = LayoutOf(*FindV4l2(V4L2_PIX_FMT_NV12M), format);
  ASSERT_TRUE(layout.ok()) << layout.status().message();
  EXPECT_EQ(layout->part_count, 2u);
  EXPECT_EQ(layout->planes[1].part, 1u);
  EXPECT_EQ(layout->planes[1].offset, 0u);
  EXPECT_EQ(layout->planes[1].stride, 64u);
  EXPECT_EQ(layout->size, 128u * 32 + 64 * 16);
}

TEST(LayoutTest, ACompressedPictureIsOneRow) {
  const auto layout =
      LayoutOf(*FindV4l2(V4L2_PIX_FMT_MJPEG), Pix(V4L2_PIX_FMT_MJPEG, 1920, 1080, 0, 4147200));
  ASSERT_TRUE(layout.ok());
  EXPECT_EQ(layout->planes[0].size, 4147200u);
  EXPECT_EQ(layout->planes[0].stride, 4147200u);
  EXPECT_EQ(layout->coded_height, 1080u);
}

TEST(LayoutTest, NumbersThatDoNotHoldThePictureAreRefused) {
  const FormatEntry& yuyv = *FindV4l2(V4L2_PIX_FMT_YUYV);
  const auto narrow = LayoutOf(yuyv, Pix(V4L2_PIX_FMT_YUYV, 640, 360, 640, 640 * 360));
  EXPECT_EQ(narrow.status().code(), SLUICE_E_UNSUPPORTED);
  EXPECT_NE(narrow.status().message().find("bytesperline 640"), std::string::npos);
  const auto little = LayoutOf(yuyv, Pix(V4L2_PIX_FMT_YUYV, 640, 360, 1280, 1280 * 359));
  EXPECT_NE(little.status().message().find("less memory"), std::string::npos);
  PixFormat planes = Pix(V4L2_PIX_FMT_YUYV, 640, 360, 1280, 1280 * 360);
  planes.plane_count = 2;
  EXPECT_FALSE(LayoutOf(yuyv, planes).ok());
  EXPECT_FALSE(LayoutOf(*FindV4l2(V4L2_PIX_FMT_H264), Pix(V4L2_PIX_FMT_H264, 64, 64, 0, 0)).ok());
}

TEST(LayoutTest, TheFirstStrideIsAMultipleForAllPlanes) {
  EXPECT_EQ(FirstStrideMultiple(*FindV4l2(V4L2_PIX_FMT_YUV420), 64), 128u);
  EXPECT_EQ(FirstStrideMultiple(*FindV4l2(V4L2_PIX_FMT_YUV420M), 64), 64u);
  EXPECT_EQ(FirstStrideMultiple(*FindV4l2(V4L2_PIX_FMT_NV12), 64), 64u);
  EXPECT_EQ(FirstStrideMultiple(*FindV4l2(V4L2_PIX_FMT_YUYV), 0), 1u);
}

// --- Colour --------------------------------------------------------------------------------------

struct ColorCase {
  const char* name;
  uint32_t pixelformat;
  uint32_t colorspace;
  sluice_color expected;
  uint32_t assumed;
};

class ColorTest : public testing::TestWithParam<ColorCase> {};

TEST_P(ColorTest, FollowsFromTheColorspaceWhereTheRestIsDefault) {
  PixFormat format = Pix(GetParam().pixelformat, 640, 480, 0, 0);
  format.colorspace = GetParam().colorspace;
  const ColorInfo info = ColorOf(*FindV4l2(GetParam().pixelformat), format);
  EXPECT_EQ(info.color.primaries, GetParam().expected.primaries);
  EXPECT_EQ(info.color.transfer, GetParam().expected.transfer);
  EXPECT_EQ(info.color.matrix, GetParam().expected.matrix);
  EXPECT_EQ(info.color.range, GetParam().expected.range);
  EXPECT_EQ(info.color.siting, GetParam().expected.siting);
  EXPECT_EQ(info.assumed, GetParam().assumed);
}

constexpr uint32_t kAllSaid = SLUICE_COLOR_FIELD_PRIMARIES | SLUICE_COLOR_FIELD_TRANSFER |
                              SLUICE_COLOR_FIELD_MATRIX | SLUICE_COLOR_FIELD_RANGE;
constexpr ColorCase kColors[] = {
    // What a USB camera says of YUYV.
    {"SrgbYuv",
     V4L2_PIX_FMT_YUYV,
     V4L2_COLORSPACE_SRGB,
     {SLUICE_PRIMARIES_BT709,
      SLUICE_TRANSFER_SRGB,
      SLUICE_MATRIX_BT601,
      SLUICE_RANGE_LIMITED,
      SLUICE_SITING_LEFT,
      {}},
     SLUICE_COLOR_FIELD_SITING},
    {"SrgbRgb",
     V4L2_PIX_FMT_XBGR32,
     V4L2_COLORSPACE_SRGB,
     {SLUICE_PRIMARIES_BT709, SLUICE_TRANSFER_SRGB, SLUICE_MATRIX_RGB, SLUICE_RANGE_FULL, 0, {}},
     0},
    {"Rec709",
     V4L2_PIX_FMT_NV12,
     V4L2_COLORSPACE_REC709,
     {SLUICE_PRIMARIES_BT709,
      SLUICE_TRANSFER_BT709,
      SLUICE_MATRIX_BT709,
      SLUICE_RANGE_LIMITED,
      SLUICE_SITING_LEFT,
      {}},
     SLUICE_COLOR_FIELD_SITING},
    {"Smpte170m",
     V4L2_PIX_FMT_UYVY,
     V4L2_COLORSPACE_SMPTE170M,
     {SLUICE_PRIMARIES_BT601_525,
      SLUICE_TRANSFER_BT709,
      SLUICE_MATRIX_BT601,
      SLUICE_RANGE_LIMITED,
      SLUICE_SITING_LEFT,
      {}},
     SLUICE_COLOR_FIELD_SITING},
    {"Bt2020",
     V4L2_PIX_FMT_P010,
     V4L2_COLORSPACE_BT2020,
     {SLUICE_PRIMARIES_BT2020,
      SLUICE_TRANSFER_BT709,
      SLUICE_MATRIX_BT2020,
      SLUICE_RANGE_LIMITED,
      SLUICE_SITING_TOP_LEFT,
      {}},
     SLUICE_COLOR_FIELD_SITING},
    {"Jpeg",
     V4L2_PIX_FMT_MJPEG,
     V4L2_COLORSPACE_JPEG,
     {SLUICE_PRIMARIES_BT709, SLUICE_TRANSFER_SRGB, SLUICE_MATRIX_BT601, SLUICE_RANGE_FULL, 0, {}},
     0},
    {"JpegOfAUsbCamera",
     V4L2_PIX_FMT_MJPEG,
     V4L2_COLORSPACE_SRGB,
     {SLUICE_PRIMARIES_BT709, SLUICE_TRANSFER_SRGB, SLUICE_MATRIX_BT601, SLUICE_RANGE_FULL, 0, {}},
     0},
    {"NothingSaid",
     V4L2_PIX_FMT_YUYV,
     V4L2_COLORSPACE_DEFAULT,
     {SLUICE_PRIMARIES_BT601_525,
      SLUICE_TRANSFER_BT709,
      SLUICE_MATRIX_BT601,
      SLUICE_RANGE_LIMITED,
      SLUICE_SITING_LEFT,
      {}},
     kAllSaid | SLUICE_COLOR_FIELD_SITING},
    // Said by nobody, and full wherever it was seen.
    {"Grey",
     V4L2_PIX_FMT_GREY,
     V4L2_COLORSPACE_SRGB,
     {SLUICE_PRIMARIES_BT709, SLUICE_TRANSFER_SRGB, 0, SLUICE_RANGE_FULL, 0, {}},
     SLUICE_COLOR_FIELD_RANGE},
    {"Raw", V4L2_PIX_FMT_GREY, V4L2_COLORSPACE_RAW, {}, 0},
};
INSTANTIATE_TEST_SUITE_P(Colorspaces, ColorTest, testing::ValuesIn(kColors),
                         [](const auto& test) { return test.param.name; });

TEST(ColorTermsTest, ATermThatIsSaidGoesBeforeTheDefault) {
  PixFormat format = Pix(V4L2_PIX_FMT_YUYV, 640, 480, 0, 0);
  format.colorspace = V4L2_COLORSPACE_SRGB;
  format.ycbcr_enc = V4L2_YCBCR_ENC_709;
  format.quantization = V4L2_QUANTIZATION_FULL_RANGE;
  format.xfer_func = V4L2_XFER_FUNC_SMPTE2084;
  const ColorInfo info = ColorOf(*FindV4l2(V4L2_PIX_FMT_YUYV), format);
  EXPECT_EQ(info.color.matrix, SLUICE_MATRIX_BT709);
  EXPECT_EQ(info.color.range, SLUICE_RANGE_FULL);
  EXPECT_EQ(info.color.transfer, SLUICE_TRANSFER_PQ);
}

TEST(ColorTermsTest, WhatIsSetForAnOutputReadsBackTheSame) {
  const FormatEntry& entry = *FindV4l2(V4L2_PIX_FMT_NV12);
  for (const uint8_t primaries : {SLUICE_PRIMARIES_BT709, SLUICE_PRIMARIES_BT601_525,
                                  SLUICE_PRIMARIES_BT601_625, SLUICE_PRIMARIES_BT2020}) {
    for (const uint8_t range : {SLUICE_RANGE_LIMITED, SLUICE_RANGE_FULL}) {
      sluice_color color{};
      color.primaries = primaries;
      color.transfer = SLUICE_TRANSFER_BT709;
      color.matrix = SLUICE_MATRIX_BT709;
      color.range = range;
      PixFormat format = Pix(V4L2_PIX_FMT_NV12, 640, 480, 0, 0);
      SetColor(entry, color, &format);
      const ColorInfo read = ColorOf(entry, format);
      EXPECT_EQ(read.color.primaries, primaries);
      EXPECT_EQ(read.color.transfer, color.transfer);
      EXPECT_EQ(read.color.matrix, color.matrix);
      EXPECT_EQ(read.color.range, range);
    }
  }
}

TEST(FieldTest, PlainInterlacedFollowsTheStandard) {
  EXPECT_EQ(FieldOrder(V4L2_FIELD_INTERLACED, true), SLUICE_FIELD_BOTTOM_FIRST);
  EXPECT_EQ(FieldOrder(V4L2_FIELD_INTERLACED, false), SLUICE_FIELD_TOP_FIRST);
  EXPECT_EQ(FieldOrder(V4L2_FIELD_INTERLACED_BT, false), SLUICE_FIELD_BOTTOM_FIRST);
  EXPECT_EQ(FieldOrder(V4L2_FIELD_NONE, true), SLUICE_FIELD_PROGRESSIVE);
}

// --- Enumeration ---------------------------------------------------------------------------------

v4l2_frmsizeenum Discrete(uint32_t width, uint32_t height) {
  v4l2_frmsizeenum record{};
  record.type = V4L2_FRMSIZE_TYPE_DISCRETE;
  record.discrete = {width, height};
  return record;
}

v4l2_frmsizeenum Stepwise(const v4l2_frmsize_stepwise& stepwise) {
  v4l2_frmsizeenum record{};
  record.type = V4L2_FRMSIZE_TYPE_STEPWISE;
  record.stepwise = stepwise;
  return record;
}

v4l2_frmivalenum Interval(uint32_t numerator, uint32_t denominator) {
  v4l2_frmivalenum record{};
  record.type = V4L2_FRMIVAL_TYPE_DISCRETE;
  record.discrete = {numerator, denominator};
  return record;
}

TEST(EnumerateTest, ASizeIsAPointOrARange) {
  const auto point = SizeOf(Discrete(640, 480));
  ASSERT_TRUE(point);
  EXPECT_EQ(point->width, (Range{640, 640, 1}));
  const auto range = SizeOf(Stepwise({32, 4096, 2, 16, 2160, 4}));
  ASSERT_TRUE(range);
  EXPECT_EQ(range->width, (Range{32, 4096, 2}));
  EXPECT_TRUE(range->height.Contains(1080));
  EXPECT_FALSE(range->height.Contains(1081));
}

TEST(EnumerateTest, SizesWithoutSenseAreLeftOut) {
  EXPECT_FALSE(SizeOf(Discrete(0, 480)));
  EXPECT_FALSE(SizeOf(Discrete(1u << 20, 480)));
  EXPECT_FALSE(SizeOf(Stepwise({640, 320, 1, 16, 16, 1})));
  EXPECT_TRUE(SizeOf(Stepwise({16, 1u << 31, 0, 16, 64, 0})));
  v4l2_frmsizeenum unknown{};
  unknown.type = 77;
  EXPECT_FALSE(SizeOf(unknown));
}

TEST(EnumerateTest, ARateIsTheReciprocalOfAnInterval) {
  const auto rate = RatesOf(Interval(1001, 30000));
  ASSERT_TRUE(rate);
  EXPECT_EQ(rate->max.numerator, 30000u);
  EXPECT_EQ(rate->max.denominator, 1001u);
  EXPECT_FALSE(RatesOf(Interval(0, 30)));
  EXPECT_FALSE(RatesOf(Interval(1, 0)));
  v4l2_frmivalenum range{};
  range.type = V4L2_FRMIVAL_TYPE_CONTINUOUS;
  range.stepwise.min = {1, 60};
  range.stepwise.max = {1, 5};
  const auto rates = RatesOf(range);
  ASSERT_TRUE(rates);
  EXPECT_EQ(rates->min.numerator, 5u);
  EXPECT_EQ(rates->max.numerator, 60u);
}

TEST(EnumerateTest, RatesAreComparedExactlyAndAgreeNearly) {
  EXPECT_LT(CompareRates({30000, 1001}, {30, 1}), 0);
  EXPECT_EQ(CompareRates({60, 2}, {30, 1}), 0);
  EXPECT_TRUE(RatesAgree({10'000'000, 333'333}, {30, 1}));
  EXPECT_FALSE(RatesAgree({30000, 1001}, {30, 1}));
}

TEST(EnumerateTest, RoundedRowsAreExplainedByAMultiple) {
  const FormatEntry& yuyv = *FindV4l2(V4L2_PIX_FMT_YUYV);
  EXPECT_EQ(StrideMultiple(yuyv, 640, 1280), 1u);
  EXPECT_EQ(StrideMultiple(yuyv, 650, 1344), 64u);
  EXPECT_EQ(StrideMultiple(yuyv, 650, 4096), 4096u);
  EXPECT_EQ(StrideMultiple(yuyv, 640, 2000), 1u) << "no multiple explains it";
}

DeviceFormat Format(uint32_t pixelformat,
                    const std::vector<std::pair<sdk::Size, std::vector<sluice_rate>>>& sizes) {
  DeviceFormat format;
  format.entry = FindV4l2(pixelformat);
  for (const auto& [size, rates] : sizes) {
    SizeRange range{{size.width, size.width, 1}, {size.height, size.height, 1}, {}};
    for (const sluice_rate rate : rates) range.rates.push_back({rate, rate});
    SortRates(&range.rates);
    format.sizes.push_back(std::move(range));
  }
  return format;
}

/// As USB cameras are: pixels are slow where the bus is, JPEGs are not.
std::vector<DeviceFormat> UsbCamera() {
  return {Format(V4L2_PIX_FMT_YUYV, {{{640, 480}, {{30, 1}, {15, 1}}},
                                     {{1280, 720}, {{10, 1}, {5, 1}}},
                                     {{1920, 1080}, {{5, 1}}}}),
          Format(V4L2_PIX_FMT_MJPEG, {{{640, 480}, {{30, 1}}},
                                      {{1920, 1080}, {{30, 1}, {15, 1}}},
                                      {{3840, 2160}, {{30, 1}}}})};
}

TEST(GroupsTest, FluentPixelsComeFirstAndJpegsLast) {
  const std::vector<Group> groups = MakeGroups(UsbCamera(), {});
  ASSERT_EQ(groups.size(), 9u);
  EXPECT_EQ(groups[0].fourccs, std::vector<uint32_t>{SLUICE_FORMAT_YUYV});
  EXPECT_EQ(groups[0].width.max, 640u);
  EXPECT_EQ(groups[0].rate.max.numerator, 30u);
  EXPECT_EQ(groups[1].width.max, 1920u) << "of the slow ones the largest";
  const auto jpeg = std::find_if(groups.begin(), groups.end(), [](const Group& group) {
    return group.fourccs[0] == SLUICE_FORMAT_MJPG;
  });
  ASSERT_EQ(jpeg - groups.begin(), 5);
  EXPECT_EQ(jpeg->width.max, 1920u);
  EXPECT_EQ(jpeg->rate.max.numerator, 30u);
}

TEST(GroupsTest, AWishLeavesWhatMeetsIt) {
  Wish wish;
  wish.size = {1920, 1080};
  wish.rate = {30, 1};
  const std::vector<Group> groups = MakeGroups(UsbCamera(), wish);
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_EQ(groups[0].fourccs, std::vector<uint32_t>{SLUICE_FORMAT_MJPG});
  wish.fourcc = SLUICE_FORMAT_YUYV;
  EXPECT_TRUE(MakeGroups(UsbCamera(), wish).empty());
}

TEST(GroupsTest, ARateIsMetNearlyAndOfferedAsItWasWished) {
  Wish wish;
  wish.rate = {30, 1};
  const std::vector<Group> groups = MakeGroups(
      {Format(V4L2_PIX_FMT_YUYV, {{{640, 480}, {{10'000'000, 333'333}, {15, 1}}}})}, wish);
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_EQ(groups[0].rate.max.numerator, 30u);
  EXPECT_EQ(groups[0].rate.min.numerator, 30u);
}

TEST(GroupsTest, FormatsThatAgreeInTheRestAreOneAlternative) {
  const std::vector<Group> groups =
      MakeGroups({Format(V4L2_PIX_FMT_YUYV, {{{640, 480}, {{30, 1}}}}),
                  Format(V4L2_PIX_FMT_NV12, {{{640, 480}, {{30, 1}}}}),
                  Format(V4L2_PIX_FMT_NV12M, {{{640, 480}, {{30, 1}}}})},
                 {});
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_EQ(groups[0].fourccs, (std::vector<uint32_t>{SLUICE_FORMAT_YUYV, SLUICE_FORMAT_NV12}));
}

TEST(GroupsTest, AreBoundedAndLoseSlowRatesBeforeSizes) {
  std::vector<std::pair<sdk::Size, std::vector<sluice_rate>>> sizes;
  for (uint32_t i = 1; i <= 30; ++i) sizes.push_back({{64 * i, 32 * i}, {}});
  for (auto& [size, rates] : sizes) rates = {{60, 1}, {30, 1}, {15, 1}};
  const std::vector<Group> groups = MakeGroups({Format(V4L2_PIX_FMT_YUYV, sizes)}, {});
  ASSERT_EQ(groups.size(), kMaxGroups);
  size_t fastest = 0;
  for (const Group& group : groups) fastest += group.rate.max.numerator == 60 ? 1 : 0;
  EXPECT_EQ(fastest, 30u);
}

// --- Controls ------------------------------------------------------------------------------------

TEST(ControlsTest, AreNamedAsV4l2CtlNamesThem) {
  EXPECT_EQ(ControlName("Brightness"), "brightness");
  EXPECT_EQ(ControlName("White Balance Temperature, Auto"), "white_balance_temperature_auto");
  EXPECT_EQ(ControlName("Exposure (Absolute)"), "exposure_absolute");
  EXPECT_EQ(ControlName("S32 2 Element Array"), "s32_2_element_array");
}

TEST(ControlsTest, AreNumbersSwitchesAndTexts) {
  const auto values = ParseControls(R"({"gain": 7, "mute": true, "menu": "50 Hz"})");
  ASSERT_TRUE(values.ok());
  EXPECT_EQ(std::get<int64_t>(values->at("gain")), 7);
  EXPECT_EQ(std::get<int64_t>(values->at("mute")), 1);
  EXPECT_EQ(std::get<std::string>(values->at("menu")), "50 Hz");
  EXPECT_EQ(ParseControls(R"({"gain": 1.5})").status().code(), SLUICE_E_INVALID_ARGUMENT);
  EXPECT_EQ(ParseControls("[1]").status().code(), SLUICE_E_INVALID_ARGUMENT);
  EXPECT_EQ(ParseControls("{").status().code(), SLUICE_E_INVALID_ARGUMENT);
}

TEST(ControlsTest, AValueIsHeldToTheControlsRangeAndStep) {
  Control control;
  control.name = "focus";
  control.type = V4L2_CTRL_TYPE_INTEGER;
  control.minimum = -10;
  control.maximum = 250;
  control.step = 5;
  EXPECT_EQ(*NumberFor(control, ControlValue(int64_t{-5})), -5);
  for (const int64_t bad : {-11, 251, 3}) {
    const auto number = NumberFor(control, ControlValue(bad));
    ASSERT_FALSE(number.ok());
    EXPECT_NE(number.status().message().find("-10 to 250 in steps of 5"), std::string::npos);
  }
}

TEST(ControlsTest, AMenuTakesTheNamesOfItsItems) {
  Control control;
  control.name = "power_line_frequency";
  control.type = V4L2_CTRL_TYPE_MENU;
  control.maximum = 2;
  control.menu = {{"Disabled", 0}, {"50 Hz", 1}, {"60 Hz", 2}};
  EXPECT_EQ(*NumberFor(control, ControlValue(std::string("50 Hz"))), 1);
  const auto wrong = NumberFor(control, ControlValue(std::string("55 Hz")));
  EXPECT_NE(wrong.status().message().find("one of 50 Hz, 60 Hz, Disabled"), std::string::npos);
}

TEST(ControlsTest, ABitmaskTakesItsBitsAndAReadOnlyControlNothing) {
  Control control;
  control.name = "mask";
  control.type = V4L2_CTRL_TYPE_BITMASK;
  control.maximum = 0x90;
  EXPECT_TRUE(NumberFor(control, ControlValue(int64_t{0x80})).ok());
  EXPECT_FALSE(NumberFor(control, ControlValue(int64_t{0x81})).ok());
  control.flags = V4L2_CTRL_FLAG_READ_ONLY;
  EXPECT_EQ(NumberFor(control, ControlValue(int64_t{0})).status().code(),
            SLUICE_E_PERMISSION_DENIED);
}

// --- Without a device ----------------------------------------------------------------------------

TEST(FindDeviceTest, APathWithoutADeviceIsNotFound) {
  const auto device = FindDevice("/dev/video-none", Direction::kCapture);
  EXPECT_EQ(device.status().code(), SLUICE_E_NOT_FOUND);
  EXPECT_NE(device.status().message().find("/dev/video-none"), std::string::npos);
}

TEST(FindDeviceTest, WhatIsNoVideoDeviceIsUnsupported) {
  EXPECT_EQ(FindDevice("/dev/null", Direction::kCapture).status().code(), SLUICE_E_UNSUPPORTED);
  const std::string file = testing::TempDir() + "/plain-file";
  std::ofstream(file) << "x";
  EXPECT_EQ(FindDevice(file, Direction::kOutput).status().code(), SLUICE_E_UNSUPPORTED);
}

TEST(FindDeviceTest, ANameThatNobodyHasIsNotFound) {
  const auto device = FindDevice("No Such Camera", Direction::kCapture);
  EXPECT_EQ(device.status().code(), SLUICE_E_NOT_FOUND);
  EXPECT_NE(device.status().message().find("No Such Camera"), std::string::npos);
}

TEST(NodesTest, ParametersThatCannotBeAreRefusedAtOnce) {
  NodeRunner format(sluice_plugin, "v4l2.capture", Parameters().String("format", "RGB3"));
  EXPECT_EQ(format.created(), SLUICE_E_INVALID_ARGUMENT);
  EXPECT_NE(format.error().find("XR24"), std::string::npos) << format.error();
  NodeRunner controls(sluice_plugin, "v4l2.capture", Parameters().Map("controls", "[]"));
  EXPECT_EQ(controls.created(), SLUICE_E_INVALID_ARGUMENT);
}

TEST(NodesTest, ADeviceThatIsAwayIsNotFoundByProbeAndConfigure) {
  for (const char* type : {"v4l2.capture", "v4l2.output"}) {
    NodeRunner runner(sluice_plugin, type, Parameters().String("device", "/dev/video-none"));
    ASSERT_EQ(runner.created(), SLUICE_OK);
    EXPECT_EQ(runner.Probe(), SLUICE_E_NOT_FOUND);
    sdk::testing::PortSpec port;
    port.format = sdk::testing::MakeFormat(SLUICE_FORMAT_YUYV, 64, 32);
    port.dynamic = true;
    if (std::string(type) == "v4l2.capture") {
      runner.Output("out", port);
    } else {
      runner.Input("in", port);
    }
    EXPECT_EQ(runner.Configure(), SLUICE_E_NOT_FOUND);
    EXPECT_NE(runner.error().find("/dev/video-none"), std::string::npos);
    EXPECT_TRUE(runner.violations().empty());
  }
}

}  // namespace
}  // namespace sluice::v4l2
