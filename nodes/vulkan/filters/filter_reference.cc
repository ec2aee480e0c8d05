#include "nodes/vulkan/filters/filter_reference.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <numeric>
#include <utility>

namespace sluice::vulkan::testing {
namespace {

double Clamp01(double v) { return std::clamp(v, 0.0, 1.0); }

/// Offsets or positions of pixels on an axis, with weights of sum 1.
using Taps = std::vector<std::pair<int, double>>;

void Normalise(Taps& taps) {
  double sum = 0;
  for (const auto& tap : taps) sum += tap.second;
  for (auto& tap : taps) tap.second /= sum;
}

/// The mean of what `columns` and `rows` name, by weight: colour by its alpha.
Rgba Average(const Image& in, const Taps& columns, const Taps& rows) {
  Rgba sum{};
  for (const auto& [y, wy] : rows) {
    for (const auto& [x, wx] : columns) {
      const Rgba& p = in.Clamped(x, y);
      const double w = wx * wy;
      for (size_t c = 0; c < 3; ++c) sum[c] += w * p[3] * p[c];
      sum[3] += w * p[3];
    }
  }
  if (sum[3] <= 1.0 / 1024) return {0, 0, 0, 0};
  for (size_t c = 0; c < 3; ++c) sum[c] /= sum[3];
  return sum;
}

double Cubic(double b, double c, double t) {
  t = std::abs(t);
  if (t < 1) {
    return ((12 - 9 * b - 6 * c) * t * t * t + (-18 + 12 * b + 6 * c) * t * t + (6 - 2 * b)) / 6;
  }
  if (t >= 2) return 0;
  return ((-b - 6 * c) * t * t * t + (6 * b + 30 * c) * t * t + (-12 * b - 48 * c) * t +
          (8 * b + 24 * c)) /
         6;
}

double Sinc(double t) {
  return t == 0 ? 1 : std::sin(std::numbers::pi * t) / (std::numbers::pi * t);
}

double Kernel(ScaleFilter filter, double t) {
  switch (filter) {
    case ScaleFilter::kBilinear:
      return std::max(0.0, 1 - std::abs(t));
    case ScaleFilter::kBicubic:
      return Cubic(0, 0.5, t);
    case ScaleFilter::kMitchell:
      return Cubic(1.0 / 3, 1.0 / 3, t);
    default:
      return std::abs(t) < 3 ? Sinc(t) * Sinc(t / 3) : 0;
  }
}

double Radius(ScaleFilter filter) {
  if (filter == ScaleFilter::kBilinear) return 1;
  return filter == ScaleFilter::kLanczos ? 3 : 2;
}

Taps ScaleTaps(ScaleFilter filter, int n, int m, int x) {
  const double u = (x + 0.5) * n / m - 0.5;
  const double s = std::max(1.0, static_cast<double>(n) / m);
  const double reach = Radius(filter) * s;
  Taps taps;
  for (int k = static_cast<int>(std::floor(u - reach)); k <= std::ceil(u + reach); ++k) {
    if (std::abs(k - u) < reach) taps.emplace_back(k, Kernel(filter, (k - u) / s));
  }
  Normalise(taps);
  return taps;
}

Taps GaussianTaps(double sigma, int at) {
  if (sigma <= 0) return {{at, 1.0}};
  const int r = static_cast<int>(std::ceil(3 * sigma));
  Taps taps;
  for (int k = -r; k <= r; ++k) taps.emplace_back(at + k, std::exp(-k * k / (2 * sigma * sigma)));
  Normalise(taps);
  return taps;
}

Taps BoxTaps(double radius, int at) {
  const int whole = static_cast<int>(std::floor(radius));
  Taps taps;
  for (int k = -whole; k <= whole; ++k) taps.emplace_back(at + k, 1.0);
  taps.emplace_back(at - whole - 1, radius - whole);
  taps.emplace_back(at + whole + 1, radius - whole);
  Normalise(taps);
  return taps;
}

/// Every pixel as the average that the two axes' taps name.
Image Averaged(const Image& in, int width, int height, const std::function<Taps(int)>& columns,
               const std::function<Taps(int)>& rows) {
  std::vector<Taps> across;
  for (int x = 0; x < width; ++x) across.push_back(columns(x));
  Image out(width, height);
  for (int y = 0; y < height; ++y) {
    const Taps down = rows(y);
    for (int x = 0; x < width; ++x) {
      out.at(x, y) = Average(in, across[static_cast<size_t>(x)], down);
    }
  }
  return out;
}

/// Every pixel of `out` from its position.
Image& FillEach(Image& out, const std::function<Rgba(int, int)>& at) {
  for (int y = 0; y < out.height(); ++y) {
    for (int x = 0; x < out.width(); ++x) out.at(x, y) = at(x, y);
  }
  return out;
}

Rgba Each(double (*function)(double), const Rgba& color) {
  return {function(color[0]), function(color[1]), function(color[2]), color[3]};
}

Rgba Over(const Rgba& below, const Rgba& color, double a) {
  Rgba out{0, 0, 0, a + below[3] * (1 - a)};
  if (out[3] == 0) return out;
  for (size_t c = 0; c < 3; ++c) {
    out[c] = (a * color[c] + below[3] * (1 - a) * below[c]) / out[3];
  }
  return out;
}

Rgb CubeAt(const CubeLut& lut, int r, int g, int b) {
  const int n = static_cast<int>(lut.size);
  const auto& e = lut.entries[static_cast<size_t>((b * n + g) * n + r)];
  return {e[0], e[1], e[2]};
}

Rgb LookUp(const CubeLut& lut, const Rgba& color) {
  const int n = static_cast<int>(lut.size);
  std::array<int, 3> i{};
  Rgb f{};
  for (size_t c = 0; c < 3; ++c) {
    const double lo = lut.domain_min[c], hi = lut.domain_max[c];
    const double p = Clamp01((color[c] - lo) / (hi - lo)) * (n - 1);
    i[c] = std::min(static_cast<int>(std::floor(p)), n - 2);
    f[c] = p - i[c];
  }
  if (lut.dimensions == 1) {
    Rgb out{};
    for (size_t c = 0; c < 3; ++c) {
      const auto first = static_cast<size_t>(i[c]);
      out[c] = lut.entries[first][c] * (1 - f[c]) + lut.entries[first + 1][c] * f[c];
    }
    return out;
  }
  std::array<size_t, 3> axis{0, 1, 2};
  std::sort(axis.begin(), axis.end(), [&](size_t a, size_t b) { return f[a] > f[b]; });
  // From corner to corner, one axis after the other.
  Rgb out{};
  double before = 1;
  for (size_t step = 0; step <= 3; ++step) {
    const double after = step < 3 ? f[axis[step]] : 0;
    const Rgb v = CubeAt(lut, i[0], i[1], i[2]);
    for (size_t c = 0; c < 3; ++c) out[c] += (before - after) * v[c];
    before = after;
    if (step < 3) ++i[axis[step]];
  }
  return out;
}

struct Chroma {
  double cb, cr;
};
Chroma ChromaOf(const Rgba& c, const LumaWeights& w) {
  const double y = Luma(c, w);
  return {(c[2] - y) / (2 * (1 - w.kb)), (c[0] - y) / (2 * (1 - w.kr))};
}

}  // namespace

const Rgba& Image::Clamped(int x, int y) const {
  return at(std::clamp(x, 0, width_ - 1), std::clamp(y, 0, height_ - 1));
}

Rgba Image::Bilinear(double x, double y) const {
  const double fx = std::floor(x - 0.5), fy = std::floor(y - 0.5);
  const double wx = x - 0.5 - fx, wy = y - 0.5 - fy;
  const int ix = static_cast<int>(fx), iy = static_cast<int>(fy);
  Rgba out{};
  for (size_t c = 0; c < 4; ++c) {
    out[c] = (1 - wy) * ((1 - wx) * Clamped(ix, iy)[c] + wx * Clamped(ix + 1, iy)[c]) +
             wy * ((1 - wx) * Clamped(ix, iy + 1)[c] + wx * Clamped(ix + 1, iy + 1)[c]);
  }
  return out;
}

double Luma(const Rgba& color, const LumaWeights& w) {
  return w.kr * color[0] + (1 - w.kr - w.kb) * color[1] + w.kb * color[2];
}

double ToLinear(double v) {
  if (v < 0) return -ToLinear(-v);
  return v <= 0.04045 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4);
}

double FromLinear(double v) {
  if (v < 0) return -FromLinear(-v);
  return v <= 0.0031308 ? 12.92 * v : 1.055 * std::pow(v, 1 / 2.4) - 0.055;
}

Image Scale(const Image& in, int width, int height, ScaleFilter filter, bool linear) {
  if (filter == ScaleFilter::kNearest) {
    Image out(width, height);
    return FillEach(out, [&](int x, int y) {
      return in.at(static_cast<int>((x + 0.5) * in.width() / width),
                   static_cast<int>((y + 0.5) * in.height() / height));
    });
  }
  if (in.width() == width && in.height() == height && filter != ScaleFilter::kMitchell) return in;
  Image source = in;
  if (linear) FillEach(source, [&](int x, int y) { return Each(ToLinear, in.at(x, y)); });
  Image out = Averaged(
      source, width, height, [&](int x) { return ScaleTaps(filter, in.width(), width, x); },
      [&](int y) { return ScaleTaps(filter, in.height(), height, y); });
  if (linear) FillEach(out, [&](int x, int y) { return Each(FromLinear, out.at(x, y)); });
  return out;
}

Image Crop(const Image& in, int width, int height, int x, int y) {
  Image out(width, height);
  return FillEach(out, [&](int u, int v) { return in.Clamped(u + x, v + y); });
}

Image Rotate(const Image& in, int angle, int width, int height, bool mirrored) {
  const int w = in.width(), h = in.height();
  const bool turned = angle == 90 || angle == 270;
  Image upright(turned ? h : w, turned ? w : h);
  FillEach(upright, [&](int x, int y) {
    if (angle == 90) return in.at(y, h - 1 - x);
    if (angle == 180) return in.at(w - 1 - x, h - 1 - y);
    if (angle == 270) return in.at(w - 1 - y, x);
    return in.at(x, y);
  });
  if (mirrored) upright = Flip(upright, true, false);
  if (upright.width() == width && upright.height() == height) return upright;
  const double s = std::min(static_cast<double>(width) / upright.width(),
                            static_cast<double>(height) / upright.height());
  Image out(width, height);
  return FillEach(out, [&](int x, int y) -> Rgba {
    const double px = (x + 0.5 - width / 2.0) / s + upright.width() / 2.0;
    const double py = (y + 0.5 - height / 2.0) / s + upright.height() / 2.0;
    if (px < 0 || py < 0 || px > upright.width() || py > upright.height()) return {0, 0, 0, 1};
    return upright.Bilinear(px, py);
  });
}

Image Flip(const Image& in, bool horizontal, bool vertical) {
  Image out(in.width(), in.height());
  return FillEach(out, [&](int x, int y) {
    return in.at(horizontal ? in.width() - 1 - x : x, vertical ? in.height() - 1 - y : y);
  });
}

Image Compose(int width, int height, const Rgba& background, const std::vector<Layer>& layers) {
  std::vector<size_t> order(layers.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return layers[a].order < layers[b].order; });
  Image out(width, height, background);
  for (const size_t n : order) {
    const Layer& l = layers[n];
    const double w = l.width > 0 ? l.width : l.image->width();
    const double h = l.height > 0 ? l.height : l.image->height();
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        const double px = x + 0.5 - l.x, py = y + 0.5 - l.y;
        if (px < 0 || py < 0 || px >= w || py >= h) continue;
        const Rgba c = l.image->Bilinear(px * l.image->width() / w, py * l.image->height() / h);
        out.at(x, y) = Over(out.at(x, y), c, c[3] * l.opacity);
      }
    }
  }
  return out;
}

Image GaussianBlur(const Image& in, double sigma) {
  const auto taps = [&](int at) { return GaussianTaps(sigma, at); };
  return Averaged(in, in.width(), in.height(), taps, taps);
}

Image BoxBlur(const Image& in, double radius) {
  const auto taps = [&](int at) { return BoxTaps(radius, at); };
  return Averaged(in, in.width(), in.height(), taps, taps);
}

Image Sharpen(const Image& in, double sigma, double amount, double threshold) {
  Image out = GaussianBlur(in, sigma);
  return FillEach(out, [&](int x, int y) {
    Rgba v = in.at(x, y);
    for (size_t c = 0; c < 3; ++c) {
      const double d = v[c] - out.at(x, y)[c];
      v[c] += amount * std::copysign(std::max(std::abs(d) - threshold, 0.0), d);
    }
    return v;
  });
}

Image ApplyLut(const Image& in, const CubeLut& lut, double amount) {
  Image out = in;
  return FillEach(out, [&](int x, int y) {
    Rgba v = in.at(x, y);
    const Rgb t = LookUp(lut, v);
    for (size_t c = 0; c < 3; ++c) v[c] = (1 - amount) * v[c] + amount * t[c];
    return v;
  });
}

Image ChromaKey(const Image& in, const LumaWeights& w, const Rgb& key, double similarity,
                double blend, double spill) {
  const Chroma k = ChromaOf({key[0], key[1], key[2], 1}, w);
  const double length = std::hypot(k.cb, k.cr);
  const double tb = length > 1e-6 ? k.cb / length : 0, tr = length > 1e-6 ? k.cr / length : 0;
  Image out = in;
  return FillEach(out, [&](int x, int y) {
    const Rgba p = in.at(x, y);
    const double luma = Luma(p, w);
    Chroma c = ChromaOf(p, w);
    const double d = std::hypot(c.cb - k.cb, c.cr - k.cr) / std::sqrt(2.0);
    const double m = blend > 0 ? Clamp01((d - similarity) / blend) : (d > similarity ? 1.0 : 0.0);
    const double along = spill * std::max(0.0, c.cb * tb + c.cr * tr);
    c.cb -= along * tb;
    c.cr -= along * tr;
    const double r = luma + 2 * (1 - w.kr) * c.cr, b = luma + 2 * (1 - w.kb) * c.cb;
    return Rgba{r, (luma - w.kr * r - w.kb * b) / (1 - w.kr - w.kb), b, p[3] * m};
  });
}

Image Adjust(const Image& in, const LumaWeights& w, double brightness, double contrast,
             double saturation, double gamma) {
  Image out = in;
  return FillEach(out, [&](int x, int y) {
    Rgba v = in.at(x, y);
    for (size_t c = 0; c < 3; ++c) v[c] = contrast * (v[c] - 0.5) + 0.5 + brightness;
    const double luma = Luma(v, w);
    for (size_t c = 0; c < 3; ++c) {
      v[c] = std::pow(Clamp01(luma + saturation * (v[c] - luma)), 1 / gamma);
    }
    return v;
  });
}

Image MaskBlend(const Image& base, const Image& overlay, const Image& mask, const LumaWeights& w,
                bool alpha_channel, bool invert, double opacity) {
  Image out = base;
  return FillEach(out, [&](int x, int y) {
    const Rgba m = mask.Bilinear((x + 0.5) * mask.width() / base.width(),
                                 (y + 0.5) * mask.height() / base.height());
    double v = alpha_channel ? m[3] : Clamp01(Luma(m, w));
    if (invert) v = 1 - v;
    const Rgba& over = overlay.at(x, y);
    return Over(base.at(x, y), over, over[3] * v * opacity);
  });
}

}  // namespace sluice::vulkan::testing
