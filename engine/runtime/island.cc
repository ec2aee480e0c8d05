#include "engine/runtime/island.h"

#include <algorithm>

#include "engine/plugin/host.h"

namespace sluice::runtime {

domain::Domain::IslandDescription DescribeIsland(const graph::Plan& plan,
                                                 const graph::PlanIsland& island, NodeSet& nodes) {
  domain::Domain::IslandDescription description;
  description.name = island.name;
  description.epoch = plan.epoch;
  auto port_of = [&](graph::PortRef ref) {
    const auto at = std::find(island.nodes.begin(), island.nodes.end(), ref.node);
    return domain::Domain::IslandPort{static_cast<uint32_t>(at - island.nodes.begin()),
                                      plan.nodes[ref.node].type->IndexInDirection(ref.port)};
  };
  for (uint32_t index : island.nodes) {
    const graph::PlanNode& node = plan.nodes[index];
    description.nodes.push_back(nodes.Find(node.name)->instance->abi());
    for (uint32_t p = 0; p < node.ports.size(); ++p) {
      const graph::PlanPort& port = node.ports[p];
      if (!port.net || port.inner) continue;
      const bool is_input = port.direction == graph::Direction::kInput;
      (is_input ? description.inputs : description.outputs).push_back(port_of({index, p}));
      (is_input ? description.input_formats : description.output_formats)
          .push_back(plugin::ToAbi(plan.nets[*port.net].format));
    }
  }
  for (const graph::PlanEdge& edge : plan.edges) {
    if (!edge.inner || plan.nodes[edge.from.node].island != plan.nodes[island.nodes[0]].island) {
      continue;
    }
    const auto from = port_of(edge.from), to = port_of(edge.to);
    description.edges.push_back({{from.node, from.port},
                                 {to.node, to.port},
                                 plugin::ToAbi(plan.nets[edge.net].format)});
  }
  return description;
}

}  // namespace sluice::runtime
