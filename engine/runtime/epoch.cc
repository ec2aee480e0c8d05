#include "engine/runtime/epoch.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "engine/media/layout.h"
#include "engine/runtime/island.h"

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

/// The same pass of an earlier epoch goes on.
void RunState::AddPass(const PassReport& pass) {
  for (PassReport& had : passes) {
    if (had.island != pass.island || had.label != pass.label || had.nodes != pass.nodes ||
        had.number != pass.number) {
      continue;
    }
    had.frames += pass.frames;
    had.total_ns += pass.total_ns;
    had.min_ns = std::min(had.min_ns, pass.min_ns);
    had.max_ns = std::max(had.max_ns, pass.max_ns);
    return;
  }
  passes.push_back(pass);
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
  SLUICE_RETURN_IF_ERROR(epoch->MakePools(previous, refused));
  SLUICE_RETURN_IF_ERROR(epoch->ConfigureNodes(previous, refused));
  SLUICE_RETURN_IF_ERROR(epoch->TestImports(refused));
  if (state.rehearsal) return epoch;
  SLUICE_RETURN_IF_ERROR(epoch->MakeIslands());
  SLUICE_RETURN_IF_ERROR(epoch->StartNodes());
  epoch->MakeScheduler();
  return epoch;
}

Epoch::~Epoch() { Stop(); }

void Epoch::Stop() {
  if (scheduler_) scheduler_->Stop();
  CollectPassTimes();
  islands_.clear();
}

void Epoch::CollectPassTimes() {
  for (size_t i = 0; i < islands_.size(); ++i) {
    const graph::PlanIsland& planned = plan_.islands[i];
    std::map<std::pair<std::string, std::vector<std::string>>, uint32_t> alike;
    for (const domain::PassTime& time : islands_[i]->Measured()) {
      PassReport pass{planned.name, time.label,    {},          0,
                      time.frames,  time.total_ns, time.min_ns, time.max_ns};
      for (uint32_t node : time.nodes) pass.nodes.push_back(plan_.nodes[planned.nodes[node]].name);
      pass.number = alike[{pass.label, pass.nodes}]++;
      if (time.frames > 0) state_.AddPass(pass);
    }
  }
}

Status Epoch::MakePools(Epoch* previous, graph::Exclusion* refused) {
  for (const graph::PlanNet& net : plan_.nets) {
    if (net.inner) {
      kept_.push_back(false);
      pools_.emplace_back();
      continue;
    }
    auto kept = KeptPool(net, previous);
    kept_.push_back(kept != nullptr);
    if (kept) {
      pools_.push_back(std::move(kept));
      continue;
    }
    const bool by_port = net.allocator_kind == graph::AllocatorKind::kPort;
    auto pool = by_port ? MakePortPool(net) : MakePool(net);
    if (!pool) {
      // memfd is what is left when nothing else works.
      const bool may_go_without = by_port ? pool.error().code == Code::kUnsupported
                                          : net.allocator != state_.allocators.front()->name();
      if (may_go_without) {
        *refused = ExcludeAllocator(net, pool.error());
        // A producer may have memory of several kinds: only the one that it was asked for failed.
        if (by_port && net.allocator_port == net.producer) {
          refused->view = plan_.nodes[net.producer.node].ports[net.producer.port].view;
        }
      }
      return tl::unexpected(pool.error());
    }
    pools_.push_back(std::move(*pool));
  }
  if (previous == nullptr) return {};
  for (const auto& pool : previous->pools_) {
    if (!pool) continue;
    if (std::find(pools_.begin(), pools_.end(), pool) == pools_.end()) state_.pools.Retire(*pool);
  }
  return {};
}

/// A pool of the previous epoch that will do, or null.
RefPtr<media::BufferPool> Epoch::KeptPool(const graph::PlanNet& net, const Epoch* previous) const {
  if (previous == nullptr) return nullptr;
  const std::string name = plan_.PortName(net.producer);
  for (const auto& pool : previous->pools_) {
    if (!pool) continue;
    const media::BufferPool::Options& had = pool->options();
    if (had.name != name || had.format != net.format || had.allocator != net.allocator ||
        pool->size() != net.depth || had.dynamic_reserve != net.dynamic_reserve ||
        had.max_leases != MaxLeases(net)) {
      continue;
    }
    const PoolKeeper::Entry* entry = state_.pools.Find(*pool);
    // A buffer in quarantine would be missing for good.
    if (pool->HasQuarantined()) continue;
    if (entry == nullptr || entry->retired || entry->users != UsersOf(net)) continue;
    if (entry->maker != nullptr) {
      // Its memory died with the instance that made it; its layout is the maker's.
      const bool alive = entry->maker->generation == entry->generation;
      if (alive && media::Meets(had.layout, net.alignment)) return pool;
      continue;
    }
    auto layout = media::ComputeLayout(net.format, net.alignment);
    if (layout && *layout == had.layout) return pool;
  }
  return nullptr;
}

media::BufferPool::Options Epoch::PoolOptions(const graph::PlanNet& net) const {
  const graph::PlanNode& producer = plan_.nodes[net.producer.node];
  media::BufferPool::Options options;
  options.id = state_.next_pool++;
  options.epoch = plan_.epoch;
  options.name = plan_.PortName(net.producer);
  options.format = net.format;
  options.buffers = net.depth;
  options.dynamic_reserve = net.dynamic_reserve;
  options.max_leases = MaxLeases(net);
  options.allocator = net.allocator;
  options.fd_waiter = state_.fd_waiter;
  options.producer_raw_fds = producer.type->ports[net.producer.port].raw_fds;
  options.poison = state_.poison;
  return options;
}

/// Nodes that may import the buffers of a net.
std::vector<PoolKeeper::User> Epoch::UsersOf(const graph::PlanNet& net) const {
  std::vector<PoolKeeper::User> users;
  const auto add = [&](uint32_t node) {
    users.push_back({nodes_[node], nodes_[node]->generation});
  };
  add(net.producer.node);
  for (uint32_t edge : net.edges) {
    if (!plan_.edges[edge].inner) add(plan_.edges[edge].to.node);
  }
  return users;
}

Result<RefPtr<media::BufferPool>> Epoch::MakePool(const graph::PlanNet& net) {
  auto allocator =
      std::find_if(state_.allocators.begin(), state_.allocators.end(),
                   [&](const auto& candidate) { return candidate->name() == net.allocator; });
  SLUICE_CHECK(allocator != state_.allocators.end());
  auto layout = media::ComputeLayout(net.format, net.alignment);
  if (!layout) return tl::unexpected(layout.error());
  media::BufferPool::Options options = PoolOptions(net);
  options.layout = *layout;
  options.abi_shape = plugin::MakeAbiShape(net.format, *layout);
  auto pool = media::BufferPool::Create(std::move(options), **allocator);
  if (!pool) {
    return Fail(pool.error().code, fmt::format("the pool of {}: {}", plan_.PortName(net.producer),
                                               pool.error().message));
  }
  state_.pools.Add({*pool, nullptr, 0, UsersOf(net), false});
  return pool;
}

Result<RefPtr<media::BufferPool>> Epoch::MakePortPool(const graph::PlanNet& net) {
  const graph::PlanNode& planned = plan_.nodes[net.allocator_port.node];
  LiveNode& maker = *nodes_[net.allocator_port.node];
  media::BufferPool::Options options = PoolOptions(net);
  plugin::MemoryRequest request;
  request.pool = options.id;
  request.epoch = plan_.epoch;
  request.buffers = net.depth;
  request.views = net.views;
  // The CPU reaches a dma-buf by mapping it: that is not for the port to promise.
  if ((net.views & graph::kViewDmabuf) != 0) request.views &= ~graph::kViewCpu;
  request.format = net.format;
  if (auto layout = media::ComputeLayout(net.format, net.alignment)) request.layout = *layout;
  request.alignment = net.alignment;
  auto made =
      maker.instance->Allocate(planned.type->ports[net.allocator_port.port].direction,
                               planned.type->IndexInDirection(net.allocator_port.port), request);
  if (!made) return tl::unexpected(maker.Explain(made.error()));
  if (!media::Meets(made->layout, net.alignment)) {
    made->buffers.clear();  // our fds first
    maker.instance->ReleasePool(options.id, options.epoch);
    return Fail(
        Code::kUnsupported,
        fmt::format("the layout that {} gives ({}) is not what the users of its buffers "
                    "need ({})",
                    net.allocator, media::ToString(made->layout), media::ToString(net.alignment)));
  }
  options.layout = made->layout;
  options.abi_shape = plugin::MakeAbiShape(net.format, made->layout);
  const uint32_t id = options.id;
  auto pool = media::BufferPool::Create(std::move(options), std::move(made->buffers));
  if (!pool) {
    maker.instance->ReleasePool(id, plan_.epoch);
    return tl::unexpected(pool.error());
  }
  state_.pools.Add({*pool, &maker, maker.generation, UsersOf(net), false});
  return pool;
}

graph::Exclusion Epoch::ExcludeAllocator(const graph::PlanNet& net, const Error& error) const {
  graph::Exclusion exclusion;
  exclusion.producer = plan_.PortName(net.producer);
  exclusion.fourcc = net.format.fourcc;
  exclusion.modifier = net.format.modifier;
  exclusion.allocator = net.allocator;
  exclusion.reason = error.message;
  return exclusion;
}

Status Epoch::TestImports(graph::Exclusion* refused) {
  for (size_t i = 0; i < plan_.nets.size(); ++i) {
    const graph::PlanNet& net = plan_.nets[i];
    if (kept_[i] || net.inner) continue;
    if (net.allocator_kind != graph::AllocatorKind::kPort || net.allocator_port != net.producer) {
      SLUICE_RETURN_IF_ERROR(TestImport(net, *pools_[i], net.producer, refused));
    }
    for (uint32_t edge : net.edges) {
      const graph::PortRef to = plan_.edges[edge].to;
      if (plan_.edges[edge].inner) continue;
      if (net.allocator_kind == graph::AllocatorKind::kPort && net.allocator_port == to) continue;
      SLUICE_RETURN_IF_ERROR(TestImport(net, *pools_[i], to, refused));
    }
  }
  return {};
}

Status Epoch::TestImport(const graph::PlanNet& net, media::BufferPool& pool, graph::PortRef port,
                         graph::Exclusion* refused) {
  const graph::PlanNode& planned = plan_.nodes[port.node];
  LiveNode& node = *nodes_[port.node];
  if (!node.instance->Imports() || state_.ended.contains(node.name)) return {};
  const graph::PortDesc& desc = planned.type->ports[port.port];
  const MonotonicNs now = Clock::Real().Now();
  // All at once: one that is given back would be the next one again.
  std::vector<media::Frame*> frames;
  std::optional<media::HolderId> holder;
  while (media::Frame* frame = pool.TryAcquire(now)) {
    frames.push_back(frame);
    if (desc.direction != graph::Direction::kInput) continue;
    if (!holder) holder = pool.AddHolder(plan_.PortName(port), desc.raw_fds);
    // Before the next one: a dynamic producer may not hold them all.
    frame->HandOver(*holder, now);
  }
  Status tested;
  for (media::Frame* frame : frames) {
    tested = node.instance->TestImport(desc.direction, planned.type->IndexInDirection(port.port),
                                       *frame);
    if (!tested) break;
  }
  for (media::Frame* frame : frames) frame->Release();
  if (tested) return {};
  Error error = node.Explain(tested.error());
  if (error.code == Code::kUnsupported) {
    *refused = ExcludeAllocator(net, error);
    if (desc.direction == graph::Direction::kInput) refused->consumer = plan_.PortName(port);
    refused->view = planned.ports[port.port].view;
  }
  return tl::unexpected(std::move(error));
}

bool Epoch::HasMemoryOf(const LiveNode& node) const {
  return std::any_of(pools_.begin(), pools_.end(), [&](const auto& pool) {
    if (!pool) return false;
    const PoolKeeper::Entry* entry = state_.pools.Find(*pool);
    if (entry == nullptr) return false;
    if (entry->maker == &node) return true;
    return node.instance && node.instance->Imports() &&
           std::any_of(entry->users.begin(), entry->users.end(),
                       [&](const PoolKeeper::User& user) { return user.node == &node; });
  });
}

/// How the plan synchronises a port: of its (first) edge that carries frames.
graph::Syncs Epoch::SyncOf(graph::PortRef port) const {
  for (const graph::PlanEdge& edge : plan_.edges) {
    if (edge.inner) continue;
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
    arguments.ports.push_back(ArgumentFor({static_cast<uint32_t>(index), p}));
  }
  return arguments;
}

plugin::PortArgument Epoch::ArgumentFor(graph::PortRef ref) const {
  const graph::PlanPort& port = plan_.nodes[ref.node].ports[ref.port];
  plugin::PortArgument argument;
  argument.name = port.name;
  argument.direction = port.direction;
  argument.connected = port.net.has_value();
  if (!port.net) return argument;
  if (port.inner) {
    // No buffer comes by here: what the pixels would need in one.
    const graph::PlanNet& net = plan_.nets[*port.net];
    argument.format = net.format;
    if (auto layout = media::ComputeLayout(net.format, net.alignment)) argument.layout = *layout;
    return argument;
  }
  const media::BufferPool& pool = *pools_[*port.net];
  argument.views = pool.views();
  argument.format = pool.format();
  argument.layout = pool.layout();
  argument.buffers = pool.size();
  argument.sync = SyncOf(ref);
  return argument;
}

/// A consumer refuses the format; a source refuses the memory, for it offered the format.
graph::Exclusion Epoch::ExclusionFor(size_t index, const Error& error) const {
  const graph::PlanNode& planned = plan_.nodes[index];
  for (const graph::PlanPort& port : planned.ports) {
    if (port.direction != graph::Direction::kInput || !port.net) continue;
    graph::Exclusion exclusion = ExcludeAllocator(plan_.nets[*port.net], error);
    exclusion.consumer = planned.name + "." + port.name;
    exclusion.modifier.reset();
    exclusion.allocator.clear();
    return exclusion;
  }
  for (const graph::PlanPort& port : planned.ports) {
    if (port.net) return ExcludeAllocator(plan_.nets[*port.net], error);
  }
  return {};
}

/// Whether a node's ports carry what they carried in `previous`.
bool Epoch::SameAs(const Epoch* previous, size_t index) const {
  if (previous == nullptr) return false;
  for (size_t i = 0; i < previous->nodes_.size(); ++i) {
    if (previous->nodes_[i] != nodes_[index]) continue;
    const auto had = previous->ArgumentsFor(i).ports;
    const auto has = ArgumentsFor(index).ports;
    return std::equal(had.begin(), had.end(), has.begin(), has.end(),
                      [](const plugin::PortArgument& a, const plugin::PortArgument& b) {
                        return a.name == b.name && a.connected == b.connected &&
                               a.format == b.format && a.layout == b.layout;
                      });
  }
  return false;
}

Status Epoch::ConfigureNodes(Epoch* previous, graph::Exclusion* refused) {
  for (uint32_t index : plan_.order) {
    LiveNode& node = *nodes_[index];
    if (state_.ended.contains(node.name)) continue;
    auto arguments = ArgumentsFor(index);
    bool active = node.instance->state() == plugin::NodeInstance::State::kActive;
    if (active && !MustReconfigure(node)) continue;
    // It cannot change, and need not.
    const bool fixed = active && node.instance->abi()->reconfigure == nullptr;
    if (fixed && SameAs(previous, index)) continue;
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
    const LiveNode& first = *nodes_[planned.nodes.front()];
    SLUICE_CHECK(first.domain != nullptr);
    auto island = first.domain->CreateIsland(DescribeIsland(plan_, planned, node_set_));
    if (!island) return tl::unexpected(ExplainIsland(planned, island.error()));
    islands_.push_back(std::move(*island));
  }
  return {};
}

/// The node that said what is wrong, or the whole island.
Error Epoch::ExplainIsland(const graph::PlanIsland& planned, const Error& error) const {
  for (uint32_t index : planned.nodes) {
    if (auto said = nodes_[index]->context->TakeError()) return nodes_[index]->Explain(*said);
  }
  return {error.code, fmt::format("island '{}': {}", planned.name, error.message)};
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
    if (edge.inner) {
      setup.edges.push_back(nullptr);
      continue;
    }
    setup.edges.push_back(&state_.EdgeStatsFor(
        fmt::format("{} -> {}", plan_.PortName(edge.from), plan_.PortName(edge.to))));
  }
  scheduler_ = std::make_unique<scheduler::Scheduler>(std::move(setup));
}

}  // namespace sluice::runtime
