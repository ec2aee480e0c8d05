// Filters that move pixels against docs/filters.md in double precision: scale, crop, rotate, flip.
#include <gtest/gtest.h>

#include <string>

#include "nodes/vulkan/filters/filter_testing.h"

namespace sluice::vulkan::testing {
namespace {

class GeometryTest : public FilterTest {
 protected:
  static Check Scaling(const char* name, ScaleFilter filter, bool linear, int width, int height) {
    Check check{std::string("scale ") + name + (linear ? ", linear" : "") + " to " +
                    std::to_string(width) + "x" + std::to_string(height),
                ScaleSpec()};
    check.params = {Text("filter", name), Flag("linear", linear)};
    check.reference = [=](const Image& in) { return Scale(in, width, height, filter, linear); };
    return check;
  }
  static Check Turning(const char* angle, int degrees, int width, int height,
                       bool mirrored = false) {
    Check check{std::string("rotate ") + angle + (mirrored ? ", mirrored" : "") + " to " +
                    std::to_string(width) + "x" + std::to_string(height),
                RotateSpec()};
    check.params = {Text("angle", angle)};
    check.numbers = {static_cast<float>(degrees / 90 + (mirrored ? 4 : 0))};
    check.reference = [=](const Image& in) { return Rotate(in, degrees, width, height, mirrored); };
    return check;
  }
};

const std::pair<const char*, ScaleFilter> kFilters[] = {
    {"nearest", ScaleFilter::kNearest}, {"bilinear", ScaleFilter::kBilinear},
    {"bicubic", ScaleFilter::kBicubic}, {"mitchell", ScaleFilter::kMitchell},
    {"lanczos", ScaleFilter::kLanczos},
};

TEST_F(GeometryTest, EveryScaleFilterMatchesItsKernelWhereAPictureShrinks) {
  for (const auto& [name, filter] : kFilters)
    ExpectEverywhere(Scaling(name, filter, false, 43, 29));
}

TEST_F(GeometryTest, EveryScaleFilterMatchesItsKernelWhereAPictureGrows) {
  const Image source = WithAlpha(PatternImage(Pattern::kNoise, 61, 33));
  for (const auto& [name, filter] : kFilters)
    Expect(Scaling(name, filter, false, 150, 101), source, SLUICE_FORMAT_AB24, "noise");
}

TEST_F(GeometryTest, AnAxisThatKeepsItsSizeKeepsItsPixels) {
  const Image source = WithAlpha(PatternImage(Pattern::kNoise, 60, 40));
  for (const auto& [name, filter] : kFilters) {
    Expect(Scaling(name, filter, false, 60, 23), source, SLUICE_FORMAT_AB24, "noise");
    Expect(Scaling(name, filter, false, 90, 40), source, SLUICE_FORMAT_AB24, "noise");
    Expect(Scaling(name, filter, false, 60, 40), source, SLUICE_FORMAT_AB24, "noise");
  }
}

TEST_F(GeometryTest, LightIsAveragedWhereLinearLightIsAskedFor) {
  ExpectEverywhere(Scaling("bilinear", ScaleFilter::kBilinear, true, 43, 29));
  const Image photo = Photo(200, 150);
  if (photo.width() != 0) {
    for (const auto& [name, filter] : kFilters) {
      if (filter == ScaleFilter::kNearest) continue;
      Expect(Scaling(name, filter, true, 77, 191), photo, SLUICE_FORMAT_AB24, "photo");
    }
  }
  // Black and white stripes of a pixel are half the light: 188, not 128.
  Image stripes(64, 8);
  for (int y = 0; y < 8; ++y) {
    for (int x = 0; x < 64; x += 2) stripes.at(x, y) = {1, 1, 1, 1};
  }
  const Picture in = ToPicture(stripes, MakeFormat(SLUICE_FORMAT_AB24, 64, 8));
  const Picture out(MakeFormat(SLUICE_FORMAT_AB24, 16, 8));
  Run({ScaleSpec(), {Text("filter", "bilinear"), Flag("linear", true)}, {}, {&in}}, out);
  EXPECT_NEAR(out.plane(0)[4 * 8], 188, 1);
}

/// A float's steps would be visible far to the right.
TEST_F(GeometryTest, AWidePictureIsScaledAsExactlyAsANarrowOne) {
  const Image source = PatternImage(Pattern::kNoise, 8191, 4);
  Expect(Scaling("lanczos", ScaleFilter::kLanczos, false, 6007, 4), source, SLUICE_FORMAT_AB24,
         "noise");
  Expect(Scaling("nearest", ScaleFilter::kNearest, false, 8192, 3), source, SLUICE_FORMAT_AB24,
         "noise");
}

TEST_F(GeometryTest, AScaledPictureMayBeOnePixel) {
  const Image source = PatternImage(Pattern::kNoise, 33, 17);
  Expect(Scaling("lanczos", ScaleFilter::kLanczos, false, 1, 1), source, SLUICE_FORMAT_AB24,
         "noise");
  Expect(Scaling("bicubic", ScaleFilter::kBicubic, false, 16, 16),
         PatternImage(Pattern::kGradients, 1, 1), SLUICE_FORMAT_AB24, "one pixel");
}

TEST_F(GeometryTest, ACropShowsItsRectangleAndRepeatsTheEdgesOutside) {
  for (const auto& [x, y] : {std::pair(7, 5), std::pair(-9, -3), std::pair(60, 200)}) {
    Check check{"crop at " + std::to_string(x) + "," + std::to_string(y), CropSpec()};
    check.params = {Number("x", x), Number("y", y)};
    check.reference = [x = x, y = y](const Image& in) { return Crop(in, 41, 27, x, y); };
    check.worst = 0.26;  // halves of values between two of theirs
    ExpectEverywhere(check);
  }
}

TEST_F(GeometryTest, AFlipExchangesSides) {
  for (const auto& [name, h, v] :
       {std::tuple("horizontal", true, false), std::tuple("vertical", false, true),
        std::tuple("both", true, true)}) {
    Check check{std::string("flip ") + name, FlipSpec()};
    check.params = {Text("direction", name)};
    check.reference = [h = h, v = v](const Image& in) { return Flip(in, h, v); };
    check.worst = 0.26;
    ExpectEverywhere(check);
  }
}

TEST_F(GeometryTest, QuarterTurnsAreExactWhereTheSizeIsThatOfTheTurnedPicture) {
  const Image source = WithAlpha(PatternImage(Pattern::kNoise, 97, 61));
  for (const auto& [angle, degrees] :
       {std::pair("0", 0), std::pair("90", 90), std::pair("180", 180), std::pair("270", 270)}) {
    const bool turned = degrees % 180 != 0;
    Check check = Turning(angle, degrees, turned ? 61 : 97, turned ? 97 : 61);
    check.numbers.clear();
    check.worst = 0;
    Expect(check, source, SLUICE_FORMAT_AB24, "noise");
    Check video = Turning(angle, degrees, turned ? 57 : 101, turned ? 101 : 57);
    video.numbers.clear();
    Expect(video, PatternImage(Pattern::kGradients, 101, 57), SLUICE_FORMAT_NV12, "gradients");
  }
}

TEST_F(GeometryTest, ATurnedPictureOfAnotherSizeIsShownWholeWithBlackAround) {
  const Image source = WithAlpha(PatternImage(Pattern::kZonePlate, 96, 60));
  for (const int degrees : {0, 90, 180, 270}) {
    for (const bool mirrored : {false, true}) {
      for (const auto& [width, height] : {std::pair{96, 60}, std::pair{60, 96}, std::pair{133, 71}})
        Expect(Turning("auto", degrees, width, height, mirrored), source, SLUICE_FORMAT_AB24,
               "zone plate");
    }
  }
  Expect(Turning("90", 90, 150, 90), source, SLUICE_FORMAT_AB24, "zone plate");
}

/// Orientation by eye: a red corner at the top left goes clockwise, and then to the other side.
TEST_F(GeometryTest, TheAngleIsClockwiseAndTheMirrorBehindIt) {
  Image source(32, 16, {0, 0, 0, 1});
  source.at(0, 0) = {1, 0, 0, 1};
  const Picture in = ToPicture(source, MakeFormat(SLUICE_FORMAT_AB24, 32, 16));
  const Picture out(MakeFormat(SLUICE_FORMAT_AB24, 16, 32));
  Run({RotateSpec(), {Text("angle", "90")}, {}, {&in}}, out);
  EXPECT_EQ(ToImage(out).at(15, 0)[0], 1);
  Run({RotateSpec(), {Text("angle", "auto")}, {1 + 4}, {&in}}, out);
  EXPECT_EQ(ToImage(out).at(0, 0)[0], 1);
}

// ---- chains that are one pass

Link Cropping(int width, int height, int x, int y) {
  return {CropSpec(), {Number("x", x), Number("y", y)}, width, height, [=](const Image& in) {
            return Crop(in, width, height, x, y);
          }};
}

Link Flipping(const char* direction, int width, int height) {
  const std::string name = direction;
  return {FlipSpec(), {Text("direction", direction)}, width, height, [=](const Image& in) {
            return Flip(in, name != "vertical", name != "horizontal");
          }};
}

/// By quarters; the size is that of the result.
Link Turning(const char* angle, int width, int height) {
  const int degrees = std::stoi(angle);
  return {RotateSpec(), {Text("angle", angle)}, width, height, [=](const Image& in) {
            return Rotate(in, degrees, width, height);
          }};
}

Link Nearest(int width, int height) {
  return {ScaleSpec(), {Text("filter", "nearest")}, width, height, [=](const Image& in) {
            return Scale(in, width, height, ScaleFilter::kNearest, false);
          }};
}

Link Adjusting(int width, int height) {
  return {AdjustSpec(),
          {Number("contrast", 1.2), Number("saturation", 0.8)},
          width,
          height,
          [](const Image& in) { return Adjust(in, {}, 0, 1.2, 0.8, 1); }};
}

struct Chain {
  const char* name;
  std::vector<Link> links;
  bool exact = true;  ///< moves pixels only
};

/// Of 97x61 and of 64x48. What lies beyond a crop is its edge, not what was cut off.
const std::vector<Chain>& Chains() {
  static const auto* const chains = new std::vector<Chain>{
      {"crop, flip", {Cropping(41, 27, 20, 11), Flipping("both", 41, 27)}},
      {"crop, flip, rotate, crop",
       {Cropping(41, 27, -5, 30), Flipping("horizontal", 41, 27), Turning("90", 27, 41),
        Cropping(40, 50, -6, -4)}},
      {"four flips",
       {Cropping(60, 40, 1, 1), Flipping("horizontal", 60, 40), Flipping("vertical", 60, 40),
        Flipping("both", 60, 40), Flipping("vertical", 60, 40)}},
      {"crop, rotate, flip, nearest up",
       {Cropping(31, 18, 3, 2), Turning("270", 18, 31), Flipping("vertical", 18, 31),
        Nearest(50, 70)}},
      {"nearest down, crop, rotate, nearest up",
       {Nearest(33, 21), Cropping(24, 24, 20, -8), Turning("180", 24, 24), Nearest(77, 48)}},
      {"crop, adjust, flip, rotate, adjust, crop",
       {Cropping(41, 27, -5, 30), Adjusting(41, 27), Flipping("both", 41, 27),
        Turning("90", 27, 41), Adjusting(27, 41), Cropping(32, 32, 4, 15)},
       false},
  };
  return *chains;
}

class GeometryChainTest : public FilterTest, public ::testing::WithParamInterface<uint32_t> {
 protected:
  /// How many passes the filters are, from and to such frames.
  static size_t Passes(const std::vector<TestFilter>& filters, const Picture& in,
                       const Picture& out) {
    Network network;
    for (const TestFilter& filter : filters)
      network.nodes.push_back({"filter", filter.stages, filter.sources});
    network.inputs = {in.shape()};
    network.outputs = {out.shape()};
    network.output_nodes = {static_cast<uint32_t>(filters.size() - 1)};
    return PlanPasses(network, {}).value().passes.size();
  }
  /// Within `codes` of the format; none: alpha, too, and halves as they are.
  static void ExpectSame(const Picture& a, const Picture& b, int codes, const std::string& what) {
    if (codes == 0) {
      const Image left = ToImage(a), right = ToImage(b);
      for (int y = 0; y < left.height(); ++y) {
        for (int x = 0; x < left.width(); ++x)
          ASSERT_EQ(left.at(x, y), right.at(x, y)) << what << ", pixel " << x << "," << y;
      }
      return;
    }
    for (const Difference& d : Compare(a, b)) EXPECT_LE(d.worst, codes) << what;
  }
};

TEST_P(GeometryChainTest, AChainIsOnePassThatMakesWhatItsFiltersMakeOneByOne) {
  const uint32_t fourcc = GetParam();
  const bool yuv = IsYuv(fourcc);
  Program::Options unfused;
  unfused.passes.fuse = false;
  for (const auto& [width, height] : {std::pair{97U, 61U}, std::pair{64U, 48U}}) {
    Picture in(MakeFormat(fourcc, width, height));
    Fill(in, yuv ? Pattern::kGradients : Pattern::kNoise);
    for (const Chain& chain : Chains()) {
      const Link& last = chain.links.back();
      const sluice_format format =
          MakeFormat(fourcc, static_cast<uint32_t>(last.width), static_cast<uint32_t>(last.height));
      const Picture fused(format), apart(format);
      const std::vector<TestFilter> filters = Filters(chain.links, in.format());
      EXPECT_EQ(Passes(filters, in, fused), 1U) << chain.name;
      bench_->RunChain(filters, {&in}, fused);
      bench_->RunChain(filters, {&in}, apart, unfused);
      const std::string what = std::string(chain.name) + " " + FourccName(fourcc) + " " +
                               std::to_string(width) + "x" + std::to_string(height);
      // Chroma between samples is rounded to half floats on the way.
      ExpectSame(fused, apart, chain.exact && !yuv ? 0 : 1, what);
      Image want = ToImage(in);
      for (const Link& link : chain.links) want = link.reference(want);
      // The reference of Y'CbCr goes through bytes, of which P010 has four codes each.
      const double bytes = fourcc == SLUICE_FORMAT_P010 ? 4 : 1;
      ExpectNear(fused, want, yuv ? 2 * bytes : chain.exact ? 0 : 1, what);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, GeometryChainTest,
                         ::testing::Values(SLUICE_FORMAT_AB24, SLUICE_FORMAT_AR24,
                                           SLUICE_FORMAT_XR24, SLUICE_FORMAT_AB4H,
                                           SLUICE_FORMAT_NV12, SLUICE_FORMAT_P010),
                         [](const auto& format) { return FourccName(format.param); });

}  // namespace
}  // namespace sluice::vulkan::testing
