#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace sluice::testing {

/// Where the rows of a picture lie, for packed formats or one plane.
struct BandLayout {
  uint32_t row_bytes = 0;  ///< Of pixels; at least kBandRowBytes.
  uint32_t stride = 0;     ///< Bytes from one row to the next; at least row_bytes.
  uint32_t rows = 0;       ///< At least 3.
  /// Every which row has a band; the first and the last always have one. Large
  /// pictures at many places are cheaper to look at with fewer of them.
  uint32_t every = 1;
};

/// What the band of each row takes at the row's start, in bytes.
inline constexpr uint32_t kBandRowBytes = 16;

/// Fills the rows that have a band with a pattern of `sequence`, and puts into
/// the head of each the sequence and a sum of the row. `pixels` holds all rows.
/// A test that wants its own pixels writes them first and calls SealBand.
void WriteBand(std::span<uint8_t> pixels, const BandLayout& layout, uint64_t sequence);

/// The bands alone, over pixels that are there already (behind the head of
/// each row).
void SealBand(std::span<uint8_t> pixels, const BandLayout& layout, uint64_t sequence);

struct BandCheck {
  enum class Verdict {
    kWhole,  ///< Every band is of one and the same frame, as it was written.
    kTorn,   ///< Rows of several frames, or a row that does not fit its sum.
    kNone,   ///< No band is there, or the layout has no room for one.
  };
  Verdict verdict = Verdict::kNone;
  uint64_t sequence = 0;  ///< Of the first row.
  std::string problem;    ///< Which row, and what is wrong with it; empty if whole.

  bool whole() const { return verdict == Verdict::kWhole; }
};

/// Looks at every band: from the last to the first, as a writer goes from the
/// first to the last, so that a writer that is at work meanwhile is seen.
/// Reads only; memory that changes meanwhile is no error but a finding.
BandCheck CheckBand(std::span<const uint8_t> pixels, const BandLayout& layout);

}  // namespace sluice::testing
