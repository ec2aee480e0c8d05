// Filters that make new pixels against docs/filters.md in double precision.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <random>

#include "nodes/vulkan/filters/filter_testing.h"

namespace sluice::vulkan::testing {
namespace {

class PixelTest : public FilterTest {
 protected:
  Check Blurring(double sigma) {
    Check check{"blur sigma " + std::to_string(sigma).substr(0, 4), BlurSpec()};
    check.params = {Number("sigma", sigma)};
    check.reference = [=](const Image& in) { return GaussianBlur(in, sigma); };
    return check;
  }
  Check BoxBlurring(double radius) {
    Check check{"box-blur radius " + std::to_string(radius).substr(0, 4), BoxBlurSpec()};
    check.params = {Number("radius", radius)};
    check.reference = [=](const Image& in) { return BoxBlur(in, radius); };
    return check;
  }
};

TEST_F(PixelTest, ABlurIsAGaussianOfItsSigma) {
  ExpectEverywhere(Blurring(2.3));
  const Image noise = WithAlpha(PatternImage(Pattern::kNoise, 64, 48));
  for (const double sigma : {0.0, 0.1, 0.6, 7.5})
    Expect(Blurring(sigma), noise, SLUICE_FORMAT_AB24, "noise");
  Expect(Blurring(64), PatternImage(Pattern::kBars, 40, 16), SLUICE_FORMAT_AB24, "bars");
}

TEST_F(PixelTest, ABoxBlurIsTheMeanOfItsSquare) {
  ExpectEverywhere(BoxBlurring(3));
  const Image noise = WithAlpha(PatternImage(Pattern::kNoise, 64, 48));
  for (const double radius : {0.0, 0.5, 1.0, 2.75, 12.0})
    Expect(BoxBlurring(radius), noise, SLUICE_FORMAT_AB24, "noise");
  Expect(BoxBlurring(128), PatternImage(Pattern::kBars, 40, 16), SLUICE_FORMAT_AB24, "bars");
}

TEST_F(PixelTest, SharpeningAddsWhatTheBlurTakesAway) {
  for (const auto& [sigma, amount, threshold] :
       {std::tuple(1.0, 1.0, 0.0), std::tuple(0.7, 2.5, 0.05), std::tuple(4.0, 0.0, 0.0)}) {
    Check check{"sharpen " + std::to_string(amount).substr(0, 3), SharpenSpec()};
    check.params = {Number("sigma", sigma), Number("amount", amount),
                    Number("threshold", threshold)};
    check.reference = [s = sigma, a = amount, t = threshold](const Image& in) {
      return Sharpen(in, s, a, t);
    };
    // In 4:2:0 the reference's bytes on the way are amplified as well.
    check.worst = 1 + (amount > 1 ? 1 : 0);
    ExpectEverywhere(check);
  }
}

class LutTest : public PixelTest {
 protected:
  /// Writes a table to a file and applies it.
  void ExpectTable(const std::string& name, const std::string& text, double amount,
                   bool steep = true) {
    const std::string path = ::testing::TempDir() + "table.cube";
    std::ofstream(path) << text;
    const CubeLut lut = *ParseCube(text, path);
    Check check{"lut " + name, LutSpec()};
    check.params = {Text("path", path.c_str()), Number("amount", amount)};
    check.reference = [=](const Image& in) { return ApplyLut(in, lut, amount); };
    check.steep = steep;
    check.own_chroma = 1;
    ExpectEverywhere(check);
  }
  static std::string Random(const std::string& head, int lines) {
    std::mt19937 random(5);
    std::uniform_real_distribution<float> value(-0.1F, 1.1F);
    std::string text = head;
    for (int i = 0; i < lines; ++i) {
      for (int c = 0; c < 3; ++c) text += std::to_string(value(random)) + (c < 2 ? " " : "\n");
    }
    return text;
  }
};

TEST_F(LutTest, A3dTableIsInterpolatedInTetrahedra) {
  ExpectTable("3D of 2", Random("LUT_3D_SIZE 2\n", 8), 1);
  ExpectTable("3D of 5", Random("LUT_3D_SIZE 5\n", 125), 0.6);
  ExpectTable("3D, domain",
              Random("LUT_3D_SIZE 4\nDOMAIN_MIN -0.5 0 0.2\nDOMAIN_MAX 1 0.8 2\n", 64), 1);
}

TEST_F(LutTest, A1dTableIsInterpolatedForEachComponent) {
  ExpectTable("1D of 17", Random("LUT_1D_SIZE 17\n", 17), 1);
}

TEST_F(LutTest, ATableIsAppliedToVideo) {
  std::string text = "LUT_3D_SIZE 9\n";
  for (int i = 0; i < 729; ++i) {
    const double r = i % 9 / 8.0, g = i / 9 % 9 / 8.0, b = i / 81 / 8.0;
    text += std::to_string(0.8 * r + 0.2 * g * g) + " " + std::to_string(0.9 * g + 0.05) + " " +
            std::to_string(0.7 * b + 0.2 * r * b) + "\n";
  }
  ExpectTable("3D, soft", text, 1, false);
}

TEST_F(LutTest, AnIdentityOfTheLargestSizeChangesNothing) {
  std::string text = "LUT_3D_SIZE 65\n";
  for (int i = 0; i < 65 * 65 * 65; ++i) {
    text += std::to_string(i % 65 / 64.0) + " " + std::to_string(i / 65 % 65 / 64.0) + " " +
            std::to_string(i / 4225 / 64.0) + "\n";
  }
  const std::string path = ::testing::TempDir() + "identity.cube";
  std::ofstream(path) << text;
  Check check{"lut identity", LutSpec()};
  check.params = {Text("path", path.c_str())};
  check.reference = [](const Image& in) { return in; };
  Expect(check, PatternImage(Pattern::kNoise, 97, 61), SLUICE_FORMAT_AB24, "noise");
}

TEST_F(PixelTest, AKeyMakesItsColourTransparentByItsDistanceInChroma) {
  // Y'CbCr has no alpha to show: RGB, and halves. `in` may be Y'CbCr.
  const LumaWeights bt709;
  for (const auto& [color, key, similarity, blend, spill] :
       {std::tuple("#00ff00", Rgb{0, 1, 0}, 0.2, 0.1, 0.0),
        std::tuple("#3060f0", Rgb{48 / 255.0, 96 / 255.0, 240 / 255.0}, 0.1, 0.3, 0.8),
        std::tuple("#808080", Rgb{128 / 255.0, 128 / 255.0, 128 / 255.0}, 0.05, 0.2, 1.0)}) {
    Check check{std::string("chroma-key ") + color, ChromaKeySpec()};
    check.params = {Text("color", color), Number("similarity", similarity), Number("blend", blend),
                    Number("spill", spill)};
    check.reference = [=, k = key, s = similarity, b = blend, p = spill](const Image& in) {
      return ChromaKey(in, bt709, k, s, b, p);
    };
    for (const uint32_t fourcc : {SLUICE_FORMAT_AB24, SLUICE_FORMAT_AR24, SLUICE_FORMAT_AB4H}) {
      Expect(check, WithAlpha(PatternImage(Pattern::kNoise, 97, 61)), fourcc, "noise");
      Expect(check, PatternImage(Pattern::kGradients, 64, 64), fourcc, "gradients");
    }
    const Image photo = Photo(256, 192);
    if (photo.width() != 0) Expect(check, photo, SLUICE_FORMAT_AB24, "photo");
  }
}

TEST_F(PixelTest, AKeyTakesTheMatrixOfItsFrames) {
  const sluice_format from = MakeFormat(SLUICE_FORMAT_NV12, 64, 64, SLUICE_MATRIX_BT601);
  const Picture in = ToPicture(PatternImage(Pattern::kGradients, 64, 64), from);
  const Picture out(MakeFormat(SLUICE_FORMAT_AB24, 64, 64));
  Run({ChromaKeySpec(), {Number("similarity", 0.3), Number("blend", 0.3)}, {}, {&in}}, out);
  ExpectNear(out, ChromaKey(ToImage(in), {0.299, 0.114}, {0, 1, 0}, 0.3, 0.3, 0), 2,
             "chroma-key of BT.601");
}

TEST_F(PixelTest, AHardEdgeHasNoPassage) {
  Image source(64, 1);
  for (int x = 0; x < 64; ++x) source.at(x, 0) = {x / 63.0, 1, 0, 1};
  const Picture in = ToPicture(source, MakeFormat(SLUICE_FORMAT_AB24, 64, 1));
  const Picture out(MakeFormat(SLUICE_FORMAT_AB24, 64, 1));
  Run({ChromaKeySpec(), {Number("similarity", 0.2), Number("blend", 0)}, {}, {&in}}, out);
  bool transparent = false, opaque = false;
  for (int x = 0; x < 64; ++x) {
    const double alpha = ToImage(out).at(x, 0)[3];
    EXPECT_TRUE(alpha == 0 || alpha == 1) << x;
    transparent = transparent || alpha == 0;
    opaque = opaque || alpha == 1;
  }
  EXPECT_TRUE(transparent && opaque);
}

TEST_F(PixelTest, AdjustmentsAreDoneInTheirOrder) {
  for (const auto& [brightness, contrast, saturation, gamma] :
       {std::tuple(0.0, 1.0, 1.0, 1.0), std::tuple(0.1, 1.4, 1.6, 0.8),
        std::tuple(-0.2, 0.7, 0.0, 2.2), std::tuple(0.0, 4.0, 4.0, 1.0)}) {
    Check check{"adjust gamma " + std::to_string(gamma).substr(0, 3), AdjustSpec()};
    check.params = {Number("brightness", brightness), Number("contrast", contrast),
                    Number("saturation", saturation), Number("gamma", gamma)};
    check.reference = [b = brightness, c = contrast, s = saturation, g = gamma](const Image& in) {
      return Adjust(in, {}, b, c, s, g);
    };
    check.steep = gamma > 1 || contrast > 2;
    check.worst = check.steep ? 1 : 1 + contrast;
    if (gamma < 1) check.own_chroma = 5;  // 8 codes of Cb are seen
    ExpectEverywhere(check);
  }
}

}  // namespace
}  // namespace sluice::vulkan::testing
