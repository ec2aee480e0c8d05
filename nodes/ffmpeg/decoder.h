#ifndef NODES_FFMPEG_DECODER_H_
#define NODES_FFMPEG_DECODER_H_

#include <cstdint>

#include "nodes/ffmpeg/formats.h"
#include "nodes/ffmpeg/libav.h"
#include "nodes/ffmpeg/pool_buffers.h"

namespace sluice::ffmpeg {

/// Opens a decoder. `time_base`: of the packets' times, seconds. `threads`: 0 = as many as the
/// machine has cores, up to 8. `pool`: where pictures go, or null for libav's own memory; it must
/// outlive the decoder.
/// Errors: UNSUPPORTED for a codec that libav does not decode; as avcodec_open2 otherwise.
sdk::Expected<CodecPtr> OpenDecoder(const AVCodecParameters& stream, AVRational time_base,
                                    int threads, PoolBuffers* pool);

/// The most pictures that a decoder holds at once: those it refers to, those it waits with to put
/// them in order, one for each thread, the current one, and two that have been handed out.
/// `probed` has decoded at least one frame of the stream.
uint32_t DecoderReserve(const AVCodecContext& probed, int video_delay, int threads);

/// Threads that OpenDecoder(…, threads, …) uses.
int DecoderThreads(int threads);

/// What of a decoded picture is its format: everything that an epoch fixes.
struct Picture {
  AVPixelFormat format = AV_PIX_FMT_NONE;
  uint32_t width = 0;  ///< visible, pixels
  uint32_t height = 0;
  uint32_t crop_left = 0;
  uint32_t crop_top = 0;
  uint32_t fourcc = 0;   ///< what it is carried as; 0 = not at all
  bool exact = false;    ///< the memory is that of `fourcc` as it is
  ResolvedColor source;  ///< of the decoded pixels
  ResolvedColor color;   ///< of what is carried

  bool SameFormat(const Picture& other) const {
    return fourcc == other.fourcc && width == other.width && height == other.height &&
           SameColor(color.color, other.color.color);
  }
};
/// `frame`: decoded with apply_cropping off. Tags that the frame lacks are the stream's.
Picture DescribePicture(const AVFrame& frame, const AVCodecParameters& stream);

/// AVFrame members whose names differ between libav's versions.
int64_t DurationTicks(const AVFrame& frame);
bool IsKey(const AVFrame& frame);
bool IsCorrupt(const AVFrame& frame);
/// SLUICE_FIELD_*.
uint32_t FieldOrder(const AVFrame& frame);

}  // namespace sluice::ffmpeg

#endif  // NODES_FFMPEG_DECODER_H_
