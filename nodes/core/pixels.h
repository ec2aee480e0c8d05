#pragma once

#include <cstdint>
#include <span>

#include <sluice/format.h>
#include <sluice/frame.h>
#include <sluice/frame.hpp>

namespace sluice::core {

/// Samples of a plane: ceil(width / horizontal) x ceil(height / vertical), `bytes` each.
struct PlaneShape {
  uint32_t horizontal;
  uint32_t vertical;
  uint32_t bytes;
};

/// The planes of a format; empty when it is not one of those that these nodes read.
std::span<const PlaneShape> PlanesOf(uint32_t fourcc);

/// CRC-32 of the visible pixels, plane by plane and row by row. The unused sample of XB24, XR24
/// and XB4H is left out, and so is the luma sample of YUYV that lies right of an odd width.
/// Requires: PlanesOf(format.fourcc) is not empty; `frame_info` has the visible rectangle (0x0 =
/// the whole picture).
uint32_t PixelChecksum(const sdk::Mapping& mapping, const sluice_format& format,
                       const sluice_frame_info& frame_info);

}  // namespace sluice::core
