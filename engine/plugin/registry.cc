#include "engine/plugin/registry.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "engine/plugin/elf_section.h"
#include "engine/plugin/sha256.h"
#include "sluice/abi.h"

namespace sluice::plugin {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kLibrarySuffix = ".so";
constexpr std::string_view kManifestSuffix = ".sluice.yaml";

bool IsFile(const std::string& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

/// "/p/core.sluice.yaml" -> "/p/core.so": the library that the manifest was built into.
std::string LibraryBeside(const std::string& manifest) {
  return manifest.substr(0, manifest.size() - kManifestSuffix.size()) + std::string(kLibrarySuffix);
}

/// What an implementation without code must have; "" if all is there.
std::string CheckImplementations(const PluginInfo& plugin) {
  for (const ManifestNode& node : plugin.manifest.nodes) {
    const std::string& id = node.type.id;
    if (plugin.has_code && node.implementation.given()) {
      return fmt::format("'{}' has an `implementation`, which is for plugins without code", id);
    }
    if (plugin.has_code) continue;
    if (!node.implementation.given()) {
      return fmt::format("'{}' has no `implementation`, which a plugin without code needs", id);
    }
    const std::string file = plugin.folder + "/" + node.implementation.file;
    if (!IsFile(file))
      return fmt::format("'{}' is implemented by {}, which is not a file", id, file);
  }
  if (!plugin.has_code && !plugin.manifest.domains.empty()) {
    return fmt::format("the domain '{}' needs code", plugin.manifest.domains.front().id);
  }
  return {};
}

}  // namespace

Registry Registry::Scan(const SearchPath& path, const ManifestCache& cache) {
  Registry registry(cache);
  for (const RefusedPlace& place : path.refused) registry.Refuse(place.path, place.reason);
  for (const SearchPlace& place : path.places) registry.ScanPlace(place);
  return registry;
}

void Registry::ScanPlace(const SearchPlace& place) {
  struct stat info;
  if (stat(place.path.c_str(), &info) != 0) {
    if (place.asked_for || errno != ENOENT) Refuse(place.path, std::strerror(errno));
    return;
  }
  if (S_ISDIR(info.st_mode)) {
    ScanFolder(place.path, place.origin, true);
  } else if (place.path.ends_with(kManifestSuffix)) {
    AddFolderPlugin(place.path, place.origin);
  } else {
    AddLibrary(place.path, place.origin);
  }
}

void Registry::ScanFolder(const std::string& folder, SearchOrigin origin, bool is_place) {
  std::vector<std::string> paths;
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  for (const fs::directory_iterator end; !error && entry != end; entry.increment(error)) {
    paths.push_back(entry->path().string());
  }
  if (error) Refuse(folder, "cannot be listed: " + error.message());
  // The order in a folder is the file system's mood; of duplicates the first wins, so it must not
  // matter.
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) {
    std::error_code ignored;
    if (path.ends_with(kManifestSuffix)) {
      // Beside its library, a manifest is what the library was built from.
      if (!IsFile(LibraryBeside(path))) AddFolderPlugin(path, origin);
    } else if (is_place && path.ends_with(kLibrarySuffix)) {
      AddLibrary(path, origin);
    } else if (is_place && fs::is_directory(path, ignored)) {
      ScanFolder(path, origin, false);
    }
  }
}

void Registry::AddLibrary(const std::string& path, SearchOrigin origin) {
  if (!IsNewFile(path)) return;
  const auto section = ReadElfSection(path, SLUICE_MANIFEST_SECTION, SLUICE_MANIFEST_MAX_BYTES);
  if (!section) return Refuse(path, section.error().message);
  if (const auto target = CheckElfTarget(*section); !target)
    return Refuse(path, target.error().message);
  auto plugin = std::make_unique<PluginInfo>();
  plugin->path = path;
  plugin->origin = origin;
  Add(std::move(plugin), section->bytes, fmt::format("{}({})", path, SLUICE_MANIFEST_SECTION));
}

void Registry::AddFolderPlugin(const std::string& path, SearchOrigin origin) {
  if (!IsNewFile(path)) return;
  const auto text = ReadSmallFile(path, SLUICE_MANIFEST_MAX_BYTES);
  if (!text) return Refuse(path, text.error().message);
  auto plugin = std::make_unique<PluginInfo>();
  plugin->path = path;
  plugin->origin = origin;
  plugin->has_code = false;
  Add(std::move(plugin), *text, path);
}

void Registry::Add(std::unique_ptr<PluginInfo> plugin, std::string_view text,
                   std::string manifest_name) {
  auto manifest = ParseManifest(text, std::move(manifest_name), nullptr, &cache_);
  if (!manifest) return Refuse(plugin->path, manifest.error().message);
  plugin->folder = fs::path(plugin->path).parent_path().string();
  plugin->manifest = std::move(*manifest);
  plugin->manifest_hash = ManifestHash(text);
  plugin->manifest_sha256 = Sha256Hex(text);
  if (std::string reason = CheckImplementations(*plugin); !reason.empty()) {
    return Refuse(plugin->path, std::move(reason));
  }
  if (std::string reason = FindConflict(*plugin); !reason.empty()) {
    return Refuse(plugin->path, std::move(reason));
  }
  for (const ManifestNode& node : plugin->manifest.nodes)
    nodes_[node.type.id] = {plugin.get(), &node};
  for (const ManifestDomain& domain : plugin->manifest.domains)
    domains_[domain.id] = {plugin.get(), &domain};
  plugins_.push_back(std::move(plugin));
}

std::string Registry::FindConflict(const PluginInfo& plugin) const {
  const auto message = [&](std::string_view kind, std::string_view id, const PluginInfo& first) {
    return fmt::format("the {} '{}' of {} is already that of {}", kind, id, plugin.path,
                       first.path);
  };
  if (const PluginInfo* first = FindPlugin(plugin.manifest.name)) {
    return message("plugin name", plugin.manifest.name, *first);
  }
  for (const ManifestNode& node : plugin.manifest.nodes) {
    if (const PluginInfo* first = PluginOfType(node.type.id))
      return message("node type", node.type.id, *first);
  }
  for (const ManifestDomain& domain : plugin.manifest.domains) {
    if (const PluginInfo* first = PluginOfDomain(domain.id))
      return message("domain", domain.id, *first);
  }
  return {};
}

/// One file that is reached by several paths (runfiles are links) is one plugin.
bool Registry::IsNewFile(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return true;  // Reading it will say why.
  return seen_files_.emplace(info.st_dev, info.st_ino).second;
}

void Registry::Refuse(std::string path, std::string reason) {
  failed_.push_back({std::move(path), std::move(reason)});
}

const graph::NodeType* Registry::Find(std::string_view type_id) const {
  const ManifestNode* node = FindNode(type_id);
  return node == nullptr ? nullptr : &node->type;
}

std::vector<std::string> Registry::Names() const {
  std::vector<std::string> names;
  for (const auto& [id, node] : nodes_) names.push_back(id);
  return names;
}

const ManifestNode* Registry::FindNode(std::string_view type_id) const {
  const auto found = nodes_.find(type_id);
  return found == nodes_.end() ? nullptr : found->second.what;
}

const PluginInfo* Registry::PluginOfType(std::string_view type_id) const {
  const auto found = nodes_.find(type_id);
  return found == nodes_.end() ? nullptr : found->second.plugin;
}

const ManifestDomain* Registry::FindDomain(std::string_view domain_id) const {
  const auto found = domains_.find(domain_id);
  return found == domains_.end() ? nullptr : found->second.what;
}

const PluginInfo* Registry::PluginOfDomain(std::string_view domain_id) const {
  const auto found = domains_.find(domain_id);
  return found == domains_.end() ? nullptr : found->second.plugin;
}

const PluginInfo* Registry::FindPlugin(std::string_view name) const {
  for (const auto& plugin : plugins_) {
    if (plugin->manifest.name == name) return plugin.get();
  }
  return nullptr;
}

std::vector<std::string> Registry::DomainNames() const {
  std::vector<std::string> names;
  for (const auto& [id, domain] : domains_) names.push_back(id);
  return names;
}

}  // namespace sluice::plugin
