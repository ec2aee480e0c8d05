// How the command line itself is read: help, version, near misses, and standard streams that fail.

#include <algorithm>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cli/command.h"

namespace sluice::testing {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kCommands[] = {"run", "check", "plan", "list", "inspect", "schema", "doctor"};

class UsageTest : public CommandTest {};

TEST_F(UsageTest, HelpNamesEveryCommandAndTheExitStatuses) {
  const Outcome outcome = Sluice({"--help"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.err, "");
  for (const char* command : kCommands)
    EXPECT_THAT(outcome.out, HasSubstr(std::string("\n  ") + command + " "));
  EXPECT_THAT(outcome.out, HasSubstr("Exit status: 0 done"));
}

TEST_F(UsageTest, EveryCommandHasHelpWithExamples) {
  for (const char* command : kCommands) {
    const Outcome outcome = Sluice({command, "--help"});
    EXPECT_EQ(outcome.exit_code, 0) << command;
    EXPECT_THAT(outcome.out, HasSubstr("Examples:\n  sluice " + std::string(command)));
    EXPECT_THAT(outcome.out, HasSubstr("--plugin-path"));
  }
}

TEST_F(UsageTest, VersionNamesThePluginAbiToo) {
  const Outcome outcome = Sluice({"--version"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.out, StartsWith("sluice "));
  EXPECT_THAT(outcome.out, HasSubstr("(plugin ABI "));
  EXPECT_THAT(outcome.out, EndsWith(")\n"));
}

TEST_F(UsageTest, WithoutACommandTheHelpIsAnError) {
  const Outcome outcome = Sluice(std::vector<std::string>{});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("inspect"));
}

TEST_F(UsageTest, AnUnknownCommandIsAnsweredWithTheNearest) {
  const Outcome outcome = Sluice({"chekc", "x.yaml"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("unknown command 'chekc'; did you mean 'check'?"));
}

TEST_F(UsageTest, AnUnknownOptionIsAnsweredWithTheNearest) {
  const Outcome outcome = Sluice({"run", "x.yaml", "--wrokers=2"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("unknown option '--wrokers=2'; did you mean '--workers'?"));
  EXPECT_THAT(outcome.err, HasSubstr("sluice run --help"));
}

TEST_F(UsageTest, AMissingGraphAndASuperfluousArgumentAreErrors) {
  EXPECT_EQ(Sluice({"run"}).exit_code, 2);
  const Outcome outcome = Sluice({"run", "a.yaml", "b.yaml"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("unexpected argument 'b.yaml'"));
}

TEST_F(UsageTest, ValuesOfOptionsAreChecked) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"run", "x.yaml", "--stop-after", "soon"},
                                             {"run", "x.yaml", "--workers", "-1"},
                                             {"run", "x.yaml", "--progress", "maybe"},
                                             {"plan", "x.yaml", "--format", "xml"},
                                             {"list", "--log-level", "loud"},
                                             {"check", "x.yaml", "--set", "novalue"}}) {
    const Outcome outcome = Sluice(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << arguments.back();
    EXPECT_THAT(outcome.err, HasSubstr(arguments.back()));
  }
}

TEST_F(UsageTest, UnderBazelRunPathsAreMeantFromWhereTheUserStands) {
  Write("graph.yaml", "sluice: 2\n");
  const Outcome outcome = RunIn("/", {.arguments = {"check", "graph.yaml"},
                                      .environment = {"BUILD_WORKING_DIRECTORY=" + folder_}});
  EXPECT_THAT(outcome.err, HasSubstr("graph version '2'"));
}

class BadStdoutTest : public CommandTest, public ::testing::WithParamInterface<Stdout> {
 protected:
  /// A reader that has gone knows; anything else must be said.
  bool IsSilent() const { return GetParam() == Stdout::kNoReader; }
};

TEST_P(BadStdoutTest, ACommandWhoseProductIsTextFails) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"list"},
                                             {"list", "--json"},
                                             {"inspect", "core.testsrc"},
                                             {"schema"},
                                             {"--help"},
                                             {"--version"}}) {
    const Outcome outcome = Sluice({.arguments = arguments, .to = GetParam()});
    EXPECT_EQ(outcome.exit_code, 1) << arguments.front();
    if (IsSilent()) {
      EXPECT_EQ(outcome.err, "");
    } else {
      EXPECT_THAT(outcome.err, HasSubstr("to stdout"));
    }
  }
}

TEST_P(BadStdoutTest, ARunKeepsItsOutcome) {
  const std::string graph = Write("graph.yaml", R"(
sluice: 1
nodes:
  source: { type: core.testsrc, size: 64x36, frames: 3 }
  sum: { type: core.checksum, path: sums.txt }
edges: [source -> sum]
)");
  const Outcome outcome = Sluice({.arguments = {"run", graph}, .to = GetParam()});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(Exists("sums.txt"));
}

TEST_P(BadStdoutTest, NoFileTakesTheNumberOfAClosedStream) {
  // The report would land in whatever was opened as 1 or 2.
  const std::string graph = Write("graph.yaml", R"(
sluice: 1
nodes:
  source: { type: core.testsrc, size: 64x36, frames: 3 }
  sum: { type: core.checksum, path: sums.txt }
edges: [source -> sum]
)");
  const Outcome outcome = Sluice(
      {.arguments = {"run", "--progress=always", graph}, .to = GetParam(), .close_stderr = true});
  EXPECT_EQ(outcome.exit_code, 0);
  const std::string sums = Read("sums.txt");
  EXPECT_EQ(std::count(sums.begin(), sums.end(), '\n'), 3) << sums;
}

INSTANTIATE_TEST_SUITE_P(All, BadStdoutTest,
                         ::testing::Values(Stdout::kClosed, Stdout::kNoReader, Stdout::kFullDevice),
                         [](const auto& instance) {
                           return instance.param == Stdout::kClosed     ? "Closed"
                                  : instance.param == Stdout::kNoReader ? "NoReader"
                                                                        : "FullDevice";
                         });

}  // namespace
}  // namespace sluice::testing
