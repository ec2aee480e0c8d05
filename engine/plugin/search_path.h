#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace sluice::plugin {

/// Why a folder is searched for plugins; the order is that of the search.
enum class SearchOrigin {
  kCommandLine,  ///< --plugin-path
  kEnvironment,  ///< SLUICE_PLUGIN_PATH
  kUser,         ///< $XDG_DATA_HOME/sluice/plugins
  kExecutable,   ///< plugins/ beside the executable, or its Bazel runfiles
  kInstallation  ///< lib/sluice/plugins of the executable's prefix
};
/// "--plugin-path", "SLUICE_PLUGIN_PATH", "user", "executable", "installation".
const char* SearchOriginName(SearchOrigin origin);

/// A folder that is searched, or a single plugin that was named.
struct SearchPlace {
  std::string path;  ///< absolute
  SearchOrigin origin = SearchOrigin::kInstallation;
  /// Somebody asked for it by name, so that it is a failure if it is missing.
  bool asked_for = false;
};

/// A place that cannot be used, with the reason.
struct RefusedPlace {
  std::string path;
  std::string reason;
};

struct SearchPath {
  std::vector<SearchPlace> places;
  std::vector<RefusedPlace> refused;
};

/// What the search starts from. The defaults are the process's own.
struct SearchPathOptions {
  /// Of --plugin-path, each one or several paths with ':' between. Relative ones
  /// are taken from the working directory, because the user wrote them there.
  std::vector<std::string> plugin_path;
  /// Looks an environment variable up. Empty = secure_getenv().
  std::function<std::optional<std::string>(const char*)> environment;
  /// Absolute path of the executable. Empty = /proc/self/exe.
  std::string executable;
};

/// The places where plugins are searched, in order, each once. The working
/// directory is never among them unless --plugin-path names it. Only runfiles
/// are looked up on disk; the other places need not exist.
SearchPath FindSearchPath(const SearchPathOptions& options);

}  // namespace sluice::plugin
