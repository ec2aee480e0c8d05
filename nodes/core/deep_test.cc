// P010 and AB4H of core.testsrc against the colours that it draws in eight bits.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <set>
#include <vector>

#include <sluice/testing/node_runner.hpp>

#include "nodes/core/testing.h"

extern "C" const sluice_entry sluice_plugin;

namespace sluice::core {
namespace {

using sdk::testing::MakeFormat;
using sdk::testing::NodeRunner;
using sdk::testing::Parameters;
using sdk::testing::PortSpec;

/// Every visible byte of the first frame, without its counter.
std::vector<uint8_t> Draw(const char* pattern, uint32_t fourcc, uint32_t width, uint32_t height) {
  NodeRunner runner(sluice_plugin, "core.testsrc",
                    Parameters().Enum("pattern", pattern).Bool("counter", false));
  PortSpec out;
  out.format = MakeFormat(fourcc, width, height);
  runner.Output("out", out);
  EXPECT_EQ(runner.Configure(), SLUICE_OK) << runner.error();
  EXPECT_EQ(runner.Start(), SLUICE_OK);
  EXPECT_EQ(runner.Step(), SLUICE_PROCESS_DONE);
  return Bytes(runner.Take());
}

uint16_t Word(const uint8_t* at) { return static_cast<uint16_t>(at[0] | at[1] << 8); }

double DoubleOfHalf(uint16_t half) {
  const int exponent = half >> 10, fraction = half & 1023;
  return exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
}

TEST(DeepTestSourceTest, DeepFormatsHaveTheColoursOfEightBitsAsExactlyAsTheyCan) {
  constexpr uint32_t kW = 97, kH = 43;
  for (const char* pattern : {"bars", "gradient", "checker"}) {
    const auto frame_of = [&](uint32_t fourcc) { return Draw(pattern, fourcc, kW, kH); };
    const std::vector<uint8_t> rgba = frame_of(SLUICE_FORMAT_AB24);
    const std::vector<uint8_t> halves = frame_of(SLUICE_FORMAT_AB4H);
    const std::vector<uint8_t> p010 = frame_of(SLUICE_FORMAT_P010);
    ASSERT_EQ(halves.size(), 8u * kW * kH);
    ASSERT_EQ(p010.size(), 2 * kW * kH + 4 * ((kW + 1) / 2) * ((kH + 1) / 2));
    for (uint32_t i = 0; i < 4 * kW * kH; ++i) {
      const uint16_t half = Word(&halves[2 * i]);
      const double want = rgba[i] / 255.0, error = std::abs(DoubleOfHalf(half) - want);
      // No neighbour is nearer.
      ASSERT_LE(error, std::abs(DoubleOfHalf(half + 1) - want)) << pattern << " " << i;
      if (half > 0) {
        ASSERT_LE(error, std::abs(DoubleOfHalf(half - 1) - want)) << pattern << " " << i;
      }
    }
    const auto expect_code = [&](uint16_t word, double code, uint32_t x, uint32_t y) {
      ASSERT_EQ(word & 63, 0);
      // Half a code, and what the integers' 20 bits leave.
      ASSERT_NEAR(word >> 6, code, 0.5001) << pattern << " " << x << "," << y;
    };
    for (uint32_t y = 0; y < kH && !HasFatalFailure(); ++y) {
      for (uint32_t x = 0; x < kW; ++x) {
        const uint8_t* pixel = &rgba[4 * (y * kW + x)];
        const double r = pixel[0] / 255.0, g = pixel[1] / 255.0, b = pixel[2] / 255.0;
        const double luma = 0.2126 * r + 0.7152 * g + 0.0722 * b;
        expect_code(Word(&p010[2 * (y * kW + x)]), 64 + 876 * luma, x, y);
        if (x % 2 != 0 || y % 2 != 0) continue;
        const uint8_t* chroma = &p010[2 * kW * kH + 4 * (y / 2 * ((kW + 1) / 2) + x / 2)];
        expect_code(Word(chroma), 512 + 896 * (b - luma) / (2 * (1 - 0.0722)), x, y);
        expect_code(Word(chroma + 2), 512 + 896 * (r - luma) / (2 * (1 - 0.2126)), x, y);
      }
    }
  }
}

TEST(DeepTestSourceTest, NoiseOfDeepFormatsIsFinerThanEightBitsAndLegal) {
  std::set<uint16_t> codes, numbers;
  const std::vector<uint8_t> p010 = Draw("noise", SLUICE_FORMAT_P010, 64, 32);
  for (std::size_t i = 0; i < p010.size(); i += 2) {
    const uint16_t word = Word(&p010[i]);
    ASSERT_EQ(word & 63, 0);
    ASSERT_GE(word >> 6, 64);
    ASSERT_LE(word >> 6, 940);
    codes.insert(word);
  }
  EXPECT_GT(codes.size(), 700u);
  const std::vector<uint8_t> halves = Draw("noise", SLUICE_FORMAT_AB4H, 64, 32);
  for (std::size_t i = 0; i < halves.size(); i += 2) {
    const double value = DoubleOfHalf(Word(&halves[i]));
    if (i % 8 == 6) {
      ASSERT_EQ(value, 1);
      continue;
    }
    ASSERT_LT(value, 1);
    numbers.insert(Word(&halves[i]));
  }
  EXPECT_GT(numbers.size(), 700u);
}

}  // namespace
}  // namespace sluice::core
