#include "engine/graph/graph.h"

#include <algorithm>
#include <map>
#include <queue>
#include <set>

#include <fmt/format.h>

#include "engine/graph/codes.h"
#include "engine/graph/ranges.h"

namespace sluice::graph {

std::string_view WhenFullName(WhenFull when_full) {
  switch (when_full) {
    case WhenFull::kBlock:
      return "block";
    case WhenFull::kDropOldest:
      return "drop-oldest";
    case WhenFull::kDropNewest:
      return "drop-newest";
  }
  return "?";
}

const ParamValue* GraphNode::FindParam(std::string_view param) const {
  for (const NodeParam& entry : params) {
    if (entry.name == param) return &entry.value;
  }
  return nullptr;
}

const GraphNode* Graph::FindNode(std::string_view name) const {
  for (const GraphNode& node : nodes_) {
    if (node.name == name) return &node;
  }
  return nullptr;
}

std::string Graph::PortName(PortRef ref) const {
  return nodes_[ref.node].name + "." + Port(ref).name;
}

namespace {

/// Keys of a node that belong to the language, not to its type.
const std::vector<std::string> kNodeKeys = {"type", "on_error", "sync", "end", "gpu", "island"};

std::vector<std::string> PortNames(const NodeType& type, Direction direction,
                                   bool only_required = false) {
  std::vector<std::string> names;
  for (const PortDesc& port : type.ports) {
    if (port.direction == direction && (port.required || !only_required)) names.push_back(port.name);
  }
  return names;
}

std::string_view DirectionName(Direction direction) {
  return direction == Direction::kInput ? "input" : "output";
}

/// The sizes that the offers of a port hold, where the parameter `name` narrows them: "1..16384 x
/// 1..16384". "" if `size` is one, or the parameter has no say there.
std::string OtherSizes(const PortDesc& port, std::string_view name, const Size& size) {
  std::vector<std::string> held;
  for (const Offer& offer : port.offers) {
    if (offer.size_param != name) continue;
    if (Contains(offer.width, size.width) && Contains(offer.height, size.height)) return {};
    std::string text = fmt::format("{} x {}", ToString(offer.width), ToString(offer.height));
    if (std::find(held.begin(), held.end(), text) == held.end()) held.push_back(std::move(text));
  }
  return fmt::format("{}", fmt::join(held, " or "));
}

/// What is wrong with a value that parses: a size that a port cannot have. "" if nothing.
std::string SizeProblem(const NodeType& type, const std::string& name, const ParamValue& value) {
  if (value.type != ParamType::kSize) return {};
  for (const PortDesc& port : type.ports) {
    const std::string others = OtherSizes(port, name, value.size);
    if (!others.empty()) return fmt::format("is out of range: '{}' has {}", port.name, others);
  }
  return {};
}

class Validator {
 public:
  Validator(const GraphConfig& config, const TypeSource& types, DiagnosticList* diagnostics)
      : config_(config), types_(types), diagnostics_(diagnostics) {}

  void Run() {
    if (config_.nodes.empty() && !diagnostics_->has_errors()) {
      diagnostics_->Error(kErrEmptyGraph, {1, 1}, "the graph has no nodes");
    }
    for (const NodeConfig& node : config_.nodes) AddNode(node);
    for (const EdgeConfig& edge : config_.edges) AddEdge(edge);
    for (const std::string& name : config_.faulty_edge_nodes) Excuse(name);
    for (uint32_t i = 0; i < nodes_.size(); ++i) {
      if (nodes_[i].type == nullptr) continue;
      CheckConnected(i);
      CheckSync(i);
    }
    SortTopologically();
  }

  std::vector<GraphNode> nodes_;
  std::vector<GraphEdge> edges_;
  std::vector<uint32_t> order_;

 private:
  void AddNode(const NodeConfig& config) {
    index_[config.name] = static_cast<uint32_t>(nodes_.size());
    node_names_.push_back(config.name);
    GraphNode node;
    node.name = config.name;
    node.mark = config.mark;
    node.on_error = config.on_error.value_or(ErrorPolicy{});
    node.end = config.end;
    node.gpu = config.gpu;
    node.gpu_mark = config.gpu_mark;
    node.island_cut = config.island_cut;
    node.type = types_.Find(config.type);
    if (node.type == nullptr) {
      UnknownType(config);
    } else {
      node.sync = config.sync.value_or(node.type->sync);
      ReadParams(config, &node);
    }
    nodes_.push_back(std::move(node));
  }

  void UnknownType(const NodeConfig& config) {
    if (config.type.empty()) return;  // reported where the text was read
    std::vector<std::string> names = types_.Names();
    std::string hint = NearestName(config.type, names);
    if (!hint.empty()) {
      hint = fmt::format("did you mean '{}'?", hint);
    } else {
      hint = "`sluice list` shows the installed types";
    }
    diagnostics_->Error(kErrUnknownType, config.type_mark,
                        fmt::format("node '{}': unknown type '{}'", config.name, config.type),
                        hint);
  }

  void ReadParams(const NodeConfig& config, GraphNode* node) {
    std::map<std::string, ParamValue> given;
    std::set<std::string> faulty;
    for (const ParamConfig& param : config.params) {
      const ParamDesc* desc = node->type->FindParam(param.name);
      if (desc == nullptr) {
        UnknownParam(config, *node->type, param);
        continue;
      }
      if (param.faulty) {
        faulty.insert(param.name);
        continue;
      }
      std::string problem;
      std::optional<ParamValue> value;
      if (param.is_map != (desc->type == ParamType::kMap)) {
        problem = param.is_map ? fmt::format("is a mapping, expected {}", ParamTypeName(desc->type))
                               : "is not a mapping";
      } else {
        value = ParseParamValue(*desc, param.text, &problem);
      }
      if (value) problem = SizeProblem(*node->type, param.name, *value);
      if (problem.empty()) {
        given.emplace(param.name, *value);
        continue;
      }
      faulty.insert(param.name);
      diagnostics_->Error(
          kErrParamValue, param.mark,
          fmt::format("{}.{}: '{}' {}", config.name, param.name, param.text, problem), desc->doc);
    }
    for (const ParamDesc& desc : node->type->params) {
      if (auto found = given.find(desc.name); found != given.end()) {
        node->params.push_back({desc.name, found->second, true});
      } else if (desc.default_value) {
        node->params.push_back({desc.name, *desc.default_value, false});
      } else if (desc.required && !faulty.contains(desc.name)) {
        diagnostics_->Error(kErrMissingParam, config.mark,
                            fmt::format("node '{}' ({}) needs '{}' ({})", config.name, config.type,
                                        desc.name, ParamTypeName(desc.type)),
                            desc.doc);
      }
    }
  }

  void UnknownParam(const NodeConfig& config, const NodeType& type, const ParamConfig& param) {
    std::vector<std::string> names;
    for (const ParamDesc& desc : type.params) names.push_back(desc.name);
    std::vector<std::string> all = names;
    all.insert(all.end(), kNodeKeys.begin(), kNodeKeys.end());
    std::string hint = NearestName(param.name, all);
    hint = hint.empty() ? NameHint(param.name, names) : fmt::format("did you mean '{}'?", hint);
    if (hint.empty() && names.empty()) hint = fmt::format("{} has no parameters", type.id);
    diagnostics_->Error(
        kErrUnknownParam, param.name_mark,
        fmt::format("node '{}': {} has no parameter '{}'", config.name, type.id, param.name), hint);
  }

  std::optional<PortRef> Resolve(const EndpointConfig& end, Direction direction) {
    auto found = index_.find(end.node);
    if (found == index_.end()) {
      diagnostics_->Error(kErrUnknownNode, end.mark, fmt::format("there is no node '{}'", end.node),
                          NameHint(end.node, node_names_));
      return std::nullopt;
    }
    const NodeType* type = nodes_[found->second].type;
    if (type == nullptr) return std::nullopt;  // already reported
    const std::vector<std::string> names = PortNames(*type, direction);
    if (end.port.empty()) {
      const std::vector<std::string> needed = PortNames(*type, direction, true);
      if (names.size() > 1 && needed.size() == 1) return FindPort(found->second, needed[0]);
      if (names.size() != 1) {
        diagnostics_->Error(
            names.empty() ? kErrPortDirection : kErrPortNeeded, end.mark,
            names.empty()
                ? fmt::format("'{}' ({}) has no {}", end.node, type->id, DirectionName(direction))
                : fmt::format("'{}' ({}) has several {}s; name one", end.node, type->id,
                              DirectionName(direction)),
            names.empty() ? ""
                          : fmt::format("there is: {}.{}", end.node,
                                        fmt::join(names, fmt::format(", {}.", end.node))));
        return std::nullopt;
      }
      return FindPort(found->second, names[0]);
    }
    const PortDesc* port = type->FindPort(end.port);
    if (port == nullptr) {
      diagnostics_->Error(kErrUnknownPort, end.mark,
                          fmt::format("'{}' ({}) has no port '{}'", end.node, type->id, end.port),
                          NameHint(end.port, names));
      return std::nullopt;
    }
    if (port->direction != direction) {
      diagnostics_->Error(kErrPortDirection, end.mark,
                          fmt::format("'{}.{}' is an {}, an {} is due here", end.node, end.port,
                                      DirectionName(port->direction), DirectionName(direction)),
                          NameHint(end.port, names));
      return std::nullopt;
    }
    return FindPort(found->second, end.port);
  }

  PortRef FindPort(uint32_t node, std::string_view name) const {
    const std::vector<PortDesc>& ports = nodes_[node].type->ports;
    for (uint32_t i = 0; i < ports.size(); ++i) {
      if (ports[i].name == name) return {node, i};
    }
    return {node, 0};
  }

  void AddEdge(const EdgeConfig& config) {
    auto from = Resolve(config.from, Direction::kOutput);
    auto to = Resolve(config.to, Direction::kInput);
    // An end that is named but faulty still connects, so that no follow-up error appears.
    if (!from) Excuse(config.from.node);
    if (!to) Excuse(config.to.node);
    if (from) connected_.insert(*from);
    if (to) connected_.insert(*to);
    if (!from || !to) return;
    if (auto taken = input_edges_.find(*to); taken != input_edges_.end()) {
      const GraphEdge& other = edges_[taken->second];
      diagnostics_->Error(
          kErrInputTaken, config.to.mark,
          fmt::format("'{}.{}' already has an edge, from '{}'", config.to.node,
                      nodes_[to->node].type->ports[to->port].name, nodes_[other.from.node].name),
          fmt::format("first connected at line {}", other.mark.line));
      return;
    }
    input_edges_[*to] = edges_.size();
    edges_.push_back({*from, *to, config.queue, config.require_zero_copy, config.mark});
  }

  void Excuse(const std::string& name) {
    if (auto found = index_.find(name); found != index_.end()) excused_.insert(found->second);
  }

  void CheckConnected(uint32_t index) {
    if (excused_.contains(index)) return;
    const GraphNode& node = nodes_[index];
    for (uint32_t i = 0; i < node.type->ports.size(); ++i) {
      const PortDesc& port = node.type->ports[i];
      const PortRef ref{index, i};
      if (!port.required || connected_.contains(ref)) continue;
      diagnostics_->Error(
          kErrUnconnected, node.mark,
          fmt::format("{} '{}.{}' has no edge", DirectionName(port.direction), node.name,
                      port.name),
          port.direction == Direction::kInput
              ? fmt::format("add `- SOURCE -> {}.{}` to edges", node.name, port.name)
              : fmt::format("add `- {}.{} -> SINK` to edges", node.name, port.name));
    }
  }

  void CheckSync(uint32_t index) {
    const NodeConfig& config = config_.nodes[index];
    GraphNode& node = nodes_[index];
    const std::vector<std::string> inputs = PortNames(*node.type, Direction::kInput);
    if (config.sync == SyncPolicy::kLatest && inputs.size() < 2) {
      diagnostics_->Error(
          kErrSync, config.sync_mark,
          fmt::format("'{}': sync latest needs a node with several inputs", node.name));
      return;
    }
    if (!config.trigger.empty() && node.sync != SyncPolicy::kLatest) {
      diagnostics_->Error(kErrSync, config.sync_mark,
                          fmt::format("'{}': a trigger belongs to sync latest", node.name));
      return;
    }
    if (node.sync != SyncPolicy::kLatest || inputs.empty()) return;
    const auto has_edge = [&](const std::string& input) {
      return connected_.contains(FindPort(index, input));
    };
    std::string trigger = !config.trigger.empty() ? config.trigger : node.type->trigger;
    if (trigger.empty()) trigger = inputs[0];
    if (config.trigger.empty() && !has_edge(trigger)) {
      const auto other = std::find_if(inputs.begin(), inputs.end(), has_edge);
      if (other != inputs.end()) trigger = *other;
    }
    if (std::find(inputs.begin(), inputs.end(), trigger) == inputs.end()) {
      diagnostics_->Error(kErrSync, config.sync_mark,
                          fmt::format("'{}' has no input '{}' to trigger on", node.name, trigger),
                          NameHint(trigger, inputs));
      return;
    }
    if (!has_edge(trigger)) {
      // Nothing would ever say when it is to fire.
      diagnostics_->Error(kErrSync, config.sync_mark,
                          fmt::format("'{}': its trigger '{}' has no edge", node.name, trigger));
      return;
    }
    node.trigger = FindPort(index, trigger).port;
  }

  void SortTopologically() {
    std::vector<uint32_t> waiting(nodes_.size(), 0);
    std::vector<std::vector<uint32_t>> next(nodes_.size());
    for (const GraphEdge& edge : edges_) {
      ++waiting[edge.to.node];
      next[edge.from.node].push_back(edge.to.node);
    }
    std::priority_queue<uint32_t, std::vector<uint32_t>, std::greater<>> ready;
    for (uint32_t i = 0; i < nodes_.size(); ++i) {
      if (waiting[i] == 0) ready.push(i);
    }
    while (!ready.empty()) {
      const uint32_t node = ready.top();
      ready.pop();
      order_.push_back(node);
      for (uint32_t successor : next[node]) {
        if (--waiting[successor] == 0) ready.push(successor);
      }
    }
    if (order_.size() != nodes_.size()) ReportCycle(waiting);
  }

  /// Every node that still waits has a predecessor that waits: walking backwards meets a cycle.
  void ReportCycle(const std::vector<uint32_t>& waiting) {
    std::vector<const GraphEdge*> into(nodes_.size(), nullptr);
    uint32_t node = 0;
    for (const GraphEdge& edge : edges_) {
      if (waiting[edge.from.node] == 0 || waiting[edge.to.node] == 0) continue;
      into[edge.to.node] = &edge;
      node = edge.to.node;
    }
    std::set<uint32_t> seen;
    while (seen.insert(node).second) node = into[node]->from.node;
    std::vector<std::string> names = {nodes_[node].name};
    const GraphEdge* last = into[node];
    for (uint32_t at = into[node]->from.node;; at = into[at]->from.node) {
      names.push_back(nodes_[at].name);
      if (at == node) break;
    }
    std::reverse(names.begin(), names.end());
    diagnostics_->Error(kErrCycle, last->mark,
                        fmt::format("the edges form a cycle: {}", fmt::join(names, " -> ")),
                        "remove one of these edges");
  }

  const GraphConfig& config_;
  const TypeSource& types_;
  DiagnosticList* const diagnostics_;
  std::map<std::string, uint32_t, std::less<>> index_;
  std::vector<std::string> node_names_;
  std::map<PortRef, size_t> input_edges_;
  std::set<PortRef> connected_;
  std::set<uint32_t> excused_;
};

}  // namespace

std::optional<Graph> Validate(const GraphConfig& config, const TypeSource& types,
                              DiagnosticList* diagnostics) {
  const size_t errors_before = diagnostics->error_count();
  Validator validator(config, types, diagnostics);
  validator.Run();
  if (diagnostics->error_count() != errors_before) return std::nullopt;
  Graph graph;
  graph.name_ = config.name;
  graph.file_ = diagnostics->file();
  graph.settings_ = config.settings;
  graph.nodes_ = std::move(validator.nodes_);
  graph.edges_ = std::move(validator.edges_);
  graph.order_ = std::move(validator.order_);
  return graph;
}

}  // namespace sluice::graph
