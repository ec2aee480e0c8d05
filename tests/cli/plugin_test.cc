// `list`, `inspect`, `schema`, `doctor`, and plugins that are not what they seem.

#include <filesystem>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/cli/command.h"

namespace sluice::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

class PluginTest : public CommandTest {
 protected:
  Json SluiceJson(std::vector<std::string> arguments, int exit_code = 0) {
    const Outcome outcome = Sluice(std::move(arguments));
    EXPECT_EQ(outcome.exit_code, exit_code) << outcome.err;
    Json json = Json::parse(outcome.out, nullptr, false);
    EXPECT_FALSE(json.is_discarded()) << outcome.out;
    return json;
  }
};

TEST_F(PluginTest, ListNamesTypesDomainsAndPluginsOfTheRunfiles) {
  const Outcome outcome = Sluice({"list"});
  EXPECT_EQ(outcome.exit_code, 0);
  for (const char* said : {"core.testsrc", "ffmpeg.read", "vulkan.look", "built in", "core.so"}) {
    EXPECT_THAT(outcome.out, HasSubstr(said));
  }
  const Json json = SluiceJson({"list", "--json"});
  EXPECT_EQ(json["failed"], 0);
  EXPECT_GE(json["node_types"].size(), 10u);
  for (const Json& type : json["node_types"]) EXPECT_NE(type["summary"], "") << type["id"];
}

TEST_F(PluginTest, FirstPartyPluginsDoNotFail) {
  EXPECT_EQ(Sluice({"list", "--failed"}).out, "no plugin failed\n");
  EXPECT_TRUE(SluiceJson({"list", "--failed", "--json"})["failed"].empty());
}

TEST_F(PluginTest, InspectDescribesEveryType) {
  const Json list = SluiceJson({"list", "--json"});
  for (const Json& type : list["node_types"]) {
    const std::string id = type["id"];
    const Json json = SluiceJson({"inspect", "--json", id});
    EXPECT_EQ(json["id"], id);
    EXPECT_FALSE(json["ports"].empty()) << id;
    const Outcome text = Sluice({"inspect", id});
    EXPECT_EQ(text.exit_code, 0);
    for (const Json& param : json["params"]) {
      EXPECT_THAT(text.out, HasSubstr("\n  " + std::string(param["name"]) + ": "));
      EXPECT_NE(param["doc"], "") << id << "." << param["name"];
    }
  }
}

TEST_F(PluginTest, InspectShowsUnitsRangesDefaultsAndChoices) {
  const std::string text = Sluice({"inspect", "core.testsrc"}).out;
  EXPECT_THAT(text, HasSubstr("pattern: enum of bars, gradient, checker, noise, default bars"));
  EXPECT_THAT(text, HasSubstr("frames: int, 0 or more, default 0"));
  EXPECT_THAT(text, HasSubstr("out: output"));
}

TEST_F(PluginTest, InspectDescribesADomain) {
  EXPECT_EQ(SluiceJson({"inspect", "--json", "vulkan"})["kind"], "domain");
}

TEST_F(PluginTest, InspectAnswersAnUnknownNameWithTheNearest) {
  const Outcome outcome = Sluice({"inspect", "core.tetsrc"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("did you mean 'core.testsrc'?"));
}

TEST_F(PluginTest, SchemaIsAJsonSchemaThatKnowsTheTypes) {
  const Json json = SluiceJson({"schema"});
  EXPECT_EQ(json["$schema"], "https://json-schema.org/draft/2020-12/schema");
  EXPECT_THAT(json.dump(), HasSubstr("core.testsrc"));
}

TEST_F(PluginTest, DoctorLooksAtEverythingAndTheEngineCanRun) {
  const Json json = SluiceJson({"doctor", "--json"});
  EXPECT_EQ(json["works"], true);
  std::set<std::string> sections;
  for (const Json& check : json["checks"]) {
    sections.insert(check["section"]);
    EXPECT_NE(check["detail"], "") << check["name"];
  }
  for (const char* section :
       {"system", "memory", "graphics", "video", "domains", "desktop", "plugins"}) {
    EXPECT_TRUE(sections.contains(section)) << section;
  }
  const Outcome text = Sluice({"doctor"});
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_THAT(text.out, HasSubstr("The engine can run here."));
}

TEST_F(PluginTest, DoctorSaysWhatToInstallWithoutAVulkanDriver) {
  const Outcome outcome =
      Sluice({.arguments = {"doctor"}, .environment = {"VK_ICD_FILENAMES=/no/such/driver.json"}});
  EXPECT_EQ(outcome.exit_code, 0) << "the engine itself needs none";
  EXPECT_THAT(outcome.out, HasSubstr("missing  vulkan:"));
  EXPECT_THAT(outcome.out, HasSubstr("mesa-vulkan-drivers"));
}

TEST_F(PluginTest, AFolderOnThePluginPathThatIsMissingIsAFailure) {
  const Outcome outcome = Sluice({"list", "--failed", "--plugin-path", "no-such-folder"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.out, HasSubstr("no-such-folder"));
  EXPECT_THAT(outcome.out, HasSubstr("No such file"));
}

TEST_F(PluginTest, TheWorkingDirectoryIsNotSearched) {
  std::filesystem::copy_file(Runfile("tests/abi/good.so"), Path("good.so"));
  EXPECT_THAT(Sluice({"list"}).out, Not(HasSubstr("good.one")));
  EXPECT_THAT(Sluice({"list", "--plugin-path", "."}).out, HasSubstr("good.one"));
  EXPECT_THAT(Sluice({"--plugin-path", folder_, "list"}).out, HasSubstr("good.one"));
}

struct Flaw {
  const char* file;
  const char* reason;
};

class FlawedPluginTest : public PluginTest, public ::testing::WithParamInterface<Flaw> {};

TEST_P(FlawedPluginTest, IsRefusedWithTheReason) {
  const std::string path = Runfile(std::string("tests/abi/") + GetParam().file);
  const Outcome text = Sluice({"list", "--failed", "--plugin-path", path});
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_THAT(text.out, HasSubstr(std::string(GetParam().file) + "\n    "));
  EXPECT_THAT(text.out, HasSubstr(GetParam().reason));
  EXPECT_EQ(SluiceJson({"list", "--failed", "--json", "--plugin-path", path})["failed"].size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(All, FlawedPluginTest,
                         ::testing::Values(Flaw{"no_plugin.so", ".sluice.manifest"},
                                           Flaw{"abi_major.so", "7.3"},
                                           Flaw{"other_hash.so", "another manifest"},
                                           Flaw{"no_factory.so", "no_factory.one"},
                                           Flaw{"too_many_factories.so", "does not declare"},
                                           Flaw{"syntax.so", "SLU-E001"},
                                           Flaw{"unknown_key.so", "prots"}),
                         [](const auto& instance) {
                           const std::string file = instance.param.file;
                           return file.substr(0, file.find('.'));
                         });

TEST_F(PluginTest, TextThatIsCalledSoIsRefused) {
  Write("text.so", "not a library\n");
  EXPECT_THAT(Sluice({"list", "--failed", "--plugin-path", "text.so"}).out,
              HasSubstr("text.so\n    "));
}

TEST_F(PluginTest, AGraphWithATypeOfAnUnusablePluginSaysWhereToLook) {
  const std::string graph = Write("graph.yaml", "sluice: 1\nnodes: { a: { type: syntax.one } }\n");
  const Outcome outcome = Sluice({"check", "--plugin-path", Runfile("tests/abi/syntax.so"), graph});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("a plugin cannot be used; `sluice list --failed` says why"));
}

TEST_F(PluginTest, ANodeOfALyingPluginIsNotRun) {
  const std::string graph = Write("graph.yaml", R"(
sluice: 1
nodes: { source: { type: core.testsrc, size: 64x36, frames: 1 }, end: { type: other_hash.one } }
edges: [source -> end]
)");
  const Outcome outcome =
      Sluice({"run", "--plugin-path", Runfile("tests/abi/other_hash.so"), graph});
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_EQ(outcome.signal, 0);
  EXPECT_THAT(outcome.err, HasSubstr("another manifest"));
}

}  // namespace
}  // namespace sluice::testing
