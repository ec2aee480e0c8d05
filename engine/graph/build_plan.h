#pragma once

#include "engine/base/result.h"
#include "engine/graph/model.h"
#include "engine/graph/plan.h"
#include "engine/graph/search.h"

namespace sluice::graph {

/// Turns a whole solution into a plan: sync, depths, copies, groups, warnings.
/// Errors: ResourceExhausted when a pool would be deeper than a port allows.
Result<Plan> BuildPlan(const Model& model, const Solution& solution);

/// Joins device nodes into islands, and says which edges, ports and nets are inside of
/// one. `may_join`, by edge: nothing on it asks for a border. `apart`, by node: stays an
/// island of its own. Islands are convex: no way leads out of one and back into it.
/// Needs nodes, edges and order.
void FormIslands(const std::vector<bool>& may_join, const std::vector<bool>& apart, Plan* plan);

/// Joins serial CPU nodes into run groups; an island is a group of its own. Needs
/// nodes, edges, islands and order.
void GroupNodes(Plan* plan);

}  // namespace sluice::graph
