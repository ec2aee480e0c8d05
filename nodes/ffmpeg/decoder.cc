#include "nodes/ffmpeg/decoder.h"

#include <algorithm>
#include <thread>

namespace sluice::ffmpeg {
namespace {

constexpr int kMaxThreads = 8;
/// H.264 and HEVC allow no more (their decoded picture buffers).
constexpr int kMaxReferences = 16;

template <class T>
T Or(T value, T unspecified, T fallback) {
  return value == unspecified ? fallback : value;
}

ColorTags TagsOf(const AVFrame& frame, const AVCodecParameters& stream) {
  ColorTags tags;
  tags.primaries = Or(frame.color_primaries, AVCOL_PRI_UNSPECIFIED, stream.color_primaries);
  tags.transfer = Or(frame.color_trc, AVCOL_TRC_UNSPECIFIED, stream.color_trc);
  tags.matrix = Or(frame.colorspace, AVCOL_SPC_UNSPECIFIED, stream.color_space);
  tags.range = Or(frame.color_range, AVCOL_RANGE_UNSPECIFIED, stream.color_range);
  tags.siting = Or(frame.chroma_location, AVCHROMA_LOC_UNSPECIFIED, stream.chroma_location);
  return tags;
}

bool IsJpeg(AVCodecID codec) {
  return codec == AV_CODEC_ID_MJPEG || codec == AV_CODEC_ID_JPEGLS || codec == AV_CODEC_ID_AMV;
}

int References(const AVCodecContext& codec) {
  switch (codec.codec_id) {
    case AV_CODEC_ID_H264:
      return std::clamp(codec.refs, 1, kMaxReferences);
    case AV_CODEC_ID_HEVC:
      return kMaxReferences;
    case AV_CODEC_ID_VP9:
      // Eight slots, and the frames whose motion vectors and segments are read again.
      return 8 + 3;
    case AV_CODEC_ID_VP8:
      return 3 + 1;
    default:
      return 3;
  }
}

}  // namespace

int DecoderThreads(int threads) {
  if (threads > 0) return threads;
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kMaxThreads);
}

sdk::Expected<CodecPtr> OpenDecoder(const AVCodecParameters& stream, AVRational time_base,
                                    int threads, PoolBuffers* pool) {
  const AVCodecID id = stream.codec_id;
  const AVCodec* codec = avcodec_find_decoder(id);
  if (codec == nullptr) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "no decoder for %s", avcodec_get_name(id));
  }
  CodecPtr context(avcodec_alloc_context3(codec));
  if (context == nullptr) return sdk::Status::Error(SLUICE_E_RESOURCE_EXHAUSTED, "out of memory");
  const LastLogLine log;
  int result = avcodec_parameters_to_context(context.get(), &stream);
  if (result >= 0) {
    context->pkt_timebase = time_base;
    context->thread_count = DecoderThreads(threads);
    context->thread_type = FF_THREAD_FRAME | FF_THREAD_SLICE;
    // A crop at the left or top would move the picture inside its buffer.
    context->apply_cropping = 0;
    if (pool != nullptr) pool->Attach(context.get());
    result = avcodec_open2(context.get(), codec, nullptr);
  }
  if (result < 0) {
    return sdk::Status::Error(ErrorCode(result), "the %s decoder cannot be opened: %s", codec->name,
                              log.Or(result).c_str());
  }
  return context;
}

uint32_t DecoderReserve(const AVCodecContext& probed, int video_delay, int threads) {
  int reorder = std::max({probed.has_b_frames, video_delay, 0});
  const int references = References(probed);
  // Without bitstream_restriction an H.264 decoder finds its delay out as it goes.
  if (probed.codec_id == AV_CODEC_ID_H264) reorder = std::max(reorder, std::min(references, 4));
  return static_cast<uint32_t>(references + std::min(reorder, kMaxReferences) +
                               DecoderThreads(threads) + 1 + 2);
}

Picture DescribePicture(const AVFrame& frame, const AVCodecParameters& stream) {
  Picture picture;
  picture.format = static_cast<AVPixelFormat>(frame.format);
  picture.crop_left = static_cast<uint32_t>(frame.crop_left);
  picture.crop_top = static_cast<uint32_t>(frame.crop_top);
  picture.width = static_cast<uint32_t>(frame.width) -
                  static_cast<uint32_t>(frame.crop_left + frame.crop_right);
  picture.height = static_cast<uint32_t>(frame.height) -
                   static_cast<uint32_t>(frame.crop_top + frame.crop_bottom);
  const auto exact = ExactFourcc(picture.format);
  picture.exact = exact.has_value() && picture.crop_left == 0 && picture.crop_top == 0;
  picture.fourcc = exact.value_or(NearestFourcc(picture.format).value_or(0));
  const bool jpeg = IsJpeg(stream.codec_id);
  picture.source = ResolveColor(TagsOf(frame, stream), picture.format, jpeg, picture.height);
  picture.color = picture.source;
  const AVPixFmtDescriptor* desc = av_pix_fmt_desc_get(picture.format);
  const bool source_is_rgb =
      desc != nullptr && (desc->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL)) != 0;
  if (!source_is_rgb && IsRgb(picture.fourcc)) {
    // Converted: the matrix is used up, the primaries and the curve stay.
    picture.color.color.matrix = SLUICE_MATRIX_RGB;
    picture.color.color.range = SLUICE_RANGE_FULL;
    picture.color.color.siting = 0;
  }
  if (picture.color.color.siting == 0 && HalvesWidth(picture.fourcc)) {
    // Converted from 4:4:4, which has none: where chroma is put when it is halved.
    picture.color.color.siting = SLUICE_SITING_LEFT;
  }
  return picture;
}

int64_t DurationTicks(const AVFrame& frame) {
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100)
  return frame.duration;
#else
  return frame.pkt_duration;
#endif
}

bool IsKey(const AVFrame& frame) {
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100)
  return (frame.flags & AV_FRAME_FLAG_KEY) != 0;
#else
  return frame.key_frame != 0;
#endif
}

bool IsCorrupt(const AVFrame& frame) {
  return (frame.flags & AV_FRAME_FLAG_CORRUPT) != 0 || frame.decode_error_flags != 0;
}

uint32_t FieldOrder(const AVFrame& frame) {
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100)
  if ((frame.flags & AV_FRAME_FLAG_INTERLACED) == 0) return SLUICE_FIELD_PROGRESSIVE;
  const bool top = (frame.flags & AV_FRAME_FLAG_TOP_FIELD_FIRST) != 0;
#else
  if (frame.interlaced_frame == 0) return SLUICE_FIELD_PROGRESSIVE;
  const bool top = frame.top_field_first != 0;
#endif
  return top ? SLUICE_FIELD_TOP_FIRST : SLUICE_FIELD_BOTTOM_FIRST;
}

}  // namespace sluice::ffmpeg
