#ifndef NODES_FFMPEG_REPACKER_H_
#define NODES_FFMPEG_REPACKER_H_

#include <memory>

#include <sluice/frame.hpp>
#include <sluice/status.hpp>

#include "nodes/ffmpeg/libav.h"
#include "nodes/ffmpeg/swscaler.h"

namespace sluice::ffmpeg {

/// Copies of pictures in another arrangement of the same samples, for encoders that do not take
/// the one that is carried. Memory is used again when the encoder has given it back.
class Repacker {
 public:
  /// An AVFrame in `format` with the samples of `lease`.
  /// Errors: RESOURCE_EXHAUSTED, UNSUPPORTED, what Map() says.
  sdk::Expected<FramePtr> Repack(const sdk::FrameRef& lease, AVPixelFormat format);

 private:
  struct PoolDeleter {
    void operator()(AVBufferPool* pool) const { av_buffer_pool_uninit(&pool); }
  };

  SwScaler scaler_;
  std::unique_ptr<AVBufferPool, PoolDeleter> pool_;
  int bytes_ = 0;  // of a buffer of the pool
};

}  // namespace sluice::ffmpeg

#endif  // NODES_FFMPEG_REPACKER_H_
