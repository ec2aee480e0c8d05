// What is wrong with a graph is said with its place, its line, a stable code and the nearest name,
// all at once.

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/cli/command.h"

namespace sluice::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

/// A graph that is in order but for `nodes` and `edges`.
std::string Graph(const std::string& nodes, const std::string& edges = "[a -> b]") {
  return "sluice: 1\nnodes:\n" + nodes + "edges: " + edges + "\n";
}

constexpr char kSource[] = "  a: { type: core.testsrc, size: 64x36, frames: 3 }\n";
constexpr char kSink[] = "  b: { type: core.null }\n";

struct Fault {
  const char* name;
  std::string text;
  std::vector<std::string> said;
};

void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.name; }

std::vector<Fault> Faults() {
  std::string aliases = "sluice: 1\nx0: &x0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n";
  for (int i = 1; i < 10; ++i) {
    const std::string before = "*x" + std::to_string(i - 1);
    aliases += "x" + std::to_string(i) + ": &x" + std::to_string(i) + " [" + before;
    for (int k = 1; k < 10; ++k) aliases += ", " + before;
    aliases += "]\n";
  }
  return {
      {"MalformedYaml", "sluice: 1\nnodes: { a: [\n", {"graph.yaml:", "[SLU-E001]"}},
      {"Empty", "", {"graph.yaml", "error"}},
      {"OtherVersion",
       "sluice: 7\n",
       {"graph.yaml:1:9", "version '7' is not known", "[SLU-E102]", "sluice: 7", "^"}},
      {"DuplicateKey",
       Graph(std::string(kSource) + kSource + kSink),
       {"graph.yaml:4:3", "[SLU-E002]"}},
      {"UnknownKey",
       "sluice: 1\nnods: {}\n",
       {"graph.yaml:2:1", "'nods'", "'nodes'", "[SLU-E103]"}},
      {"UnknownType",
       Graph(std::string(kSource) + "  b: { type: core.nul }\n"),
       {"graph.yaml:4:14", "'core.nul'", "did you mean 'core.null'?", "[SLU-E121]",
        "b: { type: core.nul }"}},
      {"UnknownParameter",
       Graph("  a: { type: core.testsrc, farmes: 3 }\n" + std::string(kSink)),
       {"graph.yaml:3:28", "'farmes'", "did you mean 'frames'?", "[SLU-E122]"}},
      {"WrongValue",
       Graph("  a: { type: core.testsrc, size: 64 }\n" + std::string(kSink)),
       {"graph.yaml:3:34", "WIDTHxHEIGHT", "[SLU-E123]"}},
      {"WrongUnit",
       Graph(std::string(kSource) + "  s: { type: core.select, from: 3 parsecs }\n" + kSink,
             "[a -> s -> b]"),
       {"graph.yaml:4:33", "[SLU-E123]"}},
      {"WrongChoice",
       Graph("  a: { type: core.testsrc, pattern: bras }\n" + std::string(kSink)),
       {"graph.yaml:3:37", "bars", "[SLU-E123]"}},
      {"UnknownNodeInEdge",
       Graph(std::string(kSource) + kSink, "[a -> bb]"),
       {"graph.yaml:5:14", "'bb'", "[SLU-E120]"}},
      {"UnknownPort",
       Graph(std::string(kSource) + kSink, "[a.uot -> b]"),
       {"graph.yaml:5:9", "'uot'", "'out'", "[SLU-E125]"}},
      {"Cycle",
       Graph("  a: { type: core.identity }\n  b: { type: core.identity }\n", "[a -> b, b -> a]"),
       {"[SLU-E130]", "cycle"}},
      {"NodeToItself", Graph("  a: { type: core.identity }\n", "[a -> a]"), {"[SLU-E130]"}},
      {"SecondEdgeIntoAnInput",
       Graph(std::string(kSource) + "  c: { type: core.testsrc }\n" + kSink, "[a -> b, c -> b]"),
       {"graph.yaml:6:22", "[SLU-E128]"}},
      {"Unconnected", Graph(std::string(kSource) + kSink, "[]"), {"[SLU-E129]"}},
      {"AliasBomb", aliases, {"[SLU-E005]", "alias"}},
      {"SelfAlias", "sluice: 1\nnodes: &n\n  a: *n\n", {"graph.yaml:3:6", "[SLU-E006]"}},
      {"TooDeep",
       "sluice: 1\nnodes: " + std::string(5000, '[') + std::string(5000, ']') + "\n",
       {"[SLU-E004]"}},
      {"TooLarge", "sluice: 1\n# " + std::string(2 << 20, 'x') + "\n", {"graph.yaml: error"}},
      {"BinaryNoise",
       std::string("\x7f"
                   "ELF\0\1\2\xff\xfe",
                   9),
       {"graph.yaml", "error"}},
  };
}

class GraphFaultTest : public CommandTest, public ::testing::WithParamInterface<Fault> {};

TEST_P(GraphFaultTest, IsNamedWithItsPlace) {
  const Outcome outcome = Sluice({"check", Write("graph.yaml", GetParam().text)});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(outcome.out, "");
  for (const std::string& said : GetParam().said) EXPECT_THAT(outcome.err, HasSubstr(said));
}

TEST_P(GraphFaultTest, RunRefusesItBeforeAnythingIsDone) {
  const Outcome outcome = Sluice({"run", Write("graph.yaml", GetParam().text)});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_NE(outcome.err, "");
}

TEST_P(GraphFaultTest, CheckAsJsonHasTheSame) {
  const Outcome outcome = Sluice({"check", "--json", Write("graph.yaml", GetParam().text)});
  EXPECT_EQ(outcome.exit_code, 2);
  const Json json = Json::parse(outcome.out, nullptr, false);
  ASSERT_TRUE(json.is_object()) << outcome.out;
  EXPECT_FALSE(json["ok"]);
  EXPECT_FALSE(json["graphs"][0]["ok"]);
  ASSERT_FALSE(json["graphs"][0]["diagnostics"].empty());
  for (const Json& finding : json["graphs"][0]["diagnostics"]) {
    EXPECT_NE(finding["code"], "");
    EXPECT_NE(finding["message"], "");
  }
}

INSTANTIATE_TEST_SUITE_P(All, GraphFaultTest, ::testing::ValuesIn(Faults()),
                         [](const auto& instance) { return std::string(instance.param.name); });

class CheckTest : public CommandTest {};

TEST_F(CheckTest, SaysAllFindingsAtOnceInTheOrderOfTheText) {
  const Outcome outcome =
      Sluice({"check", Write("graph.yaml", Graph("  a: { type: core.testsrc, farmes: 3 }\n"
                                                 "  b: { type: core.nul }\n",
                                                 "[a -> c]"))});
  EXPECT_EQ(outcome.exit_code, 2);
  const size_t param = outcome.err.find("SLU-E122");
  const size_t type = outcome.err.find("SLU-E121");
  const size_t node = outcome.err.find("SLU-E120");
  ASSERT_NE(node, std::string::npos) << outcome.err;
  EXPECT_LT(param, type);
  EXPECT_LT(type, node);
}

TEST_F(CheckTest, AGraphInOrderIsNamedOnStdout) {
  const std::string graph = Write("graph.yaml", Graph(std::string(kSource) + kSink));
  Outcome outcome = Sluice({"check", graph});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "graph.yaml: ok, 2 nodes, 1 edge\n");
  outcome = Sluice({"check", "--quiet", graph});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.out, "");
}

TEST_F(CheckTest, OneBadGraphOfSeveralDecidesAndTheOthersAreStillChecked) {
  const std::string good = Write("good.yaml", Graph(std::string(kSource) + kSink));
  const std::string bad = Write("bad.yaml", "sluice: 2\n");
  const Outcome outcome = Sluice({"check", bad, good, "missing.yaml"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.out, HasSubstr("good.yaml: ok"));
  EXPECT_THAT(outcome.err, HasSubstr("bad.yaml:1:9"));
  EXPECT_THAT(outcome.err, HasSubstr("missing.yaml"));
  EXPECT_THAT(outcome.err, HasSubstr("No such file"));
}

TEST_F(CheckTest, AFolderAndAnUnreadableFileAreNoGraphs) {
  EXPECT_EQ(Sluice({"check", "."}).exit_code, 2);
  EXPECT_EQ(Sluice({"check", "no/such.yaml"}).exit_code, 2);
}

TEST_F(CheckTest, ReadsStdin) {
  Outcome outcome =
      Sluice({.arguments = {"check", "-"}, .stdin_text = Graph(std::string(kSource) + kSink)});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  outcome = Sluice({.arguments = {"check", "-"}, .stdin_text = "sluice: 3\n"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("<stdin>:1:9"));
}

TEST_F(CheckTest, SetReplacesParametersAndRefusesUnknownOnes) {
  const std::string graph = Write("graph.yaml",
                                  "sluice: 1\nparams: { size: 64x36 }\nnodes:\n"
                                  "  a: { type: core.testsrc, size: \"${size}\" }\n" +
                                      std::string(kSink) + "edges: [a -> b]\n");
  EXPECT_EQ(Sluice({"check", "--set", "size=32x32", graph}).exit_code, 0);
  Outcome outcome = Sluice({"check", "--set", "size=large", graph});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("WIDTHxHEIGHT"));
  outcome = Sluice({"check", "--set", "sise=32x32", graph});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("did you mean 'size'?"));
}

TEST_F(CheckTest, AFileThatCannotBeReadIsNamedOnce) {
  EXPECT_EQ(Sluice({"check", "missing.yaml"}).err,
            "missing.yaml: error: No such file or directory [not-found]\n");
}

TEST_F(CheckTest, TheGraphsOwnTextCannotSteerTheTerminal) {
  const Outcome outcome =
      Sluice({"check", Write("graph.yaml", "sluice: 1\n\"\\e]0;owned\\a\": 1\n")});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace sluice::testing
