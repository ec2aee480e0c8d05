#include "engine/cli/session.h"

#include "engine/plugin/host.h"

namespace sluice::cli {

const plugin::SearchPath& Session::search_path() {
  if (!search_path_) {
    plugin::SearchPathOptions options;
    options.plugin_path = plugin_path;
    search_path_ = plugin::FindSearchPath(options);
  }
  return *search_path_;
}

const plugin::Registry& Session::registry() {
  if (!registry_) registry_ = plugin::Registry::Scan(search_path());
  return *registry_;
}

plugin::Loader& Session::loader() {
  if (!loader_) loader_.emplace(&registry(), plugin::Host());
  return *loader_;
}

}  // namespace sluice::cli
