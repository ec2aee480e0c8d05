// convert against swscale (bilinear, accurate rounding, full chroma interpolation, range and siting
// set) and against docs/colour.md in double precision.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>

#include "nodes/vulkan/reference.h"
#include "nodes/vulkan/testing.h"

namespace sluice::vulkan::testing {
namespace {

constexpr uint8_t k601 = SLUICE_MATRIX_BT601;
constexpr uint8_t k709 = SLUICE_MATRIX_BT709;
constexpr uint8_t kLimited = SLUICE_RANGE_LIMITED;
constexpr uint8_t kFull = SLUICE_RANGE_FULL;
constexpr uint8_t kLeft = SLUICE_SITING_LEFT;
constexpr uint8_t kCenter = SLUICE_SITING_CENTER;
constexpr uint8_t kTopLeft = SLUICE_SITING_TOP_LEFT;

const char* NameOfMatrix(uint8_t matrix) {
  return matrix == k601 ? "601" : matrix == k709 ? "709" : "-";
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
    ExpectWithinOne(Compare(Convert(src, to), want),
                    Describe(src.format()) + " -> " + Describe(to) + " " + content);
  }
  static void ExpectWithinOne(const std::vector<Difference>& differences,
                              const std::string& where) {
    for (const Difference& d : differences)
      EXPECT_LE(d.worst, 1) << where << ": " << ToString(differences);
  }
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
  return {yuv(SLUICE_FORMAT_YU12, kLeft),      yuv(SLUICE_FORMAT_YU12, kCenter),
          yuv(SLUICE_FORMAT_NV12, kTopLeft),   yuv(SLUICE_FORMAT_YUYV, kLeft),
          yuv(SLUICE_FORMAT_YUYV, kCenter),    MakeFormat(SLUICE_FORMAT_AB24, w, h),
          MakeFormat(SLUICE_FORMAT_XR24, w, h)};
}

TEST_F(ConvertTest, EveryPairOfFormatsMatchesTheReferenceOnNoise) {
  // Wider than a workgroup, and odd: the last block of a row and the last row are partial.
  for (const sluice_format& from : AllFormats(139, 23)) {
    Picture src(from);
    Fill(src, Pattern::kNoise);
    for (const sluice_format& to : AllFormats(139, 23)) CheckReference(src, to, "noise");
  }
  for (const uint32_t fourcc : {SLUICE_FORMAT_YU12, SLUICE_FORMAT_YUYV, SLUICE_FORMAT_AB24}) {
    Picture src(MakeFormat(fourcc, 136, 20));
    Fill(src, Pattern::kNoise);
    CheckReference(src, MakeFormat(SLUICE_FORMAT_NV12, 136, 20, k601, kFull, kCenter), "noise");
    CheckReference(src, MakeFormat(SLUICE_FORMAT_AB24, 136, 20), "noise");
  }
}

TEST_F(ConvertTest, MatricesAndRangesMatchTheReference) {
  for (const uint8_t from_matrix : {k601, k709}) {
    for (const uint8_t to_matrix : {k601, k709}) {
      for (const uint8_t from_range : {kLimited, kFull}) {
        for (const uint8_t to_range : {kLimited, kFull}) {
          Picture src(MakeFormat(SLUICE_FORMAT_YU12, 66, 34, from_matrix, from_range));
          Fill(src, Pattern::kNoise);
          CheckReference(src, MakeFormat(SLUICE_FORMAT_NV12, 66, 34, to_matrix, to_range), "noise");
          CheckReference(src, MakeFormat(SLUICE_FORMAT_YUYV, 66, 34, to_matrix, to_range), "noise");
        }
      }
    }
  }
}

TEST_F(ConvertTest, TheSmallestPicturesMatchTheReference) {
  for (const auto& [w, h] : {std::pair(1U, 1U), std::pair(8U, 2U), std::pair(9U, 3U)}) {
    for (const uint32_t fourcc :
         {SLUICE_FORMAT_YU12, SLUICE_FORMAT_NV12, SLUICE_FORMAT_YUYV, SLUICE_FORMAT_AB24}) {
      Picture src(MakeFormat(fourcc, w, h));
      Fill(src, Pattern::kNoise);
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
      for (const uint32_t fourcc : {SLUICE_FORMAT_YU12, SLUICE_FORMAT_YUYV}) {
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
  // JPEG's own way of saying it.
  const sluice_format jpeg = MakeFormat(SLUICE_FORMAT_YU12, w, h, k601, kFull, kCenter);
  Picture coded(jpeg);
  FillRgb(coded, rgb);
  CheckSwscale(coded, still.format(), "photo");
  CheckSwscale(still, jpeg, "photo");
  CheckSwscale(coded, MakeFormat(SLUICE_FORMAT_NV12, w, h, k601, kLimited, kCenter), "photo");
  CheckSwscale(coded, MakeFormat(SLUICE_FORMAT_YUYV, w, h, k601, kFull, kCenter), "photo");
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
