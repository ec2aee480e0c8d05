#ifndef SLUICE_NODES_VULKAN_FILTERS_FILTER_REFERENCE_H_
#define SLUICE_NODES_VULKAN_FILTERS_FILTER_REFERENCE_H_

#include <array>
#include <cstddef>
#include <optional>
#include <vector>

#include "nodes/vulkan/filters/cube.h"

/// docs/filters.md in double precision, written from it and not from the shaders: whole kernels
/// instead of two passes, sorting instead of comparisons, no tables.
namespace sluice::vulkan::testing {

/// R', G', B' and straight alpha, 1.0 being white; not limited.
using Rgba = std::array<double, 4>;
using Rgb = std::array<double, 3>;

class Image {
 public:
  Image() = default;
  Image(int width, int height, const Rgba& fill = {0, 0, 0, 1})
      : width_(width),
        height_(height),
        pixels_(static_cast<size_t>(width) * static_cast<size_t>(height), fill) {}
  int width() const { return width_; }
  int height() const { return height_; }
  Rgba& at(int x, int y) { return pixels_[Index(x, y)]; }
  const Rgba& at(int x, int y) const { return pixels_[Index(x, y)]; }
  /// The nearest pixel inside.
  const Rgba& Clamped(int x, int y) const;
  /// docs/filters.md, "Bilinear"; a pixel's centre is at + 0.5.
  Rgba Bilinear(double x, double y) const;

 private:
  size_t Index(int x, int y) const {
    return static_cast<size_t>(y) * static_cast<size_t>(width_) + static_cast<size_t>(x);
  }
  int width_ = 0;
  int height_ = 0;
  std::vector<Rgba> pixels_;
};

struct LumaWeights {
  double kr = 0.2126;
  double kb = 0.0722;
};
double Luma(const Rgba& color, const LumaWeights& weights);

double ToLinear(double v);
double FromLinear(double v);

enum class ScaleFilter { kNearest, kBilinear, kBicubic, kMitchell, kLanczos };
Image Scale(const Image& in, int width, int height, ScaleFilter filter, bool linear);
Image Crop(const Image& in, int width, int height, int x, int y);
/// `angle` clockwise, then left and right exchanged if `mirrored`, into a picture of this size.
Image Rotate(const Image& in, int angle, int width, int height, bool mirrored = false);
Image Flip(const Image& in, bool horizontal, bool vertical);

struct Layer {
  const Image* image = nullptr;
  double x = 0, y = 0, width = 0, height = 0, opacity = 1;
  int order = 0;
};
/// `layers` in the order of the ports.
Image Compose(int width, int height, const Rgba& background, const std::vector<Layer>& layers);

Image GaussianBlur(const Image& in, double sigma);
Image BoxBlur(const Image& in, double radius);
Image Sharpen(const Image& in, double sigma, double amount, double threshold);
Image ApplyLut(const Image& in, const CubeLut& lut, double amount);
Image ChromaKey(const Image& in, const LumaWeights& weights, const Rgb& key, double similarity,
                double blend, double spill);
Image Adjust(const Image& in, const LumaWeights& weights, double brightness, double contrast,
             double saturation, double gamma);
Image MaskBlend(const Image& base, const Image& overlay, const Image& mask,
                const LumaWeights& weights, bool alpha_channel, bool invert, double opacity);

}  // namespace sluice::vulkan::testing

#endif  // SLUICE_NODES_VULKAN_FILTERS_FILTER_REFERENCE_H_
