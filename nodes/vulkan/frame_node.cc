#include "nodes/vulkan/frame_node.h"

#include <cstring>
#include <string>

#include "nodes/vulkan/domain.h"
#include "nodes/vulkan/user_shader.h"

namespace sluice::vulkan {
namespace {

// As the manifest has it: a page.
constexpr uint32_t kPageMultiple = 4096;

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

namespace {

VulkanDomain* DomainOf(const FrameNode& node) {
  return sdk::DomainCast<VulkanDomain>(node.host_context().Domain());
}

}  // namespace

sdk::Status FrameNode::Probe(sdk::OfferSink& sink) {
  const VulkanDomain* domain = DomainOf(*this);
  // Nothing is known of the device: the manifest's offers stand.
  if (domain == nullptr) return {};
  const ExternalSupport& external = domain->device().info().external;
  const bool dmabuf = (domain->views() & SLUICE_VIEW_DMABUF) != 0;
  // What cannot be imported of shared memory is copied.
  uint32_t views = SLUICE_VIEW_SHM | (dmabuf ? SLUICE_VIEW_DMABUF : 0);
  uint32_t files = 0;
  if (external.sync_files()) files |= SLUICE_SYNC_SYNC_FILE;
  if (external.sync_files() && dmabuf) files |= SLUICE_SYNC_IMPLICIT;
  for (const char* port : {"in", "out"}) {
    uint32_t sync = SLUICE_SYNC_TIMELINE | SLUICE_SYNC_CPU_DONE | files;
    // Its one queue would stand still behind a fence that is held back: the host waits better.
    if (domain->device().exports_late() && port[0] == 'i') sync &= ~files;
    sdk::OfferBuilder offer;
    offer.Views(views)
        .Allocates(external.export_dmabuf && dmabuf ? SLUICE_VIEW_DMABUF : 0)
        .Sync(sync)
        .Align(kStrideMultiple, kStrideMultiple, kPageMultiple, kPageMultiple);
    if (sdk::Status status = sink.Add(port, offer); !status.ok()) return status;
  }
  return {};
}

sdk::Status FrameNode::Allocate(int32_t, uint32_t, const sluice_pool_request& request,
                                sdk::PoolSink& sink) {
  VulkanDomain* domain = DomainOf(*this);
  if (domain == nullptr) return sdk::Status(SLUICE_E_UNSUPPORTED, "no Vulkan device");
  return domain->AllocatePool(request, sink);
}

sdk::Status FrameNode::TestImport(int32_t direction, uint32_t, sdk::FrameRef frame) {
  VulkanDomain* domain = DomainOf(*this);
  if (domain == nullptr) return sdk::Status(SLUICE_E_UNSUPPORTED, "no Vulkan device");
  return domain->TestImport(frame, direction == SLUICE_PORT_INPUT ? input_ : output_);
}

void FrameNode::ForgetPool(uint32_t pool, uint32_t epoch) {
  if (VulkanDomain* domain = DomainOf(*this)) domain->ForgetPool(pool, epoch);
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
