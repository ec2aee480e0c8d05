#include "engine/cli/doctor.h"

#include <algorithm>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/cli/command.h"
#include "engine/cli/exit_code.h"
#include "engine/cli/help.h"
#include "engine/cli/std_streams.h"
#include "engine/cli/version.h"
#include "engine/cli/wrap.h"
#include "engine/profile/store.h"

namespace sluice::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string gpu;
  std::string profile;
  uint64_t measure_mib = 0;
  bool measure = false;
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

/// Where the profile is, or will be; "" = nowhere.
std::string ProfilePath(const Options& options) {
  return options.profile.empty() ? profile::DefaultPath(profile::ThisMachine()) : options.profile;
}

/// What was found, and, where --gpu names a device that is not there, the words about that.
struct Examined {
  Findings findings;
  std::string no_device;
};

Examined ProbeAll(Session& session, const Options& options) {
  Examined examined;
  Findings& findings = examined.findings;
  ProbeKernel(&findings);
  ProbeMemory(&findings);
  ProbeBandwidth(&findings);
  ProbeDevices(&findings);
  const auto domains = ProbeDomains(session, options.gpu, &findings);
  if (!options.gpu.empty() && domains.empty()) examined.no_device = WhyNoDevice(findings);
  if (!options.measure) ProbeProfile(ProfilePath(options), domains, &findings);
  AskPlugins(session, &findings);
  ProbePlugins(session, &findings);
  return examined;
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

/// Nothing where it went wrong, which is said.
std::optional<profile::Record> MeasureProfile(Session& session, const Options& options,
                                              Findings* findings) {
  auto record =
      Measure(session, {ProfilePath(options), options.gpu, options.measure_mib << 20}, findings);
  if (record) return std::move(*record);
  ComplainError(fmt::format("the profile is not kept: {}", record.error().message));
  return std::nullopt;
}

int Doctor(Session& session, const Options& options) {
  auto [findings, no_device] = ProbeAll(session, options);
  const bool measures = options.measure && no_device.empty();
  const auto record = measures ? MeasureProfile(session, options, &findings) : std::nullopt;
  const bool works = std::none_of(findings.begin(), findings.end(), [](const Finding& finding) {
    return finding.required && finding.health == Health::kMissing;
  });
  int status = 0;
  if (options.json) {
    Json json = ToJson(findings, works);
    if (record) {
      json["profile_file"] = ProfilePath(options);
      json["profile"] = profile::ToJson(*record);
    }
    status = DeliverJson(json);
  } else {
    status = Deliver(Text(findings, works));
  }
  if (!no_device.empty()) ComplainError(fmt::format("--gpu: {}", no_device));
  if (!works || !no_device.empty()) return kExitMachine;
  return measures && !record ? kExitFailed : status;
}

}  // namespace

Command AddDoctor(CLI::App& parent, Session& session) {
  auto options = std::make_shared<Options>();
  CLI::App* app = parent.add_subcommand(
      "doctor",
      "Say what this machine can do, and how to get what is missing; with --measure, "
      "measure how fast it is, which plans are then made with");
  app->add_option("--gpu", options->gpu, "Device to look at: its number, UUID or part of its name")
      ->type_name("DEVICE");
  CLI::Option* measure = app->add_flag(
      "--measure", options->measure,
      "Measure memory, devices and the links between them, for some seconds, and keep the figures "
      "for `plan` and `run`; nothing else should be running");
  app->add_option("--measure-mib", options->measure_mib,
                  "Memory that each measurement goes over; 0 (default): more than caches hold")
      ->type_name("MIB")
      ->check(CLI::Range(0u, 65536u).description(""))
      ->needs(measure);
  app->add_option("--profile", options->profile,
                  "File of the figures, instead of this machine's own")
      ->type_name("FILE");
  app->add_flag("--json", options->json, "As a JSON object");
  AddExamples(*app,
              "sluice doctor\n"
              "sluice doctor --measure\n"
              "sluice doctor --json | jq '.checks[] | select(.health != \"ok\")'\n"
              "\n"
              "Exit status: 0 the engine can run here, whatever else is missing; 3 it cannot,\n"
              "or no device is the one that --gpu names.");
  return {app, [&session, options] { return Doctor(session, *options); }};
}

}  // namespace sluice::cli
