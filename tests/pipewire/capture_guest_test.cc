// In the guest: pipewire.capture from a camera of the kernel, through the session manager.

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/pipewire/client.h"
#include "tests/pipewire/daemon.h"
#include "tests/pipewire/peers.h"
#include "tests/pipewire/process.h"

namespace sluice::testing {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

constexpr char kCamera[] = "v4l2_input.platform-vivid.0";

class GuestCaptureTest : public DaemonTest {
 protected:
  explicit GuestCaptureTest(bool camera = true)
      : DaemonTest({.session_manager = camera,
                    .preload = camera ? "tests/pipewire/libscalar_controls.so" : ""}) {}

  Json Capture(const std::string& parameters, const std::string& source = kCamera) {
    auto client = Client::Connect();
    EXPECT_TRUE(client) << client.error().ToString();
    if (!client) return {};
    auto camera = (*client)->WaitForNode(source);
    EXPECT_TRUE(camera) << camera.error().ToString() << daemon().Log("wireplumber");
    const std::string graph = ::testing::TempDir() + "/graph.yaml";
    const std::string report = ::testing::TempDir() + "/report.json";
    std::ofstream(graph) << "sluice: 1\nnodes:\n  cam: { type: pipewire.capture, target: " << source
                         << ", frames: 20, " << parameters
                         << " }\n  out: { type: core.checksum }\nedges:\n  - cam -> out\n";
    auto sluice =
        Process::Start({"engine/cli/sluice", "run", "--force", "--report", report, graph});
    EXPECT_TRUE(sluice) << sluice.error().ToString();
    if (!sluice) return {};
    auto status = sluice->Wait();
    EXPECT_TRUE(status && *status == 0) << (status ? *status : -1) << daemon().Log();
    std::ifstream file(report);
    return Json::parse(std::string(std::istreambuf_iterator<char>(file), {}), nullptr, false);
  }
};

TEST_F(GuestCaptureTest, ReadsTheDriversOwnDmabufs) {
  // Nothing but dma-bufs, which the engine makes sure of.
  const Json report = Capture("size: 320x180, format: YUYV, memory: dma-buf");
  ASSERT_TRUE(report.is_object()) << report;
  EXPECT_EQ(report["bytes_copied"], 0) << report;
  EXPECT_EQ(report["nodes"][0]["frames_out"], 20) << report;
  EXPECT_THAT(report["nodes"][0]["notes"].dump(), HasSubstr("in turn"));
}

TEST_F(GuestCaptureTest, TakesSharedMemoryWhereItMust) {
  const Json report = Capture("size: 320x180, format: YUYV, memory: shm");
  ASSERT_TRUE(report.is_object()) << report;
  EXPECT_EQ(report["nodes"][0]["frames_out"], 20) << report;
}

class GuestPeerCaptureTest : public GuestCaptureTest {
 protected:
  GuestPeerCaptureTest() : GuestCaptureTest(false) {}
};

TEST_F(GuestPeerCaptureTest, ReadsDmabufsOfAnApplicationWithTheirModifier) {
  auto source = Peer::Start({"source", "--name", "source", "--memory", "dmabuf"});
  ASSERT_TRUE(source) << source.error().ToString();
  const Json report = Capture("memory: dma-buf", "source");
  ASSERT_TRUE(report.is_object()) << report;
  EXPECT_EQ(report["bytes_copied"], 0) << report;
  EXPECT_EQ(report["nodes"][0]["frames_out"], 20) << report;
}

}  // namespace
}  // namespace sluice::testing
