// .cube files: what is read, and what is refused, where.
#include "nodes/vulkan/filters/cube.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <random>

namespace sluice::vulkan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kTwo[] =
    "TITLE \"two\"\n"
    "# a comment\n"
    "LUT_3D_SIZE 2\n"
    "\n"
    "0 0 0\n1 0 0\n0 1 0\n1 1 0\n"
    "0 0 1\n1 0 1\n0 1 1\n1 1 1\n";

std::string ErrorOf(std::string_view text) {
  const auto lut = ParseCube(text, "a.cube");
  EXPECT_FALSE(lut.has_value()) << text;
  return lut ? "" : lut.error().message;
}

TEST(CubeTest, A3dTableIsReadWithRedChangingFastest) {
  const auto lut = ParseCube(kTwo, "a.cube");
  ASSERT_TRUE(lut.has_value()) << lut.error().message;
  EXPECT_EQ(lut->dimensions, 3U);
  EXPECT_EQ(lut->size, 2U);
  ASSERT_EQ(lut->entries.size(), 8U);
  EXPECT_THAT(lut->entries[1], ElementsAre(1, 0, 0));
  EXPECT_THAT(lut->entries[2], ElementsAre(0, 1, 0));
  EXPECT_THAT(lut->entries[4], ElementsAre(0, 0, 1));
  EXPECT_THAT(lut->domain_min, ElementsAre(0, 0, 0));
  EXPECT_THAT(lut->domain_max, ElementsAre(1, 1, 1));
}

TEST(CubeTest, A1dTableIsRead) {
  const auto lut = ParseCube("LUT_1D_SIZE 3\n0 0 0\n.5 .25 +0.75\n1 1e0 1.0\n", "a.cube");
  ASSERT_TRUE(lut.has_value()) << lut.error().message;
  EXPECT_EQ(lut->dimensions, 1U);
  EXPECT_THAT(lut->entries[1], ElementsAre(0.5F, 0.25F, 0.75F));
}

TEST(CubeTest, NumbersTooSmallForAFloatAreZero) {
  const auto lut = ParseCube("LUT_1D_SIZE 2\n0 1e-999 -1E-60\n1 1 1\n", "a.cube");
  ASSERT_TRUE(lut.has_value()) << lut.error().message;
  EXPECT_THAT(lut->entries[0], ElementsAre(0, 0, 0));
}

TEST(CubeTest, TheDomainIsReadInBothSpellings) {
  const std::string tail = "0 0 0\n1 1 1\n";
  auto lut = ParseCube("LUT_1D_SIZE 2\nDOMAIN_MIN -1 0 0.5\nDOMAIN_MAX 1 2 3\n" + tail, "a.cube");
  ASSERT_TRUE(lut.has_value()) << lut.error().message;
  EXPECT_THAT(lut->domain_min, ElementsAre(-1, 0, 0.5F));
  EXPECT_THAT(lut->domain_max, ElementsAre(1, 2, 3));
  lut = ParseCube("LUT_1D_SIZE 2\nLUT_1D_INPUT_RANGE -0.5 1.5\n" + tail, "a.cube");
  ASSERT_TRUE(lut.has_value()) << lut.error().message;
  EXPECT_THAT(lut->domain_min, ElementsAre(-0.5F, -0.5F, -0.5F));
  EXPECT_THAT(lut->domain_max, ElementsAre(1.5F, 1.5F, 1.5F));
}

TEST(CubeTest, LineEndsMarksAndBlanksDoNotMatter) {
  for (const char* end : {"\r\n", "\r", "\n"}) {
    std::string text = "\xEF\xBB\xBF";
    for (const char c : std::string_view(kTwo)) text += c == '\n' ? end : std::string(1, c);
    text = text.substr(0, text.size() - std::string_view(end).size()) + " \t # done";
    const auto lut = ParseCube(text, "a.cube");
    ASSERT_TRUE(lut.has_value()) << lut.error().message;
    EXPECT_EQ(lut->entries.size(), 8U);
  }
}

TEST(CubeTest, ErrorsNameFileAndLine) {
  struct Case {
    const char* text;
    const char* message;
  };
  const Case cases[] = {
      {"", "a.cube:1: the file ends without LUT_3D_SIZE"},
      {"TITLE \"x\"\n", "a.cube:1: the file ends without LUT_3D_SIZE"},
      {"LUT_3D_SIZE\n", "a.cube:1: LUT_3D_SIZE: \"\" is not a whole number from 2"},
      {"LUT_3D_SIZE 1\n", "a.cube:1: LUT_3D_SIZE: \"1\" is not a whole number"},
      {"LUT_3D_SIZE -2\n", "a.cube:1: LUT_3D_SIZE: \"-2\" is not"},
      {"LUT_3D_SIZE 2.5\n", "a.cube:1: LUT_3D_SIZE: \"2.5\" is not"},
      {"LUT_3D_SIZE 99999999999999999999999\n", "a.cube:1: LUT_3D_SIZE: \"99999"},
      {"LUT_3D_SIZE 2 2\n", "a.cube:1: \"2\" is one too many"},
      {"LUT_3D_SIZE 2\nLUT_3D_SIZE 2\n", "a.cube:2: LUT_3D_SIZE is there twice"},
      {"0 0 0\n", "a.cube:1: numbers before LUT_3D_SIZE"},
      {"LUT_3D_SIZE 2\n0 0\n", "a.cube:2: 3 numbers belong here, there are 2"},
      {"LUT_3D_SIZE 2\n0 0 0 0\n", "a.cube:2: \"0\" is one too many"},
      {"LUT_3D_SIZE 2\n0 0 x\n", "a.cube:2: \"x\" is not a number"},
      {"LUT_3D_SIZE 2\n0 0 1.5.5\n", "a.cube:2: \"1.5.5\" is not a number"},
      {"LUT_3D_SIZE 2\n0 0 nan\n", "a.cube:2: \"nan\" is not a number"},
      {"LUT_3D_SIZE 2\n0 0 1e999\n", "a.cube:2: \"1e999\" is not a number"},
      {"LUT_3D_SIZE 2\n0 0 0\n", "a.cube:2: the file ends after 1 of 8 lines"},
      {"LUT_1D_SIZE 2\n0 0 0\n1 1 1\n1 1 1\n", "a.cube:4: more than the 2 lines"},
      {"LUT_1D_SIZE 2\n0 0 0\nDOMAIN_MIN 0 0 0\n", "a.cube:3: \"DOMAIN_MIN\" among the table's"},
      {"LUT_1D_SIZE 2\nDOMAIN_MIN 0 1 0\n0 0 0\n", "a.cube:3: the domain's minimum 1.000000"},
      {"LUT_1D_SIZE 2\nDOMAIN_MIN 0 0\n", "a.cube:2: 3 numbers belong here"},
      {"LUT_2D_SIZE 2\n", "a.cube:1: \"LUT_2D_SIZE\" is not a keyword"},
      {"\x01\x02\n", "a.cube:1: \"??\" is not a keyword"},
  };
  for (const Case& c : cases) EXPECT_THAT(ErrorOf(c.text), StartsWith(c.message)) << c.text;
}

TEST(CubeTest, WhatIsInOrderButNotCarriedIsUnsupported) {
  for (const char* text :
       {"LUT_3D_SIZE 129\n", "LUT_1D_SIZE 65537\n", "LUT_1D_SIZE 2\nLUT_3D_SIZE 2\n"}) {
    const auto lut = ParseCube(text, "a.cube");
    ASSERT_FALSE(lut.has_value());
    EXPECT_EQ(lut.error().code, SLUICE_E_UNSUPPORTED) << lut.error().message;
  }
}

/// A size that the file does not fill must not claim its memory: 128^3 entries are 25 MB.
TEST(CubeTest, ALargeSizeWithoutEntriesIsRefused) {
  EXPECT_THAT(ErrorOf("LUT_3D_SIZE 128\n0 0 0\n"), HasSubstr("after 1 of 2097152 lines"));
}

TEST(CubeTest, DamagedFilesAreReadOrRefusedAndNeverMore) {
  std::mt19937 random(1);
  const std::string whole = kTwo;
  size_t read = 0, refused = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text = whole;
    const auto edits = 1 + random() % 4;
    for (unsigned e = 0; e < edits && !text.empty(); ++e) {
      const size_t at = random() % text.size();
      switch (random() % 4) {
        case 0:
          text[at] = static_cast<char>(random());
          break;
        case 1:
          text.erase(at, 1 + random() % 8);
          break;
        case 2:
          text.insert(at, text.substr(random() % text.size(), random() % 16));
          break;
        default:
          text.resize(at);
      }
    }
    const auto lut = ParseCube(text, "a.cube");
    if (!lut) {
      ++refused;
      EXPECT_THAT(lut.error().message, StartsWith("a.cube:"));
      continue;
    }
    ++read;
    const uint64_t n = lut->size;
    EXPECT_EQ(lut->entries.size(), lut->dimensions == 3 ? n * n * n : n);
    for (size_t i = 0; i < 3; ++i) EXPECT_LT(lut->domain_min[i], lut->domain_max[i]);
  }
  // Both happen, so that both are tested.
  EXPECT_GT(read, 100U);
  EXPECT_GT(refused, 100U);
}

TEST(CubeTest, AFileIsRead) {
  const std::string path = ::testing::TempDir() + "two.cube";
  std::ofstream(path) << kTwo;
  const auto lut = LoadCube(path);
  ASSERT_TRUE(lut.has_value()) << lut.error().message;
  EXPECT_EQ(lut->size, 2U);
}

TEST(CubeTest, WhatIsNoFileIsRefusedByName) {
  auto lut = LoadCube("/nowhere/a.cube");
  ASSERT_FALSE(lut.has_value());
  EXPECT_EQ(lut.error().code, SLUICE_E_NOT_FOUND);
  EXPECT_THAT(lut.error().message, HasSubstr("/nowhere/a.cube: No such file"));
  lut = LoadCube(::testing::TempDir());
  ASSERT_FALSE(lut.has_value());
  EXPECT_EQ(lut.error().code, SLUICE_E_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace sluice::vulkan
