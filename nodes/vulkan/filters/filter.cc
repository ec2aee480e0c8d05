#include "nodes/vulkan/filters/filter.h"

#include <algorithm>

namespace sluice::vulkan {

Result<std::unique_ptr<FilterState>> FilterState::Create(const FilterSpec& spec,
                                                         const sdk::Params& params) {
  FilterChoices choices;
  if (spec.choose != nullptr) {
    auto chosen = spec.choose(params);
    if (!chosen) return tl::unexpected(chosen.error());
    choices = std::move(*chosen);
  }
  auto values = FilterValues(spec, params);
  if (!values) return tl::unexpected(values.error());
  return std::unique_ptr<FilterState>(
      new FilterState(spec, std::move(choices), std::move(*values)));
}

Result<std::vector<Stage>> FilterState::Stages(const FilterPorts& ports) const {
  for (size_t i = 0; i < spec_.inputs.size() && i < spec_.required; ++i) {
    if (i < ports.inputs.size() && ports.inputs[i]) continue;
    return Fail(SLUICE_E_INVALID_ARGUMENT, spec_.inputs[i] + " has no edge");
  }
  return spec_.stages(ports, choices_);
}

void FilterState::CopyParams(std::span<float> out) const {
  std::lock_guard<std::mutex> lock(mutex_);
  if (spec_.derive != nullptr) {
    spec_.derive(values_, out);
  } else {
    std::copy_n(values_.begin(), std::min(values_.size(), out.size()), out.begin());
    if (out.size() > values_.size()) out[values_.size()] = of_frame_.load();
  }
}

sdk::Status FilterState::SetParam(const sluice_param& param) {
  for (size_t i = 0; i < spec_.params.size(); ++i) {
    const FilterParam& known = spec_.params[i];
    if (known.name != param.name) continue;
    std::lock_guard<std::mutex> lock(mutex_);
    const auto place = std::span(values_).subspan(spec_.ValueAt(i), known.numbers());
    const Status set = SetFilterParam(known, param, place);
    if (!set) return sdk::Status(set.error().code, set.error().message);
    Changes::Add();
    return {};
  }
  return sdk::Status::Error(SLUICE_E_NOT_FOUND, "\"%s\" does not change while the graph runs",
                            param.name);
}

}  // namespace sluice::vulkan
