// What goes wrong in whole graphs, and what is left behind: a message with its numbers, no part
// file, no lease.

#include <atomic>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/harness.h"
#include "tests/integration/media_fixture.h"

namespace sluice::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// Without a device there is nobody to compile for.
#define SKIP_WITHOUT_VULKAN(ran) \
  if ((ran).problem.find("no Vulkan driver") != std::string::npos) GTEST_SKIP() << (ran).problem

class FaultTest : public MediaTest {
 protected:
  /// clip -> sum and clip -> out, both with files.
  Ran Transcode(const std::string& clip) {
    return RunGraph("sluice: 1\nname: faults\nnodes:\n  clip: { type: ffmpeg.read, path: " + clip +
                    " }\n  sum: { type: core.checksum, path: " + Path("sums.txt") +
                    " }\n  out: { type: ffmpeg.write, preset: ultrafast, path: " + Path("out.mp4") +
                    " }\nedges: [ clip -> sum, clip -> out ]\n");
  }

  Ran Shade(const std::string& glsl) {
    std::ofstream(Path("user.glsl")) << glsl;
    return RunGraph(
        "sluice: 1\nname: shader\nnodes:\n"
        "  source: { type: core.testsrc, size: 64x36, frames: 2 }\n"
        "  mine: { type: vulkan.shader, params: { gain: 2 }, shader: " +
        Path("user.glsl") +
        " }\n  sum: { type: core.checksum }\nedges: [ source -> mine -> sum ]\n");
  }
  /// A shader that is in order.
  void ExpectPlanned(const std::string& glsl) {
    const Ran ran = Shade(glsl);
    SKIP_WITHOUT_VULKAN(ran);
    EXPECT_TRUE(ran.planned) << ran.problem;
  }
};

void ExpectNothingOutstanding(const Ran& ran) {
  for (const auto& pool : ran.report.pools) EXPECT_EQ(pool.outstanding, 0u) << pool.name;
}

// ---- inputs

TEST_F(FaultTest, AMissingClipFailsThePlanWithItsPathAndMakesNoFile) {
  const Ran ran = Transcode(Path("no-such-clip.mp4"));
  EXPECT_FALSE(ran.planned);
  EXPECT_THAT(ran.problem, AllOf(HasSubstr("node 'clip'"), HasSubstr("no-such-clip.mp4"),
                                 HasSubstr("No such file")));
  EXPECT_THAT(Outputs(), IsEmpty());
}

TEST_F(FaultTest, AClipWithoutVideoFailsThePlanAndSaysWhatItHas) {
  const Ran ran = Transcode(Fixture("no_video.m4a"));
  EXPECT_FALSE(ran.planned);
  EXPECT_THAT(ran.problem, AllOf(HasSubstr("no video stream"), HasSubstr("audio (aac)")));
  EXPECT_THAT(Outputs(), IsEmpty());
}

TEST_F(FaultTest, AFolderOrATextIsNoClip) {
  std::ofstream(Path("notes.mp4")) << "no media at all\n";
  for (const char* name : {"notes.mp4", "."}) {
    const Ran ran = Transcode(Path(name));
    EXPECT_FALSE(ran.planned) << name;
    EXPECT_THAT(ran.problem, HasSubstr("node 'clip'")) << name;
  }
  EXPECT_THAT(Outputs(), ElementsAre("notes.mp4"));
}

TEST_F(FaultTest, ATruncatedClipFailsWithFramesDeliveredAndExpectedAndNothingHasTheFinalName) {
  const Ran ran = Transcode(Fixture("truncated.mp4"));
  ASSERT_TRUE(ran.planned) << ran.problem;
  EXPECT_EQ(ran.report.result, "failed");
  const uint64_t delivered = ran.node("clip").frames_out;
  EXPECT_GT(delivered, 10u);
  EXPECT_LT(delivered, 40u);
  EXPECT_THAT(ran.Errors(),
              HasSubstr("frames delivered " + std::to_string(delivered) + ", expected 40"));
  EXPECT_THAT(Outputs(), IsEmpty()) << "neither files nor part files";
  ExpectNothingOutstanding(ran);
}

// ---- shaders

TEST_F(FaultTest, AShaderThatDoesNotCompileFailsThePlanWithItsLine) {
  const Ran ran = Shade("vec3 shade(vec3 color, ivec2 position) {\n  return color * gian;\n}\n");
  SKIP_WITHOUT_VULKAN(ran);
  EXPECT_FALSE(ran.planned);
  EXPECT_THAT(ran.problem,
              AllOf(HasSubstr("node 'mine'"), HasSubstr("user.glsl:2: error"), HasSubstr("gian")));
}

TEST_F(FaultTest, AShaderWithAnotherInterfaceFailsThePlanWithTheOneThatIsWanted) {
  for (const char* glsl : {"vec3 shade(vec4 color, ivec2 position) { return color.rgb; }",
                           "vec3 shade(vec3 color) { return color; }", "", "// shade\n"}) {
    const Ran ran = Shade(glsl);
    SKIP_WITHOUT_VULKAN(ran);
    EXPECT_FALSE(ran.planned) << glsl;
    EXPECT_THAT(ran.problem, HasSubstr("`vec3 shade(vec3 color, ivec2 position)`")) << glsl;
  }
  for (const char* glsl : {"\nvoid main() {}", "\n#version 450"}) {
    EXPECT_THAT(Shade(glsl).problem, AllOf(HasSubstr("user.glsl:2"), HasSubstr("Sluice's part")));
  }
}

TEST_F(FaultTest, AShaderThatReachesBeyondItsPixelIsRefusedWithItsLine) {
  const std::string shade = "vec3 shade(vec3 color, ivec2 position) { return color; }\n";
  for (const char* glsl :
       {"\nlayout(set = 1, binding = 0) uniform sampler2D t;\n", "\n#include \"user.glsl\"\n",
        "\nshared float much[100000];\n", "\n#define B buf##fer\n",
        "\nbuf\\\nfer Mine { float x; };\n", "\nbuf\\\r\nfer Mine { float x; };\n",
        "\nvoid any() { dst1[1000000000u] = 7u; }\n",
        "\nfloat any() { return float(src1_in1[1000000000u]); }\n",
        "\nfloat any() { return tables_[1000000000u].x; }\n",
        "\nfloat any() { return fetchByte(0u, ivec2(0, 1 << 28)); }\n",
        "\nfloat any() { return table(1 << 28).x; }\n"}) {
    const Ran ran = Shade(glsl + shade);
    SKIP_WITHOUT_VULKAN(ran);
    EXPECT_FALSE(ran.planned) << glsl;
    EXPECT_THAT(ran.problem, HasSubstr("user.glsl:2: `")) << glsl;
  }
}

TEST_F(FaultTest, AShaderMayTalkOfAnythingInItsComments) {
  ExpectPlanned(
      "/* void main() { uniform } */ // #include buffer\n"
      "vec3 shade(vec3 color, ivec2 position) { return color; }\n");
}

TEST_F(FaultTest, AWordInTwoLinesIsOneForSluiceAsForTheCompiler) {
  // Else the first would be the shader's own, and the second Sluice's buffer.
  const Ran ran = Shade(
      "float src1[4] = float[4](0.0, 0.0, 0.0, 0.0);\n"
      "vec3 shade(vec3 color, ivec2 position) {\n  return vec3(sr\\\nc1[3]) + gian;\n}\n");
  SKIP_WITHOUT_VULKAN(ran);
  EXPECT_FALSE(ran.planned);
  // Its line is the one where the joined line begins.
  EXPECT_THAT(ran.problem,
              AllOf(HasSubstr("user.glsl:3: error"), HasSubstr("gian"), Not(HasSubstr("uint"))));
}

TEST_F(FaultTest, AShaderMayHaveOrdinaryNamesForWhatItKeeps) {
  ExpectPlanned(
      "// a comment \\\n that goes on }\n"
      "#define TWICE(x) \\\n  ((x) * 2.0)\n"
      "vec4 shade(ivec2 at) { vec4 src = pixel0(at); float param = 0.5; return TWICE(src) * param; "
      "}\n");
}

TEST_F(FaultTest, AShaderMayHaveAnyNameOfOursForAFunctionOfItsOwn) {
  ExpectPlanned(
      "float srcRow(float x) { return 1.0 - x; }\n"
      "vec3 shade(vec3 color, ivec2 position) { return vec3(srcRow(color.r)); }\n");
}

// ---- arms of a fan-out

TEST_F(FaultTest, AFailingArmEndsTheGraphThoughOneIsSlowAndOneIsBlocked) {
  const Ran ran = RunGraph(R"(
sluice: 1
name: arms
nodes:
  source: { type: probe.source, frames: 0, size: 64x64 }
  slow: { type: ffmpeg.scale, size: 512x512 }
  sum: { type: core.checksum, path: )" +
                           Path("sums.txt") + R"( }
  blocked: { type: probe.hold, block_at: 3 }
  failing: { type: probe.hold, fail_at: 4 }
edges:
  - source -> slow -> sum
  - source -> blocked
  - source -> failing
)");
  ASSERT_TRUE(ran.planned) << ran.problem;
  EXPECT_EQ(ran.report.result, "failed");
  EXPECT_THAT(ran.Errors(), HasSubstr("node 'failing': the sink broke"));
  EXPECT_THAT(ran.report.errors, SizeIs(1)) << ran.Errors();
  EXPECT_THAT(Outputs(), IsEmpty());
  ExpectNothingOutstanding(ran);
}

TEST_F(FaultTest, ABlockedArmThatMayLoseFramesHoldsNobodyUpUntilAnotherFails) {
  const Ran ran = RunGraph(R"(
sluice: 1
name: lossy
nodes:
  source: { type: probe.source, frames: 0 }
  blocked: { type: probe.hold, block_at: 0 }
  failing: { type: probe.hold, fail_at: 500 }
edges:
  - { from: source, to: blocked, queue: { depth: 2, when_full: drop-oldest } }
  - source -> failing
)");
  ASSERT_TRUE(ran.planned) << ran.problem;
  EXPECT_EQ(ran.report.result, "failed");
  EXPECT_THAT(ran.Errors(), HasSubstr("node 'failing': the sink broke"));
  EXPECT_EQ(ran.node("failing").frames_in, 501u);
  EXPECT_LE(ran.node("blocked").frames_in, 1u);
  uint64_t dropped = 0;
  for (const auto& [reason, count] : ran.edge("source.out -> blocked.in").drops) dropped += count;
  EXPECT_GE(dropped, 400u) << ran.report.ToTable();
  ExpectNothingOutstanding(ran);
}

TEST_F(FaultTest, ASlowArmThatMayLoseFramesGetsOrDropsEachOne) {
  for (const char* policy : {"drop-oldest", "drop-newest"}) {
    const Ran ran = RunGraph(R"(
sluice: 1
name: slow
nodes:
  source: { type: probe.source, frames: 300, size: 64x64 }
  slow: { type: ffmpeg.scale, size: 512x512 }
  end: { type: core.null }
  fast: { type: core.null }
edges:
  - { from: source, to: slow, queue: { depth: 2, when_full: )" +
                             std::string(policy) + R"( } }
  - slow -> end
  - source -> fast
)");
    ASSERT_TRUE(ran.planned) << ran.problem;
    EXPECT_EQ(ran.report.result, "done") << ran.Errors();
    EXPECT_EQ(ran.node("fast").frames_in, 300u);
    uint64_t dropped = 0;
    for (const auto& [reason, count] : ran.edge("source.out -> slow.in").drops) dropped += count;
    EXPECT_EQ(ran.node("slow").frames_in + dropped, 300u) << policy << "\n" << ran.report.ToTable();
    EXPECT_EQ(ran.node("end").frames_in, ran.node("slow").frames_out);
    ExpectNothingOutstanding(ran);
  }
}

TEST_F(FaultTest, ABlockedArmIsDrainedInVainAndThenStoppedWithoutAPartFile) {
  runtime::Engine* engine = nullptr;
  const Ran ran = RunGraph(
      R"(
sluice: 1
name: blocked
nodes:
  source: { type: probe.source, frames: 0 }
  sum: { type: core.checksum, path: )" +
          Path("sums.txt") + R"( }
  blocked: { type: probe.hold, block_at: 2 }
edges: [ source -> sum, source -> blocked ]
)",
      [&](runtime::Engine::Options& options) {
        options.stop_limit_ns = 1'000'000'000;
        // The first one is Ctrl-C, the second one the impatient user's.
        options.progress = [&](const runtime::ProgressInfo& info) {
          if (info.frames >= 4) engine->Interrupt();
        };
      },
      [&](runtime::Engine& started) { engine = &started; });
  EXPECT_EQ(ran.report.result, "stopped") << ran.Errors();
  EXPECT_THAT(ran.report.errors, IsEmpty());
  for (const std::string& name : Outputs()) EXPECT_EQ(name, "sums.txt");
  ExpectNothingOutstanding(ran);
}

TEST_F(FaultTest, AFailingArmLeavesNothingOfTheFilmBesideIt) {
  const Ran ran = RunGraph(R"(
sluice: 1
name: film
nodes:
  source: { type: core.testsrc, size: 64x48, frames: 200 }
  film: { type: ffmpeg.write, preset: ultrafast, path: )" +
                           Path("out.mp4") + R"( }
  failing: { type: probe.hold, fail_at: 60 }
edges: [ source -> film, source -> failing ]
)");
  EXPECT_EQ(ran.report.result, "failed");
  EXPECT_THAT(ran.Errors(), HasSubstr("node 'failing': the sink broke"));
  EXPECT_THAT(Outputs(), IsEmpty());
  ExpectNothingOutstanding(ran);
}

TEST_F(FaultTest, ArmsThatEndAtDifferentTimesGetExactlyTheirFramesAndTheFilmGetsAll) {
  const Ran ran = RunGraph(R"(
sluice: 1
name: ends
nodes:
  source: { type: core.testsrc, size: 64x48, rate: 25, frames: 100 }
  first: { type: probe.hold, end_at: 0 }
  tenth: { type: probe.hold, end_at: 9 }
  some: { type: core.select, frames: "20-29" }
  pictures: { type: ffmpeg.write, path: )" +
                           Path("p-%02d.png") + R"( }
  film: { type: ffmpeg.write, preset: ultrafast, path: )" +
                           Path("out.mp4") + R"( }
edges:
  - source -> first
  - source -> tenth
  - source -> some -> pictures
  - source -> film
)");
  ASSERT_TRUE(ran.planned) << ran.problem;
  EXPECT_EQ(ran.report.result, "done") << ran.Errors();
  EXPECT_EQ(ran.node("first").frames_in, 1u);
  EXPECT_EQ(ran.node("tenth").frames_in, 10u);
  EXPECT_EQ(ran.node("pictures").frames_in, 10u);
  EXPECT_EQ(ran.node("film").frames_in, 100u);
  EXPECT_THAT(Outputs(), SizeIs(11));
  EXPECT_THAT(FrameTimes(Path("out.mp4")), SizeIs(100));
  ExpectNothingOutstanding(ran);
}

TEST_F(FaultTest, ABlockedArmBesideOneThatEndsIsEndedByTheUser) {
  runtime::Engine* engine = nullptr;
  const Ran ran = RunGraph(R"(
sluice: 1
name: ends-and-blocks
nodes:
  source: { type: probe.source, frames: 0 }
  short: { type: probe.hold, end_at: 1 }
  blocked: { type: probe.hold, block_at: 2 }
edges: [ source -> short, source -> blocked ]
)",
                           [&](runtime::Engine::Options& options) {
                             options.stop_limit_ns = 1'000'000'000;
                             options.progress = [&](const runtime::ProgressInfo& info) {
                               if (info.frames >= 2) engine->Interrupt();
                             };
                           },
                           [&](runtime::Engine& started) { engine = &started; });
  EXPECT_EQ(ran.report.result, "stopped") << ran.Errors();
  EXPECT_EQ(ran.node("short").frames_in, 2u);
  ExpectNothingOutstanding(ran);
}

TEST_F(FaultTest, FaultsLeaveNoDescriptorBehind) {
  const std::string clip = Fixture("truncated.mp4");
  Transcode(clip);
  const size_t before = CountFds();
  for (int i = 0; i < 3; ++i) {
    Transcode(clip);
    Transcode(Path("no-such-clip.mp4"));
  }
  EXPECT_EQ(CountFds(), before);
}

}  // namespace
}  // namespace sluice::testing
