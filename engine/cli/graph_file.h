#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/base/diagnostic.h"
#include "engine/cli/session.h"
#include "engine/config/load.h"
#include "engine/graph/graph.h"

namespace CLI {
class App;
}

namespace sluice::cli {

/// The values of all --set options. Errors: InvalidArgument, with the option in the message.
Result<config::Overrides> ParseOverrides(const std::vector<std::string>& assignments);

/// Adds --set.
void AddSetOption(CLI::App& app, std::vector<std::string>* assignments);

/// Reads and validates the graph `path`; "-" is stdin. Everything that is wrong, a file that cannot
/// be read included, goes to `diagnostics`; nothing is returned if one is an error.
std::optional<graph::Graph> LoadGraphFile(Session& session, const std::string& path,
                                          const config::Overrides& overrides,
                                          DiagnosticList* diagnostics);

/// What to say beside the findings: plugins that could not be used may be why a type is unknown. ""
/// if nothing.
std::string PluginHint(Session& session, const DiagnosticList& diagnostics);

/// All of the above for a command with one graph: findings are printed on stderr.
std::optional<graph::Graph> LoadGraphOrComplain(Session& session, const std::string& path,
                                                const std::vector<std::string>& assignments);

}  // namespace sluice::cli
