#include "nodes/ffmpeg/picture_output.h"

namespace sluice::ffmpeg {
namespace {

std::string OwnMemoryText(const AVCodec& codec) {
  return sdk::Format("the %s decoder fills memory of its own", codec.name);
}

}  // namespace

std::string PictureOutput::ConversionText(AVPixelFormat from, uint32_t to) {
  const char* name = av_get_pix_fmt_name(from);
  return sdk::Format("conversion from %s to %s", name == nullptr ? "unknown" : name,
                     FourccName(to).c_str());
}

std::string PictureOutput::KnownReason(const Picture& picture, const AVCodec& codec) {
  if (picture.crop_left != 0 || picture.crop_top != 0) {
    return "the picture is cropped at its left or top";
  }
  if (!picture.exact) return ConversionText(picture.format, picture.fourcc);
  if ((codec.capabilities & AV_CODEC_CAP_DR1) == 0) return OwnMemoryText(codec);
  return {};
}

std::string PictureOutput::Reason(const AVFrame& frame, const Picture& picture,
                                  const AVCodec& codec, const sluice_format& to) const {
  if (picture.fourcc != to.fourcc) return ConversionText(picture.format, to.fourcc);
  if (picture.exact && !SameColor(picture.color.color, to.color)) {
    return "conversion between colour encodings";
  }
  const std::string known = KnownReason(picture, codec);
  if (!known.empty()) return known;
  switch (pool_.Reason(frame)) {
    case OwnMemory::kEpoch:
    case OwnMemory::kFormat:
      return "decoded before the new format was negotiated";
    case OwnMemory::kNoBuffer:
      return "no buffer was free when the decoder asked for one";
    case OwnMemory::kLayout:
      return "the buffers' layout does not suit the decoder";
    default:
      return OwnMemoryText(codec);
  }
}

sdk::Expected<sdk::Frame> PictureOutput::Take(AVFrame* frame, const Picture& picture,
                                              const AVCodec& codec, bool share) {
  if (share) {
    if (sdk::Frame shared = pool_.Share(*frame)) return shared;
  }
  sdk::Expected<sdk::Frame> acquired = context_.Acquire(port_);
  if (!acquired.ok()) {
    if (acquired.status().code() == SLUICE_E_WOULD_BLOCK) return sdk::Frame();
    return acquired.status();
  }
  Pixels from;
  from.format = picture.format;
  from.width = static_cast<int>(picture.width);
  from.height = static_cast<int>(picture.height);
  from.color = picture.source.color;
  const std::string reason = Reason(*frame, picture, codec, acquired->Format());
  // Moves the planes' pointers to the visible rectangle, whatever their alignment becomes.
  if (av_frame_apply_cropping(frame, AV_FRAME_CROP_UNALIGNED) < 0) {
    return sdk::Status::Error(SLUICE_E_IO, "a frame's crop exceeds its size");
  }
  for (int i = 0; i < 4; ++i) {
    from.planes[i] = frame->data[i];
    from.strides[i] = frame->linesize[i];
  }
  {
    auto mapping = acquired->Map(SLUICE_MAP_WRITE);
    if (!mapping.ok()) return mapping.status();
    const Pixels to = PixelsOf(acquired->Format(), *mapping);
    if (sdk::Status status = scaler_.Convert(from, to); !status.ok()) return status;
  }
  const sluice_format& format = acquired->Format();
  context_.CountCopy(name_, VisibleBytes(format.fourcc, format.width, format.height),
                     reason.c_str());
  return acquired;
}

}  // namespace sluice::ffmpeg
