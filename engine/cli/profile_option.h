#pragma once

#include <optional>
#include <string>

#include "engine/graph/profile.h"

namespace CLI {
class App;
}

namespace sluice::cli {

/// Adds --profile to a command that makes plans.
void AddProfileOption(CLI::App& app, std::string* profile);

/// The profile that `option` asks for, "" being this machine's own. What is wrong with it is said
/// on stderr; nothing is returned for a file that was asked for and cannot be read.
std::optional<graph::Profile> LoadProfileOrComplain(const std::string& option);

}  // namespace sluice::cli
