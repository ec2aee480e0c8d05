#ifndef SLUICE_NODES_VULKAN_FILTER_NODE_H_
#define SLUICE_NODES_VULKAN_FILTER_NODE_H_

#include <sluice/node.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <optional>
#include <sluice/node.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nodes/vulkan/changes.h"
#include "nodes/vulkan/result.h"
#include "nodes/vulkan/stage.h"

namespace sluice::vulkan {

/// Id of FilterNode among a node's extensions: how the domain knows the nodes whose work it does.
constexpr char kFilterNodeId[] = "sluice.vulkan.filter-node/0";

/// What a filter's stages are made for.
struct FilterPorts {
  std::vector<std::optional<sluice_format>> inputs;  ///< nothing: the port has no edge
  sluice_format output{};
};

/// What the domain needs of a node: its work as stages, and its numbers.
class FilterNode {
 public:
  /// Errors: InvalidArgument for sizes or formats that the filter cannot do. [main-thread]
  virtual Result<std::vector<Stage>> Stages(const FilterPorts& ports) const = 0;
  /// Numbers that CopyParams writes; does not change. [thread-safe]
  virtual uint32_t param_count() const { return 0; }
  /// The numbers for the next frame: those of the last one while Changes::count() stays.
  /// [thread-safe]
  virtual void CopyParams(std::span<float> out) const { (void)out; }
  /// What travels with a frame, from that of the first input that has one to the output's. Called
  /// for each frame, before CopyParams. [process-thread]
  virtual void PassInfo(sluice_frame_info& info) const { (void)info; }
  /// Numbers that do not change while an island lives: table(i) has four of them. [main-thread]
  virtual std::vector<float> Table() const { return {}; }
  /// Changes when Stages() or Table() answer differently: islands are then made anew, and go on as
  /// they are when that fails. [thread-safe]
  uint64_t generation() const { return generation_.load(std::memory_order_acquire); }
  /// For errors and counted copies.
  virtual const sdk::NodeContext& host_context() const = 0;

  /// The ports as configured, inputs in the order of the manifest.
  const std::vector<sluice_port_config>& inputs() const { return inputs_; }
  const sluice_port_config& output() const { return output_; }
  FilterPorts ports() const;

  /// Offers what the device really can. [main-thread]
  sdk::Status Probe(sdk::OfferSink& sink);
  /// Makes a pool of dma-bufs on the device. [main-thread]
  sdk::Status Allocate(int32_t direction, uint32_t port, const sluice_pool_request& request,
                       sdk::PoolSink& sink);
  void ReleasePool(uint32_t pool, uint32_t epoch) { ForgetPool(pool, epoch); }
  /// Whether frames of this pool reach the device as the plan has it. [main-thread, configured]
  sdk::Status TestImport(int32_t direction, uint32_t port, sdk::FrameRef frame);
  void ForgetPool(uint32_t pool, uint32_t epoch);

  /// The names of the ports that Probe() refines; one output.
  virtual std::vector<std::string> input_names() const { return {"in"}; }
  /// Says what else is known of a port's frames, its size for example. [main-thread]
  virtual void Refine(std::string_view port, sdk::OfferBuilder& offer) const {
    (void)port;
    (void)offer;
  }

 protected:
  ~FilterNode() = default;
  /// Errors: InvalidArgument without an output, and what Stages() says of these ports.
  sdk::Status TakePorts(const sdk::Configuration& configuration);
  void StagesChanged() {
    generation_.fetch_add(1, std::memory_order_acq_rel);
    Changes::Add();
  }

 private:
  // The host lends names for the call of configure() alone. A deque's strings stay in their place.
  std::deque<std::string> names_;
  std::vector<sluice_port_config> inputs_;
  sluice_port_config output_{};
  std::atomic<uint64_t> generation_{0};
};

/// The FilterNode behind a node of this plugin, or null for any other.
const FilterNode* FilterNodeOf(const sluice_node& node);

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_FILTER_NODE_H_
