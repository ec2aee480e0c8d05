#include "nodes/vulkan/looks.h"

#include <charconv>
#include <string>

#include "nodes/vulkan/glsl.h"

namespace sluice::vulkan {
namespace {

constexpr LookParam kAmount{"amount", 0, 0.0, 1.0, 1.0};

std::string NamesOf(const Look& look) {
  std::string out;
  for (const LookParam& p : look.params) {
    if (!out.empty()) out += ", ";
    out += p.name;
  }
  return out;
}

void Put(const LookParam& p, double value, Params& params) {
  if (!p.is_color) {
    params[p.index] = static_cast<float>(value);
    return;
  }
  const auto rgb = static_cast<uint32_t>(value);
  for (uint32_t i = 0; i < 3; ++i) {
    params[p.index + i] = static_cast<float>((rgb >> (16 - 8 * i)) & 0xFFU) / 255.0F;
  }
}

Result<double> ValueOf(const LookParam& p, const sluice_param& given) {
  if (p.is_color) {
    auto color = ParseColor(given.s != nullptr ? given.s : "");
    if (!color) return Fail(color.error().code, std::string(p.name) + ": " + color.error().message);
    return static_cast<double>(*color);
  }
  const double value = given.type == SLUICE_VALUE_INT ? static_cast<double>(given.i) : given.f;
  // Written so that NaN is refused too.
  if (!(value >= p.minimum && value <= p.maximum)) {
    return Fail(SLUICE_E_INVALID_ARGUMENT, std::string(p.name) + ": " + std::to_string(value) +
                                               " is not in " + std::to_string(p.minimum) + " .. " +
                                               std::to_string(p.maximum));
  }
  return value;
}

}  // namespace

const std::vector<Look>& Looks() {
  static const std::vector<Look>* const looks = new std::vector<Look>{
      {"mono", 1, false, {kAmount}},
      {"sepia", 2, false, {kAmount}},
      {"noir", 3, false, {kAmount, {"contrast", 1, 0.5, 3.0, 1.25}}},
      {"vivid",
       4,
       false,
       {kAmount, {"saturation", 1, 0.0, 3.0, 1.35}, {"contrast", 2, 0.5, 3.0, 1.1}}},
      {"cool", 5, false, {kAmount, {"strength", 1, 0.0, 1.0, 0.5}}},
      {"warm", 6, false, {kAmount, {"strength", 1, 0.0, 1.0, 0.5}}},
      {"fade", 7, false, {kAmount, {"lift", 1, 0.0, 0.5, 0.12}, {"saturation", 2, 0.0, 3.0, 0.75}}},
      {"duotone",
       8,
       false,
       {kAmount, {"shadow", 1, 0, 0, 0x1B1464, true}, {"highlight", 4, 0, 0, 0xF7D358, true}}},
      {"vignette",
       9,
       false,
       {kAmount, {"strength", 1, 0.0, 1.0, 0.8}, {"radius", 2, 0.0, 0.95, 0.4}}},
      {"negative", 10, false, {kAmount}},
      {"posterize",
       11,
       false,
       {kAmount, {"levels", 1, 2.0, 64.0, 4.0}, {"softness", 2, 0.02, 1.0, 0.1}}},
      {"solarize", 12, false, {kAmount, {"threshold", 1, 0.05, 0.95, 0.5}}},
      {"chromatic-aberration", 13, true, {kAmount, {"shift", 1, 0.0, 0.05, 0.004}}},
      {"pencil",
       14,
       true,
       {kAmount,
        {"darkness", 1, 0.0, 20.0, 4.0},
        {"edge_floor", 2, 0.0, 0.5, 0.03},
        {"shading", 3, 0.0, 1.0, 0.25}}},
  };
  return *looks;
}

Result<const Look*> FindLook(std::string_view name) {
  std::string names;
  for (const Look& look : Looks()) {
    if (look.name == name) return &look;
    names += names.empty() ? "" : ", ";
    names += look.name;
  }
  return Fail(SLUICE_E_NOT_FOUND, "no look \"" + std::string(name) + "\"; there are " + names);
}

Stage LookStage(const Look& look) {
  Stage stage;
  stage.label = look.name;
  stage.origin = "looks.glsl";
  stage.glsl = "const uint kLook = " + std::to_string(look.id) + "u;\n#line 1 \"looks.glsl\"\n" +
               std::string(ShaderText("looks.glsl"));
  stage.samples = look.neighbourhood;
  stage.keeps_alpha = true;
  stage.limits = true;
  stage.param_count = kParamCount;
  if (!look.neighbourhood) stage.neutrals = {{kAmount.index, 1.0F}};
  return stage;
}

Result<uint32_t> ParseColor(std::string_view text) {
  uint32_t value = 0;
  const char* const end = text.data() + text.size();
  if (text.size() == 7 && text[0] == '#') {
    const auto [stop, error] = std::from_chars(text.data() + 1, end, value, 16);
    if (error == std::errc() && stop == end) return value;
  }
  return Fail(SLUICE_E_INVALID_ARGUMENT,
              "\"" + std::string(text) + "\" is not a colour like \"#1b1464\"");
}

Result<bool> SetLookParam(const Look& look, const sluice_param& param, Params& params) {
  for (const LookParam& p : look.params) {
    if (p.name != param.name) continue;
    auto value = ValueOf(p, param);
    if (!value) return tl::unexpected(value.error());
    Put(p, *value, params);
    return true;
  }
  return false;
}

Result<Params> LookParams(const Look& look, const sluice_param_set& set) {
  Params params{};
  for (const LookParam& p : look.params) Put(p, p.fallback, params);
  for (uint32_t i = 0; i < set.count; ++i) {
    const sluice_param& param = set.params[i];
    if (std::string_view(param.name) == "look") continue;
    auto known = SetLookParam(look, param, params);
    if (!known) return tl::unexpected(known.error());
    if (!*known && param.given) {
      return Fail(SLUICE_E_INVALID_ARGUMENT, "look " + std::string(look.name) +
                                                 " has no parameter \"" + param.name +
                                                 "\"; it has " + NamesOf(look));
    }
  }
  return params;
}

}  // namespace sluice::vulkan
