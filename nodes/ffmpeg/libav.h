#ifndef NODES_FFMPEG_LIBAV_H_
#define NODES_FFMPEG_LIBAV_H_

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavcodec/bsf.h>
#include <libavformat/avformat.h>
#include <libavutil/avutil.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
}

#include <memory>
#include <string>

#include <sluice/host.hpp>
#include <sluice/status.hpp>

namespace sluice::ffmpeg {

struct InputDeleter {
  void operator()(AVFormatContext* context) const { avformat_close_input(&context); }
};
struct OutputDeleter {
  void operator()(AVFormatContext* context) const { avformat_free_context(context); }
};
struct CodecDeleter {
  void operator()(AVCodecContext* context) const { avcodec_free_context(&context); }
};
struct FrameDeleter {
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
};
struct PacketDeleter {
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
};
struct ParametersDeleter {
  void operator()(AVCodecParameters* parameters) const { avcodec_parameters_free(&parameters); }
};
struct SwsDeleter {
  void operator()(SwsContext* context) const { sws_freeContext(context); }
};
struct IoDeleter {
  void operator()(AVIOContext* context) const;
};

using InputPtr = std::unique_ptr<AVFormatContext, InputDeleter>;
using OutputPtr = std::unique_ptr<AVFormatContext, OutputDeleter>;
using CodecPtr = std::unique_ptr<AVCodecContext, CodecDeleter>;
using FramePtr = std::unique_ptr<AVFrame, FrameDeleter>;
using PacketPtr = std::unique_ptr<AVPacket, PacketDeleter>;
using ParametersPtr = std::unique_ptr<AVCodecParameters, ParametersDeleter>;
using SwsPtr = std::unique_ptr<SwsContext, SwsDeleter>;
using IoPtr = std::unique_ptr<AVIOContext, IoDeleter>;

/// An AVDictionary that is freed.
class Dictionary {
 public:
  Dictionary() = default;
  Dictionary(const Dictionary&) = delete;
  Dictionary& operator=(const Dictionary&) = delete;
  ~Dictionary() { av_dict_free(&dictionary_); }
  void Set(const char* key, const char* value) { av_dict_set(&dictionary_, key, value, 0); }
  void Set(const char* key, int64_t value) { av_dict_set_int(&dictionary_, key, value, 0); }
  /// The first key that is left, or null.
  const char* FirstKey() const {
    const AVDictionaryEntry* entry = av_dict_get(dictionary_, "", nullptr, AV_DICT_IGNORE_SUFFIX);
    return entry == nullptr ? nullptr : entry->key;
  }
  AVDictionary** c() { return &dictionary_; }
  const AVDictionary* get() const { return dictionary_; }

 private:
  AVDictionary* dictionary_ = nullptr;
};

/// What a libav result means: "No such file or directory".
std::string ErrorText(int result);
/// The code of the ABI that a negative libav result is nearest to.
int32_t ErrorCode(int result);

/// Sends libav's log to the host; the library's errors are the host's warnings, because a node
/// reports in its own words what failed. [main-thread] Until StopLogging().
void StartLogging(const sdk::Host& host);
/// [main-thread]
void StopLogging();

/// Keeps the last error line that libav writes on this thread, for the message of a call that
/// returns only a number. Threads: made, used and ended on one thread.
class LastLogLine {
 public:
  LastLogLine();
  ~LastLogLine();
  LastLogLine(const LastLogLine&) = delete;
  LastLogLine& operator=(const LastLogLine&) = delete;
  /// The line, or what `result` means when nothing was written.
  std::string Or(int result) const;
};

/// A rational that libav and the ABI write differently.
AVRational ToRational(sluice_rate rate);

/// What a display matrix does to a picture so that it stands upright.
struct Rotation {
  int32_t degrees = 0;    ///< that it is turned clockwise: 0, 90, 180, 270
  bool exact = true;      ///< whether the matrix turns by just that
  bool mirrored = false;  ///< whether left and right are exchanged afterwards
};
/// `matrix`: 9 values as in AV_PKT_DATA_DISPLAYMATRIX, or null.
Rotation ReadDisplayMatrix(const int32_t* matrix);
/// The inverse.
void WriteDisplayMatrix(int32_t rotation_degrees, bool mirrored, int32_t matrix[9]);

}  // namespace sluice::ffmpeg

#endif  // NODES_FFMPEG_LIBAV_H_
