// convert against swscale (bilinear, accurate rounding, full chroma interpolation, range and siting
// set) and against docs/colour.md in double precision.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <deque>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>

#include "nodes/vulkan/reference.h"
#include "nodes/vulkan/testing.h"

namespace sluice::vulkan::testing {
namespace {

constexpr uint8_t k601 = SLUICE_MATRIX_BT601;
constexpr uint8_t k709 = SLUICE_MATRIX_BT709;
constexpr uint8_t k2020 = SLUICE_MATRIX_BT2020;
constexpr uint8_t kLimited = SLUICE_RANGE_LIMITED;
constexpr uint8_t kFull = SLUICE_RANGE_FULL;
constexpr uint8_t kLeft = SLUICE_SITING_LEFT;
constexpr uint8_t kCenter = SLUICE_SITING_CENTER;
constexpr uint8_t kTopLeft = SLUICE_SITING_TOP_LEFT;

const char* NameOfMatrix(uint8_t matrix) {
  return matrix == k601 ? "601" : matrix == k709 ? "709" : matrix == k2020 ? "2020" : "-";
}

std::string Describe(const sluice_format& f) {
  const char* siting = f.color.siting == kLeft     ? "left"
                       : f.color.siting == kCenter ? "center"
                                                   : "topleft";
  return FourccName(f.fourcc) + "/" + NameOfMatrix(f.color.matrix) + "/" +
         (f.color.range == kFull ? "full" : "limited") + "/" + siting;
}

void ExpectAtLeast(double db, const std::vector<Difference>& differences,
                   const std::string& where) {
  std::printf("%s: %s\n", where.c_str(), ToString(differences).c_str());
  for (const Difference& d : differences) EXPECT_GE(d.psnr, db) << where;
}

class ConvertTest : public DeviceTest {
 protected:
  Picture Convert(const Picture& src, const sluice_format& to) {
    Picture got(to);
    bench_->Run(src, got, 0, Params{});
    return got;
  }
  void CheckReference(const Picture& src, const sluice_format& to, const std::string& content) {
    Picture want(to);
    Reference(src, want, "", {});
    const auto differences = Compare(Convert(src, to), want);
    Note(src.format().fourcc, to.fourcc, differences);
    ExpectWithinOne(differences, Describe(src.format()) + " -> " + Describe(to) + " " + content);
  }
  static void ExpectWithinOne(const std::vector<Difference>& differences,
                              const std::string& where) {
    for (const Difference& d : differences)
      EXPECT_LE(d.worst, 1) << where << ": " << ToString(differences);
  }
  /// The worst of each pair of formats, printed when the test has ended.
  void Note(uint32_t from, uint32_t to, const std::vector<Difference>& differences) {
    Difference& worst = worst_.try_emplace({from, to}, Difference{200, 0}).first->second;
    for (const Difference& d : differences) {
      worst.psnr = std::min(worst.psnr, d.psnr);
      worst.worst = std::max(worst.worst, d.worst);
    }
  }
  void TearDown() override {
    for (const auto& [pair, worst] : worst_) {
      std::printf("%s -> %s against the reference: %s\n", FourccName(pair.first).c_str(),
                  FourccName(pair.second).c_str(), ToString({worst}).c_str());
    }
  }
  std::map<std::pair<uint32_t, uint32_t>, Difference> worst_;

  void CheckSwscale(const Picture& src, const sluice_format& to, const std::string& content,
                    bool via_444 = false) {
    Picture want(to);
    if (via_444) {
      SwscaleVia444(src, want);
    } else {
      Swscale(src, want, true);
    }
    ExpectAtLeast(50, Compare(Convert(src, to), want),
                  Describe(src.format()) + " -> " + Describe(to) + " " + content);
  }
};

/// Every format, and every siting with some of them.
std::vector<sluice_format> AllFormats(uint32_t w, uint32_t h) {
  const auto yuv = [&](uint32_t fourcc, uint8_t siting) {
    return MakeFormat(fourcc, w, h, k709, kLimited, siting);
  };
  return {yuv(SLUICE_FORMAT_YU12, kLeft),
          yuv(SLUICE_FORMAT_YU12, kCenter),
          yuv(SLUICE_FORMAT_NV12, kTopLeft),
          yuv(SLUICE_FORMAT_YUYV, kLeft),
          yuv(SLUICE_FORMAT_YUYV, kCenter),
          MakeFormat(SLUICE_FORMAT_AB24, w, h),
          MakeFormat(SLUICE_FORMAT_AR24, w, h),
          MakeFormat(SLUICE_FORMAT_XB24, w, h),
          MakeFormat(SLUICE_FORMAT_XR24, w, h),
          yuv(SLUICE_FORMAT_P010, kLeft),
          MakeFormat(SLUICE_FORMAT_P010, w, h, k2020, kLimited, kTopLeft),
          MakeFormat(SLUICE_FORMAT_AB4H, w, h),
          MakeFormat(SLUICE_FORMAT_XB4H, w, h)};
}

/// The formats that the manifest offers.
std::set<std::string> ManifestFormats() {
  std::set<std::string> names;
  std::ifstream file("nodes/vulkan/vulkan.sluice.yaml");
  const std::string key = "- formats: [";
  for (std::string line; std::getline(file, line);) {
    const size_t at = line.find(key);
    if (at == std::string::npos) continue;
    std::istringstream list(line.substr(at + key.size(), line.find(']') - at - key.size()));
    for (std::string name; std::getline(list >> std::ws, name, ',');) names.insert(name);
  }
  return names;
}

TEST(ConvertFormatsTest, AreThoseOfTheManifest) {
  std::set<std::string> tested;
  for (const sluice_format& format : AllFormats(8, 8)) tested.insert(FourccName(format.fourcc));
  EXPECT_EQ(tested, ManifestFormats());
}

/// From one of AllFormats.
class EveryPairTest : public ConvertTest, public ::testing::WithParamInterface<size_t> {};

TEST_P(EveryPairTest, MatchesTheReferenceOnNoise) {
  // Wider than a workgroup, and odd: the last block of a row and the last row are partial.
  const std::vector<sluice_format> formats = AllFormats(139, 23);
  Picture src(formats[GetParam()]);
  Fill(src, Pattern::kNoise);
  for (const sluice_format& to : formats) CheckReference(src, to, "noise");
}

INSTANTIATE_TEST_SUITE_P(, EveryPairTest, ::testing::Range(size_t{0}, AllFormats(8, 8).size()),
                         [](const auto& instance) {
                           const sluice_format from = AllFormats(8, 8)[instance.param];
                           return FourccName(from.fourcc) + "_" + std::to_string(instance.param);
                         });

TEST_F(ConvertTest, NoiseWithoutOddEdgesMatchesTheReference) {
  for (const uint32_t fourcc : {SLUICE_FORMAT_YU12, SLUICE_FORMAT_YUYV, SLUICE_FORMAT_AB24}) {
    Picture src(MakeFormat(fourcc, 136, 20));
    Fill(src, Pattern::kNoise);
    CheckReference(src, MakeFormat(SLUICE_FORMAT_NV12, 136, 20, k601, kFull, kCenter), "noise");
    CheckReference(src, MakeFormat(SLUICE_FORMAT_AB24, 136, 20), "noise");
  }
}

TEST_F(ConvertTest, MatricesAndRangesMatchTheReference) {
  for (const uint8_t from_matrix : {k601, k709, k2020}) {
    for (const uint8_t to_matrix : {k601, k709, k2020}) {
      for (const uint8_t from_range : {kLimited, kFull}) {
        for (const uint8_t to_range : {kLimited, kFull}) {
          Picture src(MakeFormat(SLUICE_FORMAT_YU12, 66, 34, from_matrix, from_range));
          Picture deep(MakeFormat(SLUICE_FORMAT_P010, 66, 34, from_matrix, from_range));
          Fill(src, Pattern::kNoise);
          Fill(deep, Pattern::kNoise);
          CheckReference(src, MakeFormat(SLUICE_FORMAT_NV12, 66, 34, to_matrix, to_range), "noise");
          if (from_matrix != k2020 && to_matrix != k2020) {
            CheckReference(src, MakeFormat(SLUICE_FORMAT_YUYV, 66, 34, to_matrix, to_range),
                           "noise");
          }
          CheckReference(deep, MakeFormat(SLUICE_FORMAT_P010, 66, 34, to_matrix, to_range),
                         "noise");
        }
      }
    }
  }
}

TEST_F(ConvertTest, HalfFloatsMatchTheReferenceInEveryMatrixAndRange) {
  for (const uint8_t matrix : {k601, k709, k2020}) {
    for (const uint8_t range : {kLimited, kFull}) {
      const sluice_format deep = MakeFormat(SLUICE_FORMAT_P010, 66, 34, matrix, range, kTopLeft);
      const sluice_format half = MakeFormat(SLUICE_FORMAT_AB4H, 66, 34);
      Picture from_deep(deep), from_half(half);
      Fill(from_deep, Pattern::kNoise);
      Fill(from_half, Pattern::kNoise);
      CheckReference(from_deep, half, "noise");
      CheckReference(from_half, deep, "noise");
    }
  }
}

TEST_F(ConvertTest, TenBitsMatchTheReferenceFromEverySitingToEveryOther) {
  for (const uint8_t from : {kLeft, kCenter, kTopLeft}) {
    for (const uint8_t to : {kLeft, kCenter, kTopLeft}) {
      Picture src(MakeFormat(SLUICE_FORMAT_P010, 67, 35, k2020, kLimited, from));
      Fill(src, Pattern::kNoise);
      CheckReference(src, MakeFormat(SLUICE_FORMAT_P010, 67, 35, k2020, kLimited, to), "noise");
    }
  }
}

TEST_F(ConvertTest, TheSmallestPicturesMatchTheReference) {
  for (const auto& [w, h] : {std::pair(1U, 1U), std::pair(8U, 2U), std::pair(9U, 3U)}) {
    for (const uint32_t fourcc : {SLUICE_FORMAT_YU12, SLUICE_FORMAT_NV12, SLUICE_FORMAT_YUYV,
                                  SLUICE_FORMAT_AB24, SLUICE_FORMAT_P010, SLUICE_FORMAT_AB4H}) {
      Picture src(MakeFormat(fourcc, w, h));
      Fill(src, Pattern::kNoise);
      if (w != 8) {
        CheckReference(src, MakeFormat(SLUICE_FORMAT_P010, w, h, k2020, kFull, kCenter), "tiny");
        CheckReference(src, MakeFormat(SLUICE_FORMAT_AB4H, w, h), "tiny");
      }
      CheckReference(src, MakeFormat(SLUICE_FORMAT_YU12, w, h, k601, kFull, kCenter), "tiny");
      CheckReference(src, MakeFormat(SLUICE_FORMAT_AR24, w, h), "tiny");
    }
  }
}

TEST_F(ConvertTest, RepackingTheSameSamplesIsExact) {
  const sluice_format planar = MakeFormat(SLUICE_FORMAT_YU12, 641, 359);
  Picture src(planar);
  Fill(src, Pattern::kNoise);
  const Picture there = Convert(src, MakeFormat(SLUICE_FORMAT_NV12, 641, 359));
  for (const Difference& d : Compare(Convert(there, planar), src)) EXPECT_EQ(d.worst, 0);
}

TEST_F(ConvertTest, TenBitsStayAsTheyAreAndWhatIsBelowThemIsCleared) {
  const sluice_format deep = MakeFormat(SLUICE_FORMAT_P010, 641, 359, k2020);
  Picture src(deep);
  Fill(src, Pattern::kNoise);
  const Picture got = Convert(src, deep);
  for (const Difference& d : Compare(got, src)) EXPECT_EQ(d.worst, 0);
  for (uint64_t y = 0; y < 359; ++y) {
    for (uint64_t x = 0; x < 641; ++x)
      ASSERT_EQ(got.plane(0)[y * got.stride(0) + 2 * x] & 63, 0) << x << "," << y;
  }
}

TEST_F(ConvertTest, EightBitsComeBackFromTenAndFromHalfFloatsAsTheyWere) {
  for (const uint32_t fourcc : {SLUICE_FORMAT_NV12, SLUICE_FORMAT_AB24}) {
    const sluice_format plain = MakeFormat(fourcc, 256, 64, k709, kFull);
    Picture src(plain);
    Fill(src, Pattern::kNoise);
    const uint32_t deeper = fourcc == SLUICE_FORMAT_NV12 ? SLUICE_FORMAT_P010 : SLUICE_FORMAT_AB4H;
    const Picture between = Convert(src, MakeFormat(deeper, 256, 64, k709, kFull));
    for (const Difference& d : Compare(Convert(between, plain), src)) EXPECT_EQ(d.worst, 0);
  }
}

TEST_F(ConvertTest, TenBitColourSurvivesHalfFloatsWhereChromaIsEven) {
  const sluice_format deep = MakeFormat(SLUICE_FORMAT_P010, 640, 64, k2020, kLimited, kTopLeft);
  Picture src(deep);
  // Chroma is the same for eight rows and columns, luma is not: nothing is lost by interpolation
  // within.
  for (uint64_t y = 0; y < 64; ++y) {
    for (uint64_t x = 0; x < 640; ++x) {
      const auto code = static_cast<uint16_t>((64 + (13 * x + 7 * y) % 877) << 6);
      std::memcpy(src.plane(0) + y * src.stride(0) + 2 * x, &code, 2);
    }
  }
  for (uint64_t y = 0; y < 32; ++y) {
    for (uint64_t i = 0; i < 640; ++i) {
      const auto code = static_cast<uint16_t>((i % 2 != 0 ? 600 : 400) << 6);
      std::memcpy(src.plane(1) + y * src.stride(1) + 2 * i, &code, 2);
    }
  }
  const Picture back = Convert(Convert(src, MakeFormat(SLUICE_FORMAT_AB4H, 640, 64)), deep);
  const auto differences = Compare(back, src);
  std::printf("P010 -> AB4H -> P010: %s\n", ToString(differences).c_str());
  for (const Difference& d : differences) EXPECT_LE(d.worst, 1);
}

TEST_F(ConvertTest, HalfFloatsPassUnchangedHoweverFarBeyondWhiteTheyAre) {
  const sluice_format half = MakeFormat(SLUICE_FORMAT_AB4H, 41, 5);
  Picture src(half);
  const uint16_t values[] = {0x0000, 0x8000, 0x3C00, 0xBC00, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00,
                             0x4248, 0x0400, 0x8400, 0x3C01, 0x3BFF, 0x5640, 0xD640, 0x3555};
  for (uint64_t y = 0; y < 5; ++y) {
    for (uint64_t i = 0; i < uint64_t{4} * 41; ++i) {
      const uint16_t value = values[(i + 3 * y) % std::size(values)];
      std::memcpy(src.plane(0) + y * src.stride(0) + 2 * i, &value, 2);
    }
  }
  const Picture got = Convert(src, half);
  for (uint64_t y = 0; y < 5; ++y) {
    EXPECT_EQ(
        std::memcmp(got.plane(0) + y * got.stride(0), src.plane(0) + y * src.stride(0), 8 * 41), 0)
        << "row " << y;
  }
}

TEST_F(ConvertTest, WhatIsBeyondBlackAndWhiteIsLimitedWhereTheFormatEnds) {
  Picture src(MakeFormat(SLUICE_FORMAT_AB4H, 8, 2));
  const uint16_t pixel[] = {HalfOfDouble(-3), HalfOfDouble(2.5), HalfOfDouble(0.5),
                            HalfOfDouble(7)};
  for (uint64_t y = 0; y < 2; ++y) {
    for (uint64_t x = 0; x < 8; ++x)
      std::memcpy(src.plane(0) + y * src.stride(0) + 8 * x, pixel, sizeof pixel);
  }
  const Picture bytes = Convert(src, MakeFormat(SLUICE_FORMAT_AB24, 8, 2));
  const uint8_t want[] = {0, 255, 128, 255};
  EXPECT_EQ(std::memcmp(bytes.plane(0), want, 4), 0);
  const Picture white = Convert(src, MakeFormat(SLUICE_FORMAT_P010, 8, 2, k709, kFull));
  // Y' = 0.7152 * 2.5 - 0.2126 * 3 + 0.0722 / 2, above 1.
  EXPECT_EQ(Components(white)[0][0], 1023);
  EXPECT_EQ(Components(white)[2][0], 0);
}

TEST_F(ConvertTest, AlphaOfHalfFloatsIsKeptWhereBothEndsHaveIt) {
  Picture src(MakeFormat(SLUICE_FORMAT_AB4H, 33, 5));
  Fill(src, Pattern::kNoise);
  const Picture kept = Convert(src, MakeFormat(SLUICE_FORMAT_AR24, 33, 5));
  const Picture opaque = Convert(src, MakeFormat(SLUICE_FORMAT_XB4H, 33, 5));
  for (uint64_t y = 0; y < 5; ++y) {
    for (uint64_t x = 0; x < 33; ++x) {
      uint16_t from = 0, to = 0;
      std::memcpy(&from, src.plane(0) + y * src.stride(0) + 8 * x + 6, 2);
      std::memcpy(&to, opaque.plane(0) + y * opaque.stride(0) + 8 * x + 6, 2);
      EXPECT_EQ(to, 0x3C00);
      EXPECT_NEAR(kept.plane(0)[y * kept.stride(0) + 4 * x + 3],
                  255 * std::clamp(DoubleOfHalf(from), 0.0, 1.0), 0.501);
    }
  }
}

TEST_F(ConvertTest, AlphaIsKeptWhereBothEndsHaveItAndOpaqueOtherwise) {
  Picture src(MakeFormat(SLUICE_FORMAT_AB24, 33, 5));
  Fill(src, Pattern::kNoise);
  const Picture kept = Convert(src, MakeFormat(SLUICE_FORMAT_AR24, 33, 5));
  const Picture opaque = Convert(src, MakeFormat(SLUICE_FORMAT_XR24, 33, 5));
  for (uint64_t y = 0; y < 5; ++y) {
    for (uint64_t x = 0; x < 33; ++x) {
      EXPECT_EQ(kept.plane(0)[y * kept.stride(0) + 4 * x + 3],
                src.plane(0)[y * src.stride(0) + 4 * x + 3]);
      EXPECT_EQ(opaque.plane(0)[y * opaque.stride(0) + 4 * x + 3], 255);
    }
  }
}

TEST_F(ConvertTest, PatternsMatchSwscale) {
  const auto check = [&](const sluice_format& yuv, Pattern pattern, const std::string& content) {
    const sluice_format rgb = MakeFormat(SLUICE_FORMAT_AB24, yuv.width, yuv.height);
    Picture still(rgb), coded(yuv);
    Fill(still, pattern);
    Fill(coded, pattern);
    // From 4:2:0 straight to RGB swscale takes the nearest chroma line, or the mean of two, instead
    // of interpolating (yuv2packed1): only its way through 4:4:4 is exact enough for single-line
    // detail.
    CheckSwscale(coded, rgb, content,
                 pattern == Pattern::kZonePlate && yuv.fourcc != SLUICE_FORMAT_YUYV);
    CheckSwscale(still, yuv, content);
  };
  for (const auto& [w, h] : {std::pair(640U, 360U), std::pair(641U, 359U)}) {
    for (const auto& [matrix, range] : {std::pair(k601, kFull), std::pair(k709, kLimited)}) {
      for (const uint32_t fourcc : {SLUICE_FORMAT_YU12, SLUICE_FORMAT_YUYV, SLUICE_FORMAT_P010}) {
        // swscale's white of ten bits in full range is 1020.
        if (fourcc == SLUICE_FORMAT_P010 && range == kFull) continue;
        for (const uint8_t siting : {kLeft, kCenter}) {
          for (const Pattern pattern : {Pattern::kGradients, Pattern::kBars, Pattern::kZonePlate}) {
            check(MakeFormat(fourcc, w, h, matrix, range, siting), pattern,
                  PatternName(pattern) + " " + std::to_string(w) + "x" + std::to_string(h));
          }
        }
      }
    }
  }
}

TEST_F(ConvertTest, APhotoMatchesSwscale) {
  uint32_t w = 0, h = 0;
  const auto rgb = LoadRgb(kPhoto, &w, &h);
  if (rgb.empty())
    GTEST_SKIP() << kPhoto << " is not there: apt-get install forensics-samples-files";
  ASSERT_EQ(w * h, 12000000U);
  Picture still(MakeFormat(SLUICE_FORMAT_AB24, w, h));
  FillRgb(still, rgb);
  for (const uint32_t fourcc : {SLUICE_FORMAT_YU12, SLUICE_FORMAT_NV12, SLUICE_FORMAT_YUYV}) {
    const sluice_format yuv = MakeFormat(fourcc, w, h, k709, kLimited, kLeft);
    Picture coded(yuv);
    FillRgb(coded, rgb);
    CheckSwscale(coded, still.format(), "photo");
    CheckSwscale(still, yuv, "photo");
  }
  const sluice_format deep = MakeFormat(SLUICE_FORMAT_P010, w, h, k2020, kLimited, kTopLeft);
  Picture ten(deep);
  FillRgb(ten, rgb);
  CheckSwscale(ten, still.format(), "photo");
  CheckSwscale(still, deep, "photo");
  CheckSwscale(ten, MakeFormat(SLUICE_FORMAT_NV12, w, h, k2020, kLimited, kTopLeft), "photo");
  // JPEG's own way of saying it.
  const sluice_format jpeg = MakeFormat(SLUICE_FORMAT_YU12, w, h, k601, kFull, kCenter);
  Picture coded(jpeg);
  FillRgb(coded, rgb);
  CheckSwscale(coded, still.format(), "photo");
  CheckSwscale(still, jpeg, "photo");
  CheckSwscale(coded, MakeFormat(SLUICE_FORMAT_NV12, w, h, k601, kLimited, kCenter), "photo");
  CheckSwscale(coded, MakeFormat(SLUICE_FORMAT_YUYV, w, h, k601, kFull, kCenter), "photo");
}

TEST_F(ConvertTest, APhotoGoesThroughTenBitsAndHalfFloatsToScreenPixels) {
  uint32_t w = 0, h = 0;
  const auto rgb = LoadRgb(kPhoto, &w, &h);
  if (rgb.empty())
    GTEST_SKIP() << kPhoto << " is not there: apt-get install forensics-samples-files";
  // Its middle, at full size: the reference takes its time in double precision.
  constexpr uint32_t kW = 642, kH = 362;
  std::vector<uint8_t> middle;
  for (uint32_t y = 0; y < kH; ++y) {
    const auto row = rgb.begin() + 3 * ((h - kH) / 2 + y) * static_cast<ptrdiff_t>(w);
    middle.insert(middle.end(), row + 3 * ((w - kW) / 2), row + 3 * ((w + kW) / 2));
  }
  Picture video(MakeFormat(SLUICE_FORMAT_NV12, kW, kH));
  FillRgb(video, middle);
  const sluice_format steps[] = {MakeFormat(SLUICE_FORMAT_P010, kW, kH),
                                 MakeFormat(SLUICE_FORMAT_AB4H, kW, kH),
                                 MakeFormat(SLUICE_FORMAT_AR24, kW, kH)};
  const Picture* before = &video;
  std::deque<Picture> stored;
  for (const sluice_format& step : steps) {
    stored.push_back(Convert(*before, step));
    Picture want(step);
    Reference(*before, want, "", {});
    const auto differences = Compare(stored.back(), want);
    const std::string where =
        FourccName(before->format().fourcc) + " -> " + FourccName(step.fourcc) + " of the photo";
    std::printf("%s: %s\n", where.c_str(), ToString(differences).c_str());
    ExpectWithinOne(differences, where);
    before = &stored.back();
  }
  // Ten bits and half floats hold what eight bits had: the way there adds next to nothing to the
  // straight one.
  Picture straight(steps[2]);
  Reference(video, straight, "", {});
  const auto differences = Compare(stored.back(), straight);
  std::printf("NV12 -> P010 -> AB4H -> AR24 against NV12 -> AR24: %s\n",
              ToString(differences).c_str());
  ExpectWithinOne(differences, "the whole chain");
  for (const Difference& d : differences) EXPECT_GE(d.psnr, 60);
  // And in eight bits again nothing has changed.
  for (const Difference& d : Compare(Convert(stored[0], video.format()), video)) {
    EXPECT_EQ(d.worst, 0);
  }
}

TEST_F(ConvertTest, ThePhotoMatchesSwscaleThatHalvesChromaItsOwnWay) {
  uint32_t w = 0, h = 0;
  const auto rgb = LoadRgb(kPhoto, &w, &h);
  if (rgb.empty())
    GTEST_SKIP() << kPhoto << " is not there: apt-get install forensics-samples-files";
  Picture still(MakeFormat(SLUICE_FORMAT_AB24, w, h));
  FillRgb(still, rgb);
  for (const uint8_t siting : {kLeft, kCenter}) {
    const sluice_format yuv = MakeFormat(SLUICE_FORMAT_YU12, w, h, k709, kLimited, siting);
    Picture want(yuv);
    // Without SWS_FULL_CHR_H_INP swscale averages pairs of pixels before it filters.
    Swscale(still, want, false);
    ExpectAtLeast(50, Compare(Convert(still, yuv), want),
                  "without full_chroma_inp, " + Describe(yuv));
  }
}

}  // namespace
}  // namespace sluice::vulkan::testing
