#ifndef NODES_V4L2_FORMATS_H_
#define NODES_V4L2_FORMATS_H_

#include <cstdint>
#include <span>
#include <string_view>

#include <sluice/format.h>
#include <sluice/status.hpp>

#include "nodes/v4l2/device.h"

namespace sluice::v4l2 {

/// How one colour plane lies behind the first one: rows are bytesperline / `stride_divisor` bytes,
/// height / `row_divisor` of them.
struct PlaneShape {
  uint8_t stride_divisor;
  uint8_t row_divisor;
};

/// A V4L2 format and the DRM format that means the same bytes.
struct FormatEntry {
  uint32_t v4l2;
  uint32_t drm;
  bool rgb;
  bool compressed;
  uint8_t memory_planes;  ///< 1: all planes in one buffer
  uint8_t plane_count;
  uint8_t pixel_bytes;  ///< of a row of plane 0; 0 for a compressed one
  PlaneShape planes[3];
};

/// All that are known; of several for one DRM format the preferred one first.
/// Spec: V4L2 "Image Formats" (bytes in memory order), drm_fourcc.h (words, little endian).
std::span<const FormatEntry> AllFormats();
/// Null where there is none.
const FormatEntry* FindV4l2(uint32_t v4l2);
/// The DRM token that a name in DRM's spelling stands for ("XR24", "R8", "MJPG"); 0 if none.
uint32_t DrmFourcc(std::string_view name);

/// Where the planes lie in a buffer of `format`. A compressed picture is one row.
/// Errors: UNSUPPORTED when the numbers of the driver do not hold the picture.
sdk::Expected<sluice_layout> LayoutOf(const FormatEntry& entry, const PixFormat& format);

/// Bytes that plane 0's stride must be a multiple of so that every plane's is one of `multiple`.
uint32_t FirstStrideMultiple(const FormatEntry& entry, uint32_t multiple);

/// What a V4L2 format says of colour; terms that Sluice has no word for stay 0.
struct ColorInfo {
  sluice_color color{};
  uint32_t assumed = 0;  ///< SLUICE_COLOR_FIELD_*: not said by the driver
};
/// Spec: V4L2 "Colorspaces": a DEFAULT term follows from the others by fixed rules.
ColorInfo ColorOf(const FormatEntry& entry, const PixFormat& format);
/// The other way, for output. Terms that are 0 become DEFAULT.
void SetColor(const FormatEntry& entry, const sluice_color& color, PixFormat* format);

/// SLUICE_FIELD_*. `sixty_hertz`: the video standard is of the 525-line kind, whose plain
/// "interlaced" sends the bottom field first.
uint32_t FieldOrder(uint32_t v4l2_field, bool sixty_hertz);

}  // namespace sluice::v4l2

#endif  // NODES_V4L2_FORMATS_H_
