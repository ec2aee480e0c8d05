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

/// The same in ten bits, from the same colour, in 20 fractional bits.
struct DeepYuv {
  uint16_t y, u, v;
};
DeepYuv ToDeepYuv(int r, int g, int b) {
  const auto scale = [](int value, int offset) {
    return static_cast<uint16_t>(((value + (1 << 19)) >> 20) + offset);
  };
  return {scale(765821 * r + 2576270 * g + 260076 * b, 64),
          scale(-422130 * r - 1420074 * g + 1842204 * b, 512),
          scale(1842204 * r - 1673285 * g - 168919 * b, 512)};
}

constexpr uint16_t kHalfOne = 0x3C00;

/// The half float (IEEE 754 binary16) nearest to numerator/denominator, from 2^-14 to 1, or 0. No
/// value lies between two of them: the denominators here are odd, or fit.
constexpr uint16_t HalfOf(uint32_t numerator, uint32_t denominator) {
  if (numerator == 0) return 0;
  uint32_t shift = 10;
  while ((numerator << shift) / denominator < 1024) ++shift;
  const uint32_t digits = (2 * (numerator << shift) + denominator) / (2 * denominator);
  // The leading one of the digits counts the exponent up.
  return static_cast<uint16_t>(((24 - shift) << 10) + digits);
}

template <uint32_t kCount>
constexpr std::array<uint16_t, kCount> HalvesOf(uint32_t denominator) {
  std::array<uint16_t, kCount> halves{};
  for (uint32_t i = 0; i < kCount; ++i) halves[i] = HalfOf(i, denominator);
  return halves;
}
constexpr auto kHalfOfByte = HalvesOf<256>(255);
constexpr auto kHalfOfNoise = HalvesOf<1024>(1024);

/// Ten bits as P010 has them.
constexpr uint16_t InP010(uint32_t code) { return static_cast<uint16_t>(code << 6); }

void Store16(uint8_t* to, uint16_t value) {
  to[0] = static_cast<uint8_t>(value);
  to[1] = static_cast<uint8_t>(value >> 8);
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
  if (name == "P010") return SLUICE_FORMAT_P010;
  if (name == "AB4H") return SLUICE_FORMAT_AB4H;
  return std::nullopt;
}

bool Painter::is_yuv() const {
  return format_.fourcc == SLUICE_FORMAT_YU12 || format_.fourcc == SLUICE_FORMAT_NV12 ||
         format_.fourcc == SLUICE_FORMAT_YUYV || format_.fourcc == SLUICE_FORMAT_P010;
}

bool Painter::is_deep() const {
  return format_.fourcc == SLUICE_FORMAT_P010 || format_.fourcc == SLUICE_FORMAT_AB4H;
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

void Painter::PaintDeepStill(const sdk::Mapping& mapping) const {
  const bool halves = format_.fourcc == SLUICE_FORMAT_AB4H;
  for (uint32_t y = 0; y < format_.height; ++y) {
    uint8_t* row = mapping.Row(0, y);
    for (uint32_t x = 0; x < format_.width; ++x) {
      const Rgb rgb = PixelAt(x, y);
      if (halves) {
        uint8_t* pixel = row + 8 * std::size_t{x};
        Store16(pixel, kHalfOfByte[rgb.r]);
        Store16(pixel + 2, kHalfOfByte[rgb.g]);
        Store16(pixel + 4, kHalfOfByte[rgb.b]);
        Store16(pixel + 6, kHalfOne);
        continue;
      }
      const DeepYuv yuv = ToDeepYuv(rgb.r, rgb.g, rgb.b);
      Store16(row + 2 * std::size_t{x}, InP010(yuv.y));
      if (x % 2 != 0 || y % 2 != 0) continue;
      uint8_t* chroma = mapping.Row(1, y / 2) + 2 * std::size_t{x};
      Store16(chroma, InP010(yuv.u));
      Store16(chroma + 2, InP010(yuv.v));
    }
  }
}

void Painter::PaintDeepNoise(const sdk::Mapping& mapping, uint64_t sequence) const {
  const bool halves = format_.fourcc == SLUICE_FORMAT_AB4H;
  const std::span<const PlaneShape> planes = PlanesOf(format_.fourcc);
  const uint64_t start = Mix(Mix(seed_) ^ sequence);
  uint64_t count = 0;
  for (uint32_t plane = 0; plane < planes.size(); ++plane) {
    const PlaneShape& shape = planes[plane];
    const uint64_t samples =
        (uint64_t{format_.width} + shape.horizontal - 1) / shape.horizontal * shape.bytes / 2;
    const uint64_t rows = (uint64_t{format_.height} + shape.vertical - 1) / shape.vertical;
    for (uint64_t y = 0; y < rows; ++y) {
      uint8_t* row = mapping.Row(plane, y);
      for (uint64_t x = 0; x < samples; x += 4) {
        uint64_t word = Mix(start + count++);
        const uint64_t end = std::min<uint64_t>(x + 4, samples);
        for (uint64_t i = x; i < end; ++i, word >>= 16) {
          // Codes of limited range, or numbers in 0..1 before an opaque alpha.
          uint16_t value = InP010(static_cast<uint32_t>(64 + ((word & 0xFFFF) * 877 >> 16)));
          if (halves) value = i % 4 == 3 ? kHalfOne : kHalfOfNoise[word & 1023];
          Store16(row + 2 * i, value);
        }
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
    case SLUICE_FORMAT_P010:
      for (uint32_t y = 0; y < chroma_height; ++y) {
        uint8_t* row = mapping.Row(1, y);
        for (uint32_t i = 0; i < 2 * chroma_width; ++i) Store16(row + 2 * i, InP010(512));
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
    is_deep() ? PaintDeepStill(mapping) : PaintStill(mapping);
  } else {
    is_deep() ? PaintDeepNoise(mapping, sequence) : PaintNoise(mapping, sequence);
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
    const bool set = (sequence >> --bit & 1) != 0;
    const uint8_t value = set ? white : black;
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
      case SLUICE_FORMAT_P010:
        bytes = 2;
        for (uint32_t i = x; i < x + cell; ++i) Store16(first + 2 * i, InP010(set ? 940 : 64));
        break;
      case SLUICE_FORMAT_AB4H:
        bytes = 8;
        for (uint32_t i = 4 * x; i < 4 * (x + cell); ++i) {
          if (i % 4 != 3) Store16(first + 2 * i, set ? kHalfOne : 0);
        }
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
