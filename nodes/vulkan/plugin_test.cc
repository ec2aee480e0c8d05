// The plugin through its ABI, on a fake host: islands, fences, imports and counted copies.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "nodes/vulkan/island_testing.h"
#include "nodes/vulkan/reference.h"

namespace sluice::vulkan::testing {
namespace {

using PluginTest = IslandTest;

const sluice_format kYuv = MakeFormat(SLUICE_FORMAT_YU12, 641, 359);

TEST_F(PluginTest, ALookIsAppliedInSharedMemoryWithoutACopy) {
  const TestNode& look = Add("vulkan.look", {Text("look", "sepia")}, kYuv, kYuv);
  ASSERT_EQ(Build(), SLUICE_OK);
  Picture picture(kYuv), want(kYuv);
  Fill(picture, Pattern::kGradients);
  Reference(picture, want, "sepia", {{"amount", 1}});
  ExpectWithin(2, RunOnce(picture), want);
  EXPECT_TRUE(look.copies.empty());
}

TEST_F(PluginTest, SeveralNodesAreOneSubmission) {
  const sluice_format rgb = MakeFormat(SLUICE_FORMAT_AB24, 641, 359);
  Add("vulkan.look", {Text("look", "sepia")}, kYuv, kYuv);
  Add("vulkan.look", {Text("look", "negative")}, kYuv, kYuv);
  Add("vulkan.convert", {}, kYuv, rgb);
  ASSERT_EQ(Build(), SLUICE_OK);
  // Between the nodes there are no chroma samples and no codes to round to.
  Picture picture(kYuv), a(rgb), b(rgb), want(rgb);
  Fill(picture, Pattern::kZonePlate);
  Reference(picture, a, "sepia", {{"amount", 1}});
  Reference(a, b, "negative", {{"amount", 1}});
  Reference(b, want, "", {});
  FakeFrame* in = Lease(*in_pool_);
  FakeFrame* out = Lease(*out_pool_);
  Write(in, picture);
  sluice_fence fences[2];
  ASSERT_EQ(Submit(in, out, fences), SLUICE_OK);
  EXPECT_EQ(fences[1].point, fences[0].point);
  sluice_fence next[2];
  ASSERT_EQ(Submit(in, out, next), SLUICE_OK);
  EXPECT_EQ(next[0].point, fences[0].point + 1);
  ASSERT_EQ(WaitIdle(), SLUICE_OK);
  Picture got(rgb);
  Read(out, got);
  ExpectWithin(4, got, want);
  Return(in);
  Return(out);
}

TEST_F(PluginTest, AFrameOfTheSameDeviceIsWaitedForOnTheDevice) {
  const sluice_format format = MakeFormat(SLUICE_FORMAT_AB24, 64, 32);
  Add("vulkan.look", {Text("look", "negative")}, format, format);
  ASSERT_EQ(Build(), SLUICE_OK);
  Picture picture(format);
  Fill(picture, Pattern::kNoise);
  sluice_fence first, second;
  ExpectWithin(0, RunThereAndBack(picture, &first, &second), picture);
  EXPECT_EQ(second.timeline, first.timeline);
  EXPECT_GT(second.point, first.point);
}

TEST_F(PluginTest, AFrameWhoseHostFenceIsPendingIsRefused) {
  const TestNode& look = Add("vulkan.look", {Text("look", "mono")}, kYuv, kYuv);
  ASSERT_EQ(Build(), SLUICE_OK);
  sdk::Timeline pending = host_.MakeTimeline();
  FakeFrame* in = Lease(*in_pool_);
  FakeFrame* out = Lease(*out_pool_);
  in->acquire = sdk::testing::OwnedFence(sdk::Fence::At(pending, 1).c());
  sluice_fence fences[2];
  EXPECT_EQ(Submit(in, out, fences), SLUICE_E_NOT_SUBMITTED);
  EXPECT_NE(look.error.find("fence"), std::string::npos);
  pending.Signal(1);
  EXPECT_EQ(Submit(in, out, fences), SLUICE_OK);
  EXPECT_EQ(WaitIdle(), SLUICE_OK);
  Return(in);
  Return(out);
}

TEST_F(PluginTest, ManyFramesReuseWhatTheFirstOnesMade) {
  const sluice_format format = MakeFormat(SLUICE_FORMAT_NV12, 160, 90);
  Add("vulkan.look", {Text("look", "noir")}, format, format);
  ASSERT_EQ(Build(4), SLUICE_OK);
  Picture picture(format), want(format);
  Fill(picture, Pattern::kBars);
  Reference(picture, want, "noir", {{"amount", 1}, {"contrast", 1.25}});
  for (int i = 0; i < 200; ++i) ExpectWithin(2, RunOnce(picture), want);
}

TEST_F(PluginTest, AParameterChangesWhileTheGraphRuns) {
  const sluice_format format = MakeFormat(SLUICE_FORMAT_AB24, 64, 32);
  const TestNode& look = Add("vulkan.look", {Text("look", "negative")}, format, format);
  ASSERT_EQ(Build(), SLUICE_OK);
  Picture picture(format), negative(format);
  Fill(picture, Pattern::kNoise);
  Reference(picture, negative, "negative", {{"amount", 1}});
  ExpectWithin(2, RunOnce(picture), negative);
  const sluice_param amount = Number("amount", 0);
  ASSERT_EQ(look.node.set_param(look.node.self, &amount), SLUICE_OK);
  ExpectWithin(1, RunOnce(picture), picture);
  const sluice_param wrong = Number("amount", 2);
  EXPECT_EQ(look.node.set_param(look.node.self, &wrong), SLUICE_E_INVALID_ARGUMENT);
}

TEST_F(PluginTest, ForgettingAPoolLetsItsMemoryGo) {
  const sluice_format format = MakeFormat(SLUICE_FORMAT_AB24, 64, 32);
  Add("vulkan.look", {Text("look", "negative")}, format, format);
  ASSERT_EQ(Build(), SLUICE_OK);
  Picture picture(format);
  Fill(picture, Pattern::kNoise);
  RunOnce(picture);
  const FakeFrame* frame = Lease(*in_pool_);
  domain_.forget_pool(domain_.self, frame->buffer->id.pool, frame->buffer->id.epoch);
  Return(const_cast<FakeFrame*>(frame));
  // Imported anew.
  ExpectWithin(1, RunOnce(RunOnce(picture)), picture);
}

TEST_F(PluginTest, TheDomainSaysWhatItIs) {
  sluice_domain_info info{};
  ASSERT_EQ(domain_.describe(domain_.self, &info), SLUICE_OK);
  EXPECT_STRNE(info.device_name, "");
  EXPECT_NE(info.views & SLUICE_VIEW_SHM, 0U);
  EXPECT_GE(info.base_multiple, 1U);
}

TEST_F(PluginTest, AUsersShaderIsCompiledAndRun) {
  const sluice_format format = MakeFormat(SLUICE_FORMAT_AB24, 130, 33);
  Add("vulkan.shader",
      {Text("source",
            "vec3 shade(vec3 color, ivec2 position) {\n  return position.x < int(edge) ? color.bgr "
            ": color;\n}"),
       Text("params", R"({"edge": 20})")},
      format, format);
  ASSERT_EQ(Build(), SLUICE_OK);
  Picture picture(format);
  Fill(picture, Pattern::kNoise);
  const Picture got = RunOnce(picture);
  for (uint64_t y = 0; y < 33; ++y) {
    for (uint64_t x = 0; x < 130; ++x) {
      const uint8_t* from = picture.plane(0) + y * picture.stride(0) + 4 * x;
      const uint8_t* to = got.plane(0) + y * got.stride(0) + 4 * x;
      ASSERT_EQ(to[0], from[x < 20 ? 2 : 0]) << x << "," << y;
      ASSERT_EQ(to[1], from[1]);
      ASSERT_EQ(to[2], from[x < 20 ? 0 : 2]);
    }
  }
}

class StagingTest : public PluginTest {
 protected:
  void SetUp() override {
    setenv("SLUICE_VULKAN_FORCE_STAGING", "1", 1);
    PluginTest::SetUp();
    unsetenv("SLUICE_VULKAN_FORCE_STAGING");
  }
};

TEST_F(StagingTest, WhatCannotBeImportedIsCopiedAndCountedWithAReason) {
  const TestNode& look = Add("vulkan.look", {Text("look", "sepia")}, kYuv, kYuv);
  ASSERT_EQ(Build(), SLUICE_OK);
  Picture picture(kYuv), want(kYuv);
  Fill(picture, Pattern::kGradients);
  Reference(picture, want, "sepia", {{"amount", 1}});
  for (int i = 0; i < 3; ++i) ExpectWithin(2, RunOnce(picture), want);
  ASSERT_EQ(look.copies.size(), 6U);
  EXPECT_EQ(look.copies[0].port, "in");
  EXPECT_EQ(look.copies[1].port, "out");
  EXPECT_GE(look.copies[0].bytes, 641U * 359U * 3 / 2);
  EXPECT_NE(look.copies[0].reason.find("staging"), std::string::npos);
}

/// What create() of a node says when it fails.
std::string ErrorOf(const char* type, std::vector<sluice_param> params) {
  FakeHost host;
  const TestNode node(host, type, std::move(params));
  EXPECT_LT(node.created, 0);
  return node.error;
}

TEST(VulkanNodeTest, AShaderThatDoesNotCompileIsRefusedWithItsLine) {
  const std::string error =
      ErrorOf("vulkan.shader",
              {Text("source", "vec3 shade(vec3 color, ivec2 position) {\n  return colour;\n}")});
  EXPECT_NE(error.find("source:2:"), std::string::npos) << error;
  EXPECT_NE(error.find("colour"), std::string::npos) << error;
}

TEST(VulkanNodeTest, AShaderWithAnotherInterfaceIsRefusedWithTheOneItNeeds) {
  for (const char* source : {"float f() { return 1.0; }", "// shade is missing\n", "void main() {}",
                             "#version 450\nvec3 shade(vec3 c, ivec2 p) { return c; }",
                             "vec4 shade(vec4 color) { return color; }"}) {
    EXPECT_NE(ErrorOf("vulkan.shader", {Text("source", source)})
                  .find("vec3 shade(vec3 color, ivec2 position)"),
              std::string::npos)
        << source << ": " << ErrorOf("vulkan.shader", {Text("source", source)});
  }
}

TEST(VulkanNodeTest, WhatIsNotClosedIsNamedWithTheLineWhereItBegins) {
  const std::string head = "// {\nvec3 shade(vec3 c, ivec2 p)\n";
  for (const auto& [body, want] :
       {std::pair<std::string, std::string>{"{\n  return c;\n", "3: error: `{`"},
        {"{\n  if (p.x > 1) {\n  return c;\n}", "3: error: `{`"},
        {"{\n  return (c;\n}\n", "source:4:"},
        {"{\n  return c;\n}\n/* and so on", "6: error: `/*`"},
        {"{\n  return c;\n}\n#if 1\n", "at the end of the text"},
        {"{\n#if 1\n  if (p.x > 1) {\n#else\n  {\n#endif\n  }\n  return c;\n",
         "at the end of the text"}}) {
    const std::string error = ErrorOf("vulkan.shader", {Text("source", (head + body).c_str())});
    EXPECT_NE(error.find(want), std::string::npos) << body << "\n" << error;
    EXPECT_NE(error.find("source:"), std::string::npos) << body << "\n" << error;
  }
}

TEST(VulkanNodeTest, AShaderFileThatIsNotThereIsNamed) {
  EXPECT_NE(ErrorOf("vulkan.shader", {Text("shader", "/nonexistent/x.glsl")})
                .find("/nonexistent/x.glsl: No such file"),
            std::string::npos);
}

TEST(VulkanNodeTest, AShaderFileThatIsNoFileIsRefusedAndNotWaitedFor) {
  const std::string fifo = ::testing::TempDir() + "/shader.fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0) << strerror(errno);
  for (const std::string& path : {fifo, ::testing::TempDir()}) {
    EXPECT_NE(ErrorOf("vulkan.shader", {Text("shader", path.c_str())}).find(": is no file"),
              std::string::npos)
        << path;
  }
}

TEST(VulkanNodeTest, AShadersNamesMayBeThoseThatTheTextAroundItHas) {
  const auto expect_taken = [](const std::string& source, const std::string& params) {
    FakeHost host;
    const TestNode node(host, "vulkan.shader",
                        {Text("source", source.c_str()), Text("params", params.c_str())});
    EXPECT_EQ(node.created, SLUICE_OK) << source << ": " << node.error;
  };
  for (const std::string name : {"limited", "settled", "run", "work", "words", "param", "table",
                                 "clamp", "linear", "pixel0", "sampleRgb"}) {
    expect_taken("float " + name + "(float x) { return x; }\n" +
                     "vec3 shade(vec3 c, ivec2 p) { return c * " + name + "(0.5); }",
                 "{}");
    expect_taken("vec3 shade(vec3 c, ivec2 p) { return c * " + name + "; }",
                 "{\"" + name + "\": 0.5}");
  }
}

/// Sluice's own text may have words of the user's, and none of the user's macros.
TEST(VulkanNodeTest, NoMacroOfAShaderReachesTheTextAroundIt) {
  for (const std::string define :
       {"#\n#define int(a) float(a)\n", "#define int(a) float(a)\r", "# define int(a) float(a)\n",
        "#\r\n#define int(a) float(a)\r\n"}) {
    FakeHost host;
    const std::string source = define + "vec3 shade(vec3 c, ivec2 p) { return c * int(0.5); }";
    const TestNode node(host, "vulkan.shader", {Text("source", source.c_str())});
    EXPECT_EQ(node.created, SLUICE_OK) << source << ": " << node.error;
  }
  const std::string hidden = ErrorOf(
      "vulkan.shader",
      {Text("source",
            "#define x 1\r#extension all : warn\rvec3 shade(vec3 c, ivec2 p) { return c; }")});
  EXPECT_NE(hidden.find("source:2: `#extension`"), std::string::npos) << hidden;
}

TEST(VulkanNodeTest, OfSeveralShadesTheOneThatFitsIsCalled) {
  FakeHost host;
  const TestNode node(host, "vulkan.shader",
                      {Text("source",
                            "vec3 shade(vec3 c, float k) { return c * k; }\n"
                            "vec3 shade(vec3, ivec2);\n"
                            "vec3 shade(vec3 c, ivec2 p) { return shade(c, 0.5); }")});
  EXPECT_EQ(node.created, SLUICE_OK) << node.error;
}

TEST(VulkanNodeTest, AFileMayBeNamedAsTheMarksOfNames) {
  const std::string path = ::testing::TempDir() + "/fade_in2.glsl";
  std::ofstream(path) << "vec3 shade(vec3 c, ivec2 p) {\n  return colour;\n}\n";
  const std::string error = ErrorOf("vulkan.shader", {Text("shader", path.c_str())});
  EXPECT_EQ(error.find(path + ":2: error: 'colour'"), 0U) << error;
}

TEST(VulkanNodeTest, AShadersParametersMustBeNumbersWithNamesOfGlsl) {
  const sluice_param source = Text("source", "vec3 shade(vec3 c, ivec2 p) { return c; }");
  EXPECT_NE(ErrorOf("vulkan.shader", {source, Text("params", R"({"a b": 1})")}).find("a b"),
            std::string::npos);
  EXPECT_NE(
      ErrorOf("vulkan.shader", {source, Text("params", R"({"a": "x"})")}).find("not a number"),
      std::string::npos);
  EXPECT_NE(ErrorOf("vulkan.shader", {source, Text("params", "[1]")}).find("not a map"),
            std::string::npos);
  for (const char* params : {R"({"a": "nan"})", R"({"a": 1e39})", R"({"a": "-inf"})"}) {
    EXPECT_NE(ErrorOf("vulkan.shader", {source, Text("params", params)}).find("no finite number"),
              std::string::npos)
        << params;
  }
}

TEST(VulkanNodeTest, AParameterThatTheTextCannotSeeIsRefusedByItsName) {
  for (const auto& [name, want] :
       {std::pair<std::string, std::string>{"c", "an argument of `shade`"},
        {"p", "an argument of `shade`"},
        {"shade", "the function itself"},
        {"vec3", "a word of GLSL"},
        {"while", "a word of GLSL"}}) {
    const std::string params = "{\"" + name + "\": 1}";
    const std::string error =
        ErrorOf("vulkan.shader", {Text("source",
                                       "vec3 shade(vec3, ivec2);\n"
                                       "vec3 shade(const in vec3 c, ivec2 p) { return c; }"),
                                  Text("params", params.c_str())});
    EXPECT_NE(error.find("\"" + name + "\" has the name of " + want), std::string::npos) << error;
  }
}

TEST(VulkanNodeTest, AnUnknownLookIsRefusedWithTheNamesThereAre) {
  EXPECT_NE(ErrorOf("vulkan.look", {Text("look", "nior")}).find("noir"), std::string::npos);
}

}  // namespace
}  // namespace sluice::vulkan::testing
