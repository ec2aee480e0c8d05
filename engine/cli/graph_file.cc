#include "engine/cli/graph_file.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "engine/cli/std_streams.h"
#include "engine/graph/codes.h"

namespace sluice::cli {
namespace {

// As config::ReadGraphFile().
constexpr size_t kMaxGraphBytes = 1 << 20;

Result<std::string> ReadStdin() {
  std::string text;
  char block[16384];
  for (;;) {
    const ssize_t got = read(STDIN_FILENO, block, sizeof block);
    if (got == 0) return text;
    if (got < 0) {
      if (errno == EINTR) continue;
      return FailErrno("<stdin>", errno);
    }
    text.append(block, static_cast<size_t>(got));
    if (text.size() > kMaxGraphBytes) {
      return Fail(Code::kResourceExhausted, "<stdin>: a graph may have at most 1 MiB");
    }
  }
}

}  // namespace

Result<config::Overrides> ParseOverrides(const std::vector<std::string>& assignments) {
  config::Overrides overrides;
  for (const std::string& assignment : assignments) {
    if (Status added = config::AddOverride(assignment, &overrides); !added) {
      return tl::unexpected(added.error());
    }
  }
  return overrides;
}

void AddSetOption(CLI::App& app, std::vector<std::string>* assignments) {
  app.add_option("--set", *assignments, "Value of one of the graph's params; may be repeated")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
}

std::optional<graph::Graph> LoadGraphFile(Session& session, const std::string& path,
                                          const config::Overrides& overrides,
                                          DiagnosticList* diagnostics) {
  const bool from_stdin = path == "-";
  const std::string name = from_stdin ? "<stdin>" : path;
  Result<std::string> text = from_stdin ? ReadStdin() : config::ReadGraphFile(path);
  if (!text) {
    Diagnostic finding;
    finding.code = CodeName(text.error().code);
    finding.file = name;
    finding.message = text.error().message;
    // The place says it already.
    if (finding.message.starts_with(name + ": ")) finding.message.erase(0, name.size() + 2);
    diagnostics->Add(std::move(finding));
    return std::nullopt;
  }
  return config::LoadGraph(*text, name, overrides, session.registry(), diagnostics);
}

std::string PluginHint(Session& session, const DiagnosticList& diagnostics) {
  const bool unknown_type =
      std::any_of(diagnostics.items().begin(), diagnostics.items().end(),
                  [](const Diagnostic& finding) { return finding.code == graph::kErrUnknownType; });
  if (!unknown_type) return {};
  if (session.registry().plugins().empty()) {
    return "no plugins were found; `sluice list` says where they are searched";
  }
  const size_t failed = session.registry().failed().size();
  if (failed == 0) return {};
  return fmt::format("{} cannot be used; `sluice list --failed` says why",
                     failed == 1 ? "a plugin" : fmt::format("{} plugins", failed));
}

std::optional<graph::Graph> LoadGraphOrComplain(Session& session, const std::string& path,
                                                const std::vector<std::string>& assignments) {
  const auto overrides = ParseOverrides(assignments);
  if (!overrides) {
    ComplainError(overrides.error().message);
    return std::nullopt;
  }
  DiagnosticList diagnostics;
  auto graph = LoadGraphFile(session, path, *overrides, &diagnostics);
  WriteErr(diagnostics.Format());
  if (const std::string hint = PluginHint(session, diagnostics); !hint.empty())
    Complain("note", hint);
  return graph;
}

}  // namespace sluice::cli
