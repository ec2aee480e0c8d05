#include "tests/pipewire/band.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::testing {
namespace {

constexpr BandLayout kLayout{.row_bytes = 70, .stride = 96, .rows = 12};

std::vector<uint8_t> Picture(uint64_t sequence) {
  std::vector<uint8_t> pixels(size_t{kLayout.stride} * kLayout.rows, 0xee);
  WriteBand(pixels, kLayout, sequence);
  return pixels;
}

TEST(BandTest, AFrameIsWholeAndKnowsItsNumber) {
  const BandCheck check = CheckBand(Picture(41), kLayout);
  EXPECT_TRUE(check.whole()) << check.problem;
  EXPECT_EQ(check.sequence, 41u);
}

TEST(BandTest, PixelsOfTheCallerAreSealedAsTheyAre) {
  std::vector<uint8_t> pixels(size_t{kLayout.stride} * kLayout.rows, 0xee);
  SealBand(pixels, kLayout, 5);
  EXPECT_TRUE(CheckBand(pixels, kLayout).whole());
  EXPECT_EQ(pixels[kBandRowBytes], 0xee);
}

TEST(BandTest, AnyChangedByteOfAnyRowIsSeen) {
  for (size_t row = 0; row < kLayout.rows; ++row) {
    for (size_t column = 0; column < kLayout.row_bytes; ++column) {
      std::vector<uint8_t> pixels = Picture(3);
      pixels[row * kLayout.stride + column] ^= 0x10;
      EXPECT_FALSE(CheckBand(pixels, kLayout).whole()) << row << ", " << column;
    }
  }
}

TEST(BandTest, RowsOfAnotherFrameAreTorn) {
  const std::vector<uint8_t> next = Picture(4);
  for (size_t row = 1; row < kLayout.rows; ++row) {
    std::vector<uint8_t> pixels = Picture(3);
    std::copy(next.begin(), next.begin() + static_cast<ptrdiff_t>(row * kLayout.stride),
              pixels.begin());
    EXPECT_EQ(CheckBand(pixels, kLayout).verdict, BandCheck::Verdict::kTorn) << row;
  }
}

TEST(BandTest, ARowThatWentToAnotherPlaceIsTorn) {
  std::vector<uint8_t> pixels = Picture(3);
  std::copy_n(pixels.begin() + 2 * kLayout.stride, kLayout.stride,
              pixels.begin() + 5 * kLayout.stride);
  EXPECT_EQ(CheckBand(pixels, kLayout).verdict, BandCheck::Verdict::kTorn);
}

TEST(BandTest, PaddingBelongsToNobody) {
  std::vector<uint8_t> pixels = Picture(3);
  pixels[kLayout.row_bytes] ^= 0xff;
  EXPECT_TRUE(CheckBand(pixels, kLayout).whole());
}

TEST(BandTest, FewerRowsAreLookedAtAlsoTheLast) {
  BandLayout sparse = kLayout;
  sparse.every = 5;  // Rows 0, 5, 10, and 11.
  std::vector<uint8_t> pixels(size_t{kLayout.stride} * kLayout.rows, 0xee);
  WriteBand(pixels, sparse, 8);
  EXPECT_EQ(pixels[size_t{kLayout.stride} * 4], 0xee);
  for (const uint32_t row : {0u, 5u, 10u, 11u}) {
    std::vector<uint8_t> damaged = pixels;
    EXPECT_TRUE(CheckBand(damaged, sparse).whole());
    damaged[size_t{kLayout.stride} * row + 20] ^= 1;
    EXPECT_FALSE(CheckBand(damaged, sparse).whole()) << row;
  }
}

TEST(BandTest, ABlackPictureHasNone) {
  const std::vector<uint8_t> pixels(size_t{kLayout.stride} * kLayout.rows);
  EXPECT_EQ(CheckBand(pixels, kLayout).verdict, BandCheck::Verdict::kNone);
}

TEST(BandTest, MemoryThatIsTooSmallIsNotRead) {
  const std::vector<uint8_t> pixels = Picture(3);
  const BandLayout taller{.row_bytes = 70, .stride = 96, .rows = 13};
  EXPECT_EQ(CheckBand(pixels, taller).verdict, BandCheck::Verdict::kNone);
  EXPECT_TRUE(CheckBand(std::span(pixels).first(96 * 11 + 70), kLayout).whole());
  EXPECT_FALSE(CheckBand(std::span(pixels).first(96 * 11 + 69), kLayout).whole());
}

}  // namespace
}  // namespace sluice::testing
