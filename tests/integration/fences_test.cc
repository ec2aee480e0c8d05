#include <gtest/gtest.h>

#include "tests/integration/harness.h"

namespace sluice::testing {
namespace {

// Order is by fences: those of the host, and those of the kernel (sw_sync, in the guest).

class FencesTest : public ::testing::TestWithParam<bool> {
 protected:
  std::string Kernel() const { return GetParam() ? "kernel: true" : "kernel: false"; }
  std::string Gate(const std::string& name) const {
    return name + (GetParam() ? "-kernel" : "-host");
  }
};

void ShortLimit(runtime::Engine::Options& options) { options.fence_limit_ns = 300'000'000; }

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_P(FencesTest, AFenceThatIsHeldBackDelaysTheConsumerThatItGuardsAndNothingElse) {
  const std::string gate = Gate("held");
  // `free` opens the gate with its last frame: it must get there although `held` does not.
  Ran ran = RunGraph(R"(
sluice: 1
name: held
nodes:
  held: { type: probe.source, frames: 20, fence: late, gate: )" + gate + ", " + Kernel() + R"( }
  guarded: { type: probe.hold, after: )" + gate + R"( }
  free: { type: probe.source, frames: 100, opens: )" + gate + R"( }
  sink: { type: core.null }
edges: [ held -> guarded, free -> sink ]
)");
  ASSERT_TRUE(ran.planned) << ran.problem;
  EXPECT_EQ(ran.report.result, "done") << ran.Errors();
  EXPECT_EQ(ran.node("guarded").frames_in, 20u);
  EXPECT_EQ(ran.node("sink").frames_in, 100u);
}

TEST_P(FencesTest, AFenceThatIsHeldBackDelaysOnlyOneInputOfAFanIn) {
  const std::string gate = Gate("arm");
  Ran ran = RunGraph(R"(
sluice: 1
name: arm
nodes:
  held: { type: probe.source, frames: 20, fence: late, gate: )" + gate + ", " + Kernel() + R"( }
  free: { type: probe.source, frames: 20 }
  tap: { type: probe.source, frames: 50, opens: )" + gate + R"( }
  join: { type: probe.join }
  sink: { type: core.null }
edges: [ held -> join.a, free -> join.b, tap -> sink ]
)");
  EXPECT_EQ(ran.report.result, "done") << ran.Errors();
  EXPECT_EQ(ran.edge("held.out -> join.a").frames, 20u);
}

TEST_P(FencesTest, AFenceThatFailsIsAnErrorOfItsProducer) {
  Ran ran = RunGraph(R"(
sluice: 1
name: fails
nodes:
  source: { type: probe.source, frames: 20, fence: fail, )" + Kernel() + R"( }
  sink: { type: core.null }
edges: [ source -> sink ]
)");
  EXPECT_EQ(ran.report.result, "failed");
  EXPECT_TRUE(Has(ran.Errors(), "node 'source'")) << ran.Errors();
  EXPECT_TRUE(Has(ran.Errors(), "carries an error")) << ran.Errors();
  EXPECT_EQ(ran.node("sink").frames_in, 0u);
}

TEST_P(FencesTest, AFenceThatNeverSignalsGetsAVerdictWithTheWaitingNodeAndTheSignaller) {
  Ran ran = RunGraph(R"(
sluice: 1
name: never
nodes:
  source: { type: probe.source, frames: 20, fence: never, )" + Kernel() + R"( }
  sink: { type: core.null }
edges: [ source -> sink ]
)", ShortLimit);
  EXPECT_EQ(ran.report.result, "failed");
  EXPECT_TRUE(Has(ran.Errors(), "node 'sink' waits")) << ran.Errors();
  EXPECT_TRUE(Has(ran.Errors(), GetParam() ? "source has not signalled"
                                           : "the probe device has not signalled"))
      << ran.Errors();
}

TEST_P(FencesTest, ABufferComesBackOnlyWhenItsReadersFenceHasSignalled) {
  // The reader looks at the pixels again before it signals, two frames later.
  Ran ran = RunGraph(R"(
sluice: 1
name: reader
nodes:
  camera: { type: probe.camera, frames: 2000 }
  reader: { type: probe.hold, release: late, lag: 2, )" + Kernel() + R"( }
edges: [ camera -> reader ]
)");
  EXPECT_EQ(ran.report.result, "done") << ran.Errors();
  EXPECT_EQ(ran.node("reader").frames_in, 2000u);
}

TEST_P(FencesTest, TheSlowestOfSeveralReadersDecides) {
  Ran ran = RunGraph(R"(
sluice: 1
name: readers
nodes:
  camera: { type: probe.camera, frames: 1000 }
  slow: { type: probe.hold, release: late, lag: 4, )" + Kernel() + R"( }
  quick: { type: probe.hold, release: late, lag: 0, )" + Kernel() + R"( }
  sum: { type: core.checksum }
edges: [ camera -> slow, camera -> quick, camera -> sum ]
)");
  EXPECT_EQ(ran.report.result, "done") << ran.Errors();
  EXPECT_EQ(ran.node("slow").frames_in, 1000u);
}

TEST_P(FencesTest, ReadersWhoseFencesFailQuarantineTheBuffersAndAreNamed) {
  Ran ran = RunGraph(R"(
sluice: 1
name: fail-release
nodes:
  source: { type: probe.source, frames: 200 }
  reader: { type: probe.hold, release: fail, )" + Kernel() + R"( }
edges: [ source -> reader ]
)", ShortLimit);
  EXPECT_EQ(ran.report.result, "failed") << ran.Errors();  // no buffer is left
  std::string warnings;
  for (const std::string& warning : ran.report.warnings) warnings += warning + "\n";
  EXPECT_TRUE(Has(warnings, "is quarantined: reader.in released it")) << warnings;
}

TEST_P(FencesTest, ReadersWhoseFencesNeverSignalQuarantineTheBuffersAndAreNamed) {
  Ran ran = RunGraph(R"(
sluice: 1
name: never-release
nodes:
  source: { type: probe.source, frames: 200 }
  reader: { type: probe.hold, release: never, )" + Kernel() + R"( }
edges: [ source -> reader ]
)", [](runtime::Engine::Options& options) {
    ShortLimit(options);
    options.stop_limit_ns = 500'000'000;
  });
  EXPECT_EQ(ran.report.result, "failed") << ran.Errors();
  std::string warnings;
  for (const std::string& warning : ran.report.warnings) warnings += warning + "\n";
  EXPECT_TRUE(Has(warnings, "is quarantined: reader.in released it")) << warnings;
  EXPECT_TRUE(Has(warnings, "has not signalled")) << warnings;
}

INSTANTIATE_TEST_SUITE_P(All, FencesTest, ::testing::Bool(), [](const auto& kind) {
  return std::string(kind.param ? "KernelFences" : "HostFences");
});

}  // namespace
}  // namespace sluice::testing
