// Every look against docs/looks.md in double precision, on software or real Vulkan.
#include <gtest/gtest.h>

#include <cstdio>

#include "nodes/vulkan/given_params.h"
#include "nodes/vulkan/reference.h"
#include "nodes/vulkan/testing.h"

namespace sluice::vulkan::testing {
namespace {

Params ParamsOf(const Look& look, const std::vector<sluice_param>& given) {
  const sluice_param_set set{static_cast<uint32_t>(given.size()), 0, given.data()};
  auto params = LookParams(look, set);
  EXPECT_TRUE(params.has_value()) << params.error().message;
  return params.value_or(Params{});
}

/// The reference takes the numbers as the docs list them, not as the kernel is given them.
ReferenceParams DocumentedDefaults(const std::string& look) {
  static const std::map<std::string, ReferenceParams> defaults = {
      {"noir", {{"contrast", 1.25}}},
      {"vivid", {{"saturation", 1.35}, {"contrast", 1.1}}},
      {"cool", {{"strength", 0.5}}},
      {"warm", {{"strength", 0.5}}},
      {"fade", {{"lift", 0.12}, {"saturation", 0.75}}},
      {"duotone",
       {{"shadow.r", 0x1B / 255.0},
        {"shadow.g", 0x14 / 255.0},
        {"shadow.b", 0x64 / 255.0},
        {"highlight.r", 0xF7 / 255.0},
        {"highlight.g", 0xD3 / 255.0},
        {"highlight.b", 0x58 / 255.0}}},
      {"vignette", {{"strength", 0.8}, {"radius", 0.4}}},
      {"posterize", {{"levels", 4}, {"softness", 0.1}}},
      {"solarize", {{"threshold", 0.5}}},
      {"chromatic-aberration", {{"shift", 0.004}}},
      {"pencil", {{"darkness", 4}, {"edge_floor", 0.03}, {"shading", 0.25}}},
  };
  const auto found = defaults.find(look);
  ReferenceParams params = found == defaults.end() ? ReferenceParams{} : found->second;
  params["amount"] = 1;
  return params;
}

void ExpectMatches(const Look& look, const std::vector<Difference>& differences,
                   const std::string& where) {
  std::printf("%-22s %s: %s\n", std::string(look.name).c_str(), where.c_str(),
              ToString(differences).c_str());
  for (const Difference& d : differences) {
    if (look.neighbourhood) {
      EXPECT_GE(d.psnr, 45.0) << look.name << " " << where;
    } else {
      EXPECT_LE(d.worst, 2) << look.name << " " << where;
    }
  }
}

std::string Describe(const sluice_format& f, const std::string& content) {
  return FourccName(f.fourcc) + " " + std::to_string(f.width) + "x" + std::to_string(f.height) +
         " " + content;
}

class LookTest : public DeviceTest {
 protected:
  void Check(const Look& look, const Picture& src, const sluice_format& to,
             const std::string& where) {
    Picture got(to), want(to);
    bench_->Run(src, got, look.id, ParamsOf(look, {}));
    Reference(src, want, std::string(look.name), DocumentedDefaults(std::string(look.name)));
    ExpectMatches(look, Compare(got, want), where);
  }
};

/// A pipeline takes software Vulkan a tenth of a second: not every look meets every format.
std::vector<Look> Some(std::initializer_list<const char*> names) {
  std::vector<Look> looks;
  for (const char* name : names) looks.push_back(*FindLook(name).value());
  return looks;
}

TEST_F(LookTest, EveryLookMatchesTheReferenceOnPatterns) {
  for (const uint32_t fourcc : {SLUICE_FORMAT_YU12, SLUICE_FORMAT_AB24}) {
    const sluice_format format = MakeFormat(fourcc, 320, 180);
    for (const Pattern pattern :
         {Pattern::kGradients, Pattern::kBars, Pattern::kNoise, Pattern::kZonePlate}) {
      Picture src(format);
      Fill(src, pattern);
      for (const Look& look : Looks())
        Check(look, src, format, Describe(format, PatternName(pattern)));
    }
  }
}

TEST_F(LookTest, LooksMatchTheReferenceInOtherFormats) {
  for (const uint32_t fourcc : {SLUICE_FORMAT_NV12, SLUICE_FORMAT_YUYV, SLUICE_FORMAT_XR24,
                                SLUICE_FORMAT_P010, SLUICE_FORMAT_AB4H}) {
    const sluice_format format = MakeFormat(fourcc, 320, 180);
    Picture src(format);
    Fill(src, Pattern::kNoise);
    for (const Look& look : Some({"sepia", "pencil", "chromatic-aberration"})) {
      Check(look, src, format, Describe(format, "noise"));
    }
  }
}

TEST_F(LookTest, LooksMatchTheReferenceAtOddSizes) {
  for (const uint32_t fourcc : {SLUICE_FORMAT_YU12, SLUICE_FORMAT_NV12, SLUICE_FORMAT_YUYV}) {
    const sluice_format format =
        MakeFormat(fourcc, 641, 359, SLUICE_MATRIX_BT601, SLUICE_RANGE_FULL, SLUICE_SITING_CENTER);
    Picture src(format);
    Fill(src, Pattern::kNoise);
    for (const Look& look : Some({"duotone", "vignette", "pencil"}))
      Check(look, src, format, Describe(format, "noise"));
  }
}

TEST_F(LookTest, LooksMatchTheReferenceFromOneFormatToAnother) {
  const sluice_format yuv = MakeFormat(SLUICE_FORMAT_YU12, 161, 91);
  const sluice_format rgb = MakeFormat(SLUICE_FORMAT_XR24, 161, 91);
  for (const auto& [from, to] : {std::pair(yuv, rgb), std::pair(rgb, yuv)}) {
    Picture src(from);
    Fill(src, Pattern::kNoise);
    for (const Look& look : Some({"mono", "warm", "pencil", "chromatic-aberration"})) {
      Check(look, src, to, Describe(from, "noise to " + FourccName(to.fourcc)));
    }
  }
}

TEST_F(LookTest, EveryLookMatchesTheReferenceOnAFrameOfAClip) {
  uint32_t width = 0, height = 0;
  const auto rgb = LoadRgb(kClip, &width, &height);
  if (rgb.empty())
    GTEST_SKIP() << kClip << " is not there: apt-get install forensics-samples-files";
  const sluice_format format = MakeFormat(SLUICE_FORMAT_YU12, width, height);
  Picture src(format);
  FillRgb(src, rgb);
  for (const Look& look : Looks()) Check(look, src, format, Describe(format, "clip"));
}

TEST_F(LookTest, ALookTakesItsNumbersFromTheGraph) {
  const sluice_format format = MakeFormat(SLUICE_FORMAT_AB24, 128, 64);
  Picture src(format), got(format), want(format);
  Fill(src, Pattern::kNoise);
  const Look& duotone = *FindLook("duotone").value();
  bench_->Run(src, got, duotone.id,
              ParamsOf(duotone, {Text("shadow", "#102030"), Text("highlight", "#ff8001"),
                                 Number("amount", 0.5)}));
  Reference(src, want, "duotone",
            {{"amount", 0.5},
             {"shadow.r", 16 / 255.0},
             {"shadow.g", 32 / 255.0},
             {"shadow.b", 48 / 255.0},
             {"highlight.r", 1.0},
             {"highlight.g", 128 / 255.0},
             {"highlight.b", 1 / 255.0}});
  ExpectMatches(duotone, Compare(got, want), "given colours");
}

TEST_F(LookTest, AnAmountOfZeroChangesNothingInASubsampledFrame) {
  for (const uint32_t fourcc : {SLUICE_FORMAT_YU12, SLUICE_FORMAT_NV12, SLUICE_FORMAT_YUYV}) {
    const sluice_format format = MakeFormat(fourcc, 641, 359);
    Picture src(format), got(format);
    Fill(src, Pattern::kGradients);
    const Look& look = *FindLook("sepia").value();
    bench_->Run(src, got, look.id, ParamsOf(look, {Number("amount", 0)}));
    for (const Difference& d : Compare(src, got)) EXPECT_LE(d.worst, 1) << FourccName(fourcc);
  }
}

TEST_F(LookTest, NothingIsWrittenOutsideThePictureRows) {
  const sluice_format format = MakeFormat(SLUICE_FORMAT_YU12, 641, 359);
  Picture src(format), got(format);
  Fill(src, Pattern::kNoise);
  bench_->Run(src, got, FindLook("negative").value()->id,
              ParamsOf(*FindLook("negative").value(), {}));
  // Rows of blocks of 8 pixels; after that the padding keeps what it held.
  for (uint32_t y = 0; y < 359; ++y) {
    for (uint64_t x = 648; x < got.stride(0); ++x)
      ASSERT_EQ(got.plane(0)[y * got.stride(0) + x], 0xA5) << x << "," << y;
  }
  const uint64_t end = got.layout().planes[2].offset + got.layout().planes[2].size;
  for (uint64_t i = end; i < got.bytes(); ++i) ASSERT_EQ(got.base()[i], 0xA5) << i;
}

TEST(LookParamsTest, AnUnknownLookIsRefusedWithTheNamesThereAre) {
  const auto look = FindLook("nior");
  ASSERT_FALSE(look.has_value());
  EXPECT_EQ(look.error().code, SLUICE_E_NOT_FOUND);
  EXPECT_NE(look.error().message.find("noir"), std::string::npos);
}

TEST(LookParamsTest, AValueOutOfRangeIsRefusedWithTheRange) {
  const sluice_param param = Number("contrast", 9);
  const auto params = LookParams(*FindLook("noir").value(), {1, 0, &param});
  ASSERT_FALSE(params.has_value());
  EXPECT_EQ(params.error().code, SLUICE_E_INVALID_ARGUMENT);
  EXPECT_NE(params.error().message.find("contrast"), std::string::npos);
  EXPECT_NE(params.error().message.find("3.0"), std::string::npos);
}

TEST(LookParamsTest, AParameterOfAnotherLookIsRefusedWithThoseOfThisOne) {
  const sluice_param param = Number("levels", 4);
  const auto params = LookParams(*FindLook("noir").value(), {1, 0, &param});
  ASSERT_FALSE(params.has_value());
  EXPECT_NE(params.error().message.find("amount, contrast"), std::string::npos);
}

TEST(LookParamsTest, ABadColourIsRefused) {
  for (const char* text : {"", "1b1464", "#1b146", "#1b14zz", "#1b14641"}) {
    EXPECT_FALSE(ParseColor(text).has_value()) << text;
  }
  EXPECT_EQ(ParseColor("#1B1464").value(), 0x1B1464U);
}

}  // namespace
}  // namespace sluice::vulkan::testing
