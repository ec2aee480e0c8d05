#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/integration/harness.h"

namespace sluice::testing {
namespace {

// Islands on a device that computes for real (plugin/array.h): every byte of every
// frame is checked by probe.expect, so that a wrong wire is a wrong number.

using Names = std::vector<std::string>;

void ExpectDone(const Ran& ran) {
  ASSERT_TRUE(ran.planned) << ran.problem;
  EXPECT_EQ(ran.report.result, "done") << ran.Errors();
  for (const auto& pool : ran.report.pools) EXPECT_EQ(pool.outstanding, 0u) << pool.name;
}

std::string Graph(const std::string& nodes, const std::string& edges) {
  return "sluice: 1\nname: islands\nnodes:\n" + nodes + "edges:\n" + edges;
}

bool HasEdge(const Ran& ran, const std::string& name) {
  for (const auto& edge : ran.report.edges) {
    if (edge.name == name) return true;
  }
  return false;
}
bool HasPool(const Ran& ran, const std::string& name) {
  for (const auto& pool : ran.report.pools) {
    if (pool.name == name) return true;
  }
  return false;
}

const std::string kChain = R"(
  source: { type: probe.source, frames: 100 }
  a: { type: probe.add, value: 1 }
  b: { type: probe.add, value: 2 }
  c: { type: probe.add, value: 4 }
  sink: { type: probe.expect, plus: 7 }
)";

TEST(IslandsTest, AChainIsOneIslandWithoutPoolsInside) {
  Ran ran = RunGraph(Graph(kChain, "  - source -> a -> b -> c -> sink\n"));
  ExpectDone(ran);
  EXPECT_EQ(ran.islands, Names{"a+b+c"});
  for (const char* name : {"a", "b", "c"}) {
    EXPECT_EQ(ran.node(name).frames_in, 100u);
    EXPECT_EQ(ran.node(name).frames_out, 100u);
    EXPECT_TRUE(ran.node(name).ended);
  }
  EXPECT_EQ(ran.node("sink").frames_in, 100u);
  EXPECT_FALSE(HasPool(ran, "a.out"));
  EXPECT_TRUE(HasPool(ran, "c.out"));
  EXPECT_FALSE(HasEdge(ran, "a.out -> b.in"));
  EXPECT_TRUE(HasEdge(ran, "c.out -> sink.in"));
  EXPECT_GT(ran.node("sink").end_to_end.samples, 0u);
}

TEST(IslandsTest, CutGivesTheSameBytes) {
  std::string nodes = kChain;
  nodes.replace(nodes.find("value: 2"), 8, "value: 2, island: cut");
  Ran ran = RunGraph(Graph(nodes, "  - source -> a -> b -> c -> sink\n"));
  ExpectDone(ran);
  EXPECT_EQ(ran.islands, (Names{"a", "b", "c"}));
  EXPECT_TRUE(HasPool(ran, "a.out"));
}

TEST(IslandsTest, BranchesInsideMeetAgain) {
  Ran ran = RunGraph(Graph(R"(
  source: { type: probe.source, frames: 50 }
  a: { type: probe.add, value: 1 }
  b: { type: probe.add, value: 2 }
  c: { type: probe.add, value: 5 }
  m: { type: probe.mix }
  sink: { type: probe.expect, times: 4, plus: 21 }
)",
                           R"(
  - source -> a
  - a -> b -> m.a
  - a -> c -> m.b
  - m -> sink
)"));
  ExpectDone(ran);
  EXPECT_EQ(ran.islands, Names{"a+b+c+m"});
  EXPECT_EQ(ran.node("m").frames_in, 100u);
  EXPECT_EQ(ran.node("m").frames_out, 50u);
}

TEST(IslandsTest, TheCpuMayReadInTheMiddle) {
  Ran ran = RunGraph(Graph(R"(
  source: { type: probe.source, frames: 50 }
  a: { type: probe.add, value: 1 }
  b: { type: probe.add, value: 2 }
  middle: { type: probe.expect, plus: 1 }
  end: { type: probe.expect, plus: 3 }
)",
                           "  - source -> a -> b -> end\n  - a -> middle\n"));
  ExpectDone(ran);
  EXPECT_EQ(ran.islands, Names{"a+b"});
  EXPECT_EQ(ran.node("middle").frames_in, 50u);
  EXPECT_EQ(ran.node("end").frames_in, 50u);
}

TEST(IslandsTest, AWayThroughTheCpuDoesNotDeadlock) {
  Ran ran = RunGraph(Graph(R"(
  source: { type: probe.source, frames: 50 }
  a: { type: probe.add, value: 1 }
  x: { type: core.identity }
  m: { type: probe.mix }
  sink: { type: probe.expect, times: 4, plus: 4 }
)",
                           "  - source -> a\n  - a -> m.a\n  - a -> x -> m.b\n  - m -> sink\n"));
  ExpectDone(ran);
  EXPECT_EQ(ran.islands, (Names{"a", "m"}));
  EXPECT_EQ(ran.node("sink").frames_in, 50u);
}

TEST(IslandsTest, SeveralInputsAtTheBorder) {
  Ran ran = RunGraph(
      Graph(R"(
  one: { type: probe.source, frames: 50 }
  two: { type: probe.source, frames: 50 }
  three: { type: probe.source, frames: 60 }
  a: { type: probe.add, value: 1 }
  b: { type: probe.add, value: 2 }
  m: { type: probe.mix }
  sink: { type: probe.expect, times: 9, plus: 7 }
)",
            "  - one -> a -> m.a\n  - two -> b -> m.b\n  - three -> m.c\n  - m -> sink\n"));
  ExpectDone(ran);
  EXPECT_EQ(ran.islands, Names{"a+b+m"});
  EXPECT_EQ(ran.node("sink").frames_in, 50u);
}

TEST(IslandsTest, ASampledInputKeepsItsFrameAndTheTriggerStampsTheOutput) {
  Ran ran = RunGraph(Graph(R"(
  still: { type: probe.source, frames: 1 }
  clip: { type: probe.source, frames: 80 }
  s: { type: probe.add, value: 10 }
  a: { type: probe.add, value: 1 }
  m: { type: probe.mix, sync: { policy: latest, trigger: b } }
  b: { type: probe.add, value: 2 }
  sink: { type: probe.expect, times: 3, plus: 15 }
)",
                           "  - still -> s -> m.a\n  - clip -> a -> m.b\n  - m -> b -> sink\n"));
  ExpectDone(ran);
  EXPECT_EQ(ran.islands, (Names{"s", "a+m+b"}));
  EXPECT_EQ(ran.node("sink").frames_in, 80u);
}

TEST(IslandsTest, EachOutputIsStampedByWhatDrivesIt) {
  Ran ran = RunGraph(Graph(R"(
  one: { type: probe.source, frames: 40 }
  two: { type: probe.source, frames: 40 }
  a: { type: probe.add, value: 1 }
  b: { type: probe.add, value: 2 }
  m: { type: probe.mix }
  left: { type: probe.expect, plus: 1 }
  right: { type: probe.expect, plus: 2 }
  sink: { type: probe.expect, times: 4, plus: 7 }
)",
                           R"(
  - one -> a -> m.a
  - two -> b -> m.b
  - a -> left
  - b -> right
  - m -> sink
)"));
  ExpectDone(ran);
  EXPECT_EQ(ran.islands, Names{"a+b+m"});
  EXPECT_EQ(ran.node("left").frames_in, 40u);
}

TEST(IslandsTest, ASourceOnTheDeviceStampsItsFramesAndEnds) {
  Ran ran = RunGraph(Graph(R"(
  paint: { type: probe.paint, value: 7, frames: 30 }
  a: { type: probe.add, value: 1 }
  sink: { type: probe.expect, plus: 8, times: 0 }
)",
                           "  - paint -> a -> sink\n"));
  ExpectDone(ran);
  EXPECT_EQ(ran.islands, Names{"paint+a"});
  EXPECT_EQ(ran.node("paint").frames_out, 30u);
  EXPECT_EQ(ran.node("sink").frames_in, 30u);
  EXPECT_TRUE(ran.node("paint").ended);
}

TEST(IslandsTest, ASourceOnTheDeviceMayPaceItself) {
  Ran ran = RunGraph(Graph(R"(
  paint: { type: probe.paint, frames: 30, pause: true }
  clip: { type: probe.source, frames: 100 }
  m: { type: probe.mix }
  sink: { type: probe.expect, plus: 21, times: 1 }
)",
                           "  - clip -> m.a\n  - paint -> m.b\n  - m -> sink\n"));
  ExpectDone(ran);
  EXPECT_EQ(ran.islands, Names{"paint+m"});
  EXPECT_EQ(ran.node("sink").frames_in, 30u);  // its end is the island's
}

TEST(IslandsTest, AnEndlessSourceOnTheDeviceDrainsWhenAsked) {
  runtime::Engine* running = nullptr;
  Ran ran = RunGraph(
      Graph("  paint: { type: probe.paint, frames: 0 }\n  a: { type: probe.add }\n"
            "  sink: { type: core.null }\n",
            "  - paint -> a -> sink\n"),
      [&](runtime::Engine::Options& options) {
        options.progress = [&](const runtime::ProgressInfo& info) {
          if (info.frames > 0) running->Interrupt();
        };
      },
      [&](runtime::Engine& engine) { running = &engine; });
  EXPECT_EQ(ran.report.result, "stopped") << ran.Errors();
  EXPECT_GT(ran.node("sink").frames_in, 0u);
  EXPECT_EQ(ran.node("sink").frames_in, ran.node("paint").frames_out);
}

TEST(IslandsTest, AGraphMayBeOneIslandWithoutABorder) {
  Ran ran = RunGraph(Graph(R"(
  paint: { type: probe.paint, value: 7, frames: 30 }
  a: { type: probe.add, value: 1 }
  sink: { type: probe.swallow, value: 8 }
)",
                           "  - paint -> a -> sink\n"));
  ExpectDone(ran);
  EXPECT_EQ(ran.islands, Names{"paint+a+sink"});
  EXPECT_EQ(ran.node("sink").frames_in, 30u);
  EXPECT_TRUE(ran.report.pools.empty());
  EXPECT_TRUE(ran.report.edges.empty());
}

TEST(IslandsTest, ASinkOnTheDeviceSaysWhatIsWrong) {
  Ran ran = RunGraph(Graph(R"(
  source: { type: probe.source, frames: 100 }
  a: { type: probe.add, value: 1 }
  sink: { type: probe.swallow, value: 2 }
)",
                           "  - source -> a -> sink\n"));
  EXPECT_EQ(ran.report.result, "failed");
  EXPECT_EQ(ran.Errors(), "node 'sink': a byte is wrong");
}

TEST(IslandsTest, ASinkInsideGoesOnWhenAnotherArmHasEnded) {
  Ran ran = RunGraph(Graph(R"(
  source: { type: probe.source, frames: 100 }
  a: { type: probe.add, value: 1 }
  sink: { type: probe.swallow, value: 1 }
  short: { type: probe.hold, end_at: 9 }
)",
                           "  - source -> a -> sink\n  - a -> short\n"));
  ExpectDone(ran);
  EXPECT_EQ(ran.islands, Names{"a+sink"});
  EXPECT_EQ(ran.node("short").frames_in, 10u);
  EXPECT_EQ(ran.node("sink").frames_in, 100u);
}

TEST(IslandsTest, AnIslandEndsWhenNobodyListensAnyMore) {
  Ran ran = RunGraph(Graph(R"(
  source: { type: probe.source, frames: 0 }
  a: { type: probe.add }
  b: { type: probe.add }
  one: { type: probe.hold, end_at: 9 }
  two: { type: probe.hold, end_at: 19 }
)",
                           "  - source -> a -> b -> one\n  - a -> two\n"));
  ExpectDone(ran);
  EXPECT_EQ(ran.node("two").frames_in, 20u);
}

TEST(IslandsTest, AFailureNamesTheNodeThatIsSuspected) {
  std::string nodes = kChain;
  nodes.replace(nodes.find("value: 2"), 8, "value: 2, fail_at: 5");
  Ran ran = RunGraph(Graph(nodes, "  - source -> a -> b -> c -> sink\n"));
  EXPECT_EQ(ran.report.result, "failed");
  EXPECT_EQ(ran.Errors(), "node 'b': cannot add any more");
}

TEST(IslandsTest, AFailureWithoutASuspectIsTheIslands) {
  std::string nodes = kChain;
  nodes.replace(nodes.find("value: 2"), 8, "value: 2, fail_at: 5, accuse: false");
  Ran ran = RunGraph(Graph(nodes, "  - source -> a -> b -> c -> sink\n"));
  EXPECT_EQ(ran.report.result, "failed");
  EXPECT_EQ(ran.Errors(), "island 'a+b+c': probe array one refused a submission");
}

TEST(IslandsTest, RestartIsTheWholeIslands) {
  Ran ran = RunGraph(Graph(R"(
  source: { type: probe.source, frames: 60 }
  a: { type: probe.add, value: 1, on_error: { action: restart, backoff: 1ms } }
  b: { type: probe.add, value: 2, fail_at: 5, fail_times: 2, on_error: { action: restart, backoff: 1ms } }
  sink: { type: probe.expect, plus: 3 }
)",
                           "  - source -> a -> b -> sink\n"));
  ExpectDone(ran);
  EXPECT_EQ(ran.islands, Names{"a+b"});
  EXPECT_EQ(ran.report.restarts, 2u);
  EXPECT_EQ(ran.node("sink").frames_in, 58u);  // the frames of the failed firings are lost
}

TEST(IslandsTest, FencesTravelThroughTheBorders) {
  std::string nodes = kChain;
  nodes.replace(nodes.find("frames: 100"), 11, "frames: 100, fence: late");
  Ran ran = RunGraph(Graph(nodes, "  - source -> a -> b -> c -> sink\n"));
  ExpectDone(ran);
  EXPECT_EQ(ran.node("sink").frames_in, 100u);
}

TEST(IslandsTest, AReaderOfTheBorderMayReleaseLate) {
  Ran ran = RunGraph(Graph(R"(
  source: { type: probe.source, frames: 100 }
  a: { type: probe.add, value: 1 }
  b: { type: probe.add, value: 2 }
  sink: { type: probe.hold, release: late }
)",
                           "  - source -> a -> b -> sink\n"));
  ExpectDone(ran);
  EXPECT_EQ(ran.node("sink").frames_in, 100u);
}

TEST(IslandsTest, AStallNamesTheIsland) {
  Ran ran =
      RunGraph(Graph(R"(
  source: { type: probe.source, frames: 100, fence: never }
  a: { type: probe.add, value: 1 }
  b: { type: probe.add, value: 2 }
  sink: { type: core.null }
)",
                     "  - source -> a -> b -> sink\n"),
               [](runtime::Engine::Options& options) { options.fence_limit_ns = 300'000'000; });
  EXPECT_EQ(ran.report.result, "failed");
  EXPECT_NE(ran.Errors().find("'a+b' waits since"), std::string::npos) << ran.Errors();
}

TEST(IslandsTest, AnEpochChangesWhatIsInside) {
  std::string nodes = kChain;
  nodes.replace(nodes.find("frames: 100"), 11, "frames: 100, resize_at: 40");
  Ran ran = RunGraph(Graph(nodes, "  - source -> a -> b -> c -> sink\n"));
  ExpectDone(ran);
  EXPECT_EQ(ran.report.epochs, 2u);
  EXPECT_EQ(ran.islands, Names{"a+b+c"});
  EXPECT_NE(ran.plan_table.find("a.out: R8 128x16"), std::string::npos) << ran.plan_table;
  EXPECT_EQ(ran.node("sink").frames_in, 100u);
  EXPECT_EQ(ran.node("b").frames_out, 100u);
}

TEST(IslandsTest, ANodeInsideMayAskForAnEpochAndNoFrameIsLost) {
  std::string nodes = kChain;
  nodes.replace(nodes.find("value: 2"), 8, "value: 2, renegotiate_at: 40");
  Ran ran = RunGraph(Graph(nodes, "  - source -> a -> b -> c -> sink\n"));
  ExpectDone(ran);
  EXPECT_EQ(ran.report.epochs, 2u);
  EXPECT_EQ(ran.node("sink").frames_in, 100u);
}

TEST(IslandsTest, ParametersInsideChangeWhileItRuns) {
  std::vector<std::string> told;
  Ran ran = RunGraph(Graph(R"(
  source: { type: probe.source, frames: 200000 }
  a: { type: probe.add, value: 1 }
  b: { type: probe.add, value: 100 }
  sink: { type: probe.expect, plus: 3, settles: 20 }
)",
                           "  - source -> a -> b -> sink\n"),
                     {}, [&](runtime::Engine& engine) {
                       engine.ChangeParam("b", "value", "2", false, [&](const Status& changed) {
                         told.push_back(changed ? "done" : changed.error().message);
                       });
                     });
  ExpectDone(ran);
  EXPECT_EQ(told, Names{"done"});
  EXPECT_LT(ran.node("sink").frames_in, 200000u);
}

// ---- passes

TEST(IslandsTest, ThePlanAndTheReportHaveThePassesOfTheDomain) {
  Ran ran = RunGraph(Graph(kChain, "  - source -> a -> b -> c -> sink\n"));
  ExpectDone(ran);
  EXPECT_NE(ran.plan_table.find(
                "islands:\n  a+b+c (probe): 1 pass, reads 1024 B and writes 1024 B a frame, "
                "0 B inside\n    1.  node 0 + node 1 + node 2  reads 1024 B  writes 1024 B\n"),
            std::string::npos)
      << ran.plan_table;
  ASSERT_EQ(ran.report.passes.size(), 1u);
  const runtime::PassReport& pass = ran.report.passes[0];
  EXPECT_EQ(pass.island, "a+b+c");
  EXPECT_EQ(pass.label, "node 0 + node 1 + node 2");
  EXPECT_EQ(pass.nodes, (Names{"a", "b", "c"}));
  EXPECT_EQ(pass.frames, 100u);
  EXPECT_LE(pass.min_ns, pass.max_ns);
  EXPECT_GT(ran.node("b").device_us, 0);
  EXPECT_EQ(ran.node("b").island, "a+b+c");
  EXPECT_EQ(ran.node("sink").device_us, 0);
  EXPECT_NE(ran.report.ToTable().find("pass on the device"), std::string::npos);
  EXPECT_NE(ran.report.ToJson().find("\"mean_us\""), std::string::npos);
}

TEST(IslandsTest, WhatDoesNotJoinAPassSaysWhy) {
  Ran ran =
      RunGraph(Graph(R"(
  source: { type: probe.source, frames: 10 }
  a: { type: probe.add, value: 1 }
  b: { type: probe.add, value: 2 }
  c: { type: probe.add, value: 5 }
  m: { type: probe.mix }
  sink: { type: probe.expect, times: 4, plus: 21 }
)",
                     "  - source -> a\n  - a -> b -> m.a\n  - a -> c -> m.b\n  - m -> sink\n"));
  ExpectDone(ran);
  EXPECT_EQ(ran.report.passes.size(), 4u);
  EXPECT_NE(ran.plan_table.find("apart: others read what comes before"), std::string::npos)
      << ran.plan_table;
}

TEST(IslandsTest, PassesWithTheSameNameAreRowsOfTheirOwn) {
  Ran ran = RunGraph(
      Graph(R"(
  left: { type: core.testsrc, size: 64x36, format: NV12, frames: 40 }
  right: { type: core.testsrc, size: 64x36, format: NV12, frames: 40 }
  soft: { type: vulkan.blur, sigma: 2 }
  softer: { type: vulkan.blur, sigma: 3 }
  both: { type: vulkan.compose, size: 128x36 }
  sink: { type: core.null }
)",
            "  - left -> soft -> both.in0\n  - right -> softer -> both.in1\n  - both -> sink\n"));
  ExpectDone(ran);
  // Each input is unpacked for what reads around a pixel, which is no node's work.
  EXPECT_EQ(std::count_if(ran.report.passes.begin(), ran.report.passes.end(),
                          [](const auto& pass) { return pass.label == "unpack"; }),
            2)
      << ran.plan_table;
}

TEST(IslandsTest, PassesAreCountedOverEpochs) {
  std::string nodes = kChain;
  nodes.replace(nodes.find("frames: 100"), 11, "frames: 100, resize_at: 40");
  Ran ran = RunGraph(Graph(nodes, "  - source -> a -> b -> c -> sink\n"));
  ExpectDone(ran);
  ASSERT_EQ(ran.report.passes.size(), 1u);
  EXPECT_EQ(ran.report.passes[0].frames, 100u);
}

// ---- devices

TEST(IslandsTest, NodesOnTwoDevicesOfADomainAreTwoIslands) {
  std::string nodes = kChain;
  nodes.replace(nodes.find("value: 4"), 8, "value: 4, gpu: two");
  Ran ran = RunGraph(Graph(nodes, "  - source -> a -> b -> c -> sink\n"));
  ExpectDone(ran);
  EXPECT_EQ(ran.islands, (Names{"a+b", "c"}));
  EXPECT_EQ(ran.node("sink").frames_in, 100u);
}

TEST(IslandsTest, TwoNamesOfOneDeviceAreOneDevice) {
  std::string nodes = kChain;
  nodes.replace(nodes.find("value: 4"), 8, "value: 4, gpu: uno");
  Ran ran = RunGraph(Graph(nodes, "  - source -> a -> b -> c -> sink\n"));
  ExpectDone(ran);
  EXPECT_EQ(ran.islands, Names{"a+b+c"});
}

TEST(IslandsTest, TheCommandLinesDeviceIsEverybodys) {
  std::string nodes = kChain;
  nodes.replace(nodes.find("value: 4"), 8, "value: 4, gpu: one, fail_at: 3, accuse: false");
  Ran ran = RunGraph(Graph(nodes, "  - source -> a -> b -> c -> sink\n"),
                     [](runtime::Engine::Options& options) { options.gpu = "two"; });
  EXPECT_EQ(ran.islands, Names{"a+b+c"});
  EXPECT_EQ(ran.Errors(), "island 'a+b+c': probe array two refused a submission");
}

TEST(IslandsTest, ADeviceThatIsNotThereIsNamedWithThoseThatAre) {
  std::string nodes = kChain;
  nodes.replace(nodes.find("value: 4"), 8, "value: 4, gpu: three");
  Ran ran = RunGraph(Graph(nodes, "  - source -> a -> b -> c -> sink\n"));
  EXPECT_FALSE(ran.planned);
  EXPECT_NE(ran.problem.find("node 'c': no device 'three'; there are: one, two"), std::string::npos)
      << ran.problem;
}

// ---- on a real device

std::string Slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// What two looks in a row make of a test picture.
Ran RunLooks(const std::string& path, const std::string& more) {
  return RunGraph(Graph(R"(
  source: { type: core.testsrc, size: 318x180, format: AB24, frames: 5 }
  warm: { type: vulkan.look, look: warm }
  fade: { type: vulkan.look, look: fade)" +
                            more + R"( }
  sink: { type: probe.record, path: )" +
                            path + " }\n",
                        "  - source -> warm -> fade -> sink\n"));
}

TEST(IslandsTest, TwoLooksAsOneIslandLookAsTwoIslandsDo) {
  const std::string joined = ::testing::TempDir() + "joined", cut = ::testing::TempDir() + "cut";
  Ran one = RunLooks(joined, "");
  if (one.problem.find("Vulkan") != std::string::npos) GTEST_SKIP() << one.problem;
  ExpectDone(one);
  EXPECT_EQ(one.islands, Names{"warm+fade"});
  EXPECT_EQ(one.report.bytes_copied, 0u);
  Ran two = RunLooks(cut, ", island: cut");
  ExpectDone(two);
  EXPECT_EQ(two.islands, (Names{"warm", "fade"}));
  const std::string a = Slurp(joined), b = Slurp(cut);
  ASSERT_EQ(a.size(), size_t{318} * 180 * 4 * 5);
  ASSERT_EQ(b.size(), a.size());
  // Between two islands a pixel is rounded to 8 bits once more.
  int worst = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst,
                     std::abs(int{static_cast<uint8_t>(a[i])} - int{static_cast<uint8_t>(b[i])}));
  }
  std::printf("largest difference: %d\n", worst);
  EXPECT_LE(worst, 1);
}

}  // namespace
}  // namespace sluice::testing
