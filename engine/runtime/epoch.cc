#include "engine/runtime/epoch.h"

#include <algorithm>

#include <fmt/format.h>

namespace sluice::runtime {
namespace {

/// Each buffer once for every consumer, the producer's references, and shares.
uint32_t MaxLeases(const graph::PlanNet& net) {
  return net.depth * (static_cast<uint32_t>(net.edges.size()) + 3);
}

}  // namespace

bool MustReconfigure(const LiveNode& node) {
  if (node.instance->abi()->reconfigure != nullptr) return true;
  for (const graph::PortDesc& port : node.type->ports) {
    for (const graph::Offer& offer : port.offers) {
      if (!offer.fourccs.empty()) return true;
    }
  }
  return false;
}

scheduler::EdgeStats& RunState::EdgeStatsFor(const std::string& name) {
  auto& stats = edges[name];
  if (!stats) {
    stats = std::make_unique<scheduler::EdgeStats>();
    stats->name = name;
  }
  return *stats;
}

Result<std::unique_ptr<Epoch>> Epoch::Create(const graph::Graph& graph, graph::Plan plan,
                                             NodeSet& nodes, RunState& state, Epoch* previous,
                                             graph::Exclusion* refused) {
  std::unique_ptr<Epoch> epoch(new Epoch(graph, std::move(plan), nodes, state));
  for (const graph::PlanNode& planned : epoch->plan_.nodes) {
    LiveNode* node = nodes.Find(planned.name);
    SLUICE_CHECK(node != nullptr);
    epoch->nodes_.push_back(node);
  }
  SLUICE_RETURN_IF_ERROR(epoch->MakePools(previous));
  SLUICE_RETURN_IF_ERROR(epoch->ConfigureNodes(refused));
  SLUICE_RETURN_IF_ERROR(epoch->MakeIslands());
  SLUICE_RETURN_IF_ERROR(epoch->StartNodes());
  epoch->MakeScheduler();
  return epoch;
}

Epoch::~Epoch() { Stop(); }

void Epoch::Stop() {
  if (scheduler_) scheduler_->Stop();
  islands_.clear();
}

Status Epoch::MakePools(Epoch* previous) {
  for (const graph::PlanNet& net : plan_.nets) {
    if (net.allocator_kind != graph::AllocatorKind::kEngine) {
      return Fail(Code::kUnsupported,
                  fmt::format("{} should allocate for {}: memory made by a port is not supported yet",
                              net.allocator, plan_.PortName(net.producer)));
    }
    auto layout = media::ComputeLayout(net.format, net.alignment);
    if (!layout) return tl::unexpected(layout.error());
    std::string name = plan_.PortName(net.producer);
    if (previous != nullptr) {
      auto same = std::find_if(
          previous->pools_.begin(), previous->pools_.end(), [&](const auto& pool) {
            return pool->options().name == name && pool->format() == net.format &&
                   pool->layout() == *layout && pool->size() == net.depth &&
                   pool->options().dynamic_reserve == net.dynamic_reserve &&
                   pool->options().max_leases == MaxLeases(net);
          });
      if (same != previous->pools_.end()) {
        pools_.push_back(*same);
        continue;
      }
    }
    media::BufferPool::Options options;
    options.id = state_.next_pool++;
    options.epoch = plan_.epoch;
    options.name = name;
    options.format = net.format;
    options.layout = *layout;
    options.buffers = net.depth;
    options.dynamic_reserve = net.dynamic_reserve;
    options.max_leases = MaxLeases(net);
    options.abi_shape = plugin::MakeAbiShape(net.format, *layout);
    options.poison = state_.poison;
    auto pool = media::BufferPool::Create(std::move(options), *state_.allocator);
    if (!pool) {
      return Fail(pool.error().code, fmt::format("the pool of {}: {}", name, pool.error().message));
    }
    pools_.push_back(*pool);
    state_.pools.push_back(std::move(*pool));
  }
  if (previous == nullptr) return {};
  for (const auto& pool : previous->pools_) {
    if (std::find(pools_.begin(), pools_.end(), pool) != pools_.end()) continue;
    pool->Retire();
    for (const auto& [id, domain] : node_set_.domains()) {
      domain->ForgetPool(pool->options().id, pool->options().epoch);
    }
  }
  return {};
}

/// How the plan synchronises a port: of its (first) edge.
graph::Syncs Epoch::SyncOf(graph::PortRef port) const {
  for (const graph::PlanEdge& edge : plan_.edges) {
    if (edge.from == port) return edge.producer_sync;
    if (edge.to == port) return edge.consumer_sync;
  }
  return graph::kSyncCpuDone;
}

plugin::ConfigureArguments Epoch::ArgumentsFor(size_t index) const {
  const graph::PlanNode& planned = plan_.nodes[index];
  plugin::ConfigureArguments arguments;
  arguments.epoch = plan_.epoch;
  arguments.realtime = state_.realtime;
  arguments.overwrite = state_.overwrite;
  for (uint32_t p = 0; p < planned.ports.size(); ++p) {
    const graph::PlanPort& port = planned.ports[p];
    plugin::PortArgument argument;
    argument.name = port.name;
    argument.direction = port.direction;
    argument.connected = port.net.has_value();
    if (port.net) {
      const media::BufferPool& pool = *pools_[*port.net];
      argument.views = pool.views();
      argument.format = pool.format();
      argument.layout = pool.layout();
      argument.buffers = pool.size();
      argument.sync = SyncOf({static_cast<uint32_t>(index), p});
    }
    arguments.ports.push_back(std::move(argument));
  }
  return arguments;
}

graph::Exclusion Epoch::ExclusionFor(size_t index, const Error& error) const {
  graph::Exclusion exclusion;
  for (const graph::PlanPort& port : plan_.nodes[index].ports) {
    if (port.direction != graph::Direction::kInput || !port.net) continue;
    const graph::PlanNet& net = plan_.nets[*port.net];
    exclusion.producer = plan_.PortName(net.producer);
    exclusion.consumer = plan_.nodes[index].name + "." + port.name;
    exclusion.fourcc = net.format.fourcc;
    exclusion.reason = error.message;
    break;
  }
  return exclusion;
}

Status Epoch::ConfigureNodes(graph::Exclusion* refused) {
  for (uint32_t index : plan_.order) {
    LiveNode& node = *nodes_[index];
    if (state_.ended.contains(node.name)) continue;
    auto arguments = ArgumentsFor(index);
    bool active = node.instance->state() == plugin::NodeInstance::State::kActive;
    if (active && !MustReconfigure(node)) continue;
    Status done =
        active ? node.instance->Reconfigure(arguments) : node.instance->Configure(arguments);
    if (done) continue;
    Error error = node.Explain(done.error());
    if (error.code == Code::kUnsupported) *refused = ExclusionFor(index, error);
    return tl::unexpected(std::move(error));
  }
  return {};
}

Status Epoch::MakeIslands() {
  for (const graph::PlanIsland& planned : plan_.islands) {
    domain::Domain::IslandDescription description;
    description.epoch = plan_.epoch;
    domain::Domain* domain = nullptr;
    for (uint32_t index : planned.nodes) {
      description.name += (description.name.empty() ? "" : "+") + nodes_[index]->name;
      description.nodes.push_back(nodes_[index]->instance->abi());
      domain = nodes_[index]->domain;
      // Islands have one node each so far: all its ports are borders.
      for (uint32_t p = 0; p < plan_.nodes[index].ports.size(); ++p) {
        const graph::PlanPort& port = plan_.nodes[index].ports[p];
        auto& side = port.direction == graph::Direction::kInput ? description.inputs
                                                                : description.outputs;
        side.push_back({static_cast<uint32_t>(description.nodes.size() - 1),
                        plan_.nodes[index].type->IndexInDirection(p)});
      }
    }
    SLUICE_CHECK(domain != nullptr);
    auto island = domain->CreateIsland(description);
    if (!island) {
      return tl::unexpected(nodes_[planned.nodes.front()]->Explain(island.error()));
    }
    islands_.push_back(std::move(*island));
  }
  return {};
}

// Sinks first: when a source starts, everything behind it is ready.
Status Epoch::StartNodes() {
  for (auto it = plan_.order.rbegin(); it != plan_.order.rend(); ++it) {
    LiveNode& node = *nodes_[*it];
    if (node.instance->state() == plugin::NodeInstance::State::kActive) continue;
    if (state_.ended.contains(node.name)) continue;
    if (Status started = node.instance->Start(); !started) {
      return tl::unexpected(node.Explain(started.error()));
    }
  }
  return {};
}

void Epoch::MakeScheduler() {
  scheduler::Scheduler::Setup setup;
  setup.plan = &plan_;
  setup.graph = &graph_;
  setup.pools = pools_;
  setup.workers = state_.workers;
  setup.events = state_.events;
  setup.sample_every = state_.sample_every;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    scheduler::Scheduler::NodeSetup node;
    node.context = nodes_[i]->context.get();
    node.instance = nodes_[i]->instance.get();
    node.ended = state_.ended.contains(nodes_[i]->name);
    if (plan_.nodes[i].island) node.island = islands_[*plan_.nodes[i].island].get();
    setup.nodes.push_back(node);
  }
  for (const graph::PlanEdge& edge : plan_.edges) {
    setup.edges.push_back(&state_.EdgeStatsFor(
        fmt::format("{} -> {}", plan_.PortName(edge.from), plan_.PortName(edge.to))));
  }
  scheduler_ = std::make_unique<scheduler::Scheduler>(std::move(setup));
}

}  // namespace sluice::runtime
