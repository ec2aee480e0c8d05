// The virtual camera and what reads it, over a daemon of the test's own.

#include "tests/pipewire/camera_kit.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/pipewire/client.h"
#include "tests/pipewire/daemon.h"
#include "tests/pipewire/peers.h"

namespace sluice::testing {
namespace {

using std::chrono::milliseconds;

std::size_t CountFds() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    ++count;
  }
  return count;
}

/// How often PipeWire's thread of this process has slept.
uint64_t Sleeps() {
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string word;
    std::ifstream comm(task.path() / "comm");
    if (!(comm >> word) || word != "pipewire") continue;
    std::ifstream status(task.path() / "status");
    uint64_t count = 0;
    while (status >> word) {
      if (word == "voluntary_ctxt_switches:" && status >> count) return count;
    }
  }
  return 0;
}

class CameraTest : public DaemonTest {
 protected:
  void StartCamera(const FedCamera::Options& options = {}) {
    auto client = Client::Connect();
    ASSERT_TRUE(client) << client.error().ToString();
    client_ = std::move(*client);
    camera_ = std::make_unique<FedCamera>(options);
    ASSERT_EQ(camera_->Start(), SLUICE_OK) << camera_->node().error();
  }
  void TearDown() override {
    camera_.reset();
    client_.reset();
    readers_.clear();
    DaemonTest::TearDown();
  }

  /// A reader that is linked; its index.
  std::size_t StartReader(std::vector<std::string> more = {}) {
    const std::string name = "reader-" + std::to_string(readers_.size());
    more.insert(more.begin(), {"sink", "--name", name, "--format", "BGRx"});
    if (std::find(more.begin(), more.end(), "--announce") == more.end()) {
      more.insert(more.end(), {"--announce", "1"});
    }
    auto reader = Peer::Start(more);
    EXPECT_TRUE(reader) << reader.error().ToString();
    readers_.push_back(std::move(*reader));
    auto link = client_->Link("sluice-camera", name);
    EXPECT_TRUE(link) << link.error().ToString();
    return readers_.size() - 1;
  }
  nlohmann::json Ended(std::size_t reader) {
    auto summary = readers_[reader].Ended();
    EXPECT_TRUE(summary) << summary.error().ToString();
    return summary ? *summary : nlohmann::json::object();
  }
  nlohmann::json Stopped(std::size_t reader) {
    auto summary = readers_[reader].Stop();
    EXPECT_TRUE(summary) << summary.error().ToString();
    return summary ? *summary : nlohmann::json::object();
  }
  /// Tells the camera that nobody outside need be waited for.
  void EndSoon() {
    const sluice_node& node = camera_->node().node();
    const auto* ending =
        static_cast<const sluice_ending*>(node.get_extension(node.self, SLUICE_ENDING_ID));
    ASSERT_NE(ending, nullptr);
    ending->soon(node.self);
  }
  /// Leases that the camera keeps are given back.
  bool AllHome() {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (camera_->node().Leaked() != 0 && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(milliseconds(1));
    }
    return camera_->node().Leaked() == 0;
  }

  std::unique_ptr<FedCamera> camera_;
  std::unique_ptr<Client> client_;
  std::vector<Peer> readers_;
};

void ExpectWhole(const nlohmann::json& seen) {
  EXPECT_EQ(seen["rewritten"], 0) << seen;
  EXPECT_EQ(seen["torn"], 0) << seen;
  EXPECT_EQ(seen["without_band"], 0) << seen;
  EXPECT_EQ(seen["unreadable"], 0) << seen;
}

TEST_F(CameraTest, AReaderIsGivenTheGraphsOwnMemory) {
  StartCamera();
  const std::set<uint64_t> inodes = camera_->Inodes();
  const std::size_t reader = StartReader({"--frames", "200"});
  camera_->FeedOn();
  const nlohmann::json seen = Ended(reader);
  ExpectWhole(seen);
  EXPECT_EQ(seen["frames"], 200);
  EXPECT_EQ(seen["memory"].value("MemFd", 0), 200) << seen;
  for (const auto& inode : seen["inodes"]) {
    EXPECT_TRUE(inodes.contains(inode.get<uint64_t>())) << inode;
  }
  camera_->Stop();
  EXPECT_TRUE(camera_->node().copies().empty());
  EXPECT_TRUE(camera_->node().violations().empty());
  EXPECT_EQ(camera_->node().Leaked(), 0u);
}

// One may be taken by a number that lies in the link since before its buffers were made anew.
TEST_F(CameraTest, ABufferSaysThatItIsEmptyUntilAFrameIsInIt) {
  StartCamera();
  const std::size_t reader = StartReader({"--frames", "1"});
  auto buffer = readers_[reader].WaitForEvent("buffer");
  ASSERT_TRUE(buffer) << buffer.error().ToString();
  EXPECT_EQ((*buffer)["empty"], true) << *buffer;
  camera_->FeedOn();
  const nlohmann::json seen = Ended(reader);
  ExpectWhole(seen);
  EXPECT_EQ(seen["frames"], 1) << seen;
}

TEST_F(CameraTest, EightReadersOfWhichSomeAreSlowNeverSeeARewrittenFrame) {
  StartCamera({.buffers = 12, .timeout_ns = 20'000'000'000});
  for (const char* hold : {"0", "1", "0", "2", "0", "1", "0", "3"}) {
    StartReader({"--frames", "300", "--hold", hold});
  }
  camera_->FeedOn();
  for (std::size_t i = 0; i < readers_.size(); ++i) {
    const nlohmann::json seen = Ended(i);
    ExpectWhole(seen);
    EXPECT_EQ(seen["frames"], 300) << seen;
  }
}

TEST_F(CameraTest, AReaderThatComesLateSeesWhatComesThen) {
  StartCamera();
  const std::size_t first = StartReader();
  ASSERT_TRUE(camera_->FeedMany(50));
  const std::size_t second = StartReader({"--frames", "50"});
  camera_->FeedOn();
  const nlohmann::json late = Ended(second);
  ExpectWhole(late);
  EXPECT_GE(late["first_sequence"], 49) << late;
  ExpectWhole(Stopped(first));
}

TEST_F(CameraTest, WithNobodyLinkedTheFrameWaitsAndNothingRuns) {
  StartCamera();
  EXPECT_FALSE(camera_->Feed(milliseconds(200))) << "a frame went nowhere";
  const uint64_t before = Sleeps();
  ASSERT_NE(before, 0u);
  EXPECT_FALSE(camera_->Feed(milliseconds(1'000)));
  EXPECT_EQ(Sleeps(), before) << "the camera's thread was woken";
  EXPECT_EQ(camera_->fed(), 1u) << "the graph did not stand still";

  const std::size_t reader = StartReader({"--frames", "20"});
  camera_->FeedOn();
  const nlohmann::json seen = Ended(reader);
  ExpectWhole(seen);
  // A reader's own loop may still be on its way when the first one is shown.
  EXPECT_LE(seen["first_sequence"], 5) << "the graph went on before";
}

TEST_F(CameraTest, StopsWhileAFrameWaitsForItsFirstReader) {
  StartCamera();
  EXPECT_FALSE(camera_->Feed(milliseconds(50)));
  camera_->Stop();
  EXPECT_EQ(camera_->node().Leaked(), 0u);
  EXPECT_TRUE(camera_->node().violations().empty());
}

TEST_F(CameraTest, AFrameThatWaitsForNobodyIsDroppedWhenTheRunEnds) {
  StartCamera();
  EXPECT_FALSE(camera_->Feed(milliseconds(50)));
  EndSoon();
  EXPECT_TRUE(camera_->Feed()) << "it waits still";
  ASSERT_EQ(camera_->node().drops().size(), 1u);
  EXPECT_EQ(camera_->node().Drain(), SLUICE_PROCESS_END);
}

TEST_F(CameraTest, WhatComesBeforeAnEpochEndsWaitsForNobodyAndInTheNextOneItWaitsAgain) {
  StartCamera();
  for (int epoch = 0; epoch < 2; ++epoch) {
    EndSoon();  // before the first frame: that one opens the camera of a later epoch
    EXPECT_TRUE(camera_->FeedMany(2)) << "a frame of epoch " << epoch << " waits";
    ASSERT_EQ(camera_->NextEpoch(), SLUICE_OK) << camera_->node().error();
  }
  ASSERT_EQ(camera_->node().drops().size(), 4u);
  EXPECT_FALSE(camera_->Feed(milliseconds(0)));
  ASSERT_TRUE(client_->WaitForNode("sluice-camera"));
  const std::size_t reader = StartReader({"--frames", "1"});
  EXPECT_TRUE(camera_->Feed()) << "it was never shown";
  camera_->FeedOn();
  ExpectWhole(Ended(reader));
  EXPECT_EQ(camera_->node().drops().size(), 4u) << "a frame did not wait";
}

TEST_F(CameraTest, FramesGoHomeWhenTheLastReaderLeaves) {
  StartCamera();
  const std::size_t reader = StartReader({"--hold", "2"});
  camera_->FeedOn();
  ASSERT_TRUE(readers_[reader].WaitForFrames(20));
  camera_->Rest();
  ExpectWhole(Stopped(reader));
  ASSERT_TRUE(client_->WaitUntilGone("reader-0"));
  // One may wait for the next reader.
  camera_->Feed(milliseconds(100));
  EXPECT_LE(camera_->node().Leaked(), 1u);
}

TEST_F(CameraTest, TwentyReadersKilledOneAfterAnotherLeaveNothingBehind) {
  StartCamera({.timeout_ns = 300'000'000});
  camera_->FeedOn();
  std::size_t fds = 0;
  for (int i = 0; i < 20; ++i) {
    const std::size_t reader = StartReader({"--hold", "2"});
    ASSERT_TRUE(readers_[reader].WaitForFrames(10)) << i;
    readers_[reader].process().Kill();
    ASSERT_TRUE(client_->WaitUntilGone("reader-" + std::to_string(reader)));
    if (i == 4) fds = CountFds();
  }
  readers_.clear();
  EXPECT_LE(CountFds(), fds);
  const std::size_t last = StartReader({"--frames", "30"});
  ExpectWhole(Ended(last));
  camera_->Stop();
  EXPECT_EQ(camera_->node().Leaked(), 0u);
}

TEST_F(CameraTest, AReaderKilledBesideAnotherTakesItsBuffersWithItForAWhileOnly) {
  StartCamera({.buffers = 8, .timeout_ns = 300'000'000});
  // Nobody listens to it: it would hang in the end, with its pipe full.
  const std::size_t steady = StartReader({"--announce", "0"});
  camera_->FeedOn();
  for (int i = 0; i < 20; ++i) {
    const std::size_t reader = StartReader({"--hold", "2"});
    ASSERT_TRUE(readers_[reader].WaitForFrames(5)) << i;
    readers_[reader].process().Kill();
    ASSERT_TRUE(client_->WaitUntilGone("reader-" + std::to_string(reader)));
  }
  // More than the pool has would be missing by now.
  const std::size_t last = StartReader({"--frames", "30"});
  ExpectWhole(Ended(last));
  ExpectWhole(Stopped(steady));
}

TEST_F(CameraTest, AReaderThatHangsIsNamedAndTheOthersGoOn) {
  StartCamera({.timeout_ns = 300'000'000});
  const std::size_t hung = StartReader();
  const std::size_t steady = StartReader();
  camera_->FeedOn();
  ASSERT_TRUE(readers_[hung].WaitForFrames(20));
  readers_[hung].process().Signal(SIGSTOP);
  // In its hands or not: the other one goes on.
  auto now = readers_[steady].WaitForEvent("frames");
  ASSERT_TRUE(now) << now.error().ToString();
  ASSERT_TRUE(readers_[steady].WaitForFrames((*now)["frames"].get<uint64_t>() + 300));
  readers_[hung].process().Kill();
  ExpectWhole(Stopped(steady));
}

TEST_F(CameraTest, AReaderThatKeepsAFrameTooLongIsNamed) {
  StartCamera({.timeout_ns = 200'000'000});
  const std::size_t hoarder = StartReader({"--hold", "1", "--hold-ms", "60000"});
  const std::size_t steady = StartReader();
  camera_->FeedOn();
  ASSERT_TRUE(readers_[hoarder].WaitForFrames(1));
  ASSERT_TRUE(readers_[steady].WaitForFrames(100));
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!camera_->Said("reader-0") && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(milliseconds(10));
  }
  EXPECT_TRUE(camera_->Said("keeps a frame for longer than 200 ms"));
  EXPECT_TRUE(camera_->Said("reader-0"));
}

TEST_F(CameraTest, TheDaemonsEndIsTheCamerasError) {
  StartCamera();
  StartReader();
  camera_->FeedOn();
  ASSERT_TRUE(readers_[0].WaitForFrames(10));
  ASSERT_TRUE(daemon().Kill());
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (camera_->result() >= 0 && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  camera_->Rest();
  EXPECT_EQ(camera_->result(), SLUICE_E_DEVICE_LOST);
  EXPECT_NE(camera_->node().error().find("the PipeWire daemon is gone"), std::string::npos)
      << camera_->node().error();
  camera_->Stop();
  EXPECT_EQ(camera_->node().Leaked(), 0u);
}

TEST_F(CameraTest, WithNoDaemonItSaysSo) {
  ASSERT_TRUE(daemon().Stop());
  FedCamera camera({});
  EXPECT_EQ(camera.Start(), SLUICE_E_NOT_FOUND);
  EXPECT_NE(camera.node().error().find("PipeWire daemon"), std::string::npos);
}

TEST_F(CameraTest, AReaderOfAnotherFormatIsNamedWithWhatThereIs) {
  StartCamera();
  auto reader = Peer::Start({"sink", "--name", "picky", "--format", "BGRx", "--width", "640"});
  ASSERT_TRUE(reader) << reader.error().ToString();
  readers_.push_back(std::move(*reader));
  client_->Link("sluice-camera", "picky");  // it fails, sooner or later
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!camera_->Said("picky") && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(milliseconds(10));
  }
  EXPECT_TRUE(camera_->Said("picky cannot read the camera sluice-camera"));
  EXPECT_TRUE(camera_->Said("XR24, 320x240, in shared memory"));
}

/// With real dma-bufs: in the guest.
class DmabufCameraTest : public CameraTest {
 protected:
  void SetUp() override {
    if (access("/dev/udmabuf", R_OK | W_OK) != 0) GTEST_SKIP() << "no /dev/udmabuf";
    CameraTest::SetUp();
  }
};

TEST_F(DmabufCameraTest, AReaderIsGivenRealDmabufs) {
  StartCamera({.memory = "dma-buf", .rate = 60});
  const std::size_t reader = StartReader({"--memory", "dmabuf", "--frames", "60"});
  camera_->FeedOn();
  const nlohmann::json seen = Ended(reader);
  ExpectWhole(seen);
  EXPECT_EQ(seen["memory"].value("DmaBuf", 0), 60) << seen;
  EXPECT_EQ(seen["dmabuf"], true) << seen;
  EXPECT_EQ(seen["modifiers"], nlohmann::json::array({0})) << seen;
  camera_->Stop();
  EXPECT_TRUE(camera_->node().copies().empty());
  EXPECT_EQ(camera_->node().Leaked(), 0u);
}

TEST_F(DmabufCameraTest, AReaderOfSharedMemoryAloneIsGivenTheSameBuffersSo) {
  StartCamera({.memory = "auto", .rate = 60});
  const std::size_t reader = StartReader({"--memory", "memfd", "--frames", "60"});
  camera_->FeedOn();
  const nlohmann::json seen = Ended(reader);
  ExpectWhole(seen);
  EXPECT_EQ(seen["memory"].value("MemFd", 0), 60) << seen;
}

// PipeWire negotiates the buffers of a port once.
TEST_F(DmabufCameraTest, AReaderOfSharedMemoryAfterOneOfDmabufsCanReadThese) {
  StartCamera({.memory = "auto", .rate = 60});
  const std::size_t first = StartReader();
  camera_->FeedOn();
  ASSERT_TRUE(readers_[first].WaitForFrames(20));
  const std::size_t second = StartReader({"--memory", "memfd", "--frames", "60"});
  ExpectWhole(Ended(second));
  const nlohmann::json other = Stopped(first);
  ExpectWhole(other);
  EXPECT_GT(other["memory"].value("DmaBuf", 0), 0) << other;
}

}  // namespace
}  // namespace sluice::testing
