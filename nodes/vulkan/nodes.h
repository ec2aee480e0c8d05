#ifndef SLUICE_NODES_VULKAN_NODES_H_
#define SLUICE_NODES_VULKAN_NODES_H_

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "nodes/vulkan/filter_node.h"
#include "nodes/vulkan/looks.h"
#include "nodes/vulkan/reloader.h"
#include "nodes/vulkan/user_shader.h"

namespace sluice::vulkan {

/// What every filter of this plugin has in common with the SDK.
template <typename T>
class FilterBase : public sdk::Node<T>, public FilterNode {
 public:
  using sdk::Node<T>::Node;
  sdk::Status Configure(const sdk::Configuration& configuration) {
    return TakePorts(configuration);
  }
  sdk::Status Reconfigure(const sdk::Configuration& configuration) {
    return TakePorts(configuration);
  }
  const void* GetExtension(const char* id) {
    return std::string_view(id) == kFilterNodeId ? static_cast<const FilterNode*>(this) : nullptr;
  }
  const sdk::NodeContext& host_context() const override { return this->context(); }
};

/// vulkan.look
class LookNode final : public FilterBase<LookNode> {
 public:
  static constexpr const char* kType = "vulkan.look";
  static sdk::Expected<std::unique_ptr<LookNode>> Create(sdk::NodeContext context,
                                                         const sdk::Params& params);
  LookNode(sdk::NodeContext context, const Look& look, const Params& params)
      : FilterBase(context), look_(look), params_(params) {}

  sdk::Status SetParam(const sluice_param& param);
  Result<std::vector<Stage>> Stages(const FilterPorts& ports) const override;
  uint32_t param_count() const override { return kParamCount; }
  void CopyParams(std::span<float> out) const override;

 private:
  const Look& look_;
  mutable std::mutex mutex_;
  Params params_;
};

/// vulkan.convert
class ConvertNode final : public FilterBase<ConvertNode> {
 public:
  static constexpr const char* kType = "vulkan.convert";
  ConvertNode(sdk::NodeContext context, const sdk::Params&) : FilterBase(context) {}
  Result<std::vector<Stage>> Stages(const FilterPorts& ports) const override;
};

/// vulkan.shader
class ShaderNode final : public FilterBase<ShaderNode>, public ReloadListener {
 public:
  static constexpr const char* kType = "vulkan.shader";
  static sdk::Expected<std::unique_ptr<ShaderNode>> Create(sdk::NodeContext context,
                                                           const sdk::Params& params);
  ShaderNode(sdk::NodeContext context, UserShader shader, bool reload)
      : FilterBase(context), shader_(std::move(shader)), reload_(reload) {}
  ~ShaderNode();

  sdk::Status Configure(const sdk::Configuration& configuration);
  sdk::Status SetParam(const sluice_param& param);
  Result<std::vector<Stage>> Stages(const FilterPorts& ports) const override;
  uint32_t param_count() const override { return kParamCount; }
  void CopyParams(std::span<float> out) const override;
  std::vector<std::string> input_names() const override;

  /// The file has changed: takes its new text, or says why not and stays with the old one.
  void OnFileChanged() override;

 private:
  mutable std::mutex mutex_;
  UserShader shader_;
  const bool reload_;
  Reloader* reloader_ = nullptr;  // the domain's, while watching
};

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_NODES_H_
