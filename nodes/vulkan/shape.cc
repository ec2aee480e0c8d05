#include "nodes/vulkan/shape.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <string>

namespace sluice::vulkan {
namespace {

constexpr uint32_t kMaxSide = 32768;

struct FourccTraits {
  Pixels pixels;
  bool alpha;
  uint32_t planes;
};

std::optional<FourccTraits> TraitsOf(uint32_t fourcc) {
  switch (fourcc) {
    case SLUICE_FORMAT_YU12:
      return FourccTraits{Pixels::kYu12, false, 3};
    case SLUICE_FORMAT_NV12:
      return FourccTraits{Pixels::kNv12, false, 2};
    case SLUICE_FORMAT_YUYV:
      return FourccTraits{Pixels::kYuyv, false, 1};
    case SLUICE_FORMAT_AB24:
      return FourccTraits{Pixels::kRgba, true, 1};
    case SLUICE_FORMAT_XB24:
      return FourccTraits{Pixels::kRgba, false, 1};
    case SLUICE_FORMAT_AR24:
      return FourccTraits{Pixels::kBgra, true, 1};
    case SLUICE_FORMAT_XR24:
      return FourccTraits{Pixels::kBgra, false, 1};
    case SLUICE_FORMAT_AB4H:
      return FourccTraits{Pixels::kRgba16f, true, 1};
    case SLUICE_FORMAT_XB4H:
      return FourccTraits{Pixels::kRgba16f, false, 1};
    case SLUICE_FORMAT_P010:
      return FourccTraits{Pixels::kP010, false, 2};
    default:
      return std::nullopt;
  }
}

uint32_t RowsOf(uint32_t plane, uint32_t height) {
  // The formats with planes of chroma are those of 4:2:0.
  return plane > 0 ? (height + 1) / 2 : height;
}

/// Bytes of a row that a kernel touches: whole blocks of 8 pixels.
uint64_t RowBytes(Pixels pixels, uint32_t plane, uint32_t width) {
  const uint64_t blocks = (width + 7) / 8;
  switch (pixels) {
    case Pixels::kYu12:
      return blocks * (plane == 0 ? 8 : 4);
    case Pixels::kNv12:
      return blocks * 8;
    case Pixels::kYuyv:
    case Pixels::kP010:
      return blocks * 16;
    case Pixels::kRgba16f:
      return blocks * 64;
    default:
      return blocks * 32;
  }
}

uint32_t MatrixOf(const sluice_color& color) {
  switch (color.matrix) {
    case SLUICE_MATRIX_BT601:
      return 0;
    case SLUICE_MATRIX_BT2020:
      return 2;
    default:
      return 1;
  }
}

Status CheckFormat(const sluice_format& format) {
  const std::string name(reinterpret_cast<const char*>(&format.fourcc), 4);
  if (!TraitsOf(format.fourcc)) return Fail(SLUICE_E_UNSUPPORTED, "pixel format " + name);
  if (format.modifier != SLUICE_MODIFIER_LINEAR) {
    return Fail(SLUICE_E_UNSUPPORTED,
                "modifier " + std::to_string(format.modifier) + " of " + name);
  }
  if (format.width == 0 || format.height == 0 || format.width > kMaxSide ||
      format.height > kMaxSide) {
    return Fail(SLUICE_E_INVALID_ARGUMENT,
                "size " + std::to_string(format.width) + "x" + std::to_string(format.height));
  }
  return {};
}

}  // namespace

Result<Shape> MakeShape(const sluice_format& format, const sluice_layout& layout) {
  if (Status s = CheckFormat(format); !s) return tl::unexpected(s.error());
  const FourccTraits traits = *TraitsOf(format.fourcc);
  if (layout.plane_count < traits.planes) {
    return Fail(SLUICE_E_INVALID_ARGUMENT,
                "the layout has " + std::to_string(layout.plane_count) + " planes");
  }
  Shape shape;
  shape.planes = traits.planes;
  shape.parts = std::max(layout.part_count, 1U);
  shape.pixels = traits.pixels;
  shape.alpha = traits.alpha;
  shape.width = format.width;
  shape.height = format.height;
  shape.matrix = MatrixOf(format.color);
  shape.full_range = !shape.is_yuv() || format.color.range == SLUICE_RANGE_FULL;
  shape.siting = format.color.siting == SLUICE_SITING_CENTER     ? 1U
                 : format.color.siting == SLUICE_SITING_TOP_LEFT ? 2U
                                                                 : 0U;
  for (uint32_t p = 0; p < traits.planes; ++p) {
    const sluice_plane& plane = layout.planes[p];
    const uint64_t rows = RowsOf(p, format.height);
    const uint64_t row_bytes = RowBytes(traits.pixels, p, format.width);
    // Sums of values bounded here cannot overflow 64 bits.
    constexpr uint64_t kBound = uint64_t{1} << 33;
    if (plane.part >= shape.parts) {
      return Fail(SLUICE_E_INVALID_ARGUMENT, "plane " + std::to_string(p) + " lies in part " +
                                                 std::to_string(plane.part) + " of " +
                                                 std::to_string(shape.parts));
    }
    if (plane.offset % kStrideMultiple != 0 || plane.stride % kStrideMultiple != 0 ||
        plane.stride < row_bytes || plane.offset > kBound || plane.stride > kBound ||
        plane.offset + (rows - 1) * plane.stride + row_bytes > layout.size) {
      return Fail(
          SLUICE_E_INVALID_ARGUMENT,
          "plane " + std::to_string(p) + ": offset " + std::to_string(plane.offset) + ", stride " +
              std::to_string(plane.stride) + ", " + std::to_string(rows) + " rows of " +
              std::to_string(row_bytes) + " bytes in " + std::to_string(layout.size) +
              " bytes; offset and stride must be multiples of " + std::to_string(kStrideMultiple));
    }
    shape.offset[p] = static_cast<uint32_t>(plane.offset / 4);
    shape.stride[p] = static_cast<uint32_t>(plane.stride / 4);
    shape.part[p] = plane.part;
    shape.end[p] = plane.offset + (rows - 1) * plane.stride + row_bytes;
    shape.bytes = std::max(shape.bytes, shape.end[p]);
  }
  return shape;
}

Result<Shape> HalfFloatShape(uint32_t width, uint32_t height) {
  if (width == 0 || height == 0 || width > kMaxSide || height > kMaxSide) {
    return Fail(SLUICE_E_INVALID_ARGUMENT,
                "size " + std::to_string(width) + "x" + std::to_string(height));
  }
  Shape shape;
  shape.pixels = Pixels::kRgba16f;
  shape.alpha = true;
  shape.width = width;
  shape.height = height;
  shape.full_range = true;
  shape.planes = 1;
  constexpr uint64_t kMultiple = kStrideMultiple;
  const uint64_t stride = (uint64_t{width} * 8 + kMultiple - 1) / kMultiple * kMultiple;
  shape.stride[0] = static_cast<uint32_t>(stride / 4);
  shape.end[0] = shape.bytes = stride * height;
  return shape;
}

uint64_t Shape::FrameBytes() const {
  const uint64_t pixels_count = uint64_t{width} * height;
  switch (pixels) {
    case Pixels::kYu12:
    case Pixels::kNv12:
      return pixels_count * 3 / 2;
    case Pixels::kYuyv:
      return pixels_count * 2;
    case Pixels::kP010:
      return pixels_count * 3;
    case Pixels::kRgba16f:
      return pixels_count * 8;
    default:
      return pixels_count * 4;
  }
}

Status CheckParts(const Shape& shape, std::span<const uint64_t> sizes) {
  for (uint32_t p = 0; p < shape.planes; ++p) {
    const uint64_t size = shape.part[p] < sizes.size() ? sizes[shape.part[p]] : 0;
    if (shape.end[p] <= size) continue;
    return Fail(SLUICE_E_UNSUPPORTED,
                "plane " + std::to_string(p) + " reaches byte " + std::to_string(shape.end[p]) +
                    " of part " + std::to_string(shape.part[p]) + ", which has " +
                    std::to_string(size) + " (" + std::to_string(sizes.size()) + " parts)");
  }
  return {};
}

std::string PlanesIn(const Shape& shape, uint32_t part) {
  std::string text;
  uint32_t count = 0;
  for (uint32_t p = 0; p < shape.planes; ++p) {
    if (shape.part[p] != part) continue;
    text += (count++ > 0 ? ", " : "") + std::to_string(p);
  }
  return (count == 1 ? "plane " : "planes ") + text;
}

Result<sluice_layout> MakeLayout(const sluice_format& format, const LayoutDemands& demands) {
  if (Status s = CheckFormat(format); !s) return tl::unexpected(s.error());
  constexpr uint64_t kReason = uint64_t{1} << 24;
  for (const uint64_t demand : {demands.stride_multiple, demands.offset_multiple,
                                demands.size_multiple, demands.tail_bytes}) {
    if (demand > kReason) {
      return Fail(SLUICE_E_UNSUPPORTED, "a layout in multiples of " + std::to_string(demand));
    }
  }
  const auto up = [](uint64_t value, uint64_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
  };
  constexpr uint64_t kMultiple = kStrideMultiple;
  const uint64_t stride = std::lcm(kMultiple, std::max<uint64_t>(demands.stride_multiple, 1));
  const uint64_t offset = std::lcm(kMultiple, std::max<uint64_t>(demands.offset_multiple, 1));
  const FourccTraits traits = *TraitsOf(format.fourcc);
  sluice_layout layout{};
  layout.coded_width = format.width;
  layout.coded_height = format.height;
  layout.part_count = 1;
  layout.plane_count = traits.planes;
  for (uint32_t p = 0; p < traits.planes; ++p) {
    sluice_plane& plane = layout.planes[p];
    plane.offset = up(layout.size, offset);
    plane.stride = up(RowBytes(traits.pixels, p, format.width), stride);
    plane.size = plane.stride * RowsOf(p, format.height);
    layout.size = plane.offset + plane.size;
  }
  layout.size = up(layout.size + demands.tail_bytes, std::max<uint64_t>(demands.size_multiple, 1));
  return layout;
}

}  // namespace sluice::vulkan
