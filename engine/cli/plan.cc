#include "engine/graph/plan.h"

#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/cli/command.h"
#include "engine/cli/exit_code.h"
#include "engine/cli/graph_file.h"
#include "engine/cli/help.h"
#include "engine/cli/profile_option.h"
#include "engine/cli/std_streams.h"
#include "engine/runtime/engine.h"

namespace sluice::cli {
namespace {

using Json = nlohmann::ordered_json;
using Notes = std::vector<std::pair<std::string, std::string>>;

struct Options {
  std::string graph;
  std::vector<std::string> assignments;
  std::string gpu;
  std::string profile;
  std::string format = "table";
  bool json = false;
  bool rehearse = false;
};

std::string Table(const graph::Plan& plan, const Notes& notes) {
  std::string text = plan.ToTable();
  if (!notes.empty()) text += "\nnotes\n";
  for (const auto& [node, note] : notes) text += fmt::format("  {}: {}\n", node, note);
  return text;
}

std::string JsonText(const graph::Plan& plan, const Notes& notes) {
  Json json = Json::parse(plan.ToJson(), nullptr, false);
  Json list = Json::array();
  for (const auto& [node, note] : notes) list.push_back({{"node", node}, {"note", note}});
  if (json.is_object()) json["notes"] = std::move(list);
  return ToText(json);
}

int Plan(Session& session, const Options& options) {
  const auto graph = LoadGraphOrComplain(session, options.graph, options.assignments);
  if (!graph) return kExitUsage;
  auto profile = LoadProfileOrComplain(options.profile);
  if (!profile) return kExitUsage;
  runtime::Engine::Options engine_options;
  engine_options.types = &session.registry();
  engine_options.loader = &session.loader();
  engine_options.gpu = options.gpu;
  engine_options.profile = std::move(*profile);
  auto engine = runtime::Engine::Create(*graph, std::move(engine_options));
  if (!engine) {
    ComplainError(engine.error().message);
    return kExitMachine;
  }
  if (auto prepared = (*engine)->Prepare(); !prepared) {
    ComplainError(prepared.error().error.message);
    return prepared.error().blame == runtime::Blame::kMachine ? kExitMachine : kExitUsage;
  }
  if (options.rehearse) {
    if (Status rehearsed = (*engine)->Rehearse(); !rehearsed) {
      ComplainError(rehearsed.error().message);
      return kExitMachine;
    }
  }
  const graph::Plan& plan = (*engine)->plan();
  if (options.json || options.format == "json") return Deliver(JsonText(plan, (*engine)->Notes()));
  if (options.format == "dot") return Deliver(plan.ToDot());
  return Deliver(Table(plan, (*engine)->Notes()));
}

}  // namespace

Command AddPlan(CLI::App& parent, Session& session) {
  auto options = std::make_shared<Options>();
  CLI::App* app = parent.add_subcommand("plan",
                                        "Say what every edge of a graph will carry, in which "
                                        "memory, and what is copied; runs nothing");
  app->add_option("GRAPH", options->graph, "Graph file; - is stdin")->required();
  AddSetOption(*app, &options->assignments);
  app->add_option("--gpu", options->gpu,
                  "Device of the GPU nodes: its number, UUID or part of its name")
      ->type_name("DEVICE");
  AddProfileOption(*app, &options->profile);
  CLI::Option* format =
      app->add_option("--format", options->format, "table (default), json, or dot for Graphviz")
          ->type_name("FORMAT")
          ->check(CLI::IsMember({"table", "json", "dot"}).description(""));
  app->add_flag("--json", options->json, "As --format json")->excludes(format);
  app->add_flag("--try", options->rehearse,
                "Also allocate all buffers and try every import, as run does: what a device refuses "
                "is excluded, and the plan is the one that stands. Devices must be free");
  AddExamples(*app,
              "sluice plan graphs/noir.yaml\n"
              "sluice plan --try graphs/camera-to-display.yaml\n"
              "sluice plan --format dot graphs/noir.yaml | dot -Tsvg > plan.svg\n"
              "sluice plan --json graphs/noir.yaml | jq '.copies'\n"
              "\n"
              "Input files and devices are opened, because they decide; no output is written.");
  return {app, [&session, options] { return Plan(session, *options); }};
}

}  // namespace sluice::cli
