// In the guest: what a camera of the kernel sees goes through PipeWire to a GPU filter, and on
// through PipeWire to another process, which has its GPU filter it back. In dma-bufs all the way.

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/pipewire/client.h"
#include "tests/pipewire/daemon.h"
#include "tests/pipewire/peers.h"
#include "tests/pipewire/process.h"

namespace sluice::testing {
namespace {

using Json = nlohmann::json;

constexpr char kCamera[] = "v4l2_input.platform-vivid.0";
constexpr std::size_t kWidth = 320;
constexpr std::size_t kHeight = 180;
constexpr std::size_t kFrameBytes = kWidth * kHeight * 4;
constexpr int kFrames = 6;
/// A shader takes the guest tens of seconds to compile.
constexpr std::chrono::milliseconds kGuestPatience{400'000};

std::string Scratch(const std::string& name) { return ::testing::TempDir() + "/" + name; }

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The pictures of a raw file, by the sequence that core.checksum has written beside.
std::map<uint64_t, std::string> ReadPictures(const std::string& name) {
  std::map<uint64_t, std::string> pictures;
  const std::string raw = ReadFile(Scratch(name + ".raw"));
  std::istringstream sums(ReadFile(Scratch(name + ".txt")));
  std::size_t at = 0;
  for (std::string line; std::getline(sums, line); at += kFrameBytes) {
    // The last picture may not have been written when its process was ended.
    if (at + kFrameBytes > raw.size()) break;
    pictures[std::stoull(line)] = raw.substr(at, kFrameBytes);
  }
  return pictures;
}

/// The worst difference of a colour; what the fourth byte holds is nobody's business.
int WorstDifference(const std::string& a, const std::string& b) {
  int worst = 0;
  for (std::size_t i = 0; i < kFrameBytes; ++i) {
    if (i % 4 == 3) continue;
    worst = std::max(worst, std::abs(static_cast<uint8_t>(a[i]) - static_cast<uint8_t>(b[i])));
  }
  return worst;
}

class ChainTest : public DaemonTest {
 protected:
  ChainTest()
      : DaemonTest({.session_manager = true, .preload = "tests/pipewire/libscalar_controls.so"}) {}

  void SetUp() override {
    if (access("/dev/udmabuf", R_OK | W_OK) != 0) GTEST_SKIP() << "no /dev/udmabuf";
    DaemonTest::SetUp();
    // Vectors of half the width are compiled in half the time.
    setenv("LP_NATIVE_VECTOR_WIDTH", "128", 1);
  }

  /// Writes what passes a node as `name`.raw and its sequence numbers as `name`.txt.
  static std::string Arm(const std::string& name) {
    return "  " + name +
           "_sums: { type: core.checksum, overwrite: true, path: " + Scratch(name + ".txt") +
           " }\n  " + name +
           "_raw: { type: ffmpeg.write, format: rawvideo, codec: rawvideo, path: " +
           Scratch(name + ".raw") + " }\n";
  }
  static Process Run(const std::string& name, const std::string& graph) {
    std::ofstream(Scratch(name + ".yaml")) << graph;
    auto sluice = Process::Start({"engine/cli/sluice", "run", "--force", "--report",
                                  Scratch(name + ".json"), Scratch(name + ".yaml")});
    EXPECT_TRUE(sluice) << sluice.error().ToString();
    return sluice ? std::move(*sluice) : Process();
  }
  /// No byte was copied, no way was given up, and nothing was put between.
  static void ExpectDirect(const std::string& name) {
    const Json report = Json::parse(ReadFile(Scratch(name + ".json")), nullptr, false);
    ASSERT_TRUE(report.is_object()) << name << " has left no report";
    EXPECT_EQ(report["bytes_copied"], 0) << report;
    EXPECT_EQ(report["copies"].size(), 0u) << report;
    EXPECT_EQ(report["exclusions"].size(), 0u) << report;
    for (const Json& node : report["nodes"]) EXPECT_EQ(node["inserted"], false) << node;
    for (const Json& pool : report["pools"]) EXPECT_EQ(pool["outstanding"], 0) << pool;
  }
};

TEST_F(ChainTest, PicturesOfACameraArriveInDmabufsAndUnchanged) {
  auto client = Client::Connect();
  ASSERT_TRUE(client) << client.error().ToString();
  auto camera = (*client)->WaitForNode(kCamera);
  ASSERT_TRUE(camera) << camera.error().ToString() << daemon().Log("wireplumber");
  // `memory: dma-buf` leaves no other way; the engine asks the kernel whether each fd is one.
  Process sender =
      Run("sender",
          "sluice: 1\nnodes:\n  camera: { type: pipewire.capture, target: " + std::string(kCamera) +
              ", size: 320x180, format: XR24, memory: dma-buf }\n"
              "  look: { type: vulkan.look, look: negative }\n"
              "  virtual: { type: pipewire.camera, name: chain, memory: dma-buf, "
              "timeout: 60 s }\n" +
              Arm("sent") +
              "edges:\n  - camera -> look -> virtual\n  - camera -> sent_sums -> sent_raw\n");
  auto seen = (*client)->WaitForNode("chain");
  ASSERT_TRUE(seen) << seen.error().ToString() << (sender.running() ? "" : "; it has ended");
  Process reader =
      Run("reader",
          "sluice: 1\nnodes:\n  camera: { type: pipewire.capture, target: chain, "
          "memory: dma-buf, frames: " +
              std::to_string(kFrames) + " }\n  look: { type: vulkan.look, look: negative }\n" +
              Arm("arrived") + "edges:\n  - camera -> look -> arrived_sums -> arrived_raw\n");
  auto status = reader.Wait(kGuestPatience);
  ASSERT_TRUE(status && *status == 0) << (status ? *status : -1);
  sender.Signal(SIGINT);
  status = sender.Wait(kGuestPatience);
  ASSERT_TRUE(status && (*status == 0 || *status == 130)) << (status ? *status : -1);
  ExpectDirect("sender");
  ExpectDirect("reader");

  // Each end counts from its own first frame: a picture is found again by what is to be seen. The
  // camera writes the time into each.
  const auto sent = ReadPictures("sent"), arrived = ReadPictures("arrived");
  EXPECT_EQ(arrived.size(), static_cast<std::size_t>(kFrames));
  auto next = sent.begin();
  for (const auto& [sequence, picture] : arrived) {
    int best = 256;
    auto found = next;
    for (auto it = next; it != sent.end(); ++it) {
      const int difference = WorstDifference(it->second, picture);
      if (difference >= best) continue;
      best = difference;
      found = it;
    }
    ASSERT_LE(best, 2) << "picture " << sequence << " is none of the " << sent.size()
                       << " of the camera, or comes before its turn";
    std::printf("picture %d is the camera's %d, difference %d\n", static_cast<int>(sequence),
                static_cast<int>(found->first), best);
    next = std::next(found);
  }
}

}  // namespace
}  // namespace sluice::testing
