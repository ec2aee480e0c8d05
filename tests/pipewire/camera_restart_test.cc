// A virtual camera whose daemon is killed: the graph of `sluice run` goes on with the next one.

#include <signal.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/pipewire/client.h"
#include "tests/pipewire/counts.h"
#include "tests/pipewire/daemon.h"
#include "tests/pipewire/peers.h"
#include "tests/pipewire/process.h"

namespace sluice::testing {
namespace {

using Json = nlohmann::json;

constexpr int kKills = 20;

class CameraRestartTest : public DaemonTest {
 protected:
  void SetUp() override {
    DaemonTest::SetUp();
    if (IsSkipped()) return;
    folder_ = ::testing::TempDir();
    Connect();
  }

  void Connect() {
    auto client = Client::Connect();
    ASSERT_TRUE(client) << client.error().ToString();
    client_ = std::move(*client);
  }

  void StartCamera() {
    const std::string graph = folder_ + "/graph.yaml";
    std::ofstream(graph)
        << "sluice: 1\nnodes:\n"
           "  pictures: { type: core.testsrc, size: 320x240, rate: 120 }\n"
           "  camera: { type: pipewire.camera, name: restarted, on_error: "
           "{ action: restart, attempts: 0, backoff: 20ms, max_backoff: 100ms } }\n"
           "edges:\n  - pictures -> camera\n";
    auto sluice =
        Process::Start({"engine/cli/sluice", "run", "--force", "--report", ReportFile(), graph});
    ASSERT_TRUE(sluice) << sluice.error().ToString();
    sluice_ = std::move(*sluice);
  }

  /// One that has seen `frames` frames of the camera, some of which it keeps.
  Peer ReaderInMidStream(uint64_t frames) {
    auto reader = Peer::Start(
        {"sink", "--name", "reader", "--announce", "1", "--no-band", "--any-size", "--hold", "2"});
    EXPECT_TRUE(reader) << reader.error().ToString();
    if (!reader) return {};
    auto link = client_->Link("restarted", "reader");
    EXPECT_TRUE(link) << link.error().ToString();
    EXPECT_TRUE(reader->WaitForFrames(frames));
    return std::move(*reader);
  }

  std::size_t CountFdsOfSluice() const {
    std::error_code gone;
    std::size_t count = 0;
    const std::string folder = "/proc/" + std::to_string(sluice_.pid()) + "/fd";
    for (std::filesystem::directory_iterator entry(folder, gone), end; !gone && entry != end;
         entry.increment(gone)) {
      ++count;
    }
    return count;
  }

  std::string ReportFile() const { return folder_ + "/report.json"; }
  Json Interrupted() {
    sluice_.Signal(SIGINT);
    auto status = sluice_.Wait();
    EXPECT_TRUE(status && (*status == 0 || *status == 130)) << (status ? *status : -1);
    std::ifstream file(ReportFile());
    return Json::parse(std::string(std::istreambuf_iterator<char>(file), {}), nullptr, false);
  }

  std::unique_ptr<Client> client_;
  Process sluice_;
  std::string folder_;
};

TEST_F(CameraRestartTest, TheCameraComesBackAfterEachOfTwentyKillsOfTheDaemon) {
  StartCamera();
  std::vector<std::size_t> fds;
  for (int i = 0; i < kKills; ++i) {
    Peer reader = ReaderInMidStream(10);
    ASSERT_FALSE(HasFailure()) << "after " << i << " kills";
    fds.push_back(CountFdsOfSluice());
    // In mid-stream: frames are with the reader, and one more is under way.
    ASSERT_TRUE(daemon().Kill());
    client_.reset();
    reader.process().Kill();
    ASSERT_TRUE(daemon().StartAgain());
    Connect();
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_TRUE(StaysConstant(fds)) << ::testing::PrintToString(fds);
  {
    Peer last = ReaderInMidStream(30);
    const auto seen = last.Stop();
    ASSERT_TRUE(seen) << seen.error().ToString();
    EXPECT_EQ((*seen)["rewritten"], 0) << *seen;
  }
  const Json report = Interrupted();
  EXPECT_GE(report["restarts"], kKills) << report;
  EXPECT_EQ(report["bytes_copied"], 0) << report;
  ASSERT_FALSE(report["pools"].empty());
  // A lease that each kill lost would have emptied the pool long before.
  for (const Json& pool : report["pools"]) {
    EXPECT_EQ(pool["outstanding"], 0) << report;
    EXPECT_LT(pool["buffers"], kKills) << report;
  }
}

}  // namespace
}  // namespace sluice::testing
