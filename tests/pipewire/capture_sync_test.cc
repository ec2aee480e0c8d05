// In the guest, which has a DRM device with timelines: a source that gives pipewire.capture an
// acquire and a release point with each frame.

#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/pipewire/capture_kit.h"

namespace sluice::testing {
namespace {

using ::testing::HasSubstr;

class CaptureSyncTest : public CaptureTest {
 protected:
  Peer StartFenced(std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--memory", "dmabuf", "--sync-timeline", "--buffers", "12",
                             "--deadline-ms", "300000",
                             // A guest without hardware virtualisation takes its time.
                             "--release-patience-ms", "20000"});
    return StartSource(std::move(more));
  }
  /// What the source has to say in the end: it wrote no buffer anew before its release.
  static void ExpectReleased(Peer& source, uint64_t least) {
    const auto said = source.Stop();
    ASSERT_TRUE(said) << said.error().ToString();
    EXPECT_EQ((*said)["unreleased"], 0) << *said;
    EXPECT_GE((*said)["released"].get<uint64_t>(), least) << *said;
  }
};

TEST_F(CaptureSyncTest, EveryFramesReleaseIsSignalled) {
  Peer source = StartFenced();
  Capture("target: source, memory: dma-buf, frames: 40");
  const Json report = Ended();
  ExpectPictures(40, report);
  EXPECT_EQ(report["bytes_copied"], 0) << report;
  ExpectReleased(source, 30);
}

// Read before it is there, a picture would be the one before in the same buffer, or half of both.
TEST_F(CaptureSyncTest, AFrameIsReadWhenItsAcquirePointIsThere) {
  Peer source = StartFenced({"--acquire-ms", "60", "--fps", "30"});
  Capture("target: source, memory: dma-buf, frames: 40");
  const Json report = Ended();
  ExpectPictures(40, report);
  ExpectReleased(source, 30);
}

TEST_F(CaptureSyncTest, AFrameThatIsDroppedIsReleasedAllTheSame) {
  Peer source = StartFenced({"--announce", "1"});
  // A camera that nobody reads keeps the first frame; those behind it are dropped on the edge.
  Run("sluice: 1\nsettings: { clock: realtime }\nnodes:\n"
      "  cam: { type: pipewire.capture, target: source, memory: dma-buf }\n"
      "  nobody: { type: pipewire.camera, name: nobodys }\n"
      "edges:\n  - { from: cam, to: nobody, queue: { depth: 1, when_full: drop-oldest } }\n");
  // A source whose buffers did not come back would stand still.
  ASSERT_TRUE(source.WaitForFrames(100));
  const Json report = Interrupted();
  uint64_t drops = 0;
  for (const Json& count : report["edges"][0]["drops"]) drops += count.get<uint64_t>();
  EXPECT_GE(drops, 50u) << report;
  ExpectReleased(source, 50);
}

// Nothing stands behind an acquire point that its source has not reached: no sync_file can be had.
TEST_F(CaptureSyncTest, AFrameThatIsOnlyPromisedIsPassedOnWhenItHasCome) {
  Peer source = StartFenced({"--acquire-ms", "60", "--fps", "20"});
  Run("sluice: 1\nsettings: { clock: realtime }\nnodes:\n"
      "  cam: { type: pipewire.capture, target: source, memory: dma-buf }\n"
      "  again: { type: pipewire.camera, name: again }\n"
      "edges:\n  - cam -> again\n");
  auto camera = client_->WaitForNode("again");
  ASSERT_TRUE(camera) << camera.error().ToString();
  auto reader = Peer::Start({"sink", "--name", "reader", "--width", std::to_string(kWidth), "--height",
                             std::to_string(kHeight), "--frames", "20", "--announce", "1"});
  ASSERT_TRUE(reader) << reader.error().ToString();
  auto link = client_->Link("again", "reader");
  ASSERT_TRUE(link) << link.error().ToString();
  const auto seen = reader->Ended();
  ASSERT_TRUE(seen) << seen.error().ToString();
  EXPECT_EQ((*seen)["frames"], 20) << *seen;
  EXPECT_EQ((*seen)["torn"], 0) << *seen;
  EXPECT_EQ((*seen)["rewritten"], 0) << *seen;
  EXPECT_EQ((*seen)["without_band"], 0) << *seen;
  const Json report = Interrupted();
  EXPECT_TRUE(report["errors"].empty()) << report;
}

TEST_F(CaptureSyncTest, AnAcquirePointThatNeverComesIsAVerdictWithItsSourcesName) {
  Peer source = StartFenced({"--acquire-ms", "100000"});
  Capture("target: source, memory: dma-buf, frames: 40");
  auto status = sluice_.Wait();
  ASSERT_TRUE(status) << status.error().ToString();
  EXPECT_NE(*status, 0);
  EXPECT_THAT(Report()["errors"].dump(), HasSubstr("source")) << Report();
  EXPECT_TRUE(Sums().empty());
}

TEST_F(CaptureSyncTest, ASourceThatDiesBeforeItsAcquirePointsIsLeftAndFoundAgain) {
  std::size_t first = 0, last = 0;
  for (int i = 0; i < 3; ++i) {
    Peer source = StartFenced({"--acquire-ms", "40", "--announce", "12"});
    if (i == 0) {
      Capture(
          "target: source, memory: dma-buf, on_error: { action: restart, attempts: 0, "
          "backoff: 20ms, max_backoff: 100ms }");
    }
    ASSERT_TRUE(source.WaitForFrames(24)) << "after " << i;
    if (i == 1) first = CountFdsOfSluice();
    last = CountFdsOfSluice();
    source.process().Kill();
    ASSERT_TRUE(client_->WaitUntilGone("source"));
  }
  EXPECT_LE(last, first + 2);
  const Json report = Interrupted();
  EXPECT_GE(report["restarts"], 2) << report;
  for (const std::string& sum : Sums()) EXPECT_TRUE(Pictures().contains(sum)) << sum;
}

}  // namespace
}  // namespace sluice::testing
