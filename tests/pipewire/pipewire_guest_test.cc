// In the guest: a camera of the kernel, as PipeWire and its session manager give it to
// applications.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/pipewire/client.h"
#include "tests/pipewire/daemon.h"
#include "tests/pipewire/peers.h"

namespace sluice::testing {
namespace {

constexpr char kCamera[] = "v4l2_input.platform-vivid.0";

class GuestCameraTest : public DaemonTest {
 protected:
  GuestCameraTest()
      : DaemonTest({.session_manager = true, .preload = "tests/pipewire/libscalar_controls.so"}) {}

  // The session manager links: nothing here but the name of the camera.
  nlohmann::json Consume(const std::vector<std::string>& more) {
    auto client = Client::Connect();
    EXPECT_TRUE(client) << client.error().ToString();
    if (!client) return {};
    auto camera = (*client)->WaitForNode(kCamera);
    EXPECT_TRUE(camera) << camera.error().ToString() << daemon().Log("wireplumber");
    if (!camera) return {};
    std::vector<std::string> arguments{"sink",     "--target", kCamera,   "--no-band",
                                       "--frames", "20",       "--width", "320",
                                       "--height", "180",      "--fps",   "30"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    // The node is there before the session manager is ready to link it; a consumer hears so at
    // once, and tries again.
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    for (;;) {
      auto consumer = Peer::Start(arguments);
      EXPECT_TRUE(consumer) << consumer.error().ToString();
      if (!consumer) return {};
      auto seen = consumer->Ended();
      EXPECT_TRUE(seen) << seen.error().ToString();
      if (!seen) return {};
      if ((*seen)["end"] != "no target node available" ||
          std::chrono::steady_clock::now() > deadline)
        return *seen;
    }
  }
};

TEST_F(GuestCameraTest, ItArrivesAsDmabufs) {
  const nlohmann::json seen = Consume({"--memory", "dmabuf"});
  EXPECT_EQ(seen["frames"], 20) << seen << daemon().Log();
  EXPECT_EQ(seen["dmabuf"], true) << seen;
  EXPECT_EQ(seen["memory"], (nlohmann::json{{"DmaBuf", 20}})) << seen;
  EXPECT_EQ(seen["unreadable"], 0) << seen;
  EXPECT_EQ(seen["rewritten"], 0) << seen;
}

TEST_F(GuestCameraTest, WhoTakesNoDmabufsGetsSharedMemory) {
  const nlohmann::json seen = Consume({"--memory", "shm"});
  EXPECT_EQ(seen["frames"], 20) << seen << daemon().Log();
  EXPECT_EQ(seen["dmabuf"], false) << seen;
  EXPECT_EQ(seen["unreadable"], 0) << seen;
  EXPECT_EQ(seen["rewritten"], 0) << seen;
}

// A camera and a consumer of our own, and what each says in the end.
class GuestPeerTest : public DaemonTest {
 protected:
  void Pass(std::vector<std::string> offered, std::vector<std::string> taken, int frames = 20) {
    offered.insert(offered.begin(), "source");
    taken.insert(taken.begin(), {"sink", "--frames", std::to_string(frames)});
    auto camera = Peer::Start(offered);
    ASSERT_TRUE(camera) << camera.error().ToString();
    auto consumer = Peer::Start(taken);
    ASSERT_TRUE(consumer) << consumer.error().ToString();
    auto client = Client::Connect();
    ASSERT_TRUE(client) << client.error().ToString();
    auto link = (*client)->Link("peer-source", "peer-sink");
    ASSERT_TRUE(link) << link.error().ToString();
    auto seen = consumer->Ended();
    ASSERT_TRUE(seen) << seen.error().ToString();
    auto gave = camera->Stop();
    ASSERT_TRUE(gave) << gave.error().ToString();
    seen_ = *seen;
    gave_ = *gave;
    EXPECT_EQ(seen_["frames"], frames) << seen_ << gave_;
    EXPECT_EQ(seen_["status"], 0) << seen_;
    EXPECT_EQ(seen_["without_band"], 0) << seen_;
  }

  nlohmann::json seen_;
  nlohmann::json gave_;
};

TEST_F(GuestPeerTest, DmabufsOfACamerasOwnArriveWithTheirModifier) {
  Pass({"--memory", "dmabuf"}, {"--memory", "any"});
  EXPECT_EQ(seen_["dmabuf"], true) << seen_;
  EXPECT_EQ(seen_["modifiers"], nlohmann::json::array({0})) << seen_;
}

TEST_F(GuestPeerTest, SharedMemoryIsNotTakenForDmabufs) {
  Pass({"--memory", "memfd"}, {"--memory", "any"});
  EXPECT_EQ(seen_["dmabuf"], false) << seen_;
}

using GuestSyncTest = GuestPeerTest;

TEST_F(GuestSyncTest, EveryFrameIsAcquiredAndReleased) {
  Pass({"--memory", "dmabuf", "--sync-timeline"}, {"--sync-timeline"});
  EXPECT_EQ(seen_["explicit_sync"]["frames"], 20) << seen_;
  EXPECT_EQ(seen_["explicit_sync"]["timeouts"], 0) << seen_;
  EXPECT_GE(seen_["explicit_sync"]["released"], 19) << seen_;
  EXPECT_GT(gave_["released"], 0) << gave_;
}

// A picture that is sent before it is painted: who waits for it sees it whole.
TEST_F(GuestSyncTest, WhoWaitsForALateFrameSeesItWhole) {
  Pass({"--memory", "dmabuf", "--sync-timeline", "--acquire-ms", "20"}, {"--sync-timeline"});
  EXPECT_GT(seen_["explicit_sync"]["waits"], 0) << seen_;
  EXPECT_EQ(seen_["explicit_sync"]["timeouts"], 0) << seen_;
}

TEST_F(GuestSyncTest, AFrameWhoseReleaseIsHeldBackIsNotRewritten) {
  Pass({"--memory", "dmabuf", "--sync-timeline", "--buffers", "6"},
       {"--sync-timeline", "--release-lag", "3"});
  EXPECT_GE(seen_["explicit_sync"]["released"], 16) << seen_;
  EXPECT_EQ(gave_["unreleased"], 0) << gave_;
}

// Then the camera waits, and in the end goes on without.
TEST_F(GuestSyncTest, AReleaseThatNeverComesIsMissed) {
  Pass({"--memory", "dmabuf", "--sync-timeline", "--buffers", "4"},
       {"--sync-timeline", "--never-release"}, 6);
  EXPECT_EQ(gave_["released"], 0) << gave_;
  EXPECT_GE(gave_["unreleased"], 2) << gave_;
}

TEST_F(GuestSyncTest, WhoDoesNotKnowOfItGetsBuffersWithoutIt) {
  Pass({"--memory", "dmabuf", "--sync-timeline"}, {});
  EXPECT_FALSE(seen_.contains("explicit_sync")) << seen_;
  EXPECT_EQ(gave_["released"], 0) << gave_;
}

}  // namespace
}  // namespace sluice::testing
