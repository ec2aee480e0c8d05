#include <memory>
#include <optional>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "engine/cli/command.h"
#include "engine/cli/exit_code.h"
#include "engine/cli/graph_file.h"
#include "engine/cli/help.h"
#include "engine/cli/line_reader.h"
#include "engine/cli/profile_option.h"
#include "engine/cli/progress.h"
#include "engine/cli/report_file.h"
#include "engine/cli/std_streams.h"
#include "engine/cli/stop_timer.h"
#include "engine/runtime/engine.h"

namespace sluice::cli {
namespace {

using runtime::Engine;
using runtime::Report;

struct Options {
  std::string graph;
  std::vector<std::string> assignments;
  std::string gpu;
  std::string profile;
  std::string report;
  std::string stop_after;
  std::string control;
  std::string progress = "auto";
  unsigned workers = 0;
  bool force = false;
  bool json = false;
  bool quiet = false;
};

ProgressMode ModeOf(const Options& options) {
  if (options.progress == "always") return ProgressMode::kAlways;
  if (options.progress == "never" || options.quiet) return ProgressMode::kNever;
  return ProgressMode::kAuto;
}

/// What a run came to.
struct Ended {
  Report report;
  bool timer_fired = false;
  bool report_lost = false;  ///< --report could not be written
};

int StatusOf(const Ended& ended) {
  if (ended.report.result == "failed" || !ended.report.errors.empty()) return kExitFailed;
  if (ended.report.result == "stopped" && !ended.timer_fired) return kExitInterrupted;
  return ended.report_lost ? kExitFailed : kExitDone;
}

/// One line of --control. What is wrong with it is said, and the graph goes on.
void Change(Engine& engine, const std::string& line) {
  auto change = config::ParseChange(line);
  if (!change) {
    ComplainError(fmt::format("--control: {}", change.error().message));
    return;
  }
  if (!*change) return;
  auto& [node, param, text, is_map] = **change;
  engine.ChangeParam(std::move(node), std::move(param), std::move(text), is_map,
                     [](const Status& changed) {
                       if (changed) return;
                       ComplainError(fmt::format("--control: {}", changed.error().message));
                     });
}

/// Opens, plans and runs; nothing of the engine is left when it returns. Else the exit status, with
/// the reason said.
tl::expected<Ended, int> Execute(Session& session, const Options& options,
                                 const graph::Graph& graph) {
  auto profile = LoadProfileOrComplain(options.profile);
  if (!profile) return tl::unexpected(kExitUsage);
  Progress progress(ModeOf(options));
  Engine::Options engine_options;
  engine_options.types = &session.registry();
  engine_options.loader = &session.loader();
  engine_options.gpu = options.gpu;
  engine_options.profile = std::move(*profile);
  engine_options.overwrite = options.force;
  engine_options.workers = options.workers;
  engine_options.catch_signals = true;
  if (progress.active()) {
    engine_options.progress = [&progress](const runtime::ProgressInfo& info) {
      progress.Show(info);
    };
  }
  auto engine = Engine::Create(graph, std::move(engine_options));
  if (!engine) {
    ComplainError(engine.error().message);
    return tl::unexpected(kExitMachine);
  }
  // Not earlier: from here on a signal does not end the process, so that no part file is left.
  std::optional<ReportFile> file;
  if (!options.report.empty()) {
    auto created = ReportFile::Create(options.report, options.force);
    if (!created) {
      ComplainError(fmt::format("--report: {}", created.error().message));
      return tl::unexpected(kExitUsage);
    }
    file.emplace(std::move(*created));
  }
  if (auto prepared = (*engine)->Prepare(); !prepared) {
    ComplainError(prepared.error().error.message);
    return tl::unexpected(prepared.error().blame == runtime::Blame::kMachine ? kExitMachine
                                                                             : kExitUsage);
  }
  if (!options.quiet) {
    for (const std::string& warning : (*engine)->plan().warnings) ComplainWarning(warning);
  }
  std::optional<LineReader> control;
  if (!options.control.empty()) {
    auto opened = LineReader::Open(options.control, [&engine](const std::string& line) {
      Change(**engine, line);
    });
    if (!opened) {
      ComplainError(fmt::format("--control: {}", opened.error().message));
      return tl::unexpected(kExitUsage);
    }
    control.emplace(std::move(*opened));
  }
  Ended ended;
  std::optional<StopTimer> timer;
  if (const auto delay = ParseDuration(options.stop_after)) {
    timer.emplace(*delay, [&engine] { (*engine)->Interrupt(); });
  }
  ended.report = (*engine)->Run();
  control.reset();  // before the engine that it talks to
  ended.timer_fired = timer && timer->fired();
  if (file) {
    if (Status written = file->Finish(ended.report.ToJson()); !written) {
      ComplainError(fmt::format("--report: {}", written.error().message));
      ended.report_lost = true;
    }
  }
  return ended;
}

/// The report on stdout. A stdout that cannot be written does not change what the run came to,
/// unless the report is what was asked for.
int ShowReport(const Options& options, const Report& report, int status) {
  if (options.json) {
    const int delivered = Deliver(report.ToJson());
    return status == kExitDone ? delivered : status;
  }
  if (options.quiet) return status;
  Report shown = report;
  shown.errors.clear();  // They were on stderr.
  if (shown.graph.empty()) shown.graph = options.graph == "-" ? "<stdin>" : options.graph;
  Deliver(shown.ToTable());
  return status;
}

int Run(Session& session, const Options& options) {
  if (options.graph == "-" && options.control == "-") {
    ComplainError("--control -: the graph is read from stdin already");
    return kExitUsage;
  }
  const auto graph = LoadGraphOrComplain(session, options.graph, options.assignments);
  if (!graph) return kExitUsage;
  auto ended = Execute(session, options, *graph);
  if (!ended) return ended.error();
  for (const std::string& error : ended->report.errors) ComplainError(error);
  return ShowReport(options, ended->report, StatusOf(*ended));
}

CLI::Validator DurationCheck() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        return ParseDuration(text)
                   ? std::string()
                   : "'" + text + "' is not a duration, such as 90, 1.5s, 500ms, 2m, 1h";
      },
      "");
}

}  // namespace

Command AddRun(CLI::App& parent, Session& session) {
  auto options = std::make_shared<Options>();
  CLI::App* app =
      parent.add_subcommand("run", "Run a graph; Ctrl-C drains it, a second one stops it");
  app->add_option("GRAPH", options->graph, "Graph file; - is stdin")->required();
  AddSetOption(*app, &options->assignments);
  app->add_option("--gpu", options->gpu,
                  "Device of the GPU nodes: its number, UUID or part of its name")
      ->type_name("DEVICE");
  AddProfileOption(*app, &options->profile);
  app->add_flag("--force", options->force, "Replace output files that exist");
  app->add_option(
         "--stop-after", options->stop_after,
         "Drain after this time, as Ctrl-C does, with exit status 0: 90, 1.5s, 500ms, 2m, 1h")
      ->type_name("TIME")
      ->check(DurationCheck());
  app->add_option("--workers", options->workers,
                  "CPU threads for nodes; 0 (default): one for each processor")
      ->type_name("N")
      ->check(CLI::Range(0u, 1024u).description(""));
  app->add_option("--progress", options->progress,
                  "auto (default: on a terminal), always or never; on stderr")
      ->type_name("WHEN")
      ->check(CLI::IsMember({"auto", "always", "never"}).description(""));
  app->add_option("--control", options->control,
                  "Read lines `NODE.PARAM: VALUE` from FILE (a FIFO; - is stdin) while the graph runs, "
                  "and change parameters that may change then")
      ->type_name("FILE");
  app->add_option("--report", options->report, "Also write the report to FILE, as JSON")
      ->type_name("FILE");
  app->add_flag("--json", options->json, "The report as a JSON object, alone on stdout");
  app->add_flag("-q,--quiet", options->quiet, "No progress, no report; errors only");
  AddExamples(*app,
              "sluice run graphs/noir.yaml\n"
              "sluice run --set look=sepia --force graphs/noir.yaml\n"
              "sluice run --json graphs/noir.yaml | jq .bytes_copied\n"
              "sluice run --stop-after 10s --gpu llvmpipe camera.yaml\n"
              "echo 'look.amount: 0.5' | sluice run --control - camera.yaml\n"
              "\n"
              "Exit status: 0 done, 1 failed while running, 2 usage or graph error, 3 the machine\n"
              "lacks something, 130 ended by Ctrl-C.");
  return {app, [&session, options] { return Run(session, *options); }};
}

}  // namespace sluice::cli
