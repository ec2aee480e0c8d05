// A virtual camera that changes to what its readers need.

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/pipewire/capture_kit.h"

namespace sluice::testing {
namespace {

using ::testing::HasSubstr;

constexpr char kPicture[] = "core.testsrc, size: 320x240, rate: 60";

class CameraFollowTest : public CaptureTest {
 protected:
  CameraFollowTest() = default;
  explicit CameraFollowTest(Daemon::Options options) : CaptureTest(std::move(options)) {}

  void StartCamera(const std::string& source, const std::string& more = ", follow: true") {
    Run("sluice: 1\nnodes:\n  pictures: { type: " + source +
        " }\n  camera: { type: pipewire.camera, name: follower" + more +
        " }\nedges:\n  - pictures -> camera\n");
    auto camera = client_->WaitForNode("follower");
    ASSERT_TRUE(camera) << camera.error().ToString();
  }
  Peer StartReader(const std::string& name, std::vector<std::string> more) {
    more.insert(more.begin(), {"sink", "--name", name, "--no-band", "--announce", "1"});
    auto reader = Peer::Start(std::move(more));
    EXPECT_TRUE(reader) << reader.error().ToString();
    return reader ? std::move(*reader) : Peer();
  }
  /// Links, and waits until PipeWire has given it up.
  void ExpectRefused(const std::string& reader) {
    const auto link = client_->Link("follower", reader);
    if (!link) return;  // It failed before it was seen.
    const auto refused = client_->WaitUntil("the link's end", [&] {
      for (const LinkSeen& one : client_->links()) {
        if (one.id == *link) return one.state == "error";
      }
      return true;
    });
    EXPECT_TRUE(refused) << refused.error().ToString();
  }
  static Json Seen(Peer& reader) {
    auto seen = reader.Ended();
    EXPECT_TRUE(seen) << seen.error().ToString();
    return seen ? *seen : Json::object();
  }
};

TEST_F(CameraFollowTest, AReaderOfOtherPixelsIsGivenThemByANewEpoch) {
  StartCamera(kPicture);
  for (const std::string format : {"YUY2", "BGRx", "NV12", "YUY2"}) {
    Peer reader = StartReader(
        "reader", {"--format", format, "--width", "320", "--height", "240", "--frames", "20"});
    ASSERT_TRUE(client_->Link("follower", "reader"));
    const Json seen = Seen(reader);
    EXPECT_EQ(seen["frames"], 20) << format << seen;
    EXPECT_EQ(seen["format"], format) << seen;
    EXPECT_EQ(seen["rewritten"], 0) << seen;
    ASSERT_TRUE(client_->WaitUntilGone("reader"));
  }
  const Json report = Interrupted();
  EXPECT_GE(report["epochs"], 4) << report;
  EXPECT_EQ(report["bytes_copied"], 0) << report;
  for (const Json& pool : report["pools"]) EXPECT_EQ(pool["outstanding"], 0) << report;
}

TEST_F(CameraFollowTest, WhatTheGraphCannotGiveIsRefusedByNameAndTheCameraGoesOn) {
  StartCamera(kPicture);
  for (int i = 0; i < 2; ++i) {
    Peer large = StartReader("large", {"--width", "640", "--height", "480"});
    ExpectRefused("large");
    large.process().Kill();
    ASSERT_TRUE(client_->WaitUntilGone("large"));
  }
  Peer reader = StartReader("reader", {"--width", "320", "--height", "240", "--frames", "20"});
  ASSERT_TRUE(client_->Link("follower", "reader"));
  EXPECT_EQ(Seen(reader)["frames"], 20);
  const Json report = Interrupted();
  const std::string notes = NodeOf(report, "camera")["notes"].dump();
  EXPECT_THAT(notes, HasSubstr("large needs "));
  EXPECT_THAT(notes, HasSubstr("640x480 from the camera follower, which this graph cannot give"));
  // The same wish is not tried twice.
  EXPECT_LE(report["epochs"], 2) << report;
}

TEST_F(CameraFollowTest, WhileSomebodyReadsItsFormatStays) {
  StartCamera(kPicture);
  Peer first = StartReader("first", {"--format", "YUY2", "--width", "320", "--height", "240"});
  ASSERT_TRUE(client_->Link("follower", "first"));
  ASSERT_TRUE(first.WaitForFrames(20));
  // PipeWire 1.4.2 does not ask the second reader of a port what it can do, but tells it.
  Peer second = StartReader(
      "second", {"--format", "BGRx", "--width", "320", "--height", "240", "--frames", "30"});
  ASSERT_TRUE(client_->Link("follower", "second"));
  EXPECT_EQ(Seen(second)["format"], "YUY2");
  auto now = first.WaitForEvent("frames");
  ASSERT_TRUE(now) << now.error().ToString();
  EXPECT_TRUE(first.WaitForFrames((*now)["frames"].get<uint64_t>() + 50));
  const auto seen = first.Stop();
  ASSERT_TRUE(seen) << seen.error().ToString();
  EXPECT_EQ((*seen)["rewritten"], 0) << *seen;
  // The first one's own: from the graph's first format to what it needs.
  EXPECT_EQ(Interrupted()["epochs"], 2);
}

TEST_F(CameraFollowTest, WhatAReaderNeedsDoesNotWaitForACameraThatNobodyWatches) {
  Run(std::string("sluice: 1\nnodes:\n  pictures: { type: ") + kPicture +
      " }\n  camera: { type: pipewire.camera, name: follower, follow: true }\n"
      "  lonely: { type: pipewire.camera, name: lonely }\n"
      "edges:\n  - pictures -> camera\n  - pictures -> lonely\n");
  ASSERT_TRUE(client_->WaitForNode("follower") && client_->WaitForNode("lonely"));
  // One frame goes out before the other camera holds the graph up again.
  Peer reader = StartReader(
      "reader", {"--format", "YUY2", "--width", "320", "--height", "240", "--frames", "1"});
  ASSERT_TRUE(client_->Link("follower", "reader"));
  const Json seen = Seen(reader);
  EXPECT_EQ(seen["frames"], 1) << seen;
  EXPECT_EQ(seen["format"], "YUY2") << seen;
  const Json report = Interrupted();
  EXPECT_EQ(report["errors"].size(), 0u) << report["errors"];
  EXPECT_EQ(report["epochs"], 2) << report;
  EXPECT_THAT(NodeOf(report, "lonely")["drops"].dump(), HasSubstr("nobody looked")) << report;
}

TEST_F(CameraFollowTest, WithoutTheSettingItDoesNot) {
  StartCamera(kPicture, "");
  Peer other = StartReader("other", {"--format", "YUY2", "--width", "320", "--height", "240"});
  ExpectRefused("other");
  other.process().Kill();
  ASSERT_TRUE(client_->WaitUntilGone("other"));
  // The camera hears of this one behind the other's end, of which the test may hear before it.
  Peer reader = StartReader("reader", {"--width", "320", "--height", "240", "--frames", "20"});
  ASSERT_TRUE(client_->Link("follower", "reader"));
  EXPECT_EQ(Seen(reader)["frames"], 20);
  const Json report = Interrupted();
  EXPECT_EQ(report["epochs"], 1) << report;
  EXPECT_THAT(NodeOf(report, "camera")["notes"].dump(), HasSubstr("cannot read the camera"));
}

/// Links are the session manager's: one that fails then fails the camera's end, too.
class SessionCameraTest : public CameraFollowTest {
 protected:
  SessionCameraTest() : CameraFollowTest({.session_manager = true}) {}

  /// Of the camera's node; ids are given out again.
  std::string Serial() {
    auto camera = client_->WaitForNode("follower");
    EXPECT_TRUE(camera) << camera.error().ToString();
    return camera ? camera->property("object.serial") : "";
  }
  Peer StartTargeted(const std::string& name, std::vector<std::string> more) {
    more.insert(more.begin(),
                {"--target", "follower", "--format", "BGRx", "--width", "320", "--height", "240"});
    return StartReader(name, std::move(more));
  }
};

TEST_F(SessionCameraTest, AReaderThatCannotTakeTheBuffersIsNamedAndTheNextOneReads) {
  StartCamera(std::string(kPicture) + ", format: XR24", "");
  for (int i = 0; i < 2; ++i) {
    const std::string before = Serial();
    Peer picky = StartTargeted("picky", {"--stride", "1300"});
    EXPECT_THAT(Seen(picky)["end"], HasSubstr("error alloc buffers"));
    ASSERT_TRUE(client_->WaitUntilGone("picky"));
    // The second time it takes a second.
    ASSERT_TRUE(client_->WaitUntil("another node", [&] {
      const std::vector<NodeSeen> nodes = client_->nodes();
      return std::none_of(nodes.begin(), nodes.end(), [&](const NodeSeen& node) {
        return node.property("object.serial") == before;
      });
    }));
  }
  Serial();
  Peer reader = StartTargeted("reader", {"--frames", "20"});
  const Json seen = Seen(reader);
  EXPECT_EQ(seen["frames"], 20) << seen;
  EXPECT_EQ(seen["torn"], 0) << seen;
  EXPECT_EQ(seen["rewritten"], 0) << seen;
  const Json report = Interrupted();
  EXPECT_THAT(NodeOf(report, "camera")["notes"].dump(),
              HasSubstr("picky cannot read the camera follower"));
  EXPECT_EQ(report["restarts"], 0) << report;
  for (const Json& pool : report["pools"]) EXPECT_EQ(pool["outstanding"], 0) << report;
}

class CameraOfACameraTest : public CameraFollowTest {
 protected:
  CameraOfACameraTest() : CameraFollowTest({.test_camera = true}) {}
};

TEST_F(CameraOfACameraTest, AnotherSizeComesFromTheCameraBehind) {
  StartCamera("pipewire.capture, target: test-camera");
  // A second Sluice process as the reader.
  const std::string report_file = Path("reader.json");
  const std::string graph = Path("reader.yaml");
  std::ofstream(graph) << "sluice: 1\nnodes:\n  camera: { type: pipewire.capture, target: "
                          "follower, size: 400x224, frames: 20 }\n  out: { type: core.null }\n"
                          "edges:\n  - camera -> out\n";
  auto reader =
      Process::Start({"engine/cli/sluice", "run", "--force", "--report", report_file, graph});
  ASSERT_TRUE(reader) << reader.error().ToString();
  auto status = reader->Wait();
  ASSERT_TRUE(status && *status == 0) << (status ? *status : -1);
  std::ifstream file(report_file);
  const Json seen =
      Json::parse(std::string(std::istreambuf_iterator<char>(file), {}), nullptr, false);
  EXPECT_EQ(NodeOf(seen, "camera")["frames_out"], 20) << seen;
  EXPECT_THAT(seen["pools"].dump(), HasSubstr("400x224"));
  EXPECT_EQ(seen["bytes_copied"], 0) << seen;
  const Json report = Interrupted();
  EXPECT_GE(report["epochs"], 2) << report;
  EXPECT_THAT(report["pools"].dump(), HasSubstr("400x224"));
}

}  // namespace
}  // namespace sluice::testing
