#ifndef NODES_FFMPEG_ANNEX_B_H_
#define NODES_FFMPEG_ANNEX_B_H_

#include <sluice/status.hpp>

#include "nodes/ffmpeg/libav.h"

namespace sluice::ffmpeg {

/// The fourcc that packets of `codec` are carried as, or 0.
uint32_t CompressedFourcc(AVCodecID codec);
/// The inverse; AV_CODEC_ID_NONE for a fourcc that is not compressed.
AVCodecID CodecOf(uint32_t fourcc);

/// Makes a stream's packets stand for themselves: H.264 and HEVC with start codes, and with the
/// parameter sets before each picture that can be entered at. Others stay as they are.
class AnnexB {
 public:
  /// Errors: as libav's bitstream filters.
  static sdk::Expected<AnnexB> For(const AVStream& stream);
  /// `packet` is replaced. Returns a libav error, and the packet is then empty.
  int Filter(AVPacket* packet);

 private:
  struct Deleter {
    void operator()(AVBSFContext* filter) const { av_bsf_free(&filter); }
  };
  std::unique_ptr<AVBSFContext, Deleter> filter_;  // null: nothing to do
};

}  // namespace sluice::ffmpeg

#endif  // NODES_FFMPEG_ANNEX_B_H_
