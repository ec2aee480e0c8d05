#include "engine/config/load.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/base/unique_fd.h"
#include "engine/config/reader.h"
#include "engine/config/substitute.h"
#include "engine/graph/codes.h"

namespace sluice::config {
namespace {

using graph::EdgeConfig;
using graph::EndpointConfig;
using graph::GraphConfig;
using graph::NodeConfig;
using graph::ParamConfig;
using yaml::Entry;
using yaml::Value;

nlohmann::ordered_json ToJson(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kNull:
      return nullptr;
    case Value::Kind::kSequence: {
      auto array = nlohmann::ordered_json::array();
      for (const Value& item : value.items()) array.push_back(ToJson(item));
      return array;
    }
    case Value::Kind::kMapping: {
      auto object = nlohmann::ordered_json::object();
      for (const Entry& entry : value.entries()) object[entry.key] = ToJson(entry.value);
      return object;
    }
    case Value::Kind::kScalar:
      break;
  }
  if (auto flag = value.AsBool()) return *flag;
  if (auto number = value.AsInt()) return *number;
  if (auto number = value.AsDouble()) return *number;
  return value.text();
}

/// A mapping below a node becomes JSON text, which is what crosses the plugin ABI. What is no UTF-8
/// becomes U+FFFD.
std::string MapText(const Value& mapping) {
  return ToJson(mapping).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

class GraphReader {
 public:
  GraphReader(const Overrides& overrides, DiagnosticList* diagnostics)
      : overrides_(overrides),
        diagnostics_(diagnostics),
        reader_(diagnostics),
        substitution_(diagnostics) {}

  std::optional<GraphConfig> Read(Value root) {
    if (!reader_.ExpectMapping(root, "a graph")) return std::nullopt;
    yaml::CheckKeys(root, {"sluice", "name", "params", "settings", "nodes", "edges"}, "the graph",
                    graph::kErrUnknownKey, diagnostics_);
    if (!CheckVersion(root)) return std::nullopt;
    ReadParams(root.Find("params"));
    for (Entry& entry : root.entries()) {
      if (entry.key != "params") substitution_.Apply(&entry.value);
    }
    if (const Value* name = root.Find("name")) config_.name = reader_.Text(*name, "name");
    ReadSettings(root.Find("settings"));
    ReadNodes(root);
    ReadEdges(root.Find("edges"));
    WarnUnused(root.Find("params"));
    return std::move(config_);
  }

 private:
  bool CheckVersion(const Value& root) {
    const Value* version = root.Find("sluice");
    if (version == nullptr) {
      diagnostics_->Error(graph::kErrVersion, root.mark(), "the graph does not say its version",
                          "begin with `sluice: 1`");
      return false;
    }
    if (version->AsInt() == 1) return true;
    diagnostics_->Error(graph::kErrVersion, version->mark(),
                        fmt::format("graph version {} is not known; this engine reads version 1",
                                    version->Describe()));
    return false;
  }

  void ReadParams(const Value* params) {
    std::vector<std::string> names;
    if (params != nullptr && !params->is_null() && reader_.ExpectMapping(*params, "params")) {
      for (const Entry& entry : params->entries()) {
        if (!reader_.Name(entry.key, entry.key_mark, "parameter name")) continue;
        names.push_back(entry.key);
        substitution_.Set(entry.key, entry.value);
      }
    }
    for (const auto& [name, text] : overrides_) {
      const Value* declared = params != nullptr ? params->Find(name) : nullptr;
      if (declared == nullptr) {
        diagnostics_->Error(graph::kErrOverride, {},
                            fmt::format("--set {}: the graph has no such parameter", name),
                            NameHint(name, names));
        continue;
      }
      Override(name, text, *declared);
    }
  }

  /// Where the default is a mapping, the override is YAML too; else it is plain text.
  void Override(const std::string& name, const std::string& text, const Value& declared) {
    if (!declared.is_mapping()) {
      substitution_.Set(name, Value::Scalar(text, false, declared.mark()));
      return;
    }
    DiagnosticList inner("--set " + name, text);
    auto value = yaml::Parse(text, &inner);
    if (value && value->is_mapping() && !inner.has_errors()) {
      substitution_.Set(name, std::move(*value));
      return;
    }
    diagnostics_->Error(graph::kErrOverride, {},
                        fmt::format("--set {}: a mapping is due, as {{key: value}}", name));
  }

  void WarnUnused(const Value* params) {
    if (params == nullptr) return;
    for (const Entry& entry : params->entries()) {
      if (!substitution_.values().contains(entry.key) || substitution_.used(entry.key)) continue;
      diagnostics_->Warn(graph::kWarnUnusedParam, entry.key_mark,
                         fmt::format("parameter '{}' is not used", entry.key));
    }
  }

  void ReadSettings(const Value* settings) {
    if (settings == nullptr || settings->is_null()) return;
    if (!reader_.ExpectMapping(*settings, "settings")) return;
    yaml::CheckKeys(*settings, {"zero_copy", "clock", "convert", "gpu"}, "settings",
                    graph::kErrUnknownKey, diagnostics_);
    graph::Settings& out = config_.settings;
    if (const Value* value = settings->Find("zero_copy")) {
      if (auto i = reader_.Choice(*value, "zero_copy", {"prefer", "require"})) {
        out.zero_copy = static_cast<graph::ZeroCopy>(*i);
      }
    }
    if (const Value* value = settings->Find("clock")) {
      if (auto i = reader_.Choice(*value, "clock", {"realtime", "free-run"})) {
        out.clock = static_cast<graph::ClockMode>(*i);
      }
    }
    if (const Value* value = settings->Find("convert")) {
      if (auto i = reader_.Choice(*value, "convert", {"auto", "never"})) {
        out.convert = static_cast<graph::Convert>(*i);
      }
    }
    if (const Value* value = settings->Find("gpu")) {
      out.gpu = reader_.Text(*value, "gpu");
      out.gpu_mark = value->mark();
    }
  }

  void ReadNodes(const Value& root) {
    const Value* nodes = root.Find("nodes");
    if (nodes == nullptr) {
      diagnostics_->Error(graph::kErrMissingKey, root.mark(), "the graph has no `nodes`");
      return;
    }
    if (!reader_.ExpectMapping(*nodes, "nodes")) return;
    std::vector<std::string> seen;
    for (const Entry& entry : nodes->entries()) {
      // The text's duplicate keys were reported when it was parsed; the first one counts.
      if (nodes->Find(entry.key) != &entry.value) continue;
      if (!reader_.Name(entry.key, entry.key_mark, "node name")) continue;
      if (!reader_.ExpectMapping(entry.value, fmt::format("node '{}'", entry.key))) continue;
      ReadNode(entry);
    }
  }

  void ReadNode(const Entry& entry) {
    NodeConfig node;
    node.name = entry.key;
    node.mark = entry.key_mark;
    const Value* type = entry.value.Find("type");
    if (type == nullptr) {
      std::vector<std::string> keys;
      for (const Entry& inner : entry.value.entries()) keys.push_back(inner.key);
      const std::string near = NearestName("type", keys);
      diagnostics_->Error(graph::kErrMissingKey, entry.key_mark,
                          fmt::format("node '{}' has no `type`", entry.key),
                          near.empty() ? "" : fmt::format("is '{}' meant to be 'type'?", near));
      config_.nodes.push_back(std::move(node));  // so that edges to it are no further errors
      return;
    }
    node.type = reader_.Text(*type, "type");
    node.type_mark = type->mark();
    for (const Entry& inner : entry.value.entries()) {
      if (entry.value.Find(inner.key) != &inner.value) continue;
      ReadNodeKey(inner, &node);
    }
    config_.nodes.push_back(std::move(node));
  }

  void ReadNodeKey(const Entry& entry, NodeConfig* node) {
    const Value& value = entry.value;
    if (entry.key == "type") return;
    if (entry.key == "on_error") {
      node->on_error = ReadErrorPolicy(value);
    } else if (entry.key == "sync") {
      ReadSync(value, node);
    } else if (entry.key == "end") {
      if (auto i = reader_.Choice(value, "end", {"all", "any"})) {
        node->end = static_cast<graph::EndPolicy>(*i);
      }
    } else if (entry.key == "gpu") {
      node->gpu = reader_.Text(value, "gpu");
      node->gpu_mark = value.mark();
    } else if (entry.key == "island") {
      if (auto i = reader_.Choice(value, "island", {"join", "cut"})) node->island_cut = *i == 1;
    } else {
      ReadParam(entry, node);
    }
  }

  void ReadParam(const Entry& entry, NodeConfig* node) {
    ParamConfig param;
    param.name = entry.key;
    param.name_mark = entry.key_mark;
    param.mark = entry.value.mark();
    param.faulty = substitution_.failed(param.mark);
    if (entry.value.is_mapping()) {
      param.is_map = true;
      param.text = MapText(entry.value);
    } else if (entry.value.is_scalar()) {
      param.text = entry.value.text();
    } else {
      diagnostics_->Error(graph::kErrKind, param.mark,
                          fmt::format("{}.{} must be a value, not {}", node->name, entry.key,
                                      entry.value.Describe()));
      return;
    }
    node->params.push_back(std::move(param));
  }

  std::optional<graph::ErrorPolicy> ReadErrorPolicy(const Value& value) {
    graph::ErrorPolicy policy;
    const Value* action = &value;
    if (value.is_mapping()) {
      yaml::CheckKeys(value, {"action", "attempts", "backoff", "max_backoff"}, "on_error",
                      graph::kErrUnknownKey, diagnostics_);
      action = value.Find("action");
      if (const Value* attempts = value.Find("attempts")) {
        policy.attempts = reader_.Count(*attempts, "attempts", 0, 1'000'000).value_or(5);
      }
      if (const Value* pause = value.Find("backoff")) {
        policy.backoff_ns = reader_.Duration(*pause, "backoff").value_or(policy.backoff_ns);
      }
      if (const Value* pause = value.Find("max_backoff")) {
        policy.backoff_max_ns =
            reader_.Duration(*pause, "max_backoff").value_or(policy.backoff_max_ns);
      }
      if (action == nullptr) {
        diagnostics_->Error(graph::kErrMissingKey, value.mark(), "on_error has no `action`",
                            "stop or restart");
        return std::nullopt;
      }
      if (policy.backoff_max_ns < policy.backoff_ns) policy.backoff_max_ns = policy.backoff_ns;
    }
    auto i = reader_.Choice(*action, "on_error", {"stop", "restart"});
    if (!i) return std::nullopt;
    policy.action = static_cast<graph::ErrorAction>(*i);
    return policy;
  }

  void ReadSync(const Value& value, NodeConfig* node) {
    node->sync_mark = value.mark();
    const Value* policy = &value;
    if (value.is_mapping()) {
      yaml::CheckKeys(value, {"policy", "trigger"}, "sync", graph::kErrUnknownKey, diagnostics_);
      policy = value.Find("policy");
      if (const Value* trigger = value.Find("trigger")) {
        node->trigger = reader_.Text(*trigger, "trigger");
        node->sync_mark = trigger->mark();
        node->sync = graph::SyncPolicy::kLatest;  // what a trigger means without a policy
      }
      if (policy == nullptr) return;
    }
    if (auto i = reader_.Choice(*policy, "sync", {"all", "latest"})) {
      node->sync = static_cast<graph::SyncPolicy>(*i);
    }
  }

  void ReadEdges(const Value* edges) {
    if (edges == nullptr || edges->is_null()) return;
    if (!edges->is_sequence()) {
      diagnostics_->Error(graph::kErrKind, edges->mark(),
                          fmt::format("edges must be a list, not {}", edges->Describe()),
                          "write `- a -> b`");
      return;
    }
    for (const Value& item : edges->items()) {
      if (item.is_mapping()) {
        ReadEdgeMapping(item);
      } else if (item.is_scalar()) {
        ReadChain(item, graph::QueueConfig{}, false);
      } else {
        diagnostics_->Error(
            graph::kErrKind, item.mark(),
            fmt::format("an edge is `a -> b` or a mapping, not {}", item.Describe()));
      }
    }
  }

  std::optional<EndpointConfig> ReadEndpoint(std::string_view text, SourceMark mark) {
    EndpointConfig end;
    end.mark = mark;
    const size_t dot = text.find('.');
    end.node = text.substr(0, dot);
    if (dot != std::string_view::npos) end.port = text.substr(dot + 1);
    bool valid = reader_.Name(end.node, mark, "node name");
    if (dot != std::string_view::npos) valid = valid && reader_.Name(end.port, mark, "port name");
    if (!valid) return std::nullopt;
    return end;
  }

  void ReadChain(const Value& value, const graph::QueueConfig& queue, bool require) {
    const std::string& text = value.text();
    std::vector<std::optional<EndpointConfig>> ends;
    for (size_t at = 0;;) {
      const size_t arrow = text.find("->", at);
      std::string_view part(text.data() + at,
                            (arrow == std::string::npos ? text.size() : arrow) - at);
      SourceMark mark = value.mark();
      const size_t spaces = std::min(part.find_first_not_of(" \t"), part.size());
      mark.column += static_cast<int>(at + spaces) + (value.quoted() ? 1 : 0);
      part.remove_prefix(spaces);
      while (!part.empty() && (part.back() == ' ' || part.back() == '\t')) part.remove_suffix(1);
      if (part.empty()) {
        diagnostics_->Error(graph::kErrEdgeSyntax, mark, "a node name is missing in this edge",
                            "write `- a -> b -> c`");
        for (const auto& end : ends) ExcuseNode(end);
        return;
      }
      ends.push_back(ReadEndpoint(part, mark));
      if (arrow == std::string::npos) break;
      at = arrow + 2;
    }
    if (ends.size() < 2) {
      diagnostics_->Error(graph::kErrEdgeSyntax, value.mark(),
                          fmt::format("'{}' is not an edge", text), "write `- a -> b`");
      ExcuseNode(ends[0]);
      return;
    }
    for (size_t i = 1; i + 1 < ends.size(); ++i) {
      if (!ends[i] || ends[i]->port.empty()) continue;
      diagnostics_->Error(graph::kErrEdgeSyntax, ends[i]->mark,
                          fmt::format("'{}.{}' stands in the middle of a chain, where a port is "
                                      "ambiguous",
                                      ends[i]->node, ends[i]->port),
                          "write two edges");
      ExcuseNode(ends[i]);
      ends[i].reset();
    }
    for (size_t i = 0; i + 1 < ends.size(); ++i) {
      AddEdge(ends[i], ends[i + 1], ends[i] ? ends[i]->mark : value.mark(), queue, require);
    }
  }

  void AddEdge(const std::optional<EndpointConfig>& from, const std::optional<EndpointConfig>& to,
               SourceMark mark, const graph::QueueConfig& queue, bool require) {
    if (from && to) {
      config_.edges.push_back({*from, *to, mark, queue, require});
      return;
    }
    ExcuseNode(from);
    ExcuseNode(to);
  }

  void ExcuseNode(const std::optional<EndpointConfig>& end) {
    if (end) config_.faulty_edge_nodes.push_back(end->node);
  }

  void ReadEdgeMapping(const Value& value) {
    yaml::CheckKeys(value, {"from", "to", "queue", "require"}, "an edge", graph::kErrUnknownKey,
                    diagnostics_);
    graph::QueueConfig queue;
    if (const Value* given = value.Find("queue")) queue = ReadQueue(*given);
    bool require = false;
    if (const Value* given = value.Find("require")) {
      require = reader_.Choice(*given, "require", {"zero-copy"}).has_value();
    }
    std::optional<EndpointConfig> ends[2];
    const char* const keys[2] = {"from", "to"};
    for (int i = 0; i < 2; ++i) {
      const Value* end = value.Find(keys[i]);
      if (end == nullptr) {
        diagnostics_->Error(graph::kErrMissingKey, value.mark(),
                            fmt::format("this edge has no `{}`", keys[i]));
      } else if (reader_.ExpectScalar(*end, keys[i])) {
        ends[i] = ReadEndpoint(end->text(), end->mark());
      }
    }
    AddEdge(ends[0], ends[1], value.mark(), queue, require);
  }

  graph::QueueConfig ReadQueue(const Value& value) {
    graph::QueueConfig queue;
    queue.given = true;
    constexpr uint32_t kMaxDepth = 1024;
    if (value.is_scalar()) {
      queue.depth = reader_.Count(value, "queue", 1, kMaxDepth).value_or(queue.depth);
      return queue;
    }
    if (!reader_.ExpectMapping(value, "queue")) return queue;
    yaml::CheckKeys(value, {"depth", "when_full"}, "queue", graph::kErrUnknownKey, diagnostics_);
    if (const Value* depth = value.Find("depth")) {
      queue.depth = reader_.Count(*depth, "queue depth", 1, kMaxDepth).value_or(queue.depth);
    }
    if (const Value* when_full = value.Find("when_full")) {
      if (auto i =
              reader_.Choice(*when_full, "when_full", {"block", "drop-oldest", "drop-newest"})) {
        queue.when_full = static_cast<graph::WhenFull>(*i);
      }
    }
    return queue;
  }

  const Overrides& overrides_;
  DiagnosticList* const diagnostics_;
  Reader reader_;
  Substitution substitution_;
  GraphConfig config_;
};

tl::unexpected<Error> NoChange(std::string_view line) {
  std::string why = fmt::format("'{}': expected NODE.PARAM: VALUE", line);
  if (line.find(" #") != std::string_view::npos) {
    why += R"(; a comment begins with #, so a colour needs quotes: "#00ff00")";
  }
  return Fail(Code::kInvalidArgument, std::move(why));
}

}  // namespace

Status AddOverride(std::string_view assignment, Overrides* overrides) {
  const size_t equals = assignment.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return Fail(Code::kInvalidArgument, fmt::format("--set {}: expected NAME=VALUE", assignment));
  }
  (*overrides)[std::string(assignment.substr(0, equals))] = assignment.substr(equals + 1);
  return {};
}

std::optional<GraphConfig> ReadGraph(const Value& root, const Overrides& overrides,
                                     DiagnosticList* diagnostics) {
  return GraphReader(overrides, diagnostics).Read(root);
}

std::optional<graph::Graph> LoadGraph(std::string_view text, std::string_view file,
                                      const Overrides& overrides, const graph::TypeSource& types,
                                      DiagnosticList* diagnostics) {
  diagnostics->SetSource(std::string(file), std::string(text));
  std::optional<graph::Graph> graph;
  if (auto root = yaml::Parse(text, diagnostics)) {
    if (auto config = ReadGraph(*root, overrides, diagnostics)) {
      graph = graph::Validate(*config, types, diagnostics);
    }
  }
  diagnostics->SortByPlace();
  if (diagnostics->has_errors()) graph.reset();
  return graph;
}

Result<std::string> ReadGraphFile(const std::string& path) {
  constexpr size_t kMaxBytes = yaml::Limits{}.max_bytes;
  // O_NONBLOCK: a FIFO without a writer must not hang the command.
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return FailErrno(path, errno);
  struct stat info = {};
  if (fstat(fd.get(), &info) != 0) return FailErrno(path, errno);
  if (S_ISDIR(info.st_mode)) return Fail(Code::kInvalidArgument, path + ": is a folder");
  // A writer that is there may take its time, as in `sluice run <(make-graph)`.
  if (fcntl(fd.get(), F_SETFL, O_RDONLY) != 0) return FailErrno(path, errno);
  std::string text;
  char buffer[16384];
  for (;;) {
    const ssize_t count = read(fd.get(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FailErrno(path, errno);
    if (count == 0) return text;
    text.append(buffer, static_cast<size_t>(count));
    if (text.size() > kMaxBytes) {
      return Fail(Code::kResourceExhausted, fmt::format("{}: more than {} bytes", path, kMaxBytes));
    }
  }
}

Result<std::optional<Change>> ParseChange(std::string_view line) {
  const size_t begin = line.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos || line[begin] == '#') return std::optional<Change>();
  DiagnosticList diagnostics;
  diagnostics.SetSource("", std::string(line));
  const auto value = yaml::Parse(line, &diagnostics);
  if (!value || diagnostics.has_errors() || value->kind() != Value::Kind::kMapping ||
      value->entries().size() != 1) {
    return NoChange(line);
  }
  const Entry& entry = value->entries()[0];
  const size_t dot = entry.key.find('.');
  if (dot == 0 || dot == std::string::npos || dot + 1 == entry.key.size() ||
      entry.value.kind() == Value::Kind::kSequence || entry.value.kind() == Value::Kind::kNull) {
    return NoChange(line);
  }
  Change change{entry.key.substr(0, dot), entry.key.substr(dot + 1), {}, false};
  change.is_map = entry.value.kind() == Value::Kind::kMapping;
  change.text = change.is_map ? MapText(entry.value) : entry.value.text();
  return change;
}

}  // namespace sluice::config
