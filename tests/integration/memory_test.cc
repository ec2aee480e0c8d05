#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "tests/integration/harness.h"

namespace sluice::testing {
namespace {

// Memory that ports make and import, and what becomes of lies about it.

const runtime::PoolReport& PoolOf(const Ran& ran, const std::string& name) {
  for (const auto& pool : ran.report.pools) {
    if (pool.name == name) return pool;
  }
  static const runtime::PoolReport none;
  ADD_FAILURE() << "no pool " << name;
  return none;
}

std::string CameraGraph(const std::string& camera, const std::string& screen = "") {
  return "sluice: 1\nname: camera\nnodes:\n  camera: { type: probe.camera, " + camera +
         " }\n  screen: { type: probe.screen" + (screen.empty() ? "" : ", ") + screen +
         " }\nedges: [ camera -> screen ]\n";
}

void ExpectNothingOutstanding(const Ran& ran) {
  for (const auto& pool : ran.report.pools) EXPECT_EQ(pool.outstanding, 0u) << pool.name;
}

TEST(MemoryTest, AScreenReadsTheCamerasOwnBuffers) {
  Ran ran = RunGraph(CameraGraph("frames: 500"));
  ASSERT_TRUE(ran.planned) << ran.problem;
  EXPECT_EQ(ran.report.result, "done") << ran.Errors();
  EXPECT_EQ(ran.node("screen").frames_in, 500u);
  EXPECT_EQ(PoolOf(ran, "camera.out").allocator, "camera.out");
  EXPECT_EQ(PoolOf(ran, "camera.out").bytes_mapped, 0u);
  EXPECT_EQ(ran.report.bytes_copied, 0u);
  EXPECT_NE(ran.plan_table.find("camera.out"), std::string::npos) << ran.plan_table;
  ExpectNothingOutstanding(ran);
}

TEST(MemoryTest, ACpuReadsThemThroughAMappingThatIsCounted) {
  Ran ran = RunGraph(R"(
sluice: 1
name: cpu
nodes:
  camera: { type: probe.camera, frames: 64, size: 64x16 }
  sum: { type: core.checksum }
edges: [ camera -> sum ]
)");
  ASSERT_TRUE(ran.planned) << ran.problem;
  EXPECT_EQ(ran.report.result, "done") << ran.Errors();
  EXPECT_EQ(PoolOf(ran, "camera.out").bytes_mapped, 64u * 64 * 16);
  ExpectNothingOutstanding(ran);
}

TEST(MemoryTest, EveryArmOfACameraHoldsItsBufferUntilItIsDone) {
  Ran ran = RunGraph(R"(
sluice: 1
name: arms
nodes:
  camera: { type: probe.camera, frames: 300 }
  screen: { type: probe.screen }
  slow: { type: probe.hold, keep: 2 }
  sum: { type: core.checksum }
edges: [ camera -> screen, camera -> slow, camera -> sum ]
)");
  ASSERT_TRUE(ran.planned) << ran.problem;
  EXPECT_EQ(ran.report.result, "done") << ran.Errors();
  EXPECT_EQ(ran.node("sum").frames_in, 300u);
  ExpectNothingOutstanding(ran);
}

TEST(MemoryTest, ARefusedImportIsExcludedAndThePlanSolvedAgain) {
  Ran ran = RunGraph(CameraGraph("frames: 20", "refuse: camera"));
  ASSERT_TRUE(ran.planned) << ran.problem;
  EXPECT_EQ(ran.report.result, "done") << ran.Errors();
  EXPECT_EQ(ran.node("screen").frames_in, 20u);
  EXPECT_EQ(PoolOf(ran, "camera.out").allocator, "memfd");
  EXPECT_NE(ran.plan_table.find("this screen does not take the camera's memory"),
            std::string::npos)
      << ran.plan_table;
}

TEST(MemoryTest, WhereEveryWayIsRefusedTheFirstReasonIsSaid) {
  Ran ran = RunGraph(CameraGraph("frames: 20", "refuse: all"));
  EXPECT_NE(ran.Errors().find("node 'screen': this screen imports nothing"), std::string::npos)
      << ran.Errors();
}

TEST(MemoryTest, AProducerTriesForeignMemoryToo) {
  Ran ran = RunGraph(CameraGraph("frames: 20, fault: import"));
  EXPECT_NE(ran.Errors().find("node 'camera': this camera imports nothing"), std::string::npos)
      << ran.Errors();
}

TEST(MemoryTest, ACameraWithoutBuffersIsGivenTheEnginesAndThePlanSaysWhy) {
  Ran ran = RunGraph(CameraGraph("frames: 20, fault: refuse"));
  EXPECT_EQ(ran.report.result, "done") << ran.Errors();
  EXPECT_EQ(PoolOf(ran, "camera.out").allocator, "memfd");
  EXPECT_NE(ran.plan_table.find("this camera has no buffers"), std::string::npos)
      << ran.plan_table;
}

TEST(MemoryTest, ARehearsalFindsThePlanThatStandsAndLeavesNothingBehind) {
  RehearseGraph(CameraGraph("frames: 20"));
  const size_t before = CountFds();
  Ran ran = RehearseGraph(CameraGraph("frames: 20", "refuse: camera"));
  EXPECT_EQ(ran.problem, "");
  EXPECT_NE(ran.plan_table.find("memory: memfd"), std::string::npos) << ran.plan_table;
  EXPECT_NE(ran.plan_table.find("excluded: camera.out R8 in memory of camera.out: node 'screen': this"),
            std::string::npos)
      << ran.plan_table;
  EXPECT_EQ(CountFds(), before);
}

TEST(MemoryTest, TheReportSaysWhatThePlanHadToDoWithout) {
  Ran ran = RunGraph(CameraGraph("frames: 5", "refuse: camera"));
  ASSERT_EQ(ran.report.exclusions.size(), 1u);
  EXPECT_NE(ran.report.exclusions[0].find("camera.out R8 in memory of camera.out: node 'screen'"), std::string::npos)
      << ran.report.exclusions[0];
}

struct Lie {
  const char* fault;
  const char* words;  ///< what the error must say
};

class LieTest : public ::testing::TestWithParam<Lie> {};

TEST_P(LieTest, IsRefusedWithPlaceAndNumbersAndNoFdLeaks) {
  RunGraph(CameraGraph("frames: 1"));  // what is opened once is open
  const size_t before = CountFds();
  Ran ran = RunGraph(CameraGraph(std::string("fault: ") + GetParam().fault));
  EXPECT_NE(ran.Errors().find(GetParam().words), std::string::npos) << ran.Errors();
  EXPECT_NE(ran.Errors().find("camera"), std::string::npos) << ran.Errors();
  EXPECT_EQ(CountFds(), before);
}

INSTANTIATE_TEST_SUITE_P(
    MemoryTest, LieTest,
    ::testing::Values(Lie{"few", "made"}, Lie{"offset", "plane 0"}, Lie{"stride", "plane 0"},
                      Lie{"size", "part 0"}, Lie{"part", "plane 0"}, Lie{"parts", "part"},
                      Lie{"dmabuf", "dma-buf"}, Lie{"closed", "part 0"},
                      Lie{"unsealed", "shrink"}),
    [](const auto& lie) { return std::string(lie.param.fault); });

TEST(MemoryTest, ACameraThatComesBackGetsNewBuffersAndTheGraphGoesOn) {
  Ran ran = RunGraph(R"(
sluice: 1
name: lost
nodes:
  camera:
    type: probe.camera
    frames: 50
    lose_at: 20
    lose_times: 2
    key: comes-back
    on_error: { action: restart, backoff: 10ms }
  screen: { type: probe.screen }
edges: [ camera -> screen ]
)");
  ASSERT_TRUE(ran.planned) << ran.problem;
  EXPECT_EQ(ran.report.result, "done") << ran.Errors();
  EXPECT_EQ(ran.report.restarts, 2u);
  EXPECT_EQ(ran.node("screen").frames_in, 20u + 20 + 50);
  EXPECT_EQ(ran.report.epochs, 3u);
  ExpectNothingOutstanding(ran);
}

}  // namespace
}  // namespace sluice::testing
