// From the host's description of an island to a network of stages.
#include <algorithm>
#include <string>

#include "nodes/vulkan/domain.h"

namespace sluice::vulkan {
namespace {

/// Fills in what is known of one node's ports.
struct PortFinder {
  const sluice_island_desc& desc;
  std::span<const sluice_format> inputs;
  std::span<const sluice_format> outputs;

  std::optional<sluice_format> InputFormat(uint32_t node, uint32_t port) const {
    for (uint32_t i = 0; i < desc.input_count; ++i) {
      if (desc.inputs[i].node == node && desc.inputs[i].port == port) return inputs[i];
    }
    for (uint32_t e = 0; e < desc.edge_count; ++e) {
      if (desc.edges[e].to.node == node && desc.edges[e].to.port == port)
        return desc.edges[e].format;
    }
    return std::nullopt;
  }
  std::optional<sluice_format> OutputFormat(uint32_t node) const {
    for (uint32_t i = 0; i < desc.output_count; ++i) {
      if (desc.outputs[i].node == node) return outputs[i];
    }
    for (uint32_t e = 0; e < desc.edge_count; ++e) {
      if (desc.edges[e].from.node == node) return desc.edges[e].format;
    }
    return std::nullopt;
  }
  Network::Source Source(uint32_t node, uint32_t port) const {
    for (uint32_t i = 0; i < desc.input_count; ++i) {
      if (desc.inputs[i].node == node && desc.inputs[i].port == port)
        return {Network::Source::Kind::kBorder, i};
    }
    for (uint32_t e = 0; e < desc.edge_count; ++e) {
      if (desc.edges[e].to.node == node && desc.edges[e].to.port == port)
        return {Network::Source::Kind::kNode, desc.edges[e].from.node};
    }
    return {};
  }
};

Result<Network::Node> MakeNode(const PortFinder& finder, const FilterNode& filter, uint32_t n) {
  Network::Node node;
  const char* const name = filter.host_context().name();
  node.name = name != nullptr ? name : "node";
  FilterPorts ports;
  const auto count = static_cast<uint32_t>(filter.input_names().size());
  for (uint32_t p = 0; p < count; ++p) {
    ports.inputs.push_back(finder.InputFormat(n, p));
    node.sources.push_back(finder.Source(n, p));
    if (node.sources.back().kind == Network::Source::Kind::kNode && node.sources.back().index >= n)
      return Fail(SLUICE_E_INVALID_ARGUMENT, node.name + ": reads a node that comes later");
  }
  const auto output = finder.OutputFormat(n);
  if (!output) return Fail(SLUICE_E_INVALID_ARGUMENT, node.name + ": its result goes nowhere");
  ports.output = *output;
  auto stages = filter.Stages(ports);
  if (!stages) return Fail(stages.error().code, node.name + ": " + stages.error().message);
  node.stages = std::move(*stages);
  return node;
}

Result<Shape> ShapeOf(const sluice_format& format) {
  auto layout = MakeLayout(format);
  if (!layout) return tl::unexpected(layout.error());
  return MakeShape(format, *layout);
}

}  // namespace

Result<std::vector<const FilterNode*>> FilterNodesOf(const sluice_island_desc& desc) {
  std::vector<const FilterNode*> nodes;
  for (uint32_t i = 0; i < desc.node_count; ++i) {
    nodes.push_back(FilterNodeOf(*desc.nodes[i]));
    if (nodes.back() == nullptr)
      return Fail(SLUICE_E_UNSUPPORTED, "a node that is not of this plugin");
  }
  return nodes;
}

Result<Network> MakeNetwork(const sluice_island_desc& desc,
                            std::span<const FilterNode* const> nodes,
                            std::span<const sluice_format> inputs,
                            std::span<const sluice_format> outputs) {
  const PortFinder finder{desc, inputs, outputs};
  Network network;
  for (uint32_t n = 0; n < nodes.size(); ++n) {
    auto node = MakeNode(finder, *nodes[n], n);
    if (!node) return tl::unexpected(node.error());
    network.nodes.push_back(std::move(*node));
  }
  for (const sluice_format& format : inputs) {
    auto shape = ShapeOf(format);
    if (!shape) return tl::unexpected(shape.error());
    network.inputs.push_back(*shape);
  }
  for (uint32_t o = 0; o < outputs.size(); ++o) {
    auto shape = ShapeOf(outputs[o]);
    if (!shape) return tl::unexpected(shape.error());
    network.outputs.push_back(*shape);
    if (desc.outputs[o].node >= nodes.size())
      return Fail(SLUICE_E_INVALID_ARGUMENT, "an output of no node");
    network.output_nodes.push_back(desc.outputs[o].node);
  }
  return network;
}

}  // namespace sluice::vulkan
