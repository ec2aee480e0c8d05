// pipewire.capture against cameras of other programs: ours, GStreamer's, PipeWire's own.

#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/pipewire/capture_kit.h"
#include "tests/pipewire/counts.h"

namespace sluice::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST_F(CaptureTest, ReadsTheSourcesOwnMemory) {
  const Peer source = StartSource();
  Capture("target: source, frames: 50");
  const Json report = Ended();
  ExpectPictures(50, report);
  EXPECT_EQ(report["bytes_copied"], 0) << report;
  EXPECT_EQ(report["exclusions"].size(), 0u) << report;
}

TEST_F(CaptureTest, NothingRunsWhileAllBuffersOfASourceAreOut) {
  // Fewer than the pool has: its other buffers are nobody's.
  Peer source = StartSource({"--buffers", "4", "--announce", "1"});
  Capture("target: source", "pipewire.camera");  // whom nobody reads
  ASSERT_TRUE(source.WaitForFrames(4));
  // Another camera and its reader are the clock.
  auto clock = Peer::Start({"source", "--name", "clock", "--fps", "100"});
  auto hand = Peer::Start({"sink", "--name", "hand", "--announce", "50"});
  ASSERT_TRUE(clock && hand);
  ASSERT_TRUE(client_->Link("clock", "hand"));
  ASSERT_TRUE(hand->WaitForFrames(50));
  const uint64_t before = SleepsOfSluice();
  ASSERT_TRUE(hand->WaitForFrames(150));
  // A second at least.
  EXPECT_LT(SleepsOfSluice() - before, 50u);
  const Json report = Interrupted();
  EXPECT_EQ(report["bytes_copied"], 0) << report;
}

TEST_F(CaptureTest, ReadsMemoryOfTheDaemonWithoutACopy) {
  const Peer source = StartSource({"--memory", "daemon", "--buffers", "8"});
  Capture("target: source, frames: 50");
  const Json report = Ended();
  ExpectPictures(50, report);
  EXPECT_EQ(report["bytes_copied"], 0) << report;
  EXPECT_THAT(report["exclusions"].dump(), HasSubstr("its buffers have no fds"));
}

TEST_F(CaptureTest, CopiesFromASourceOfTwoBuffersAndSaysSo) {
  const Peer source = StartSource({"--buffers", "2", "--count", "none"});
  Capture("target: source, frames: 20");
  const Json report = Ended();
  EXPECT_EQ(Sums().size(), 20u);
  EXPECT_EQ(report["bytes_copied"], 20 * kWidth * kHeight * 4) << report;
  EXPECT_THAT(report["copies"].dump(), HasSubstr("the source's memory cannot be lent"));
  EXPECT_THAT(report["exclusions"].dump(), HasSubstr("too few buffers"));
}

TEST_F(CaptureTest, ABufferThatNobodyHasFilledIsNoPartOfTheSequence) {
  const Peer source = StartSource({"--fps", "60", "--unfilled-after", "60"});
  Capture("target: source, frames: 90");
  ExpectPictures(90, Ended());
}

TEST_F(CaptureTest, FindsASourceByItsSerialAndTheOnlyOneWithoutAName) {
  const Peer source = StartSource();
  std::string serial;
  for (const NodeSeen& node : client_->nodes()) {
    if (node.name() == "source") serial = node.property("object.serial");
  }
  Capture("target: '" + serial + "', frames: 5");
  EXPECT_EQ(NodeOf(Ended(), "cam")["frames_out"], 5);
  Capture("frames: 5");
  EXPECT_EQ(NodeOf(Ended(), "cam")["frames_out"], 5);
}

TEST_F(CaptureTest, NamesTheSourcesThereAreWhereItsOwnIsMissing) {
  const Peer source = StartSource();
  std::ofstream(Path("graph.yaml")) << "sluice: 1\nnodes:\n"
                                       "  cam: { type: pipewire.capture, target: nobody }\n"
                                       "  out: { type: core.null }\nedges:\n  - cam -> out\n";
  auto sluice =
      Process::Start({"sh", "-c", "engine/cli/sluice run " + Path("graph.yaml") + " 2>&1"});
  ASSERT_TRUE(sluice);
  auto said = sluice->ReadAll();
  ASSERT_TRUE(said) << said.error().ToString();
  EXPECT_THAT(*said, HasSubstr("no video source nobody"));
  EXPECT_THAT(*said, HasSubstr("source (Camera of a test)"));
  auto status = sluice->Wait();
  EXPECT_TRUE(status && *status != 0);
}

TEST_F(CaptureTest, SaysThatASourceHasStopped) {
  Peer source = StartSource();
  Capture("target: source, timeout: 1s");
  ASSERT_TRUE(client_->WaitForNodeState("source", "running"));
  source.process().Signal(SIGSTOP);
  auto status = sluice_.Wait();
  source.process().Signal(SIGCONT);
  ASSERT_TRUE(status);
  EXPECT_NE(*status, 0);
  EXPECT_THAT(Report()["errors"].dump(), HasSubstr("has sent no frame for 1000 ms"));
}

TEST_F(CaptureTest, FollowsASourceThatChangesItsSize) {
  auto source = Process::Start({"tests/pipewire/changing_source"});
  ASSERT_TRUE(source) << source.error().ToString();
  ASSERT_TRUE(client_->WaitForNode("changing"));
  Capture("target: changing, frames: 100");
  const Json report = Ended();
  EXPECT_EQ(Sums().size(), 100u);
  EXPECT_GE(report["epochs"], 2) << report;
  EXPECT_EQ(report["bytes_copied"], 0) << report;
  EXPECT_THAT(report["pools"].dump(), HasSubstr("128x96"));
  EXPECT_THAT(report["pools"].dump(), HasSubstr("64x48"));
}

TEST_F(CaptureTest, FollowsASourceThatChangesItsSizeInFrontOfACameraThatNobodyWatches) {
  auto source = Process::Start({"tests/pipewire/changing_source"});
  ASSERT_TRUE(source) << source.error().ToString();
  ASSERT_TRUE(client_->WaitForNode("changing"));
  // A full queue holds the source up; this one goes on to its next size.
  Run("sluice: 1\nnodes:\n  cam: { type: pipewire.capture, target: changing }\n"
      "  out: { type: pipewire.camera, name: lonely }\n"
      "edges:\n  - { from: cam, to: out, queue: { depth: 1, when_full: drop-oldest } }\n");
  // Each epoch has a camera of its own, by the number that PipeWire gives out once.
  std::set<std::string> serials;
  const auto changed = client_->WaitUntil("the camera of a third epoch", [&] {
    for (const NodeSeen& node : client_->nodes()) {
      if (node.name() == "lonely") serials.insert(node.property("object.serial"));
    }
    return serials.size() >= 3;
  });
  EXPECT_TRUE(changed) << changed.error().ToString();
  const Json report = Interrupted();
  EXPECT_EQ(report["errors"].size(), 0u) << report["errors"];
  EXPECT_GE(report["epochs"], 3) << report;
  EXPECT_THAT(NodeOf(report, "out")["drops"].dump(), HasSubstr("nobody looked")) << report;
}

TEST_F(CaptureTest, GoesOnWhenItsSourceWasKilledTwentyTimes) {
  Peer source = StartSource({"--announce", "12"});
  Capture(
      "target: source, on_error: { action: restart, attempts: 0, backoff: 20ms, max_backoff: 100ms "
      "}");
  std::vector<size_t> fds;
  for (int i = 0; i < 20; ++i) {
    if (i > 0) source = StartSource({"--announce", "12"});
    ASSERT_TRUE(source.WaitForFrames(12)) << "after " << i;
    fds.push_back(CountFdsOfSluice());
    source.process().Kill();
    ASSERT_TRUE(client_->WaitUntilGone("source"));
  }
  EXPECT_TRUE(StaysConstant(fds)) << ::testing::PrintToString(fds);
  const Json report = Interrupted();
  EXPECT_GE(report["restarts"], 19) << report;
  for (const std::string& sum : Sums()) EXPECT_TRUE(Pictures().contains(sum)) << sum;
}

TEST_F(CaptureTest, GoesOnWhenTheDaemonWasKilledTwentyTimes) {
  Peer source = StartSource({"--announce", "12"});
  Capture(
      "target: source, on_error: { action: restart, attempts: 0, backoff: 20ms, max_backoff: 100ms "
      "}");
  std::vector<size_t> fds;
  for (int i = 0; i < 20; ++i) {
    if (i > 0) source = StartSource({"--announce", "12"});
    ASSERT_TRUE(source.WaitForFrames(12)) << "after " << i;
    fds.push_back(CountFdsOfSluice());
    client_.reset();
    ASSERT_TRUE(daemon().Kill());
    source.process().Kill();
    ASSERT_TRUE(daemon().StartAgain());
    auto client = Client::Connect();
    ASSERT_TRUE(client) << client.error().ToString();
    client_ = std::move(*client);
  }
  EXPECT_TRUE(StaysConstant(fds)) << ::testing::PrintToString(fds);
  EXPECT_GE(Interrupted()["restarts"], 19);
}

class GstreamerTest : public CaptureTest {};

TEST_F(GstreamerTest, FramesOfItsSinkAreCopiedAndRight) {
  if (std::system("gst-inspect-1.0 pipewiresink >/dev/null 2>&1") != 0) {
    GTEST_SKIP() << "GStreamer has no pipewiresink here";
  }
  auto source = Process::Start(
      {"gst-launch-1.0", "-q", "videotestsrc", "is-live=true", "pattern=red", "!",
       "video/x-raw,format=RGBA,width=64,height=48,framerate=30/1", "!", "pipewiresink",
       "mode=provide", "stream-properties=p,media.class=Video/Source,node.name=gst"});
  ASSERT_TRUE(source) << source.error().ToString();
  ASSERT_TRUE(client_->WaitForNode("gst"));
  Capture("target: gst, frames: 30");
  const Json report = Ended();
  std::vector<uint8_t> red(kWidth * kHeight * 4);
  for (size_t i = 0; i < red.size(); i += 4) red[i] = red[i + 3] = 255;
  char sum[9];
  std::snprintf(sum, sizeof(sum), "%08x", Crc32(red));
  EXPECT_THAT(Sums(), ::testing::AllOf(::testing::SizeIs(30), ::testing::Each(std::string(sum))));
  EXPECT_EQ(report["bytes_copied"], 30 * kWidth * kHeight * 4) << report;
  EXPECT_THAT(NodeOf(report, "cam")["drops"], IsEmpty()) << report;
}

class TestCameraTest : public CaptureTest {
 protected:
  TestCameraTest() : CaptureTest({.test_camera = true}) {}
};

TEST_F(TestCameraTest, IsReadWhereItWrites) {
  Capture("target: test-camera, frames: 30, size: 320x240, format: UYVY", "core.null");
  const Json report = Ended();
  EXPECT_EQ(NodeOf(report, "cam")["frames_out"], 30) << report;
  EXPECT_EQ(report["bytes_copied"], 0) << report;
  // It has as many buffers as the pool: so many frames can be read before it comes round.
  ASSERT_EQ(report["pools"].size(), 1u) << report;
  const std::string buffers = std::to_string(report["pools"][0]["buffers"].get<int>());
  EXPECT_THAT(NodeOf(report, "cam")["notes"].dump(),
              HasSubstr("writes its " + buffers + " buffers in turn"));
}

class SessionTest : public CaptureTest {
 protected:
  SessionTest() : CaptureTest({.session_manager = true}) {}
};

TEST_F(SessionTest, IsLinkedByTheSessionManager) {
  const Peer source = StartSource();
  Capture("target: source, frames: 30");
  const Json report = Ended();
  ExpectPictures(30, report);
  EXPECT_EQ(report["bytes_copied"], 0) << report;
}

}  // namespace
}  // namespace sluice::testing
