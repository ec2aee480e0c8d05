#include "engine/graph/build_plan.h"

#include <algorithm>

#include <fmt/format.h>

namespace sluice::graph {
namespace {

uint32_t TotalDepth(const std::vector<DepthTerm>& terms) {
  uint64_t total = 0;
  for (const DepthTerm& term : terms) total += term.frames;
  return static_cast<uint32_t>(std::min<uint64_t>(total, UINT32_MAX));
}

std::string DepthText(const std::vector<DepthTerm>& terms) {
  std::vector<std::string> parts;
  for (const DepthTerm& term : terms) parts.push_back(fmt::format("{} {}", term.what, term.frames));
  return fmt::format("{}", fmt::join(parts, " + "));
}

std::string AssumedFields(uint32_t fields, const media::Color& color) {
  std::vector<std::string> parts;
  auto add = [&](uint32_t bit, std::string_view name, std::string_view value) {
    if ((fields & bit) != 0) parts.push_back(fmt::format("{} {}", name, value));
  };
  add(kColorFieldPrimaries, "primaries", media::Name(color.primaries));
  add(kColorFieldTransfer, "transfer", media::Name(color.transfer));
  add(kColorFieldMatrix, "matrix", media::Name(color.matrix));
  add(kColorFieldRange, "range", media::Name(color.range));
  add(kColorFieldSiting, "siting", media::Name(color.siting));
  return fmt::format("{}", fmt::join(parts, ", "));
}

struct Bridge {
  SyncBridge bridge = SyncBridge::kHostSignal;
  Syncs producer = kSyncCpuDone;
  Syncs consumer = kSyncCpuDone;
};

/// The cheapest way from what the producer can give to what the consumer can take.
/// Awaiting completion on the host always works, so there is no failure.
Bridge ChooseBridge(const Offer& from, Access from_access, const Offer& to, Access to_access,
                    bool same_device) {
  if (from_access == Access::kCpu || from.sync == kSyncCpuDone) {
    return {SyncBridge::kNone, kSyncCpuDone, kSyncCpuDone};
  }
  const Syncs both = from.sync & to.sync;
  if (to_access == Access::kCpu) {
    return {SyncBridge::kHostSignal,
            from.sync & ~kSyncCpuDone ? from.sync & -from.sync : kSyncCpuDone, kSyncCpuDone};
  }
  if ((both & kSyncTimeline) != 0 && same_device) {
    return {SyncBridge::kDomain, kSyncTimeline, kSyncTimeline};
  }
  if ((both & kSyncSyncobj) != 0) return {SyncBridge::kSyncobj, kSyncSyncobj, kSyncSyncobj};
  if ((both & kSyncSyncFile) != 0) return {SyncBridge::kSyncFile, kSyncSyncFile, kSyncSyncFile};
  if ((both & kSyncImplicit) != 0) return {SyncBridge::kImplicit, kSyncImplicit, kSyncImplicit};
  if ((from.sync & kSyncSyncFile) != 0 && (to.sync & kSyncImplicit) != 0) {
    return {SyncBridge::kImport, kSyncSyncFile, kSyncImplicit};
  }
  if ((from.sync & kSyncImplicit) != 0 && (to.sync & kSyncSyncFile) != 0) {
    return {SyncBridge::kExport, kSyncImplicit, kSyncSyncFile};
  }
  return {};
}

class PlanBuilder {
 public:
  PlanBuilder(const Model& model, const Solution& solution)
      : model_(model), input_(*model.input), graph_(*model.input->graph), solution_(solution) {}

  Result<Plan> Run() {
    plan_.graph_name = graph_.name();
    plan_.epoch = input_.epoch;
    plan_.settings = graph_.settings();
    plan_.exclusions = input_.exclusions;
    plan_.order = model_.order;
    plan_.optimal = solution_.optimal;
    plan_.cost_us = static_cast<double>(solution_.cost.time_ns) / 1e3;
    for (const ModelNode& node : model_.nodes) AddNode(node);
    for (uint32_t i = 0; i < model_.edges.size(); ++i) AddEdge(i);
    for (uint32_t i = 0; i < model_.nets.size(); ++i) FillPorts(i);
    for (uint32_t i = 0; i < plan_.edges.size(); ++i) Synchronise(i);
    JoinIslands();
    for (uint32_t i = 0; i < model_.nets.size(); ++i) SLUICE_RETURN_IF_ERROR(AddNet(i));
    AddNodeCopies();
    AddLatencies();
    GroupNodes(&plan_);
    Warn();
    return std::move(plan_);
  }

 private:
  const Candidate& CandidateOf(uint32_t net) const { return solution_.choices[net].candidate; }
  const Offer& ChosenOffer(uint32_t net, size_t participant) const {
    const PortRef ref = model_.Participant(model_.nets[net], participant);
    return model_.Port(ref).offers[CandidateOf(net).offers[participant]];
  }

  void AddNode(const ModelNode& node) {
    PlanNode out;
    out.name = node.name;
    out.type = node.type;
    out.graph_node = node.graph_node;
    out.inserted_reason = node.inserted_reason;
    out.params = node.params;
    out.device = node.device;
    out.domain_key = node.domain_key;
    for (const ModelPort& port : node.ports) {
      PlanPort planned;
      planned.name = port.desc->name;
      planned.direction = port.desc->direction;
      planned.access = port.desc->access;
      planned.net = model_.NetOf(
          {static_cast<uint32_t>(plan_.nodes.size()), static_cast<uint32_t>(out.ports.size())});
      out.ports.push_back(std::move(planned));
    }
    plan_.nodes.push_back(std::move(out));
  }

  bool IsSampled(PortRef to) const {
    const ModelNode& node = model_.nodes[to.node];
    if (!node.graph_node) return false;
    const GraphNode& original = graph_.nodes()[*node.graph_node];
    return original.sync == SyncPolicy::kLatest && original.trigger != to.port;
  }

  void AddEdge(uint32_t index) {
    const ModelEdge& edge = model_.edges[index];
    PlanEdge out;
    out.from = edge.from;
    out.to = edge.to;
    out.net = edge.net;
    out.graph_edge = edge.graph_edge;
    out.queue = edge.queue;
    out.require_zero_copy = edge.require_zero_copy;
    out.sampled = IsSampled(edge.to);
    plan_.edges.push_back(out);
  }

  Status AddNet(uint32_t index) {
    const ModelNet& net = model_.nets[index];
    const Choice& choice = solution_.choices[index];
    const Candidate& chosen = choice.candidate;
    PlanNet out;
    out.producer = net.producer;
    out.edges = net.edges;
    out.format = {chosen.fourcc,   choice.size.width, choice.size.height,
                  chosen.modifier, choice.rate,       choice.color};
    out.views = chosen.allocation.views;
    out.allocator_kind = chosen.allocation.kind;
    out.allocator = chosen.allocation.name;
    if (chosen.allocation.kind == AllocatorKind::kPort) {
      out.allocator_port = model_.Participant(net, chosen.allocation.participant);
      if ((out.views & kViewDevice) != 0) out.device = chosen.allocation.device;
    }
    const Offer& producer_offer = ChosenOffer(index, 0);
    out.color_assumed = producer_offer.color_assumed;
    out.size_assumed = choice.size_assumed;
    out.dynamic_reserve = producer_offer.dynamic_reserve;
    SLUICE_RETURN_IF_ERROR(Align(index, &out));
    // A modifier other than linear has a layout that only its allocator knows.
    if (auto layout = media::ComputeLayout(out.format, out.alignment))
      out.buffer_bytes = layout->size;
    out.inner = plan_.nodes[net.producer.node].ports[net.producer.port].inner;
    if (out.inner) {
      MakeInner(&out);
    } else {
      SLUICE_RETURN_IF_ERROR(Deepen(index, &out));
    }
    AddOfferCopies(index, out);
    plan_.nets.push_back(std::move(out));
    return {};
  }

  /// What was chosen for a pool says nothing of the domain's own memory.
  static void MakeInner(PlanNet* net) {
    net->views = 0;
    net->allocator_kind = AllocatorKind::kEngine;
    net->allocator.clear();
    net->allocator_port = {};
    net->device.clear();
    net->dynamic_reserve = 0;
  }

  // ---- islands

  /// Whether a node does anything but one firing for one frame of each of its inputs.
  bool FiresOneToOne(uint32_t index) const {
    const PlanNode& node = plan_.nodes[index];
    if (node.type->async || node.type->parallel > 1) return false;
    for (const PortDesc& port : node.type->ports) {
      if (port.acquisition == Acquisition::kDynamic || !port.passthrough.empty()) return false;
    }
    return !ChangesRate(node);
  }

  /// An output whose rate is none of the rates that drive the node.
  bool ChangesRate(const PlanNode& node) const {
    std::vector<media::Rate> driving;
    for (uint32_t p = 0; p < node.ports.size(); ++p) {
      const PlanPort& port = node.ports[p];
      const auto index = static_cast<uint32_t>(&node - plan_.nodes.data());
      if (port.direction != Direction::kInput || !port.net || IsSampled({index, p})) continue;
      driving.push_back(solution_.choices[*port.net].rate);
    }
    if (driving.empty()) return false;
    return std::any_of(node.ports.begin(), node.ports.end(), [&](const PlanPort& port) {
      if (port.direction != Direction::kOutput || !port.net) return false;
      return std::find(driving.begin(), driving.end(), solution_.choices[*port.net].rate) ==
             driving.end();
    });
  }

  bool Cut(const PlanNode& node) const {
    return node.graph_node && graph_.nodes()[*node.graph_node].island_cut;
  }
  /// An inserted node fails as whoever it stands before.
  ErrorPolicy PolicyOf(uint32_t index) const {
    while (!plan_.nodes[index].graph_node) {
      const auto next = std::find_if(plan_.edges.begin(), plan_.edges.end(),
                                     [&](const PlanEdge& e) { return e.from.node == index; });
      if (next == plan_.edges.end()) return {};
      index = next->to.node;
    }
    return graph_.nodes()[*plan_.nodes[index].graph_node].on_error;
  }

  bool MayJoin(const PlanEdge& edge) const {
    const PlanNode& from = plan_.nodes[edge.from.node];
    const PlanNode& to = plan_.nodes[edge.to.node];
    if (from.type->domain == "cpu" || from.type->domain != to.type->domain) return false;
    if (from.domain_key != to.domain_key || from.device != to.device ||
        edge.bridge != SyncBridge::kDomain)
      return false;
    if (edge.queue.given || edge.queue.when_full != WhenFull::kBlock || edge.sampled) return false;
    if (edge.hold != 0 || from.ports[edge.from.port].retains != 0) return false;
    return PolicyOf(edge.from.node) == PolicyOf(edge.to.node);
  }

  void JoinIslands() {
    std::vector<bool> may_join, apart;
    for (uint32_t i = 0; i < plan_.nodes.size(); ++i) {
      const PlanNode& node = plan_.nodes[i];
      apart.push_back(node.type->domain == "cpu" || Cut(node) || !FiresOneToOne(i) ||
                      input_.apart.contains(node.name));
    }
    for (const PlanEdge& edge : plan_.edges) may_join.push_back(MayJoin(edge));
    FormIslands(may_join, apart, &plan_);
    for (uint32_t net = 0; net < model_.nets.size(); ++net) CostInside(net);
  }

  /// What does not leave an island was reckoned over a pool's memory: it is the device's own.
  void CostInside(uint32_t index) {
    const Choice& choice = solution_.choices[index];
    const Candidate& chosen = choice.candidate;
    const auto bytes = static_cast<double>(media::VisibleBytes(
        {chosen.fourcc, choice.size.width, choice.size.height, chosen.modifier, {}, {}}));
    for (size_t i = 0; i < chosen.views.size(); ++i) {
      const PortRef ref = model_.Participant(model_.nets[index], i);
      if (!plan_.nodes[ref.node].ports[ref.port].inner) continue;
      const ModelNode& node = model_.nodes[ref.node];
      const auto pool_ns =
          static_cast<double>(TouchNs(model_, node, model_.Port(ref).desc->access, chosen.views[i],
                                      chosen.allocation, i == 0, bytes));
      const double inner_us = bytes / model_.SpeedsOf(node.device).memory * 1e6;
      plan_.cost_us = std::max(0.0, plan_.cost_us - pool_ns / 1e3) + inner_us;
      plan_.islands[*plan_.nodes[ref.node].island].inner_us += inner_us;
    }
  }

  Status Align(uint32_t index, PlanNet* net) {
    for (size_t i = 0; i < CandidateOf(index).offers.size(); ++i) {
      const PortRef ref = model_.Participant(model_.nets[index], i);
      const ModelNode& node = model_.nodes[ref.node];
      media::Alignment wanted = ChosenOffer(index, i).alignment;
      const Views view = CandidateOf(index).views[i];
      // A device that imports host memory has demands of its own.
      if (model_.Port(ref).desc->access == Access::kDevice && view != kViewDevice && node.facts) {
        media::Alignment import;
        import.base = node.facts->base_multiple;
        import.size = node.facts->size_multiple;
        import.offset = node.facts->offset_multiple;
        auto merged = media::Merge(wanted, import);
        if (!merged) return Unaligned(ref, merged.error());
        wanted = *merged;
      }
      auto merged = media::Merge(net->alignment, wanted);
      if (!merged) return Unaligned(ref, merged.error());
      net->alignment = *merged;
    }
    return {};
  }

  tl::unexpected<Error> Unaligned(PortRef ref, const Error& error) const {
    return Fail(Code::kUnsupported, fmt::format("{}: alignments cannot be combined: {}",
                                                model_.Port(ref).name, error.message));
  }

  void FillPorts(uint32_t index) {
    const ModelNet& net = model_.nets[index];
    const Candidate& chosen = CandidateOf(index);
    for (size_t i = 0; i < chosen.offers.size(); ++i) {
      const PortRef ref = model_.Participant(net, i);
      PlanPort& port = plan_.nodes[ref.node].ports[ref.port];
      const Offer& offer = ChosenOffer(index, i);
      port.view = chosen.views[i];
      port.offer = chosen.offers[i];
      port.hold = offer.hold_max;
      port.retains = offer.retains;
      if (i == 0) continue;
      PlanEdge& edge = plan_.edges[net.edges[i - 1]];
      edge.producer_view = chosen.views[0];
      edge.consumer_view = chosen.views[i];
      edge.hold = offer.hold_max;
    }
    for (uint32_t edge : net.edges) {  // outputs that pass through see what their input sees
      const PortRef from = plan_.edges[edge].from;
      if (from == net.producer) continue;
      PlanPort& port = plan_.nodes[from.node].ports[from.port];
      for (const PlanPort& input : plan_.nodes[from.node].ports) {
        if (input.name == model_.Port(from).desc->passthrough) port.view = input.view;
      }
    }
  }

  /// Depth, term by term. A queue whose depth the text leaves open may shrink to
  /// fit what a port can give.
  Status Deepen(uint32_t index, PlanNet* out) {
    for (uint32_t open_depth : {QueueConfig{}.depth, 1u}) {
      out->depth_terms = DepthTerms(index, open_depth);
      out->depth = TotalDepth(out->depth_terms);
      auto limit = Limit(index, out->depth);
      if (!limit) return {};
      if (open_depth > 1) continue;
      return Fail(Code::kResourceExhausted,
                  fmt::format("{}: the pool needs {} buffers, but {}\n  terms: {}\n  help: smaller "
                              "queues on its edges",
                              model_.Port(out->producer).name, out->depth, *limit,
                              DepthText(out->depth_terms)));
    }
    return {};
  }

  /// Who cannot do with so many buffers.
  std::optional<std::string> Limit(uint32_t index, uint32_t depth) const {
    const Candidate& chosen = CandidateOf(index);
    const Allocation& allocation = chosen.allocation;
    if (allocation.max_buffers != 0 && depth > allocation.max_buffers) {
      return fmt::format("{} allocates at most {}", allocation.name, allocation.max_buffers);
    }
    for (size_t i = 0; i < chosen.offers.size(); ++i) {
      if (i > 0 && plan_.edges[model_.nets[index].edges[i - 1]].inner) continue;
      const uint32_t most = ChosenOffer(index, i).buffers_max;
      if (most == 0 || depth <= most) continue;
      const PortRef ref = model_.Participant(model_.nets[index], i);
      return fmt::format("{} takes at most {}", model_.Port(ref).name, most);
    }
    return std::nullopt;
  }

  std::vector<DepthTerm> DepthTerms(uint32_t index, uint32_t open_depth) {
    const ModelNet& net = model_.nets[index];
    const ModelNode& producer = model_.nodes[net.producer.node];
    const std::string& name = model_.Port(net.producer).name;
    const Offer& offer = ChosenOffer(index, 0);
    std::vector<DepthTerm> terms;
    auto add = [&terms](std::string what, uint32_t frames) {
      if (frames != 0) terms.push_back({std::move(what), frames});
    };
    if (model_.Port(net.producer).desc->acquisition == Acquisition::kDynamic) {
      add(fmt::format("reserve {}", name), std::max(offer.dynamic_reserve, 1u));
    } else {
      add(fmt::format("writing {}", name), std::max(producer.type->parallel, 1u));
    }
    add(fmt::format("minimum {}", name), offer.buffers_min);
    add(fmt::format("retains {}", name), offer.retains);
    add(fmt::format("in flight {}", producer.name), producer.type->in_flight);
    for (size_t i = 0; i < net.edges.size(); ++i) {
      PlanEdge& edge = plan_.edges[net.edges[i]];
      if (edge.inner) continue;
      const ModelNode& consumer = model_.nodes[edge.to.node];
      const std::string& to = model_.Port(edge.to).name;
      const Offer& taken = ChosenOffer(index, i + 1);
      if (!edge.queue.given) {
        edge.queue.depth = std::min(model_.edges[net.edges[i]].queue.depth, open_depth);
      }
      add(fmt::format("queue {}", to), edge.queue.depth);
      add(fmt::format("running {}", to), std::max(consumer.type->parallel, 1u));
      add(fmt::format("hold {}", to), taken.hold_max);
      add(fmt::format("sampled {}", to), edge.sampled ? 1 : 0);
      add(fmt::format("in flight {}", consumer.name), consumer.type->in_flight);
    }
    uint32_t least = 0;
    std::string who;
    for (size_t i = 0; i < net.edges.size(); ++i) {
      if (plan_.edges[net.edges[i]].inner) continue;
      const uint32_t minimum = ChosenOffer(index, i + 1).buffers_min;
      if (minimum <= least) continue;
      least = minimum;
      who = model_.Port(model_.edges[net.edges[i]].to).name;
    }
    const uint32_t total = TotalDepth(terms);
    if (total < least) add(fmt::format("up to the minimum of {}", who), least - total);
    return terms;
  }

  void AddOfferCopies(uint32_t index, const PlanNet& net) {
    for (size_t i = 0; i < CandidateOf(index).offers.size(); ++i) {
      const Offer& offer = ChosenOffer(index, i);
      const PortRef ref = model_.Participant(model_.nets[index], i);
      if (plan_.nodes[ref.node].ports[ref.port].inner) continue;
      const ModelNode& node = model_.nodes[ref.node];
      const Views view = CandidateOf(index).views[i];
      const bool transfers = node.Transfers(model_.Port(ref).desc->access, view);
      if (offer.copies.empty() && !transfers) continue;
      PlannedCopy copy;
      copy.where = model_.Port(ref).name;
      if (i > 0) copy.edge = model_.nets[index].edges[i - 1];
      copy.bytes_per_frame = media::VisibleBytes(net.format);
      copy.reason = transfers ? fmt::format("{} cannot import {}: transferred",
                                            node.facts->device_name, ViewsToString(view))
                              : offer.copies;
      plan_.copies.push_back(std::move(copy));
    }
  }

  /// Nodes that say they copy, and inserted ones on the CPU. A conversion on a
  /// device is a pass of the chain: its pixels never leave the device's reach.
  void AddNodeCopies() {
    for (uint32_t i = 0; i < plan_.nodes.size(); ++i) {
      const PlanNode& node = plan_.nodes[i];
      const bool inserted_on_cpu = !node.graph_node && node.type->domain == "cpu";
      if (!node.type->copies && !inserted_on_cpu) continue;
      for (const PlanPort& port : node.ports) {
        if (port.direction != Direction::kOutput || !port.net) continue;
        PlannedCopy copy;
        copy.where = node.name;
        copy.bytes_per_frame = media::VisibleBytes(plan_.nets[*port.net].format);
        copy.reason = node.graph_node ? node.type->id + " copies" : node.inserted_reason;
        for (uint32_t e = 0; e < plan_.edges.size(); ++e) {
          if (plan_.edges[e].from.node == i) copy.edge = e;
        }
        plan_.copies.push_back(std::move(copy));
      }
    }
  }

  void AddLatencies() {
    std::vector<std::vector<const PlanEdge*>> into(plan_.nodes.size());
    for (const PlanEdge& edge : plan_.edges) into[edge.to.node].push_back(&edge);
    for (uint32_t node : plan_.order) {
      for (const PlanEdge* edge : into[node]) {
        const uint32_t waiting = edge->inner ? 0 : edge->queue.depth + edge->hold;
        const uint32_t here = plan_.nodes[edge->from.node].latency_frames + waiting;
        plan_.nodes[node].latency_frames = std::max(plan_.nodes[node].latency_frames, here);
      }
    }
  }

  void Synchronise(uint32_t index) {
    PlanEdge& edge = plan_.edges[index];
    const ModelNet& net = model_.nets[edge.net];
    const auto position = std::find(net.edges.begin(), net.edges.end(), index) - net.edges.begin();
    const Offer& from = ChosenOffer(edge.net, 0);
    const Offer& to = ChosenOffer(edge.net, static_cast<size_t>(position) + 1);
    const ModelNode& producer = model_.nodes[net.producer.node];
    const ModelNode& consumer = model_.nodes[edge.to.node];
    const bool same_device = !producer.device.empty() && producer.device == consumer.device;
    const Bridge bridge = ChooseBridge(from, model_.Port(net.producer).desc->access, to,
                                       model_.Port(edge.to).desc->access, same_device);
    edge.bridge = bridge.bridge;
    edge.producer_sync = bridge.producer;
    edge.consumer_sync = bridge.consumer;
  }

  void Warn() {
    for (uint32_t i = 0; i < plan_.nets.size(); ++i) {
      const PlanNet& net = plan_.nets[i];
      const std::string& name = model_.Port(net.producer).name;
      if (net.color_assumed != 0) {
        plan_.warnings.push_back(fmt::format("{}: colour assumed: {}", name,
                                             AssumedFields(net.color_assumed, net.format.color)));
      }
      // Said once, where it comes from, not for every net that is tied to it.
      const bool is_source = plan_.nodes[net.producer.node].type->Ports(Direction::kInput).empty();
      if (net.size_assumed && is_source) {
        plan_.warnings.push_back(
            fmt::format("{}: size assumed: {}x{}; nothing in the graph fixes it", name,
                        net.format.width, net.format.height));
      }
      WarnUncached(net);
      WarnStarving(net);
    }
    for (const PlanIsland& island : plan_.islands) WarnStalling(island);
    if (!plan_.optimal) {
      plan_.warnings.push_back("the search was cut off at its bound; a cheaper plan may exist");
    }
  }

  void WarnUncached(const PlanNet& net) {
    if ((net.views & kViewDevice) == 0 || (net.views & kViewShm) != 0) return;
    for (uint32_t edge : net.edges) {
      const PortRef to = plan_.edges[edge].to;
      if (model_.Port(to).desc->access != Access::kCpu) continue;
      plan_.warnings.push_back(
          fmt::format("{}: the CPU reads device memory, which is slow", model_.Port(to).name));
    }
  }

  /// In real time one blocking arm of a fan-out holds up the others.
  void WarnStarving(const PlanNet& net) {
    if (plan_.settings.clock != ClockMode::kRealtime) return;
    const auto arms = std::count_if(net.edges.begin(), net.edges.end(),
                                    [&](uint32_t edge) { return !plan_.edges[edge].inner; });
    if (arms < 2) return;
    for (uint32_t index : net.edges) {
      const PlanEdge& edge = plan_.edges[index];
      if (edge.inner || edge.from != net.producer || edge.queue.when_full != WhenFull::kBlock)
        continue;
      if (plan_.nodes[edge.to.node].type->live) continue;
      plan_.warnings.push_back(fmt::format(
          "{} -> {} blocks: when it is slow, the other arms of {} starve; "
          "`queue: {{ when_full: drop-oldest }}` lets it drop instead",
          plan_.PortName(edge.from), plan_.PortName(edge.to), plan_.PortName(net.producer)));
    }
  }

  /// An island fires when all its outputs have room: one that blocks holds up the others.
  void WarnStalling(const PlanIsland& island) {
    if (plan_.settings.clock != ClockMode::kRealtime || island.nodes.size() < 2) return;
    const auto index = plan_.nodes[island.nodes.front()].island;
    std::vector<PortRef> outputs;
    for (const PlanEdge& edge : plan_.edges) {
      if (plan_.nodes[edge.from.node].island != index || edge.inner) continue;
      if (std::find(outputs.begin(), outputs.end(), edge.from) == outputs.end()) {
        outputs.push_back(edge.from);
      }
    }
    if (outputs.size() < 2) return;
    for (const PlanEdge& edge : plan_.edges) {
      if (plan_.nodes[edge.from.node].island != index || edge.inner) continue;
      if (edge.queue.when_full != WhenFull::kBlock || plan_.nodes[edge.to.node].type->live)
        continue;
      std::vector<std::string> others;
      for (PortRef output : outputs) {
        if (output != edge.from) others.push_back(plan_.PortName(output));
      }
      plan_.warnings.push_back(fmt::format(
          "{} -> {} blocks: when it is slow, {} of the same island stall; `island: cut` on a node "
          "between them splits it, `queue: {{ when_full: drop-oldest }}` lets it drop",
          plan_.PortName(edge.from), plan_.PortName(edge.to), fmt::join(others, ", ")));
    }
  }

  const Model& model_;
  const NegotiationInput& input_;
  const Graph& graph_;
  const Solution& solution_;
  Plan plan_;
};

}  // namespace

Result<Plan> BuildPlan(const Model& model, const Solution& solution) {
  return PlanBuilder(model, solution).Run();
}

}  // namespace sluice::graph
