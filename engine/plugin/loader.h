#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/plugin/registry.h"
#include "sluice/doctor.h"
#include "sluice/domain.h"
#include "sluice/node.h"
#include "sluice/passes.h"
#include "sluice/profile.h"

namespace sluice::plugin {

/// The plugin ABI of this engine.
inline constexpr sluice_version kAbiVersion{SLUICE_ABI_MAJOR, SLUICE_ABI_MINOR};

/// Whether a plugin of version `abi` can be used; the error names both versions.
Status CheckAbiVersion(sluice_version abi);

/// Who makes the nodes of one type.
struct NodeMaker {
  const sluice_node_factory* factory = nullptr;
  /// What to pass to factory->create(): the type itself, or for a type without
  /// code the type that does its work.
  std::string type_id;
  /// For a type without code the absolute path of its file; else empty.
  std::string file;
  const PluginInfo* plugin = nullptr;  ///< the one with the code
};

/// Who makes a domain.
struct DomainMaker {
  const sluice_domain_factory* factory = nullptr;
  const sluice_passes* passes = nullptr;  ///< null: it does not tell
};

/// Loads plugins on first use and checks that they are what their manifests say.
/// A plugin once loaded stays until the process ends, and is initialised once in
/// the process: all loaders must name one host. A refusal is remembered.
/// Threads: [main-thread]. Borrows registry and host, which must outlive it.
class Loader {
 public:
  Loader(const Registry* registry, const sluice_host* host) : registry_(registry), host_(host) {}

  /// Errors: NotFound (no such type, or nobody implements it); Unsupported (no
  /// plugin, another ABI); InvalidArgument (differs from its manifest); what
  /// init() returned. The message names the file.
  Result<NodeMaker> FindNode(std::string_view type_id);
  /// Errors: as FindNode().
  Result<DomainMaker> FindDomain(std::string_view domain_id);

  /// Loads every plugin with code and returns those that examine the machine.
  std::vector<const sluice_doctor*> Doctors();
  /// The same, of those that measure their devices.
  std::vector<const sluice_profile*> Profilers();
  /// Loads every plugin with code and returns those that are refused.
  std::vector<FailedPlugin> CheckAll();

 private:
  struct Library {
    const sluice_node_factory* nodes = nullptr;
    const sluice_domain_factory* domains = nullptr;
    const sluice_doctor* doctor = nullptr;
    const sluice_passes* passes = nullptr;
    const sluice_profile* profiler = nullptr;
  };

  const Result<Library>& Load(const PluginInfo& plugin);
  Result<Library> Open(const PluginInfo& plugin) const;

  const Registry* registry_;
  const sluice_host* host_;
  std::map<const PluginInfo*, Result<Library>> loaded_;
};

/// Calls deinit() of every plugin that was initialised. Nothing of any plugin
/// may be left or be made afterwards: the last thing before the process ends.
/// Threads: [main-thread].
void DeinitPlugins();

}  // namespace sluice::plugin
