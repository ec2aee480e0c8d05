// What each filter is made of. docs/filters.md has the formulas.
#include <algorithm>
#include <array>
#include <numeric>

#include "nodes/vulkan/filters/filter_shaders.h"
#include "nodes/vulkan/filters/filter_spec.h"

namespace sluice::vulkan {
namespace {

using Kind = FilterParam::Kind;
using Stages = Result<std::vector<Stage>>;

/// Constants, then the texts of these files of this folder.
std::string Text(const std::string& constants, std::initializer_list<std::string_view> files) {
  std::string text = constants;
  for (const std::string_view file : files) {
    for (const FilterShader& shader : kFilterShaders) {
      if (shader.name == file) text += shader.text;
    }
  }
  return text;
}

Stage MakeStage(Stage::Kind kind, std::string label, const std::string& constants,
                std::initializer_list<std::string_view> files) {
  Stage stage;
  stage.kind = kind;
  stage.label = std::move(label);
  stage.origin = std::string(*(files.end() - 1));
  stage.glsl = Text(constants, files);
  return stage;
}

Stage Pointwise(std::string label, std::string_view file, uint32_t params) {
  Stage stage = MakeStage(Stage::Kind::kPointwise, std::move(label), "", {file});
  stage.param_count = params;
  return stage;
}

Stage KeepingAlpha(Stage stage) {
  stage.keeps_alpha = true;
  return stage;
}

/// One pixel of the input for each of the output.
Stage Moved(std::string label, const std::string& constants, std::string_view file,
            const sluice_format& output, uint32_t params) {
  Stage stage = MakeStage(Stage::Kind::kSample, std::move(label), constants, {file});
  stage.reads_once = true;
  stage.width = output.width;
  stage.height = output.height;
  stage.param_count = params;
  return stage;
}

/// One axis of a weighted mean.
struct Axis {
  int axis;
  bool first;
  bool last;
};
constexpr Axis kRows{0, true, false};
constexpr Axis kColumns{1, false, true};

Stage Mean(const std::string& label, Axis axis, const std::string& constants,
           std::initializer_list<std::string_view> files, uint32_t params) {
  const auto flag = [](bool value) { return value ? "true" : "false"; };
  Stage stage = MakeStage(Stage::Kind::kSample, label + (axis.axis == 0 ? ", rows" : ", columns"),
                          "const int kAxis = " + std::to_string(axis.axis) +
                              ";\nconst bool kFirst = " + flag(axis.first) +
                              ";\nconst bool kLast = " + flag(axis.last) + ";\n" + constants,
                          files);
  stage.wide = true;
  stage.inputs = {axis.first ? 0 : Stage::kPrevious};
  stage.param_count = params;
  return stage;
}

tl::unexpected<Error> Wrong(const std::string& what) {
  return Fail(SLUICE_E_INVALID_ARGUMENT, what);
}

std::string SizeText(const sluice_format& format) {
  return std::to_string(format.width) + "x" + std::to_string(format.height);
}

Status CheckSameSize(const FilterPorts& ports, size_t port, const std::string& name) {
  const sluice_format& in = *ports.inputs[port];
  if (in.width == ports.output.width && in.height == ports.output.height) return {};
  return Wrong(name + " is " + SizeText(in) + ", out is " + SizeText(ports.output));
}

Status CheckSameSize(const FilterPorts& ports) { return CheckSameSize(ports, 0, "in"); }

Result<FilterChoices> ChooseSize(const sdk::Params& params) {
  FilterChoices choices;
  if (params.Has("size")) choices.size = params.Size("size");
  return choices;
}

// ---- what travels with the frames

/// The whole of the output is picture.
void ShowAll(const sluice_format& out, sluice_frame_info& info) {
  info.crop_x = info.crop_y = 0;
  info.crop_width = out.width;
  info.crop_height = out.height;
}

/// A pixel's shape after the picture was stretched.
void StretchAspect(const sluice_format& in, const sluice_format& out, sluice_frame_info& info) {
  if (info.aspect_num == 0 || info.aspect_den == 0) info.aspect_num = info.aspect_den = 1;
  // Sizes have 15 bits, so that 30 and the frame's own 32 do not overflow.
  uint64_t num = uint64_t{in.width} * out.height * info.aspect_num;
  uint64_t den = uint64_t{out.width} * in.height * info.aspect_den;
  const uint64_t common = std::gcd(num, den);
  num /= common;
  den /= common;
  while (num > UINT32_MAX || den > UINT32_MAX) {
    num = (num + 1) / 2;
    den = (den + 1) / 2;
  }
  info.aspect_num = static_cast<uint32_t>(num);
  info.aspect_den = static_cast<uint32_t>(den);
}

float CutInfo(const FilterChoices&, const sluice_format&, const sluice_format& out,
              sluice_frame_info& info) {
  ShowAll(out, info);
  return 0;
}

float ScaleInfo(const FilterChoices&, const sluice_format& in, const sluice_format& out,
                sluice_frame_info& info) {
  ShowAll(out, info);
  if (in.width != out.width || in.height != out.height) StretchAspect(in, out, info);
  return 0;
}

/// The frame's number for the shader: quarters, and 4 more where left and right are exchanged
/// afterwards.
float RotateInfo(const FilterChoices& choices, const sluice_format&, const sluice_format& out,
                 sluice_frame_info& info) {
  const bool by_frame = choices.choice == "auto";
  const int frame = (info.rotation_degrees % 360 + 360) % 360;
  const int angle = by_frame ? frame / 90 * 90 : std::stoi(choices.choice);
  // Frames are mirrored last: what a fixed angle leaves of the turn comes before that, too.
  const bool mirrored = by_frame && (info.flags & SLUICE_FRAME_MIRRORED) != 0;
  ShowAll(out, info);
  // Of a turn that is no quarter: behind the mirror it goes the other way.
  const int left = mirrored ? angle - frame : frame - angle;
  info.rotation_degrees = (left + 360) % 360;
  if (mirrored) info.flags &= ~SLUICE_FRAME_MIRRORED;
  if (angle % 180 != 0) std::swap(info.aspect_num, info.aspect_den);
  return static_cast<float>(angle / 90 + (mirrored ? 4 : 0));
}

// ---- scale

constexpr std::array<std::string_view, 5> kScaleFilters = {"nearest", "bilinear", "bicubic",
                                                           "mitchell", "lanczos"};

Result<FilterChoices> ChooseScale(const sdk::Params& params) {
  auto choices = ChooseSize(params);
  choices->choice = params.String("filter", "bicubic");
  choices->linear = params.Bool("linear");
  if (std::find(kScaleFilters.begin(), kScaleFilters.end(), choices->choice) ==
      kScaleFilters.end()) {
    return Wrong("filter: \"" + choices->choice +
                 "\" is not one of nearest, bilinear, bicubic, mitchell, lanczos");
  }
  if (choices->linear && choices->choice == "nearest")
    return Wrong("linear: nearest copies pixels, in whatever light; give another filter");
  return choices;
}

Stages ScaleStages(const FilterPorts& ports, const FilterChoices& choices) {
  const sluice_format& in = *ports.inputs[0];
  const sluice_format& out = ports.output;
  if (choices.choice == "nearest")
    return std::vector{Moved("scale, nearest", "", "nearest.glsl", out, 0)};
  const auto filter = std::find(kScaleFilters.begin(), kScaleFilters.end(), choices.choice);
  // An axis that keeps its size keeps its pixels, but for a kernel that blurs them.
  const bool always = choices.choice == "mitchell";
  const bool rows = always || in.width != out.width, columns = always || in.height != out.height;
  if (!rows && !columns) return std::vector<Stage>{};
  const std::string constants =
      "const int kFilter = " + std::to_string(filter - kScaleFilters.begin()) +
      ";\nconst bool kLinear = " + (choices.linear ? "true" : "false") + ";\n";
  std::vector<Stage> stages;
  if (choices.linear) stages.push_back(Pointwise("scale, to linear light", "linear.glsl", 0));
  const auto add = [&](Axis axis) {
    Stage stage =
        Mean("scale, " + choices.choice, axis, constants, {"average.glsl", "scale.glsl"}, 0);
    if (!stages.empty()) stage.inputs = {Stage::kPrevious};
    stage.width = out.width;
    stage.height = axis.axis == 0 ? in.height : out.height;
    stages.push_back(std::move(stage));
  };
  if (rows) add({0, true, !columns});
  if (columns) add({1, !rows, true});
  return stages;
}

// ---- crop, rotate, flip

Stages CropStages(const FilterPorts& ports, const FilterChoices&) {
  return std::vector{Moved("crop", "", "crop.glsl", ports.output, 2)};
}

Result<FilterChoices> ChooseAngle(const sdk::Params& params) {
  auto choices = ChooseSize(params);
  choices->choice = params.String("angle", "auto");
  for (const char* known : {"0", "90", "180", "270", "auto"}) {
    if (choices->choice == known) return choices;
  }
  return Wrong("angle: \"" + choices->choice + "\" is not one of 0, 90, 180, 270, auto");
}

Stages RotateStages(const FilterPorts& ports, const FilterChoices& choices) {
  const sluice_format& in = *ports.inputs[0];
  const sluice_format& out = ports.output;
  const bool by_frame = choices.choice == "auto";
  const int quarters = by_frame ? 0 : std::stoi(choices.choice) / 90;
  const bool turned = quarters % 2 != 0;
  const bool fits =
      out.width == (turned ? in.height : in.width) && out.height == (turned ? in.width : in.height);
  if (fits && !by_frame) {
    return std::vector{Moved("rotate", "const int kQuarters = " + std::to_string(quarters) + ";\n",
                             "turn.glsl", out, 0)};
  }
  Stage stage = Moved("rotate", "", "turn_fit.glsl", out, 1);
  stage.reads_once = false;
  return std::vector{std::move(stage)};
}

Stages FlipStages(const FilterPorts& ports, const FilterChoices&) {
  if (Status s = CheckSameSize(ports); !s) return tl::unexpected(s.error());
  return std::vector{Moved("flip", "", "flip.glsl", ports.output, 1)};
}

// ---- compose

constexpr uint32_t kLayers = 8;
constexpr uint32_t kBackgroundNumbers = 4;
constexpr uint32_t kLayerNumbers = 6;

std::vector<FilterParam> ComposeParams() {
  std::vector<FilterParam> params = {{"background", Kind::kColorAlpha, 0, 0, 0}};
  for (uint32_t i = 0; i < kLayers; ++i) {
    const std::string n = std::to_string(i);
    params.push_back({"x" + n, Kind::kNumber, -16384, 16384, 0});
    params.push_back({"y" + n, Kind::kNumber, -16384, 16384, 0});
    params.push_back({"width" + n, Kind::kNumber, 0, 16384, 0});
    params.push_back({"height" + n, Kind::kNumber, 0, 16384, 0});
    params.push_back({"opacity" + n, Kind::kNumber, 0, 1, 1});
    params.push_back({"order" + n, Kind::kWhole, -1000, 1000, static_cast<double>(i)});
  }
  return params;
}

/// The layers from the bottom up, each with its port in front instead of its order behind.
void SortLayers(std::span<const float> values, std::span<float> out) {
  std::copy_n(values.begin(), kBackgroundNumbers, out.begin());
  const auto layer = [&](uint32_t i) {
    return values.subspan(kBackgroundNumbers + i * kLayerNumbers, kLayerNumbers);
  };
  std::array<uint32_t, kLayers> order{};
  std::iota(order.begin(), order.end(), 0U);
  // Few, and it must not allocate: std::stable_sort does.
  for (uint32_t i = 1; i < kLayers; ++i) {
    for (uint32_t k = i; k > 0 && layer(order[k - 1])[5] > layer(order[k])[5]; --k)
      std::swap(order[k - 1], order[k]);
  }
  for (uint32_t i = 0; i < kLayers; ++i) {
    const auto to = out.subspan(kBackgroundNumbers + i * kLayerNumbers, kLayerNumbers);
    to[0] = static_cast<float>(order[i]);
    std::copy_n(layer(order[i]).begin(), kLayerNumbers - 1, to.begin() + 1);
  }
}

Stages ComposeStages(const FilterPorts& ports, const FilterChoices&) {
  // Only ports with an edge are in the text: reading one of another format is much code.
  std::vector<uint32_t> there;
  std::string layers = "vec4 layerAt(int port, vec2 at) {\n";
  std::string sizes = "ivec2 layerSize(int port) {\n";
  for (uint32_t i = 0; i < ports.inputs.size(); ++i) {
    if (!ports.inputs[i]) continue;
    const std::string k = std::to_string(there.size());
    const std::string when = "  if (port == " + std::to_string(i) + ") return ";
    layers += when + "bilinear" + k + "(at);\n";
    sizes += when + "size" + k + "();\n";
    there.push_back(i);
  }
  layers += "  return vec4(0.0);\n}\n";
  sizes += "  return ivec2(0);\n}\n";
  Stage stage = MakeStage(Stage::Kind::kSample, "compose",
                          "const int kLayers = " + std::to_string(kLayers) + ";\n" + layers + sizes,
                          {"over.glsl", "compose.glsl"});
  stage.inputs = std::move(there);
  stage.width = ports.output.width;
  stage.height = ports.output.height;
  stage.param_count = kBackgroundNumbers + kLayers * kLayerNumbers;
  return std::vector{std::move(stage)};
}

// ---- blur, box-blur, sharpen

Stages BlurStages(const FilterPorts& ports, const FilterChoices&) {
  if (Status s = CheckSameSize(ports); !s) return tl::unexpected(s.error());
  const auto axis = [](Axis a) {
    return Mean("blur", a, "", {"average.glsl", "gaussian.glsl", "blur.glsl"}, 1);
  };
  return std::vector{axis(kRows), axis(kColumns)};
}

Stages BoxBlurStages(const FilterPorts& ports, const FilterChoices&) {
  if (Status s = CheckSameSize(ports); !s) return tl::unexpected(s.error());
  const auto axis = [](Axis a) { return Mean("box-blur", a, "", {"average.glsl", "box.glsl"}, 1); };
  return std::vector{axis(kRows), axis(kColumns)};
}

Stages SharpenStages(const FilterPorts& ports, const FilterChoices&) {
  if (Status s = CheckSameSize(ports); !s) return tl::unexpected(s.error());
  Stage rows = Mean("sharpen", kRows, "", {"average.glsl", "gaussian.glsl", "blur.glsl"}, 3);
  Stage columns =
      Mean("sharpen", kColumns, "", {"average.glsl", "gaussian.glsl", "sharpen.glsl"}, 3);
  columns.inputs = {Stage::kPrevious, 0};
  return std::vector{std::move(rows), std::move(columns)};
}

// ---- lut, chroma-key, adjust, mask

Result<FilterChoices> ChooseLut(const sdk::Params& params) {
  const std::string path = params.String("path");
  if (path.empty()) return Wrong("path: no file is given");
  auto lut = LoadCube(path);
  if (!lut) return Fail(lut.error().code, "path: " + lut.error().message);
  FilterChoices choices;
  choices.lut = std::move(*lut);
  return choices;
}

std::vector<float> LutTable(const FilterChoices& choices) {
  const CubeLut& lut = choices.lut;
  std::vector<float> table = {static_cast<float>(lut.size), static_cast<float>(lut.dimensions), 0,
                              0};
  table.reserve(12 + 4 * lut.entries.size());
  const auto add = [&](const std::array<float, 3>& v) {
    table.insert(table.end(), {v[0], v[1], v[2], 0});
  };
  add(lut.domain_min);
  add(lut.domain_max);
  for (const auto& entry : lut.entries) add(entry);
  return table;
}

Stages LutStages(const FilterPorts& ports, const FilterChoices&) {
  if (Status s = CheckSameSize(ports); !s) return tl::unexpected(s.error());
  Stage stage = KeepingAlpha(Pointwise("lut", "lut.glsl", 1));
  stage.neutrals = {{0, 1.0F}};
  return std::vector{std::move(stage)};
}

Stages ChromaKeyStages(const FilterPorts& ports, const FilterChoices&) {
  if (Status s = CheckSameSize(ports); !s) return tl::unexpected(s.error());
  return std::vector{Pointwise("chroma-key", "chroma_key.glsl", 6)};
}

Stages AdjustStages(const FilterPorts& ports, const FilterChoices&) {
  if (Status s = CheckSameSize(ports); !s) return tl::unexpected(s.error());
  Stage stage = KeepingAlpha(Pointwise("adjust", "adjust.glsl", 4));
  stage.limits = true;
  stage.neutrals = {{0, 0.0F}, {1, 1.0F}, {2, 1.0F}, {3, 1.0F}};
  return std::vector{std::move(stage)};
}

Stages MaskStages(const FilterPorts& ports, const FilterChoices&) {
  if (Status s = CheckSameSize(ports, 0, "base"); !s) return tl::unexpected(s.error());
  if (Status s = CheckSameSize(ports, 1, "overlay"); !s) return tl::unexpected(s.error());
  Stage stage = MakeStage(Stage::Kind::kSample, "mask", "", {"over.glsl", "mask.glsl"});
  stage.inputs = {0, 1, 2};
  stage.width = ports.output.width;
  stage.height = ports.output.height;
  stage.param_count = 3;
  return std::vector{std::move(stage)};
}

}  // namespace

const FilterSpec& ScaleSpec() {
  static const auto* const spec =
      new FilterSpec{.choose = ChooseScale, .stages = ScaleStages, .info = ScaleInfo};
  return *spec;
}

const FilterSpec& CropSpec() {
  static const auto* const spec = new FilterSpec{
      .params = {{"x", Kind::kWhole, -16384, 16384, 0}, {"y", Kind::kWhole, -16384, 16384, 0}},
      .choose = ChooseSize,
      .stages = CropStages,
      .info = CutInfo};
  return *spec;
}

const FilterSpec& RotateSpec() {
  static const auto* const spec = new FilterSpec{
      .choose = ChooseAngle, .stages = RotateStages, .numbers = 1, .info = RotateInfo};
  return *spec;
}

const FilterSpec& FlipSpec() {
  static const auto* const spec = new FilterSpec{
      .params = {{"direction", Kind::kChoice, 0, 0, 0, {"horizontal", "vertical", "both"}}},
      .stages = FlipStages};
  return *spec;
}

const FilterSpec& ComposeSpec() {
  static const auto* const spec =
      new FilterSpec{.inputs = {"in0", "in1", "in2", "in3", "in4", "in5", "in6", "in7"},
                     .required = 1,
                     .params = ComposeParams(),
                     .choose = ChooseSize,
                     .stages = ComposeStages,
                     .derive = SortLayers,
                     .numbers = kBackgroundNumbers + kLayers * kLayerNumbers,
                     .info = CutInfo};
  return *spec;
}

const FilterSpec& BlurSpec() {
  static const auto* const spec =
      new FilterSpec{.params = {{"sigma", Kind::kNumber, 0, 64, 4}}, .stages = BlurStages};
  return *spec;
}

const FilterSpec& BoxBlurSpec() {
  static const auto* const spec =
      new FilterSpec{.params = {{"radius", Kind::kNumber, 0, 128, 4}}, .stages = BoxBlurStages};
  return *spec;
}

const FilterSpec& SharpenSpec() {
  static const auto* const spec = new FilterSpec{.params = {{"sigma", Kind::kNumber, 0, 16, 1},
                                                            {"amount", Kind::kNumber, 0, 5, 1},
                                                            {"threshold", Kind::kNumber, 0, 1, 0}},
                                                 .stages = SharpenStages};
  return *spec;
}

const FilterSpec& LutSpec() {
  static const auto* const spec = new FilterSpec{.params = {{"amount", Kind::kNumber, 0, 1, 1}},
                                                 .choose = ChooseLut,
                                                 .stages = LutStages,
                                                 .table = LutTable};
  return *spec;
}

const FilterSpec& ChromaKeySpec() {
  static const auto* const spec =
      new FilterSpec{.params = {{"color", Kind::kColor, 0, 0, 0x00FF00},
                                {"similarity", Kind::kNumber, 0, 1, 0.1},
                                {"blend", Kind::kNumber, 0, 1, 0.05},
                                {"spill", Kind::kNumber, 0, 1, 0}},
                     .stages = ChromaKeyStages};
  return *spec;
}

const FilterSpec& AdjustSpec() {
  static const auto* const spec = new FilterSpec{.params = {{"brightness", Kind::kNumber, -1, 1, 0},
                                                            {"contrast", Kind::kNumber, 0, 4, 1},
                                                            {"saturation", Kind::kNumber, 0, 4, 1},
                                                            {"gamma", Kind::kNumber, 0.1, 10, 1}},
                                                 .stages = AdjustStages};
  return *spec;
}

const FilterSpec& MaskSpec() {
  static const auto* const spec =
      new FilterSpec{.inputs = {"base", "overlay", "mask"},
                     .params = {{"channel", Kind::kChoice, 0, 0, 0, {"luma", "alpha"}},
                                {"invert", Kind::kBool},
                                {"opacity", Kind::kNumber, 0, 1, 1}},
                     .stages = MaskStages};
  return *spec;
}

}  // namespace sluice::vulkan
