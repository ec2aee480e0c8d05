// In the guest: a camera of the kernel, as PipeWire and its session manager give it to applications.

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
    std::vector<std::string> arguments{"sink", "--target", kCamera, "--no-band", "--frames", "20", "--width", "320",
                                       "--height", "180", "--fps", "30"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    // The node is there before the session manager is ready to link it; a consumer hears so at once, and tries again.
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    for (;;) {
      auto consumer = Peer::Start(arguments);
      EXPECT_TRUE(consumer) << consumer.error().ToString();
      if (!consumer) return {};
      auto seen = consumer->Ended();
      EXPECT_TRUE(seen) << seen.error().ToString();
      if (!seen) return {};
      if ((*seen)["end"] != "no target node available" || std::chrono::steady_clock::now() > deadline) return *seen;
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

class GuestPeerTest : public DaemonTest {
 protected:
  nlohmann::json Pass(const std::string& offered, const std::string& taken) {
    auto camera = Peer::Start({"source", "--memory", offered});
    EXPECT_TRUE(camera) << camera.error().ToString();
    auto consumer = Peer::Start({"sink", "--memory", taken, "--frames", "20"});
    EXPECT_TRUE(consumer) << consumer.error().ToString();
    auto client = Client::Connect();
    EXPECT_TRUE(client) << client.error().ToString();
    if (!camera || !consumer || !client) return {};
    auto link = (*client)->Link("peer-source", "peer-sink");
    EXPECT_TRUE(link) << link.error().ToString();
    if (!link) return {};
    auto seen = consumer->Ended();
    EXPECT_TRUE(seen) << seen.error().ToString();
    return seen ? *seen : nlohmann::json{};
  }
};

TEST_F(GuestPeerTest, DmabufsOfACamerasOwnArriveWithTheirModifier) {
  const nlohmann::json seen = Pass("dmabuf", "any");
  EXPECT_EQ(seen["status"], 0) << seen;
  EXPECT_EQ(seen["frames"], 20) << seen;
  EXPECT_EQ(seen["dmabuf"], true) << seen;
  EXPECT_EQ(seen["modifiers"], nlohmann::json::array({0})) << seen;
  EXPECT_EQ(seen["torn"], 0) << seen;
}

TEST_F(GuestPeerTest, SharedMemoryIsNotTakenForDmabufs) {
  const nlohmann::json seen = Pass("memfd", "any");
  EXPECT_EQ(seen["status"], 0) << seen;
  EXPECT_EQ(seen["dmabuf"], false) << seen;
  EXPECT_EQ(seen["torn"], 0) << seen;
}

}  // namespace
}  // namespace sluice::testing
