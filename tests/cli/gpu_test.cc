// `--gpu`: which device the GPU nodes get, and what is said of one that is not there.

#include <cctype>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/cli/command.h"

namespace sluice::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Json = nlohmann::json;

constexpr char kUnknown[] = "no-such-gpu";

std::string Graph(const std::string& settings = "") {
  return "sluice: 1\nname: gpu\n" + settings +
         "nodes:\n  source: { type: core.testsrc, size: 64x36, frames: 2 }\n"
         "  look: { type: vulkan.look, look: noir }\n  end: { type: core.null }\n"
         "edges: [source -> look -> end]\n";
}

class GpuTest : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    graph_ = Write("graph.yaml", Graph());
    const Outcome outcome = Sluice({"check", "-q", "--gpu", "0", graph_});
    if (outcome.exit_code == 3) GTEST_SKIP() << outcome.err;
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  }

  /// The names of the devices there are, as the error about one that is not there lists them:
  /// "there is 0: NAME, 1: NAME".
  std::vector<std::string> ListedNames() {
    std::string text = Sluice({"run", "--gpu", kUnknown, graph_}).err;
    text = text.substr(0, text.find('\n'));
    std::vector<std::string> names;
    size_t at = text.find("there is 0: ");
    if (at == std::string::npos) return names;
    for (at += 12;;) {
      const std::string next = ", " + std::to_string(names.size() + 1) + ": ";
      const size_t end = text.find(next, at);
      names.push_back(text.substr(at, end == std::string::npos ? end : end - at));
      if (end == std::string::npos) return names;
      at = end + next.size();
    }
  }

  std::string Plain() {
    return Write("plain.yaml",
                 "sluice: 1\nnodes:\n"
                 "  source: { type: core.testsrc, size: 64x36, frames: 2 }\n"
                 "  end: { type: core.null }\nedges: [source -> end]\n");
  }

  std::string graph_;
};

TEST_F(GpuTest, ANameThatNoDeviceHasEndsWith3AndTheNamesThereAre) {
  const std::vector<std::string> names = ListedNames();
  ASSERT_FALSE(names.empty());
  for (const char* command : {"run", "plan", "check"}) {
    const Outcome outcome = Sluice({command, "--gpu", kUnknown, graph_});
    EXPECT_EQ(outcome.exit_code, 3) << command;
    EXPECT_THAT(outcome.err, HasSubstr(std::string("\"") + kUnknown + "\"")) << command;
    for (const std::string& name : names) EXPECT_THAT(outcome.err, HasSubstr(name)) << command;
  }
}

TEST_F(GpuTest, DoctorEndsWith3AndMeasuresNothingForANameThatNoDeviceHas) {
  const Outcome outcome =
      Sluice({"doctor", "--json", "--gpu", kUnknown, "--measure", "--profile", "profile.json"});
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_THAT(outcome.err, AllOf(StartsWith("sluice: error: --gpu: vulkan: "), HasSubstr(kUnknown),
                                 HasSubstr(ListedNames().front())));
  EXPECT_TRUE(Json::parse(outcome.out, nullptr, false).is_object()) << outcome.out;
  EXPECT_FALSE(Exists("profile.json"));
}

TEST_F(GpuTest, CheckAsJsonSaysItAmongTheFindingsOfEachGraph) {
  const Outcome outcome = Sluice(
      {"check", "--json", "--gpu", kUnknown, graph_, Write("second.yaml", Graph()), Plain()});
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_EQ(outcome.err, "");
  const Json json = Json::parse(outcome.out, nullptr, false);
  ASSERT_TRUE(json.is_object()) << outcome.out;
  EXPECT_EQ(json["ok"], false);
  for (const int needs_it : {0, 1}) {
    const Json& graph = json["graphs"][needs_it];
    EXPECT_EQ(graph["ok"], false);
    ASSERT_EQ(graph["diagnostics"].size(), 1u);
    const Json& finding = graph["diagnostics"][0];
    EXPECT_EQ(finding["severity"], "error");
    EXPECT_EQ(finding["code"], "not-found");
    EXPECT_THAT(finding["message"].get<std::string>(),
                AllOf(HasSubstr("--gpu"), HasSubstr(kUnknown), HasSubstr(ListedNames().front())));
  }
  EXPECT_EQ(json["graphs"][2]["ok"], true);
}

TEST_F(GpuTest, RunAndPlanAsJsonSayItOnStderrAsAllThatIsWrongBeforeARun) {
  for (const char* command : {"run", "plan"}) {
    const Outcome outcome = Sluice({command, "--json", "--gpu", kUnknown, graph_});
    EXPECT_EQ(outcome.exit_code, 3) << command;
    EXPECT_EQ(outcome.out, "") << command;
    EXPECT_THAT(outcome.err, HasSubstr(kUnknown)) << command;
  }
}

TEST_F(GpuTest, ANumberThatNoDeviceHasIsNoPartOfAName) {
  const Outcome outcome = Sluice({"run", "--gpu", "97", graph_});
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_THAT(outcome.err, HasSubstr("\"97\""));
}

TEST_F(GpuTest, EveryNameThatIsListedWorks) {
  for (const std::string& name : ListedNames()) {
    const Outcome outcome = Sluice({"run", "--gpu", name, graph_});
    EXPECT_EQ(outcome.exit_code, 0) << name << ": " << outcome.err;
    EXPECT_THAT(outcome.out, HasSubstr("gpu: done after "));
    // A part of it, in any letters.
    std::string part = name.substr(0, name.find(' '));
    for (char& c : part) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    EXPECT_EQ(Sluice({"run", "-q", "--gpu", part, graph_}).exit_code, 0) << part;
  }
  EXPECT_EQ(Sluice({"run", "-q", "--gpu", "0", graph_}).exit_code, 0);
}

TEST_F(GpuTest, WinsOverWhatTheGraphSays) {
  const std::string other =
      Write("other.yaml", Graph("settings: { gpu: " + std::string(kUnknown) + " }\n"));
  const Outcome refused = Sluice({"run", "-q", other});
  EXPECT_EQ(refused.exit_code, 3);
  EXPECT_THAT(refused.err, HasSubstr(kUnknown));
  const Outcome outcome = Sluice({"run", "-q", "--gpu", "0", other});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, Not(HasSubstr(kUnknown)));
}

TEST_F(GpuTest, CheckWarnsOfADeviceThatTheGraphNamesAndThisMachineLacks) {
  const std::string settings =
      Write("settings.yaml", Graph("settings: { gpu: " + std::string(kUnknown) + " }\n"));
  const Outcome outcome = Sluice({"check", settings});
  EXPECT_EQ(outcome.exit_code, 0) << "it may be meant for another machine";
  EXPECT_THAT(outcome.err, StartsWith("settings.yaml:3:18: warning: gpu: vulkan: "));
  EXPECT_THAT(outcome.err, AllOf(HasSubstr(kUnknown), HasSubstr(ListedNames().front()),
                                 HasSubstr("[SLU-W102]")));
  EXPECT_THAT(outcome.out, HasSubstr("settings.yaml: ok"));
  EXPECT_EQ(Sluice({"check", "--gpu", "0", settings}).err, "") << "--gpu wins";
}

TEST_F(GpuTest, CheckWarnsOfADeviceOfANodeAtTheNode) {
  std::string text = Graph();
  text.insert(text.find("noir }") + 4, ", gpu: " + std::string(kUnknown));
  const Outcome outcome = Sluice({"check", Write("node.yaml", text)});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.err, StartsWith("node.yaml:5:47: warning: gpu: vulkan: "));
}

TEST_F(GpuTest, AGraphWithoutGpuNodesAsksForNone) {
  EXPECT_EQ(Sluice({"run", "-q", "--gpu", kUnknown, Plain()}).exit_code, 0);
}

}  // namespace
}  // namespace sluice::testing
