#include "nodes/ffmpeg/annex_b.h"

#include <sluice/format.h>

namespace sluice::ffmpeg {

uint32_t CompressedFourcc(AVCodecID codec) {
  switch (codec) {
    case AV_CODEC_ID_MJPEG:
      return SLUICE_FORMAT_MJPG;
    case AV_CODEC_ID_H264:
      return SLUICE_FORMAT_H264;
    case AV_CODEC_ID_HEVC:
      return SLUICE_FORMAT_HEVC;
    default:
      return 0;
  }
}

AVCodecID CodecOf(uint32_t fourcc) {
  for (const AVCodecID codec : {AV_CODEC_ID_MJPEG, AV_CODEC_ID_H264, AV_CODEC_ID_HEVC}) {
    if (CompressedFourcc(codec) == fourcc) return codec;
  }
  return AV_CODEC_ID_NONE;
}

sdk::Expected<AnnexB> AnnexB::For(const AVStream& stream) {
  AnnexB result;
  const AVCodecID codec = stream.codecpar->codec_id;
  const char* name = codec == AV_CODEC_ID_H264   ? "h264_mp4toannexb"
                     : codec == AV_CODEC_ID_HEVC ? "hevc_mp4toannexb"
                                                 : nullptr;
  if (name == nullptr) return result;
  const LastLogLine log;
  const AVBitStreamFilter* filter = av_bsf_get_by_name(name);
  AVBSFContext* context = nullptr;
  int code = filter == nullptr ? AVERROR_BSF_NOT_FOUND : av_bsf_alloc(filter, &context);
  if (code >= 0) {
    result.filter_.reset(context);
    code = avcodec_parameters_copy(context->par_in, stream.codecpar);
    context->time_base_in = stream.time_base;
  }
  if (code >= 0) code = av_bsf_init(context);
  if (code < 0) {
    return sdk::Status::Error(ErrorCode(code), "%s: %s", name, log.Or(code).c_str());
  }
  return result;
}

int AnnexB::Filter(AVPacket* packet) {
  if (filter_ == nullptr) return 0;
  int code = av_bsf_send_packet(filter_.get(), packet);
  // These filters give one packet for each.
  if (code >= 0) code = av_bsf_receive_packet(filter_.get(), packet);
  if (code < 0) av_packet_unref(packet);
  return code;
}

}  // namespace sluice::ffmpeg
