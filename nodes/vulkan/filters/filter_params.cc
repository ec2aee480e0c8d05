// Values of parameters, checked.
#include <charconv>
#include <cmath>

#include "nodes/vulkan/filters/filter_spec.h"

namespace sluice::vulkan {
namespace {

/// As a person would write it.
std::string Short(double value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::general, 6);
  return {text, end.ptr};
}

tl::unexpected<Error> Wrong(const FilterParam& param, const std::string& what) {
  return Fail(SLUICE_E_INVALID_ARGUMENT, param.name + ": " + what);
}

Status SetNumber(const FilterParam& param, double value, std::span<float> values) {
  // Written so that NaN is refused too.
  if (!(value >= param.minimum && value <= param.maximum)) {
    return Wrong(
        param, Short(value) + " is not in " + Short(param.minimum) + " .. " + Short(param.maximum));
  }
  if (param.kind == FilterParam::Kind::kWhole && value != std::round(value)) {
    return Wrong(param, Short(value) + " is not a whole number");
  }
  values[0] = static_cast<float>(value);
  return {};
}

Status SetChoice(const FilterParam& param, std::string_view name, std::span<float> values) {
  std::string names;
  for (size_t i = 0; i < param.choices.size(); ++i) {
    if (param.choices[i] == name) {
      values[0] = static_cast<float>(i);
      return {};
    }
    names += (i == 0 ? "" : ", ") + std::string(param.choices[i]);
  }
  return Wrong(param, "\"" + std::string(name) + "\" is not one of " + names);
}

void PutColor(uint32_t rrggbbaa, std::span<float> values) {
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>((rrggbbaa >> (24 - 8 * i)) & 0xFFU) / 255.0F;
  }
}

Status SetColor(const FilterParam& param, std::string_view text, std::span<float> values) {
  uint32_t color = 0;
  const bool with_alpha = text.size() == 9 && param.kind == FilterParam::Kind::kColorAlpha;
  if ((text.size() == 7 || with_alpha) && text[0] == '#') {
    const auto [stop, error] =
        std::from_chars(text.data() + 1, text.data() + text.size(), color, 16);
    if (error == std::errc() && stop == text.data() + text.size()) {
      PutColor(with_alpha ? color : color << 8 | 0xFFU, values);
      return {};
    }
  }
  return Wrong(param,
               "\"" + std::string(text) + "\" is not a colour like \"#1b1464\"" +
                   (param.kind == FilterParam::Kind::kColorAlpha ? " or \"#1b1464ff\"" : ""));
}

}  // namespace

uint32_t FilterSpec::value_count() const { return ValueAt(params.size()); }

uint32_t FilterSpec::ValueAt(size_t param) const {
  uint32_t at = 0;
  for (size_t i = 0; i < param; ++i) at += params[i].numbers();
  return at;
}

Status SetFilterParam(const FilterParam& param, const sluice_param& given,
                      std::span<float> values) {
  const std::string_view text = given.s != nullptr ? given.s : "";
  switch (param.kind) {
    case FilterParam::Kind::kNumber:
    case FilterParam::Kind::kWhole:
      return SetNumber(
          param, given.type == SLUICE_VALUE_FLOAT ? given.f : static_cast<double>(given.i), values);
    case FilterParam::Kind::kBool:
      values[0] = given.i != 0 ? 1 : 0;
      return {};
    case FilterParam::Kind::kChoice:
      return SetChoice(param, text, values);
    default:
      return SetColor(param, text, values);
  }
}

Result<std::vector<float>> FilterValues(const FilterSpec& spec, const sdk::Params& set) {
  std::vector<float> values(spec.value_count());
  for (size_t i = 0; i < spec.params.size(); ++i) {
    const FilterParam& param = spec.params[i];
    const auto place = std::span(values).subspan(spec.ValueAt(i), param.numbers());
    if (const sluice_param* given = set.Find(param.name.c_str())) {
      if (Status s = SetFilterParam(param, *given, place); !s) return tl::unexpected(s.error());
    } else if (param.numbers() > 1) {
      PutColor(static_cast<uint32_t>(param.fallback) << 8 | 0xFFU, place);
    } else {
      place[0] = static_cast<float>(param.fallback);
    }
  }
  return values;
}

}  // namespace sluice::vulkan
