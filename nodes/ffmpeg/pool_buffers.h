#ifndef NODES_FFMPEG_POOL_BUFFERS_H_
#define NODES_FFMPEG_POOL_BUFFERS_H_

#include <memory>

#include <sluice/node.hpp>

#include "nodes/ffmpeg/libav.h"

namespace sluice::ffmpeg {

/// Why the pixels of a decoded frame are not in the pool.
enum class OwnMemory : uint8_t {
  kDecoder,   ///< the decoder fills memory of its own
  kFormat,    ///< a pixel format that is not carried, or a crop at the left or top
  kEpoch,     ///< decoded before the new format was negotiated
  kNoBuffer,  ///< the host had no buffer to lend
  kLayout,    ///< the pool's layout does not suit this decoder
};

/// What a decoder needs of a picture's memory beyond its visible size.
struct DecoderLayout {
  uint32_t width_multiple = 1;  ///< of the coded size, pixels
  uint32_t height_multiple = 1;
  uint32_t stride_multiple = 64;  ///< bytes
  uint32_t tail_bytes = 0;
};
/// `codec` has decoded a frame; `fourcc` is carried. Width and height: visible, pixels.
DecoderLayout LayoutFor(AVCodecContext* codec, uint32_t fourcc, uint32_t width, uint32_t height);

/// Lends the buffers of a dynamic output port to a decoder: each AVBuffer that it gets is a lease,
/// which its last reference releases, from whatever thread.
///
/// The buffers are marked read-only to libav from the start: a decoder that would go on painting
/// in a picture it gave out (ff_reget_buffer) takes a new one instead.
class PoolBuffers {
 public:
  PoolBuffers(const sdk::NodeContext& context, uint32_t port);
  ~PoolBuffers();
  PoolBuffers(const PoolBuffers&) = delete;
  PoolBuffers& operator=(const PoolBuffers&) = delete;

  /// Makes `codec` decode into the pool. Call it before avcodec_open2; the codec must be freed
  /// before this object.
  void Attach(AVCodecContext* codec);

  /// Another lease on the pixels of `frame`, to emit. The decoder only reads them from now on.
  /// Empty when `frame` is not (or not exactly) a picture of the pool, or no lease is left.
  sdk::Frame Share(const AVFrame& frame);
  /// Why Share() has nothing to give.
  OwnMemory Reason(const AVFrame& frame) const;
  /// A new epoch begins: pictures that were lent before are read, and never emitted again. Nothing
  /// is lent until Resume().
  void Retire();
  /// The new epoch's buffers are there: called while processing.
  void Resume();
  /// Whether buffers are lent at all; off for pictures that are converted anyway. On at first.
  void SetLending(bool lending);

 private:
  class State;
  static int GetBuffer(AVCodecContext* codec, AVFrame* frame, int flags);

  // Shared with the leases, which may outlive this object.
  std::shared_ptr<State> state_;
};

}  // namespace sluice::ffmpeg

#endif  // NODES_FFMPEG_POOL_BUFFERS_H_
