#include <fstream>

#include <gtest/gtest.h>

#include "tests/integration/harness.h"

namespace sluice::testing {
namespace {

// What a graph with probe nodes and core nodes does, from text to report.

void ExpectNothingOutstanding(const Ran& ran) {
  for (const auto& pool : ran.report.pools) {
    EXPECT_EQ(pool.outstanding, 0u) << pool.name;
  }
}

TEST(SchedulingTest, RunsAChainToItsEnd) {
  Ran ran = RunGraph(R"(
sluice: 1
name: chain
nodes:
  source: { type: probe.source, frames: 100 }
  a: { type: core.identity }
  b: { type: core.identity }
  sink: { type: core.null }
edges: [ source -> a -> b -> sink ]
)");
  ASSERT_TRUE(ran.planned) << ran.problem;
  EXPECT_EQ(ran.report.result, "done") << ran.Errors();
  EXPECT_EQ(ran.node("source").frames_out, 100u);
  EXPECT_EQ(ran.node("sink").frames_in, 100u);
  EXPECT_EQ(ran.report.bytes_copied, 0u);
  ExpectNothingOutstanding(ran);
}

TEST(SchedulingTest, AParameterChangesWhileTheGraphRuns) {
  std::vector<std::string> told;
  Ran ran = RunGraph(R"(
sluice: 1
name: endless
nodes:
  source: { type: probe.source, frames: 0 }
  sink: { type: core.null }
edges: [ source -> sink ]
)",
                     {}, [&](runtime::Engine& engine) {
                       auto done = [&](const Status& changed) {
                         told.push_back(changed ? "done" : changed.error().message);
                       };
                       engine.ChangeParam("nobody", "frames", "5", false, done);
                       engine.ChangeParam("source", "colour", "5", false, done);
                       engine.ChangeParam("source", "size", "5x5", false, done);
                       engine.ChangeParam("source", "frames", "many", false, done);
                       engine.ChangeParam("source", "frames", "-1", false, done);
                       engine.ChangeParam("source", "frames", "{}", true, done);
                       engine.ChangeParam("source", "frames", "5", false, done);
                     });
  EXPECT_EQ(ran.report.result, "done") << ran.Errors();
  ASSERT_EQ(told.size(), 7u);
  EXPECT_EQ(told[0], "no node 'nobody'");
  EXPECT_EQ(told[1], "source.colour: probe.source has no such parameter");
  EXPECT_EQ(told[2], "source.size does not change while the graph runs");
  EXPECT_NE(told[3].find("source.frames: 'many'"), std::string::npos) << told[3];
  EXPECT_EQ(told[4], "node 'source': frames cannot be taken back");
  EXPECT_NE(told[5].find("is a mapping"), std::string::npos) << told[5];
  EXPECT_EQ(told[6], "done");
}

TEST(SchedulingTest, GivesEveryArmOfAFanOutEveryFrame) {
  Ran ran = RunGraph(R"(
sluice: 1
name: fan
nodes:
  source: { type: probe.source, frames: 200 }
  a: { type: core.null }
  b: { type: core.null }
  f: { type: probe.filter }
  c: { type: probe.hold, keep: 2 }
edges:
  - source -> a
  - source -> b
  - source -> f -> c
)");
  ASSERT_TRUE(ran.planned) << ran.problem;
  EXPECT_EQ(ran.report.result, "done") << ran.Errors();
  EXPECT_EQ(ran.node("a").frames_in, 200u);
  EXPECT_EQ(ran.node("b").frames_in, 200u);
  EXPECT_EQ(ran.node("c").frames_in, 200u);
  ExpectNothingOutstanding(ran);
}

TEST(SchedulingTest, AnAsyncNodeKeepsTheOrder) {
  Ran ran = RunGraph(R"(
sluice: 1
name: async
nodes:
  source: { type: probe.source, frames: 500 }
  f: { type: probe.filter }
  sink: { type: core.null }
edges: [ source -> f -> sink ]
)");
  EXPECT_EQ(ran.report.result, "done") << ran.Errors();
  EXPECT_EQ(ran.node("sink").frames_in, 500u);
}

TEST(SchedulingTest, WaitsForLateAcquireFences) {
  Ran ran = RunGraph(R"(
sluice: 1
name: late
nodes:
  source: { type: probe.source, frames: 100, fence: late }
  sink: { type: core.null }
edges: [ source -> sink ]
)");
  EXPECT_EQ(ran.report.result, "done") << ran.Errors();
  EXPECT_EQ(ran.node("sink").frames_in, 100u);
}

TEST(SchedulingTest, AFailedAcquireFenceStopsTheGraphAndNamesTheSignaller) {
  Ran ran = RunGraph(R"(
sluice: 1
name: broken-fence
nodes:
  source: { type: probe.source, frames: 10, fence: fail }
  sink: { type: core.null }
edges: [ source -> sink ]
)");
  EXPECT_EQ(ran.report.result, "failed");
  EXPECT_NE(ran.Errors().find("the probe device"), std::string::npos) << ran.Errors();
  EXPECT_NE(ran.Errors().find("'source'"), std::string::npos) << ran.Errors();
  ExpectNothingOutstanding(ran);
}

TEST(SchedulingTest, AFenceThatNeverSignalsEndsInAVerdictWithItsName) {
  Ran ran = RunGraph(R"(
sluice: 1
name: never
nodes:
  source: { type: probe.source, frames: 10, fence: never }
  sink: { type: core.null }
edges: [ source -> sink ]
)",
                     [](runtime::Engine::Options& options) {
                       options.fence_limit_ns = 200'000'000;
                     });
  EXPECT_EQ(ran.report.result, "failed");
  EXPECT_NE(ran.Errors().find("'sink' waits"), std::string::npos) << ran.Errors();
  EXPECT_NE(ran.Errors().find("the probe device has not signalled"), std::string::npos)
      << ran.Errors();
}

TEST(SchedulingTest, WaitsForReleaseFencesBeforeItWritesAgain) {
  Ran ran = RunGraph(R"(
sluice: 1
name: late-release
nodes:
  source: { type: probe.source, frames: 300 }
  sink: { type: probe.hold, release: late }
edges: [ source -> sink ]
)");
  EXPECT_EQ(ran.report.result, "done") << ran.Errors();
  EXPECT_EQ(ran.node("sink").frames_in, 300u);
  ExpectNothingOutstanding(ran);
}

TEST(SchedulingTest, QuarantinesBuffersWhoseReleaseNeverSignals) {
  Ran ran = RunGraph(R"(
sluice: 1
name: never-released
nodes:
  source: { type: probe.source, frames: 300 }
  sink: { type: probe.hold, release: never }
edges: [ source -> sink ]
)",
                     [](runtime::Engine::Options& options) {
                       options.fence_limit_ns = 100'000'000;
                       options.stall_limit_ns = 400'000'000;
                     });
  EXPECT_EQ(ran.report.result, "failed");
  ASSERT_FALSE(ran.report.warnings.empty());
  EXPECT_NE(ran.report.warnings[0].find("quarantined"), std::string::npos);
  EXPECT_NE(ran.report.warnings[0].find("the probe reader"), std::string::npos);
  EXPECT_NE(ran.report.warnings[0].find("sink.in"), std::string::npos);
}

/// A graph of which one arm never comes back, stopped once the other has seen all.
Ran RunBesideABlockedArm(const std::string& when_full) {
  runtime::Engine* engine = nullptr;
  return RunGraph(R"(
sluice: 1
name: drop
nodes:
  source: { type: probe.source, frames: 200 }
  fast: { type: core.null }
  stuck: { type: probe.hold, block_at: 0 }
edges:
  - source -> fast
  - { from: source, to: stuck, queue: { depth: 2, when_full: )" + when_full + R"( } }
)",
                  [&](runtime::Engine::Options& options) {
                    options.progress = [&](const runtime::ProgressInfo& info) {
                      if (info.frames < 200) return;
                      engine->Interrupt();
                      engine->Interrupt();
                    };
                  },
                  [&](runtime::Engine& started) { engine = &started; });
}

TEST(SchedulingTest, DroppingPoliciesKeepTheSourceGoingBesideABlockedArm) {
  for (const char* policy : {"drop-oldest", "drop-newest"}) {
    Ran ran = RunBesideABlockedArm(policy);
    EXPECT_EQ(ran.report.result, "stopped") << ran.Errors();
    EXPECT_EQ(ran.node("fast").frames_in, 200u) << policy;
    const auto& edge = ran.edge("source.out -> stuck.in");
    ASSERT_EQ(edge.drops.size(), 1u) << policy;
    EXPECT_GT(edge.drops.begin()->second, 100u) << policy;
    ExpectNothingOutstanding(ran);
  }
}

TEST(SchedulingTest, LatestFiresForEachTriggerWithTheNewestSample) {
  Ran ran = RunGraph(R"(
sluice: 1
name: latest
nodes:
  one: { type: probe.source, frames: 50 }
  two: { type: probe.source, frames: 1, fence: late }
  join: { type: probe.join, sync: { policy: latest, trigger: a } }
edges:
  - one -> join.a
  - two -> join.b
)");
  ASSERT_TRUE(ran.planned) << ran.problem;
  EXPECT_EQ(ran.report.result, "done") << ran.Errors();
  EXPECT_EQ(ran.node("join").frames_in, 51u);
  ExpectNothingOutstanding(ran);
}

TEST(SchedulingTest, AFailingSinkStopsTheGraphWithItsMessage) {
  Ran ran = RunGraph(R"(
sluice: 1
name: failing
nodes:
  source: { type: probe.source, frames: 0 }
  good: { type: core.null }
  bad: { type: probe.hold, fail_at: 5 }
edges:
  - source -> good
  - source -> bad
)");
  EXPECT_EQ(ran.report.result, "failed");
  EXPECT_NE(ran.Errors().find("node 'bad': the sink broke"), std::string::npos) << ran.Errors();
  ExpectNothingOutstanding(ran);
}

TEST(SchedulingTest, RestartsAFailingSourceAndThenGoesOn) {
  Ran ran = RunGraph(R"(
sluice: 1
name: restarting
nodes:
  source: { type: probe.source, frames: 20, fail_at: 5, fail_times: 2, release_key: restarts,
            on_error: { action: restart, backoff: 1ms } }
  sink: { type: core.null }
edges: [ source -> sink ]
)");
  EXPECT_EQ(ran.report.result, "done") << ran.Errors();
  EXPECT_EQ(ran.report.restarts, 2u);
  EXPECT_EQ(ran.node("sink").frames_in, 5u + 5u + 20u);
}

TEST(SchedulingTest, GivesUpAfterTheAllowedRestarts) {
  Ran ran = RunGraph(R"(
sluice: 1
name: hopeless
nodes:
  source: { type: probe.source, frames: 20, fail_at: 0,
            on_error: { action: restart, attempts: 2, backoff: 1ms } }
  sink: { type: core.null }
edges: [ source -> sink ]
)");
  EXPECT_EQ(ran.report.result, "failed");
  EXPECT_NE(ran.Errors().find("given up after 2 restarts"), std::string::npos) << ran.Errors();
}

TEST(SchedulingTest, AnArmThatEndsEarlyDoesNotHoldTheOthersUp) {
  Ran ran = RunGraph(R"(
sluice: 1
name: early
nodes:
  source: { type: probe.source, frames: 100 }
  short: { type: probe.hold, end_at: 4 }
  long: { type: core.null }
edges:
  - source -> short
  - source -> long
)");
  EXPECT_EQ(ran.report.result, "done") << ran.Errors();
  EXPECT_EQ(ran.node("short").frames_in, 5u);
  EXPECT_EQ(ran.node("long").frames_in, 100u);
}

TEST(SchedulingTest, ANodeWhoseListenersHaveLeftStillFinishesItsFile) {
  std::string path = ::testing::TempDir() + "/left.txt";
  Ran ran = RunGraph(R"(
sluice: 1
name: left
nodes:
  source: { type: probe.source, frames: 20 }
  sum: { type: core.checksum, overwrite: true, path: ")" + path + R"(" }
  few: { type: core.select, frames: "3" }
  sink: { type: core.null }
edges: [ source -> sum -> few -> sink ]
)");
  EXPECT_EQ(ran.report.result, "done") << ran.Errors();
  std::ifstream file(path);
  EXPECT_TRUE(file.good());
}

TEST(SchedulingTest, ASourceWhoseConsumersHaveAllEndedEndsToo) {
  Ran ran = RunGraph(R"(
sluice: 1
name: nobody-left
nodes:
  source: { type: probe.source, frames: 0 }
  sink: { type: probe.hold, end_at: 4 }
edges: [ source -> sink ]
)");
  EXPECT_EQ(ran.report.result, "done") << ran.Errors();
}

TEST(SchedulingTest, PairsTheFramesOfAJoin) {
  Ran ran = RunGraph(R"(
sluice: 1
name: join
nodes:
  one: { type: probe.source, frames: 50 }
  two: { type: probe.source, frames: 70 }
  join: { type: probe.join }
edges:
  - one -> join.a
  - two -> join.b
)");
  EXPECT_EQ(ran.report.result, "done") << ran.Errors();
  EXPECT_EQ(ran.node("join").frames_in, 100u);
}

TEST(SchedulingTest, AStallIsReportedAsWhoWaitsForWhom) {
  Ran ran = RunGraph(R"(
sluice: 1
name: stall
nodes:
  source: { type: probe.source, frames: 100 }
  split_a: { type: core.null }
  greedy: { type: probe.hold, release: never }
edges:
  - source -> split_a
  - source -> greedy
)",
                     [](runtime::Engine::Options& options) {
                       options.fence_limit_ns = 100'000'000;
                       options.stall_limit_ns = 300'000'000;
                     });
  EXPECT_EQ(ran.report.result, "failed");
  EXPECT_NE(ran.Errors().find("source waits for a free buffer of source.out"), std::string::npos)
      << ran.Errors();
  EXPECT_NE(ran.Errors().find("quarantined"), std::string::npos) << ran.Errors();
}

TEST(SchedulingTest, AFormatChangeInMidStreamMakesANewEpochWithoutLosingAFrame) {
  Ran ran = RunGraph(R"(
sluice: 1
name: resize
nodes:
  source: { type: probe.source, frames: 50, resize_at: 20 }
  pass: { type: core.identity }
  sink: { type: core.null }
edges: [ source -> pass -> sink ]
)");
  EXPECT_EQ(ran.report.result, "done") << ran.Errors();
  EXPECT_EQ(ran.report.epochs, 2u);
  EXPECT_EQ(ran.node("sink").frames_in, 50u);
  ExpectNothingOutstanding(ran);
}

TEST(SchedulingTest, ANodeThatEmitsAFrameTwiceFailsByNameAndNobodyGetsItTwice) {
  Ran ran = RunGraph(R"(
sluice: 1
name: twice
nodes:
  source: { type: probe.source, frames: 20, twice_at: 3 }
  sink: { type: probe.hold, keep: 4 }
edges: [ source -> sink ]
)");
  EXPECT_EQ(ran.report.result, "failed");
  EXPECT_NE(ran.Errors().find("node 'source': emit: invalid-argument"), std::string::npos)
      << ran.Errors();
  EXPECT_LE(ran.node("sink").frames_in, 4u);
  ExpectNothingOutstanding(ran);
}

TEST(SchedulingTest, ALeakedLeaseIsNamed) {
  Ran ran = RunGraph(R"(
sluice: 1
name: leak
nodes:
  source: { type: probe.source, frames: 20 }
  sink: { type: probe.hold, keep: 1, leak: true }
edges: [ source -> sink ]
)",
                     [](runtime::Engine::Options& options) { options.stop_limit_ns = 100'000'000; });
  EXPECT_NE(ran.Errors().find("never came home: held by sink.in"), std::string::npos)
      << ran.Errors();
}

TEST(SchedulingTest, LeavesNoDescriptorBehind) {
  auto run = [] {
    return RunGraph(R"(
sluice: 1
name: fds
nodes:
  source: { type: probe.source, frames: 50, fence: late }
  f: { type: probe.filter }
  sink: { type: probe.hold, release: late }
edges: [ source -> f -> sink ]
)");
  };
  run();
  size_t before = CountFds();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(run().report.result, "done");
  EXPECT_EQ(CountFds(), before);
}

}  // namespace
}  // namespace sluice::testing
