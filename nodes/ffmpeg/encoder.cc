#include "nodes/ffmpeg/encoder.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "nodes/ffmpeg/decoder.h"

namespace sluice::ffmpeg {
namespace {

struct PictureType {
  const char* extension;
  const char* encoder;
};
constexpr std::array<PictureType, 7> kPictureTypes{{{".png", "png"},
                                                    {".jpg", "mjpeg"},
                                                    {".jpeg", "mjpeg"},
                                                    {".bmp", "bmp"},
                                                    {".tif", "tiff"},
                                                    {".tiff", "tiff"},
                                                    {".ppm", "ppm"}}};

const char* PictureEncoder(const std::string& path) {
  std::string extension = std::filesystem::path(path).extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const PictureType& type : kPictureTypes) {
    if (extension == type.extension) return type.encoder;
  }
  return nullptr;
}

const AVCodec* DefaultEncoder(const AVOutputFormat& container) {
  const char* preferred = nullptr;
  if (std::strcmp(container.name, "webm") == 0) {
    preferred = "libvpx-vp9";
  } else if (avformat_query_codec(&container, AV_CODEC_ID_H264, FF_COMPLIANCE_NORMAL) == 1) {
    for (const char* name : {"mp4", "mov", "ipod", "matroska", "mpegts", "flv"}) {
      if (std::strcmp(container.name, name) == 0) preferred = "libx264";
    }
  }
  const AVCodec* codec = preferred == nullptr ? nullptr : avcodec_find_encoder_by_name(preferred);
  return codec != nullptr ? codec : avcodec_find_encoder(container.video_codec);
}

sdk::Status ReadOptions(const std::string& json, std::map<std::string, std::string>* options) {
  if (json.empty()) return {};
  const auto parsed = nlohmann::json::parse(json, nullptr, false);
  if (!parsed.is_object()) {
    return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT, "options: not a map");
  }
  for (const auto& [key, value] : parsed.items()) {
    if (value.is_structured()) {
      return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT, "options: %s is not a single value",
                                key.c_str());
    }
    if (value.is_boolean()) {
      (*options)[key] = value.get<bool>() ? "1" : "0";
    } else {
      (*options)[key] = value.is_string() ? value.get<std::string>() : value.dump();
    }
  }
  return {};
}

/// Ends with AV_PIX_FMT_NONE; null = any.
const AVPixelFormat* FormatsOf(const AVCodec& codec) {
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(61, 13, 100)
  const void* formats = nullptr;
  avcodec_get_supported_config(nullptr, &codec, AV_CODEC_CONFIG_PIX_FORMAT, 0, &formats, nullptr);
  return static_cast<const AVPixelFormat*>(formats);
#else
  return codec.pix_fmts;
#endif
}

bool IsJpeg(const AVCodec& codec) { return codec.id == AV_CODEC_ID_MJPEG; }

/// The encoder's own name of the format (some know only the yuvj one), or NONE.
AVPixelFormat OwnFormat(const AVCodec& codec, AVPixelFormat wanted) {
  const AVPixelFormat* formats = FormatsOf(codec);
  if (formats == nullptr) return wanted;
  AVPixelFormat same = AV_PIX_FMT_NONE;
  for (; *formats != AV_PIX_FMT_NONE; ++formats) {
    if (*formats == wanted && !IsJpeg(codec)) return wanted;
    if (same == AV_PIX_FMT_NONE && SameMemory(*formats, wanted)) same = *formats;
  }
  return same;
}

/// What the encoder takes for a fourcc; NONE: it does not.
AVPixelFormat EncoderFormat(const AVCodec& codec, uint32_t fourcc) {
  if (fourcc != SLUICE_FORMAT_P010) return OwnFormat(codec, PixelFormat(fourcc));
  // It takes whatever comes, and the container behind it (yuv4mpeg) only eight bits.
  if (codec.id == AV_CODEC_ID_WRAPPED_AVFRAME) return AV_PIX_FMT_NONE;
  // Encoders in software want ten bits low in the word, and chroma in planes. So do those that take
  // anything: containers of raw pictures have no name for P010, and NUT reads another format then.
  const AVPixelFormat own =
      FormatsOf(codec) == nullptr ? AV_PIX_FMT_NONE : OwnFormat(codec, AV_PIX_FMT_P010LE);
  return own != AV_PIX_FMT_NONE ? own : OwnFormat(codec, AV_PIX_FMT_YUV420P10LE);
}

/// Encoders around libraries that copy their input before they return.
bool CopiesInside(const AVCodec& codec) {
  for (const char* name : {"libx264", "libx264rgb", "libx265", "libvpx", "libvpx-vp9", "libaom-av1",
                           "libsvtav1", "librav1e"}) {
    if (std::strcmp(codec.name, name) == 0) return true;
  }
  return false;
}

int BFrames(const EncoderChoice& choice) {
  const auto found = choice.options.find("bf");
  return found == choice.options.end() ? 0 : std::clamp(std::atoi(found->second.c_str()), 0, 16);
}

sdk::Status SetQuality(const EncoderChoice& choice, AVCodecContext* context) {
  if (choice.quality) {
    if (av_opt_find(context, "crf", nullptr, 0, AV_OPT_SEARCH_CHILDREN) != nullptr) {
      av_opt_set_double(context, "crf", *choice.quality, AV_OPT_SEARCH_CHILDREN);
      // libvpx takes crf for an upper bound unless the bit rate is 0.
      if (choice.bitrate.empty()) context->bit_rate = 0;
    } else {
      context->flags |= AV_CODEC_FLAG_QSCALE;
      context->global_quality = static_cast<int>(*choice.quality * FF_QP2LAMBDA);
    }
  }
  if (!choice.bitrate.empty() && av_opt_set(context, "b", choice.bitrate.c_str(), 0) < 0) {
    return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT,
                              "bitrate: '%s' is not a number such as 4M or 800k",
                              choice.bitrate.c_str());
  }
  if (!choice.preset.empty() &&
      av_opt_set(context, "preset", choice.preset.c_str(), AV_OPT_SEARCH_CHILDREN) < 0) {
    return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT, "preset: the encoder %s has none",
                              choice.codec->name);
  }
  return {};
}

void SetShape(const StreamShape& shape, AVCodecContext* context) {
  const sluice_format& format = shape.format;
  context->width = static_cast<int>(format.width);
  context->height = static_cast<int>(format.height);
  context->time_base = shape.time_base;
  // Levels and rate control need a rate; the time base is far finer than one.
  context->framerate = format.rate.denominator != 0 ? ToRational(format.rate) : AVRational{30, 1};
  context->sample_aspect_ratio = shape.aspect;
  const ColorTags tags = ToTags(format.color, format.height);
  context->color_primaries = tags.primaries;
  context->color_trc = tags.transfer;
  context->colorspace = tags.matrix;
  context->color_range = tags.range;
  context->chroma_sample_location = tags.siting;
  if (shape.field_order != SLUICE_FIELD_PROGRESSIVE) {
    context->flags |= AV_CODEC_FLAG_INTERLACED_DCT | AV_CODEC_FLAG_INTERLACED_ME;
    context->field_order = shape.field_order == SLUICE_FIELD_TOP_FIRST ? AV_FIELD_TT : AV_FIELD_BB;
  } else {
    context->field_order = AV_FIELD_PROGRESSIVE;
  }
}

struct WrappedLease {
  sdk::Frame frame;
  std::optional<sdk::Mapping> mapping;  // ends before the lease
};

}  // namespace

sdk::Expected<EncoderChoice> ChooseEncoder(const std::string& path, const sdk::Params& params) {
  EncoderChoice choice;
  const std::string container = params.String("format");
  const std::string codec = params.String("codec");
  const char* picture = PictureEncoder(path);
  const bool pictures = container == "image2" || (container.empty() && picture != nullptr);
  if (!pictures) {
    choice.container = av_guess_format(container.empty() ? nullptr : container.c_str(),
                                       container.empty() ? path.c_str() : nullptr, nullptr);
    if (choice.container == nullptr) {
      return sdk::Status::Error(SLUICE_E_NOT_FOUND, "%s: %s", path.c_str(),
                                container.empty()
                                    ? "no container is known for this name; say one with `format`"
                                    : ("there is no container '" + container + "'").c_str());
    }
    if ((choice.container->flags & AVFMT_NOFILE) != 0) {
      return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s: %s opens files of its own, as it likes",
                                path.c_str(), choice.container->name);
    }
  }
  if (!codec.empty()) {
    choice.codec = avcodec_find_encoder_by_name(codec.c_str());
  } else if (pictures) {
    choice.codec = picture == nullptr ? nullptr : avcodec_find_encoder_by_name(picture);
  } else {
    choice.codec = DefaultEncoder(*choice.container);
  }
  if (choice.codec == nullptr || choice.codec->type != AVMEDIA_TYPE_VIDEO) {
    return sdk::Status::Error(SLUICE_E_NOT_FOUND, "%s: there is no video encoder%s%s", path.c_str(),
                              codec.empty() ? " for it; say one with `codec`" : " ", codec.c_str());
  }
  if (!pictures &&
      avformat_query_codec(choice.container, choice.codec->id, FF_COMPLIANCE_EXPERIMENTAL) == 0) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s: the container %s does not carry %s",
                              path.c_str(), choice.container->name,
                              avcodec_get_name(choice.codec->id));
  }
  if (sdk::Status status = ReadOptions(params.String("options"), &choice.options); !status.ok()) {
    return status;
  }
  if (params.Has("quality")) choice.quality = params.Float("quality");
  choice.bitrate = params.String("bitrate");
  choice.preset = params.String("preset");
  choice.threads = DecoderThreads(static_cast<int>(params.Int("threads", 0)));
  return choice;
}

std::vector<EncoderInput> EncoderInputs(const AVCodec& codec) {
  std::vector<EncoderInput> inputs;
  const bool even = codec.id == AV_CODEC_ID_H264 || codec.id == AV_CODEC_ID_HEVC;
  for (const uint32_t fourcc : CarriedFourccs()) {
    const AVPixelFormat format = EncoderFormat(codec, fourcc);
    if (format == AV_PIX_FMT_NONE) continue;
    // Grey only where nothing else is taken: otherwise a plan could lose the colours on the way to
    // an encoder that could have had them (x264 takes odd sizes in grey, and in nothing else).
    if (fourcc == SLUICE_FORMAT_R8 && !inputs.empty()) continue;
    EncoderInput input;
    input.fourcc = fourcc;
    if (!SameMemory(format, PixelFormat(fourcc))) input.copies = RepackReason(fourcc, format);
    if (IsRgb(fourcc)) {
      input.color.matrix = SLUICE_MATRIX_RGB;
      input.color.range = SLUICE_RANGE_FULL;
    } else if (IsJpeg(codec)) {
      // JFIF 1.02: BT.601 without excess, full range, centred chroma.
      input.color.matrix = SLUICE_MATRIX_BT601;
      input.color.range = SLUICE_RANGE_FULL;
      input.color.siting = SLUICE_SITING_CENTER;
    }
    if (even && HalvesWidth(fourcc)) input.width_step = 2;
    if (even && HalvesHeight(fourcc)) input.height_step = 2;
    inputs.push_back(input);
  }
  return inputs;
}

std::string RepackReason(uint32_t fourcc, AVPixelFormat format) {
  return sdk::Format("%s is repacked to %s for the encoder", FourccName(fourcc).c_str(),
                     av_get_pix_fmt_name(format));
}

uint32_t EncoderHold(const EncoderChoice& choice) {
  const AVCodec& codec = *choice.codec;
  if (CopiesInside(codec)) return 1;
  if ((codec.capabilities & AV_CODEC_CAP_FRAME_THREADS) != 0) {
    // One for each thread, one that waits for a thread, one whose packet is being written.
    return static_cast<uint32_t>(choice.threads) + 2;
  }
  if ((codec.capabilities & AV_CODEC_CAP_DELAY) != 0) {
    return static_cast<uint32_t>(BFrames(choice)) + 3;
  }
  return 1;
}

sdk::Expected<CodecPtr> OpenEncoder(const EncoderChoice& choice, const StreamShape& shape,
                                    Dictionary* rest) {
  const AVPixelFormat format = EncoderFormat(*choice.codec, shape.format.fourcc);
  if (format == AV_PIX_FMT_NONE) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "the encoder %s does not take %s",
                              choice.codec->name, FourccName(shape.format.fourcc).c_str());
  }
  CodecPtr context(avcodec_alloc_context3(choice.codec));
  if (context == nullptr) return sdk::Status::Error(SLUICE_E_RESOURCE_EXHAUSTED, "out of memory");
  context->pix_fmt = format;
  context->thread_count = choice.threads;
  SetShape(shape, context.get());
  if (!choice.pictures() && (choice.container->flags & AVFMT_GLOBALHEADER) != 0) {
    context->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  }
  if (sdk::Status status = SetQuality(choice, context.get()); !status.ok()) return status;
  for (const auto& [key, value] : choice.options) rest->Set(key.c_str(), value.c_str());
  const LastLogLine log;
  const int result = avcodec_open2(context.get(), choice.codec, rest->c());
  if (result < 0) {
    return sdk::Status::Error(ErrorCode(result), "the encoder %s cannot be opened for %ux%u %s: %s",
                              choice.codec->name, shape.format.width, shape.format.height,
                              FourccName(shape.format.fourcc).c_str(), log.Or(result).c_str());
  }
  return context;
}

AVRational TimeBaseOf(const sluice_frame_info& info) {
  if (info.time_base_num != 0 && info.time_base_den != 0 && info.time_base_num <= INT32_MAX &&
      info.time_base_den <= INT32_MAX) {
    return {static_cast<int>(info.time_base_num), static_cast<int>(info.time_base_den)};
  }
  // Nanoseconds are more than a container's 32 bits of time scale bear.
  return {1, 1'000'000};
}

sdk::Expected<FramePtr> WrapLease(sdk::Frame lease, AVPixelFormat format) {
  auto wrapped = std::make_unique<WrappedLease>();
  wrapped->frame = std::move(lease);
  auto mapping = wrapped->frame.Map(SLUICE_MAP_READ);
  if (!mapping.ok()) return mapping.status();
  wrapped->mapping.emplace(*std::move(mapping));
  const sluice_format& sizes = wrapped->frame.Format();
  const sluice_layout& layout = wrapped->frame.Layout();
  FramePtr frame(av_frame_alloc());
  if (frame == nullptr) return sdk::Status::Error(SLUICE_E_RESOURCE_EXHAUSTED, "out of memory");
  frame->format = format;
  frame->width = static_cast<int>(sizes.width);
  frame->height = static_cast<int>(sizes.height);
  for (uint32_t i = 0; i < wrapped->mapping->planes(); ++i) {
    frame->data[i] = wrapped->mapping->plane(i);
    frame->linesize[i] = static_cast<int>(wrapped->mapping->stride(i));
  }
  const auto free = [](void* opaque, uint8_t*) { delete static_cast<WrappedLease*>(opaque); };
  frame->buf[0] = av_buffer_create(frame->data[0], layout.size - layout.planes[0].offset, free,
                                   wrapped.get(), AV_BUFFER_FLAG_READONLY);
  if (frame->buf[0] == nullptr) {
    return sdk::Status::Error(SLUICE_E_RESOURCE_EXHAUSTED, "out of memory");
  }
  wrapped.release();
  return frame;
}

}  // namespace sluice::ffmpeg
