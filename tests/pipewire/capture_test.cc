// pipewire.capture against cameras of other programs: ours, GStreamer's, PipeWire's own.

#include <dirent.h>
#include <signal.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/pipewire/band.h"
#include "tests/pipewire/client.h"
#include "tests/pipewire/daemon.h"
#include "tests/pipewire/peers.h"
#include "tests/pipewire/process.h"

namespace sluice::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Json = nlohmann::json;

constexpr uint32_t kWidth = 64;
constexpr uint32_t kHeight = 48;

uint32_t Crc32(const std::vector<uint8_t>& bytes) {
  static const std::array<uint32_t, 256> table = [] {
    std::array<uint32_t, 256> made{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ (value & 1 ? 0xEDB88320u : 0u);
      made[i] = value;
    }
    return made;
  }();
  uint32_t crc = ~0u;
  for (uint8_t byte : bytes) crc = crc >> 8 ^ table[(crc ^ byte) & 0xff];
  return ~crc;
}

/// The sequence of each picture of a test's camera, by its checksum.
const std::map<std::string, uint64_t>& Pictures() {
  static const std::map<std::string, uint64_t> pictures = [] {
    std::map<std::string, uint64_t> made;
    const BandLayout layout{kWidth * 4, kWidth * 4, kHeight};
    std::vector<uint8_t> pixels(kWidth * kHeight * 4);
    for (uint64_t sequence = 0; sequence < 3000; ++sequence) {
      WriteBand(pixels, layout, sequence);
      char text[9];
      std::snprintf(text, sizeof(text), "%08x", Crc32(pixels));
      made[text] = sequence;
    }
    return made;
  }();
  return pictures;
}

const Json& NodeOf(const Json& report, const std::string& name) {
  static const Json none;
  if (!report.is_object()) return none;
  for (const Json& node : report["nodes"]) {
    if (node["name"] == name) return node;
  }
  return none;
}

class CaptureTest : public DaemonTest {
 protected:
  CaptureTest() = default;
  explicit CaptureTest(Daemon::Options options) : DaemonTest(std::move(options)) {}

  void SetUp() override {
    DaemonTest::SetUp();
    if (IsSkipped()) return;
    folder_ = ::testing::TempDir() + "/" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(folder_);
    auto client = Client::Connect();
    ASSERT_TRUE(client) << client.error().ToString();
    client_ = std::move(*client);
  }

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }

  /// Captures, with `parameters` of the node, into checksums.
  void Capture(const std::string& parameters, const std::string& sink = "core.checksum",
               const std::vector<std::string>& options = {}) {
    std::ofstream graph(Path("graph.yaml"));
    graph << "sluice: 1\nnodes:\n  cam: { type: pipewire.capture, " << parameters
          << " }\n  out: { type: " << sink;
    if (sink == "core.checksum") graph << ", path: " << Path("sums") << ", overwrite: true";
    graph << " }\nedges:\n  - cam -> out\n";
    graph.close();
    std::vector<std::string> arguments{"engine/cli/sluice", "run", "--force", "--report",
                                       Path("report.json")};
    arguments.insert(arguments.end(), options.begin(), options.end());
    arguments.push_back(Path("graph.yaml"));
    auto sluice = Process::Start(arguments);
    ASSERT_TRUE(sluice) << sluice.error().ToString();
    sluice_ = std::move(*sluice);
  }
  Json Report() const {
    std::ifstream file(Path("report.json"));
    return Json::parse(std::string(std::istreambuf_iterator<char>(file), {}), nullptr, false);
  }
  /// Until it has ended by itself; what it reports.
  Json Ended(int expected = 0) {
    auto status = sluice_.Wait();
    EXPECT_TRUE(status && *status == expected) << (status ? *status : -1);
    return Report();
  }
  Json Interrupted() {
    sluice_.Signal(SIGINT);
    auto status = sluice_.Wait();
    EXPECT_TRUE(status && (*status == 0 || *status == 130)) << (status ? *status : -1);
    return Report();
  }
  std::vector<std::string> Sums() const {
    std::ifstream file(Path("sums"));
    std::vector<std::string> sums;
    for (std::string line; std::getline(file, line);) {
      sums.push_back(line.substr(line.rfind(' ') + 1));
    }
    return sums;
  }
  /// Each picture is one of the camera's, whole, each later than the last; what is missing between
  /// them the report says.
  void ExpectPictures(size_t count, const Json& report) const {
    const std::vector<std::string> sums = Sums();
    EXPECT_EQ(sums.size(), count);
    uint64_t last = 0, missing = 0;
    for (size_t i = 0; i < sums.size(); ++i) {
      const auto found = Pictures().find(sums[i]);
      ASSERT_NE(found, Pictures().end()) << "frame " << i << " is no picture of the camera";
      EXPECT_TRUE(i == 0 || found->second > last) << "frame " << i << ": " << found->second;
      if (i > 0) missing += found->second - last - 1;
      last = found->second;
    }
    const Json drops = NodeOf(report, "cam")["drops"];
    EXPECT_EQ(drops.value("lost by the source", uint64_t{0}), missing) << report;
    EXPECT_EQ(drops.size(), missing == 0 ? 0u : 1u) << report;
  }

  Peer StartSource(std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"source", "--name", "source", "--width", std::to_string(kWidth),
                               "--height", std::to_string(kHeight)});
    auto peer = Peer::Start(std::move(more));
    EXPECT_TRUE(peer) << peer.error().ToString();
    auto seen = client_->WaitForNode("source");
    EXPECT_TRUE(seen) << seen.error().ToString();
    return peer ? std::move(*peer) : Peer();
  }

  size_t CountFdsOfSluice() const {
    size_t count = 0;
    const std::string folder = "/proc/" + std::to_string(sluice_.pid()) + "/fd";
    if (DIR* dir = opendir(folder.c_str())) {
      while (readdir(dir) != nullptr) ++count;
      closedir(dir);
    }
    return count;
  }

  std::unique_ptr<Client> client_;
  Process sluice_;
  std::string folder_;
};

TEST_F(CaptureTest, ReadsTheSourcesOwnMemory) {
  const Peer source = StartSource();
  Capture("target: source, frames: 50");
  const Json report = Ended();
  ExpectPictures(50, report);
  EXPECT_EQ(report["bytes_copied"], 0) << report;
  EXPECT_EQ(report["exclusions"].size(), 0u) << report;
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

TEST_F(CaptureTest, GoesOnWhenItsSourceWasKilledTwentyTimes) {
  Peer source = StartSource({"--announce", "12"});
  Capture(
      "target: source, on_error: { action: restart, attempts: 0, backoff: 20ms, max_backoff: 100ms "
      "}");
  size_t first = 0, last = 0;
  for (int i = 0; i < 20; ++i) {
    if (i > 0) source = StartSource({"--announce", "12"});
    ASSERT_TRUE(source.WaitForFrames(12)) << "after " << i;
    if (i == 1) first = CountFdsOfSluice();
    last = CountFdsOfSluice();
    source.process().Kill();
    ASSERT_TRUE(client_->WaitUntilGone("source"));
  }
  EXPECT_LE(last, first + 1);
  const Json report = Interrupted();
  EXPECT_GE(report["restarts"], 19) << report;
  for (const std::string& sum : Sums()) EXPECT_TRUE(Pictures().contains(sum)) << sum;
}

TEST_F(CaptureTest, GoesOnWhenTheDaemonWasKilledTwentyTimes) {
  Peer source = StartSource({"--announce", "12"});
  Capture(
      "target: source, on_error: { action: restart, attempts: 0, backoff: 20ms, max_backoff: 100ms "
      "}");
  size_t first = 0, last = 0;
  for (int i = 0; i < 20; ++i) {
    if (i > 0) source = StartSource({"--announce", "12"});
    ASSERT_TRUE(source.WaitForFrames(12)) << "after " << i;
    if (i == 1) first = CountFdsOfSluice();
    last = CountFdsOfSluice();
    client_.reset();
    ASSERT_TRUE(daemon().Kill());
    source.process().Kill();
    ASSERT_TRUE(daemon().StartAgain());
    auto client = Client::Connect();
    ASSERT_TRUE(client) << client.error().ToString();
    client_ = std::move(*client);
  }
  EXPECT_LE(last, first + 2);
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
  EXPECT_THAT(NodeOf(report, "cam")["notes"].dump(), HasSubstr("in turn"));
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
