#ifndef NODES_FFMPEG_ENCODER_H_
#define NODES_FFMPEG_ENCODER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <sluice/frame.hpp>
#include <sluice/params.hpp>

#include "nodes/ffmpeg/formats.h"
#include "nodes/ffmpeg/libav.h"

namespace sluice::ffmpeg {

/// What the graph says about the encoding, and what follows from the file's name.
struct EncoderChoice {
  const AVOutputFormat* container = nullptr;  ///< null: each packet is a picture file
  const AVCodec* codec = nullptr;
  std::map<std::string, std::string> options;
  std::optional<double> quality;
  std::string bitrate;
  std::string preset;
  int threads = 1;

  bool pictures() const { return container == nullptr; }
};
/// Errors: INVALID_ARGUMENT, NOT_FOUND (no such container or encoder), UNSUPPORTED (the container
/// does not take the codec).
sdk::Expected<EncoderChoice> ChooseEncoder(const std::string& path, const sdk::Params& params);

/// One way in which an encoder takes pictures.
struct EncoderInput {
  uint32_t fourcc = 0;
  sluice_color color{};  ///< a field of 0 = any
  uint32_t width_step = 1;
  uint32_t height_step = 1;
  std::string copies;  ///< why each picture is copied before it is encoded; empty: it is not
};
/// In order of preference; empty when it takes none of the carried formats.
std::vector<EncoderInput> EncoderInputs(const AVCodec& codec);
/// Why pictures of a fourcc are copied for an encoder that takes `format`.
std::string RepackReason(uint32_t fourcc, AVPixelFormat format);
/// The most input frames that the encoder keeps after a call.
uint32_t EncoderHold(const EncoderChoice& choice);

/// How the pictures of one stream lie in time and space; from its first frame.
struct StreamShape {
  sluice_format format{};
  AVRational time_base{1, 90000};
  AVRational aspect{0, 1};
  uint32_t field_order = 0;
};
/// Options that the encoder does not know are left in `*rest`.
/// Errors: as avcodec_open2, in the encoder's own words.
sdk::Expected<CodecPtr> OpenEncoder(const EncoderChoice& choice, const StreamShape& shape,
                                    Dictionary* rest);

/// The time base of a stream whose first frame this is: the medium's own where it is known.
AVRational TimeBaseOf(const sluice_frame_info& info);

/// An AVFrame over the pixels of `lease`, which its last reference releases, from any thread. The
/// pixels are read-only to libav.
/// Errors: what Map() says.
sdk::Expected<FramePtr> WrapLease(sdk::Frame lease, AVPixelFormat format);

}  // namespace sluice::ffmpeg

#endif  // NODES_FFMPEG_ENCODER_H_
