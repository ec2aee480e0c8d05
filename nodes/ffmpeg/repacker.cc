#include "nodes/ffmpeg/repacker.h"

namespace sluice::ffmpeg {
namespace {

/// Of each row, for the widest SIMD.
constexpr int kAlignment = 64;

}  // namespace

sdk::Expected<FramePtr> Repacker::Repack(const sdk::FrameRef& lease, AVPixelFormat format) {
  const auto out_of_memory = [] {
    return sdk::Status::Error(SLUICE_E_RESOURCE_EXHAUSTED, "out of memory");
  };
  auto mapping = lease.Map(SLUICE_MAP_READ);
  if (!mapping.ok()) return mapping.status();
  const Pixels from = PixelsOf(lease.Format(), *mapping);
  FramePtr frame(av_frame_alloc());
  if (frame == nullptr) return out_of_memory();
  frame->format = format;
  frame->width = from.width;
  frame->height = from.height;
  const int bytes = av_image_get_buffer_size(format, from.width, from.height, kAlignment);
  if (pool_ == nullptr || bytes != bytes_) {
    // SIMD may read behind the last row.
    pool_.reset(av_buffer_pool_init(static_cast<size_t>(bytes) + kAlignment, nullptr));
    bytes_ = bytes;
  }
  frame->buf[0] = pool_ == nullptr ? nullptr : av_buffer_pool_get(pool_.get());
  if (frame->buf[0] == nullptr) return out_of_memory();
  uint8_t* const base = frame->buf[0]->data;
  av_image_fill_arrays(frame->data, frame->linesize, base, format, from.width, from.height,
                       kAlignment);
  Pixels to = from;
  to.format = format;
  for (int i = 0; i < 4; ++i) {
    to.planes[i] = frame->data[i];
    to.strides[i] = frame->linesize[i];
  }
  if (sdk::Status status = scaler_.Convert(from, to); !status.ok()) return status;
  return frame;
}

}  // namespace sluice::ffmpeg
