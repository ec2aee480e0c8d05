#include "engine/cli/doctor.h"

#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/cli/command.h"
#include "engine/cli/exit_code.h"
#include "engine/cli/help.h"
#include "engine/cli/std_streams.h"
#include "engine/cli/version.h"
#include "engine/cli/wrap.h"

namespace sluice::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string gpu;
  bool json = false;
};

std::string_view HealthName(Health health) {
  switch (health) {
    case Health::kOk:
      return "ok";
    case Health::kLimited:
      return "limited";
    case Health::kMissing:
      return "missing";
  }
  return "";
}

Findings ProbeAll(Session& session, const Options& options) {
  Findings findings;
  ProbeKernel(&findings);
  ProbeMemory(&findings);
  ProbeBandwidth(&findings);
  ProbeDevices(&findings);
  ProbeDomains(session, options.gpu, &findings);
  AskPlugins(session, &findings);
  ProbePlugins(session, &findings);
  return findings;
}

std::string Text(const Findings& findings, bool works) {
  std::string text = fmt::format("sluice {}\n", kVersion);
  std::string_view section;
  for (const Finding& finding : findings) {
    if (finding.section != section) text += fmt::format("\n{}\n", finding.section);
    section = finding.section;
    text +=
        fmt::format("  {:<8} {}: {}\n", HealthName(finding.health), finding.name, finding.detail);
    if (!finding.advice.empty()) {
      std::string advice = Wrap(finding.advice, 14);
      advice.replace(11, 2, "->");
      text += advice;
    }
  }
  text += works ? "\nThe engine can run here.\n"
                : "\nThe engine cannot run here: see what is missing above.\n";
  return text;
}

Json ToJson(const Findings& findings, bool works) {
  Json checks = Json::array();
  for (const Finding& finding : findings) {
    checks.push_back({{"section", finding.section},
                      {"name", finding.name},
                      {"health", HealthName(finding.health)},
                      {"detail", finding.detail},
                      {"advice", finding.advice},
                      {"required", finding.required},
                      {"device", finding.device}});
  }
  return {{"version", kVersion}, {"works", works}, {"checks", std::move(checks)}};
}

int Doctor(Session& session, const Options& options) {
  const Findings findings = ProbeAll(session, options);
  const bool works = std::none_of(findings.begin(), findings.end(), [](const Finding& finding) {
    return finding.required && finding.health == Health::kMissing;
  });
  const int status =
      options.json ? DeliverJson(ToJson(findings, works)) : Deliver(Text(findings, works));
  return works ? status : kExitMachine;
}

}  // namespace

Command AddDoctor(CLI::App& parent, Session& session) {
  auto options = std::make_shared<Options>();
  CLI::App* app = parent.add_subcommand(
      "doctor", "Say what this machine can do, and how to get what is missing; changes nothing");
  app->add_option("--gpu", options->gpu, "Device to look at: its number, UUID or part of its name")
      ->type_name("DEVICE");
  app->add_flag("--json", options->json, "As a JSON object");
  AddExamples(*app,
              "sluice doctor\n"
              "sluice doctor --json | jq '.checks[] | select(.health != \"ok\")'\n"
              "\n"
              "Exit status: 0 the engine can run here, whatever else is missing; 3 it cannot.");
  return {app, [&session, options] { return Doctor(session, *options); }};
}

}  // namespace sluice::cli
