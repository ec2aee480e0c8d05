#include "engine/plugin/search_path.h"

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string_view>
#include <system_error>

namespace sluice::plugin {
namespace {

namespace fs = std::filesystem;

std::optional<std::string> ProcessEnvironment(const char* name) {
  // Not getenv: a set-user-id program must not load what its caller points at.
  const char* value = secure_getenv(name);
  if (value == nullptr) return std::nullopt;
  return value;
}

std::vector<std::string> SplitList(std::string_view list) {
  std::vector<std::string> parts;
  while (!list.empty()) {
    const size_t end = std::min(list.find(':'), list.size());
    // An empty element is nothing here, not the working directory as in PATH.
    if (end > 0) parts.emplace_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return parts;
}

class Builder {
 public:
  explicit Builder(const SearchPathOptions& options) : options_(options) {
    if (!options_.environment) options_.environment = ProcessEnvironment;
    if (options_.executable.empty()) {
      std::error_code error;
      const fs::path self = fs::read_symlink("/proc/self/exe", error);
      if (!error) options_.executable = self.string();
    }
  }

  SearchPath Build() {
    AddCommandLine();
    AddEnvironment();
    AddUser();
    AddExecutable();
    return std::move(result_);
  }

 private:
  void Add(const fs::path& path, SearchOrigin origin, bool asked_for) {
    std::string text = path.lexically_normal().string();
    while (text.size() > 1 && text.back() == '/') text.pop_back();
    if (seen_.insert(text).second) result_.places.push_back({std::move(text), origin, asked_for});
  }

  void AddCommandLine() {
    for (const std::string& list : options_.plugin_path) {
      for (const std::string& part : SplitList(list)) {
        std::error_code error;
        const fs::path path = fs::absolute(part, error);
        if (error) {
          result_.refused.push_back({part, "has no absolute path: " + error.message()});
          continue;
        }
        Add(path, SearchOrigin::kCommandLine, true);
      }
    }
  }

  void AddEnvironment() {
    for (const std::string& part : SplitList(Variable("SLUICE_PLUGIN_PATH"))) {
      if (part.front() == '/') {
        Add(part, SearchOrigin::kEnvironment, true);
      } else {
        result_.refused.push_back({part, "SLUICE_PLUGIN_PATH may hold only absolute paths"});
      }
    }
  }

  void AddUser() {
    // The XDG specification has relative values ignored.
    const std::string data = Variable("XDG_DATA_HOME");
    const std::string home = Variable("HOME");
    if (data.starts_with('/')) {
      Add(fs::path(data) / "sluice/plugins", SearchOrigin::kUser, false);
    } else if (home.starts_with('/')) {
      Add(fs::path(home) / ".local/share/sluice/plugins", SearchOrigin::kUser, false);
    }
  }

  void AddExecutable() {
    const fs::path executable = options_.executable;
    if (executable.is_absolute()) {
      Add(executable.parent_path() / "plugins", SearchOrigin::kExecutable, false);
    }
    AddRunfiles(executable);
    if (executable.is_absolute()) {
      Add(executable.parent_path().parent_path() / "lib/sluice/plugins",
          SearchOrigin::kInstallation, false);
    }
  }

  void AddRunfiles(const fs::path& executable) {
    std::vector<fs::path> trees;
    // `bazel test` and `bazel run` have one tree for the whole command, and say where. The one
    // beside the executable may be of an earlier build then.
    for (const char* name : {"RUNFILES_DIR", "TEST_SRCDIR"}) {
      const std::string tree = Variable(name);
      if (tree.starts_with('/')) trees.push_back(tree);
    }
    if (executable.is_absolute()) trees.push_back(executable.string() + ".runfiles");
    for (const fs::path& tree : trees) {
      if (AddFamilies(tree / "sluice/nodes")) return;
    }
  }

  /// Each folder of nodes/ is one family of nodes, with its plugin in it.
  bool AddFamilies(const fs::path& nodes) {
    std::vector<fs::path> families;
    std::error_code error;
    for (fs::directory_iterator entry(nodes, error), end; !error && entry != end;
         entry.increment(error)) {
      std::error_code ignored;
      if (entry->is_directory(ignored)) families.push_back(entry->path());
    }
    std::sort(families.begin(), families.end());
    for (const fs::path& family : families) Add(family, SearchOrigin::kExecutable, false);
    return !families.empty();
  }

  std::string Variable(const char* name) const { return options_.environment(name).value_or(""); }

  SearchPathOptions options_;
  SearchPath result_;
  std::set<std::string> seen_;
};

}  // namespace

const char* SearchOriginName(SearchOrigin origin) {
  switch (origin) {
    case SearchOrigin::kCommandLine:
      return "--plugin-path";
    case SearchOrigin::kEnvironment:
      return "SLUICE_PLUGIN_PATH";
    case SearchOrigin::kUser:
      return "user";
    case SearchOrigin::kExecutable:
      return "executable";
    case SearchOrigin::kInstallation:
      return "installation";
  }
  return "unknown";
}

SearchPath FindSearchPath(const SearchPathOptions& options) { return Builder(options).Build(); }

}  // namespace sluice::plugin
