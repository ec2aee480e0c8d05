#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/graph/graph.h"
#include "engine/media/format.h"

namespace sluice::graph {

/// One port of a planned node. Unconnected optional ports have no net.
struct PlanPort {
  std::string name;
  Direction direction = Direction::kInput;
  Access access = Access::kCpu;
  std::optional<uint32_t> net;
  /// How this node reaches the net's buffers: exactly one bit.
  Views view = 0;
  uint32_t hold = 0;
  uint32_t retains = 0;
  uint32_t offer = 0;  ///< index of the chosen one among the port's effective offers
  /// Everything on it stays inside its island: no buffer of a pool comes by here.
  bool inner = false;
};

struct PlanNode {
  std::string name;
  const NodeType* type = nullptr;  ///< borrowed from the TypeSource
  /// Index into Graph::nodes(); nothing for an inserted node.
  std::optional<uint32_t> graph_node;
  /// Why the plan put it there; empty for the graph's own nodes.
  std::string inserted_reason;
  std::vector<NodeParam> params;
  std::vector<PlanPort> ports;  ///< as NodeType::ports
  std::string device;           ///< of the domain: UUID in hex, or "domain:NAME"; "" on the CPU
  std::string domain_key;       ///< the domain's instance; "" on the CPU
  uint32_t run_group = 0;  ///< index into Plan::run_groups; for island nodes: of the island's own
  std::optional<uint32_t> island;
  /// Frames that may wait on the longest way here: queues and holds.
  uint32_t latency_frames = 0;
};

enum class AllocatorKind { kEngine, kPort };

/// A part of a pool's depth: "queue look->write 2".
struct DepthTerm {
  std::string what;
  uint32_t frames = 0;
};

/// One pool: what was settled for a producer port and everyone behind it.
struct PlanNet {
  /// All its edges are inside an island: there is no pool, the domain has its memory.
  /// Views, allocator and depth are empty.
  bool inner = false;
  PortRef producer;             ///< into Plan::nodes
  std::vector<uint32_t> edges;  ///< into Plan::edges, those behind pass-through ports too
  media::Format format;
  media::Alignment alignment;  ///< for media::ComputeLayout
  uint64_t buffer_bytes = 0;   ///< as ComputeLayout says; 0 = unknown modifier or size
  Views views = 0;             ///< all views that the buffers have
  AllocatorKind allocator_kind = AllocatorKind::kEngine;
  std::string allocator;   ///< "memfd", or the allocating port's "camera.out"
  PortRef allocator_port;  ///< kPort only
  std::string device;      ///< of the device view: UUID in hex, or the domain's name; "" = none
  uint32_t depth = 0;
  std::vector<DepthTerm> depth_terms;
  uint32_t dynamic_reserve = 0;
  uint32_t color_assumed = 0;  ///< kColorField*
  bool size_assumed = false;   ///< nothing in the graph fixed it
};

/// How a consumer learns that a frame may be read, and its producer that it may
/// be written again.
enum class SyncBridge {
  kNone,        ///< complete when it arrives
  kDomain,      ///< the same domain's timelines on both ends
  kSyncFile,    ///< a sync_file travels with the frame
  kSyncobj,     ///< a drm_syncobj point travels with the frame
  kImplicit,    ///< fences live in the dma-buf, on both ends
  kImport,      ///< our fence is imported into the dma-buf before the loan
  kExport,      ///< the dma-buf's fences are exported as a sync_file
  kHostSignal,  ///< dispatched after the producer's fence has signalled
};
std::string_view SyncBridgeName(SyncBridge bridge);

struct PlanEdge {
  PortRef from;  ///< into Plan::nodes; a pass-through output where the edge leaves from one
  PortRef to;
  uint32_t net = 0;
  std::optional<uint32_t> graph_edge;  ///< nothing for the inner edge of an inserted node
  QueueConfig queue;
  Views producer_view = 0;
  Views consumer_view = 0;
  Syncs producer_sync = 0;  ///< one bit: what the producer uses
  Syncs consumer_sync = 0;
  SyncBridge bridge = SyncBridge::kNone;
  bool sampled = false;  ///< not the trigger of a `latest` fan-in
  bool inner = false;    ///< inside an island: no frame, no queue, no pool
  uint32_t hold = 0;
  bool require_zero_copy = false;
};

/// Bytes that will be copied for each frame, where, and why.
struct PlannedCopy {
  std::string where;  ///< "look.out -> write.in" or a node's port
  std::optional<uint32_t> edge;
  uint64_t bytes_per_frame = 0;
  std::string reason;
};

/// CPU nodes that one worker runs as a chain.
struct RunGroup {
  std::vector<uint32_t> nodes;  ///< into Plan::nodes, in topological order
};

/// One pass over memory that a domain will make of an island.
struct PlanPass {
  std::string label;
  std::string apart;            ///< why it is not one with the pass before it
  std::vector<uint32_t> nodes;  ///< into Plan::nodes
  uint64_t bytes_read = 0;      ///< a frame
  uint64_t bytes_written = 0;
};

/// Device nodes that fire as one. Its border is every connected port of its nodes
/// with an edge that is not `inner`.
struct PlanIsland {
  std::string name;  ///< "look" or "look+convert"
  std::string domain;
  std::string device;
  std::vector<uint32_t> nodes;  ///< in topological order
  /// What the domain says; empty if it does not tell.
  std::vector<PlanPass> passes;
  uint64_t inner_bytes = 0;  ///< device memory of its own
  double inner_us = 0;       ///< part of Plan::cost_us: what happens inside, a frame
};

/// A combination that failed when it was tried. An empty or zero field matches anything.
struct Exclusion {
  std::string producer;  ///< the net: its producer's "camera.out"
  std::string consumer;  ///< the edge: "look.in"; "" = whoever takes part
  uint32_t fourcc = 0;
  std::optional<uint64_t> modifier;
  Views view = 0;         ///< of the consumer if one is named, else of the producer
  std::string allocator;  ///< PlanNet::allocator
  Size size;
  std::string reason;

  /// "camera.out XR24 in memory of udmabuf: REASON".
  std::string ToString() const;
  friend bool operator==(const Exclusion&, const Exclusion&) = default;
};

/// The negotiated graph: what every edge carries, in which memory, allocated by
/// whom. Immutable within an epoch; plain data.
struct Plan {
  std::string graph_name;
  uint32_t epoch = 1;
  Settings settings;
  std::vector<PlanNode> nodes;  ///< the graph's in its order, then the inserted ones
  std::vector<uint32_t> order;  ///< topological, into nodes
  std::vector<PlanEdge> edges;
  std::vector<PlanNet> nets;
  std::vector<RunGroup> run_groups;
  std::vector<PlanIsland> islands;
  std::vector<PlannedCopy> copies;
  std::vector<std::string> warnings;
  std::vector<Exclusion> exclusions;
  double cost_us = 0;   ///< estimated time for a frame
  std::string profile;  ///< whose figures that is of: "measured 2026-11-30 (NVIDIA H200)"
  bool optimal = true;  ///< false: the search was cut off at its bound
  /// SHA-like 64-bit hash of graph, offers and exclusions, 16 hex digits: equal
  /// inputs have equal digests and equal plans.
  std::string digest;

  /// What the domain says of an island; the cost goes by it from now on.
  void SetPasses(uint32_t island, std::vector<PlanPass> passes, uint64_t inner_bytes,
                 double device_bandwidth);

  std::string PortName(PortRef ref) const;
  const PlanNode* FindNode(std::string_view name) const;

  /// For people, as `sluice plan` prints it.
  std::string ToTable() const;
  /// One JSON object, indented by two; keys as in docs/negotiation.md.
  std::string ToJson() const;
  /// Graphviz.
  std::string ToDot() const;
};

}  // namespace sluice::graph
