#include "nodes/vulkan/reference.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>

namespace sluice::vulkan::testing {
namespace {

using Triple = std::array<double, 3>;

struct Weights {
  double kr, kg, kb;
};

Weights WeightsOf(const sluice_color& color) {
  switch (color.matrix) {
    case SLUICE_MATRIX_BT601:
      return {0.299, 0.587, 0.114};
    case SLUICE_MATRIX_BT2020:
      return {0.2627, 0.678, 0.0593};
    default:
      return {0.2126, 0.7152, 0.0722};
  }
}

Triple ToRgb(const Triple& ycc, const Weights& w) {
  const double r = ycc[0] + 2 * (1 - w.kr) * ycc[2];
  const double b = ycc[0] + 2 * (1 - w.kb) * ycc[1];
  return {r, (ycc[0] - w.kr * r - w.kb * b) / w.kg, b};
}

Triple ToYcc(const Triple& rgb, const Weights& w) {
  const double y = w.kr * rgb[0] + w.kg * rgb[1] + w.kb * rgb[2];
  return {y, (rgb[2] - y) / (2 * (1 - w.kb)), (rgb[0] - y) / (2 * (1 - w.kr))};
}

double Clamp01(double v) { return std::clamp(v, 0.0, 1.0); }
double Smooth(double t) { return t * t * (3 - 2 * t); }
double Mix(double a, double b, double t) { return a * (1 - t) + b * t; }

/// docs/colour.md, "Ranges": Y' = (code - black) / luma, C = (code - middle) / chroma.
struct Codes {
  double black, luma, middle, chroma, most;
};

Codes CodesOf(const sluice_format& f) {
  const bool full = f.color.range == SLUICE_RANGE_FULL;
  if (f.fourcc == SLUICE_FORMAT_P010) {
    return full ? Codes{0, 1023, 512, 1023, 1023} : Codes{64, 876, 512, 896, 1023};
  }
  return full ? Codes{0, 255, 128, 255, 255} : Codes{16, 219, 128, 224, 255};
}

/// Sample `index` of a row that begins at `row`.
double ReadSample(uint32_t fourcc, const uint8_t* row, int index) {
  if (fourcc != SLUICE_FORMAT_P010) return row[index];
  uint16_t word = 0;
  std::memcpy(&word, row + 2 * index, sizeof word);
  return word >> 6;  // what the low bits hold is not said
}

void WriteSample(uint32_t fourcc, uint8_t* row, int index, double v, double most) {
  const double code = std::clamp(std::round(v), 0.0, most);
  if (fourcc != SLUICE_FORMAT_P010) {
    row[index] = static_cast<uint8_t>(code);
    return;
  }
  const auto word = static_cast<uint16_t>(static_cast<uint32_t>(code) << 6);
  std::memcpy(row + 2 * index, &word, sizeof word);
}

bool IsBgr(uint32_t f) { return f == SLUICE_FORMAT_AR24 || f == SLUICE_FORMAT_XR24; }
bool HasAlpha(uint32_t f) {
  return f == SLUICE_FORMAT_AB24 || f == SLUICE_FORMAT_AR24 || f == SLUICE_FORMAT_AB4H;
}

/// Component 0..3 (R, G, B, A) of a pixel of R'G'B'.
double ReadRgba(uint32_t fourcc, const uint8_t* row, int x, int component) {
  if (IsHalf(fourcc)) {
    uint16_t half = 0;
    std::memcpy(&half, row + 8 * x + 2 * component, sizeof half);
    return DoubleOfHalf(half);
  }
  return row[4 * x + (IsBgr(fourcc) && component != 3 ? 2 - component : component)] / 255.0;
}

void WriteRgba(uint32_t fourcc, uint8_t* row, int x, int component, double v) {
  if (IsHalf(fourcc)) {
    const uint16_t half = HalfOfDouble(v);
    std::memcpy(row + 8 * x + 2 * component, &half, sizeof half);
    return;
  }
  row[4 * x + (IsBgr(fourcc) && component != 3 ? 2 - component : component)] =
      static_cast<uint8_t>(std::clamp(std::round(255 * v), 0.0, 255.0));
}

/// Where a chroma sample n lies among the pixels of an axis: pixel 2n, or half a pixel further.
double Phase(const sluice_format& f, bool vertical) {
  if (vertical) return f.color.siting == SLUICE_SITING_TOP_LEFT ? 0.0 : 0.5;
  return f.color.siting == SLUICE_SITING_CENTER ? 0.5 : 0.0;
}

/// One axis of a plane of chroma: how a pixel's value comes from samples and back.
struct Axis {
  bool src_sub, dst_sub;
  double src_phase, dst_phase;
  bool Same() const { return src_sub && dst_sub && src_phase == dst_phase; }
};

class Source {
 public:
  Source(const Picture& p, const Picture& dst)
      : p_(p), dst_(dst), w_(static_cast<int>(p.width())), h_(static_cast<int>(p.height())) {
    const bool both = IsYuv(p.format().fourcc) && IsYuv(dst.format().fourcc);
    h_axis_ = {IsYuv(p.format().fourcc), both, Phase(p.format(), false),
               Phase(dst.format(), false)};
    v_axis_ = {SubsampledV(p.format().fourcc), both && SubsampledV(dst.format().fourcc),
               Phase(p.format(), true), Phase(dst.format(), true)};
  }

  bool yuv() const { return IsYuv(p_.format().fourcc); }
  int w() const { return w_; }
  int h() const { return h_; }

  double LumaSample(int x, int y) const {
    x = std::clamp(x, 0, w_ - 1);
    y = std::clamp(y, 0, h_ - 1);
    const uint8_t* row = p_.plane(0) + static_cast<uint64_t>(y) * p_.stride(0);
    const uint32_t fourcc = p_.format().fourcc;
    const double code = ReadSample(fourcc, row, fourcc == SLUICE_FORMAT_YUYV ? 2 * x : x);
    const Codes k = CodesOf(p_.format());
    return (code - k.black) / k.luma;
  }

  /// c: 0 = Cb, 1 = Cr.
  double ChromaSample(int c, int x, int y) const {
    x = std::clamp(x, 0, (w_ + 1) / 2 - 1);
    const bool sub = SubsampledV(p_.format().fourcc);
    y = std::clamp(y, 0, (sub ? (h_ + 1) / 2 : h_) - 1);
    double code = 0;
    if (p_.format().fourcc == SLUICE_FORMAT_YU12) {
      code = p_.plane(static_cast<uint32_t>(
          1 + c))[static_cast<uint64_t>(y) * p_.stride(static_cast<uint32_t>(1 + c)) +
                  static_cast<uint64_t>(x)];
    } else if (sub) {
      const uint8_t* row = p_.plane(1) + static_cast<uint64_t>(y) * p_.stride(1);
      code = ReadSample(p_.format().fourcc, row, 2 * x + c);
    } else {
      code = p_.plane(
          0)[static_cast<uint64_t>(y) * p_.stride(0) + static_cast<uint64_t>(4 * x + 1 + 2 * c)];
    }
    const Codes k = CodesOf(p_.format());
    return (code - k.middle) / k.chroma;
  }

  Triple RgbSample(int x, int y) const {
    x = std::clamp(x, 0, w_ - 1);
    y = std::clamp(y, 0, h_ - 1);
    const uint8_t* row = p_.plane(0) + static_cast<uint64_t>(y) * p_.stride(0);
    const uint32_t f = p_.format().fourcc;
    return {ReadRgba(f, row, x, 0), ReadRgba(f, row, x, 1), ReadRgba(f, row, x, 2)};
  }

  double Alpha(int x, int y) const {
    const uint8_t* row = p_.plane(0) + static_cast<uint64_t>(y) * p_.stride(0);
    return ReadRgba(p_.format().fourcc, row, x, 3);
  }

  /// Chroma at a place on the sample grids.
  double ChromaBetween(int c, double gx, double gy) const {
    const double fx = std::floor(gx), fy = std::floor(gy);
    const int x = static_cast<int>(fx), y = static_cast<int>(fy);
    return Mix(Mix(ChromaSample(c, x, y), ChromaSample(c, x + 1, y), gx - fx),
               Mix(ChromaSample(c, x, y + 1), ChromaSample(c, x + 1, y + 1), gx - fx), gy - fy);
  }

  /// Y'CbCr of a pixel as docs/colour.md up-samples it.
  Triple Ycc(int x, int y) const {
    x = std::clamp(x, 0, w_ - 1);
    y = std::clamp(y, 0, h_ - 1);
    const double gx = h_axis_.Same() ? x / 2 : (x - h_axis_.src_phase) / 2;
    const double gy = !v_axis_.src_sub ? y : v_axis_.Same() ? y / 2 : (y - v_axis_.src_phase) / 2;
    return {LumaSample(x, y), ChromaBetween(0, gx, gy), ChromaBetween(1, gx, gy)};
  }

  Weights weights() const {
    if (yuv()) return WeightsOf(p_.format().color);
    if (IsYuv(dst_.format().fourcc)) return WeightsOf(dst_.format().color);
    return {0.2126, 0.7152, 0.0722};
  }

  /// docs/looks.md: "sampled at a position".
  Triple SampleRgb(double px, double py) const {
    const double ax = px - 0.5, ay = py - 0.5;
    const double fx = std::floor(ax), fy = std::floor(ay);
    const int x = static_cast<int>(fx), y = static_cast<int>(fy);
    const auto bilinear = [&](const std::function<double(int, int)>& at) {
      return Mix(Mix(at(x, y), at(x + 1, y), ax - fx), Mix(at(x, y + 1), at(x + 1, y + 1), ax - fx),
                 ay - fy);
    };
    if (!yuv()) {
      Triple out{};
      for (size_t i = 0; i < 3; ++i)
        out[i] = Clamp01(bilinear([&](int u, int v) { return RgbSample(u, v)[i]; }));
      return out;
    }
    const double gx = (ax - Phase(p_.format(), false)) / 2;
    const double gy = v_axis_.src_sub ? (ay - Phase(p_.format(), true)) / 2 : ay;
    Triple ycc{bilinear([&](int u, int v) { return LumaSample(u, v); }), ChromaBetween(0, gx, gy),
               ChromaBetween(1, gx, gy)};
    Triple rgb = ToRgb(ycc, weights());
    for (double& v : rgb) v = Clamp01(v);
    return rgb;
  }

  double LookLuma(int x, int y) const {
    if (yuv()) return Clamp01(LumaSample(x, y));
    const Triple c = RgbSample(x, y);
    const Weights k = weights();
    return Clamp01(k.kr * c[0] + k.kg * c[1] + k.kb * c[2]);
  }

 private:
  const Picture& p_;
  const Picture& dst_;
  int w_, h_;
  Axis h_axis_{}, v_axis_{};
};

Triple ApplyLook(const Source& s, const std::string& look, const ReferenceParams& p,
                 const Triple& in, int x, int y) {
  const Weights k = s.weights();
  const double l = k.kr * in[0] + k.kg * in[1] + k.kb * in[2];
  const auto each = [&](const std::function<double(double)>& f) {
    return Triple{f(in[0]), f(in[1]), f(in[2])};
  };
  if (look == "mono") return {l, l, l};
  if (look == "sepia") {
    const auto row = [&](double r, double g, double b) {
      return std::min(1.0, r * in[0] + g * in[1] + b * in[2]);
    };
    return {row(0.393, 0.769, 0.189), row(0.349, 0.686, 0.168), row(0.272, 0.534, 0.131)};
  }
  if (look == "noir") {
    const double v = Smooth(Clamp01(0.5 + p.at("contrast") * (l - 0.5)));
    return {v, v, v};
  }
  if (look == "vivid") {
    return each(
        [&](double c) { return 0.5 + p.at("contrast") * (Mix(l, c, p.at("saturation")) - 0.5); });
  }
  if (look == "cool") {
    const double t = p.at("strength");
    return {in[0] * (1 - 0.20 * t), in[1] * (1 - 0.02 * t), in[2] * (1 + 0.20 * t)};
  }
  if (look == "warm") {
    const double t = p.at("strength");
    return {in[0] * (1 + 0.20 * t), in[1] * (1 + 0.04 * t), in[2] * (1 - 0.20 * t)};
  }
  if (look == "fade") {
    return each([&](double c) {
      return p.at("lift") + Mix(l, c, p.at("saturation")) * (0.95 - p.at("lift"));
    });
  }
  if (look == "duotone") {
    return {Mix(p.at("shadow.r"), p.at("highlight.r"), l),
            Mix(p.at("shadow.g"), p.at("highlight.g"), l),
            Mix(p.at("shadow.b"), p.at("highlight.b"), l)};
  }
  if (look == "vignette") {
    const double dx = x + 0.5 - s.w() / 2.0, dy = y + 0.5 - s.h() / 2.0;
    const double r = std::hypot(dx, dy) / (std::hypot(s.w(), s.h()) / 2);
    const double gain =
        1 - p.at("strength") * Smooth(Clamp01((r - p.at("radius")) / (1 - p.at("radius"))));
    return each([&](double c) { return c * gain; });
  }
  if (look == "negative") return each([](double c) { return 1 - c; });
  if (look == "posterize") {
    return each([&](double c) {
      const double t = c * (p.at("levels") - 1), whole = std::floor(t);
      return (whole + Smooth(Clamp01((t - whole - 0.5) / p.at("softness") + 0.5))) /
             (p.at("levels") - 1);
    });
  }
  if (look == "solarize") {
    const double t = p.at("threshold");
    return each([&](double c) { return c <= t ? c : t * (1 - c) / (1 - t); });
  }
  if (look == "chromatic-aberration") {
    const double cx = s.w() / 2.0, cy = s.h() / 2.0, dx = x + 0.5 - cx, dy = y + 0.5 - cy,
                 k2 = p.at("shift");
    return {s.SampleRgb(cx + dx * (1 - k2), cy + dy * (1 - k2))[0], in[1],
            s.SampleRgb(cx + dx * (1 + k2), cy + dy * (1 + k2))[2]};
  }
  if (look == "pencil") {
    const auto at = [&](int u, int v) { return s.LookLuma(x + u, y + v); };
    const double gx =
        (at(1, -1) - at(-1, -1)) + 2 * (at(1, 0) - at(-1, 0)) + (at(1, 1) - at(-1, 1));
    const double gy =
        (at(-1, 1) - at(-1, -1)) + 2 * (at(0, 1) - at(0, -1)) + (at(1, 1) - at(1, -1));
    const double g = std::hypot(gx, gy) / 4;
    const double line = Clamp01(1 - p.at("darkness") * std::max(0.0, g - p.at("edge_floor")));
    const double v = line * Mix(1, l, p.at("shading"));
    return {v, v, v};
  }
  ADD_FAILURE() << "no reference for " << look;
  return in;
}

/// Weights of pixels around a chroma sample at pixel position `at` (docs/colour.md, "Siting").
std::vector<std::pair<int, double>> Taps(const Axis& axis, int sample, double phase) {
  if (!axis.dst_sub) return {{sample, 1.0}};
  if (axis.Same()) return {{2 * sample, 0.5}, {2 * sample + 1, 0.5}};
  std::vector<std::pair<int, double>> taps;
  const double at = 2 * sample + phase;
  double sum = 0;
  for (int x = static_cast<int>(std::floor(at)) - 2; x <= at + 2; ++x) {
    const double weight = std::max(0.0, 1 - std::abs(x - at) / 2);
    if (weight > 0) taps.emplace_back(x, weight);
    sum += weight;
  }
  for (auto& tap : taps) tap.second /= sum;
  return taps;
}

}  // namespace

void Reference(const Picture& src, Picture& dst, const std::string& look,
               const ReferenceParams& params) {
  const Source s(src, dst);
  const sluice_format& df = dst.format();
  const bool dst_yuv = IsYuv(df.fourcc);
  const int w = s.w(), h = s.h();
  const Weights dst_weights = WeightsOf(df.color);
  const bool stays =
      look.empty() && s.yuv() && dst_yuv && src.format().color.matrix == df.color.matrix;
  std::vector<Triple> work(static_cast<size_t>(w) * static_cast<size_t>(h));
  for (int y = 0; y < h; ++y) {
    for (int x = 0; x < w; ++x) {
      Triple v = s.yuv() ? s.Ycc(x, y) : s.RgbSample(x, y);
      if (!stays) {
        if (s.yuv()) v = ToRgb(v, s.weights());
        if (!look.empty()) {
          for (double& c : v) c = Clamp01(c);
          const Triple done = ApplyLook(s, look, params, v, x, y);
          for (size_t i = 0; i < 3; ++i) v[i] = Clamp01(Mix(v[i], done[i], params.at("amount")));
        }
        if (dst_yuv) v = ToYcc(v, dst_weights);
      }
      work[static_cast<size_t>(y) * static_cast<size_t>(w) + static_cast<size_t>(x)] = v;
    }
  }
  const auto at = [&](int x, int y) -> const Triple& {
    x = std::clamp(x, 0, w - 1);
    y = std::clamp(y, 0, h - 1);
    return work[static_cast<size_t>(y) * static_cast<size_t>(w) + static_cast<size_t>(x)];
  };
  if (!dst_yuv) {
    const bool alpha = HasAlpha(df.fourcc) && HasAlpha(src.format().fourcc);
    for (int y = 0; y < h; ++y) {
      uint8_t* row = dst.plane(0) + static_cast<uint64_t>(y) * dst.stride(0);
      for (int x = 0; x < w; ++x) {
        const Triple& v = at(x, y);
        for (int c = 0; c < 3; ++c) WriteRgba(df.fourcc, row, x, c, v[static_cast<size_t>(c)]);
        WriteRgba(df.fourcc, row, x, 3, alpha ? s.Alpha(x, y) : 1);
      }
    }
    return;
  }
  const Codes k = CodesOf(df);
  for (int y = 0; y < h; ++y) {
    for (int x = 0; x < w; ++x) {
      uint8_t* row = dst.plane(0) + static_cast<uint64_t>(y) * dst.stride(0);
      WriteSample(df.fourcc, row, df.fourcc == SLUICE_FORMAT_YUYV ? 2 * x : x,
                  k.black + k.luma * at(x, y)[0], k.most);
    }
  }
  const sluice_format& sf = src.format();
  const Axis ha{s.yuv(), true, Phase(sf, false), Phase(df, false)};
  const Axis va{s.yuv() && SubsampledV(sf.fourcc), SubsampledV(df.fourcc), Phase(sf, true),
                Phase(df, true)};
  const int columns = (w + 1) / 2, rows = va.dst_sub ? (h + 1) / 2 : h;
  std::vector<std::vector<std::pair<int, double>>> all_across;
  for (int cx = 0; cx < columns; ++cx) all_across.push_back(Taps(ha, cx, ha.dst_phase));
  for (int cy = 0; cy < rows; ++cy) {
    const auto down = Taps(va, cy, va.dst_phase);
    for (int cx = 0; cx < columns; ++cx) {
      const auto& across = all_across[static_cast<size_t>(cx)];
      for (int c = 0; c < 2; ++c) {
        double v = 0;
        for (const auto& [ty, wy] : down) {
          for (const auto& [tx, wx] : across) v += wx * wy * at(tx, ty)[static_cast<size_t>(1 + c)];
        }
        uint32_t plane = 1;
        int index = 2 * cx + c;
        if (df.fourcc == SLUICE_FORMAT_YU12) {
          plane = 1 + static_cast<uint32_t>(c);
          index = cx;
        } else if (df.fourcc == SLUICE_FORMAT_YUYV) {
          plane = 0;
          index = 4 * cx + 1 + 2 * c;
        }
        uint8_t* row = dst.plane(plane) + static_cast<uint64_t>(cy) * dst.stride(plane);
        WriteSample(df.fourcc, row, index, k.middle + k.chroma * v, k.most);
      }
    }
  }
}

}  // namespace sluice::vulkan::testing
