#include <algorithm>
#include <map>
#include <numeric>
#include <string>

#include "engine/graph/build_plan.h"

namespace sluice::graph {
namespace {

bool IsDevice(const PlanNode& node) { return node.type->domain != "cpu"; }

/// Sets of nodes that fire as one, grown edge by edge. Seen as one node each, they
/// never form a cycle: an island in one would wait for itself.
class Islands {
 public:
  Islands(const std::vector<bool>& may_join, const Plan& plan)
      : may_join_(may_join), plan_(plan), parent_(plan.nodes.size()), out_(plan.nodes.size()),
        members_(plan.nodes.size()) {
    std::iota(parent_.begin(), parent_.end(), 0u);
    for (uint32_t i = 0; i < plan.nodes.size(); ++i) members_[i] = {i};
    for (uint32_t e = 0; e < plan.edges.size(); ++e) out_[plan.edges[e].from.node].push_back(e);
  }

  uint32_t Find(uint32_t node) {
    while (parent_[node] != node) node = parent_[node] = parent_[parent_[node]];
    return node;
  }

  /// Joins the ends of an edge unless some other way leads from one to the other.
  void Join(uint32_t edge) {
    const uint32_t from = Find(plan_.edges[edge].from.node);
    const uint32_t to = Find(plan_.edges[edge].to.node);
    if (from == to || LeadsAround(from, to)) return;
    // The larger takes the smaller in: a long chain costs n log n.
    const bool larger = members_[from].size() >= members_[to].size();
    const uint32_t leader = larger ? from : to, joined = larger ? to : from;
    parent_[joined] = leader;
    members_[leader].insert(members_[leader].end(), members_[joined].begin(),
                            members_[joined].end());
    members_[joined].clear();
  }

 private:
  /// Whether a way leads from set `from` to set `to` by an edge that cannot be inside
  /// an island, or through a node outside of both.
  bool LeadsAround(uint32_t from, uint32_t to) {
    std::vector<bool> seen(plan_.nodes.size());
    std::vector<uint32_t> todo;
    auto enter = [&](uint32_t set) {
      if (seen[set]) return;
      seen[set] = true;
      todo.insert(todo.end(), members_[set].begin(), members_[set].end());
    };
    seen[from] = true;
    for (uint32_t node : members_[from]) {
      for (uint32_t edge : out_[node]) {
        const uint32_t next = Find(plan_.edges[edge].to.node);
        if (next == to) {
          if (!may_join_[edge]) return true;
        } else if (next != from) {
          enter(next);
        }
      }
    }
    while (!todo.empty()) {
      const uint32_t node = todo.back();
      todo.pop_back();
      for (uint32_t edge : out_[node]) {
        const uint32_t next = Find(plan_.edges[edge].to.node);
        if (next == to) return true;
        enter(next);
      }
    }
    return false;
  }

  const std::vector<bool>& may_join_;
  const Plan& plan_;
  std::vector<uint32_t> parent_;
  std::vector<std::vector<uint32_t>> out_;      ///< edges, by node
  std::vector<std::vector<uint32_t>> members_;  ///< by leader
};

/// "look", "look+convert", "a+b+c+11 more".
std::string NameOf(const Plan& plan, const std::vector<uint32_t>& nodes) {
  constexpr size_t kNamed = 4;
  std::string name;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (i + 1 == kNamed && nodes.size() > kNamed) {
      return name + "+" + std::to_string(nodes.size() - i) + " more";
    }
    name += (i == 0 ? "" : "+") + plan.nodes[nodes[i]].name;
  }
  return name;
}

void MarkInner(const std::vector<bool>& may_join, Plan* plan) {
  for (PlanNode& node : plan->nodes) {
    for (PlanPort& port : node.ports) port.inner = node.island && port.net;
  }
  for (uint32_t e = 0; e < plan->edges.size(); ++e) {
    PlanEdge& edge = plan->edges[e];
    PlanNode& from = plan->nodes[edge.from.node];
    PlanNode& to = plan->nodes[edge.to.node];
    edge.inner = may_join[e] && from.island && from.island == to.island;
    if (edge.inner) continue;
    from.ports[edge.from.port].inner = false;
    to.ports[edge.to.port].inner = false;
  }
}

}  // namespace

void FormIslands(const std::vector<bool>& may_join, const std::vector<bool>& apart, Plan* plan) {
  std::vector<bool> joins = may_join;
  for (uint32_t e = 0; e < plan->edges.size(); ++e) {
    const PlanEdge& edge = plan->edges[e];
    if (apart[edge.from.node] || apart[edge.to.node]) joins[e] = false;
  }
  Islands islands(joins, *plan);
  // In topological order, so that the outcome does not hang on the order of the text's edges.
  std::vector<std::vector<uint32_t>> into(plan->nodes.size());
  for (uint32_t e = 0; e < plan->edges.size(); ++e) {
    if (joins[e]) into[plan->edges[e].to.node].push_back(e);
  }
  for (uint32_t node : plan->order) {
    for (uint32_t edge : into[node]) islands.Join(edge);
  }
  std::map<uint32_t, uint32_t> island_of;
  for (uint32_t index : plan->order) {
    PlanNode& node = plan->nodes[index];
    if (!IsDevice(node)) continue;
    auto [found, is_new] =
        island_of.try_emplace(islands.Find(index), static_cast<uint32_t>(plan->islands.size()));
    if (is_new) plan->islands.push_back({"", node.type->domain, node.device, {}});
    plan->islands[found->second].nodes.push_back(index);
    node.island = found->second;
  }
  for (PlanIsland& island : plan->islands) island.name = NameOf(*plan, island.nodes);
  MarkInner(joins, plan);
}

}  // namespace sluice::graph
