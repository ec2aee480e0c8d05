#include "nodes/vulkan/frame_node.h"

#include <cstring>
#include <string>

#include "nodes/vulkan/user_shader.h"

namespace sluice::vulkan {
namespace {

sdk::Status ToStatus(const Error& error) { return sdk::Status(error.code, error.message); }

}  // namespace

sdk::Status FrameNode::TakePorts(const sdk::Configuration& configuration) {
  const auto in = configuration.Port("in");
  if (!in.ok()) return in.status();
  const auto out = configuration.Port("out");
  if (!out.ok()) return out.status();
  const sluice_format& a = (*in)->format;
  const sluice_format& b = (*out)->format;
  if (a.width != b.width || a.height != b.height) {
    return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT, "in is %ux%u, out is %ux%u", a.width,
                              a.height, b.width, b.height);
  }
  input_ = **in;
  output_ = **out;
  return {};
}

const FrameNode* FrameNodeOf(const sluice_node& node) {
  if (node.get_extension == nullptr) return nullptr;
  return static_cast<const FrameNode*>(node.get_extension(node.self, kFrameNodeId));
}

sdk::Expected<std::unique_ptr<LookNode>> LookNode::Create(sdk::NodeContext context,
                                                          const sdk::Params& params) {
  const auto look = FindLook(params.String("look"));
  if (!look) return ToStatus(look.error());
  static constexpr sluice_param_set kNone{};
  const auto numbers = LookParams(**look, params.c() != nullptr ? *params.c() : kNone);
  if (!numbers) return ToStatus(numbers.error());
  return std::make_unique<LookNode>(context, **look, *numbers);
}

sdk::Status LookNode::SetParam(const sluice_param& param) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto known = SetLookParam(look_, param, params_);
  if (!known) return ToStatus(known.error());
  if (!*known) {
    return sdk::Status::Error(SLUICE_E_NOT_FOUND, "look %s has no parameter \"%s\"",
                              std::string(look_.name).c_str(), param.name);
  }
  return {};
}

Params LookNode::params() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return params_;
}

const void* LookNode::GetExtension(const char* id) {
  return std::strcmp(id, kFrameNodeId) == 0 ? static_cast<const FrameNode*>(this) : nullptr;
}

const void* ConvertNode::GetExtension(const char* id) {
  return std::strcmp(id, kFrameNodeId) == 0 ? static_cast<const FrameNode*>(this) : nullptr;
}

const void* ShaderNode::GetExtension(const char* id) {
  return std::strcmp(id, kFrameNodeId) == 0 ? static_cast<const FrameNode*>(this) : nullptr;
}

sdk::Expected<std::unique_ptr<ShaderNode>> ShaderNode::Create(sdk::NodeContext context,
                                                              const sdk::Params& params) {
  const auto source = LoadUserShader(params);
  if (!source) return ToStatus(source.error());
  auto spirv = CompileUserShader(*source);
  if (!spirv) return ToStatus(spirv.error());
  return std::make_unique<ShaderNode>(context, std::move(*spirv), source->param_names,
                                      source->values);
}

sdk::Status ShaderNode::SetParam(const sluice_param& param) {
  std::lock_guard<std::mutex> lock(mutex_);
  for (size_t i = 0; i < names_.size(); ++i) {
    if (names_[i] != param.name) continue;
    if (param.type == SLUICE_VALUE_FLOAT) {
      params_[i] = static_cast<float>(param.f);
    } else {
      params_[i] = static_cast<float>(param.i);
    }
    return {};
  }
  return sdk::Status::Error(SLUICE_E_NOT_FOUND, "the shader has no parameter \"%s\"", param.name);
}

Params ShaderNode::params() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return params_;
}

}  // namespace sluice::vulkan
