#ifndef SLUICE_NODES_VULKAN_FRAME_NODE_H_
#define SLUICE_NODES_VULKAN_FRAME_NODE_H_

#include <sluice/node.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <sluice/node.hpp>
#include <span>
#include <string>
#include <vector>

#include "nodes/vulkan/kernel.h"
#include "nodes/vulkan/looks.h"

namespace sluice::vulkan {

/// Id of FrameNode among a node's extensions: how the domain knows the nodes whose work it does.
constexpr char kFrameNodeId[] = "sluice.vulkan.frame-node/0";

/// What the domain needs of a node with one input and one output that is one dispatch.
class FrameNode {
 public:
  /// kLook; 0 converts only.
  virtual uint32_t look() const = 0;
  /// The numbers for the next frame. Threads: [thread-safe].
  virtual Params params() const = 0;
  /// The node's own shader; empty: the built-in kernels.
  virtual std::span<const uint32_t> spirv() const { return {}; }
  /// For errors and counted copies.
  virtual const sdk::NodeContext& host_context() const = 0;

  const sluice_port_config& input() const { return input_; }
  const sluice_port_config& output() const { return output_; }

  /// Offers what the device really can. [main-thread]
  sdk::Status Probe(sdk::OfferSink& sink);
  /// Makes a pool of dma-bufs on the device. [main-thread]
  sdk::Status Allocate(int32_t direction, uint32_t port, const sluice_pool_request& request,
                       sdk::PoolSink& sink);
  void ReleasePool(uint32_t pool, uint32_t epoch) { ForgetPool(pool, epoch); }
  /// Whether frames of this pool reach the device as the plan has it. [main-thread, configured]
  sdk::Status TestImport(int32_t direction, uint32_t port, sdk::FrameRef frame);
  void ForgetPool(uint32_t pool, uint32_t epoch);

 protected:
  ~FrameNode() = default;
  /// Errors: InvalidArgument when the ports are not one input and one output of one size.
  sdk::Status TakePorts(const sdk::Configuration& configuration);

 private:
  sluice_port_config input_{};
  sluice_port_config output_{};
};

/// vulkan.look
class LookNode final : public sdk::Node<LookNode>, public FrameNode {
 public:
  static constexpr const char* kType = "vulkan.look";
  static sdk::Expected<std::unique_ptr<LookNode>> Create(sdk::NodeContext context,
                                                         const sdk::Params& params);
  LookNode(sdk::NodeContext context, const Look& look, const Params& params)
      : Node(context), look_(look), params_(params) {}

  sdk::Status Configure(const sdk::Configuration& configuration) {
    return TakePorts(configuration);
  }
  sdk::Status Reconfigure(const sdk::Configuration& configuration) {
    return TakePorts(configuration);
  }
  sdk::Status SetParam(const sluice_param& param);
  const void* GetExtension(const char* id);

  uint32_t look() const override { return look_.id; }
  Params params() const override;
  const sdk::NodeContext& host_context() const override { return context(); }

 private:
  const Look& look_;
  mutable std::mutex mutex_;
  Params params_;
};

/// vulkan.convert
class ConvertNode final : public sdk::Node<ConvertNode>, public FrameNode {
 public:
  static constexpr const char* kType = "vulkan.convert";
  ConvertNode(sdk::NodeContext context, const sdk::Params&) : Node(context) {}

  sdk::Status Configure(const sdk::Configuration& configuration) {
    return TakePorts(configuration);
  }
  sdk::Status Reconfigure(const sdk::Configuration& configuration) {
    return TakePorts(configuration);
  }
  const void* GetExtension(const char* id);

  uint32_t look() const override { return 0; }
  Params params() const override { return Params{}; }
  const sdk::NodeContext& host_context() const override { return context(); }
};

/// vulkan.shader
class ShaderNode final : public sdk::Node<ShaderNode>, public FrameNode {
 public:
  static constexpr const char* kType = "vulkan.shader";
  static sdk::Expected<std::unique_ptr<ShaderNode>> Create(sdk::NodeContext context,
                                                           const sdk::Params& params);
  ShaderNode(sdk::NodeContext context, std::vector<uint32_t> spirv, std::vector<std::string> names,
             const Params& params)
      : Node(context), spirv_(std::move(spirv)), names_(std::move(names)), params_(params) {}

  sdk::Status Configure(const sdk::Configuration& configuration) {
    return TakePorts(configuration);
  }
  sdk::Status Reconfigure(const sdk::Configuration& configuration) {
    return TakePorts(configuration);
  }
  sdk::Status SetParam(const sluice_param& param);
  const void* GetExtension(const char* id);

  uint32_t look() const override { return kUserLook; }
  Params params() const override;
  std::span<const uint32_t> spirv() const override { return spirv_; }
  const sdk::NodeContext& host_context() const override { return context(); }

 private:
  const std::vector<uint32_t> spirv_;
  const std::vector<std::string> names_;  // params_[i] is names_[i]; the first is "amount"
  mutable std::mutex mutex_;
  Params params_;
};

/// The FrameNode behind a node of this plugin, or null for any other.
const FrameNode* FrameNodeOf(const sluice_node& node);

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_FRAME_NODE_H_
