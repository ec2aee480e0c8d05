#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/diagnostic.h"
#include "engine/base/result.h"
#include "engine/graph/node_type.h"

namespace sluice::plugin {

/// The manifest's language; `sluice_manifest: 1`.
inline constexpr int kManifestVersion = 1;

/// Codes of the manifest reader's findings; those of the YAML itself are
/// engine/yaml's. docs/manifest.md lists them.
inline constexpr std::string_view kErrManifestVersion = "SLU-M001";    ///< missing, or another
inline constexpr std::string_view kErrManifestKey = "SLU-M002";        ///< unknown
inline constexpr std::string_view kErrManifestMissing = "SLU-M003";    ///< a required key
inline constexpr std::string_view kErrManifestKind = "SLU-M004";       ///< list, mapping or text
inline constexpr std::string_view kErrManifestValue = "SLU-M005";      ///< not one of the values
inline constexpr std::string_view kErrManifestName = "SLU-M006";       ///< not a name, or taken
inline constexpr std::string_view kErrManifestReference = "SLU-M007";  ///< names the undeclared
inline constexpr std::string_view kErrManifestConflict = "SLU-M008";   ///< exclude each other

/// How a node type without code is made: another type does the work, with a
/// file of the plugin's folder.
struct Implementation {
  std::string type_id;  ///< "vulkan.shader"
  std::string file;     ///< relative to the manifest's folder, inside of it; "gain.comp"
  bool given() const { return !type_id.empty(); }
};

struct ManifestNode {
  graph::NodeType type;
  std::string summary;  ///< one line: the first of type.doc
  Implementation implementation;
};

struct ManifestDomain {
  std::string id;  ///< "vulkan"
  std::string summary;
  std::string doc;
  std::vector<graph::ParamDesc> params;
};

class ManifestCache;

/// What a plugin says about itself.
struct Manifest {
  std::string name;
  std::string version;
  std::string description;
  std::string license;
  std::vector<ManifestNode> nodes;
  std::vector<ManifestDomain> domains;
};

/// Reads a manifest. `file` is for messages: a path, or "x.so(.sluice.manifest)".
/// Everything that is wrong is found in one pass; with any error there is no
/// manifest: InvalidArgument, with every finding formatted in the message.
/// Warnings do not stop it. `diagnostics`, if not null, receives all of them.
/// `cache`, if not null, may know the text's tree, and keeps it.
/// Threads: [thread-safe].
Result<Manifest> ParseManifest(std::string_view text, std::string file,
                               DiagnosticList* diagnostics = nullptr,
                               const ManifestCache* cache = nullptr);

/// Whether `name` can be the name of a plugin, a domain, a port or a parameter:
/// a lower-case letter, then lower-case letters, digits, '_' and '-'; up to 64.
bool IsManifestName(std::string_view name);
/// Whether `id` can be a node type's id: names with dots between, at least two.
bool IsTypeId(std::string_view id);

}  // namespace sluice::plugin
