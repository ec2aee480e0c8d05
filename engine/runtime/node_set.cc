#include "engine/runtime/node_set.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "engine/base/log.h"
#include "engine/runtime/island.h"

namespace sluice::runtime {
namespace {

tl::unexpected<Failure> Fails(Blame blame, Error error) {
  return tl::unexpected<Failure>(Failure{blame, std::move(error)});
}

Error Named(const std::string& node, Error error) {
  error.message = fmt::format("node '{}': {}", node, error.message);
  return error;
}

/// Paths in a graph are relative to where the user stands.
std::string Absolute(const std::string& path) {
  if (path.empty() || path.find("://") != std::string::npos) return path;
  std::error_code error;
  auto absolute = std::filesystem::absolute(path, error);
  return error ? path : absolute.lexically_normal().string();
}

std::vector<plugin::ParamArgument> Arguments(const std::vector<graph::NodeParam>& params) {
  std::vector<plugin::ParamArgument> arguments;
  for (const graph::NodeParam& param : params) {
    plugin::ParamArgument argument{param.name, param.value, param.given};
    if (argument.value.type == graph::ParamType::kPath) {
      argument.value.text = Absolute(argument.value.text);
    }
    arguments.push_back(std::move(argument));
  }
  return arguments;
}

constexpr int kMaxRounds = 16;

/// A type without code is done by another, which offers what the device can: here no more than its
/// own manifest declares.
std::vector<graph::Offer> Narrow(const graph::Offer& offer, const graph::PortDesc& port) {
  std::vector<graph::Offer> narrow;
  for (const graph::Offer& declared : port.offers) {
    graph::Offer both = offer;
    both.views &= declared.views;
    both.allocates &= declared.allocates;
    both.sync &= declared.sync;
    if (both.views != 0) narrow.push_back(std::move(both));
  }
  return port.offers.empty() ? std::vector<graph::Offer>{offer} : narrow;
}

}  // namespace

Error LiveNode::Explain(const Error& error) const {
  return Named(name, context->TakeError(error.code, error.message));
}

NodeSet::~NodeSet() = default;

LiveNode* NodeSet::Find(std::string_view name) {
  for (auto& node : nodes_) {
    if (node->name == name) return node.get();
  }
  return nullptr;
}

tl::expected<void, Failure> NodeSet::Open() {
  for (const graph::GraphNode& node : graph_.nodes()) {
    std::string domain;
    if (node.type->domain != "cpu") {
      auto key = OpenDomain(node.type->domain, node.gpu);
      if (!key) {
        return Fails(key.error().blame, Named(node.name, key.error().error));
      }
      domain = *key;
    }
    auto added = Add(node.name, *node.type, node.params, domain);
    if (!added) return tl::unexpected(added.error());
  }
  return {};
}

/// The key of an instance that is open on the same device, or a new one.
std::string NodeSet::KeyOf(const domain::Domain& domain, const std::string& id) const {
  const auto& uuid = domain.info().device_uuid;
  const bool known = std::any_of(uuid.begin(), uuid.end(), [](uint8_t byte) { return byte != 0; });
  bool any = false;
  for (const auto& [key, open] : domains_) {
    if (open->info().id != id) continue;
    if (known && open->info().device_uuid == uuid) return key;
    any = true;
  }
  if (!any) return id;
  std::string key;
  for (int number = 2; key.empty() || domains_.contains(key); ++number) {
    key = fmt::format("{}:{}", id, number);
  }
  return key;
}

Outcome<std::string> NodeSet::OpenDomain(const std::string& id, const std::string& selector) {
  const std::string choice = !options_.gpu.empty() ? options_.gpu
                             : !selector.empty()   ? selector
                                                   : graph_.settings().gpu;
  if (auto found = keys_.find({id, choice}); found != keys_.end()) return found->second;
  auto maker = options_.loader->FindDomain(id);
  if (!maker) return Fails(Blame::kMachine, maker.error());
  auto domain = domain::Domain::Create(plugin::Host(), *maker->factory, maker->passes, id, choice);
  if (!domain) return Fails(Blame::kMachine, domain.error());
  // Two names of one device are one instance: objects of two do not go together.
  const std::string key = KeyOf(**domain, id);
  domains_.try_emplace(key, std::move(*domain));
  keys_[{id, choice}] = key;
  return key;
}

Result<std::unique_ptr<domain::Domain>> NodeSet::OpenAgain(const std::string& key) {
  // Of several names the first: one that leaves the choice open comes before the others.
  const auto opened = std::find_if(keys_.begin(), keys_.end(),
                                   [&](const auto& entry) { return entry.second == key; });
  SLUICE_CHECK(opened != keys_.end());
  const auto& [id, selector] = opened->first;
  auto maker = options_.loader->FindDomain(id);
  if (!maker) return tl::unexpected(maker.error());
  return domain::Domain::Create(plugin::Host(), *maker->factory, maker->passes, id, selector);
}

Status NodeSet::ExchangeDomain(const std::string& key, std::unique_ptr<domain::Domain> fresh) {
  auto& place = domains_.at(key);
  const domain::Domain* old = place.get();
  std::vector<LiveNode*> moved;
  for (const auto& node : nodes_) {
    if (node->domain != old) continue;
    SLUICE_CHECK(node->instance == nullptr);
    moved.push_back(node.get());
  }
  place = std::move(fresh);
  for (LiveNode* node : moved) {
    node->domain = place.get();
    node->context->domain = place.get();
    SLUICE_RETURN_IF_ERROR(Recreate(*node));
  }
  return {};
}

Outcome<LiveNode*> NodeSet::Add(const std::string& name, const graph::NodeType& type,
                                const std::vector<graph::NodeParam>& params,
                                const std::string& domain) {
  auto node = std::make_unique<LiveNode>();
  node->name = name;
  node->type = &type;
  node->params = Arguments(params);
  node->context =
      std::make_unique<scheduler::NodeContext>(name, *options_.copies, *options_.reactor);
  if (!domain.empty()) {
    node->domain_key = domain;
    node->domain = domains_.at(domain).get();
    node->context->domain = node->domain;
  }
  if (Status made = Create(*node); !made) return Fails(Blame::kGraph, made.error());
  if (Status probed = Probe(*node); !probed) return Fails(Blame::kGraph, probed.error());
  nodes_.push_back(std::move(node));
  return nodes_.back().get();
}

Status NodeSet::Create(LiveNode& node) {
  auto maker = options_.loader->FindNode(node.type->id);
  if (!maker) return tl::unexpected(Named(node.name, maker.error()));
  std::vector<plugin::ParamArgument> params = node.params;
  node.codeless = !maker->file.empty();
  if (node.codeless) {
    graph::ParamValue file;
    file.type = graph::ParamType::kPath;
    file.text = maker->file;
    params.push_back({"shader", file, true});
  }
  auto instance =
      plugin::NodeInstance::Create(*maker->factory, maker->type_id, params, *node.context);
  if (!instance) {
    return tl::unexpected(node.Explain(instance.error()));
  }
  if (node.type->domain == "cpu" && !(*instance)->HasProcess()) {
    return Fail(Code::kInternal, fmt::format("node '{}': the plugin gives {} no process()",
                                             node.name, node.type->id));
  }
  node.instance = std::move(*instance);
  ++node.generation;
  return {};
}

Status NodeSet::Probe(LiveNode& node) {
  auto sink = node.instance->Probe(*node.type);
  if (!sink) {
    return tl::unexpected(node.Explain(sink.error()));
  }
  std::map<std::string, std::vector<graph::Offer>> offers;
  for (auto& [port, offer] : sink->offers) {
    auto& list = offers[node.name + "." + port];
    if (node.codeless) {
      for (graph::Offer& narrow : Narrow(offer, *node.type->FindPort(port)))
        list.push_back(std::move(narrow));
    } else {
      list.push_back(std::move(offer));
    }
  }
  for (auto& [port, list] : offers) offers_[port] = std::move(list);
  return {};
}

Status NodeSet::Recreate(LiveNode& node) {
  node.instance = nullptr;
  node.context->UnwatchAll();
  SLUICE_RETURN_IF_ERROR(Create(node));
  return Probe(node);
}

void NodeSet::Pin(const std::string& port_name, const std::vector<graph::Offer>& declared,
                  const media::Format& format) {
  auto& offers = offers_[port_name];
  if (offers.empty()) offers = declared;
  for (graph::Offer& offer : offers) {
    offer.fourccs = {format.fourcc};
    offer.width = {format.width, format.width, 1};
    offer.height = {format.height, format.height, 1};
    offer.color = format.color;
  }
}

std::vector<const graph::NodeType*> NodeSet::Converters() const {
  std::vector<const graph::NodeType*> converters;
  for (const std::string& name : options_.types->Names()) {
    const graph::NodeType* type = options_.types->Find(name);
    if (type->converter && !missing_domains_.contains(type->domain)) converters.push_back(type);
  }
  return converters;
}

/// True: there are new nodes, and so new offers.
Outcome<bool> NodeSet::AddInserted(const graph::Plan& plan) {
  bool any = false;
  for (const graph::PlanNode& planned : plan.nodes) {
    if (planned.graph_node || Find(planned.name) != nullptr) continue;
    any = true;
    std::string domain = planned.domain_key;
    if (planned.type->domain != "cpu" && !domains_.contains(domain)) {
      auto opened = OpenDomain(planned.type->domain, "");
      if (!opened) {
        if (opened.error().blame != Blame::kMachine) return tl::unexpected(opened.error());
        // A converter is only one way to get there: try without its device.
        missing_domains_.emplace(planned.type->domain, opened.error().error.message);
        Log(LogLevel::kInfo, "plan", "{} cannot be inserted: {}", planned.type->id,
            opened.error().error.message);
        continue;
      }
      domain = *opened;
    }
    auto added = Add(planned.name, *planned.type, planned.params, domain);
    if (!added) return tl::unexpected(added.error());
  }
  return any;
}

graph::NegotiationInput NodeSet::MakeInput(uint32_t epoch,
                                           const std::vector<graph::Exclusion>& exclusions,
                                           const std::set<std::string>& ended) const {
  graph::NegotiationInput input;
  input.graph = &graph_;
  input.offers = offers_;
  input.exclusions = exclusions;
  input.converters = Converters();
  input.allocators = options_.allocators;
  input.profile = options_.profile;
  input.epoch = epoch;
  input.apart.insert(ended.begin(), ended.end());
  for (const auto& [key, domain] : domains_) {
    const domain::DomainInfo& info = domain->info();
    input.domains[key] = {info.device_uuid,   info.device_name,   info.views,
                          info.base_multiple, info.size_multiple, info.offset_multiple,
                          info.is_software,   info.driver};
  }
  for (const auto& node : nodes_) {
    if (node->domain != nullptr) input.domain_of[node->name] = node->domain_key;
  }
  return input;
}

/// Formats are settled, and all nodes are there: the domains can say what they will do.
void NodeSet::PredictPasses(graph::Plan* plan, const graph::Profile& profile) {
  for (uint32_t i = 0; i < plan->islands.size(); ++i) {
    const graph::PlanIsland& island = plan->islands[i];
    domain::Domain& domain = *Find(plan->nodes[island.nodes.front()].name)->domain;
    auto prediction = domain.Predict(DescribeIsland(*plan, island, *this));
    if (!prediction) continue;
    std::vector<graph::PlanPass> passes;
    for (domain::Pass& pass : prediction->passes) {
      for (uint32_t& node : pass.nodes) node = island.nodes[node];
      passes.push_back({std::move(pass.label), std::move(pass.apart), std::move(pass.nodes),
                        pass.bytes_read, pass.bytes_written});
    }
    const domain::DomainInfo& info = domain.info();
    const graph::ProfiledDevice device =
        graph::FindDevice(profile, island.device, info.device_name, info.driver, info.is_software);
    plan->SetPasses(i, std::move(passes), prediction->inner_bytes, device.speeds.memory);
  }
}

Outcome<graph::Plan> NodeSet::Solve(uint32_t epoch, const std::vector<graph::Exclusion>& exclusions,
                                    const std::set<std::string>& ended) {
  for (int round = 0; round < kMaxRounds; ++round) {
    const graph::NegotiationInput input = MakeInput(epoch, exclusions, ended);
    auto plan = graph::Negotiate(input);
    if (!plan) return Fails(Blame::kGraph, plan.error());
    auto inserted = AddInserted(*plan);
    if (!inserted) return tl::unexpected(inserted.error());
    if (*inserted) continue;
    PredictPasses(&*plan, input.profile);
    return std::move(*plan);
  }
  return Fails(Blame::kGraph, {Code::kInternal, "the plan does not settle"});
}

}  // namespace sluice::runtime
