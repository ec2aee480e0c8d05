#include "nodes/core/pattern.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "nodes/core/pixels.h"

namespace sluice::core {
namespace {

constexpr uint32_t kCheckerSquare = 16;

struct Yuv {
  uint8_t y, u, v;
};

/// BT.709, limited range, in 16 fractional bits: the weights x 219/255 (luma) and x 224/255
/// (chroma).
Yuv ToYuv(int r, int g, int b) {
  const auto scale = [](int value, int offset) {
    return static_cast<uint8_t>(((value + 32768) >> 16) + offset);
  };
  return {scale(11966 * r + 40254 * g + 4064 * b, 16),
          scale(-6596 * r - 22189 * g + 28785 * b, 128),
          scale(28784 * r - 26145 * g - 2639 * b, 128)};
}

/// Full-range BT.709 luma.
uint8_t ToGray(int r, int g, int b) {
  return static_cast<uint8_t>((13933 * r + 46871 * g + 4732 * b + 32768) >> 16);
}

/// splitmix64: a well-mixed word for each count.
uint64_t Mix(uint64_t value) {
  value += 0x9E3779B97F4A7C15u;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
  return value ^ (value >> 31);
}

bool BlueFirst(uint32_t fourcc) {
  return fourcc == SLUICE_FORMAT_AR24 || fourcc == SLUICE_FORMAT_XR24;
}

}  // namespace

std::optional<Pattern> ParsePattern(std::string_view name) {
  if (name == "bars") return Pattern::kBars;
  if (name == "gradient") return Pattern::kGradient;
  if (name == "checker") return Pattern::kChecker;
  if (name == "noise") return Pattern::kNoise;
  return std::nullopt;
}

std::optional<uint32_t> ParseTestFormat(std::string_view name) {
  if (name == "YU12") return SLUICE_FORMAT_YU12;
  if (name == "NV12") return SLUICE_FORMAT_NV12;
  if (name == "YUYV") return SLUICE_FORMAT_YUYV;
  if (name == "AB24") return SLUICE_FORMAT_AB24;
  if (name == "XB24") return SLUICE_FORMAT_XB24;
  if (name == "AR24") return SLUICE_FORMAT_AR24;
  if (name == "XR24") return SLUICE_FORMAT_XR24;
  if (name == "R8") return SLUICE_FORMAT_R8;
  return std::nullopt;
}

bool Painter::is_yuv() const {
  return format_.fourcc == SLUICE_FORMAT_YU12 || format_.fourcc == SLUICE_FORMAT_NV12 ||
         format_.fourcc == SLUICE_FORMAT_YUYV;
}

uint32_t Painter::CellWidth() const {
  const uint32_t width = std::max(1u, format_.width / kCounterBits);
  // Even, so that no chroma sample lies across two cells; single pixels share theirs anyway.
  return width == 1 ? 1 : width & ~1u;
}
uint32_t Painter::BandWidth() const { return std::min(format_.width, CellWidth() * kCounterBits); }
uint32_t Painter::BandHeight() const { return std::min(format_.height, kCounterRows); }

Painter::Rgb Painter::PixelAt(uint32_t x, uint32_t y) const {
  switch (pattern_) {
    case Pattern::kBars: {
      // 75 % bars: white, yellow, cyan, green, magenta, red, blue, black.
      const auto bar = static_cast<uint32_t>(uint64_t{x} * 8 / format_.width);
      const uint32_t bits = 7 - bar;
      constexpr uint8_t kLevel = 191;
      return {(bits & 2) != 0 ? kLevel : uint8_t{0}, (bits & 4) != 0 ? kLevel : uint8_t{0},
              (bits & 1) != 0 ? kLevel : uint8_t{0}};
    }
    case Pattern::kGradient: {
      const uint64_t right = std::max(1u, format_.width - 1);
      const uint64_t bottom = std::max(1u, format_.height - 1);
      const auto across = static_cast<uint8_t>(uint64_t{x} * 255 / right);
      const auto down = static_cast<uint8_t>(uint64_t{y} * 255 / bottom);
      return {across, down, static_cast<uint8_t>(255 - across)};
    }
    case Pattern::kChecker:
      if ((x / kCheckerSquare + y / kCheckerSquare) % 2 == 0) return {224, 224, 224};
      return {32, 64, 96};
    case Pattern::kNoise:
      break;
  }
  return {0, 0, 0};
}

void Painter::PaintStill(const sdk::Mapping& mapping) const {
  const uint32_t width = format_.width;
  const auto yuv_at = [this](uint32_t x, uint32_t y) {
    const Rgb rgb = PixelAt(x, y);
    return ToYuv(rgb.r, rgb.g, rgb.b);
  };
  for (uint32_t y = 0; y < format_.height; ++y) {
    uint8_t* row = mapping.Row(0, y);
    switch (format_.fourcc) {
      case SLUICE_FORMAT_YUYV:
        for (uint32_t x = 0; x < width; x += 2) {
          const Yuv first = yuv_at(x, y);
          const Yuv second = x + 1 < width ? yuv_at(x + 1, y) : first;
          const uint8_t pair[] = {first.y, first.u, second.y, first.v};
          std::memcpy(row + 2 * std::size_t{x}, pair, sizeof(pair));
        }
        break;
      case SLUICE_FORMAT_YU12:
      case SLUICE_FORMAT_NV12:
        for (uint32_t x = 0; x < width; ++x) row[x] = yuv_at(x, y).y;
        break;
      case SLUICE_FORMAT_R8:
        for (uint32_t x = 0; x < width; ++x) {
          const Rgb rgb = PixelAt(x, y);
          row[x] = ToGray(rgb.r, rgb.g, rgb.b);
        }
        break;
      default:
        for (uint32_t x = 0; x < width; ++x) {
          Rgb rgb = PixelAt(x, y);
          if (BlueFirst(format_.fourcc)) std::swap(rgb.r, rgb.b);
          const uint8_t pixel[] = {rgb.r, rgb.g, rgb.b, 255};
          std::memcpy(row + 4 * std::size_t{x}, pixel, sizeof(pixel));
        }
    }
  }
  if (format_.fourcc != SLUICE_FORMAT_YU12 && format_.fourcc != SLUICE_FORMAT_NV12) return;
  for (uint32_t y = 0; y < format_.height; y += 2) {
    for (uint32_t x = 0; x < width; x += 2) {
      const Yuv yuv = yuv_at(x, y);
      if (format_.fourcc == SLUICE_FORMAT_YU12) {
        mapping.Row(1, y / 2)[x / 2] = yuv.u;
        mapping.Row(2, y / 2)[x / 2] = yuv.v;
      } else {
        mapping.Row(1, y / 2)[x] = yuv.u;
        mapping.Row(1, y / 2)[x + 1] = yuv.v;
      }
    }
  }
}

void Painter::PaintNoise(const sdk::Mapping& mapping, uint64_t sequence) const {
  const std::span<const PlaneShape> planes = PlanesOf(format_.fourcc);
  // Limited range keeps every sample legal; the others take all values.
  const uint32_t low = is_yuv() ? 16 : 0;
  const uint32_t span = is_yuv() ? 220 : 256;
  const bool has_alpha = planes.size() == 1 && planes[0].bytes == 4 && !is_yuv();
  const uint64_t start = Mix(Mix(seed_) ^ sequence);
  uint64_t count = 0;
  for (uint32_t plane = 0; plane < planes.size(); ++plane) {
    const PlaneShape& shape = planes[plane];
    const uint64_t size =
        (uint64_t{format_.width} + shape.horizontal - 1) / shape.horizontal * shape.bytes;
    const uint64_t rows = (uint64_t{format_.height} + shape.vertical - 1) / shape.vertical;
    for (uint64_t y = 0; y < rows; ++y) {
      uint8_t* row = mapping.Row(plane, y);
      for (uint64_t x = 0; x < size; x += 8) {
        uint64_t word = Mix(start + count++);
        const uint64_t end = std::min<uint64_t>(x + 8, size);
        for (uint64_t i = x; i < end; ++i, word >>= 8) {
          row[i] = static_cast<uint8_t>(low + ((word & 0xFF) * span >> 8));
        }
      }
      if (!has_alpha) continue;
      for (uint64_t x = 3; x < size; x += 4) row[x] = 255;
    }
  }
}

void Painter::PaintBand(const sdk::Mapping& mapping) const {
  const uint32_t chroma_width = (BandWidth() + 1) / 2;
  const uint32_t chroma_height = (BandHeight() + 1) / 2;
  switch (format_.fourcc) {
    case SLUICE_FORMAT_YU12:
      for (uint32_t y = 0; y < chroma_height; ++y) {
        std::memset(mapping.Row(1, y), 128, chroma_width);
        std::memset(mapping.Row(2, y), 128, chroma_width);
      }
      return;
    case SLUICE_FORMAT_NV12:
      for (uint32_t y = 0; y < chroma_height; ++y) {
        std::memset(mapping.Row(1, y), 128, std::size_t{2} * chroma_width);
      }
      return;
    case SLUICE_FORMAT_YUYV:
      for (uint32_t y = 0; y < BandHeight(); ++y) {
        uint8_t* row = mapping.Row(0, y);
        for (uint32_t x = 0; x < chroma_width; ++x) row[4 * x + 1] = row[4 * x + 3] = 128;
      }
      return;
    default:
      return;  // grey and RGB: the bits are all there is, and alpha is opaque already
  }
}

void Painter::PaintPicture(const sdk::Mapping& mapping, uint64_t sequence) const {
  if (still()) {
    PaintStill(mapping);
  } else {
    PaintNoise(mapping, sequence);
  }
  if (counter_) PaintBand(mapping);
}

void Painter::PaintCounter(const sdk::Mapping& mapping, uint64_t sequence) const {
  if (!counter_) return;
  const uint8_t black = is_yuv() ? 16 : 0;
  const uint8_t white = is_yuv() ? 235 : 255;
  const uint32_t cell = CellWidth();
  const uint32_t width = BandWidth();
  uint8_t* first = mapping.Row(0, 0);
  uint32_t bytes = 1;
  for (uint32_t x = 0, bit = kCounterBits; x < width; x += cell) {
    const uint8_t value = (sequence >> --bit & 1) != 0 ? white : black;
    switch (format_.fourcc) {
      case SLUICE_FORMAT_YU12:
      case SLUICE_FORMAT_NV12:
      case SLUICE_FORMAT_R8:
        std::memset(first + x, value, cell);
        break;
      case SLUICE_FORMAT_YUYV:
        bytes = 2;
        for (uint32_t i = x; i < x + cell; ++i) first[2 * i] = value;
        break;
      default:
        bytes = 4;
        for (uint32_t i = x; i < x + cell; ++i) std::memset(first + 4 * i, value, 3);
    }
  }
  const uint32_t row_bytes = width * bytes;
  for (uint32_t y = 1; y < BandHeight(); ++y) std::memcpy(mapping.Row(0, y), first, row_bytes);
}

}  // namespace sluice::core
