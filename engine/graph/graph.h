#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/graph/graph_config.h"
#include "engine/graph/node_type.h"

namespace sluice::graph {

/// A port of a node of a graph or plan, by index.
struct PortRef {
  uint32_t node = 0;  ///< into Graph::nodes() or Plan::nodes
  uint32_t port = 0;  ///< into NodeType::ports
  friend auto operator<=>(const PortRef&, const PortRef&) = default;
};

/// A checked parameter. `given` = it stands in the graph; otherwise it is the default.
struct NodeParam {
  std::string name;
  ParamValue value;
  bool given = false;
};

struct GraphNode {
  std::string name;
  const NodeType* type = nullptr;  ///< borrowed from the TypeSource
  /// Given and defaulted ones, in the order of the manifest.
  std::vector<NodeParam> params;
  ErrorPolicy on_error;
  SyncPolicy sync = SyncPolicy::kAll;
  /// Port index of the input that triggers under kLatest.
  std::optional<uint32_t> trigger;
  EndPolicy end = EndPolicy::kAll;
  std::string gpu;
  SourceMark gpu_mark;
  bool island_cut = false;
  SourceMark mark;

  const ParamValue* FindParam(std::string_view name) const;
};

struct GraphEdge {
  PortRef from;
  PortRef to;
  QueueConfig queue;
  bool require_zero_copy = false;
  SourceMark mark;
};

/// A validated graph: types, ports and parameters exist and fit, required ports
/// are connected, each input has at most one edge, there is no cycle.
/// Immutable. The TypeSource that it was made with must outlive it.
class Graph {
 public:
  const std::string& name() const { return name_; }
  /// Where it came from, for messages; may be empty.
  const std::string& file() const { return file_; }
  const Settings& settings() const { return settings_; }
  const std::vector<GraphNode>& nodes() const { return nodes_; }
  const std::vector<GraphEdge>& edges() const { return edges_; }
  /// Node indices, sources first; among equals the order of the text.
  const std::vector<uint32_t>& topological_order() const { return order_; }

  const GraphNode* FindNode(std::string_view name) const;
  const PortDesc& Port(PortRef ref) const { return nodes_[ref.node].type->ports[ref.port]; }
  /// "look.out".
  std::string PortName(PortRef ref) const;

 private:
  friend std::optional<Graph> Validate(const GraphConfig&, const TypeSource&, DiagnosticList*);
  Graph() = default;

  std::string name_;
  std::string file_;
  Settings settings_;
  std::vector<GraphNode> nodes_;
  std::vector<GraphEdge> edges_;
  std::vector<uint32_t> order_;
};

/// Checks `config` against the types. All findings go to `diagnostics`; nothing
/// is returned if there is an error among them.
std::optional<Graph> Validate(const GraphConfig& config, const TypeSource& types,
                              DiagnosticList* diagnostics);

}  // namespace sluice::graph
