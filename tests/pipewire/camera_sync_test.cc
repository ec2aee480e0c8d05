// Explicit sync of the virtual camera, with the whole engine: in the guest, which has a DRM device
// with timelines.

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "tests/pipewire/client.h"
#include "tests/pipewire/daemon.h"
#include "tests/pipewire/peers.h"

namespace sluice::testing {
namespace {

constexpr char kGraph[] = R"(
sluice: 1
name: explicit
settings: { clock: realtime }
nodes:
  source: { type: core.testsrc, size: 320x240, rate: 30, format: XR24 }
  camera: { type: pipewire.camera, name: sluice-camera, memory: dma-buf, timeout: 500 ms }
edges: [source -> camera]
)";

class CameraSyncTest : public DaemonTest {
 protected:
  void SetUp() override {
    if (access("/dev/udmabuf", R_OK | W_OK) != 0) GTEST_SKIP() << "no /dev/udmabuf";
    DaemonTest::SetUp();
    graph_ = std::string(getenv("TEST_TMPDIR") != nullptr ? getenv("TEST_TMPDIR") : "/tmp") +
             "/explicit.yaml";
    std::ofstream(graph_) << kGraph;
    auto engine = Process::Start({"engine/cli/sluice", "run", graph_});
    ASSERT_TRUE(engine) << engine.error().ToString();
    engine_ = std::move(*engine);
    auto client = Client::Connect();
    ASSERT_TRUE(client) << client.error().ToString();
    client_ = std::move(*client);
  }

  nlohmann::json Read(std::vector<std::string> more, bool kill = false) {
    more.insert(more.begin(),
                {"sink", "--no-band", "--memory", "dmabuf", "--sync-timeline", "--announce", "1"});
    auto reader = Peer::Start(more);
    EXPECT_TRUE(reader) << reader.error().ToString();
    auto link = client_->Link("sluice-camera", "peer-sink");
    EXPECT_TRUE(link) << link.error().ToString();
    if (kill) {
      EXPECT_TRUE(reader->WaitForFrames(8));
      reader->process().Kill();
      EXPECT_TRUE(client_->WaitUntilGone("peer-sink"));
      return nlohmann::json::object();
    }
    auto seen = reader->Ended();
    EXPECT_TRUE(seen) << seen.error().ToString();
    return seen ? *seen : nlohmann::json::object();
  }
  std::string Report() {
    engine_.Signal(SIGTERM);
    auto text = engine_.ReadAll();
    EXPECT_TRUE(text) << text.error().ToString();
    return text ? *text : "";
  }

  std::string graph_;
  Process engine_;
  std::unique_ptr<Client> client_;
};

TEST_F(CameraSyncTest, EveryFrameHasItsPoints) {
  const nlohmann::json seen = Read({"--frames", "40"});
  EXPECT_EQ(seen["explicit_sync"].value("frames", 0), 40) << seen;
  EXPECT_EQ(seen["explicit_sync"].value("timeouts", -1), 0) << seen;
  EXPECT_EQ(seen["rewritten"], 0) << seen;
  EXPECT_EQ(Report().find("release points"), std::string::npos);
}

TEST_F(CameraSyncTest, ABufferWaitsForAReleaseThatComesLate) {
  const nlohmann::json seen = Read({"--frames", "40", "--release-lag", "2"});
  EXPECT_EQ(seen["explicit_sync"].value("frames", 0), 40) << seen;
  EXPECT_EQ(seen["rewritten"], 0) << seen;
}

TEST_F(CameraSyncTest, ReleasesThatNeverComeAreNamedAndTakenAsDone) {
  const nlohmann::json seen = Read({"--frames", "30", "--never-release"});
  EXPECT_EQ(seen.value("frames", 0), 30) << seen;
  const std::string report = Report();
  EXPECT_NE(report.find("does not signal the release points"), std::string::npos) << report;
  EXPECT_NE(report.find("peer-sink"), std::string::npos) << report;
}

TEST_F(CameraSyncTest, AReaderThatDiesHoldingItsPointsLeavesNothingBehind) {
  for (int i = 0; i < 3; ++i) Read({"--never-release", "--hold", "2"}, true);
  const nlohmann::json seen = Read({"--frames", "30"});
  EXPECT_EQ(seen["explicit_sync"].value("frames", 0), 30) << seen;
  EXPECT_EQ(seen["rewritten"], 0) << seen;
}

}  // namespace
}  // namespace sluice::testing
