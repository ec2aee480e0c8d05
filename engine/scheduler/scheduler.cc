#include "engine/scheduler/scheduler.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

namespace sluice::scheduler {
namespace {

/// Frames that a producer may emit in one call beyond the queue's depth.
constexpr uint32_t kDynamicSlack = 64;

/// Whether a consumer is called only when a frame's fence has signalled.
bool WaitsOnHost(const graph::PlanEdge& edge, const graph::PlanPort& port) {
  return port.access == graph::Access::kCpu || edge.bridge == graph::SyncBridge::kHostSignal;
}

}  // namespace

Scheduler::Scheduler(Setup setup) : setup_(std::move(setup)) {
  MakeEdges();
  MakeRunners();
  MakeGroups();
}

// Runners go first: that detaches whatever could still schedule their groups.
Scheduler::~Scheduler() {
  Stop();
  for (auto& runner : runners_) runner->context().Attach(nullptr);
  runners_.clear();
  for (auto& group : groups_) setup_.workers->Drain(*group);
  groups_.clear();
  for (auto& edge : edges_) edge->Clear();
}

void Scheduler::MakeEdges() {
  const graph::Plan& plan = *setup_.plan;
  for (size_t i = 0; i < plan.edges.size(); ++i) {
    const graph::PlanEdge& planned = plan.edges[i];
    const graph::PlanNode& from = plan.nodes[planned.from.node];
    const graph::PortDesc& port = from.type->ports[planned.from.port];
    Edge::Options options;
    options.queue = planned.queue;
    // Such nodes emit from threads of their own, and more than once in a call.
    const bool foreign =
        port.acquisition == graph::Acquisition::kDynamic || from.type->async;
    options.slack = foreign ? kDynamicSlack : 0;
    options.local = !foreign && from.run_group == plan.nodes[planned.to.node].run_group;
    edges_.push_back(std::make_unique<Edge>(options, *setup_.edges[i]));
    edges_.back()->holder = setup_.pools[planned.net]->AddHolder(
        plan.PortName(planned.to), plan.nodes[planned.to.node].type->ports[planned.to.port].raw_fds);
  }
}

void Scheduler::MakeRunners() {
  const graph::Plan& plan = *setup_.plan;
  for (size_t n = 0; n < plan.nodes.size(); ++n) {
    const graph::PlanNode& node = plan.nodes[n];
    NodeRunner::Options options;
    options.context = setup_.nodes[n].context;
    options.instance = setup_.nodes[n].instance;
    options.island = setup_.nodes[n].island;
    options.inputs.resize(node.type->Ports(graph::Direction::kInput).size());
    options.outputs.resize(node.type->Ports(graph::Direction::kOutput).size());
    options.waits.resize(options.inputs.size());
    if (node.graph_node) {
      const graph::GraphNode& source = setup_.graph->nodes()[*node.graph_node];
      options.sync = source.sync;
      options.end_on_any = source.end == graph::EndPolicy::kAny;
      if (source.trigger) options.trigger = node.type->IndexInDirection(*source.trigger);
    }
    options.sample_every = setup_.sample_every;
    options.events = setup_.events;
    for (uint32_t p = 0; p < node.ports.size(); ++p) {
      if (node.ports[p].direction == graph::Direction::kInput || !node.ports[p].net) continue;
      const graph::PortDesc& desc = node.type->ports[p];
      NodeRunner::Output& output = options.outputs[node.type->IndexInDirection(p)];
      output.dynamic = desc.acquisition == graph::Acquisition::kDynamic;
      if (output.dynamic || node.type->async) options.emits_from_threads = true;
      if (output.dynamic && node.type->live) options.fills_queue = true;
      output.carries = setup_.pools[*node.ports[p].net];
      if (desc.passthrough.empty()) output.pool = output.carries;
    }
    for (size_t e = 0; e < plan.edges.size(); ++e) {
      const graph::PlanEdge& edge = plan.edges[e];
      if (edge.to.node == n) {
        const uint32_t input = node.type->IndexInDirection(edge.to.port);
        options.inputs[input] = edges_[e].get();
        options.waits[input] = WaitsOnHost(edge, node.ports[edge.to.port]);
      }
      if (edge.from.node == n) {
        options.outputs[node.type->IndexInDirection(edge.from.port)].edges.push_back(
            edges_[e].get());
      }
    }
    runners_.push_back(std::make_unique<NodeRunner>(std::move(options)));
  }
}

void Scheduler::MakeGroups() {
  const graph::Plan& plan = *setup_.plan;
  std::map<uint32_t, std::vector<NodeRunner*>> members;
  for (uint32_t node : plan.order) {
    members[plan.nodes[node].run_group].push_back(runners_[node].get());
  }
  for (auto& [index, nodes] : members) {
    groups_.push_back(std::make_unique<RunGroup>(*setup_.workers, std::move(nodes)));
  }
}

void Scheduler::Start() {
  running_ = true;
  for (size_t n = 0; n < runners_.size(); ++n) {
    if (setup_.nodes[n].ended) runners_[n]->End();
  }
  for (auto& runner : runners_) runner->context().Attach(runner.get());
  // Threads of nodes may have woken groups already: none runs before all are attached.
  for (auto& group : groups_) group->Open();
}

void Scheduler::Stop() {
  if (!running_) return;
  running_ = false;
  for (auto& group : groups_) group->Pause();
  for (auto& group : groups_) group->Unlock();
}

void Scheduler::RequestDrain() {
  for (auto& runner : runners_) {
    if (runner->source() || runner->failed()) runner->RequestEnd();
    if (!runner->failed()) runner->EndSoon();
  }
}

// Looked at twice: a frame may wander past a single look.
bool Scheduler::Quiet() const {
  const uint64_t activity = Activity();
  if (!LooksQuiet()) return false;
  return LooksQuiet() && Activity() == activity;
}

bool Scheduler::LooksQuiet() const {
  for (const auto& group : groups_) {
    if (!group->Idle()) return false;
  }
  for (const auto& runner : runners_) {
    if (runner->AsyncPending()) return false;
  }
  return std::all_of(edges_.begin(), edges_.end(),
                     [](const auto& edge) { return edge->Empty() || edge->closed(); });
}

bool Scheduler::AllEnded() const {
  return std::all_of(runners_.begin(), runners_.end(),
                     [](const auto& runner) { return runner->ended() && !runner->faulted(); });
}

uint64_t Scheduler::Activity() const {
  uint64_t sum = 0;
  for (const auto& group : groups_) sum += group->activity();
  return sum;
}

bool Scheduler::MayWakeByItself() const {
  for (const auto& group : groups_) {
    if (!group->Idle()) return true;
  }
  const bool waits = std::any_of(runners_.begin(), runners_.end(), [](const auto& runner) {
    Waiting why = runner->waiting();
    return !runner->ended() && (why == Waiting::kAsync || why == Waiting::kWake ||
                                why == Waiting::kFence || why == Waiting::kHeld);
  });
  return waits || std::any_of(setup_.pools.begin(), setup_.pools.end(), [](const auto& pool) {
           for (const auto& row : pool->Ledger()) {
             if (row.state == media::BufferState::kDraining) return true;
           }
           return false;
         });
}

std::string Scheduler::DescribeStall() const {
  std::string text;
  for (const auto& runner : runners_) {
    if (runner->ended()) continue;
    if (!text.empty()) text += "; ";
    text += DescribeWait(*runner);
  }
  return text;
}

std::string Scheduler::DescribeWait(const NodeRunner& runner) const {
  const std::string& name = runner.context().name();
  if (runner.failed()) return name + " has failed";
  uint32_t port = runner.waiting_port();
  switch (runner.waiting()) {
    case Waiting::kNothing: return name + " is running";
    case Waiting::kInput:
      return fmt::format("{} waits for a frame on {}", name,
                         runner.options().inputs[port]->stats().name);
    case Waiting::kRoom: {
      std::vector<std::string> full;
      for (const Edge* edge : runner.options().outputs[port].edges) {
        if (edge->Full()) full.push_back(edge->stats().name);
      }
      return fmt::format("{} waits for room on {}", name, fmt::join(full, ", "));
    }
    case Waiting::kBuffer: {
      const auto& pool = runner.options().outputs[port].pool;
      for (size_t net = 0; net < setup_.pools.size(); ++net) {
        if (setup_.pools[net].get() == pool.get()) {
          return fmt::format("{} waits for a free buffer of {} ({})", name, pool->options().name,
                             DescribeHolders(net));
        }
      }
      return name + " waits for a free buffer";
    }
    case Waiting::kFence:
      return fmt::format("{} waits for the fence of a frame on {}", name,
                         runner.options().inputs[port]->stats().name);
    case Waiting::kAsync: return name + " waits for its own complete()";
    case Waiting::kWake: return name + " waits to be woken by its device or timer";
    case Waiting::kHeld: return name + " is held for a renegotiation or restart";
    case Waiting::kEnded: return name + " has ended";
  }
  return name;
}

std::string Scheduler::DescribeHolders(size_t net) const {
  std::map<std::string, int> held;
  for (const auto& row : setup_.pools[net]->Ledger()) {
    if (row.state == media::BufferState::kFree) continue;
    std::set<std::string> holders(row.holders.begin(), row.holders.end());
    if (holders.empty()) holders.insert(std::string(media::Name(row.state)));
    for (const std::string& holder : holders) ++held[holder];
  }
  std::string text;
  for (const auto& [holder, count] : held) {
    text += fmt::format("{}{} {}", text.empty() ? "held by " : ", ", holder, count);
  }
  return text;
}

}  // namespace sluice::scheduler
