// What is refused of a filter's parameters, in which words, and what becomes of the others.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "nodes/vulkan/filters/filter_spec.h"
#include "nodes/vulkan/given_params.h"

namespace sluice::vulkan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Number;
using testing::Text;

Result<std::vector<float>> ValuesOf(const FilterSpec& spec, std::vector<sluice_param> given) {
  const sluice_param_set set{static_cast<uint32_t>(given.size()), 0, given.data()};
  return FilterValues(spec, sdk::Params(&set));
}

std::string ErrorOf(const FilterSpec& spec, const sluice_param& param) {
  const auto values = ValuesOf(spec, {param});
  if (values) return "";
  EXPECT_EQ(values.error().code, SLUICE_E_INVALID_ARGUMENT);
  return values.error().message;
}

std::string ChoiceErrorOf(const FilterSpec& spec, std::vector<sluice_param> given) {
  const sluice_param_set set{static_cast<uint32_t>(given.size()), 0, given.data()};
  const auto choices = spec.choose(sdk::Params(&set));
  return choices ? "" : choices.error().message;
}

const std::pair<const char*, const FilterSpec*> kSpecs[] = {
    {"scale", &ScaleSpec()},      {"crop", &CropSpec()},
    {"rotate", &RotateSpec()},    {"flip", &FlipSpec()},
    {"compose", &ComposeSpec()},  {"blur", &BlurSpec()},
    {"box-blur", &BoxBlurSpec()}, {"sharpen", &SharpenSpec()},
    {"lut", &LutSpec()},          {"chroma-key", &ChromaKeySpec()},
    {"adjust", &AdjustSpec()},    {"mask", &MaskSpec()},
};

TEST(FilterParamsTest, EveryNumberOutOfRangeIsRefusedWithNameValueAndRange) {
  int checked = 0;
  for (const auto& [name, spec] : kSpecs) {
    for (const FilterParam& param : spec->params) {
      if (param.kind != FilterParam::Kind::kNumber && param.kind != FilterParam::Kind::kWhole)
        continue;
      for (const double value : {param.minimum - 1, param.maximum + 1, std::nan("")}) {
        const std::string error = ErrorOf(*spec, Number(param.name.c_str(), value));
        EXPECT_THAT(error, HasSubstr(param.name + ": ")) << name;
        EXPECT_THAT(error, HasSubstr("is not in")) << name;
      }
      for (const double value : {param.minimum, param.maximum}) {
        EXPECT_EQ(ErrorOf(*spec, Number(param.name.c_str(), value)), "") << name;
      }
      ++checked;
    }
  }
  EXPECT_GT(checked, 60);
  EXPECT_EQ(ErrorOf(BlurSpec(), Number("sigma", 65)), "sigma: 65 is not in 0 .. 64");
}

TEST(FilterParamsTest, APositionInPixelsIsWhole) {
  EXPECT_EQ(ErrorOf(CropSpec(), Number("x", 1.5)), "x: 1.5 is not a whole number");
}

TEST(FilterParamsTest, AnUnknownChoiceIsRefusedWithThoseThereAre) {
  EXPECT_EQ(ErrorOf(FlipSpec(), Text("direction", "diagonal", SLUICE_VALUE_ENUM)),
            "direction: \"diagonal\" is not one of horizontal, vertical, both");
}

TEST(FilterParamsTest, ColoursAreReadAndBadOnesRefused) {
  const auto values = ValuesOf(ComposeSpec(), {Text("background", "#ff003380")});
  ASSERT_TRUE(values.has_value());
  EXPECT_THAT(std::vector(values->begin(), values->begin() + 4),
              ElementsAre(1.0F, 0.0F, 0.2F, 128 / 255.0F));
  for (const char* text : {"", "00ff00", "#00ff0", "#00ff00f", "#00gg00", "#00ff0 "}) {
    EXPECT_THAT(ErrorOf(ComposeSpec(), Text("background", text)), HasSubstr("background: "));
    EXPECT_THAT(ErrorOf(ChromaKeySpec(), Text("color", text)), HasSubstr("is not a colour"));
  }
  EXPECT_THAT(ErrorOf(ChromaKeySpec(), Text("color", "#00ff00ff")), HasSubstr("color: "));
}

TEST(FilterParamsTest, WhatIsFixedIsCheckedWhenTheNodeIsMade) {
  EXPECT_THAT(ChoiceErrorOf(ScaleSpec(), {Text("filter", "sinc")}),
              HasSubstr("filter: \"sinc\" is not one of nearest, bilinear"));
  sluice_param linear{};
  linear.name = "linear";
  linear.type = SLUICE_VALUE_BOOL;
  linear.i = 1;
  EXPECT_THAT(ChoiceErrorOf(ScaleSpec(), {Text("filter", "nearest"), linear}),
              HasSubstr("linear: nearest copies pixels"));
  EXPECT_THAT(ChoiceErrorOf(RotateSpec(), {Text("angle", "45")}),
              HasSubstr("angle: \"45\" is not one of 0, 90, 180, 270, auto"));
  EXPECT_THAT(ChoiceErrorOf(LutSpec(), {}), HasSubstr("path: no file is given"));
  EXPECT_THAT(ChoiceErrorOf(LutSpec(), {Text("path", "/nowhere/a.cube")}),
              HasSubstr("path: /nowhere/a.cube: No such file"));
  const std::string path = ::testing::TempDir() + "bad.cube";
  std::ofstream(path) << "LUT_3D_SIZE 2\n0 0 zero\n";
  EXPECT_EQ(ChoiceErrorOf(LutSpec(), {Text("path", path.c_str())}),
            "path: " + path + ":2: \"zero\" is not a number");
}

TEST(FilterParamsTest, LayersAreSortedFromTheBottomAndEqualsByNumber) {
  auto values = ValuesOf(ComposeSpec(), {Number("order0", 5), Number("order3", 5),
                                         Number("order7", -1), Number("x7", 12.5)});
  ASSERT_TRUE(values.has_value());
  std::vector<float> out(ComposeSpec().numbers);
  ComposeSpec().derive(*values, out);
  std::vector<float> ports;
  for (size_t i = 0; i < 8; ++i) ports.push_back(out[4 + 6 * i]);
  EXPECT_THAT(ports, ElementsAre(7, 1, 2, 4, 0, 3, 5, 6));
  EXPECT_EQ(out[5], 12.5F);
}

TEST(FilterParamsTest, ATableHasSizeDomainAndEntries) {
  FilterChoices choices;
  choices.lut = *ParseCube("LUT_1D_SIZE 2\nDOMAIN_MAX 2 2 2\n0 0 0\n1 0.5 0.25\n", "a.cube");
  EXPECT_THAT(LutSpec().table(choices),
              ElementsAre(2, 1, 0, 0, 0, 0, 0, 0, 2, 2, 2, 0, 0, 0, 0, 0, 1, 0.5F, 0.25F, 0));
}

}  // namespace
}  // namespace sluice::vulkan
