#include "engine/graph/model.h"

#include <algorithm>
#include <iterator>
#include <queue>

#include <fmt/format.h>

#include "engine/graph/ranges.h"

namespace sluice::graph {
namespace {

using DeviceUuid = std::array<uint8_t, 16>;

std::string UuidKey(const DeviceUuid& uuid) {
  std::string key;
  for (uint8_t byte : uuid) key += fmt::format("{:02x}", byte);
  return key;
}

std::string DeviceKey(const std::string& domain, const DomainFacts& facts) {
  return facts.device_uuid != DeviceUuid{} ? UuidKey(facts.device_uuid) : "domain:" + domain;
}

const ParamValue* FindValue(const std::vector<NodeParam>& params, const std::string& name) {
  for (const NodeParam& param : params) {
    if (param.name == name) return &param.value;
  }
  return nullptr;
}

/// Whether the format that a parameter asks for, if one does, is one of the offer's.
bool HasAskedFourcc(const std::vector<NodeParam>& params, const Offer& offer) {
  const ParamValue* fourcc = FindValue(params, offer.fourcc_param);
  if (fourcc == nullptr || offer.fourccs.empty()) return true;
  auto token = media::ParseFourcc(fourcc->text);
  return !token ||
         std::find(offer.fourccs.begin(), offer.fourccs.end(), *token) != offer.fourccs.end();
}

/// Applies the parameters that an offer refers to.
void Narrow(const std::vector<NodeParam>& params, Offer* offer) {
  const ParamValue* size = FindValue(params, offer->size_param);
  if (size != nullptr && size->type == ParamType::kSize && size->size.width != 0) {
    offer->width = {size->size.width, size->size.width, 1};
    offer->height = {size->size.height, size->size.height, 1};
  }
  const ParamValue* rate = FindValue(params, offer->rate_param);
  if (rate != nullptr && rate->type == ParamType::kRate && rate->rate.numerator != 0) {
    offer->rate_min = offer->rate_max = rate->rate;
  }
  const ParamValue* fourcc = FindValue(params, offer->fourcc_param);
  if (fourcc != nullptr) {
    if (auto token = media::ParseFourcc(fourcc->text)) offer->fourccs = {*token};
  }
}

bool Holds(const Tie& tie, const std::vector<NodeParam>& params) {
  if (!tie.unless_param.empty() && FindValue(params, tie.unless_param) != nullptr) return false;
  if (tie.when_param.empty()) return true;
  const ParamValue* value = FindValue(params, tie.when_param);
  return value != nullptr && std::find(tie.when_values.begin(), tie.when_values.end(),
                                       value->ToString()) != tie.when_values.end();
}

template <typename T>
bool IsSubset(const std::vector<T>& inner, const std::vector<T>& outer) {
  return std::all_of(inner.begin(), inner.end(), [&outer](const T& value) {
    return std::find(outer.begin(), outer.end(), value) != outer.end();
  });
}

bool IsOpen(const Extent& extent) { return extent.min == 0 && extent.max == 0; }

/// What a refined offer leaves open stays as it was declared.
Offer Complete(Offer refined, const Offer& declared) {
  if (refined.fourccs.empty()) refined.fourccs = declared.fourccs;
  if (IsOpen(refined.width)) refined.width = declared.width;
  if (IsOpen(refined.height)) refined.height = declared.height;
  if (auto rate = Intersect(RateRangeOf(refined), RateRangeOf(declared))) {
    refined.rate_min = rate->min;
    refined.rate_max = rate->max;
  }
  if (auto color = Intersect(refined.color, declared.color)) refined.color = *color;
  return refined;
}

/// The first field in which `refined` goes beyond `declared`; "" if in none.
std::string BeyondField(const Offer& refined, const Offer& declared) {
  const std::vector<uint64_t> linear = {media::kModifierLinear};
  if (!declared.fourccs.empty() && !IsSubset(refined.fourccs, declared.fourccs)) return "fourcc";
  if (!IsSubset(refined.modifiers.empty() ? linear : refined.modifiers,
                declared.modifiers.empty() ? linear : declared.modifiers)) {
    return "modifiers";
  }
  if ((refined.views & ~declared.views) != 0) return "views";
  if ((refined.allocates & ~declared.allocates) != 0) return "allocates";
  if ((refined.sync & ~declared.sync) != 0) return "sync";
  if (!IsSubset(refined.width, declared.width) || !IsSubset(refined.height, declared.height)) {
    return "size";
  }
  if (!IsSubset(RateRangeOf(refined), RateRangeOf(declared))) return "rate";
  if (!Intersect(refined.color, declared.color)) return "color";
  return {};
}

/// Holds refined offers to the declared ones. A field that fits no declared
/// offer is named after the last of those.
Result<std::vector<Offer>> CompleteRefined(const std::string& port, const PortDesc& desc,
                                           std::vector<Offer> refined) {
  if (desc.offers.empty()) return refined;
  for (Offer& offer : refined) {
    std::string beyond;
    for (const Offer& declared : desc.offers) {
      Offer completed = Complete(offer, declared);
      beyond = BeyondField(completed, declared);
      if (!beyond.empty()) continue;
      offer = std::move(completed);
      break;
    }
    if (beyond.empty()) continue;
    return Fail(Code::kInvalidArgument,
                fmt::format("{}: a refined offer goes beyond what the manifest declares ({})", port,
                            beyond));
  }
  return refined;
}

class Builder {
 public:
  Builder(const NegotiationInput& input, Model* model) : input_(input), model_(*model) {}

  Status Run(const std::vector<Insertion>& insertions) {
    const Graph& graph = *input_.graph;
    for (uint32_t i = 0; i < graph.nodes().size(); ++i) {
      const GraphNode& node = graph.nodes()[i];
      AddNode(node.name, node.type, node.params).graph_node = i;
    }
    for (uint32_t i = 0; i < graph.edges().size(); ++i) {
      const GraphEdge& edge = graph.edges()[i];
      const bool require =
          edge.require_zero_copy || graph.settings().zero_copy == ZeroCopy::kRequire;
      model_.edges.push_back({edge.from, edge.to, 0, i, edge.queue, require});
    }
    for (const Insertion& insertion : insertions) Insert(insertion);
    for (const auto& [id, facts] : input_.domains) {
      model_.devices[DeviceKey(id, facts)] =
          FindDevice(input_.profile, UuidKey(facts.device_uuid), facts.device_name, facts.driver,
                     facts.is_software);
    }
    for (ModelNode& node : model_.nodes) SLUICE_RETURN_IF_ERROR(FillOffers(&node));
    SortTopologically();
    return {};
  }

 private:
  ModelNode& AddNode(const std::string& name, const NodeType* type, std::vector<NodeParam> params) {
    ModelNode node;
    node.name = name;
    node.type = type;
    node.params = std::move(params);
    std::copy_if(type->ties.begin(), type->ties.end(), std::back_inserter(node.ties),
                 [&](const Tie& tie) { return Holds(tie, node.params); });
    if (type->domain != "cpu") {
      const auto named = input_.domain_of.find(name);
      SetDomain(named != input_.domain_of.end() ? named->second : type->domain, &node);
    }
    model_.nodes.push_back(std::move(node));
    return model_.nodes.back();
  }

  void SetDomain(const std::string& key, ModelNode* node) {
    node->domain_key = key;
    node->facts.reset();
    if (auto found = input_.domains.find(key); found != input_.domains.end()) {
      node->facts = found->second;
    }
    node->device = DeviceKey(key, node->facts.value_or(DomainFacts{}));
  }

  void Insert(const Insertion& insertion) {
    uint32_t in = 0, out = 0;
    std::vector<NodeParam> params;
    for (uint32_t i = 0; i < insertion.type->ports.size(); ++i) {
      (insertion.type->ports[i].direction == Direction::kInput ? in : out) = i;
    }
    for (const ParamDesc& desc : insertion.type->params) {
      if (desc.default_value) params.push_back({desc.name, *desc.default_value, false});
    }
    const auto index = static_cast<uint32_t>(model_.nodes.size());
    std::string neighbour;
    for (ModelEdge& edge : model_.edges) {
      const ModelNode& consumer = model_.nodes[edge.to.node];
      if (consumer.name + "." + consumer.type->ports[edge.to.port].name != insertion.consumer)
        continue;
      // The graph's edge stays the one that leads to its consumer; what leads to
      // the inserted node is an inner edge with the shortest queue.
      ModelEdge inner{
          edge.from, {index, in}, 0, std::nullopt, QueueConfig{1, WhenFull::kBlock, false}, false};
      for (uint32_t side : {edge.from.node, edge.to.node}) {
        const ModelNode& beside = model_.nodes[side];
        if (beside.type->domain == insertion.type->domain) neighbour = beside.domain_key;
      }
      edge.from = {index, out};
      model_.edges.push_back(inner);
      break;
    }
    ModelNode& node = AddNode(InsertedName(insertion), insertion.type, std::move(params));
    node.inserted_reason = insertion.reason;
    // On its neighbour's device, the consumer's before the producer's.
    if (!neighbour.empty()) SetDomain(neighbour, &node);
  }

  Status FillOffers(ModelNode* node) {
    for (const PortDesc& desc : node->type->ports) {
      ModelPort port;
      port.desc = &desc;
      port.name = node->name + "." + desc.name;
      port.offers = desc.offers;
      if (auto found = input_.offers.find(port.name); found != input_.offers.end()) {
        auto refined = CompleteRefined(port.name, desc, found->second);
        if (!refined) return tl::unexpected(refined.error());
        port.offers = std::move(*refined);
      }
      // A port that says nothing takes whatever the CPU can read.
      if (port.offers.empty() && desc.passthrough.empty()) port.offers.emplace_back();
      // Of several offers those that have it: another one's colour belongs to its own formats.
      std::vector<Offer> asked;
      std::copy_if(port.offers.begin(), port.offers.end(), std::back_inserter(asked),
                   [&](const Offer& offer) { return HasAskedFourcc(node->params, offer); });
      if (!asked.empty()) port.offers = std::move(asked);
      for (Offer& offer : port.offers) {
        Narrow(node->params, &offer);
        // Shared memory can be transferred to any device; a dma-buf or another
        // device's memory that it cannot import is out of its reach.
        if (desc.access == Access::kDevice && node->facts) {
          offer.views &= node->facts->views | kViewShm | kViewCpu;
        }
      }
      node->ports.push_back(std::move(port));
    }
    return {};
  }

  void SortTopologically() {
    std::vector<uint32_t> waiting(model_.nodes.size(), 0);
    std::vector<std::vector<uint32_t>> next(model_.nodes.size());
    for (const ModelEdge& edge : model_.edges) {
      ++waiting[edge.to.node];
      next[edge.from.node].push_back(edge.to.node);
    }
    std::priority_queue<uint32_t, std::vector<uint32_t>, std::greater<>> ready;
    for (uint32_t i = 0; i < waiting.size(); ++i) {
      if (waiting[i] == 0) ready.push(i);
    }
    while (!ready.empty()) {
      const uint32_t node = ready.top();
      ready.pop();
      model_.order.push_back(node);
      for (uint32_t successor : next[node]) {
        if (--waiting[successor] == 0) ready.push(successor);
      }
    }
  }

  const NegotiationInput& input_;
  Model& model_;
};

/// Collects the edges that a port's buffers travel, those behind pass-through ports too.
std::vector<uint32_t> CollectEdges(
    const Model& model, PortRef producer,
    const std::vector<std::vector<std::vector<uint32_t>>>& edges_from) {
  std::vector<uint32_t> collected;
  std::vector<PortRef> sources = {producer};
  while (!sources.empty()) {
    const PortRef source = sources.back();
    sources.pop_back();
    for (uint32_t edge : edges_from[source.node][source.port]) {
      collected.push_back(edge);
      const PortRef to = model.edges[edge].to;
      const std::vector<ModelPort>& ports = model.nodes[to.node].ports;
      for (uint32_t i = 0; i < ports.size(); ++i) {
        if (ports[i].desc->direction != Direction::kOutput) continue;
        if (ports[i].desc->passthrough == ports[to.port].desc->name)
          sources.push_back({to.node, i});
      }
    }
  }
  std::sort(collected.begin(), collected.end());
  return collected;
}

/// Of a net whose producer's inputs have theirs.
Quality ArrivingAt(const Model& model, PortRef producer) {
  const ModelNode& node = model.nodes[producer.node];
  const std::vector<Offer>& given = node.ports[producer.port].offers;
  if (MakesPixels(*node.type)) {
    const bool known = !given.empty() && !given[0].fourccs.empty();
    return known ? QualityOf(given[0].fourccs[0]) : Quality{};
  }
  Quality most;
  for (uint32_t i = 0; i < node.ports.size(); ++i) {
    if (node.ports[i].desc->direction != Direction::kInput) continue;
    const std::optional<uint32_t> net = model.NetOf({producer.node, i});
    if (!net) continue;
    most = Most(most, Least(model.nets[*net].arriving, BestOf(node.ports[i].offers)));
  }
  return Least(most, BestOf(given));
}

}  // namespace

std::string InsertedName(const Insertion& insertion) {
  return insertion.type->id + "@" + insertion.consumer;
}

std::optional<uint32_t> Model::NetOf(PortRef ref) const { return net_of_port_[ref.node][ref.port]; }

std::string Model::DeviceOf(const ModelNode& node, const Offer& offer) const {
  return offer.device_uuid != DeviceUuid{} ? UuidKey(offer.device_uuid) : node.device;
}

const DeviceSpeeds& Model::SpeedsOf(const std::string& device) const {
  const auto found = devices.find(device);
  return found != devices.end() ? found->second.speeds : input->profile.device;
}

Result<Model> BuildModel(const NegotiationInput& input, const std::vector<Insertion>& insertions) {
  Model model;
  model.input = &input;
  SLUICE_RETURN_IF_ERROR(Builder(input, &model).Run(insertions));

  std::vector<std::vector<std::vector<uint32_t>>> edges_from(model.nodes.size());
  model.net_of_port_.resize(model.nodes.size());
  for (uint32_t i = 0; i < model.nodes.size(); ++i) {
    edges_from[i].resize(model.nodes[i].ports.size());
    model.net_of_port_[i].resize(model.nodes[i].ports.size());
  }
  for (uint32_t i = 0; i < model.edges.size(); ++i) {
    edges_from[model.edges[i].from.node][model.edges[i].from.port].push_back(i);
  }
  for (uint32_t node : model.order) {
    const std::vector<ModelPort>& ports = model.nodes[node].ports;
    for (uint32_t port = 0; port < ports.size(); ++port) {
      if (ports[port].desc->direction != Direction::kOutput) continue;
      if (!ports[port].desc->passthrough.empty() || edges_from[node][port].empty()) continue;
      ModelNet net;
      net.producer = {node, port};
      net.arriving = ArrivingAt(model, net.producer);
      net.edges = CollectEdges(model, net.producer, edges_from);
      const auto index = static_cast<uint32_t>(model.nets.size());
      model.net_of_port_[node][port] = index;
      for (uint32_t edge : net.edges) {
        ModelEdge& member = model.edges[edge];
        member.net = index;
        net.zero_copy = net.zero_copy || member.require_zero_copy;
        model.net_of_port_[member.from.node][member.from.port] = index;
        model.net_of_port_[member.to.node][member.to.port] = index;
      }
      model.nets.push_back(std::move(net));
    }
  }
  return model;
}

}  // namespace sluice::graph
