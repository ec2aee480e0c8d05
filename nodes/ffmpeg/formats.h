#ifndef NODES_FFMPEG_FORMATS_H_
#define NODES_FFMPEG_FORMATS_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include <sluice/format.h>

#include "nodes/ffmpeg/libav.h"

namespace sluice::ffmpeg {

/// The fourccs that these nodes carry, most general first.
std::span<const uint32_t> CarriedFourccs();
/// "YU12".
std::string FourccName(uint32_t fourcc);

/// The fourcc whose memory is exactly that of `format`, if the nodes carry one.
std::optional<uint32_t> ExactFourcc(AVPixelFormat format);
/// The carried fourcc that loses least of `format`; only for formats in system memory.
std::optional<uint32_t> NearestFourcc(AVPixelFormat format);
/// The pixel format of a carried fourcc; AV_PIX_FMT_NONE otherwise. Never a yuvj format.
AVPixelFormat PixelFormat(uint32_t fourcc);
/// Whether both name the same memory (yuvj420p and yuv420p do).
bool SameMemory(AVPixelFormat a, AVPixelFormat b);
bool IsRgb(uint32_t fourcc);
/// Whether chroma is halved in this direction, so that encoders with even sizes refuse odd ones.
bool HalvesWidth(uint32_t fourcc);
bool HalvesHeight(uint32_t fourcc);
uint32_t PlaneCount(uint32_t fourcc);
/// Visible bytes of one picture.
uint64_t VisibleBytes(uint32_t fourcc, uint32_t width, uint32_t height);
/// Visible bytes of one row and rows of a plane.
struct PlaneShape {
  uint64_t row_bytes = 0;
  uint64_t rows = 0;
};
PlaneShape ShapeOf(uint32_t fourcc, uint32_t plane, uint32_t width, uint32_t height);

/// Colour as a medium tags it, in libav's terms.
struct ColorTags {
  AVColorPrimaries primaries = AVCOL_PRI_UNSPECIFIED;
  AVColorTransferCharacteristic transfer = AVCOL_TRC_UNSPECIFIED;
  AVColorSpace matrix = AVCOL_SPC_UNSPECIFIED;
  AVColorRange range = AVCOL_RANGE_UNSPECIFIED;
  AVChromaLocation siting = AVCHROMA_LOC_UNSPECIFIED;
};

/// A complete description, and SLUICE_COLOR_FIELD_* bits of what was assumed.
struct ResolvedColor {
  sluice_color color{};
  uint32_t assumed = 0;
};

/// Fills what the tags leave open, as docs/ffmpeg.md states: BT.709 from 720 lines on, BT.601
/// below, limited range, left siting; full range and centre siting for JPEG and yuvj formats;
/// identity matrix and full range for RGB. `height`: of the picture, pixels.
ResolvedColor ResolveColor(const ColorTags& tags, AVPixelFormat format, bool jpeg, uint32_t height);

/// The tags that a muxer and an encoder write for `color`.
ColorTags ToTags(const sluice_color& color, uint32_t height);

bool SameColor(const sluice_color& a, const sluice_color& b);

}  // namespace sluice::ffmpeg

#endif  // NODES_FFMPEG_FORMATS_H_
