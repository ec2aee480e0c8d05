#ifndef SLUICE_NODES_VULKAN_SHAPE_H_
#define SLUICE_NODES_VULKAN_SHAPE_H_

#include <sluice/format.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "nodes/vulkan/result.h"

namespace sluice::vulkan {

/// kYu12 ... in shaders/formats.glsl.
enum class Pixels : uint32_t { kYu12, kNv12, kYuyv, kRgba, kBgra, kRgba16f, kP010 };

/// A frame as a kernel sees it: checked, in the shader's terms.
struct Shape {
  Pixels pixels = Pixels::kYu12;
  bool alpha = false;
  uint32_t width = 0;   ///< pixels
  uint32_t height = 0;  ///< pixels
  uint32_t matrix = 1;  ///< kBt601 ...
  bool full_range = false;
  uint32_t siting = 0;  ///< kSitingLeft ...
  uint32_t planes = 0;
  uint32_t parts = 1;                ///< allocations of one frame
  std::array<uint32_t, 3> part{};    ///< in which a plane lies
  std::array<uint32_t, 3> offset{};  ///< 32-bit words from the start of the part
  std::array<uint32_t, 3> stride{};  ///< 32-bit words
  std::array<uint64_t, 3> end{};     ///< bytes reached by a kernel, from the start of the part
  uint64_t bytes = 0;                ///< the most of `end`
  bool far = false;                  ///< in memory that the device reaches by a link

  /// What a frame's pixels take, without padding.
  uint64_t FrameBytes() const;
  bool is_420() const { return is_yuv() && pixels != Pixels::kYuyv; }
  bool is_yuv() const { return pixels <= Pixels::kYuyv || pixels == Pixels::kP010; }
};

/// Rows must start at multiples of this many bytes: a kernel moves blocks of up to 32 bytes.
constexpr uint32_t kStrideMultiple = 64;

/// Checks that kernels stay inside the allocation when they work on such a frame. Colour that is
/// not said: BT.709, limited range, left siting for Y'CbCr. Errors: Unsupported for the fourcc or
/// modifier; InvalidArgument for a layout that is too small or misaligned.
Result<Shape> MakeShape(const sluice_format& format, const sluice_layout& layout);

/// Half-float R'G'B'A between passes, rows one after the other from byte 0.
/// Errors: InvalidArgument for a size that is none.
Result<Shape> HalfFloatShape(uint32_t width, uint32_t height);

/// Checks that the planes lie within parts of these sizes (bytes).
/// Errors: Unsupported, with plane and numbers.
Status CheckParts(const Shape& shape, std::span<const uint64_t> sizes);
/// "plane 0", "planes 0, 1": those that lie in `part`, for messages.
std::string PlanesIn(const Shape& shape, uint32_t part);

/// What a layout must be a multiple of, beyond what kernels need; bytes.
struct LayoutDemands {
  uint64_t stride_multiple = 1;
  uint64_t offset_multiple = 1;
  uint64_t size_multiple = 1;
  uint64_t tail_bytes = 0;
};

/// The smallest layout of this format that kernels can use and that meets `demands`, planes one
/// after the other in one part. Errors: as MakeShape; Unsupported for demands beyond reason.
Result<sluice_layout> MakeLayout(const sluice_format& format, const LayoutDemands& demands = {});

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_SHAPE_H_
