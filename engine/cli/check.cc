#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/cli/command.h"
#include "engine/cli/exit_code.h"
#include "engine/cli/graph_file.h"
#include "engine/cli/help.h"
#include "engine/cli/std_streams.h"
#include "engine/domain/domain.h"
#include "engine/graph/codes.h"
#include "engine/plugin/host.h"

namespace sluice::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::vector<std::string> graphs;
  std::vector<std::string> assignments;
  std::string gpu;
  bool json = false;
  bool quiet = false;
};

Json ToJson(const Diagnostic& finding) {
  return {{"severity", finding.severity == Severity::kError ? "error" : "warning"},
          {"code", finding.code},
          {"line", finding.mark.line},
          {"column", finding.mark.column},
          {"message", finding.message},
          {"hint", finding.hint}};
}

std::string Count(size_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

/// Opens devices to see whether they are there, each once, and lets them go.
class DeviceCheck {
 public:
  explicit DeviceCheck(Session& session) : session_(session) {}

  /// Says which devices `graph` lacks: an error for the one that the command line names. For those
  /// that the graph itself names a warning: it may be meant for another machine.
  void Find(const graph::Graph& graph, const std::string& selector, DiagnosticList* diagnostics) {
    std::set<std::tuple<std::string, int, int>> seen;
    for (const graph::GraphNode& node : graph.nodes()) {
      if (node.type->domain == "cpu") continue;
      const Choice choice = ChoiceFor(node, graph.settings(), selector);
      if (choice.selector.empty()) continue;
      const std::string& id = node.type->domain;
      const std::optional<Error>& missing = Missing(id, choice.selector);
      if (!missing || !seen.emplace(id, choice.mark.line, choice.mark.column).second) {
        continue;
      }
      if (selector.empty()) {
        diagnostics->Warn(graph::kWarnDevice, choice.mark,
                          fmt::format("gpu: {}: {}", id, missing->message));
      } else {
        diagnostics->Error(CodeName(missing->code), {},
                           fmt::format("--gpu: {}: {}", id, missing->message));
      }
    }
    diagnostics->SortByPlace();
  }

 private:
  struct Choice {
    std::string selector;
    SourceMark mark;
  };

  static Choice ChoiceFor(const graph::GraphNode& node, const graph::Settings& settings,
                          const std::string& selector) {
    if (!selector.empty()) return {selector, {}};
    if (!node.gpu.empty()) return {node.gpu, node.gpu_mark};
    return {settings.gpu, settings.gpu_mark};
  }

  const std::optional<Error>& Missing(const std::string& id, const std::string& selector) {
    const auto [known, is_new] = missing_.try_emplace({id, selector});
    if (is_new) known->second = Open(id, selector);
    return known->second;
  }

  std::optional<Error> Open(const std::string& id, const std::string& selector) {
    const auto maker = session_.loader().FindDomain(id);
    if (!maker) return maker.error();
    const auto domain =
        domain::Domain::Create(plugin::Host(), *maker->factory, maker->passes, id, selector);
    if (!domain) return domain.error();
    return std::nullopt;
  }

  Session& session_;
  std::map<std::pair<std::string, std::string>, std::optional<Error>> missing_;
};

int Check(Session& session, const Options& options) {
  const auto overrides = ParseOverrides(options.assignments);
  if (!overrides) {
    ComplainError(overrides.error().message);
    return kExitUsage;
  }
  bool all_good = true;
  bool all_there = true;
  DeviceCheck devices(session);
  std::string text;
  std::string hint;
  Json graphs = Json::array();
  for (const std::string& path : options.graphs) {
    DiagnosticList diagnostics;
    const auto graph = LoadGraphFile(session, path, *overrides, &diagnostics);
    all_good = all_good && graph.has_value();
    if (graph) devices.Find(*graph, options.gpu, &diagnostics);
    const bool ok = !diagnostics.has_errors();
    all_there = all_there && (ok || !graph);
    Json findings = Json::array();
    for (const Diagnostic& finding : diagnostics.items()) findings.push_back(ToJson(finding));
    graphs.push_back({{"file", path}, {"ok", ok}, {"diagnostics", std::move(findings)}});
    if (options.json) continue;
    WriteErr(diagnostics.Format());
    if (hint.empty()) hint = PluginHint(session, diagnostics);
    if (ok) {
      text += fmt::format("{}: ok, {}, {}\n", path, Count(graph->nodes().size(), "node"),
                          Count(graph->edges().size(), "edge"));
    }
  }
  if (!hint.empty()) Complain("note", hint);
  int status = kExitDone;
  if (options.json) {
    status = DeliverJson(Json{{"ok", all_good && all_there}, {"graphs", std::move(graphs)}});
  } else if (!options.quiet) {
    status = Deliver(text);
  }
  if (!all_good) return kExitUsage;
  return all_there ? status : kExitMachine;
}

}  // namespace

Command AddCheck(CLI::App& parent, Session& session) {
  auto options = std::make_shared<Options>();
  CLI::App* app = parent.add_subcommand("check",
                                        "Say everything that is wrong with graphs, with line and "
                                        "column; opens nothing but the devices that are named");
  app->add_option("GRAPH", options->graphs, "Graph files; - is stdin")->required();
  AddSetOption(*app, &options->assignments);
  app->add_option("--gpu", options->gpu,
                  "Also open the GPU nodes' device: its number, UUID or part of its name")
      ->type_name("DEVICE");
  app->add_flag("--json", options->json, "Findings as a JSON object on stdout");
  app->add_flag("-q,--quiet", options->quiet, "Say nothing of graphs that are in order");
  AddExamples(*app,
              "sluice check graphs/*.yaml\n"
              "sluice check --set look=sepia --json graphs/noir.yaml\n"
              "generate-graph | sluice check -");
  return {app, [&session, options] { return Check(session, *options); }};
}

}  // namespace sluice::cli
