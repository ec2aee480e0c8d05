#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/cli/command.h"
#include "engine/cli/exit_code.h"
#include "engine/cli/graph_file.h"
#include "engine/cli/help.h"
#include "engine/cli/std_streams.h"

namespace sluice::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::vector<std::string> graphs;
  std::vector<std::string> assignments;
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

int Check(Session& session, const Options& options) {
  const auto overrides = ParseOverrides(options.assignments);
  if (!overrides) {
    ComplainError(overrides.error().message);
    return kExitUsage;
  }
  bool all_good = true;
  std::string text;
  std::string hint;
  Json graphs = Json::array();
  for (const std::string& path : options.graphs) {
    DiagnosticList diagnostics;
    const auto graph = LoadGraphFile(session, path, *overrides, &diagnostics);
    all_good = all_good && graph.has_value();
    Json findings = Json::array();
    for (const Diagnostic& finding : diagnostics.items()) findings.push_back(ToJson(finding));
    graphs.push_back(
        {{"file", path}, {"ok", graph.has_value()}, {"diagnostics", std::move(findings)}});
    if (options.json) continue;
    WriteErr(diagnostics.Format());
    if (hint.empty()) hint = PluginHint(session, diagnostics);
    if (graph) {
      text += fmt::format("{}: ok, {}, {}\n", path, Count(graph->nodes().size(), "node"),
                          Count(graph->edges().size(), "edge"));
    }
  }
  if (!hint.empty()) Complain("note", hint);
  int status = kExitDone;
  if (options.json) {
    status = DeliverJson(Json{{"ok", all_good}, {"graphs", std::move(graphs)}});
  } else if (!options.quiet) {
    status = Deliver(text);
  }
  return all_good ? status : kExitUsage;
}

}  // namespace

Command AddCheck(CLI::App& parent, Session& session) {
  auto options = std::make_shared<Options>();
  CLI::App* app = parent.add_subcommand(
      "check", "Say everything that is wrong with graphs, with line and column; opens nothing");
  app->add_option("GRAPH", options->graphs, "Graph files; - is stdin")->required();
  AddSetOption(*app, &options->assignments);
  app->add_flag("--json", options->json, "Findings as a JSON object on stdout");
  app->add_flag("-q,--quiet", options->quiet, "Say nothing of graphs that are in order");
  AddExamples(*app,
              "sluice check graphs/*.yaml\n"
              "sluice check --set look=sepia --json graphs/noir.yaml\n"
              "generate-graph | sluice check -");
  return {app, [&session, options] { return Check(session, *options); }};
}

}  // namespace sluice::cli
