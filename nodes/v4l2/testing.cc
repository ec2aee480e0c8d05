#include "nodes/v4l2/testing.h"

#include <dirent.h>

#include <algorithm>
#include <cmath>

namespace sluice::v4l2::testing {
namespace {

int Clamp(double value) { return std::clamp(static_cast<int>(std::lround(value)), 0, 255); }

Rgb FromYuv(int y, int u, int v, const sluice_color& color) {
  const bool limited = color.range == SLUICE_RANGE_LIMITED;
  const double luma = limited ? (y - 16) * 255.0 / 219 : y;
  const double scale = limited ? 255.0 / 224 : 1;
  const double cb = (u - 128) * scale, cr = (v - 128) * scale;
  const bool hd = color.matrix == SLUICE_MATRIX_BT709;
  const double kr = hd ? 0.2126 : 0.299, kb = hd ? 0.0722 : 0.114, kg = 1 - kr - kb;
  const double red = luma + 2 * (1 - kr) * cr, blue = luma + 2 * (1 - kb) * cb;
  return {Clamp(red), Clamp((luma - kr * red - kb * blue) / kg), Clamp(blue)};
}

}  // namespace

Rgb PixelAt(uint32_t fourcc, const sluice_layout& layout,
            const std::vector<std::vector<uint8_t>>& parts, uint32_t x, uint32_t y,
            const sluice_color& color) {
  const auto at = [&](uint32_t plane, uint64_t row, uint64_t byte) -> const uint8_t* {
    const sluice_plane& where = layout.planes[plane];
    return &parts.at(where.part).at(where.offset + row * where.stride + byte);
  };
  const uint8_t *p = nullptr, *q = nullptr;
  switch (fourcc) {
    case SLUICE_FORMAT_YUYV:
      p = at(0, y, x / 2 * 4);
      return FromYuv(p[x % 2 * 2], p[1], p[3], color);
    case SLUICE_FORMAT_UYVY:
      p = at(0, y, x / 2 * 4);
      return FromYuv(p[1 + x % 2 * 2], p[0], p[2], color);
    case SLUICE_FORMAT_NV12:
    case SLUICE_FORMAT_NV21:
      p = at(1, y / 2, x / 2 * 2);
      return fourcc == SLUICE_FORMAT_NV12 ? FromYuv(*at(0, y, x), p[0], p[1], color)
                                          : FromYuv(*at(0, y, x), p[1], p[0], color);
    case SLUICE_FORMAT_NV16:
      p = at(1, y, x / 2 * 2);
      return FromYuv(*at(0, y, x), p[0], p[1], color);
    case SLUICE_FORMAT_YU12:
      p = at(1, y / 2, x / 2);
      q = at(2, y / 2, x / 2);
      return FromYuv(*at(0, y, x), *p, *q, color);
    case SLUICE_FORMAT_R8:
      return FromYuv(*at(0, y, x), 128, 128, color);
    case SLUICE_FORMAT_XR24:
    case SLUICE_FORMAT_AR24:
      p = at(0, y, x * 4);
      return {p[2], p[1], p[0]};
    case SLUICE_FORMAT_XB24:
    case SLUICE_FORMAT_AB24:
      p = at(0, y, x * 4);
      return {p[0], p[1], p[2]};
    case SLUICE_FORMAT_BG24:
      p = at(0, y, x * 3);
      return {p[0], p[1], p[2]};
    case SLUICE_FORMAT_RG24:
      p = at(0, y, x * 3);
      return {p[2], p[1], p[0]};
    case SLUICE_FORMAT_RG16: {
      p = at(0, y, x * 2);
      const int word = p[0] | p[1] << 8;
      return {(word >> 11) * 255 / 31, (word >> 5 & 63) * 255 / 63, (word & 31) * 255 / 31};
    }
    default:
      return {-1, -1, -1};
  }
}

int CountFds() {
  int count = 0;
  DIR* folder = opendir("/proc/self/fd");
  while (folder != nullptr && readdir(folder) != nullptr) ++count;
  if (folder != nullptr) closedir(folder);
  return count;
}

}  // namespace sluice::v4l2::testing
