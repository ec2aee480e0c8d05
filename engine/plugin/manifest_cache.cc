#include "engine/plugin/manifest_cache.h"

#include <fmt/format.h>

#include "engine/base/file.h"
#include "engine/plugin/elf_section.h"
#include "engine/plugin/sha256.h"
#include "engine/yaml/packed.h"

namespace sluice::plugin {
namespace {

// Another form of trees, or of this file, is another word.
constexpr std::string_view kForm = "sluice-manifest-tree-1";
constexpr size_t kMostBytes = size_t{4} << 20;

/// What stands in front of a tree.
std::string Header(std::string_view text, std::string_view tree) {
  return fmt::format("{} {} {}\n", kForm, Sha256Hex(text), Sha256Hex(tree));
}

}  // namespace

ManifestCache ManifestCache::OfUser() {
  const std::string folder = CacheFolder();
  return ManifestCache(folder.empty() ? "" : folder + "/manifests");
}

std::string ManifestCache::PathOf(const std::string& file) const {
  return fmt::format("{}/{}.tree", folder_, Sha256Hex(file).substr(0, 32));
}

std::optional<yaml::Value> ManifestCache::Find(const std::string& file,
                                               std::string_view text) const {
  if (folder_.empty()) return std::nullopt;
  const auto kept = ReadSmallFile(PathOf(file), kMostBytes);
  if (!kept) return std::nullopt;
  const size_t end = kept->find('\n');
  if (end == std::string::npos) return std::nullopt;
  const std::string_view tree = std::string_view(*kept).substr(end + 1);
  if (kept->compare(0, end + 1, Header(text, tree)) != 0) return std::nullopt;
  return yaml::Unpack(tree);
}

void ManifestCache::Keep(const std::string& file, std::string_view text,
                         const yaml::Value& tree) const {
  if (folder_.empty()) return;
  const std::string packed = yaml::Pack(tree);
  (void)WriteWhole(PathOf(file), Header(text, packed) + packed);
}

}  // namespace sluice::plugin
