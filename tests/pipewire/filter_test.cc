// A part of a graph as a node of PipeWire with an input and an output: pipewire.filter_in and filter_out.

#include <signal.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
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

using ::testing::HasSubstr;
using Json = nlohmann::json;

constexpr const char* kIn = "fin: { type: pipewire.filter_in, name: flt, size: 320x240, format: AB24 }";
constexpr const char* kOut = "fout: { type: pipewire.filter_out, name: flt }";

class FilterTest : public DaemonTest {
 protected:
  void SetUp() override {
    DaemonTest::SetUp();
    if (IsSkipped()) return;
    folder_ = ::testing::TempDir() + "/" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(folder_);
    ConnectClient();
  }

  void ConnectClient() {
    auto client = Client::Connect();
    ASSERT_TRUE(client) << client.error().ToString();
    client_ = std::move(*client);
  }

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }

  std::string Write(const std::vector<std::string>& nodes, const std::string& edges) const {
    std::ofstream graph(Path("graph.yaml"));
    graph << "sluice: 1\nnodes:\n";
    for (const std::string& node : nodes) graph << "  " << node << "\n";
    graph << "edges:\n  - " << edges << "\n";
    return Path("graph.yaml");
  }

  void Run(const std::vector<std::string>& nodes, const std::string& edges = "fin -> fout") {
    auto sluice = Process::Start({"engine/cli/sluice", "run", "--force", "--report", Path("report.json"),
                                  Write(nodes, edges)});
    ASSERT_TRUE(sluice) << sluice.error().ToString();
    sluice_ = std::move(*sluice);
  }
  /// Exit status 0; what it reports.
  Json Stop() {
    sluice_.Signal(SIGINT);
    auto status = sluice_.Wait();
    EXPECT_TRUE(status && (*status == 0 || *status == 130)) << (status ? *status : -1);
    std::ifstream file(Path("report.json"));
    return Json::parse(std::string(std::istreambuf_iterator<char>(file), {}), nullptr, false);
  }
  /// What a command of the shell says, on both its outputs.
  static std::string Say(const std::string& command) {
    auto process = Process::Start({"sh", "-c", command + " 2>&1"});
    EXPECT_TRUE(process);
    auto said = process ? process->ReadAll() : Result<std::string>("");
    return said ? *said : said.error().ToString();
  }

  Peer StartPeer(std::vector<std::string> arguments) {
    auto peer = Peer::Start(std::move(arguments));
    EXPECT_TRUE(peer) << peer.error().ToString();
    return peer ? std::move(*peer) : Peer();
  }
  /// A camera that makes the next frame as soon as the last is through.
  Peer StartSource(const std::string& name = "source") {
    return StartPeer({"source", "--name", name, "--lockstep"});
  }
  Peer StartSink(const std::string& name = "sink", std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"sink", "--name", name, "--announce", "1", "--sync"});
    return StartPeer(more);
  }
  void Link(const std::string& from, const std::string& to) {
    auto link = client_->Link(from, to);
    ASSERT_TRUE(link) << link.error().ToString();
  }

  std::unique_ptr<Client> client_;
  Process sluice_;
  std::string folder_;
};

void ExpectWhole(const Json& seen) {
  EXPECT_EQ(seen["torn"], 0) << seen;
  EXPECT_EQ(seen["rewritten"], 0) << seen;
  EXPECT_EQ(seen["without_band"], 0) << seen;
  EXPECT_EQ(seen["repeated"], 0) << seen;
  EXPECT_EQ(seen["status"], 0) << seen;
}

TEST_F(FilterTest, IsOneNodeWithAnInputAndAnOutput) {
  Run({kOut,
       "zin: { type: pipewire.filter_in, name: flt, description: For people, size: 320x240,"
       " format: AB24 }"},
      "zin -> fout");
  auto node = client_->WaitForNode("flt");
  ASSERT_TRUE(node) << node.error().ToString();
  EXPECT_EQ(node->property("node.description"), "For people");
  ASSERT_TRUE(client_->WaitUntil("both ports", [&] {
    for (const NodeSeen& seen : client_->nodes()) {
      if (seen.name() == "flt") return seen.inputs.size() == 1 && seen.outputs.size() == 1;
    }
    return false;
  }));
  Stop();
  EXPECT_TRUE(client_->WaitUntilGone("flt"));
}

TEST_F(FilterTest, IsPatchedWithPwLink) {
  Run({kIn, kOut});
  Peer source = StartSource();
  Peer sink = StartSink("sink", {"--frames", "100"});
  ASSERT_TRUE(client_->WaitForNode("flt") && client_->WaitForNode("source") &&
              client_->WaitForNode("sink"));
  EXPECT_EQ(Say("pw-link source:capture_1 flt:input && pw-link flt:output sink:input_1"), "");
  auto seen = sink.Ended();
  ASSERT_TRUE(seen) << seen.error().ToString();
  EXPECT_EQ((*seen)["frames"], 100);
  ExpectWhole(*seen);
  source.Stop();
  const Json report = Stop();
  ASSERT_EQ(report["copies"].size(), 1u) << "what leaves is read where it is: " << report["copies"];
  EXPECT_THAT(report["copies"][0].dump(), HasSubstr("come and go with their links"));
}

TEST_F(FilterTest, ASourceOfAnotherSizeIsRefusedByItsLinkAlone) {
  Run({kIn, kOut});
  Peer wrong = StartPeer({"source", "--name", "wrong", "--width", "640", "--height", "480"});
  auto link = client_->Link("wrong", "flt");
  EXPECT_FALSE(link && client_->WaitForLinkState(*link, "active"));
  Peer source = StartSource();
  Peer sink = StartSink("sink", {"--frames", "20"});
  Link("source", "flt");
  Link("flt", "sink");
  auto seen = sink.Ended();
  ASSERT_TRUE(seen) << seen.error().ToString();
  ExpectWhole(*seen);
  Stop();
}

TEST_F(FilterTest, FramesGoThroughTheGpu) {
  Run({kIn, kOut, "look: { type: vulkan.look, look: noir }"}, "fin -> look -> fout");
  Peer source = StartSource();
  Peer sink = StartSink("sink", {"--frames", "30", "--no-band"});
  Link("source", "flt");
  Link("flt", "sink");
  auto seen = sink.Ended();
  ASSERT_TRUE(seen) << seen.error().ToString();
  EXPECT_EQ((*seen)["frames"], 30) << *seen;
  EXPECT_EQ((*seen)["rewritten"], 0) << *seen;
  Stop();
}

// One may be taken by a number that lies in the link since before its buffers were made anew.
TEST_F(FilterTest, ABufferOfItsOutputSaysThatItIsEmptyUntilAFrameIsInIt) {
  Run({kIn, kOut});
  Peer sink = StartSink("sink", {"--frames", "1"});
  Link("flt", "sink");
  auto buffer = sink.WaitForEvent("buffer");
  ASSERT_TRUE(buffer) << buffer.error().ToString();
  EXPECT_EQ((*buffer)["empty"], true) << *buffer;
  Peer source = StartSource();
  Link("source", "flt");
  auto seen = sink.Ended();
  ASSERT_TRUE(seen) << seen.error().ToString();
  ExpectWhole(*seen);
  Stop();
}

TEST_F(FilterTest, SlowReadersSeeNoFrameRewritten) {
  Run({kIn, kOut});
  Peer source = StartSource();
  Peer keeps_three = StartSink("keeps-three", {"--frames", "150", "--hold", "3"});
  Peer keeps_none = StartSink("keeps-none", {"--frames", "150"});
  Link("flt", "keeps-three");
  Link("flt", "keeps-none");
  Link("source", "flt");
  for (Peer* sink : {&keeps_three, &keeps_none}) {
    auto seen = sink->Ended();
    ASSERT_TRUE(seen) << seen.error().ToString();
    ExpectWhole(*seen);
  }
  Stop();
}

TEST_F(FilterTest, AnotherSourceTakesOverWhenOneIsKilled) {
  Run({kIn, kOut});
  Peer first = StartSource("first");
  Peer sink = StartSink();
  Link("flt", "sink");
  Link("first", "flt");
  ASSERT_TRUE(sink.WaitForFrames(20));
  first.process().Kill();
  ASSERT_TRUE(client_->WaitUntilGone("first"));
  Peer second = StartSource("second");
  Link("second", "flt");
  // A source counts its own frames: these are too many to be left over from before.
  EXPECT_TRUE(sink.WaitForFrames(60));
  Stop();
}

TEST_F(FilterTest, AnotherSinkTakesOverWhenOneIsKilledHoldingFrames) {
  Run({kIn, kOut});
  Peer source = StartSource();
  Link("source", "flt");
  for (int i = 0; i < 3; ++i) {
    const std::string name = "killed-" + std::to_string(i);
    Peer killed = StartSink(name, {"--hold", "3"});
    Link("flt", name);
    ASSERT_TRUE(killed.WaitForFrames(10));
    killed.process().Kill();
    ASSERT_TRUE(client_->WaitUntilGone(name));
  }
  Peer sink = StartSink("sink", {"--frames", "50"});
  Link("flt", "sink");
  auto seen = sink.Ended();
  ASSERT_TRUE(seen) << seen.error().ToString();
  ExpectWhole(*seen);
  Stop();
}

TEST_F(FilterTest, SinksKilledBesideAnotherTakeTheirFramesWithThemForAWhileOnly) {
  Run({kIn, kOut});
  Peer source = StartSource();
  Peer steady = StartSink("steady");
  Link("flt", "steady");
  Link("source", "flt");
  // Each keeps three: more than the pool has would be missing by the end.
  for (int i = 0; i < 10; ++i) {
    const std::string name = "killed-" + std::to_string(i);
    Peer killed = StartSink(name, {"--hold", "3"});
    Link("flt", name);
    ASSERT_TRUE(killed.WaitForFrames(5)) << i;
    killed.process().Kill();
    ASSERT_TRUE(client_->WaitUntilGone(name));
  }
  Peer last = StartSink("last", {"--frames", "50"});
  Link("flt", "last");
  auto seen = last.Ended();
  ASSERT_TRUE(seen) << seen.error().ToString();
  ExpectWhole(*seen);
  auto others = steady.Stop();
  ASSERT_TRUE(others) << others.error().ToString();
  ExpectWhole(*others);
  const Json report = Stop();
  for (const Json& pool : report["pools"]) EXPECT_EQ(pool["outstanding"], 0) << report;
}

TEST_F(FilterTest, ComesBackWithTheDaemonWhereItsPolicySaysSo) {
  Run({"fin: { type: pipewire.filter_in, name: flt, size: 320x240, format: AB24,"
       " on_error: { action: restart, attempts: 0, backoff: 20ms, max_backoff: 100ms } }",
       kOut});
  {
    // It runs: what fails before that is not begun anew.
    Peer source = StartSource();
    Peer sink = StartSink();
    Link("source", "flt");
    Link("flt", "sink");
    ASSERT_TRUE(sink.WaitForFrames(5));
  }
  ASSERT_TRUE(daemon().Kill());
  ASSERT_TRUE(daemon().StartAgain());
  ConnectClient();
  ASSERT_TRUE(client_->WaitForNode("flt"));
  Peer source = StartSource();
  Peer sink = StartSink("sink", {"--frames", "20"});
  Link("source", "flt");
  Link("flt", "sink");
  auto seen = sink.Ended();
  ASSERT_TRUE(seen) << seen.error().ToString();
  ExpectWhole(*seen);
  EXPECT_GE(Stop()["restarts"], 1);
}

TEST_F(FilterTest, EndsWithTheDaemonWhereNoPolicySaysOtherwise) {
  Run({kIn, kOut});
  ASSERT_TRUE(client_->WaitForNode("flt"));
  ASSERT_TRUE(daemon().Kill());
  auto status = sluice_.Wait();
  ASSERT_TRUE(status) << status.error().ToString();
  EXPECT_NE(*status, 0);
}

TEST_F(FilterTest, HalfAPairIsRefusedByName) {
  const std::string graph = Write({kIn, "sink: { type: core.null }"}, "fin -> sink");
  EXPECT_THAT(Say("engine/cli/sluice run " + graph),
              HasSubstr("a pipewire.filter_out with name: flt is missing"));
}

TEST_F(FilterTest, ANameIsThatOfOnePair) {
  const std::string graph =
      Write({kIn, kOut, "again: { type: pipewire.filter_in, name: flt }", "sink: { type: core.null }"},
            "fin -> fout\n  - again -> sink");
  EXPECT_THAT(Say("engine/cli/sluice run " + graph),
              HasSubstr("there is another pipewire.filter_in of the name 'flt'"));
}

}  // namespace
}  // namespace sluice::testing
