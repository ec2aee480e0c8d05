#ifndef SLUICE_NODES_VULKAN_FILTERS_FILTER_H_
#define SLUICE_NODES_VULKAN_FILTERS_FILTER_H_

#include <atomic>
#include <memory>
#include <mutex>
#include <sluice/node.hpp>
#include <string>
#include <utility>
#include <vector>

#include "nodes/vulkan/filters/filter_spec.h"
#include "nodes/vulkan/nodes.h"

namespace sluice::vulkan {

/// The parameters of a node of the type that `spec` describes.
class FilterState {
 public:
  /// Errors: of the spec's parameters.
  static Result<std::unique_ptr<FilterState>> Create(const FilterSpec& spec,
                                                     const sdk::Params& params);

  const FilterSpec& spec() const { return spec_; }
  /// Of the output, where the graph gives it.
  const std::optional<sdk::Size>& size() const { return choices_.size; }
  std::vector<float> Table() const {
    return spec_.table != nullptr ? spec_.table(choices_) : std::vector<float>();
  }
  /// Errors: InvalidArgument for ports that the filter cannot do.
  Result<std::vector<Stage>> Stages(const FilterPorts& ports) const;
  uint32_t param_count() const { return spec_.numbers != 0 ? spec_.numbers : spec_.value_count(); }
  /// Before CopyParams of the same frame. [process-thread]
  void PassInfo(const sluice_format& in, const sluice_format& out, sluice_frame_info& info) {
    if (spec_.info == nullptr) return;
    const float of_frame = spec_.info(choices_, in, out, info);
    if (of_frame_.exchange(of_frame) != of_frame) Changes::Add();
  }
  /// What the shader gets. [thread-safe]
  void CopyParams(std::span<float> out) const;
  /// [thread-safe] Errors: NotFound; of the parameter's value.
  sdk::Status SetParam(const sluice_param& param);

 private:
  FilterState(const FilterSpec& spec, FilterChoices choices, std::vector<float> values)
      : spec_(spec), choices_(std::move(choices)), values_(std::move(values)) {}

  const FilterSpec& spec_;
  const FilterChoices choices_;
  mutable std::mutex mutex_;
  std::vector<float> values_;
  std::atomic<float> of_frame_{0};
};

/// The node class of `Type`, which has kType and spec().
template <class Type>
class FilterOf final : public FilterBase<FilterOf<Type>> {
 public:
  static constexpr const char* kType = Type::kType;

  static sdk::Expected<std::unique_ptr<FilterOf>> Create(sdk::NodeContext context,
                                                         const sdk::Params& params) {
    auto state = FilterState::Create(Type::spec(), params);
    if (!state) return sdk::Status(state.error().code, state.error().message);
    return std::make_unique<FilterOf>(context, std::move(*state));
  }
  FilterOf(sdk::NodeContext context, std::unique_ptr<FilterState> state)
      : FilterBase<FilterOf<Type>>(context), state_(std::move(state)) {}

  sdk::Status SetParam(const sluice_param& param) { return state_->SetParam(param); }
  Result<std::vector<Stage>> Stages(const FilterPorts& ports) const override {
    return state_->Stages(ports);
  }
  uint32_t param_count() const override { return state_->param_count(); }
  void CopyParams(std::span<float> out) const override { state_->CopyParams(out); }
  void PassInfo(sluice_frame_info& info) const override {
    state_->PassInfo(this->inputs().front().format, this->output().format, info);
  }
  std::vector<float> Table() const override { return state_->Table(); }
  std::vector<std::string> input_names() const override { return state_->spec().inputs; }
  void Refine(std::string_view port, sdk::OfferBuilder& offer) const override {
    if (port == "out" && state_->size()) offer.Size(state_->size()->width, state_->size()->height);
  }

 private:
  const std::unique_ptr<FilterState> state_;
};

#define SLUICE_VULKAN_FILTER(Name, type)                     \
  struct Name##Type {                                        \
    static constexpr const char* kType = type;               \
    static const FilterSpec& spec() { return Name##Spec(); } \
  };                                                         \
  using Name##Node = FilterOf<Name##Type>

SLUICE_VULKAN_FILTER(Scale, "vulkan.scale");
SLUICE_VULKAN_FILTER(Crop, "vulkan.crop");
SLUICE_VULKAN_FILTER(Rotate, "vulkan.rotate");
SLUICE_VULKAN_FILTER(Flip, "vulkan.flip");
SLUICE_VULKAN_FILTER(Compose, "vulkan.compose");
SLUICE_VULKAN_FILTER(Blur, "vulkan.blur");
SLUICE_VULKAN_FILTER(BoxBlur, "vulkan.box-blur");
SLUICE_VULKAN_FILTER(Sharpen, "vulkan.sharpen");
SLUICE_VULKAN_FILTER(Lut, "vulkan.lut");
SLUICE_VULKAN_FILTER(ChromaKey, "vulkan.chroma-key");
SLUICE_VULKAN_FILTER(Adjust, "vulkan.adjust");
SLUICE_VULKAN_FILTER(Mask, "vulkan.mask");
#undef SLUICE_VULKAN_FILTER

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_FILTERS_FILTER_H_
