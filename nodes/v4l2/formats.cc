#include "nodes/v4l2/formats.h"

#include <algorithm>

#include <sluice/frame.h>

namespace sluice::v4l2 {
namespace {

// V4L2 names a format by its bytes in memory, DRM by a little-endian word: V4L2's RGB24 is DRM's
// BG24, and the token XR24 is V4L2's XBGR32.
constexpr FormatEntry kFormats[] = {
    {V4L2_PIX_FMT_YUYV, SLUICE_FORMAT_YUYV, false, false, 1, 1, 2, {{1, 1}}},
    {V4L2_PIX_FMT_UYVY, SLUICE_FORMAT_UYVY, false, false, 1, 1, 2, {{1, 1}}},
    {V4L2_PIX_FMT_NV12, SLUICE_FORMAT_NV12, false, false, 1, 2, 1, {{1, 1}, {1, 2}}},
    {V4L2_PIX_FMT_NV12M, SLUICE_FORMAT_NV12, false, false, 2, 2, 1, {{1, 1}, {1, 2}}},
    {V4L2_PIX_FMT_NV21, SLUICE_FORMAT_NV21, false, false, 1, 2, 1, {{1, 1}, {1, 2}}},
    {V4L2_PIX_FMT_NV21M, SLUICE_FORMAT_NV21, false, false, 2, 2, 1, {{1, 1}, {1, 2}}},
    {V4L2_PIX_FMT_NV16, SLUICE_FORMAT_NV16, false, false, 1, 2, 1, {{1, 1}, {1, 1}}},
    {V4L2_PIX_FMT_YUV420, SLUICE_FORMAT_YU12, false, false, 1, 3, 1, {{1, 1}, {2, 2}, {2, 2}}},
    {V4L2_PIX_FMT_YUV420M, SLUICE_FORMAT_YU12, false, false, 3, 3, 1, {{1, 1}, {2, 2}, {2, 2}}},
    {V4L2_PIX_FMT_P010, SLUICE_FORMAT_P010, false, false, 1, 2, 2, {{1, 1}, {1, 2}}},
    {V4L2_PIX_FMT_GREY, SLUICE_FORMAT_R8, false, false, 1, 1, 1, {{1, 1}}},
    {V4L2_PIX_FMT_XBGR32, SLUICE_FORMAT_XR24, true, false, 1, 1, 4, {{1, 1}}},
    // Its fourth byte is not defined: no alpha.
    {V4L2_PIX_FMT_BGR32, SLUICE_FORMAT_XR24, true, false, 1, 1, 4, {{1, 1}}},
    {V4L2_PIX_FMT_ABGR32, SLUICE_FORMAT_AR24, true, false, 1, 1, 4, {{1, 1}}},
    {V4L2_PIX_FMT_RGBX32, SLUICE_FORMAT_XB24, true, false, 1, 1, 4, {{1, 1}}},
    {V4L2_PIX_FMT_RGBA32, SLUICE_FORMAT_AB24, true, false, 1, 1, 4, {{1, 1}}},
    {V4L2_PIX_FMT_RGB24, SLUICE_FORMAT_BG24, true, false, 1, 1, 3, {{1, 1}}},
    {V4L2_PIX_FMT_BGR24, SLUICE_FORMAT_RG24, true, false, 1, 1, 3, {{1, 1}}},
    {V4L2_PIX_FMT_RGB565, SLUICE_FORMAT_RG16, true, false, 1, 1, 2, {{1, 1}}},
    {V4L2_PIX_FMT_MJPEG, SLUICE_FORMAT_MJPG, false, true, 1, 1, 0, {{1, 1}}},
    {V4L2_PIX_FMT_JPEG, SLUICE_FORMAT_MJPG, false, true, 1, 1, 0, {{1, 1}}},
    {V4L2_PIX_FMT_H264, SLUICE_FORMAT_H264, false, true, 1, 1, 0, {{1, 1}}},
    {V4L2_PIX_FMT_HEVC, SLUICE_FORMAT_HEVC, false, true, 1, 1, 0, {{1, 1}}},
};

uint8_t PrimariesOf(uint32_t colorspace) {
  switch (colorspace) {
    case V4L2_COLORSPACE_SMPTE170M:
    case V4L2_COLORSPACE_SMPTE240M:  // the same primaries
      return SLUICE_PRIMARIES_BT601_525;
    case V4L2_COLORSPACE_470_SYSTEM_BG:
      return SLUICE_PRIMARIES_BT601_625;
    case V4L2_COLORSPACE_REC709:
    case V4L2_COLORSPACE_SRGB:
    case V4L2_COLORSPACE_JPEG:
      return SLUICE_PRIMARIES_BT709;
    case V4L2_COLORSPACE_BT2020:
      return SLUICE_PRIMARIES_BT2020;
    default:
      return 0;
  }
}

uint8_t TransferOf(uint32_t xfer_func) {
  switch (xfer_func) {
    case V4L2_XFER_FUNC_709:
      return SLUICE_TRANSFER_BT709;
    case V4L2_XFER_FUNC_SRGB:
      return SLUICE_TRANSFER_SRGB;
    case V4L2_XFER_FUNC_OPRGB:
      return SLUICE_TRANSFER_GAMMA22;
    case V4L2_XFER_FUNC_NONE:
      return SLUICE_TRANSFER_LINEAR;
    case V4L2_XFER_FUNC_SMPTE2084:
      return SLUICE_TRANSFER_PQ;
    default:
      return 0;
  }
}

uint8_t MatrixOf(uint32_t ycbcr_enc) {
  switch (ycbcr_enc) {
    case V4L2_YCBCR_ENC_601:
    case V4L2_YCBCR_ENC_XV601:
      return SLUICE_MATRIX_BT601;
    case V4L2_YCBCR_ENC_709:
    case V4L2_YCBCR_ENC_XV709:
      return SLUICE_MATRIX_BT709;
    case V4L2_YCBCR_ENC_BT2020:
      return SLUICE_MATRIX_BT2020;
    default:
      return 0;
  }
}

/// What a driver that says nothing most likely means.
uint32_t GuessColorspace(const FormatEntry& entry, uint32_t height) {
  if (entry.drm == SLUICE_FORMAT_MJPG) return V4L2_COLORSPACE_JPEG;
  if (entry.rgb) return V4L2_COLORSPACE_SRGB;
  return height >= 720 ? V4L2_COLORSPACE_REC709 : V4L2_COLORSPACE_SMPTE170M;
}

bool IsSubsampled(const FormatEntry& entry) { return !entry.rgb && entry.drm != SLUICE_FORMAT_R8; }

}  // namespace

std::span<const FormatEntry> AllFormats() { return kFormats; }

const FormatEntry* FindV4l2(uint32_t v4l2) {
  for (const FormatEntry& entry : kFormats) {
    if (entry.v4l2 == v4l2) return &entry;
  }
  return nullptr;
}

uint32_t DrmFourcc(std::string_view name) {
  for (const FormatEntry& entry : kFormats) {
    if (FourccText(entry.drm) == name) return entry.drm;
  }
  return 0;
}

sdk::Expected<sluice_layout> LayoutOf(const FormatEntry& entry, const PixFormat& format) {
  const auto refuse = [&](const char* what) {
    return sdk::Status::Error(
        SLUICE_E_UNSUPPORTED, "%s %ux%u: %s (bytesperline %u, sizeimage %u, %u memory planes)",
        FourccText(entry.v4l2).c_str(), format.width, format.height, what,
        format.planes[0].bytesperline, format.planes[0].sizeimage, format.plane_count);
  };
  if (format.plane_count != entry.memory_planes) return refuse("other planes than it should have");
  sluice_layout layout{};
  layout.coded_width = format.width;
  layout.coded_height = format.height;
  layout.plane_count = entry.plane_count;
  layout.part_count = entry.memory_planes;
  if (entry.compressed) {
    layout.planes[0].stride = layout.planes[0].size = format.planes[0].sizeimage;
    layout.size = format.planes[0].sizeimage;
    if (layout.size == 0) return refuse("no room for a picture");
    return layout;
  }
  uint64_t end = 0;
  for (uint32_t i = 0; i < entry.plane_count; ++i) {
    const PlaneShape& shape = entry.planes[i];
    const uint32_t part = entry.memory_planes > 1 ? i : 0;
    sluice_plane& plane = layout.planes[i];
    plane.part = part;
    // A plane in memory of its own has its own stride; behind another one it follows from that.
    plane.stride = part == i ? format.planes[part].bytesperline
                             : uint64_t{format.planes[0].bytesperline} / shape.stride_divisor;
    const uint64_t rows = (uint64_t{format.height} + shape.row_divisor - 1) / shape.row_divisor;
    plane.offset = part == i ? 0 : end;
    plane.size = plane.stride * rows;
    end = plane.offset + plane.size;
    // Interleaved chroma has as many bytes a row as luma, for an even number of pixels.
    const uint32_t width =
        i > 0 || IsSubsampled(entry) ? format.width + (format.width & 1u) : format.width;
    if (plane.stride < uint64_t{width} * entry.pixel_bytes / shape.stride_divisor) {
      return refuse("rows shorter than the picture");
    }
    if (end > format.planes[part].sizeimage) return refuse("less memory than its rows need");
  }
  for (uint32_t i = 0; i < layout.part_count; ++i) layout.size += format.planes[i].sizeimage;
  return layout;
}

uint32_t FirstStrideMultiple(const FormatEntry& entry, uint32_t multiple) {
  uint32_t divisor = 1;
  for (uint32_t i = 0; entry.memory_planes == 1 && i < entry.plane_count; ++i) {
    divisor = std::max<uint32_t>(divisor, entry.planes[i].stride_divisor);
  }
  return std::max(multiple, 1u) * divisor;
}

ColorInfo ColorOf(const FormatEntry& entry, const PixFormat& format) {
  constexpr uint32_t kSaid = SLUICE_COLOR_FIELD_PRIMARIES | SLUICE_COLOR_FIELD_TRANSFER |
                             SLUICE_COLOR_FIELD_MATRIX | SLUICE_COLOR_FIELD_RANGE;
  ColorInfo info;
  uint32_t colorspace = format.colorspace;
  if (colorspace == V4L2_COLORSPACE_RAW) return info;
  if (colorspace == V4L2_COLORSPACE_DEFAULT) {
    colorspace = GuessColorspace(entry, format.height);
    info.assumed |= kSaid;
  }
  const uint32_t xfer_func = format.xfer_func != V4L2_XFER_FUNC_DEFAULT
                                 ? format.xfer_func
                                 : uint32_t{V4L2_MAP_XFER_FUNC_DEFAULT(colorspace)};
  const uint32_t ycbcr_enc = format.ycbcr_enc != V4L2_YCBCR_ENC_DEFAULT
                                 ? format.ycbcr_enc
                                 : uint32_t{V4L2_MAP_YCBCR_ENC_DEFAULT(colorspace)};
  uint32_t quantization = format.quantization;
  if (quantization == V4L2_QUANTIZATION_DEFAULT) {
    // USB cameras call their JPEGs sRGB; by V4L2's rule that would make them limited.
    quantization = entry.drm == SLUICE_FORMAT_MJPG
                       ? uint32_t{V4L2_QUANTIZATION_FULL_RANGE}
                       : static_cast<uint32_t>(
                             V4L2_MAP_QUANTIZATION_DEFAULT(entry.rgb, colorspace, ycbcr_enc));
  }
  info.color.primaries = PrimariesOf(colorspace);
  info.color.transfer = TransferOf(xfer_func);
  info.color.matrix = entry.rgb                       ? SLUICE_MATRIX_RGB
                      : entry.drm == SLUICE_FORMAT_R8 ? 0
                                                      : MatrixOf(ycbcr_enc);
  info.color.range =
      quantization == V4L2_QUANTIZATION_LIM_RANGE ? SLUICE_RANGE_LIMITED : SLUICE_RANGE_FULL;
  if (IsSubsampled(entry) && !entry.compressed) {
    // V4L2 has no word for the siting.
    info.color.siting =
        colorspace == V4L2_COLORSPACE_BT2020 ? SLUICE_SITING_TOP_LEFT : SLUICE_SITING_LEFT;
    info.assumed |= SLUICE_COLOR_FIELD_SITING;
  }
  if (entry.drm == SLUICE_FORMAT_R8 && format.quantization == V4L2_QUANTIZATION_DEFAULT) {
    // By the letter grey is Y'CbCr without its colour, so limited; sensors and vivid use all of it.
    info.color.range = SLUICE_RANGE_FULL;
    info.assumed |= SLUICE_COLOR_FIELD_RANGE;
  }
  if (info.color.primaries == 0) info.assumed &= ~SLUICE_COLOR_FIELD_PRIMARIES;
  if (info.color.transfer == 0) info.assumed &= ~SLUICE_COLOR_FIELD_TRANSFER;
  if (info.color.matrix == 0) info.assumed &= ~SLUICE_COLOR_FIELD_MATRIX;
  return info;
}

void SetColor(const FormatEntry& entry, const sluice_color& color, PixFormat* format) {
  switch (color.primaries) {
    case SLUICE_PRIMARIES_BT601_525:
      format->colorspace = V4L2_COLORSPACE_SMPTE170M;
      break;
    case SLUICE_PRIMARIES_BT601_625:
      format->colorspace = V4L2_COLORSPACE_470_SYSTEM_BG;
      break;
    case SLUICE_PRIMARIES_BT709:
      format->colorspace =
          color.transfer == SLUICE_TRANSFER_SRGB ? V4L2_COLORSPACE_SRGB : V4L2_COLORSPACE_REC709;
      break;
    case SLUICE_PRIMARIES_BT2020:
      format->colorspace = V4L2_COLORSPACE_BT2020;
      break;
    default:
      // DEFAULT is not valid from an application to an output.
      format->colorspace = GuessColorspace(entry, format->height);
  }
  switch (color.transfer) {
    case SLUICE_TRANSFER_BT709:
      format->xfer_func = V4L2_XFER_FUNC_709;
      break;
    case SLUICE_TRANSFER_SRGB:
      format->xfer_func = V4L2_XFER_FUNC_SRGB;
      break;
    case SLUICE_TRANSFER_LINEAR:
      format->xfer_func = V4L2_XFER_FUNC_NONE;
      break;
    case SLUICE_TRANSFER_PQ:
      format->xfer_func = V4L2_XFER_FUNC_SMPTE2084;
      break;
    case SLUICE_TRANSFER_GAMMA22:
      format->xfer_func = V4L2_XFER_FUNC_OPRGB;
      break;
    default:
      format->xfer_func = V4L2_XFER_FUNC_DEFAULT;
  }
  switch (color.matrix) {
    case SLUICE_MATRIX_BT601:
      format->ycbcr_enc = V4L2_YCBCR_ENC_601;
      break;
    case SLUICE_MATRIX_BT709:
      format->ycbcr_enc = V4L2_YCBCR_ENC_709;
      break;
    case SLUICE_MATRIX_BT2020:
      format->ycbcr_enc = V4L2_YCBCR_ENC_BT2020;
      break;
    default:
      format->ycbcr_enc = V4L2_YCBCR_ENC_DEFAULT;
  }
  format->quantization = color.range == SLUICE_RANGE_FULL      ? V4L2_QUANTIZATION_FULL_RANGE
                         : color.range == SLUICE_RANGE_LIMITED ? V4L2_QUANTIZATION_LIM_RANGE
                                                               : V4L2_QUANTIZATION_DEFAULT;
}

uint32_t FieldOrder(uint32_t v4l2_field, bool sixty_hertz) {
  switch (v4l2_field) {
    case V4L2_FIELD_INTERLACED_TB:
    case V4L2_FIELD_SEQ_TB:
      return SLUICE_FIELD_TOP_FIRST;
    case V4L2_FIELD_INTERLACED_BT:
    case V4L2_FIELD_SEQ_BT:
      return SLUICE_FIELD_BOTTOM_FIRST;
    case V4L2_FIELD_INTERLACED:
      return sixty_hertz ? SLUICE_FIELD_BOTTOM_FIRST : SLUICE_FIELD_TOP_FIRST;
    default:
      return SLUICE_FIELD_PROGRESSIVE;
  }
}

}  // namespace sluice::v4l2
