// `run` and `plan` as the user sees them: streams, exit statuses, signals, files.

#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/cli/command.h"

namespace sluice::testing {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Json = nlohmann::json;

constexpr char kShort[] = R"(
sluice: 1
name: short
params: { frames: 5 }
nodes:
  source: { type: core.testsrc, size: 64x36, frames: "${frames}" }
  sum: { type: core.checksum, path: sums.txt }
edges: [source -> sum]
)";

constexpr char kEndless[] = R"(
sluice: 1
name: endless
nodes:
  source: { type: core.testsrc, size: 64x36 }
  sum: { type: core.checksum, path: sums.txt }
edges: [source -> sum]
)";

class RunTest : public CommandTest {};

TEST_F(RunTest, PrintsTheReportOnStdoutAndNothingElse) {
  const Outcome outcome = Sluice({"run", Write("graph.yaml", kShort)});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.err, "");
  EXPECT_THAT(outcome.out, StartsWith("short: done after "));
  EXPECT_THAT(outcome.out, HasSubstr("bytes copied: 0\n"));
  EXPECT_THAT(Files(), ElementsAre("graph.yaml", "sums.txt"));
}

TEST_F(RunTest, JsonIsOneObjectAloneOnStdout) {
  const Outcome outcome =
      Sluice({"run", "--json", "--set", "frames=7", Write("graph.yaml", kShort)});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json json = Json::parse(outcome.out, nullptr, false);
  ASSERT_TRUE(json.is_object()) << outcome.out;
  EXPECT_EQ(json["result"], "done");
  EXPECT_EQ(json["bytes_copied"], 0);
  EXPECT_EQ(json["nodes"][1]["name"], "sum");
  EXPECT_EQ(json["nodes"][1]["frames_in"], 7);
}

TEST_F(RunTest, FramesASecondAreThoseAfterTheFirstSoOneFrameHasNone) {
  const std::string graph = Write("graph.yaml", kShort);
  for (const auto& [frames, has_rate] : {std::pair("frames=1", false), {"frames=5", true}}) {
    const Outcome outcome = Sluice({"run", "--json", "--force", "--set", frames, graph});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    const Json report = Json::parse(outcome.out, nullptr, false);
    for (const Json& node : report["nodes"]) EXPECT_EQ(node["fps"] > 0, has_rate) << node;
  }
}

TEST_F(RunTest, QuietSaysNothingOfAGoodRun) {
  const Outcome outcome = Sluice({"run", "-q", Write("graph.yaml", kShort)});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err, "");
}

TEST_F(RunTest, ReadsChangesOfParametersAndSaysWhatIsWrongWithThem) {
  const std::string endless = R"(sluice: 1
name: endless
nodes:
  test: { type: core.testsrc, frames: 0 }
  sink: { type: core.null }
edges: [ test -> sink ]
)";
  const Outcome outcome =
      Sluice({.arguments = {"run", "-q", "--stop-after", "500ms", "--control", "-",
                            Write("graph.yaml", endless)},
              .stdin_text = "nonsense\nnobody.x: 1\ntest.frames: 7"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("--control: 'nonsense': expected NODE.PARAM: VALUE"));
  EXPECT_THAT(outcome.err, HasSubstr("--control: no node 'nobody'"));
  EXPECT_THAT(outcome.err, HasSubstr("test.frames does not change while the graph runs"));
}

TEST_F(RunTest, ControlFromAFileThatIsNotThereIsAUsageError) {
  const Outcome outcome = Sluice({"run", "--control", "no-such-fifo", Write("graph.yaml", kShort)});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("--control: no-such-fifo: "));
}

TEST_F(RunTest, ReadsTheGraphFromStdin) {
  const Outcome outcome = Sluice({.arguments = {"run", "-q", "-"}, .stdin_text = kShort});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(Exists("sums.txt"));
}

TEST_F(RunTest, AnExistingOutputIsAnErrorWithoutForce) {
  const std::string graph = Write("graph.yaml", kShort);
  Write("sums.txt", "mine");
  const Outcome outcome = Sluice({"run", graph});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("sums.txt"));
  EXPECT_EQ(Read("sums.txt"), "mine");
  EXPECT_EQ(Sluice({"run", "--force", "-q", graph}).exit_code, 0);
  EXPECT_NE(Read("sums.txt"), "mine");
}

TEST_F(RunTest, WritesTheReportToAFileToo) {
  const std::string graph = Write("graph.yaml", kShort);
  ASSERT_EQ(Sluice({"run", "-q", "--report", "report.json", graph}).exit_code, 0);
  EXPECT_EQ(Json::parse(Read("report.json"), nullptr, false)["result"], "done");
  EXPECT_THAT(Files(), ElementsAre("graph.yaml", "report.json", "sums.txt"));
}

TEST_F(RunTest, RefusesAReportThatExistsBeforeItRuns) {
  const std::string graph = Write("graph.yaml", kShort);
  Write("report.json", "mine");
  const Outcome outcome = Sluice({"run", "--report", "report.json", graph});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("report.json exists; --force replaces it"));
  EXPECT_THAT(Files(), ElementsAre("graph.yaml", "report.json"));
}

TEST_F(RunTest, AMissingInputFileIsTheGraphsFault) {
  const std::string graph = Write("graph.yaml", R"(
sluice: 1
nodes: { clip: { type: ffmpeg.read, path: no-such-clip.mp4 }, end: { type: core.null } }
edges: [clip -> end]
)");
  const Outcome outcome = Sluice({"run", graph});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("node 'clip'"));
  EXPECT_THAT(outcome.err, HasSubstr("no-such-clip.mp4"));
}

TEST_F(RunTest, AnOutputThatCannotBeMadeIsAnErrorAndLeavesNothing) {
  const std::string graph = Write("graph.yaml", R"(
sluice: 1
nodes:
  source: { type: core.testsrc, size: 64x36, frames: 5 }
  sum: { type: core.checksum, path: no/such/folder/sums.txt }
edges: [source -> sum]
)");
  const Outcome outcome = Sluice({"run", graph});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("no/such/folder"));
  EXPECT_THAT(Files(), ElementsAre("graph.yaml"));
}

TEST_F(RunTest, WithoutAVulkanDriverTheMachineLacksSomethingAndTheMessageSaysWhatToInstall) {
  const std::string graph = Write("graph.yaml", R"(
sluice: 1
nodes:
  source: { type: core.testsrc, size: 64x36, frames: 5 }
  look: { type: vulkan.look, look: noir }
  end: { type: core.null }
edges: [source -> look -> end]
)");
  for (const char* command : {"run", "plan"}) {
    const Outcome outcome = Sluice(
        {.arguments = {command, graph}, .environment = {"VK_ICD_FILENAMES=/no/such/driver.json"}});
    EXPECT_EQ(outcome.exit_code, 3) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("mesa-vulkan-drivers"));
  }
}

TEST_F(RunTest, StopAfterDrainsAndIsNoInterruption) {
  const Outcome outcome =
      Sluice({"run", "--stop-after", "200ms", "--json", Write("graph.yaml", kEndless)});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(Json::parse(outcome.out, nullptr, false)["result"], "stopped");
  EXPECT_TRUE(Exists("sums.txt"));
}

TEST_F(RunTest, ProgressIsSilentInAPipeUnlessAskedFor) {
  const std::string graph = Write("graph.yaml", kEndless);
  EXPECT_EQ(Sluice({"run", "--stop-after", "300ms", graph}).err, "");
  const Outcome outcome =
      Sluice({"run", "--force", "--progress=always", "--stop-after", "300ms", graph});
  EXPECT_THAT(outcome.err, HasSubstr(" fps"));
}

TEST_F(RunTest, ATerminalGetsOneLineThatIsRewrittenAndWiped) {
  const Outcome outcome =
      Sluice({.arguments = {"run", "--stop-after", "300ms", Write("graph.yaml", kEndless)},
              .environment = {"TERM=xterm"},
              .stderr_is_terminal = true});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.err, StartsWith("\r\x1b[Kframe "));
  EXPECT_THAT(outcome.err, EndsWith("\r\x1b[K"));
  EXPECT_THAT(outcome.err, Not(HasSubstr("\n")));
}

TEST_F(RunTest, ANameThatIsNotUtf8BreaksNeitherTheJsonNorTheTerminal) {
  const std::string graph = Write("graph.yaml", R"(
sluice: 1
params: { sums: sums.txt }
nodes:
  source: { type: core.testsrc, size: 64x36, frames: 5 }
  sum: { type: core.checksum, path: "${sums}" }
edges: [source -> sum]
)");
  const Outcome outcome =
      Sluice({"run", "--json", "--set", "sums=no/such\xff\x1b[31m/sums.txt", graph});
  EXPECT_THAT(outcome.exit_code, AnyOf(1, 2));
  EXPECT_EQ(outcome.signal, 0);
  EXPECT_THAT(outcome.err, HasSubstr("no/such"));
  EXPECT_THAT(outcome.err, Not(HasSubstr("\x1b")));
  if (!outcome.out.empty()) {
    EXPECT_EQ(Json::parse(outcome.out, nullptr, false)["result"], "failed");
  }
}

TEST_F(RunTest, CtrlCDrainsAndTheOutputIsWhole) {
  for (int signal : {SIGINT, SIGTERM}) {
    Running run(folder_, {"run", "--force", "--progress=always", Write("graph.yaml", kEndless)});
    ASSERT_TRUE(run.WaitForStderr(" fps"));
    run.Signal(signal);
    const Outcome outcome = run.Wait();
    EXPECT_EQ(outcome.exit_code, 130) << outcome.err;
    EXPECT_THAT(outcome.out, StartsWith("endless: stopped after "));
    EXPECT_THAT(Files(), ElementsAre("graph.yaml", "sums.txt"));
  }
}

TEST_F(RunTest, ASecondCtrlCStopsAndLeavesNoPartFile) {
  Running run(folder_, {"run", "--progress=always", Write("graph.yaml", kEndless)});
  ASSERT_TRUE(run.WaitForStderr(" fps"));
  run.Signal(SIGINT);
  run.Signal(SIGTERM);  // Two of one kind may be delivered as one.
  const Outcome outcome = run.Wait();
  // The second may come when the run is over and signals have their usual effect again.
  EXPECT_TRUE(outcome.exit_code == 130 || outcome.signal == SIGTERM) << outcome.exit_code;
  for (const std::string& file : Files()) EXPECT_THAT(file, AnyOf("graph.yaml", "sums.txt"));
}

TEST_F(RunTest, CtrlCBeforeTheRunHasBegunEndsItToo) {
  const std::string graph = Write("graph.yaml", kEndless);
  for (int i = 0; i < 5; ++i) {
    Running run(folder_, {"run", "--force", "--report", "report.json", graph});
    run.Signal(SIGINT);
    const Outcome outcome = run.Wait();
    EXPECT_TRUE(outcome.exit_code == 130 || outcome.signal == SIGINT)
        << outcome.exit_code << outcome.err;
  }
  for (const std::string& file : Files()) {
    EXPECT_THAT(file, AnyOf("graph.yaml", "sums.txt", "report.json"));
  }
}

TEST_F(RunTest, PlanPrintsTableJsonAndDot) {
  const std::string graph = Write("graph.yaml", kShort);
  Outcome outcome = Sluice({"plan", graph});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("source.out"));
  EXPECT_THAT(outcome.out, HasSubstr("memfd"));
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"plan", "--json", graph}, {"plan", "--format", "json", graph}}) {
    outcome = Sluice(arguments);
    EXPECT_EQ(outcome.exit_code, 0);
    const Json json = Json::parse(outcome.out, nullptr, false);
    ASSERT_TRUE(json.is_object()) << outcome.out;
    EXPECT_EQ(json["graph"], "short");
    EXPECT_TRUE(json["notes"].is_array());
  }
  outcome = Sluice({"plan", "--format", "dot", graph});
  EXPECT_THAT(outcome.out, StartsWith("digraph"));
  EXPECT_THAT(Files(), ElementsAre("graph.yaml")) << "a plan writes nothing";
}

TEST_F(RunTest, APlanThatCannotBeNamesTheConstraint) {
  const std::string graph = Write("graph.yaml", R"(
sluice: 1
settings: { convert: never }
nodes:
  source: { type: core.testsrc, size: 64x36, format: R8, frames: 1 }
  look: { type: vulkan.look, look: noir }
  end: { type: core.null }
edges: [source -> look -> end]
)");
  const Outcome outcome = Sluice({"plan", graph});
  EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("R8"));
}

}  // namespace
}  // namespace sluice::testing
