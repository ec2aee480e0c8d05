#pragma once

#include <string>

#include "engine/cli/session.h"

namespace CLI {
class App;
}

namespace sluice::cli {

/// Options that every command takes, before and after its name.
void AddCommonOptions(CLI::App& app, Session& session);

/// Examples below a command's help. Each line of `lines` is shown indented.
void AddExamples(CLI::App& app, const std::string& lines);

}  // namespace sluice::cli
