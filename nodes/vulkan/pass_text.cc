#include "nodes/vulkan/pass_text.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <map>
#include <string_view>

#include "nodes/vulkan/glsl.h"

namespace sluice::vulkan {
namespace {

using Names = std::map<std::string, std::string, std::less<>>;

constexpr std::string_view kStageMark = "_at";
constexpr std::string_view kInputMark = "_in";
constexpr std::string_view kStepMark = "_of";
constexpr std::string_view kOwnMark = "_own";
// One input's files, in the order of their needs.
constexpr std::string_view kInputFiles[] = {"source.glsl", "colour.glsl", "load.glsl", "fetch.glsl",
                                            "pixels.glsl"};

/// Every pixel format is one of bytes or halves of R, G, B, A in one plane.
bool IsPlain(const Pass& pass) {
  if (pass.result.is_yuv()) return false;
  return pass.sample || (!pass.inputs.empty() && !pass.inputs[0].shape.is_yuv());
}

/// Of plain.glsl: threads, and how many rows each works on.
struct Workgroup {
  uint32_t x;
  uint32_t y;
  uint32_t rows;
};

bool HasHalves(const Pass& pass) {
  return pass.result.pixels == Pixels::kRgba16f ||
         (!pass.sample && pass.inputs[0].shape.pixels == Pixels::kRgba16f);
}

/// What memory limits is fastest with many small groups, arithmetic with four pixels a thread,
/// which are two rows where 16 bytes are two of them (docs/benchmarks.md, "Chains of GPU filters").
Workgroup WorkgroupOf(const Pass& pass) {
  constexpr size_t kFew = 2;
  if (!pass.sample && pass.tail.size() <= kFew) return {32, 4, 1};
  return {32, 8, HasHalves(pass) ? 2U : 1U};
}

std::string Marked(std::string_view name, std::string_view mark, uint32_t number) {
  return std::string(name) + std::string(mark) + std::to_string(number);
}

/// As GLSL.
std::string FloatText(float value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.9g", static_cast<double>(value));
  const std::string digits = text.data();
  return digits.find_first_of(".e") == std::string::npos ? digits + ".0" : digits;
}

class Writer {
 public:
  Writer(const Network& network, const Pass& pass, const std::vector<uint32_t>& table_at,
         std::span<const std::vector<float>> numbers)
      : network_(network), pass_(pass), table_at_(table_at), numbers_(numbers) {}

  PassText Run() {
    text_.inputs = std::max<uint32_t>(static_cast<uint32_t>(pass_.inputs.size()), 1);
    PlaceParams();
    PlaceSizes();
    Head();
    for (uint32_t i = 0; i < text_.inputs; ++i) AddInput(i);
    Add("tools.glsl");
    Add("store.glsl");
    for (uint32_t i = 0; i < pass_.inputs.size(); ++i) AddReaders(i);
    if (pass_.inputs.empty()) out_ += "vec4 pixel_in0(ivec2 at) { return vec4(0.0); }\n";
    AddWork();
    const bool plain = IsPlain(pass_);
    if (plain) {
      AddPlain();
    } else {
      Add("block.glsl");
      // As it has it.
      text_.pixels_across = 128;
      text_.pixels_down = 8;
    }
    AddMain();
    text_.glsl = std::move(out_);
    return std::move(text_);
  }

 private:
  const Stage& StageOf(const StageRef& ref) const {
    return network_.nodes[ref.node].stages[ref.stage];
  }

  bool Samples(const Pass::Step& step) const {
    return StageOf(step.stage).kind == Stage::Kind::kSample;
  }

  void AddPlain() {
    const Workgroup group = WorkgroupOf(pass_);
    out_ += "const int kGroupX = " + std::to_string(group.x) +
            ", kGroupY = " + std::to_string(group.y) + ", kRows = " + std::to_string(group.rows) +
            ";\n";
    Add("plain.glsl");
    text_.pixels_across = group.x * (HasHalves(pass_) ? 2 : 4);
    text_.pixels_down = group.y * group.rows;
  }

  void PlaceParams() {
    const auto place = [&](const StageRef& ref) {
      text_.params.push_back({ref, text_.floats});
      text_.floats += StageOf(ref).param_count;
    };
    for (const Pass::Input& input : pass_.inputs) {
      for (const Pass::Step& step : input.chain) place(step.stage);
    }
    if (pass_.sample) place(*pass_.sample);
    for (const StageRef& ref : pass_.tail) place(ref);
    for (const ParamSlice& slice : text_.params) Settle(slice.stage);
    text_.settled_at = text_.floats;
    if (!text_.settled.empty()) ++text_.floats;
    text_.floats = std::max((text_.floats + 3) / 4 * 4, 4U);
  }

  void Settle(const StageRef& ref) {
    const Stage& stage = StageOf(ref);
    for (const Stage::Neutral& neutral : stage.neutrals) {
      const SettledNumber settled{ref.node, stage.first_param + neutral.param, neutral.value};
      if (!numbers_.empty() && AreSettled({&settled, 1}, numbers_))
        text_.settled.push_back(settled);
    }
  }

  void PlaceSizes() {
    for (const Pass::Input& input : pass_.inputs) {
      for (const Pass::Step& step : input.chain) {
        if (Samples(step)) text_.sizes.push_back({step.width, step.height});
      }
    }
  }

  void Head() {
    const bool work = !text_.params.empty();
    out_ =
        "#version 460\n#extension GL_GOOGLE_cpp_style_line_directive : require\n"
        "#extension GL_EXT_control_flow_attributes : require\n";
    if (pass_.sample) out_ += "#define SLUICE_SAMPLED 1\n";
    out_ += "const int kInputs = " + std::to_string(text_.inputs) + ";\n";
    out_ += "const int kSizes = " + std::to_string(text_.sizes.size()) + ";\n";
    out_ += "const int kParams = " + std::to_string(text_.floats / 4) + ";\n";
    AddFlag("kPixelToPixel", !pass_.sample.has_value());
    // Filters begin and end with colours that exist; a conversion alone keeps what others do not
    // show.
    AddFlag("kLimits", work || TouchesInner());
    AddFlag("kKeepsAlpha", KeepsAlpha());
    Add("formats.glsl");
    Add("result.glsl");
    works_ = work;
    if (!text_.settled.empty()) out_ += "bool settled_ = false;\n";
  }

  void AddFlag(std::string_view name, bool value) {
    out_ += "const bool " + std::string(name) + (value ? " = true;\n" : " = false;\n");
  }

  /// Whether it reads or writes what is only between the passes of filters.
  bool TouchesInner() const {
    const auto inner = [](const Pass::Place& place) {
      return place.kind == Pass::Place::Kind::kInner;
    };
    return inner(pass_.to) ||
           std::any_of(pass_.inputs.begin(), pass_.inputs.end(),
                       [&](const Pass::Input& input) { return inner(input.place); });
  }

  bool KeepsAlpha() const {
    return !pass_.sample &&
           std::all_of(pass_.tail.begin(), pass_.tail.end(),
                       [&](const StageRef& ref) { return StageOf(ref).keeps_alpha; });
  }

  void Add(std::string_view file) {
    out_ += "#line 1 \"" + std::string(file) + "\"\n";
    out_ += ShaderText(file);
  }

  /// The first input has the files' own names, others their number behind each.
  void AddInput(uint32_t input) {
    Names names;
    if (input > 0) {
      for (const std::string_view file : kInputFiles) {
        for (const std::string& name : TopLevelNames(ShaderText(file)))
          names[name] = Marked(name, kInputMark, input);
      }
    }
    names["INPUT"] = std::to_string(input);
    for (const std::string_view file : kInputFiles) {
      out_ += "#line 1 \"" + std::string(file) + "\"\n";
      out_ += Rename(ShaderText(file), names);
    }
  }

  std::string OfInput(std::string_view name, uint32_t input) const {
    return input == 0 ? std::string(name) : Marked(name, kInputMark, input);
  }

  /// The functions by which stages read input `i`, with what is done to its pixels on the way. What
  /// each step makes is read as a frame is: its functions have its mark behind their names.
  void AddReaders(uint32_t i) {
    AddFrameReader(i);
    std::string mark = Marked("", kInputMark, i);
    for (const Pass::Step& step : pass_.inputs[i].chain) {
      AddStage(step.stage, Samples(step) ? NextSize() : "size" + mark + "()", "false", {mark});
      mark = AddStepReader(step, mark);
    }
    readers_.push_back(mark);
  }

  /// Of the next step that samples.
  std::string NextSize() {
    return "ivec2(pass_.src[3 * kInputs + " + std::to_string(sizes_used_++) + "].xy)";
  }

  void AddFrameReader(uint32_t i) {
    const std::string mark = Marked("", kInputMark, i);
    out_ += "vec4 pixel" + mark + "(ivec2 at) { return " + OfInput("fetchPixel", i) + "(at); }\n";
    out_ +=
        "vec4 bilinear" + mark + "(vec2 at) { return " + OfInput("fetchBilinear", i) + "(at); }\n";
    out_ += "ivec2 size" + mark + "() { return " + OfInput("srcSize", i) + "; }\n";
    out_ += "bool has" + mark + "() { return " + OfInput("kSrcThere", i) + " != 0u; }\n";
  }

  /// `before`: the mark of what the step reads. Returns its own.
  std::string AddStepReader(const Pass::Step& step, const std::string& before) {
    const uint32_t number = NumberOf(step.stage);
    const std::string mark = Marked("", kStepMark, number);
    const std::string size = Marked("frameSize", kStageMark, number) + "()";
    out_ += "vec4 pixel" + mark + "(ivec2 at) {\n  at = clamp(at, ivec2(0), " + size + " - 1);\n";
    out_ += "  return " + Marked("shade", kStageMark, number) + "(" +
            (Samples(step) ? "" : "pixel" + before + "(at), ") + "at);\n}\n";
    out_ += "ivec2 size" + mark + "() { return " + size + "; }\n";
    out_ += "bool has" + mark + "() { return true; }\n";
    return mark;
  }

  uint32_t NumberOf(const StageRef& ref) const {
    const auto found = std::find_if(text_.params.begin(), text_.params.end(),
                                    [&](const ParamSlice& slice) { return slice.stage == ref; });
    return static_cast<uint32_t>(found - text_.params.begin());
  }

  /// `size`: of its result. `limited`: of what it is given. `inputs`: the marks of what it reads.
  void AddStage(const StageRef& ref, const std::string& size, const std::string& limited,
                const std::vector<std::string>& inputs) {
    const Stage& stage = StageOf(ref);
    const uint32_t number = NumberOf(ref);
    Names names;
    for (const std::string& name : TopLevelNames(stage.glsl))
      names[name] = Marked(name, kStageMark, number);
    const std::string param = Marked("param", kStageMark, number);
    const std::string table = Marked("table", kStageMark, number);
    const std::string frame = Marked("frameSize", kStageMark, number);
    AddParam(ref, param, text_.params[number].at);
    names["sluiceLimited"] = Marked("sluiceLimited", kStageMark, number);
    out_ += "const bool " + names["sluiceLimited"] + " = " + limited + ";\n";
    out_ += "vec4 " + table + "(int i) { return tables_[" + std::to_string(table_at_[ref.node]) +
            " + i]; }\n";
    out_ += "ivec2 " + frame + "() { return " + size + "; }\n";
    names.emplace("param", param);
    names.emplace("table", table);
    names.emplace("frameSize", frame);
    names.emplace("luma", "lookLuma");
    for (uint32_t k = 0; k < inputs.size(); ++k) {
      for (const char* what : {"pixel", "bilinear", "size", "has"}) {
        names.emplace(what + std::to_string(k), what + inputs[k]);
      }
    }
    const std::string& origin = stage.origin.empty() ? stage.label : stage.origin;
    out_ += "#line 1 \"" + origin + "\"\n" + Rename(stage.glsl, names);
    out_ += "\n#line 1 \"sluice\"\n";
  }

  /// The function by which a stage reads its numbers; `at`: the first.
  void AddParam(const StageRef& ref, const std::string& name, uint32_t at) {
    const Stage& stage = StageOf(ref);
    out_ += "float " + name + "(int i) {\n";
    for (const SettledNumber& settled : text_.settled) {
      if (settled.node != ref.node || settled.number < stage.first_param ||
          settled.number - stage.first_param >= stage.param_count)
        continue;
      out_ += "  if (i == " + std::to_string(settled.number - stage.first_param) +
              " && settled_) return " + FloatText(settled.value) + ";\n";
    }
    out_ += "  const int k = " + std::to_string(at) +
            " + i;\n  return pass_.param[k >> 2][k & 3];\n}\n";
  }

  /// The global that texts look at is a constant in each body, once the bodies are inlined.
  void AddMain() {
    if (text_.settled.empty()) {
      out_ += "void main() { run(); }\n";
      return;
    }
    const uint32_t at = text_.settled_at;
    out_ += "void main() {\n  if (pass_.param[" + std::to_string(at / 4) + "][" +
            std::to_string(at % 4) +
            "] != 0.0) {\n    settled_ = true;\n    run();\n  } else {\n    settled_ = false;\n"
            "    run();\n  }\n}\n";
  }

  void AddWork() {
    out_ += "const bool kStaysYcc = ";
    out_ += works_ ? "false" : "kPixelToPixel && kSrcYuv && kDstYuv && kSrcMatrix == kDstMatrix";
    out_ += ";\n";
    if (pass_.sample) {
      std::vector<std::string> inputs;
      for (const uint32_t input : pass_.sample_inputs) inputs.push_back(readers_[input]);
      AddStage(*pass_.sample, "dstSize", "false", inputs);
    }
    // Halves may hold anything; block.glsl has limited what was Y'CbCr.
    std::string limited = pass_.sample ? "false" : "kSrcFormat != kRgba16f";
    for (const StageRef& ref : pass_.tail) {
      AddStage(ref, "dstSize", limited, {Marked("", kInputMark, 0)});
      limited = StageOf(ref).limits ? "true" : "false";
    }
    out_ += pass_.sample ? "vec4 work(ivec2 at) {\n  vec4 c = " +
                               Marked("shade", kStageMark, NumberOf(*pass_.sample)) + "(at);\n"
                         : "vec4 work(vec4 c, ivec2 at) {\n";
    for (const StageRef& ref : pass_.tail)
      out_ += "  c = " + Marked("shade", kStageMark, NumberOf(ref)) + "(c, at);\n";
    out_ += "  return c;\n}\n";
  }

  const Network& network_;
  const Pass& pass_;
  const std::vector<uint32_t>& table_at_;
  const std::span<const std::vector<float>> numbers_;
  PassText text_;
  std::string out_;
  std::vector<std::string> readers_;  // by input: the mark of what the sampling stage reads
  size_t sizes_used_ = 0;
  bool works_ = false;
};

}  // namespace

bool AreSettled(std::span<const SettledNumber> settled,
                std::span<const std::vector<float>> numbers) {
  return std::all_of(settled.begin(), settled.end(), [&](const SettledNumber& s) {
    const std::vector<float>& of = numbers[s.node];
    return s.number < of.size() && of[s.number] == s.value;
  });
}

PassText MakePassText(const Network& network, const Pass& pass,
                      const std::vector<uint32_t>& table_at,
                      std::span<const std::vector<float>> numbers) {
  return Writer(network, pass, table_at, numbers).Run();
}

std::string OwnName(std::string_view name) { return Marked(name, kOwnMark, 0); }

std::string PlainMessage(std::string message) {
  for (const std::string_view mark : {kStageMark, kInputMark, kStepMark, kOwnMark}) {
    for (size_t at = message.find(mark); at != std::string::npos; at = message.find(mark, at)) {
      size_t end = at + mark.size();
      while (end < message.size() && std::isdigit(static_cast<unsigned char>(message[end])) != 0)
        ++end;
      if (end == at + mark.size()) {
        at = end;
      } else {
        message.erase(at, end - at);
      }
    }
  }
  return message;
}

}  // namespace sluice::vulkan
