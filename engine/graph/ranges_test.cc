#include "engine/graph/ranges.h"

#include <gtest/gtest.h>

namespace sluice::graph {
namespace {

TEST(ExtentTest, IntersectionKeepsTheSeriesThatBothHave) {
  EXPECT_EQ(Intersect(Extent{16, 4096, 16}, Extent{1, 1920, 1}), (Extent{16, 1920, 16}));
  EXPECT_EQ(Intersect(Extent{2, 100, 4}, Extent{4, 0, 6}), (Extent{10, 94, 12}));
  EXPECT_EQ(Intersect(Extent{2, 100, 2}, Extent{1, 101, 2}), std::nullopt);
  EXPECT_EQ(Intersect(Extent{1, 10, 1}, Extent{11, 0, 1}), std::nullopt);
  EXPECT_EQ(Intersect(Extent{640, 640, 1}, Extent{640, 640, 8}), (Extent{640, 640, 8}));
}

TEST(ExtentTest, IntersectionIsExactForEveryValue) {
  // Every pair of small series, value by value.
  for (uint32_t a_step = 1; a_step < 6; ++a_step) {
    for (uint32_t b_step = 1; b_step < 6; ++b_step) {
      for (uint32_t b_min = 1; b_min < 8; ++b_min) {
        const Extent a{3, 40, a_step}, b{b_min, 35, b_step};
        const auto both = Intersect(a, b);
        for (uint32_t v = 1; v < 50; ++v) {
          const bool expected = Contains(a, v) && Contains(b, v);
          EXPECT_EQ(both && Contains(*both, v), expected)
              << a_step << " " << b_step << " " << b_min << " " << v;
        }
      }
    }
  }
}

TEST(ExtentTest, ExtremeValuesDoNotOverflow) {
  EXPECT_EQ(Intersect(Extent{UINT32_MAX, UINT32_MAX, UINT32_MAX}, Extent{1, 100, 1}), std::nullopt);
  EXPECT_TRUE(Intersect(Extent{1, UINT32_MAX, 65536}, Extent{1, UINT32_MAX, 65535}));
}

TEST(RateTest, RangesMeetAndUnknownGivesWay) {
  const RateRange any, ntsc{{30000, 1001}, {30000, 1001}}, slow{{1, 1}, {25, 1}},
      fast{{24, 1}, {60, 1}};
  EXPECT_EQ(Intersect(any, ntsc), ntsc);
  EXPECT_EQ(Intersect(ntsc, slow), std::nullopt);
  EXPECT_EQ(Intersect(slow, fast), (RateRange{{24, 1}, {25, 1}}));
  EXPECT_EQ(PickRate(*Intersect(slow, fast)), (media::Rate{25, 1}));
  EXPECT_EQ(PickRate(any), (media::Rate{}));
}

TEST(ColorTest, UnspecifiedTermsGiveWay) {
  const media::Color limited{.range = media::Range::kLimited}, full{.range = media::Range::kFull};
  const media::Color bt709{.matrix = media::Matrix::kBt709};
  EXPECT_EQ(Intersect(limited, full), std::nullopt);
  EXPECT_EQ(Intersect(limited, bt709),
            (media::Color{.matrix = media::Matrix::kBt709, .range = media::Range::kLimited}));
}

TEST(PickTest, PrefersTheUsualSizeThenTheLargest) {
  EXPECT_EQ(PickWidth({}), 1920u);
  EXPECT_EQ(PickHeight({16, 480, 16}), 480u);
  EXPECT_EQ(PickHeight({16, 490, 16}), 480u);
  EXPECT_EQ(PickWidth({4000, 0, 1}), 4000u);
}

TEST(ParseTest, TiesSizesAndRatesRefuseWhatTheyAreNot) {
  EXPECT_EQ(ParseTie("out.size == in.size")->field, TieField::kSize);
  EXPECT_FALSE(ParseTie("out.size == in.rate"));
  EXPECT_FALSE(ParseTie("out.size = in.size"));
  EXPECT_FALSE(ParseTie("out.size == out.size"));
  EXPECT_FALSE(ParseTie("out.shape == in.shape"));
  uint32_t w = 0, h = 0;
  EXPECT_TRUE(ParseSize("641x359", &w, &h));
  EXPECT_FALSE(ParseSize("641x", &w, &h));
  EXPECT_FALSE(ParseSize("-1x5", &w, &h));
  EXPECT_FALSE(ParseSize("65537x1", &w, &h));
  media::Rate rate;
  EXPECT_TRUE(ParseRate("29.97", &rate));
  EXPECT_EQ(rate, (media::Rate{2997, 100}));
  EXPECT_FALSE(ParseRate("1/0", &rate));
  EXPECT_FALSE(ParseRate("4294967295.999999", &rate));
}

}  // namespace
}  // namespace sluice::graph
