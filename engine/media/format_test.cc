#include "engine/media/format.h"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::media {
namespace {

Format Picture(uint32_t fourcc, uint32_t width, uint32_t height) {
  Format format;
  format.fourcc = fourcc;
  format.width = width;
  format.height = height;
  return format;
}

Layout Laid(const Format& format, const Alignment& alignment = {}) {
  auto layout = ComputeLayout(format, alignment);
  EXPECT_TRUE(layout) << layout.error().message;
  return layout ? *layout : Layout{};
}

bool Says(const Error& error, std::initializer_list<std::string> words) {
  for (const std::string& word : words) {
    if (error.message.find(word) != std::string::npos) continue;
    ADD_FAILURE() << "'" << error.message << "' does not say " << word;
    return false;
  }
  return true;
}

TEST(FourccTest, NamesAndParsesEveryFormat) {
  for (const FormatInfo& info : AllFormats()) {
    auto parsed = ParseFourcc(FourccName(info.fourcc));
    ASSERT_TRUE(parsed);
    EXPECT_EQ(*parsed, info.fourcc);
    EXPECT_EQ(FindFormatInfo(info.fourcc), &info);
  }
  EXPECT_EQ(kYu12, 0x32315559u);
  EXPECT_EQ(FourccName(kR8), "R8");
  EXPECT_EQ(FourccName(0x01020304), "0x01020304");
  EXPECT_EQ(FourccName(0xff203132), "0xff203132");
  EXPECT_FALSE(ParseFourcc(""));
  EXPECT_FALSE(ParseFourcc("YU12x"));
  EXPECT_EQ(FindFormatInfo(0), nullptr);
}

TEST(ColorTest, ParsesWhatItNames) {
  for (int i = 1; i <= static_cast<int>(Matrix::kRgb); ++i) {
    EXPECT_EQ(ParseMatrix(Name(static_cast<Matrix>(i))), static_cast<Matrix>(i));
  }
  for (int i = 1; i <= static_cast<int>(Range::kFull); ++i) {
    EXPECT_EQ(ParseRange(Name(static_cast<Range>(i))), static_cast<Range>(i));
  }
  for (int i = 1; i <= static_cast<int>(Primaries::kBt2020); ++i) {
    EXPECT_EQ(ParsePrimaries(Name(static_cast<Primaries>(i))), static_cast<Primaries>(i));
  }
  for (int i = 1; i <= static_cast<int>(Transfer::kGamma28); ++i) {
    EXPECT_EQ(ParseTransfer(Name(static_cast<Transfer>(i))), static_cast<Transfer>(i));
  }
  for (int i = 1; i <= static_cast<int>(Siting::kTopLeft); ++i) {
    EXPECT_EQ(ParseSiting(Name(static_cast<Siting>(i))), static_cast<Siting>(i));
  }
}

TEST(ColorTest, UnknownNameListsTheKnownOnes) {
  auto range = ParseRange("video");
  ASSERT_FALSE(range);
  Says(range.error(), {"video", "range", "limited", "full"});
  EXPECT_FALSE(ParseMatrix("-"));
}

TEST(ColorTest, NumberFromOutsideWithoutANameIsNoCrash) {
  EXPECT_EQ(Name(static_cast<Matrix>(250)), "?");
  EXPECT_EQ(Name(static_cast<Siting>(4)), "?");
}

TEST(FormatTest, PrintsForTables) {
  Format format = Picture(kYu12, 1920, 1080);
  format.rate = {30000, 1001};
  format.color = {Primaries::kBt709, Transfer::kBt709, Matrix::kBt709, Range::kLimited,
                  Siting::kLeft};
  EXPECT_EQ(ToString(format), "YU12 1920x1080 29.97 fps bt709/bt709/bt709 limited left");
  EXPECT_EQ(ToString(Picture(kR8, 1, 2)), "R8 1x2 -/-/- - -");
  EXPECT_EQ(ViewNames(kViewShm | kViewCpu), "shm+cpu");
  EXPECT_EQ(ViewNames(0), "none");
}

TEST(MergeTest, TakesLeastCommonMultiplesAndTheLargerTail) {
  Alignment a, b;
  a.width = 6;
  b.width = 4;
  a.stride = 64;
  b.stride = 96;
  a.offset = 256;
  b.base = 4096;
  a.tail = 10;
  b.tail = 7;
  auto merged = Merge(a, b);
  ASSERT_TRUE(merged);
  EXPECT_EQ(merged->width, 12u);
  EXPECT_EQ(merged->height, 1u);
  EXPECT_EQ(merged->stride, 192u);
  EXPECT_EQ(merged->offset, 256u);
  EXPECT_EQ(merged->base, 4096u);
  EXPECT_EQ(merged->tail, 10u);
}

TEST(MergeTest, ZeroCountsAsOne) {
  Alignment zero;
  zero.stride = zero.size = zero.width = 0;
  auto merged = Merge(zero, Alignment{});
  ASSERT_TRUE(merged);
  EXPECT_EQ(*merged, Alignment{});
  EXPECT_TRUE(ComputeLayout(Picture(kNv12, 5, 5), zero));
}

TEST(MergeTest, NamesTheMultiplesThatCannotBeMet) {
  Alignment a, b;
  a.stride = (1u << 24) - 1;
  b.stride = 4096;
  auto merged = Merge(a, b);
  ASSERT_FALSE(merged);
  EXPECT_EQ(merged.error().code, Code::kResourceExhausted);
  Says(merged.error(), {"stride", "16777215", "4096"});
  a.stride = b.stride = std::numeric_limits<uint32_t>::max();
  EXPECT_FALSE(Merge(a, b));
}

TEST(ComputeLayoutTest, LaysOutPlanarYuv) {
  Layout layout = Laid(Picture(kYu12, 1920, 1080));
  EXPECT_EQ(layout.plane_count, 3u);
  EXPECT_EQ(layout.planes[0], (Plane{0, 0, 1920, 1920 * 1080}));
  EXPECT_EQ(layout.planes[1], (Plane{0, 1920 * 1080, 960, 960 * 540}));
  EXPECT_EQ(layout.planes[2], (Plane{0, 1920 * 1080 + 960 * 540, 960, 960 * 540}));
  EXPECT_EQ(layout.size, 1920u * 1080 * 3 / 2);
}

TEST(ComputeLayoutTest, RoundsOddPicturesUpToWholeChroma) {
  Layout yu12 = Laid(Picture(kYu12, 5, 3));
  EXPECT_EQ(yu12.planes[1].stride, 3u);
  EXPECT_EQ(yu12.planes[1].size, 6u);
  EXPECT_EQ(yu12.size, 15u + 6 + 6);
  Layout nv12 = Laid(Picture(kNv12, 5, 3));
  EXPECT_EQ(nv12.planes[1].stride, 6u);
  EXPECT_EQ(nv12.planes[1].size, 12u);
  Layout yuyv = Laid(Picture(kYuyv, 3, 2));
  EXPECT_EQ(yuyv.planes[0].stride, 8u);
  Layout p010 = Laid(Picture(kP010, 3, 1));
  EXPECT_EQ(p010.planes[0].stride, 6u);
  EXPECT_EQ(p010.planes[1].stride, 8u);
  EXPECT_EQ(Laid(Picture(kAb4h, 3, 1)).size, 24u);
  EXPECT_EQ(Laid(Picture(kXb4h, 3, 1)).size, 24u);
  EXPECT_EQ(Laid(Picture(kR8, 1, 1)).size, 1u);
}

TEST(ComputeLayoutTest, LaysOutWhatCamerasGive) {
  EXPECT_EQ(Laid(Picture(kUyvy, 3, 2)).planes[0], Laid(Picture(kYuyv, 3, 2)).planes[0]);
  EXPECT_EQ(Laid(Picture(kNv21, 5, 3)), Laid(Picture(kNv12, 5, 3)));
  Layout nv16 = Laid(Picture(kNv16, 5, 3));
  EXPECT_EQ(nv16.plane_count, 2u);
  EXPECT_EQ(nv16.planes[0], (Plane{0, 0, 5, 15}));
  EXPECT_EQ(nv16.planes[1], (Plane{0, 15, 6, 18}));
  EXPECT_EQ(Laid(Picture(kBg24, 5, 2)).planes[0], (Plane{0, 0, 15, 30}));
  EXPECT_EQ(Laid(Picture(kRg24, 5, 2)).planes[0], (Plane{0, 0, 15, 30}));
  EXPECT_EQ(Laid(Picture(kRg16, 5, 2)).planes[0], (Plane{0, 0, 10, 20}));
}

TEST(CompressedTest, IsOneRowThatIsLargeEnoughForAPicture) {
  for (uint32_t fourcc : {kMjpg, kH264, kHevc}) {
    EXPECT_TRUE(IsCompressed(fourcc));
    Layout layout = Laid(Picture(fourcc, 1920, 1080));
    EXPECT_EQ(layout.plane_count, 1u);
    EXPECT_EQ(layout.planes[0].stride, layout.planes[0].size);
    EXPECT_GT(layout.planes[0].size, VisibleBytes(Picture(kYu12, 1920, 1080)));
    EXPECT_EQ(layout.planes[0].size, CompressedBound(1920, 1080));
    EXPECT_EQ(VisibleBytes(Picture(fourcc, 1920, 1080)), layout.planes[0].size);
  }
  EXPECT_FALSE(IsCompressed(kYuyv));
  EXPECT_FALSE(IsCompressed(0));
}

TEST(CompressedTest, SmallAndHugePicturesHaveABoundToo) {
  EXPECT_EQ(CompressedBound(1, 1), 64u * 1024);
  EXPECT_EQ(CompressedBound(1921, 1081) % 4096, 0u);
  EXPECT_EQ(CompressedBound(kMaxDimension, kMaxDimension), uint64_t{1} << 33);
}

TEST(CompressedTest, TheUsersTailAndAlignmentAreMet) {
  Alignment alignment;
  alignment.stride = 1000;
  alignment.tail = 64;
  Layout layout = Laid(Picture(kMjpg, 64, 64), alignment);
  EXPECT_EQ(layout.planes[0].size, 66'000u);
  EXPECT_EQ(layout.size, 66'064u);
}

// A driver says how much it wants: less than the bound, or more.
TEST(CompressedTest, ALayoutFromOutsideMayHaveAnyLengthThatTheMemoryHas) {
  const Format format = Picture(kMjpg, 1280, 720);
  Layout layout = Laid(format);
  for (uint64_t size : {uint64_t{1}, uint64_t{614'400}, uint64_t{9'000'000}}) {
    layout.planes[0].stride = layout.planes[0].size = size;
    EXPECT_TRUE(CheckLayout(layout, format, size));
    const auto refused = CheckLayout(layout, format, size - 1);
    ASSERT_FALSE(refused);
    Says(refused.error(), {"plane 0", std::to_string(size - 1)});
  }
}

TEST(CompressedTest, ALayoutOfRowsOrWithoutARowIsRefused) {
  const Format format = Picture(kH264, 1280, 720);
  Layout layout = Laid(format);
  layout.planes[0].stride = 1280;
  auto refused = CheckLayout(layout, format, layout.size);
  ASSERT_FALSE(refused);
  Says(refused.error(), {"plane 0", "H264", "1280"});
  layout.planes[0].stride = layout.planes[0].size = 0;
  EXPECT_FALSE(CheckLayout(layout, format, layout.size));
  layout.planes[0].stride = layout.planes[0].size = std::numeric_limits<uint64_t>::max();
  EXPECT_FALSE(CheckLayout(layout, format, layout.size));
}

// For every format, odd and even sizes, and unfriendly alignments: each demand is
// met, planes do not overlap, and the check for foreign layouts agrees.
TEST(ComputeLayoutTest, EveryFormatMeetsEveryDemand) {
  Alignment alignments[4];
  alignments[1] = {16, 8, 64, 256, 64, 4096, 0};
  alignments[2] = {3, 5, 24, 7, 1, 11, 13};
  alignments[3] = {1, 1, 1 << 20, 1, 1, 1 << 24, 1};
  for (const FormatInfo& info : AllFormats()) {
    for (uint32_t width : {1u, 2u, 3u, 17u, 1919u, 1920u}) {
      for (uint32_t height : {1u, 2u, 5u, 33u}) {
        for (const Alignment& alignment : alignments) {
          Format format = Picture(info.fourcc, width, height);
          Layout layout = Laid(format, alignment);
          ASSERT_EQ(layout.plane_count, info.plane_count);
          ASSERT_GE(layout.coded_width, width);
          ASSERT_LT(layout.coded_width - width, alignment.width);
          ASSERT_EQ(layout.coded_width % alignment.width, 0u);
          ASSERT_EQ(layout.coded_height % alignment.height, 0u);
          uint64_t end = 0;
          for (uint32_t i = 0; i < layout.plane_count; ++i) {
            const Plane& plane = layout.planes[i];
            ASSERT_GE(plane.offset, end);
            ASSERT_EQ(plane.offset % alignment.offset, 0u);
            ASSERT_EQ(plane.stride % alignment.stride, 0u);
            end = plane.offset + plane.size;
          }
          ASSERT_GE(layout.size, end + alignment.tail);
          ASSERT_EQ(layout.size % alignment.size, 0u);
          ASSERT_GE(layout.size, VisibleBytes(format));
          auto status = CheckLayout(layout, format, layout.size);
          ASSERT_TRUE(status) << status.error().message;
        }
      }
    }
  }
}

TEST(ComputeLayoutTest, RefusesPicturesOutsideItsRange) {
  for (auto [width, height] : std::vector<std::pair<uint32_t, uint32_t>>{
           {0, 1}, {1, 0}, {kMaxDimension + 1, 1}, {1, kMaxDimension + 1}, {~0u, ~0u}}) {
    auto layout = ComputeLayout(Picture(kYu12, width, height), {});
    ASSERT_FALSE(layout);
    EXPECT_EQ(layout.error().code, Code::kInvalidArgument);
    Says(layout.error(), {std::to_string(width) + "x" + std::to_string(height)});
  }
}

TEST(ComputeLayoutTest, RefusesWhatItCannotLayOut) {
  auto unknown = ComputeLayout(Picture(Fourcc('Z', 'Z', '9', '9'), 4, 4), {});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Code::kUnsupported);
  Says(unknown.error(), {"ZZ99"});
  Format tiled = Picture(kAb24, 4, 4);
  tiled.modifier = 0x0100000000000001;
  auto layout = ComputeLayout(tiled, {});
  ASSERT_FALSE(layout);
  Says(layout.error(), {"0x100000000000001"});
}

TEST(ComputeLayoutTest, RefusesBuffersNobodyCanHave) {
  Alignment huge;
  huge.width = huge.height = huge.stride = huge.offset = huge.size = 1u << 24;
  huge.tail = std::numeric_limits<uint32_t>::max();
  for (const FormatInfo& info : AllFormats()) {
    if (info.compressed) continue;  // their room depends on the visible size alone
    auto layout = ComputeLayout(Picture(info.fourcc, kMaxDimension, kMaxDimension), huge);
    ASSERT_FALSE(layout);
    EXPECT_EQ(layout.error().code, Code::kResourceExhausted);
  }
  huge.stride = (1u << 24) + 1;
  EXPECT_FALSE(ComputeLayout(Picture(kR8, 1, 1), huge));
}

TEST(VisibleBytesTest, CountsNoPadding) {
  EXPECT_EQ(VisibleBytes(Picture(kYu12, 1920, 1080)), 1920u * 1080 * 3 / 2);
  EXPECT_EQ(VisibleBytes(Picture(kYu12, 5, 3)), 27u);
  EXPECT_EQ(VisibleBytes(Picture(0, 5, 3)), 0u);
}

class CheckLayoutTest : public testing::Test {
 protected:
  Error Refusal() const {
    auto status = CheckLayout(layout_, format_, memory_);
    EXPECT_FALSE(status);
    if (status) return {};
    EXPECT_EQ(status.error().code, Code::kInvalidArgument);
    return status.error();
  }
  Format format_ = Picture(kYu12, 64, 32);
  Layout layout_ = Laid(format_);
  uint64_t memory_ = layout_.size;
};

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

TEST_F(CheckLayoutTest, TakesAnExactFitAndNotAByteLess) {
  EXPECT_TRUE(CheckLayout(layout_, format_, memory_));
  --memory_;
  Says(Refusal(), {"plane 2", std::to_string(memory_)});
}

TEST_F(CheckLayoutTest, LastRowNeedsNoPadding) {
  layout_.planes[2].stride = 1000;
  layout_.planes[2].size = 15 * 1000 + 32;
  memory_ = layout_.planes[2].offset + layout_.planes[2].size;
  EXPECT_TRUE(CheckLayout(layout_, format_, memory_));
  memory_ -= 1;
  Says(Refusal(), {"plane 2", "1000"});
}

TEST_F(CheckLayoutTest, NamesTheShortStride) {
  layout_.planes[1].stride = 31;
  Says(Refusal(), {"plane 1", "stride 31", "32"});
  layout_.planes[1].stride = 0;
  Says(Refusal(), {"plane 1", "stride 0"});
}

TEST_F(CheckLayoutTest, HostileStridesAndOffsetsDoNotWrap) {
  Layout good = layout_;
  for (uint64_t value : {kMax, kMax - 1, kMax / 2 + 1, uint64_t{1} << 60, kMax / 31 + 1}) {
    for (uint32_t i = 0; i < 3; ++i) {
      layout_ = good;
      layout_.planes[i].stride = value;
      Says(Refusal(), {"plane " + std::to_string(i), std::to_string(value)});
      layout_ = good;
      layout_.planes[i].offset = value;
      Says(Refusal(), {"plane " + std::to_string(i), std::to_string(value)});
      layout_ = good;
      layout_.planes[i].size = value;
      Says(Refusal(), {"plane " + std::to_string(i), std::to_string(value)});
    }
  }
}

TEST_F(CheckLayoutTest, WrapAroundThatLandsInsideTheMemoryIsSeen) {
  layout_.planes[0].offset = kMax - 64 * 32 + 1;  // + size == 0
  Says(Refusal(), {"plane 0"});
}

TEST_F(CheckLayoutTest, SizeCoversItsRows) {
  layout_.planes[0].size = 64 * 32 - 1;
  Says(Refusal(), {"plane 0", "size 2047", "2048"});
  layout_.planes[0].size = 0;
  Says(Refusal(), {"plane 0", "size 0"});
}

TEST_F(CheckLayoutTest, PlanesHoldTheCodedRows) {
  layout_.coded_height = 64;
  Says(Refusal(), {"plane", "64 rows"});
  layout_.coded_height = std::numeric_limits<uint32_t>::max();
  Says(Refusal(), {"plane"});
  layout_.coded_height = 32;
  layout_.coded_width = std::numeric_limits<uint32_t>::max();
  Says(Refusal(), {"plane 0", "stride 64", "4294967295"});
}

TEST_F(CheckLayoutTest, CodedSizeCoversThePicture) {
  layout_.coded_width = 63;
  Says(Refusal(), {"63x32", "64x32"});
  layout_.coded_width = 0;
  layout_.coded_height = 0;
  Says(Refusal(), {"0x0"});
}

TEST_F(CheckLayoutTest, PlaneCountIsThatOfTheFormat) {
  for (uint32_t count : {0u, 2u, 4u, 5u, ~0u}) {
    layout_.plane_count = count;
    Says(Refusal(), {"YU12 has 3 planes", std::to_string(count)});
  }
}

TEST_F(CheckLayoutTest, RefusesUnknownFormatsAndSizes) {
  format_.width = 0;
  Says(Refusal(), {"0x32"});
  format_.fourcc = 1;
  EXPECT_EQ(CheckLayout(layout_, format_, memory_).error().code, Code::kUnsupported);
}

TEST(CheckedArithmeticTest, SaysWhenItDoesNotFit) {
  uint64_t result = 0;
  EXPECT_TRUE(CheckedAdd(kMax - 1, 1, &result));
  EXPECT_EQ(result, kMax);
  EXPECT_FALSE(CheckedAdd(kMax, 1, &result));
  EXPECT_TRUE(CheckedMultiply(1ull << 32, (1ull << 32) - 1, &result));
  EXPECT_FALSE(CheckedMultiply(1ull << 32, 1ull << 32, &result));
}

}  // namespace
}  // namespace sluice::media
