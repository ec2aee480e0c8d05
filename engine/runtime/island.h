#pragma once

#include "engine/domain/domain.h"
#include "engine/graph/plan.h"
#include "engine/runtime/node_set.h"

namespace sluice::runtime {

/// What an island of a plan is to its domain: its nodes, what is inside, and its border,
/// in the order of its nodes and of their ports. The nodes of the plan must exist.
domain::Domain::IslandDescription DescribeIsland(const graph::Plan& plan,
                                                 const graph::PlanIsland& island, NodeSet& nodes);

}  // namespace sluice::runtime
