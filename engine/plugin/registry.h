#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/graph/node_type.h"
#include "engine/plugin/manifest.h"
#include "engine/plugin/manifest_cache.h"
#include "engine/plugin/search_path.h"

namespace sluice::plugin {

/// A plugin that was found and whose manifest is in order. Nothing of it was loaded.
struct PluginInfo {
  std::string path;    ///< absolute; of the .so, or of the manifest of a plugin without code
  std::string folder;  ///< of `path`; the files of implementations are in it
  SearchOrigin origin = SearchOrigin::kInstallation;
  bool has_code = true;
  uint64_t manifest_hash = 0;   ///< as in sluice_entry
  std::string manifest_sha256;  ///< 64 hexadecimal digits
  Manifest manifest;
};

/// A plugin that was found and is not used.
struct FailedPlugin {
  std::string path;
  std::string reason;  ///< may have several lines: one for each finding
};

/// All plugins of the search path, known by their manifests alone.
/// Threads: const functions are [thread-safe].
class Registry final : public graph::TypeSource {
 public:
  /// Reads the manifests of all plugins in `path`. Never fails as a whole: what
  /// cannot be used is in failed(). Of two plugins with one name, or with one
  /// node type or domain in common, the first found wins.
  static Registry Scan(const SearchPath& path,
                       const ManifestCache& cache = ManifestCache::OfUser());

  Registry(Registry&&) = default;
  Registry& operator=(Registry&&) = default;

  /// Pointers from here on live as long as the registry, also when it is moved.
  const graph::NodeType* Find(std::string_view type_id) const override;
  std::vector<std::string> Names() const override;

  /// nullptr if there is none.
  const ManifestNode* FindNode(std::string_view type_id) const;
  const PluginInfo* PluginOfType(std::string_view type_id) const;
  const ManifestDomain* FindDomain(std::string_view domain_id) const;
  const PluginInfo* PluginOfDomain(std::string_view domain_id) const;
  const PluginInfo* FindPlugin(std::string_view name) const;

  /// In the order of the search.
  const std::vector<std::unique_ptr<const PluginInfo>>& plugins() const { return plugins_; }
  const std::vector<FailedPlugin>& failed() const { return failed_; }
  /// Ids of all domains, sorted, without the built-in cpu.
  std::vector<std::string> DomainNames() const;

 private:
  template <typename T>
  struct Owned {
    const PluginInfo* plugin;
    const T* what;
  };
  template <typename T>
  using Index = std::map<std::string, Owned<T>, std::less<>>;

  explicit Registry(const ManifestCache& cache) : cache_(cache) {}

  void ScanPlace(const SearchPlace& place);
  void ScanFolder(const std::string& folder, SearchOrigin origin, bool is_place);
  void AddLibrary(const std::string& path, SearchOrigin origin);
  void AddFolderPlugin(const std::string& path, SearchOrigin origin);
  void Add(std::unique_ptr<PluginInfo> plugin, std::string_view text, std::string manifest_name);
  /// Why `plugin` cannot be used, though its manifest is well-formed; "" if it can.
  std::string FindConflict(const PluginInfo& plugin) const;
  bool IsNewFile(const std::string& path);
  void Refuse(std::string path, std::string reason);

  ManifestCache cache_;
  std::vector<std::unique_ptr<const PluginInfo>> plugins_;
  std::vector<FailedPlugin> failed_;
  Index<ManifestNode> nodes_;
  Index<ManifestDomain> domains_;
  std::set<std::pair<uint64_t, uint64_t>> seen_files_;
};

}  // namespace sluice::plugin
