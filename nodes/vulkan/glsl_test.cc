#include "nodes/vulkan/glsl.h"

#include <gtest/gtest.h>

#include "nodes/vulkan/pass_text.h"

namespace sluice::vulkan {
namespace {

using Names = std::vector<std::string>;

TEST(GlslTest, FunctionsConstantsVariablesStructuresAndMacrosAreNamesOfTheTopLevel) {
  EXPECT_EQ(TopLevelNames("const float kA = 1.0, kB = 2.0;\n"
                          "struct Pair { float x; float y; };\n"
                          "float table[3];\n"
                          "#define TWICE(v) (2.0 * (v))\n"
                          "vec3 shade(vec3 color, ivec2 at) { float inner = kA; return color; }\n"),
            (Names{"kA", "kB", "Pair", "table", "TWICE", "shade"}));
}

TEST(GlslTest, ATypeIsNoNameWhereverItsBracketsStand) {
  EXPECT_EQ(TopLevelNames("const vec2[2] kAt = vec2[2](vec2(0.0), vec2(1.0));\n"
                          "float a() { return 1.0; }\n"
                          "float[2] b() { return float[2](1.0, 2.0); }\n"
                          "mat2[2][3] c;\nfloat d[2], e[3][4] = x;\nprecision mediump float;\n"),
            (Names{"kAt", "a", "b", "c", "d", "e"}));
}

TEST(GlslTest, ADirectiveEndsWithItsLine) {
  EXPECT_EQ(TopLevelNames("#\n#define A 1\n#define\nfloat b;\n#undef A\n"), (Names{"A", "b"}));
}

TEST(GlslTest, MembersOfABlockWithoutAnInstanceAreNamesToo) {
  EXPECT_EQ(TopLevelNames("layout(binding = 2) readonly buffer Words { uint src[]; };"),
            (Names{"Words", "src"}));
}

TEST(GlslTest, WhatStandsInCommentsIsNoName) {
  EXPECT_EQ(
      TopLevelNames("uniform Pass { vec4 param[2]; uint b; } pass_;\nfloat a() { return 1.0; }"),
      (Names{"Pass", "pass_", "a"}))
      << "members of an instance have no names of their own";
  EXPECT_EQ(TopLevelNames("/* float a() {} */ // float b() {}\nfloat c() { return 1.0; }"),
            (Names{"c"}));
}

TEST(GlslTest, WholeWordsAreRenamedAndMembersAreNot) {
  EXPECT_EQ(Rename("r(v.r) + rr + r", {{"r", "r_1"}}), "r_1(v.r) + rr + r_1");
}

TEST(GlslTest, MessagesLoseWhatWasAddedToNames) {
  EXPECT_EQ(PlainMessage("a.glsl:2: error: 'gain_at12' : undeclared in shade_at0, pixel_in3"),
            "a.glsl:2: error: 'gain' : undeclared in shade, pixel");
  EXPECT_EQ(PlainMessage("look_at me_in"), "look_at me_in");
}

TEST(GlslTest, TextThatNeverEndsIsReadToItsEnd) {
  EXPECT_TRUE(TopLevelNames("/* no end").empty());
  EXPECT_TRUE(TopLevelNames("#define").size() <= 1);
  EXPECT_EQ(TopLevelNames("}}}} float a() {"), (Names{"a"}));
}

}  // namespace
}  // namespace sluice::vulkan
