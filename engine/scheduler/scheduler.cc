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
  for (auto& runner : runners_) {
    for (const auto& member : runner->members()) member.context->Attach(nullptr);
  }
  runners_.clear();
  for (auto& group : groups_) setup_.workers->Drain(*group);
  groups_.clear();
  for (auto& edge : edges_) {
    if (edge) edge->Clear();
  }
}

void Scheduler::MakeEdges() {
  const graph::Plan& plan = *setup_.plan;
  for (size_t i = 0; i < plan.edges.size(); ++i) {
    const graph::PlanEdge& planned = plan.edges[i];
    edges_.emplace_back();
    if (planned.inner) continue;
    const graph::PlanNode& from = plan.nodes[planned.from.node];
    const graph::PortDesc& port = from.type->ports[planned.from.port];
    Edge::Options options;
    options.queue = planned.queue;
    // Such nodes emit from threads of their own, and more than once in a call.
    const bool foreign =
        port.acquisition == graph::Acquisition::kDynamic || from.type->async;
    options.slack = foreign ? kDynamicSlack : 0;
    options.local = !foreign && from.run_group == plan.nodes[planned.to.node].run_group;
    edges_.back() = std::make_unique<Edge>(options, *setup_.edges[i]);
    edges_.back()->holder = setup_.pools[planned.net]->AddHolder(
        plan.PortName(planned.to), plan.nodes[planned.to.node].type->ports[planned.to.port].raw_fds);
  }
}

void Scheduler::MakeRunners() {
  const graph::Plan& plan = *setup_.plan;
  edges_at_.resize(plan.nodes.size());
  for (size_t n = 0; n < plan.nodes.size(); ++n) edges_at_[n].resize(plan.nodes[n].ports.size());
  for (uint32_t e = 0; e < plan.edges.size(); ++e) {
    const graph::PlanEdge& edge = plan.edges[e];
    edges_at_[edge.from.node][edge.from.port].push_back(e);
    edges_at_[edge.to.node][edge.to.port].push_back(e);
  }
  of_node_.resize(plan.nodes.size());
  for (uint32_t n = 0; n < plan.nodes.size(); ++n) {
    if (of_node_[n] != nullptr) continue;
    const graph::PlanNode& node = plan.nodes[n];
    const std::vector<uint32_t> nodes =
        node.island ? plan.islands[*node.island].nodes : std::vector<uint32_t>{n};
    runners_.push_back(std::make_unique<NodeRunner>(OptionsFor(nodes)));
    for (uint32_t member : nodes) of_node_[member] = runners_.back().get();
  }
}

NodeRunner::Options Scheduler::OptionsFor(const std::vector<uint32_t>& nodes) const {
  const graph::Plan& plan = *setup_.plan;
  NodeRunner::Options options;
  const graph::PlanNode& first = plan.nodes[nodes.front()];
  options.name = first.island ? plan.islands[*first.island].name : first.name;
  options.island = setup_.nodes[nodes.front()].island;
  options.sample_every = setup_.sample_every;
  options.events = setup_.events;
  for (uint32_t member = 0; member < nodes.size(); ++member) {
    const uint32_t n = nodes[member];
    options.members.push_back(MakeMember(n));
    for (uint32_t p = 0; p < plan.nodes[n].ports.size(); ++p) {
      const graph::PlanPort& port = plan.nodes[n].ports[p];
      // An island has the ports of its border, a node all that its type has.
      if (options.island != nullptr && (port.inner || !port.net)) continue;
      if (port.direction == graph::Direction::kInput) AddInput(member, n, p, &options);
      if (port.direction == graph::Direction::kOutput) AddOutput(member, n, p, &options);
    }
  }
  const bool driven = std::any_of(options.inputs.begin(), options.inputs.end(),
                                  [](const NodeRunner::Input& input) { return !input.sampled; });
  const bool begins = std::any_of(options.members.begin(), options.members.end(),
                                  [](const NodeRunner::Member& member) { return member.is_source; });
  options.source = begins && !driven;
  if (options.island == nullptr) return options;
  size_t output = 0;
  for (uint32_t n : nodes) {
    for (const graph::PlanPort& port : plan.nodes[n].ports) {
      if (port.direction == graph::Direction::kInput || port.inner || !port.net) continue;
      SetInfoSource(nodes, n, options, &options.outputs[output++]);
    }
  }
  return options;
}

NodeRunner::Member Scheduler::MakeMember(uint32_t n) const {
  const graph::PlanNode& node = setup_.plan->nodes[n];
  NodeRunner::Member member;
  member.context = setup_.nodes[n].context;
  member.instance = setup_.nodes[n].instance;
  member.ports_out =
      static_cast<uint32_t>(node.type->Ports(graph::Direction::kOutput).size());
  member.is_sink = member.ports_out == 0;
  member.ports_in =
      static_cast<uint32_t>(node.type->Ports(graph::Direction::kInput).size());
  member.is_source = member.ports_in == 0;
  for (const graph::PlanPort& port : node.ports) {
    if (!port.inner) continue;
    ++(port.direction == graph::Direction::kInput ? member.inner_inputs : member.inner_outputs);
  }
  return member;
}

void Scheduler::AddInput(uint32_t member, uint32_t n, uint32_t p,
                         NodeRunner::Options* options) const {
  const graph::PlanNode& node = setup_.plan->nodes[n];
  NodeRunner::Input input;
  input.member = member;
  if (!edges_at_[n][p].empty()) {
    const uint32_t e = edges_at_[n][p].front();
    const graph::PlanEdge& edge = setup_.plan->edges[e];
    input.edge = edges_[e].get();
    input.waits = WaitsOnHost(edge, node.ports[p]);
    input.sampled = edge.sampled;
  }
  if (node.graph_node) {
    input.end_on_any =
        setup_.graph->nodes()[*node.graph_node].end == graph::EndPolicy::kAny;
  }
  options->inputs.push_back(input);
}

void Scheduler::AddOutput(uint32_t member, uint32_t n, uint32_t p,
                          NodeRunner::Options* options) const {
  const graph::PlanNode& node = setup_.plan->nodes[n];
  const graph::PortDesc& desc = node.type->ports[p];
  NodeRunner::Output output;
  output.member = member;
  if (node.ports[p].net) {
    output.dynamic = desc.acquisition == graph::Acquisition::kDynamic;
    if (output.dynamic || node.type->async) options->emits_from_threads = true;
    if (output.dynamic && node.type->live) options->fills_queue = true;
    output.carries = setup_.pools[*node.ports[p].net];
    if (desc.passthrough.empty()) output.pool = output.carries;
  }
  for (uint32_t e : edges_at_[n][p]) {
    if (edges_[e]) output.edges.push_back(edges_[e].get());
  }
  options->outputs.push_back(std::move(output));
}

/// Follows what drives `node` upstream, to a frame at the border or to a source inside.
void Scheduler::SetInfoSource(const std::vector<uint32_t>& nodes, uint32_t n,
                              const NodeRunner::Options& options,
                              NodeRunner::Output* output) const {
  const graph::Plan& plan = *setup_.plan;
  for (;;) {
    const graph::PlanEdge* driving = nullptr;
    const Edge* border = nullptr;
    for (uint32_t p = 0; p < plan.nodes[n].ports.size(); ++p) {
      if (plan.nodes[n].ports[p].direction != graph::Direction::kInput) continue;
      if (edges_at_[n][p].empty()) continue;
      const uint32_t e = edges_at_[n][p].front();
      if (driving != nullptr && (!driving->sampled || plan.edges[e].sampled)) continue;
      driving = &plan.edges[e];
      border = edges_[e].get();
    }
    if (driving == nullptr) {
      output->info_from_source = true;
      output->info_from =
          static_cast<uint32_t>(std::find(nodes.begin(), nodes.end(), n) - nodes.begin());
      return;
    }
    if (!driving->inner) {
      const auto found = std::find_if(
          options.inputs.begin(), options.inputs.end(),
          [&](const NodeRunner::Input& input) { return input.edge == border; });
      output->info_from = static_cast<uint32_t>(found - options.inputs.begin());
      return;
    }
    n = driving->from.node;
  }
}

void Scheduler::MakeGroups() {
  const graph::Plan& plan = *setup_.plan;
  std::map<uint32_t, std::vector<NodeRunner*>> members;
  for (uint32_t node : plan.order) {
    std::vector<NodeRunner*>& group = members[plan.nodes[node].run_group];
    // An island is in its group once, for all of its nodes.
    if (group.empty() || group.back() != of_node_[node]) group.push_back(of_node_[node]);
  }
  for (auto& [index, nodes] : members) {
    groups_.push_back(std::make_unique<RunGroup>(*setup_.workers, std::move(nodes)));
  }
}

void Scheduler::Start() {
  running_ = true;
  for (size_t n = 0; n < of_node_.size(); ++n) {
    if (setup_.nodes[n].ended && !of_node_[n]->ended()) of_node_[n]->End();
  }
  for (auto& runner : runners_) {
    for (const auto& member : runner->members()) member.context->Attach(runner.get());
  }
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
                     [](const auto& edge) { return !edge || edge->Empty() || edge->closed(); });
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
           if (!pool) return false;
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
  const std::string& name = runner.name();
  if (runner.failed()) return name + " has failed";
  uint32_t port = runner.waiting_port();
  switch (runner.waiting()) {
    case Waiting::kNothing: return name + " is running";
    case Waiting::kInput:
      return fmt::format("{} waits for a frame on {}", name,
                         runner.options().inputs[port].edge->stats().name);
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
                         runner.options().inputs[port].edge->stats().name);
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
