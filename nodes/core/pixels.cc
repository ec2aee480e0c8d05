#include "nodes/core/pixels.h"

#include <algorithm>
#include <cstring>

#include "nodes/core/crc32.h"

namespace sluice::core {
namespace {

constexpr PlaneShape kYu12[] = {{1, 1, 1}, {2, 2, 1}, {2, 2, 1}};
constexpr PlaneShape kNv12[] = {{1, 1, 1}, {2, 2, 2}};
constexpr PlaneShape kYuyv[] = {{2, 1, 4}};
constexpr PlaneShape kP010[] = {{1, 1, 2}, {2, 2, 4}};
constexpr PlaneShape kBytes4[] = {{1, 1, 4}};
constexpr PlaneShape kBytes1[] = {{1, 1, 1}};
constexpr PlaneShape kBytes8[] = {{1, 1, 8}};

struct Rectangle {
  uint32_t x, y, right, bottom;
};

Rectangle Visible(const sluice_format& format, const sluice_frame_info& info) {
  if (info.crop_width == 0 || info.crop_height == 0) return {0, 0, format.width, format.height};
  const uint32_t x = std::min(info.crop_x, format.width);
  const uint32_t y = std::min(info.crop_y, format.height);
  return {x, y, x + std::min(info.crop_width, format.width - x),
          y + std::min(info.crop_height, format.height - y)};
}

/// The first three of every four samples of `bytes` bytes.
uint32_t SumWithoutFourth(uint32_t crc, const uint8_t* row, uint64_t size, uint64_t bytes) {
  // Packed in pieces, so that the fast sum does the work.
  uint8_t packed[6 * 256];
  const uint64_t kept = 3 * bytes, pixel = 4 * bytes;
  while (size > 0) {
    const uint64_t pixels = std::min<uint64_t>(size / pixel, 256);
    for (uint64_t i = 0; i < pixels; ++i) std::memcpy(packed + kept * i, row + pixel * i, kept);
    crc = Crc32(crc, packed, kept * pixels);
    row += pixel * pixels;
    size -= pixel * pixels;
  }
  return crc;
}

/// One row of YUYV whose width is odd: the last pair has one pixel.
uint32_t SumOddYuyv(uint32_t crc, const uint8_t* bytes, uint64_t size) {
  crc = Crc32(crc, bytes, size - 2);
  return Crc32(crc, bytes + size - 1, 1);
}

uint32_t SumRow(uint32_t crc, const uint8_t* bytes, uint64_t size, uint32_t fourcc, bool odd_edge) {
  if (fourcc == SLUICE_FORMAT_XB24 || fourcc == SLUICE_FORMAT_XR24) {
    return SumWithoutFourth(crc, bytes, size, 1);
  }
  if (fourcc == SLUICE_FORMAT_XB4H) return SumWithoutFourth(crc, bytes, size, 2);
  if (fourcc == SLUICE_FORMAT_YUYV && odd_edge) return SumOddYuyv(crc, bytes, size);
  return Crc32(crc, bytes, size);
}

}  // namespace

std::span<const PlaneShape> PlanesOf(uint32_t fourcc) {
  switch (fourcc) {
    case SLUICE_FORMAT_YU12:
      return kYu12;
    case SLUICE_FORMAT_NV12:
      return kNv12;
    case SLUICE_FORMAT_YUYV:
      return kYuyv;
    case SLUICE_FORMAT_P010:
      return kP010;
    case SLUICE_FORMAT_R8:
      return kBytes1;
    case SLUICE_FORMAT_AB4H:
    case SLUICE_FORMAT_XB4H:
      return kBytes8;
    case SLUICE_FORMAT_AB24:
    case SLUICE_FORMAT_XB24:
    case SLUICE_FORMAT_AR24:
    case SLUICE_FORMAT_XR24:
      return kBytes4;
    default:
      return {};
  }
}

uint32_t PixelChecksum(const sdk::Mapping& mapping, const sluice_format& format,
                       const sluice_frame_info& frame_info) {
  const Rectangle visible = Visible(format, frame_info);
  const std::span<const PlaneShape> planes = PlanesOf(format.fourcc);
  uint32_t crc = 0;
  for (uint32_t plane = 0; plane < planes.size(); ++plane) {
    const PlaneShape& shape = planes[plane];
    const uint64_t left = visible.x / shape.horizontal;
    const uint64_t right = (uint64_t{visible.right} + shape.horizontal - 1) / shape.horizontal;
    const uint64_t top = visible.y / shape.vertical;
    const uint64_t bottom = (uint64_t{visible.bottom} + shape.vertical - 1) / shape.vertical;
    if (right == left) continue;
    for (uint64_t row = top; row < bottom; ++row) {
      crc = SumRow(crc, mapping.Row(plane, row) + left * shape.bytes, (right - left) * shape.bytes,
                   format.fourcc, visible.right % 2 != 0);
    }
  }
  return crc;
}

}  // namespace sluice::core
