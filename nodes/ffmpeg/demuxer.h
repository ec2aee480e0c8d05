#ifndef NODES_FFMPEG_DEMUXER_H_
#define NODES_FFMPEG_DEMUXER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <sluice/status.hpp>

#include "nodes/ffmpeg/fifo_input.h"
#include "nodes/ffmpeg/libav.h"

namespace sluice::ffmpeg {

/// One video stream of a file or URL.
/// Threads: any one at a time.
class Demuxer {
 public:
  struct Options {
    std::string location;    ///< path or URL
    int64_t stream = -1;     ///< index in the container; -1 = the one libav thinks best
    int64_t timeout_ns = 0;  ///< the longest that one read may take; 0 = no limit
  };

  /// Opens, finds the streams and selects one.
  /// Errors: NOT_FOUND (no file, no video stream), UNSUPPORTED, PERMISSION_DENIED, IO.
  static sdk::Expected<std::unique_ptr<Demuxer>> Open(const Options& options);

  const AVStream& stream() const { return *stream_; }
  AVFormatContext* format() const { return format_.get(); }
  /// Samples that the container's index lists for the stream, without those that an edit list
  /// hides; 0 = it does not say.
  int64_t expected_frames() const { return expected_frames_; }
  /// How much of a Matroska file is not there that it says it has, bytes; 0 for others.
  int64_t missing_bytes() const { return missing_bytes_; }
  /// The fd of a named pipe in which nothing lies at the moment, so that a read would wait; else
  /// -1.
  int StarvedFd() const;
  /// "audio stream 1 (aac) is not carried", for each other stream.
  std::vector<std::string> NotCarried() const;
  /// What the container says about how to hold the picture.
  Rotation rotation() const;

  /// The next packet of the stream: 0, AVERROR_EOF or another libav error.
  int Read(AVPacket* packet);
  /// To the last place from which all from `ticks` (of the stream's time base) on can be decoded,
  /// or before it. Returns a libav error when the input cannot seek.
  int Seek(int64_t ticks);
  /// Where the stream's time begins, in ticks.
  int64_t start_ticks() const;

 private:
  Demuxer() = default;
  static int IsLate(void* self);
  void Arm();

  std::unique_ptr<FifoInput> fifo_;  // before format_, which reads from it
  InputPtr format_;
  AVStream* stream_ = nullptr;
  int64_t expected_frames_ = 0;
  int64_t missing_bytes_ = 0;
  int64_t timeout_ns_ = 0;
  int64_t deadline_ns_ = 0;
};

/// CLOCK_MONOTONIC.
int64_t NowNs();

}  // namespace sluice::ffmpeg

#endif  // NODES_FFMPEG_DEMUXER_H_
