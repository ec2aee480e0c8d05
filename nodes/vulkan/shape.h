#ifndef SLUICE_NODES_VULKAN_SHAPE_H_
#define SLUICE_NODES_VULKAN_SHAPE_H_

#include <sluice/format.h>

#include <array>
#include <cstdint>

#include "nodes/vulkan/result.h"

namespace sluice::vulkan {

/// kYu12 ... kBgra in shaders/interface.glsl.
enum class Pixels : uint32_t { kYu12, kNv12, kYuyv, kRgba, kBgra };

/// A frame as a kernel sees it: checked, in the shader's terms.
struct Shape {
  Pixels pixels = Pixels::kYu12;
  bool alpha = false;
  uint32_t width = 0;   ///< pixels
  uint32_t height = 0;  ///< pixels
  uint32_t matrix = 1;  ///< kBt601 ...
  bool full_range = false;
  uint32_t siting = 0;               ///< kSitingLeft ...
  std::array<uint32_t, 3> offset{};  ///< 32-bit words
  std::array<uint32_t, 3> stride{};  ///< 32-bit words
  uint64_t bytes = 0;                ///< reached by a kernel, from the start of the allocation

  bool is_yuv() const { return pixels <= Pixels::kYuyv; }
};

/// Rows must start at multiples of this many bytes: a kernel moves blocks of up to 32 bytes.
constexpr uint32_t kStrideMultiple = 64;

/// Checks that kernels stay inside the allocation when they work on such a frame. Colour that is
/// not said: BT.709, limited range, left siting for Y'CbCr. Errors: Unsupported for the fourcc or
/// modifier; InvalidArgument for a layout that is too small or misaligned.
Result<Shape> MakeShape(const sluice_format& format, const sluice_layout& layout);

/// The smallest layout of this format that kernels can use, planes one after the other.
/// Errors: as MakeShape.
Result<sluice_layout> MakeLayout(const sluice_format& format);

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_SHAPE_H_
