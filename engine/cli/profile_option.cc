#include "engine/cli/profile_option.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "engine/cli/std_streams.h"
#include "engine/profile/store.h"

namespace sluice::cli {

void AddProfileOption(CLI::App& app, std::string* profile) {
  app.add_option("--profile", *profile,
                 "Speeds to plan with: a file of `sluice doctor --measure`, or none for the "
                 "defaults; without it this machine's own, where it was measured")
      ->type_name("FILE|none");
}

std::optional<graph::Profile> LoadProfileOrComplain(const std::string& option) {
  auto choice = profile::Choose(option, profile::ThisMachine());
  if (!choice) {
    ComplainError(fmt::format("--profile: {}", choice.error().message));
    return std::nullopt;
  }
  if (!choice->warning.empty()) ComplainWarning(choice->warning);
  return std::move(choice->profile);
}

}  // namespace sluice::cli
