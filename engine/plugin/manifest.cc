#include "engine/plugin/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "engine/plugin/manifest_cache.h"
#include "engine/plugin/manifest_fields.h"
#include "engine/plugin/manifest_port.h"
#include "engine/yaml/value.h"
#include "sluice/abi.h"

namespace sluice::plugin {
namespace {

using internal::Fields;

constexpr size_t kMaxNameLength = 64;
constexpr uint32_t kMaxParallel = 256;
constexpr double kMaxConverterCost = 1000;
constexpr yaml::Limits kLimits{
    .max_bytes = SLUICE_MANIFEST_MAX_BYTES, .max_depth = 32, .max_nodes = 50'000};

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsNameChar(char c) { return IsLower(c) || (c >= '0' && c <= '9') || c == '_' || c == '-'; }

/// Stays inside of the folder: relative, and no part of it is "..".
bool IsInnerPath(std::string_view path) {
  if (path.empty() || path.front() == '/') return false;
  while (!path.empty()) {
    const size_t end = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, end);
    if (part.empty() || part == "." || part == "..") return false;
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return true;
}

struct Texts {
  std::string summary;
  std::string doc;  // Begins with the summary.
};

/// `summary` is one line for lists; without it, it is the first line of `doc`.
Texts ReadDoc(const Fields& fields) {
  Texts texts;
  texts.doc = fields.Text("doc");
  while (texts.doc.ends_with('\n')) texts.doc.pop_back();
  if (fields.Has("summary")) {
    texts.summary = fields.RequiredLine("summary");
    texts.doc = texts.doc.empty() ? texts.summary : texts.summary + "\n\n" + texts.doc;
  } else if (texts.doc.empty()) {
    fields.RequiredLine("doc");
  } else {
    texts.summary = texts.doc.substr(0, texts.doc.find('\n'));
  }
  return texts;
}

class NodeReader {
 public:
  NodeReader(const yaml::Entry& entry, const std::string& plugin, DiagnosticList* diagnostics)
      : diagnostics_(diagnostics),
        fields_(
            &entry.value, fmt::format("node type '{}'", entry.key),
            {"summary", "doc", "status", "domain", "cost", "async", "live", "parallel", "in_flight",
             "sync", "trigger", "ports", "ties", "converter", "implementation", "params"},
            entry.key_mark, diagnostics) {
    type_.id = entry.key;
    type_.plugin = plugin;
  }

  ManifestNode Read() {
    if (!IsTypeId(type_.id)) {
      fields_.Error(
          kErrManifestName, fields_.mark(),
          fmt::format("'{}' is not an id for a node type: names with a dot between, like core.null",
                      type_.id));
    }
    ReadTexts();
    ReadExecution();
    ReadPorts();
    ReadTies();
    ReadTrigger();
    ReadConverter();
    ReadImplementation();
    fields_.ForEach("params", [&](const yaml::Entry& entry) {
      type_.params.push_back(internal::ReadParam(entry, fields_.where(), diagnostics_));
    });
    CheckOfferParams();
    CheckTieParams();
    node_.type = std::move(type_);
    return std::move(node_);
  }

 private:
  void ReadTexts() {
    const Texts texts = ReadDoc(fields_);
    node_.summary = texts.summary;
    type_.doc = texts.doc;
    type_.status = fields_.Choice<std::string>(
        "status", {{"stable", "stable"}, {"alpha", "alpha"}, {"wip", "wip"}}, type_.status);
  }

  void ReadExecution() {
    if (fields_.Has("domain")) {
      type_.domain = fields_.Text("domain");
      if (!IsManifestName(type_.domain)) {
        fields_.Error(
            kErrManifestName, fields_.MarkOf("domain"),
            fmt::format("'domain' of {} is not a name: '{}'", fields_.where(), type_.domain));
      }
    }
    type_.heavy = fields_.Choice<bool>("cost", {{"light", false}, {"heavy", true}}, false);
    type_.async = fields_.Bool("async");
    type_.live = fields_.Bool("live");
    type_.parallel = fields_.Number("parallel", 1, kMaxParallel, 1);
    type_.in_flight = fields_.Number("in_flight", 0, kMaxParallel, 0);
    type_.sync = fields_.Choice<graph::SyncPolicy>(
        "sync", {{"all", graph::SyncPolicy::kAll}, {"latest", graph::SyncPolicy::kLatest}},
        type_.sync);
  }

  void ReadPorts() {
    fields_.ForEach("ports", [&](const yaml::Entry& entry) {
      type_.ports.push_back(internal::ReadPort(entry, fields_.where(), diagnostics_));
      port_marks_.push_back(entry.key_mark);
    });
    if (type_.ports.empty()) {
      fields_.Error(kErrManifestMissing, fields_.MarkOf("ports"),
                    fmt::format("{} needs at least one port", fields_.where()));
    }
    for (size_t i = 0; i < type_.ports.size(); ++i) {
      const graph::PortDesc& port = type_.ports[i];
      if (!port.passthrough.empty() && !IsInput(port.passthrough)) {
        Reference(port_marks_[i], fmt::format("port '{}' of {} passes frames of '{}' through",
                                              port.name, fields_.where(), port.passthrough));
      }
    }
  }

  bool IsInput(std::string_view name) const {
    const graph::PortDesc* port = type_.FindPort(name);
    return port != nullptr && port->direction == graph::Direction::kInput;
  }

  void Reference(SourceMark mark, const std::string& what) {
    std::vector<std::string> inputs;
    for (const graph::PortDesc* port : type_.Ports(graph::Direction::kInput))
      inputs.push_back(port->name);
    fields_.Error(kErrManifestReference, mark, what + ", which is not an input of it",
                  inputs.empty() ? "it has no inputs"
                                 : fmt::format("its inputs: {}", fmt::join(inputs, ", ")));
  }

  void ReadTies() {
    for (const auto& [text, mark] : fields_.TextList("ties")) {
      const auto tie = graph::ParseTie(text);
      if (!tie) {
        fields_.Error(kErrManifestValue, mark,
                      fmt::format("'ties' of {}: '{}' is not like out.size == in.size",
                                  fields_.where(), text),
                      "the fields are fourcc, size, rate and color");
        continue;
      }
      bool known = true;
      for (const std::string& port : {tie->left_port, tie->right_port}) {
        if (type_.FindPort(port) != nullptr) continue;
        known = false;
        fields_.Error(kErrManifestReference, mark,
                      fmt::format("{} has no port '{}' to tie", fields_.where(), port));
      }
      if (known) type_.ties.push_back(*tie);
      tie_marks_.resize(type_.ties.size(), mark);
    }
  }

  /// A tie may hold for some values of a parameter only: it must be there, and those too.
  void CheckTieParams() {
    for (size_t i = 0; i < type_.ties.size(); ++i) {
      const graph::Tie& tie = type_.ties[i];
      for (const std::string& name : {tie.when_param, tie.unless_param}) {
        if (name.empty() || type_.FindParam(name) != nullptr) continue;
        fields_.Error(kErrManifestReference, tie_marks_[i],
                      fmt::format("a tie of {} names '{}', which is not a parameter of it",
                                  fields_.where(), name));
      }
      const graph::ParamDesc* param = type_.FindParam(tie.when_param);
      if (param == nullptr) continue;
      for (const std::string& value : tie.when_values) {
        std::string problem;
        if (graph::ParseParamValue(*param, value, &problem)) continue;
        fields_.Error(kErrManifestReference, tie_marks_[i],
                      fmt::format("a tie of {} names the value '{}' of '{}', which it cannot have",
                                  fields_.where(), value, param->name),
                      problem);
      }
    }
  }

  void ReadTrigger() {
    type_.trigger = fields_.Text("trigger");
    if (type_.trigger.empty() || IsInput(type_.trigger)) return;
    Reference(fields_.MarkOf("trigger"),
              fmt::format("{} is triggered by '{}'", fields_.where(), type_.trigger));
  }

  void ReadConverter() {
    const yaml::Value* value = fields_.Find("converter");
    if (value == nullptr) return;
    if (value->is_scalar()) {
      type_.converter = fields_.Bool("converter");
    } else {
      const Fields converter(value, fmt::format("'converter' of {}", fields_.where()),
                             {"cost", "copies"}, value->mark(), diagnostics_);
      type_.converter = true;
      type_.converter_cost = converter.Real("cost", 0, kMaxConverterCost, type_.converter_cost);
      type_.copies = converter.Bool("copies");
    }
    const bool one_each = type_.Ports(graph::Direction::kInput).size() == 1 &&
                          type_.Ports(graph::Direction::kOutput).size() == 1;
    if (type_.converter && !one_each) {
      fields_.Error(
          kErrManifestConflict, value->mark(),
          fmt::format("{} is a converter, which has one input and one output", fields_.where()));
    }
  }

  void ReadImplementation() {
    if (!fields_.Has("implementation")) return;
    fields_.ForEach("implementation", [&](const yaml::Entry& entry) {
      if (node_.implementation.given()) {
        fields_.Error(kErrManifestConflict, entry.key_mark,
                      fmt::format("{} has two implementations", fields_.where()));
        return;
      }
      node_.implementation = {entry.key, entry.value.text()};
      if (!IsTypeId(entry.key)) {
        fields_.Error(kErrManifestName, entry.key_mark,
                      fmt::format("'implementation' of {}: '{}' is no id of a node type",
                                  fields_.where(), entry.key));
      }
      if (!entry.value.is_scalar() || !IsInnerPath(entry.value.text())) {
        fields_.BadValue("implementation", entry.value,
                         "the name of a file in the plugin's folder");
      }
    });
  }

  /// An offer may be narrowed by a parameter: it must be there, with a fitting type.
  void CheckOfferParams() {
    for (size_t i = 0; i < type_.ports.size(); ++i) {
      for (const graph::Offer& offer : type_.ports[i].offers) {
        CheckOfferParam(i, "size_param", offer.size_param, {graph::ParamType::kSize});
        CheckOfferParam(i, "rate_param", offer.rate_param, {graph::ParamType::kRate});
        CheckOfferParam(i, "format_param", offer.fourcc_param,
                        {graph::ParamType::kEnum, graph::ParamType::kString});
      }
    }
  }

  void CheckOfferParam(size_t port, std::string_view key, const std::string& name,
                       std::initializer_list<graph::ParamType> types) {
    if (name.empty()) return;
    const graph::ParamDesc* param = type_.FindParam(name);
    if (param != nullptr && std::count(types.begin(), types.end(), param->type) != 0) return;
    fields_.Error(
        kErrManifestReference, port_marks_[port],
        fmt::format("'{}' of port '{}' names '{}', which is not a parameter of {} of type {}", key,
                    type_.ports[port].name, name, fields_.where(),
                    graph::ParamTypeName(*types.begin())));
  }

  DiagnosticList* diagnostics_;
  Fields fields_;
  graph::NodeType type_;
  ManifestNode node_;
  std::vector<SourceMark> port_marks_;
  std::vector<SourceMark> tie_marks_;
};

ManifestDomain ReadDomain(const yaml::Entry& entry, DiagnosticList* diagnostics) {
  const Fields fields(&entry.value, fmt::format("domain '{}'", entry.key),
                      {"summary", "doc", "params"}, entry.key_mark, diagnostics);
  ManifestDomain domain;
  domain.id = entry.key;
  if (!IsManifestName(domain.id) || domain.id == "cpu") {
    fields.Error(kErrManifestName, entry.key_mark,
                 domain.id == "cpu" ? "the domain 'cpu' is the engine's own"
                                    : fmt::format("'{}' is not a name for a domain", domain.id));
  }
  const Texts texts = ReadDoc(fields);
  domain.summary = texts.summary;
  domain.doc = texts.doc;
  fields.ForEach("params", [&](const yaml::Entry& param) {
    domain.params.push_back(internal::ReadParam(param, fields.where(), diagnostics));
  });
  return domain;
}

void ReadPlugin(const Fields& root, Manifest* manifest) {
  const yaml::Value* value = root.Require("plugin");
  if (value == nullptr) return;
  const Fields plugin(value, "'plugin'", {"name", "version", "description", "license"},
                      root.MarkOf("plugin"), root.diagnostics());
  manifest->name = plugin.RequiredLine("name");
  if (!manifest->name.empty() && !IsManifestName(manifest->name)) {
    plugin.Error(kErrManifestName, plugin.MarkOf("name"),
                 fmt::format("'{}' is not a name for a plugin", manifest->name));
  }
  manifest->version = plugin.RequiredLine("version");
  manifest->description = plugin.Text("description");
  manifest->license = plugin.Text("license");
}

/// Other versions have other keys: nothing else of them is read.
bool CheckVersion(const yaml::Value& tree, DiagnosticList* diagnostics) {
  const yaml::Value* version = tree.Find("sluice_manifest");
  if (version == nullptr) {
    diagnostics->Error(kErrManifestVersion, tree.mark(),
                       "is not a plugin manifest: the key 'sluice_manifest' is missing",
                       fmt::format("begin with `sluice_manifest: {}`", kManifestVersion));
    return false;
  }
  if (version->AsInt() == int64_t{kManifestVersion}) return true;
  diagnostics->Error(
      kErrManifestVersion, version->mark(),
      fmt::format("the manifest is written in version {}, and this engine reads version {}",
                  version->Describe(), kManifestVersion));
  return false;
}

void ReadManifest(const yaml::Value& tree, DiagnosticList* diagnostics, Manifest* manifest) {
  if (!CheckVersion(tree, diagnostics)) return;
  const Fields root(&tree, "the manifest", {"sluice_manifest", "plugin", "nodes", "domains"},
                    tree.mark(), diagnostics);
  ReadPlugin(root, manifest);
  root.ForEach("nodes", [&](const yaml::Entry& entry) {
    manifest->nodes.push_back(NodeReader(entry, manifest->name, diagnostics).Read());
  });
  root.ForEach("domains", [&](const yaml::Entry& entry) {
    manifest->domains.push_back(ReadDomain(entry, diagnostics));
  });
  if (manifest->nodes.empty() && manifest->domains.empty()) {
    root.Error(kErrManifestMissing, tree.mark(), "the manifest declares neither nodes nor domains");
  }
}

/// Nothing when there is no whole tree. Only one without a finding is kept: it would not be found
/// again.
std::optional<yaml::Value> TreeOf(std::string_view text, const std::string& file,
                                  const ManifestCache* cache, DiagnosticList* diagnostics) {
  if (cache != nullptr) {
    if (auto known = cache->Find(file, text)) return known;
  }
  auto tree = yaml::Parse(text, diagnostics, kLimits);
  if (cache != nullptr && tree && diagnostics->items().empty()) cache->Keep(file, text, *tree);
  return tree;
}

}  // namespace

bool IsManifestName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameLength && IsLower(name.front()) &&
         std::all_of(name.begin(), name.end(), IsNameChar);
}

bool IsTypeId(std::string_view id) {
  size_t parts = 0;
  for (;; ++parts) {
    const size_t end = std::min(id.find('.'), id.size());
    if (!IsManifestName(id.substr(0, end))) return false;
    if (end == id.size()) return parts > 0;
    id.remove_prefix(end + 1);
  }
}

Result<Manifest> ParseManifest(std::string_view text, std::string file, DiagnosticList* diagnostics,
                               const ManifestCache* cache) {
  DiagnosticList findings(file, std::string(text));
  Manifest manifest;
  if (const auto tree = TreeOf(text, file, cache, &findings))
    ReadManifest(*tree, &findings, &manifest);
  findings.SortByPlace();
  if (diagnostics != nullptr) {
    for (const Diagnostic& finding : findings.items()) diagnostics->Add(finding);
  }
  if (findings.has_errors()) return tl::unexpected(findings.ToError());
  return manifest;
}

}  // namespace sluice::plugin
