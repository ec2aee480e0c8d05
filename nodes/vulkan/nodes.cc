#include "nodes/vulkan/nodes.h"

#include <algorithm>
#include <cstring>

#include "nodes/vulkan/domain.h"
#include "nodes/vulkan/glsl.h"

namespace sluice::vulkan {
namespace {

sdk::Status ToStatus(const Error& error) { return sdk::Status(error.code, error.message); }

Status SameSize(const FilterPorts& ports) {
  if (ports.inputs.empty() || !ports.inputs[0])
    return Fail(SLUICE_E_INVALID_ARGUMENT, "the input has no edge");
  const sluice_format& a = *ports.inputs[0];
  const sluice_format& b = ports.output;
  if (a.width == b.width && a.height == b.height) return {};
  return Fail(SLUICE_E_INVALID_ARGUMENT,
              "in is " + std::to_string(a.width) + "x" + std::to_string(a.height) + ", out is " +
                  std::to_string(b.width) + "x" + std::to_string(b.height));
}

}  // namespace

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
  Changes::Add();
  return {};
}

Result<std::vector<Stage>> LookNode::Stages(const FilterPorts& ports) const {
  if (Status s = SameSize(ports); !s) return tl::unexpected(s.error());
  return std::vector<Stage>{LookStage(look_)};
}

void LookNode::CopyParams(std::span<float> out) const {
  std::lock_guard<std::mutex> lock(mutex_);
  std::copy_n(params_.begin(), std::min(out.size(), params_.size()), out.begin());
}

Result<std::vector<Stage>> ConvertNode::Stages(const FilterPorts& ports) const {
  if (Status s = SameSize(ports); !s) return tl::unexpected(s.error());
  return std::vector<Stage>{};
}

sdk::Expected<std::unique_ptr<ShaderNode>> ShaderNode::Create(sdk::NodeContext context,
                                                              const sdk::Params& params) {
  auto shader = LoadUserShader(params);
  if (!shader) return ToStatus(shader.error());
  if (Status s = CheckUserShader(*shader); !s) return ToStatus(s.error());
  const bool reload = params.Bool("reload") && !shader->path.empty();
  return std::make_unique<ShaderNode>(context, std::move(*shader), reload);
}

ShaderNode::~ShaderNode() {
  if (reloader_ == nullptr) return;
  reloader_->Unwatch(*this);
  reloader_->Cancel(this);
}

sdk::Status ShaderNode::Configure(const sdk::Configuration& configuration) {
  if (sdk::Status status = TakePorts(configuration); !status.ok()) return status;
  VulkanDomain* domain = sdk::DomainCast<VulkanDomain>(context().Domain());
  if (!reload_ || domain == nullptr || reloader_ != nullptr) return {};
  if (Status s = domain->reloader().Watch(shader_.path, *this); !s) return ToStatus(s.error());
  reloader_ = &domain->reloader();
  // It may have been written since it was read. On the thread that hears of changes, so that an
  // older text never replaces a newer one.
  reloader_->Post(this, [this] { OnFileChanged(); });
  return {};
}

sdk::Status ShaderNode::SetParam(const sluice_param& param) {
  std::lock_guard<std::mutex> lock(mutex_);
  for (size_t i = 0; i < shader_.param_names.size(); ++i) {
    if (shader_.param_names[i] != param.name) continue;
    shader_.values[i] = param.type == SLUICE_VALUE_FLOAT ? static_cast<float>(param.f)
                                                         : static_cast<float>(param.i);
    Changes::Add();
    return {};
  }
  if (std::string_view(param.name) == "params" && param.s != nullptr) {
    const Status set = SetUserParams(param.s, shader_);
    if (!set) return ToStatus(set.error());
    Changes::Add();
    return {};
  }
  return sdk::Status::Error(SLUICE_E_NOT_FOUND, "the shader has no parameter \"%s\"", param.name);
}

Result<std::vector<Stage>> ShaderNode::Stages(const FilterPorts& ports) const {
  if (Status s = SameSize(ports); !s) return tl::unexpected(s.error());
  std::lock_guard<std::mutex> lock(mutex_);
  Stage stage = UserStage(shader_);
  if (stage.kind == Stage::Kind::kPointwise) {
    if (std::any_of(ports.inputs.begin() + 1, ports.inputs.end(),
                    [](const auto& input) { return input.has_value(); })) {
      return Fail(SLUICE_E_INVALID_ARGUMENT,
                  shader_.name + ": a shader of one pixel has one input; one with several is " +
                      "`vec4 shade(ivec2 position)`");
    }
  } else {
    stage.inputs.clear();
    for (uint32_t i = 0; i < ports.inputs.size(); ++i) stage.inputs.push_back(i);
  }
  return std::vector<Stage>{stage};
}

void ShaderNode::CopyParams(std::span<float> out) const {
  std::lock_guard<std::mutex> lock(mutex_);
  std::copy_n(shader_.values.begin(), std::min(out.size(), shader_.values.size()), out.begin());
}

std::vector<std::string> ShaderNode::input_names() const { return {"in", "in1", "in2", "in3"}; }

void ShaderNode::OnFileChanged() {
  UserShader next;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    next = shader_;
  }
  Status fresh = ReadUserShader(next);
  if (fresh) fresh = CheckUserShader(next);
  if (!fresh) {
    context().Log(SLUICE_LOG_ERROR, "the changed shader is not taken, the one before stays: %s",
                  fresh.error().message.c_str());
    return;
  }
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (next.text == shader_.text) return;
    shader_.text = std::move(next.text);
  }
  context().Log(SLUICE_LOG_INFO, "%s has changed and is taken", shader_.name.c_str());
  StagesChanged();
}

}  // namespace sluice::vulkan
