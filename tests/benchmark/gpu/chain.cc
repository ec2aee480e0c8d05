#include "tests/benchmark/gpu/chain.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <sstream>

#include "tests/benchmark/gpu/shader_sources.h"

namespace sluice::benchmark {
namespace {

double Clamp01(double value) { return std::clamp(value, 0.0, 1.0); }
Pixel Map(const Pixel& c, auto&& f) { return {f(c.r), f(c.g), f(c.b)}; }
double Luma(const Pixel& c) { return 0.2126 * c.r + 0.7152 * c.g + 0.0722 * c.b; }

Pixel Saturate(const Pixel& c, double s) {
  const double luma = Luma(c);
  return Map(c, [&](double v) { return luma + s * (v - luma); });
}

Pixel Apply(const Filter& filter, const Pixel& c, double x, double y, double width, double height) {
  const auto p = [&](size_t i) { return static_cast<double>(filter.params[i]); };
  if (filter.name == "brightness") return Map(c, [&](double v) { return v + p(0); });
  if (filter.name == "contrast") return Map(c, [&](double v) { return p(0) * (v - 0.5) + 0.5; });
  if (filter.name == "saturation") return Saturate(c, p(0));
  if (filter.name == "gamma") {
    return Map(c, [&](double v) { return std::pow(Clamp01(v), 1.0 / p(0)); });
  }
  if (filter.name == "warm") {
    return {c.r * (1 + 0.20 * p(0)), c.g * (1 + 0.04 * p(0)), c.b * (1 - 0.20 * p(0))};
  }
  if (filter.name == "fade") {
    return Map(Saturate(c, p(1)), [&](double v) { return p(0) + v * (0.95 - p(0)); });
  }
  if (filter.name == "sepia") {
    return {0.393 * c.r + 0.769 * c.g + 0.189 * c.b, 0.349 * c.r + 0.686 * c.g + 0.168 * c.b,
            0.272 * c.r + 0.534 * c.g + 0.131 * c.b};
  }
  if (filter.name != "vignette") throw Failure("no filter is called " + filter.name);
  const double r =
      std::hypot(x + 0.5 - width / 2, y + 0.5 - height / 2) / std::hypot(width / 2, height / 2);
  const double t = Clamp01((r - p(1)) / (1 - p(1)));
  return Map(c, [&](double v) { return v * (1 - p(0) * t * t * (3 - 2 * t)); });
}

float HalfToFloat(uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const float mantissa = static_cast<float>(bits & 1023);
  const float value =
      exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(mantissa + 1024.0F, exponent - 25);
  return (bits & 0x8000) != 0 ? -value : value;
}

/// Of 0 and 2^-14..2: what frames are filled with.
uint16_t FloatToHalf(float value) {
  if (value < 0x1p-14F) return 0;
  int exponent = 0;
  const float mantissa = std::frexp(value, &exponent);
  const auto rounded = static_cast<uint32_t>(std::lround(mantissa * 2048.0F));
  return static_cast<uint16_t>(((exponent + 13) << 10) + rounded);
}

Pixel ReadPixel(const void* frame, uint64_t index, Format format) {
  const auto* bytes = static_cast<const uint8_t*>(frame) + index * BytesPerPixel(format);
  if (format == Format::kRgba8) return {bytes[0] / 255.0, bytes[1] / 255.0, bytes[2] / 255.0};
  uint16_t half[3];
  std::memcpy(half, bytes, sizeof half);
  return {HalfToFloat(half[0]), HalfToFloat(half[1]), HalfToFloat(half[2])};
}

std::string ToText(const Pixel& c) {
  std::ostringstream out;
  out << "[" << 255 * c.r << ", " << 255 * c.g << ", " << 255 * c.b << "]";
  return out.str();
}

uint32_t Scramble(uint64_t index) {
  uint64_t z = index * 0x9E3779B97F4A7C15U;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9U;
  return static_cast<uint32_t>(z >> 32);
}

std::string ShaderText() {
  for (const ShaderSource& source : kShaderSources) {
    if (source.name == "chain.comp") return std::string(source.text);
  }
  throw Failure("chain.comp is not in the program");
}

/// The calls, and the numbers that they use.
struct ChainText {
  std::string calls;
  std::vector<float> params = {1.0F};  // P(NEUTRAL)
};

ChainText Write(const std::vector<Filter>& chain) {
  ChainText text;
  for (const Filter& filter : chain) {
    std::string call = "c = " + filter.name + "(c";
    if (filter.name == "vignette") call += ", at";
    std::vector<float> params = filter.params;
    if (filter.is_look) params.push_back(1.0F);
    for (const float param : params) {
      call += ", P(" + std::to_string(text.params.size()) + ")";
      text.params.push_back(param);
    }
    text.calls += call + "); ";
  }
  return text;
}

/// As in the shader.
uint32_t PixelsPerThread(Format from, Format to) {
  return from == Format::kRgba8 && to == Format::kRgba8 ? 4 : 2;
}

std::string Constants(const std::vector<float>& params) {
  std::ostringstream out;
  out.precision(9);
  out << std::showpoint;
  for (size_t i = 0; i < params.size(); ++i) out << (i > 0 ? ", " : "") << params[i];
  return out.str();
}

}  // namespace

std::vector<Filter> MakeChain(uint32_t count) {
  // Gentle: sixteen of them still leave a picture, whose differences can be seen.
  static const std::vector<Filter> kEight = {
      {"brightness", {0.03F}},
      {"contrast", {1.1F}},
      {"saturation", {1.2F}},
      {"warm", {0.4F}, true},
      {"fade", {0.05F, 0.85F}, true},
      {"vignette", {0.5F, 0.4F}, true},
      {"gamma", {1.15F}},
      {"sepia", {}, true},
  };
  std::vector<Filter> chain;
  for (uint32_t i = 0; i < count; ++i) chain.push_back(kEight[i % kEight.size()]);
  return chain;
}

Pixel Reference(const std::vector<Filter>& chain, Pixel color, double x, double y, double width,
                double height) {
  for (const Filter& filter : chain) {
    color = Map(Apply(filter, color, x, y, width, height), Clamp01);
  }
  return color;
}

const char* ToString(Format format) { return format == Format::kRgba8 ? "RGBA8" : "RGBA16F"; }

std::string Variant::ToString() const {
  static constexpr const char* kParams[] = {"constants", "pushed", "uniform", "storage"};
  return std::string(kParams[static_cast<int>(params)]) + ", " + std::to_string(group_x) + "x" +
         std::to_string(group_y) + " threads of " + std::to_string(rows) +
         (rows == 1 ? " row" : " rows") + (magic ? "" : ", converted by unpackUnorm4x8") +
         (full ? ", all of vulkan.adjust" : "");
}

ChainKernel::ChainKernel(Gpu& gpu, const std::vector<Filter>& chain, Size size, Format from,
                         Format to, const Variant& variant) {
  if (size.width % 4 != 0) throw Failure("the width must be a multiple of 4");
  const ChainText text = Write(chain);
  const auto number = [](auto value) { return std::to_string(static_cast<uint32_t>(value)); };
  kernel_ = std::make_unique<Kernel>(gpu, ShaderText(),
                                     std::map<std::string, std::string>{
                                         {"CHAIN", text.calls},
                                         {"COPY", number(chain.empty())},
                                         {"CONSTANTS", Constants(text.params)},
                                         {"NEUTRAL", "0"},
                                         {"WIDTH", number(size.width)},
                                         {"HEIGHT", number(size.height)},
                                         {"SRC_HALF", number(from == Format::kRgba16f)},
                                         {"DST_HALF", number(to == Format::kRgba16f)},
                                         {"MAGIC", number(variant.magic)},
                                         {"ROWS", number(variant.rows)},
                                         {"GROUP_X", number(variant.group_x)},
                                         {"GROUP_Y", number(variant.group_y)},
                                         {"PARAMS", number(variant.params)},
                                         {"FULL", number(variant.full)},
                                     });
  const uint32_t per_row = size.width / PixelsPerThread(from, to);
  groups_x_ = (per_row + variant.group_x - 1) / variant.group_x;
  const uint32_t rows = variant.group_y * variant.rows;
  groups_y_ = (size.height + rows - 1) / rows;
  params_ = std::make_unique<Buffer>(gpu, 128, Buffer::Place::kUpload);
  std::memcpy(params_->mapped(), text.params.data(), text.params.size() * sizeof(float));
  if (variant.params == Variant::Params::kPushed) pushed_ = text.params;
}

void ChainKernel::Record(Commands& commands, const Buffer& src, const Buffer& dst) const {
  commands.Bind(*kernel_, pushed_);
  commands.Dispatch(*kernel_, src.handle(), dst.handle(), params_->handle(), groups_x_, groups_y_);
}

void FillFrame(void* frame, Size size, Format format) {
  auto* bytes = static_cast<uint8_t*>(frame);
  for (uint64_t i = 0; i < size.pixels(); ++i) {
    const uint32_t color = Scramble(i);
    if (format == Format::kRgba8) {
      std::memcpy(bytes + 4 * i, &color, 4);
      continue;
    }
    uint16_t half[4];
    for (int k = 0; k < 4; ++k) {
      half[k] = FloatToHalf(static_cast<float>(color >> (8 * k) & 255) / 255.0F);
    }
    std::memcpy(bytes + 8 * i, half, 8);
  }
}

Difference WorstDifference(const void* source, const void* result, Size size, Format from,
                           Format to, const std::vector<Filter>& chain) {
  const uint64_t step = std::max<uint64_t>(1, size.pixels() / 20'011);
  Difference difference;
  for (uint64_t i = 0; i < size.pixels(); i += step) {
    const auto x = static_cast<double>(i % size.width);
    const auto y = static_cast<double>(i / size.width);
    const Pixel was = ReadPixel(source, i, from);
    const Pixel want = Reference(chain, was, x, y, size.width, size.height);
    const Pixel got = ReadPixel(result, i, to);
    const double worst = 255 * std::max({std::abs(want.r - got.r), std::abs(want.g - got.g),
                                         std::abs(want.b - got.b)});
    if (worst <= difference.worst) continue;
    difference.worst = worst;
    std::ostringstream where;
    where << "(" << x << ", " << y << ") " << ToText(was) << " became " << ToText(got) << ", not "
          << ToText(want);
    difference.where = where.str();
  }
  return difference;
}

void CheckDifference(const Difference& difference, double allowed, const std::string& what) {
  if (difference.worst <= allowed) return;
  throw Failure(what + ": differs from the reference by " + std::to_string(difference.worst) +
                " of 255 at " + difference.where);
}

}  // namespace sluice::benchmark
