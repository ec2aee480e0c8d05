#include "nodes/vulkan/filter_node.h"

#include <string>

#include "nodes/vulkan/domain.h"

namespace sluice::vulkan {
namespace {

// As the manifest has it: a page.
constexpr uint32_t kPageMultiple = 4096;

VulkanDomain* DomainOf(const FilterNode& node) {
  return sdk::DomainCast<VulkanDomain>(node.host_context().Domain());
}

}  // namespace

FilterPorts FilterNode::ports() const {
  FilterPorts ports;
  for (const sluice_port_config& port : inputs_) {
    if (port.connected != 0) {
      ports.inputs.emplace_back(port.format);
    } else {
      ports.inputs.emplace_back(std::nullopt);
    }
  }
  ports.output = output_.format;
  return ports;
}

sdk::Status FilterNode::TakePorts(const sdk::Configuration& configuration) {
  std::deque<std::string> names;
  std::vector<sluice_port_config> inputs;
  std::optional<sluice_port_config> output;
  for (sluice_port_config port : configuration.ports()) {
    port.name = names.emplace_back(port.name).c_str();
    if (port.direction == SLUICE_PORT_INPUT) {
      inputs.push_back(port);
    } else if (port.connected != 0) {
      output = port;
    }
  }
  if (!output) return sdk::Status(SLUICE_E_INVALID_ARGUMENT, "no output");
  names_ = std::move(names);
  inputs_ = std::move(inputs);
  output_ = *output;
  const auto stages = Stages(ports());
  if (!stages) return sdk::Status(stages.error().code, stages.error().message);
  return {};
}

sdk::Status FilterNode::Probe(sdk::OfferSink& sink) {
  const VulkanDomain* domain = DomainOf(*this);
  // Nothing is known of the device: the manifest's offers stand.
  if (domain == nullptr) return {};
  const ExternalSupport& external = domain->device().info().external;
  const bool dmabuf = (domain->views() & SLUICE_VIEW_DMABUF) != 0;
  const uint32_t allocates =
      external.export_dmabuf && dmabuf ? SLUICE_VIEW_DMABUF : SLUICE_VIEW_DEVICE;
  // What cannot be imported of shared memory is copied. The device's own memory may be made by a
  // neighbour that shares it with another process.
  const uint32_t views = SLUICE_VIEW_SHM | SLUICE_VIEW_DEVICE | (dmabuf ? SLUICE_VIEW_DMABUF : 0);
  uint32_t files = 0;
  if (external.sync_files()) files |= SLUICE_SYNC_SYNC_FILE;
  if (external.sync_files() && dmabuf) files |= SLUICE_SYNC_IMPLICIT;
  const auto add = [&](const std::string& port, bool is_input) {
    uint32_t sync = SLUICE_SYNC_TIMELINE | SLUICE_SYNC_CPU_DONE | files;
    // Its one queue would stand still behind a fence that is held back: the host waits better.
    if (domain->device().exports_late() && is_input) sync &= ~files;
    sdk::OfferBuilder offer;
    offer.Views(views).Allocates(allocates).Sync(sync).Align(kStrideMultiple, kStrideMultiple,
                                                             kPageMultiple, kPageMultiple);
    Refine(port, offer);
    return sink.Add(port.c_str(), offer);
  };
  const std::vector<std::string> names = input_names();
  for (const std::string& name : names) {
    const sdk::Status status = add(name, true);
    // A plugin without code need not declare those that are optional here.
    if (!status.ok() && (status.code() != SLUICE_E_NOT_FOUND || name == names.front()))
      return status;
  }
  return add("out", false);
}

sdk::Status FilterNode::Allocate(int32_t, uint32_t, const sluice_pool_request& request,
                                 sdk::PoolSink& sink) {
  VulkanDomain* domain = DomainOf(*this);
  if (domain == nullptr) return sdk::Status(SLUICE_E_UNSUPPORTED, "no Vulkan device");
  return domain->AllocatePool(request, sink);
}

sdk::Status FilterNode::TestImport(int32_t direction, uint32_t port, sdk::FrameRef frame) {
  VulkanDomain* domain = DomainOf(*this);
  if (domain == nullptr) return sdk::Status(SLUICE_E_UNSUPPORTED, "no Vulkan device");
  if (direction == SLUICE_PORT_INPUT && port >= inputs_.size())
    return sdk::Status(SLUICE_E_INVALID_ARGUMENT, "no such input");
  return domain->TestImport(frame, direction == SLUICE_PORT_INPUT ? inputs_[port] : output_);
}

void FilterNode::ForgetPool(uint32_t pool, uint32_t epoch) {
  if (VulkanDomain* domain = DomainOf(*this)) domain->ForgetPool(pool, epoch);
}

const FilterNode* FilterNodeOf(const sluice_node& node) {
  if (node.get_extension == nullptr) return nullptr;
  return static_cast<const FilterNode*>(node.get_extension(node.self, kFilterNodeId));
}

}  // namespace sluice::vulkan
