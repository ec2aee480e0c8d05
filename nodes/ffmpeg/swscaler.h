#ifndef NODES_FFMPEG_SWSCALER_H_
#define NODES_FFMPEG_SWSCALER_H_

#include <cstdint>

#include <sluice/format.h>
#include <sluice/frame.hpp>

#include "nodes/ffmpeg/libav.h"

namespace sluice::ffmpeg {

/// Pixels in memory, for a conversion.
struct Pixels {
  AVPixelFormat format = AV_PIX_FMT_NONE;
  int width = 0;
  int height = 0;
  sluice_color color{};
  const uint8_t* planes[4] = {};
  int strides[4] = {};
};

/// Pixels of a mapped frame.
Pixels PixelsOf(const sluice_format& format, const sdk::Mapping& mapping);

/// Converts size, pixel format and colour encoding with swscale's accurate settings. Keeps its
/// tables as long as the formats stay. Primaries and transfer are not converted.
class SwScaler {
 public:
  /// Writes to the planes of `to`.
  /// Errors: UNSUPPORTED.
  sdk::Status Convert(const Pixels& from, const Pixels& to);

 private:
  sdk::Status Prepare(const Pixels& from, const Pixels& to);

  SwsPtr context_;
  Pixels from_;
  Pixels to_;
};

}  // namespace sluice::ffmpeg

#endif  // NODES_FFMPEG_SWSCALER_H_
