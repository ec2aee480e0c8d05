// The machine's speeds: measured by `doctor --measure`, kept, and used by `plan` and `run`.

#include <algorithm>
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
using ::testing::StartsWith;
using Json = nlohmann::json;

constexpr char kGraph[] = R"(
sluice: 1
nodes:
  source: { type: core.testsrc, size: 64x36, frames: 3 }
  look: { type: vulkan.look, look: noir }
  sum: { type: core.checksum, path: sums.txt }
edges: [source -> look -> sum]
)";

class ProfileTest : public CommandTest {
 protected:
  Outcome WithCache(std::vector<std::string> arguments, const std::string& cache) {
    return Sluice(
        {.arguments = std::move(arguments), .environment = {"SLUICE_CACHE_DIR=" + cache}});
  }
  Outcome WithCache(std::vector<std::string> arguments) {
    return WithCache(std::move(arguments), Path("cache"));
  }
  Json JsonOf(std::vector<std::string> arguments) {
    const Outcome outcome = WithCache(std::move(arguments));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return Json::parse(outcome.out, nullptr, false);
  }
  Json Measured() { return JsonOf({"doctor", "--measure", "--measure-mib", "1", "--json"}); }
  std::string Profile(const Json& doctor) { return Read(RelativeFile(doctor)); }
  std::string RelativeFile(const Json& doctor) {
    return doctor["profile_file"].get<std::string>().substr(folder_.size() + 1);
  }
};

const Json* FindFigure(const Json& figures, const std::string& name) {
  for (const Json& figure : figures) {
    if (figure["name"] == name) return &figure;
  }
  return nullptr;
}

std::vector<Json> ProfileChecks(const Json& doctor) {
  std::vector<Json> out;
  for (const Json& check : doctor["checks"]) {
    if (check["section"] == "profile") out.push_back(check);
  }
  return out;
}

TEST_F(ProfileTest, MeasuringGivesFiguresAndKeepsThem) {
  const Json doctor = Measured();
  const Json& profile = doctor["profile"];
  ASSERT_NE(FindFigure(profile["figures"], "memory"), nullptr) << profile;
  EXPECT_GT((*FindFigure(profile["figures"], "memory"))["value"], 0);
  ASSERT_FALSE(profile["devices"].empty()) << doctor;
  const Json& device = profile["devices"][0];
  EXPECT_EQ(device["domain"], "vulkan");
  EXPECT_EQ(device["uuid"].get<std::string>().size(), 32u);
  EXPECT_NE(device["driver"], "");
  for (const char* name :
       {"memory", "host-read", "host-write", "copy-in", "copy-out", "submission", "round-trip"}) {
    const Json* figure = FindFigure(device["figures"], name);
    ASSERT_NE(figure, nullptr) << name;
    EXPECT_GT((*figure)["value"], 0) << *figure;
  }
  EXPECT_EQ(Json::parse(Profile(doctor)), profile) << "the file has what was said";
}

TEST_F(ProfileTest, MeasuringForPeopleNamesUnitsAndReasons) {
  const Outcome outcome = WithCache({"doctor", "--measure", "--measure-mib", "1"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("processor: memory: "));
  EXPECT_THAT(outcome.out, HasSubstr(" GB/s, read and written by a kernel that copies"));
  EXPECT_THAT(outcome.out, HasSubstr("kept in: " + Path("cache/profiles/")));
}

TEST_F(ProfileTest, ThePlainDoctorSaysWhetherThereIsAProfileAndOfWhatAge) {
  std::vector<Json> checks = ProfileChecks(JsonOf({"doctor", "--json"}));
  ASSERT_EQ(checks.size(), 1u);
  EXPECT_EQ(checks[0]["health"], "limited");
  EXPECT_THAT(checks[0]["detail"].get<std::string>(), HasSubstr("not measured"));
  EXPECT_EQ(checks[0]["advice"], "sluice doctor --measure");

  const Json doctor = Measured();
  checks = ProfileChecks(JsonOf({"doctor", "--json"}));
  ASSERT_EQ(checks.size(), 2u);
  EXPECT_THAT(checks[0]["detail"].get<std::string>(), StartsWith("measured today"));
  EXPECT_EQ(checks[1]["name"], doctor["profile"]["devices"][0]["name"]);
  EXPECT_THAT(checks[1]["detail"].get<std::string>(), StartsWith("measured today, driver "));
  EXPECT_EQ(checks[1]["health"], "ok");

  Json changed = doctor["profile"];
  changed["devices"][0]["driver"] = "an older one";
  changed["measured"] = "2026-01-01T00:00:00Z";
  Write(RelativeFile(doctor), changed.dump());
  checks = ProfileChecks(JsonOf({"doctor", "--json"}));
  ASSERT_EQ(checks.size(), 2u);
  EXPECT_THAT(checks[0]["detail"].get<std::string>(), HasSubstr(" days ago"));
  EXPECT_EQ(checks[1]["health"], "limited");
  EXPECT_THAT(checks[1]["detail"].get<std::string>(), HasSubstr("with the driver an older one"));
}

TEST_F(ProfileTest, PlansSayWhoseFiguresTheyAreMadeOf) {
  const std::string graph = Write("graph.yaml", kGraph);
  EXPECT_EQ(JsonOf({"plan", "--json", graph})["profile"], "defaults");
  const Json doctor = Measured();
  const std::string device = doctor["profile"]["devices"][0]["name"];
  const Json plan = JsonOf({"plan", "--json", graph});
  EXPECT_THAT(plan["profile"].get<std::string>(),
              AllOf(StartsWith("measured 20"), HasSubstr("(" + device + ")")));
  EXPECT_EQ(JsonOf({"plan", "--json", graph}), plan) << "the same inputs give the same plan";
  EXPECT_THAT(WithCache({"plan", graph}).out, HasSubstr("\nprofile: measured 20"));

  const Json defaults = JsonOf({"plan", "--json", "--profile", "none", graph});
  EXPECT_EQ(defaults["profile"], "defaults");
  EXPECT_NE(defaults["digest"], plan["digest"]);
}

TEST_F(ProfileTest, TheCostIsOfTheProfileThatIsAskedFor) {
  const std::string graph = Write("graph.yaml", kGraph);
  Json profile = Measured()["profile"];
  for (Json& figure : profile["figures"]) {
    if (figure["name"] == "memory") figure["value"] = 1e9;
  }
  Write("slow.json", profile.dump());
  for (Json& figure : profile["figures"]) {
    if (figure["name"] == "memory") figure["value"] = 100e9;
  }
  Write("fast.json", profile.dump());
  const double slow = JsonOf({"plan", "--json", "--profile", "slow.json", graph})["cost_us"];
  const double fast = JsonOf({"plan", "--json", "--profile", "fast.json", graph})["cost_us"];
  EXPECT_GT(slow, fast);
}

TEST_F(ProfileTest, ADamagedProfileIsWarnedOfAndTheRunGoesOn) {
  const std::string graph = Write("graph.yaml", kGraph);
  const Json doctor = Measured();
  const std::string whole = Profile(doctor);
  Write(RelativeFile(doctor), whole.substr(0, whole.size() / 2));
  const Outcome run = WithCache({"run", graph});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.err, AllOf(HasSubstr("warning: "), HasSubstr(RelativeFile(doctor)),
                             HasSubstr("defaults are used")));
  EXPECT_EQ(JsonOf({"plan", "--json", graph})["profile"], "defaults");
  const Json again = Measured();
  EXPECT_EQ(Json::parse(Profile(again)), again["profile"]) << "measuring replaces it";
}

TEST_F(ProfileTest, AFileThatIsAskedForMustBeOne) {
  const std::string graph = Write("graph.yaml", kGraph);
  for (const char* command : {"plan", "run"}) {
    const Outcome missing = WithCache({command, "--profile", "no-such.json", graph});
    EXPECT_EQ(missing.exit_code, 2);
    EXPECT_THAT(missing.err, HasSubstr("--profile: no-such.json: No such file"));
    EXPECT_EQ(WithCache({command, "--profile", graph, graph}).exit_code, 2);
  }
}

TEST_F(ProfileTest, WhatCannotBeKeptIsAnError) {
  Write("file", "");
  const Outcome nowhere =
      WithCache({"doctor", "--measure", "--measure-mib", "1", "--gpu", "0"}, Path("file"));
  EXPECT_EQ(nowhere.exit_code, 1);
  EXPECT_THAT(nowhere.err, HasSubstr("the profile is not kept: " + Path("file")));
  const Outcome homeless = Sluice({.arguments = {"doctor", "--measure", "--measure-mib", "1"},
                                   .environment = {"SLUICE_CACHE_DIR="}});
  EXPECT_EQ(homeless.exit_code, 1);
  EXPECT_THAT(homeless.err, HasSubstr("set HOME"));
}

TEST_F(ProfileTest, WithoutAVulkanDriverTheRestIsMeasured) {
  const Outcome outcome = Sluice({.arguments = {"doctor", "--measure", "--measure-mib", "1"},
                                  .environment = {"SLUICE_CACHE_DIR=" + Path("cache"),
                                                  "VK_ICD_FILENAMES=/no/such/driver.json"}});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("processor: memory: "));
  EXPECT_THAT(outcome.out, HasSubstr("not measured: vulkan: no Vulkan"));
}

}  // namespace
}  // namespace sluice::testing
