#include <algorithm>
#include <map>
#include <numeric>

#include "engine/graph/build_plan.h"

namespace sluice::graph {
namespace {

bool IsDevice(const PlanNode& node) { return node.type->domain != "cpu"; }
bool MayJoin(const PlanNode& node) {
  return !IsDevice(node) && !node.type->heavy && !node.type->async && node.type->parallel <= 1;
}

/// An edge that is a plain ring: nothing on it asks for a thread's border.
bool IsInner(const Plan& plan, const PlanEdge& edge) {
  return MayJoin(plan.nodes[edge.from.node]) && MayJoin(plan.nodes[edge.to.node]) &&
         !edge.queue.given && edge.queue.when_full == WhenFull::kBlock && !edge.sampled &&
         edge.bridge == SyncBridge::kNone;
}

}  // namespace

void GroupNodes(Plan* plan) {
  std::vector<uint32_t> leader(plan->nodes.size());
  std::iota(leader.begin(), leader.end(), 0u);
  auto find = [&leader](uint32_t node) {
    while (leader[node] != node) node = leader[node] = leader[leader[node]];
    return node;
  };
  for (const PlanEdge& edge : plan->edges) {
    if (IsInner(*plan, edge)) leader[find(edge.to.node)] = find(edge.from.node);
  }
  for (const PlanIsland& island : plan->islands) {
    for (uint32_t node : island.nodes) leader[find(node)] = find(island.nodes.front());
  }
  std::map<uint32_t, uint32_t> group_of;
  for (uint32_t index : plan->order) {
    PlanNode& node = plan->nodes[index];
    auto [found, is_new] =
        group_of.try_emplace(find(index), static_cast<uint32_t>(plan->run_groups.size()));
    if (is_new) plan->run_groups.emplace_back();
    node.run_group = found->second;
    plan->run_groups[node.run_group].nodes.push_back(index);
  }
}

}  // namespace sluice::graph
