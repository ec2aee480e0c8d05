#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include <sluice/format.h>
#include <sluice/frame.hpp>

namespace sluice::core {

enum class Pattern { kBars, kGradient, kChecker, kNoise };

std::optional<Pattern> ParsePattern(std::string_view name);
std::optional<uint32_t> ParseTestFormat(std::string_view name);

/// Draws test pictures into mapped frames of one format. Integer arithmetic only: the same bytes
/// everywhere. Chroma is that of a block's top-left pixel. YUV is BT.709 limited, RGB and R8 full
/// range, alpha opaque. P010 and AB4H have the same colours, of eight bits in R'G'B', as exactly
/// as they can tell them; their noise takes all codes of limited range, and 1024 steps from 0 on.
class Painter {
 public:
  /// Cells of the counter band, most significant bit first, and its height in rows.
  static constexpr uint32_t kCounterBits = 32;
  static constexpr uint32_t kCounterRows = 16;

  Painter() = default;
  /// Requires: ParseTestFormat knows the format's fourcc.
  Painter(const sluice_format& format, Pattern pattern, uint64_t seed, bool counter)
      : format_(format), pattern_(pattern), seed_(seed), counter_(counter) {}

  /// Whether all frames are alike but for the counter.
  bool still() const { return pattern_ != Pattern::kNoise; }
  /// Everything of the frame `sequence` but the counter's bits.
  void PaintPicture(const sdk::Mapping& mapping, uint64_t sequence) const;
  /// The counter's bits; nothing without a counter.
  void PaintCounter(const sdk::Mapping& mapping, uint64_t sequence) const;

 private:
  struct Rgb {
    uint8_t r, g, b;
  };
  Rgb PixelAt(uint32_t x, uint32_t y) const;
  void PaintStill(const sdk::Mapping& mapping) const;
  void PaintNoise(const sdk::Mapping& mapping, uint64_t sequence) const;
  void PaintDeepStill(const sdk::Mapping& mapping) const;
  void PaintDeepNoise(const sdk::Mapping& mapping, uint64_t sequence) const;
  /// What the band has beside its bits: neutral chroma, opaque alpha.
  void PaintBand(const sdk::Mapping& mapping) const;
  uint32_t CellWidth() const;
  uint32_t BandWidth() const;
  uint32_t BandHeight() const;
  bool is_yuv() const;
  /// P010, AB4H: samples of two bytes.
  bool is_deep() const;

  sluice_format format_{};
  Pattern pattern_ = Pattern::kBars;
  uint64_t seed_ = 1;
  bool counter_ = true;
};

}  // namespace sluice::core
