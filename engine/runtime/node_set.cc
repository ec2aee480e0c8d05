#include "engine/runtime/node_set.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "engine/base/log.h"

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
    auto added = Add(node.name, *node.type, node.params, node.gpu);
    if (!added) return tl::unexpected(added.error());
  }
  return {};
}

Outcome<domain::Domain*> NodeSet::OpenDomain(const std::string& id, const std::string& selector) {
  auto found = domains_.find(id);
  if (found != domains_.end()) {
    if (options_.gpu.empty() && selector != selectors_[id] && !selector.empty()) {
      return Fails(Blame::kGraph,
                   {Code::kUnsupported,
                    fmt::format("gpu '{}' here, but '{}' elsewhere: a graph uses one device of a "
                                "domain",
                                selector, selectors_[id])});
    }
    return found->second.get();
  }
  auto factory = options_.loader->FindDomain(id);
  if (!factory) return Fails(Blame::kMachine, factory.error());
  std::string choice = !options_.gpu.empty() ? options_.gpu
                       : !selector.empty()   ? selector
                                             : graph_.settings().gpu;
  selectors_[id] = choice;
  auto domain = domain::Domain::Create(plugin::Host(), **factory, id, choice);
  if (!domain) return Fails(Blame::kMachine, domain.error());
  return domains_.emplace(id, std::move(*domain)).first->second.get();
}

Outcome<LiveNode*> NodeSet::Add(const std::string& name, const graph::NodeType& type,
                                const std::vector<graph::NodeParam>& params,
                                const std::string& gpu) {
  auto node = std::make_unique<LiveNode>();
  node->name = name;
  node->type = &type;
  node->params = Arguments(params);
  node->context =
      std::make_unique<scheduler::NodeContext>(name, *options_.copies, *options_.reactor);
  if (type.domain != "cpu") {
    auto domain = OpenDomain(type.domain, gpu);
    if (!domain) {
      domain.error().error = Named(name, domain.error().error);
      return tl::unexpected(domain.error());
    }
    node->domain = *domain;
    node->context->domain = *domain;
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
  if (!maker->file.empty()) {
    graph::ParamValue file;
    file.type = graph::ParamType::kPath;
    file.text = maker->file;
    params.push_back({"shader", file, true});
  }
  auto instance = plugin::NodeInstance::Create(*maker->factory, maker->type_id, params,
                                               *node.context);
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
  auto sink = node.instance->Probe();
  if (!sink) {
    return tl::unexpected(node.Explain(sink.error()));
  }
  std::map<std::string, std::vector<graph::Offer>> offers;
  for (auto& [port, offer] : sink->offers) {
    if (node.type->FindPort(port) == nullptr) {
      return Fail(Code::kInternal,
                  fmt::format("node '{}': {} offers for a port '{}' that its manifest does not have",
                              node.name, node.type->id, port));
    }
    offers[node.name + "." + port].push_back(std::move(offer));
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
    auto added = Add(planned.name, *planned.type, planned.params, "");
    any = true;
    if (added) continue;
    if (added.error().blame != Blame::kMachine) return tl::unexpected(added.error());
    // A converter is only one way to get there: try without its device.
    missing_domains_.emplace(planned.type->domain, added.error().error.message);
    Log(LogLevel::kInfo, "plan", "{} cannot be inserted: {}", planned.type->id,
        added.error().error.message);
  }
  return any;
}

Outcome<graph::Plan> NodeSet::Solve(uint32_t epoch, std::vector<graph::Exclusion> exclusions) {
  for (int round = 0; round < kMaxRounds; ++round) {
    graph::NegotiationInput input;
    input.graph = &graph_;
    input.offers = offers_;
    input.exclusions = exclusions;
    input.converters = Converters();
    input.allocators = options_.allocators;
    input.epoch = epoch;
    for (const auto& [id, domain] : domains_) {
      const domain::DomainInfo& info = domain->info();
      input.domains[id] = {info.device_uuid,   info.device_name,     info.views,
                           info.base_multiple, info.size_multiple,   info.offset_multiple,
                           info.is_software};
    }
    auto plan = graph::Negotiate(input);
    if (!plan) return Fails(Blame::kGraph, plan.error());
    auto inserted = AddInserted(*plan);
    if (!inserted) return tl::unexpected(inserted.error());
    if (!*inserted) return std::move(*plan);
  }
  return Fails(Blame::kGraph, {Code::kInternal, "the plan does not settle"});
}

}  // namespace sluice::runtime
