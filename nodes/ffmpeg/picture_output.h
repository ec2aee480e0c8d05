#ifndef NODES_FFMPEG_PICTURE_OUTPUT_H_
#define NODES_FFMPEG_PICTURE_OUTPUT_H_

#include <string>

#include <sluice/node.hpp>

#include "nodes/ffmpeg/decoder.h"
#include "nodes/ffmpeg/pool_buffers.h"
#include "nodes/ffmpeg/swscaler.h"

namespace sluice::ffmpeg {

/// Brings decoded pictures to a dynamic output: shared where the decoder wrote into the pool,
/// converted (and counted) otherwise. Threads: the one that processes.
class PictureOutput {
 public:
  /// `name`: of the output `port`; outlives this object.
  PictureOutput(const sdk::NodeContext& context, uint32_t port, const char* name)
      : context_(context), port_(port), name_(name), pool_(context, port) {}

  /// Must outlive the decoder.
  PoolBuffers& pool() { return pool_; }

  /// A lease on the pixels of `frame`, in the pool's format; empty with an ok status when no buffer
  /// is free. `picture` describes `frame`, whose crop is used up by a copy. `share` false: as the
  /// output's format is not that of the picture, its pixels are converted in any case.
  sdk::Expected<sdk::Frame> Take(AVFrame* frame, const Picture& picture, const AVCodec& codec,
                                 bool share = true);

  /// The reason of a conversion.
  static std::string ConversionText(AVPixelFormat from, uint32_t to);
  /// Why pictures of a stream will be copied, as far as that is known before; empty: they are not.
  static std::string KnownReason(const Picture& picture, const AVCodec& codec);

 private:
  std::string Reason(const AVFrame& frame, const Picture& picture, const AVCodec& codec,
                     const sluice_format& to) const;

  const sdk::NodeContext context_;
  const uint32_t port_;
  const char* const name_;
  PoolBuffers pool_;
  SwScaler scaler_;
};

}  // namespace sluice::ffmpeg

#endif  // NODES_FFMPEG_PICTURE_OUTPUT_H_
