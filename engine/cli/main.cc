// sluice: the command line. One file for each subcommand; this one only finds out which is meant.

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "engine/base/diagnostic.h"
#include "engine/cli/command.h"
#include "engine/cli/exit_code.h"
#include "engine/cli/help.h"
#include "engine/cli/session.h"
#include "engine/cli/std_streams.h"
#include "engine/cli/version.h"
#include "engine/plugin/loader.h"

namespace sluice::cli {
namespace {

/// `bazel run` starts programs in their runfiles; paths are meant from where the user stands.
void GoWhereTheUserStands() {
  const char* folder = std::getenv("BUILD_WORKING_DIRECTORY");
  if (folder == nullptr || *folder == '\0') return;
  if (chdir(folder) != 0) {
    ComplainWarning(fmt::format("cannot change to BUILD_WORKING_DIRECTORY {}: {}", folder,
                                std::strerror(errno)));
  }
}

std::string VersionText() {
  return fmt::format("sluice {} (plugin ABI {}.{})\n", kVersion, plugin::kAbiVersion.major,
                     plugin::kAbiVersion.minor);
}

std::vector<std::string> OptionNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::vector<std::string> CommandNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  return names;
}

int UsageError(const std::string& message, const std::string& hint, const CLI::App* command) {
  ComplainError(hint.empty() ? message : message + "; " + hint);
  WriteErr(
      fmt::format("Try `sluice {}--help`.\n", command != nullptr ? command->get_name() + " " : ""));
  return kExitUsage;
}

/// What was not understood, with what was probably meant.
int UnknownWord(const CLI::App& app, const CLI::App* command, const std::string& word) {
  if (word.size() > 1 && word.front() == '-') {
    const std::vector<std::string> names = OptionNames(command != nullptr ? *command : app);
    const std::string near = NearestName(word.substr(0, word.find('=')), names);
    return UsageError(fmt::format("unknown option '{}'", word),
                      near.empty() ? "" : fmt::format("did you mean '{}'?", near), command);
  }
  if (command == nullptr) {
    return UsageError(fmt::format("unknown command '{}'", word), NameHint(word, CommandNames(app)),
                      nullptr);
  }
  return UsageError(fmt::format("unexpected argument '{}'", word), "", command);
}

const CLI::App* ChosenCommand(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? nullptr : chosen.front();
}

int ParseProblem(const CLI::App& app, const CLI::ParseError& error) {
  const std::string name = error.get_name();
  if (name == "CallForHelp") return Deliver(app.help());
  if (name == "CallForVersion") return Deliver(VersionText());
  return UsageError(error.what(), "", ChosenCommand(app));
}

int Main(int argc, char** argv) {
  PrepareStdStreams();
  GoWhereTheUserStands();

  Session session;
  CLI::App app(
      "Runs a declarative graph of media nodes: sources, GPU filters and sinks, from plugins.",
      "sluice");
  app.get_formatter()->column_width(34);
  app.set_version_flag("--version", VersionText(), "Print the version and exit");
  AddCommonOptions(app, session);
  // What is left over is answered with the nearest name; CLI11 alone would only refuse it.
  app.allow_extras();
  app.require_subcommand(0, 1);

  const std::vector<Command> commands = {AddRun(app, session),     AddCheck(app, session),
                                         AddPlan(app, session),    AddList(app, session),
                                         AddInspect(app, session), AddSchema(app, session),
                                         AddDoctor(app, session)};
  for (const Command& command : commands) AddCommonOptions(*command.app, session);
  AddExamples(
      app,
      "sluice run graphs/noir.yaml              run a graph to its end, or to Ctrl-C\n"
      "sluice plan graphs/noir.yaml             what each edge will carry, and what is copied\n"
      "sluice inspect vulkan.look               ports and parameters of a node type\n"
      "sluice doctor                            what this machine can do\n"
      "\n"
      "Exit status: 0 done, 1 failed while running, 2 usage or graph error, 3 the machine\n"
      "lacks something, 130 ended by Ctrl-C.");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return ParseProblem(app, error);
  }
  const CLI::App* chosen = ChosenCommand(app);
  for (const std::string& word : app.remaining(true)) return UnknownWord(app, chosen, word);
  if (chosen == nullptr) {
    WriteErr(app.help());
    return kExitUsage;
  }
  const auto command = std::find_if(commands.begin(), commands.end(),
                                    [&](const Command& each) { return each.app == chosen; });
  const int status = command->run();
  plugin::DeinitPlugins();
  return status;
}

}  // namespace
}  // namespace sluice::cli

int main(int argc, char** argv) { return sluice::cli::Main(argc, argv); }
