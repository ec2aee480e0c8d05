#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/plugin/loader.h"
#include "engine/plugin/registry.h"

namespace sluice::cli {

/// What all commands share: the options before and after the command's name, and the plugins.
/// Threads: [main-thread].
class Session {
 public:
  std::vector<std::string> plugin_path;  ///< of --plugin-path

  /// Searches on the first call.
  const plugin::SearchPath& search_path();
  const plugin::Registry& registry();
  plugin::Loader& loader();

 private:
  std::optional<plugin::SearchPath> search_path_;
  std::optional<plugin::Registry> registry_;
  std::optional<plugin::Loader> loader_;
};

}  // namespace sluice::cli
