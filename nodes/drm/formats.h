#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <sluice/sdk.hpp>

#include "nodes/drm/in_formats.h"

namespace sluice::drm {

/// A set of formats that share their modifiers: one offer each.
struct FormatGroup {
  std::vector<uint32_t> fourccs;
  std::vector<uint64_t> modifiers;
  friend bool operator==(const FormatGroup&, const FormatGroup&) = default;
};

/// What of a plane's formats can be offered: those that the manifest declares, with the modifiers
/// that it declares, in order of preference.
std::vector<FormatGroup> GroupFormats(std::span<const PlaneFormat> plane);

/// As what the plane reads pictures of `fourcc`: a picture's alpha means nothing on a screen, so
/// the format without it is taken where the plane has it. 0: the plane cannot show it.
uint32_t ShownAs(std::span<const PlaneFormat> plane, uint32_t fourcc, uint64_t modifier);

/// How a dumb buffer is asked for that holds a linear picture of `fourcc`.
struct DumbShape {
  uint32_t bits_per_pixel = 0;          ///< of plane 0; 0: not in a dumb buffer
  uint32_t rows_num = 1, rows_den = 1;  ///< rows of all planes for each row of plane 0
};
DumbShape DumbShapeOf(uint32_t fourcc);

/// The layout of a dumb buffer with this stride and size; plane_count 0 where it does not fit.
/// Requires: a fourcc with a DumbShape.
sluice_layout DumbLayout(uint32_t fourcc, uint32_t width, uint32_t height, uint32_t stride,
                         uint64_t size);

}  // namespace sluice::drm
