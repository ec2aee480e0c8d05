#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/graph/graph.h"
#include "engine/graph/negotiate.h"
#include "engine/graph/plan.h"
#include "engine/graph/quality.h"

namespace sluice::graph {

/// The solver's view of a graph: its nodes with the inserted ones, every port's
/// effective offers, and nets instead of edges.

struct ModelPort {
  const PortDesc* desc = nullptr;
  std::string name;           ///< "look.out"
  std::vector<Offer> offers;  ///< refined or declared, narrowed by the node's parameters
};

struct ModelNode {
  std::string name;
  const NodeType* type = nullptr;
  std::optional<uint32_t> graph_node;
  std::string inserted_reason;
  std::vector<NodeParam> params;
  std::vector<ModelPort> ports;
  std::vector<Tie> ties;   ///< those of the type that hold with these parameters
  std::string device;      ///< key of the domain's device; "" on the CPU
  std::string domain_key;  ///< of NegotiationInput::domains; "" on the CPU
  /// Of its opened domain; nothing while the plan goes by manifests alone.
  std::optional<DomainFacts> facts;

  /// A device port that uses `view` can do so only by a transfer.
  bool Transfers(Access access, Views view) const {
    return access == Access::kDevice && facts && (view & facts->views) == 0;
  }
};

struct ModelEdge {
  PortRef from;
  PortRef to;
  uint32_t net = 0;
  std::optional<uint32_t> graph_edge;
  QueueConfig queue;
  bool require_zero_copy = false;
};

/// One pool: a producer port and everyone who sees its buffers. Participant 0
/// is the producer; participant i + 1 is the consumer of edges[i].
struct ModelNet {
  PortRef producer;
  std::vector<uint32_t> edges;
  bool zero_copy = false;  ///< an edge or the graph requires it
  /// What the producer has of the picture: of a source its first choice, of others the most that
  /// can reach it by its inputs, and leave it.
  Quality arriving;
};

/// A converter that is put in front of the input `consumer`.
struct Insertion {
  std::string consumer;  ///< "write.in", also of a node inserted before
  const NodeType* type = nullptr;
  std::string reason;
};

struct Model {
  const NegotiationInput* input = nullptr;
  std::vector<ModelNode> nodes;
  std::vector<ModelEdge> edges;
  std::vector<ModelNet> nets;
  std::vector<uint32_t> order;  ///< topological, into nodes
  /// What the profile says of the devices that domains opened, by ModelNode::device.
  std::map<std::string, ProfiledDevice> devices;

  const ModelPort& Port(PortRef ref) const { return nodes[ref.node].ports[ref.port]; }
  PortRef Participant(const ModelNet& net, size_t index) const {
    return index == 0 ? net.producer : edges[net.edges[index - 1]].to;
  }
  /// The net of a connected port.
  std::optional<uint32_t> NetOf(PortRef ref) const;
  std::string EdgeName(uint32_t edge) const {
    return Port(edges[edge].from).name + " -> " + Port(edges[edge].to).name;
  }
  /// Key of the device that an offer of this node means.
  std::string DeviceOf(const ModelNode& node, const Offer& offer) const;
  /// Of a device, by the same key; what the profile assumes where it was not opened.
  const DeviceSpeeds& SpeedsOf(const std::string& device) const;

 private:
  friend Result<Model> BuildModel(const NegotiationInput&, const std::vector<Insertion>&);
  std::vector<std::vector<std::optional<uint32_t>>> net_of_port_;
};

/// Errors: InvalidArgument for a refined offer that is no subset of a declared one.
Result<Model> BuildModel(const NegotiationInput& input, const std::vector<Insertion>& insertions);

/// "core.copy@write.in".
std::string InsertedName(const Insertion& insertion);

}  // namespace sluice::graph
