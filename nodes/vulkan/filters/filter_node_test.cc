// The filters as nodes of the plugin, through its ABI: parameters that change, and what travels
// with the frames.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nodes/vulkan/filters/filter_testing.h"
#include "nodes/vulkan/island_testing.h"

namespace sluice::vulkan::testing {
namespace {

using ::testing::HasSubstr;

const sluice_format kRgb = MakeFormat(SLUICE_FORMAT_AB24, 96, 64);

/// What a frame may say of how it is meant.
struct Said {
  int degrees;
  bool mirrored;
};
constexpr Said kSaid[] = {{90, false}, {270, false}, {0, false}, {180, false},
                          {90, true},  {270, true},  {0, true},  {180, true}};

sluice_frame_info InfoSaying(const Said& said) {
  sluice_frame_info info{};
  info.rotation_degrees = said.degrees;
  info.flags = SLUICE_FRAME_KEY | (said.mirrored ? SLUICE_FRAME_MIRRORED : 0U);
  return info;
}

class FilterNodeTest : public IslandTest {
 protected:
  /// Sends `picture` as a frame that says so; what comes is to be upright and to say nothing.
  void ExpectShownAsMeant(const Picture& picture, const Said& said, const sluice_format& format) {
    FakeFrame* in = Lease(*in_pool_);
    FakeFrame* out = Lease(*out_pool_);
    Write(in, picture);
    in->info = InfoSaying(said);
    sluice_fence fences[2];
    ASSERT_EQ(Submit(in, out, fences), SLUICE_OK);
    ASSERT_EQ(WaitIdle(), SLUICE_OK);
    Picture got(format);
    Read(out, got);
    const Image want = Rotate(ToImage(picture), said.degrees, static_cast<int>(format.width),
                              static_cast<int>(format.height), said.mirrored);
    ExpectNear(
        got, want, 1,
        "a frame that says " + std::to_string(said.degrees) + (said.mirrored ? ", mirrored" : ""));
    EXPECT_EQ(out->info.rotation_degrees, 0);
    EXPECT_EQ(out->info.flags, SLUICE_FRAME_KEY);
    Return(in);
    Return(out);
  }
  /// Sends a frame with this info and returns what the result says of itself.
  sluice_frame_info InfoOf(const sluice_frame_info& info) {
    FakeFrame* in = Lease(*in_pool_);
    FakeFrame* out = Lease(*out_pool_);
    in->info = info;
    sluice_fence fences[2];
    EXPECT_EQ(Submit(in, out, fences), SLUICE_OK);
    EXPECT_EQ(WaitIdle(), SLUICE_OK);
    const sluice_frame_info result = out->info;
    Return(in);
    Return(out);
    return result;
  }
  static int32_t Set(TestNode& node, sluice_param param) {
    return node.node.set_param(node.node.self, &param);
  }
  std::string ErrorOf(const char* type, std::vector<sluice_param> params) {
    const TestNode node(host_, type, std::move(params), domain_.self);
    EXPECT_EQ(node.created, SLUICE_E_INVALID_ARGUMENT);
    return node.error;
  }
};

TEST_F(FilterNodeTest, AParameterCountsFromTheNextFrameOn) {
  TestNode& blur = Add("vulkan.blur", {Number("sigma", 1.5)}, kRgb, kRgb);
  ASSERT_EQ(Build(), SLUICE_OK);
  Picture picture(kRgb);
  Fill(picture, Pattern::kNoise);
  for (const double sigma : {1.5, 4.0, 0.0}) {
    EXPECT_EQ(Set(blur, Number("sigma", sigma)), SLUICE_OK);
    ExpectNear(RunOnce(picture), GaussianBlur(ToImage(picture), sigma), 1,
               "blur, sigma set to " + std::to_string(sigma).substr(0, 3));
  }
}

TEST_F(FilterNodeTest, ColoursAndChoicesChangeWhileRunning) {
  TestNode& key = Add("vulkan.chroma-key", {Text("color", "#00ff00")}, kRgb, kRgb);
  TestNode& flip = Add("vulkan.flip", {Text("direction", "horizontal")}, kRgb, kRgb);
  ASSERT_EQ(Build(), SLUICE_OK);
  Picture picture(kRgb);
  Fill(picture, Pattern::kGradients);
  RunOnce(picture);
  EXPECT_EQ(Set(key, Text("color", "#4040ff")), SLUICE_OK);
  EXPECT_EQ(Set(flip, Text("direction", "vertical")), SLUICE_OK);
  const Rgb color{0x40 / 255.0, 0x40 / 255.0, 1};
  ExpectNear(RunOnce(picture),
             Flip(ChromaKey(ToImage(picture), {}, color, 0.1, 0.05, 0), false, true), 1,
             "key and flip, changed");
}

TEST_F(FilterNodeTest, ABadValueIsRefusedAndTheOldOneStays) {
  TestNode& blur = Add("vulkan.box-blur", {Number("radius", 2)}, kRgb, kRgb);
  ASSERT_EQ(Build(), SLUICE_OK);
  EXPECT_EQ(Set(blur, Number("radius", 129)), SLUICE_E_INVALID_ARGUMENT);
  EXPECT_EQ(blur.error, "radius: 129 is not in 0 .. 128");
  EXPECT_EQ(Set(blur, Number("sigma", 1)), SLUICE_E_NOT_FOUND);
  EXPECT_THAT(blur.error, HasSubstr("\"sigma\""));
  Picture picture(kRgb);
  Fill(picture, Pattern::kNoise);
  ExpectNear(RunOnce(picture), BoxBlur(ToImage(picture), 2), 1, "box-blur after a refusal");
}

TEST_F(FilterNodeTest, ANodeIsNotMadeOfBadParameters) {
  EXPECT_EQ(ErrorOf("vulkan.blur", {Number("sigma", -1)}), "sigma: -1 is not in 0 .. 64");
  EXPECT_THAT(ErrorOf("vulkan.scale", {Text("filter", "cubic")}), HasSubstr("filter: \"cubic\""));
  EXPECT_THAT(ErrorOf("vulkan.rotate", {Text("angle", "45")}), HasSubstr("angle: \"45\""));
  EXPECT_THAT(ErrorOf("vulkan.compose", {Number("opacity3", 2)}),
              HasSubstr("opacity3: 2 is not in 0 .. 1"));
  EXPECT_THAT(ErrorOf("vulkan.lut", {}), HasSubstr("path: no file"));
}

TEST_F(FilterNodeTest, SizesThatAFilterCannotMakeAreRefused) {
  TestNode flip(host_, "vulkan.flip", {}, domain_.self);
  EXPECT_LT(flip.Configure(kRgb, MakeFormat(SLUICE_FORMAT_AB24, 64, 96)), 0);
  EXPECT_THAT(flip.error, HasSubstr("in is 96x64, out is 64x96"));
}

TEST_F(FilterNodeTest, AFrameIsTurnedAsItSaysAndThenSaysNothing) {
  const sluice_format upright = MakeFormat(SLUICE_FORMAT_AB24, 64, 96);
  Add("vulkan.rotate", {Text("angle", "auto")}, kRgb, upright);
  ASSERT_EQ(Build(), SLUICE_OK);
  Picture picture(kRgb);
  Fill(picture, Pattern::kNoise);
  for (const Said& said : kSaid) ExpectShownAsMeant(picture, said, upright);
}

// A frame is mirrored behind all of its turn, of which the first node does a part.
TEST_F(FilterNodeTest, WhatAFixedTurnLeavesAFrameToSayShowsItAsMeant) {
  const sluice_format turned = MakeFormat(SLUICE_FORMAT_AB24, 64, 96);
  Add("vulkan.rotate", {Text("angle", "90")}, kRgb, turned);
  Add("vulkan.rotate", {Text("angle", "auto")}, turned, turned);
  ASSERT_EQ(Build(), SLUICE_OK);
  Picture picture(kRgb);
  Fill(picture, Pattern::kNoise);
  for (const Said& said : kSaid) ExpectShownAsMeant(picture, said, turned);
}

TEST_F(FilterNodeTest, AFixedTurnLeavesWhatIsStillToDo) {
  Add("vulkan.rotate", {Text("angle", "90")}, kRgb, MakeFormat(SLUICE_FORMAT_AB24, 64, 96));
  ASSERT_EQ(Build(), SLUICE_OK);
  sluice_frame_info info{};
  info.rotation_degrees = 270;
  info.flags = SLUICE_FRAME_KEY;
  info.aspect_num = 4;
  info.aspect_den = 3;
  info.pts_ns = 123;
  const sluice_frame_info out = InfoOf(info);
  EXPECT_EQ(out.rotation_degrees, 180);
  EXPECT_EQ(out.aspect_num, 3U);
  EXPECT_EQ(out.aspect_den, 4U);
  EXPECT_EQ(out.pts_ns, 123);
  EXPECT_EQ(out.crop_width, 64U);
  EXPECT_EQ(out.crop_height, 96U);
  EXPECT_EQ(out.flags, SLUICE_FRAME_KEY);
  for (const Said& said : kSaid) {
    const sluice_frame_info left = InfoOf(InfoSaying(said));
    EXPECT_EQ(left.rotation_degrees, (said.degrees + 270) % 360);
    EXPECT_EQ(left.flags, InfoSaying(said).flags);
  }
}

TEST_F(FilterNodeTest, WhatIsLeftOfATurnThatIsNoQuarterGoesTheOtherWayBehindTheMirror) {
  Add("vulkan.rotate", {Text("angle", "auto")}, kRgb, MakeFormat(SLUICE_FORMAT_AB24, 64, 96));
  ASSERT_EQ(Build(), SLUICE_OK);
  EXPECT_EQ(InfoOf(InfoSaying({100, false})).rotation_degrees, 10);
  EXPECT_EQ(InfoOf(InfoSaying({100, true})).rotation_degrees, 350);
}

TEST_F(FilterNodeTest, AStretchedPictureHasStretchedPixels) {
  Add("vulkan.scale", {Text("filter", "bilinear")}, kRgb, MakeFormat(SLUICE_FORMAT_AB24, 48, 64));
  // Inside of the island the frames' words go along, too.
  Add("vulkan.flip", {}, MakeFormat(SLUICE_FORMAT_AB24, 48, 64),
      MakeFormat(SLUICE_FORMAT_AB24, 48, 64));
  ASSERT_EQ(Build(), SLUICE_OK);
  sluice_frame_info info{};
  info.aspect_num = 8;
  info.aspect_den = 9;
  const sluice_frame_info out = InfoOf(info);
  EXPECT_EQ(out.aspect_num, 16U);
  EXPECT_EQ(out.aspect_den, 9U);
  EXPECT_EQ(out.crop_width, 48U);
}

TEST_F(FilterNodeTest, AChainOfFiltersIsOneSubmission) {
  const sluice_format video = MakeFormat(SLUICE_FORMAT_NV12, 128, 96);
  const sluice_format small = MakeFormat(SLUICE_FORMAT_NV12, 64, 48);
  Add("vulkan.adjust", {Number("contrast", 1.2)}, video, video);
  Add("vulkan.scale", {Text("filter", "bicubic")}, video, small);
  Add("vulkan.sharpen", {Number("sigma", 1)}, small, small);
  ASSERT_EQ(Build(), SLUICE_OK);
  const Picture picture = ToPicture(PatternImage(Pattern::kGradients, 128, 96), video);
  const Image adjusted = Adjust(ToImage(picture), {}, 0, 1.2, 1, 1);
  ExpectNear(RunOnce(picture),
             Sharpen(Scale(adjusted, 64, 48, ScaleFilter::kBicubic, false), 1, 1, 0), 3,
             "adjust, scale, sharpen");
}

}  // namespace
}  // namespace sluice::vulkan::testing
