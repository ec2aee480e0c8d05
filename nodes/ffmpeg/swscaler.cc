#include "nodes/ffmpeg/swscaler.h"

#include <algorithm>

#include "nodes/ffmpeg/formats.h"

namespace sluice::ffmpeg {
namespace {

// swscale's defaults differ from these by up to 46 dB of error.
constexpr int kFlags =
    SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP | SWS_BITEXACT;

bool SameShape(const Pixels& a, const Pixels& b) {
  return a.format == b.format && a.width == b.width && a.height == b.height &&
         SameColor(a.color, b.color);
}

const int* Coefficients(const sluice_color& color) {
  switch (color.matrix) {
    case SLUICE_MATRIX_BT709:
      return sws_getCoefficients(SWS_CS_ITU709);
    case SLUICE_MATRIX_BT2020:
      return sws_getCoefficients(SWS_CS_BT2020);
    default:
      return sws_getCoefficients(SWS_CS_ITU601);
  }
}

// Where chroma samples lie, in 1/256 of a luma sample.
void SetSiting(SwsContext* context, const char* side, const Pixels& pixels) {
  const AVPixFmtDescriptor* desc = av_pix_fmt_desc_get(pixels.format);
  if (desc == nullptr || (desc->log2_chroma_w == 0 && desc->log2_chroma_h == 0)) return;
  const bool left = pixels.color.siting != SLUICE_SITING_CENTER;
  const bool top = pixels.color.siting == SLUICE_SITING_TOP_LEFT;
  const std::string prefix(side);
  if (desc->log2_chroma_w == 1) {
    av_opt_set_int(context, (prefix + "_h_chr_pos").c_str(), left ? 0 : 128, 0);
  }
  if (desc->log2_chroma_h == 1) {
    av_opt_set_int(context, (prefix + "_v_chr_pos").c_str(), top ? 0 : 128, 0);
  }
}

}  // namespace

Pixels PixelsOf(const sluice_format& format, const sdk::Mapping& mapping) {
  Pixels pixels;
  pixels.format = PixelFormat(format.fourcc);
  pixels.width = static_cast<int>(format.width);
  pixels.height = static_cast<int>(format.height);
  pixels.color = format.color;
  for (uint32_t i = 0; i < std::min(mapping.planes(), 4u); ++i) {
    pixels.planes[i] = mapping.plane(i);
    pixels.strides[i] = static_cast<int>(mapping.stride(i));
  }
  return pixels;
}

sdk::Status SwScaler::Prepare(const Pixels& from, const Pixels& to) {
  if (context_ != nullptr && SameShape(from, from_) && SameShape(to, to_)) return {};
  const LastLogLine log;
  context_.reset(sws_alloc_context());
  if (context_ == nullptr) return sdk::Status::Error(SLUICE_E_RESOURCE_EXHAUSTED, "out of memory");
  SwsContext* context = context_.get();
  av_opt_set_int(context, "srcw", from.width, 0);
  av_opt_set_int(context, "srch", from.height, 0);
  av_opt_set_int(context, "src_format", from.format, 0);
  av_opt_set_int(context, "dstw", to.width, 0);
  av_opt_set_int(context, "dsth", to.height, 0);
  av_opt_set_int(context, "dst_format", to.format, 0);
  av_opt_set_int(context, "sws_flags", kFlags, 0);
  SetSiting(context, "src", from);
  SetSiting(context, "dst", to);
  const int from_full = from.color.range == SLUICE_RANGE_FULL ? 1 : 0;
  const int to_full = to.color.range == SLUICE_RANGE_FULL ? 1 : 0;
  av_opt_set_int(context, "src_range", from_full, 0);
  av_opt_set_int(context, "dst_range", to_full, 0);
  const int result = sws_init_context(context, nullptr, nullptr);
  if (result < 0) {
    context_.reset();
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "swscale cannot convert %s to %s: %s",
                              av_get_pix_fmt_name(from.format), av_get_pix_fmt_name(to.format),
                              log.Or(result).c_str());
  }
  // Fails for conversions that have no matrix, which then need none.
  sws_setColorspaceDetails(context, Coefficients(from.color), from_full, Coefficients(to.color),
                           to_full, 0, 1 << 16, 1 << 16);
  from_ = from;
  to_ = to;
  return {};
}

sdk::Status SwScaler::Convert(const Pixels& from, const Pixels& to) {
  if (sdk::Status status = Prepare(from, to); !status.ok()) return status;
  uint8_t* planes[4];
  for (int i = 0; i < 4; ++i) planes[i] = const_cast<uint8_t*>(to.planes[i]);
  const int rows =
      sws_scale(context_.get(), from.planes, from.strides, 0, from.height, planes, to.strides);
  if (rows != to.height) {
    return sdk::Status::Error(SLUICE_E_INTERNAL, "swscale wrote %d rows of %d", rows, to.height);
  }
  return {};
}

}  // namespace sluice::ffmpeg
