#pragma once

#include "engine/base/result.h"
#include "engine/graph/model.h"
#include "engine/graph/plan.h"
#include "engine/graph/search.h"

namespace sluice::graph {

/// Turns a whole solution into a plan: sync, depths, copies, groups, warnings.
/// Errors: ResourceExhausted when a pool would be deeper than a port allows.
Result<Plan> BuildPlan(const Model& model, const Solution& solution);

/// Joins serial CPU nodes into run groups and puts each device node on an
/// island of its own. Needs nodes, edges and order.
void GroupNodes(Plan* plan);

}  // namespace sluice::graph
