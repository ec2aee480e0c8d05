#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "engine/yaml/value.h"

namespace sluice::plugin {

/// The trees of manifests between runs: parsing the YAML of all plugins takes longer than the rest
/// of a start. One file for each manifest, with the hashes of its text and of itself; one that is
/// damaged, or of another text, is as good as none.
/// Threads: [thread-safe].
class ManifestCache {
 public:
  /// `folder`: made when something is kept; "": nothing is.
  explicit ManifestCache(std::string folder = {}) : folder_(std::move(folder)) {}
  /// `manifests` in CacheFolder().
  static ManifestCache OfUser();

  /// `file`: as of ParseManifest.
  std::optional<yaml::Value> Find(const std::string& file, std::string_view text) const;
  /// Replaces what there was of that file. A failure costs time later and is nobody's error.
  void Keep(const std::string& file, std::string_view text, const yaml::Value& tree) const;

 private:
  std::string PathOf(const std::string& file) const;

  std::string folder_;
};

}  // namespace sluice::plugin
