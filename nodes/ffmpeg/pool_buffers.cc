#include "nodes/ffmpeg/pool_buffers.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <set>

#include "nodes/ffmpeg/formats.h"

namespace sluice::ffmpeg {
namespace {

/// SIMD may read this far behind a plane's end (avcodec_default_get_buffer2 allows for it too).
constexpr uint32_t kOverread = 16 + 64;

/// The size of memory that a decoder writes to, and the lines that it may read behind it.
struct Extent {
  uint32_t width = 0;
  uint32_t height = 0;
  uint32_t read_lines = 0;
  uint32_t stride_multiple = 1;
};

Extent ExtentFor(AVCodecContext* codec, int width, int height) {
  int strides[AV_NUM_DATA_POINTERS] = {};
  int aligned_width = width;
  int aligned_height = height;
  avcodec_align_dimensions2(codec, &aligned_width, &aligned_height, strides);
  Extent extent;
  extent.width = static_cast<uint32_t>(aligned_width);
  extent.height = static_cast<uint32_t>(aligned_height);
  // H.264 and VC-1 ask for two lines more than whole macroblocks: their motion compensation reads
  // a line too many, and nothing is written there.
  if (aligned_height % 16 == 2 && aligned_height - 2 >= height) {
    extent.read_lines = 2;
    extent.height -= 2;
  }
  for (const int stride : strides) {
    extent.stride_multiple = std::max(extent.stride_multiple, static_cast<uint32_t>(stride));
  }
  return extent;
}

/// The smallest power of two whose next multiple of `visible` is at least `needed`.
uint32_t MultipleFor(uint32_t visible, uint32_t needed) {
  uint32_t multiple = 1;
  while ((visible + multiple - 1) / multiple * multiple < needed && multiple < (1u << 16)) {
    multiple *= 2;
  }
  return multiple;
}

bool LayoutSuits(const sluice_layout& layout, uint32_t fourcc, const Extent& extent) {
  if (layout.coded_width < extent.width || layout.coded_height < extent.height) return false;
  if (layout.plane_count != PlaneCount(fourcc)) return false;
  for (uint32_t i = 0; i < layout.plane_count; ++i) {
    const sluice_plane& plane = layout.planes[i];
    const PlaneShape shape = ShapeOf(fourcc, i, extent.width, extent.height);
    const PlaneShape read = ShapeOf(fourcc, i, extent.width, extent.height + extent.read_lines);
    if (plane.stride % extent.stride_multiple != 0 || plane.stride > INT32_MAX) return false;
    if (plane.offset % extent.stride_multiple != 0) return false;
    if (plane.stride < shape.row_bytes || plane.size < plane.stride * shape.rows) return false;
    if (plane.offset + plane.stride * read.rows + kOverread > layout.size) return false;
  }
  return true;
}

void* ToOpaque(OwnMemory reason) {
  return reinterpret_cast<void*>(static_cast<uintptr_t>(reason) + 1);
}

}  // namespace

DecoderLayout LayoutFor(AVCodecContext* codec, uint32_t fourcc, uint32_t width, uint32_t height) {
  const Extent extent = ExtentFor(codec, std::max(codec->width, codec->coded_width),
                                  std::max(codec->height, codec->coded_height));
  DecoderLayout layout;
  layout.width_multiple = MultipleFor(width, extent.width);
  layout.height_multiple = MultipleFor(height, extent.height);
  layout.stride_multiple = extent.stride_multiple;
  const uint32_t last_plane = std::max(PlaneCount(fourcc), 1u) - 1;
  const uint64_t row = ShapeOf(fourcc, last_plane, extent.width, 1).row_bytes;
  // The plan may widen the stride; a page of room for each line covers what alignments ask for.
  layout.tail_bytes =
      kOverread + extent.read_lines * static_cast<uint32_t>((row + 4095) / 4096 * 4096);
  return layout;
}

class PoolBuffers::State : public std::enable_shared_from_this<State> {
 public:
  State(const sdk::NodeContext& context, uint32_t port) : context_(context), port_(port) {}

  /// Nothing when `frame` now has a lease's memory.
  std::optional<OwnMemory> Lend(AVCodecContext* codec, AVFrame* frame);
  sdk::Frame Share(const AVFrame& frame);
  bool IsOurs(const AVFrame& frame);
  // The codec's threads may ask at any time. Who reads the new epoch reads that it is paused, too:
  // until the node is called again, a buffer may still be one of the old pool.
  void Retire() {
    paused_ = true;
    ++epoch_;
  }
  void Resume() { paused_ = false; }
  void SetLending(bool lending) { lending_ = lending; }

 private:
  struct Lease {
    std::shared_ptr<State> state;
    uint32_t epoch = 0;
    sdk::Frame frame;
    // Before `frame` in order of destruction: a mapping ends before its lease.
    std::optional<sdk::Mapping> read;
    std::optional<sdk::Mapping> write;
  };

  static void Free(void* opaque, uint8_t*);
  static bool IsExactly(const AVFrame& frame, const Lease& lease);

  const sdk::NodeContext context_;
  const uint32_t port_;
  std::atomic<uint32_t> epoch_{0};
  std::atomic<bool> paused_{false};
  std::atomic<bool> lending_{true};
  std::mutex mutex_;
  std::set<const Lease*> leases_;  // alive; guarded by mutex_
};

void PoolBuffers::State::Free(void* opaque, uint8_t*) {
  const std::unique_ptr<Lease> lease(static_cast<Lease*>(opaque));
  const std::shared_ptr<State> state = lease->state;
  const std::lock_guard lock(state->mutex_);
  state->leases_.erase(lease.get());
}

std::optional<OwnMemory> PoolBuffers::State::Lend(AVCodecContext* codec, AVFrame* frame) {
  const auto fourcc = ExactFourcc(static_cast<AVPixelFormat>(frame->format));
  if (!fourcc || !lending_) return OwnMemory::kFormat;
  // Before the lease: one that is older than it says is copied, one that is younger is not.
  const uint32_t epoch = epoch_;
  if (paused_) return OwnMemory::kEpoch;
  sdk::Expected<sdk::Frame> acquired = context_.Acquire(port_);
  if (!acquired.ok()) return OwnMemory::kNoBuffer;
  auto lease = std::make_unique<Lease>();
  lease->state = shared_from_this();
  lease->epoch = epoch;
  lease->frame = *std::move(acquired);
  const sluice_format& format = lease->frame.Format();
  if (format.fourcc != *fourcc || format.width != static_cast<uint32_t>(codec->width) ||
      format.height != static_cast<uint32_t>(codec->height)) {
    return OwnMemory::kEpoch;
  }
  const sluice_layout& layout = lease->frame.Layout();
  if (!LayoutSuits(layout, *fourcc, ExtentFor(codec, frame->width, frame->height))) {
    return OwnMemory::kLayout;
  }
  auto write = lease->frame.Map(SLUICE_MAP_WRITE);
  if (!write.ok()) return OwnMemory::kLayout;
  lease->write.emplace(*std::move(write));
  auto read = lease->frame.Map(SLUICE_MAP_READ);
  if (!read.ok()) return OwnMemory::kLayout;
  lease->read.emplace(*std::move(read));

  for (uint32_t i = 0; i < layout.plane_count; ++i) {
    frame->data[i] = lease->write->plane(i);
    frame->linesize[i] = static_cast<int>(lease->write->stride(i));
  }
  const uint64_t bytes = layout.size - layout.planes[0].offset;
  frame->buf[0] =
      av_buffer_create(frame->data[0], bytes, &State::Free, lease.get(), AV_BUFFER_FLAG_READONLY);
  if (frame->buf[0] == nullptr) return OwnMemory::kNoBuffer;
  frame->extended_data = frame->data;
  const std::lock_guard lock(mutex_);
  leases_.insert(lease.release());
  return std::nullopt;
}

/// Decoders may flip a picture or begin in its middle; such a one is no picture of the pool.
bool PoolBuffers::State::IsExactly(const AVFrame& frame, const Lease& lease) {
  const sluice_layout& layout = lease.frame.Layout();
  for (uint32_t i = 0; i < layout.plane_count; ++i) {
    if (frame.data[i] != lease.read->plane(i)) return false;
    if (frame.linesize[i] < 0 ||
        static_cast<uint64_t>(frame.linesize[i]) != lease.read->stride(i)) {
      return false;
    }
  }
  return true;
}

bool PoolBuffers::State::IsOurs(const AVFrame& frame) {
  if (frame.buf[0] == nullptr) return false;
  const std::lock_guard lock(mutex_);
  return leases_.count(static_cast<const Lease*>(av_buffer_get_opaque(frame.buf[0]))) != 0;
}

sdk::Frame PoolBuffers::State::Share(const AVFrame& frame) {
  if (!IsOurs(frame) || frame.crop_left != 0 || frame.crop_top != 0) return {};
  // `frame` keeps the lease alive.
  auto* lease = static_cast<Lease*>(av_buffer_get_opaque(frame.buf[0]));
  if (lease->epoch != epoch_ || !IsExactly(frame, *lease)) return {};
  lease->write.reset();
  return lease->frame.Share();
}

PoolBuffers::PoolBuffers(const sdk::NodeContext& context, uint32_t port)
    : state_(std::make_shared<State>(context, port)) {}

PoolBuffers::~PoolBuffers() = default;

void PoolBuffers::Attach(AVCodecContext* codec) {
  codec->opaque = state_.get();
  codec->get_buffer2 = &PoolBuffers::GetBuffer;
#if LIBAVCODEC_VERSION_MAJOR < 60
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  // Otherwise the callback waits for the caller's thread, which may wait for the codec.
  codec->thread_safe_callbacks = 1;
#pragma GCC diagnostic pop
#endif
}

int PoolBuffers::GetBuffer(AVCodecContext* codec, AVFrame* frame, int flags) {
  try {
    const auto reason = static_cast<State*>(codec->opaque)->Lend(codec, frame);
    if (!reason) return 0;
    frame->opaque = ToOpaque(*reason);
  } catch (const std::bad_alloc&) {
    return AVERROR(ENOMEM);
  }
  return avcodec_default_get_buffer2(codec, frame, flags);
}

sdk::Frame PoolBuffers::Share(const AVFrame& frame) { return state_->Share(frame); }

void PoolBuffers::Retire() { state_->Retire(); }

void PoolBuffers::Resume() { state_->Resume(); }

void PoolBuffers::SetLending(bool lending) { state_->SetLending(lending); }

OwnMemory PoolBuffers::Reason(const AVFrame& frame) const {
  if (state_->IsOurs(frame)) return OwnMemory::kEpoch;
  const auto value = reinterpret_cast<uintptr_t>(frame.opaque);
  if (value == 0) {
    const bool cropped = frame.crop_left != 0 || frame.crop_top != 0;
    return cropped ? OwnMemory::kFormat : OwnMemory::kDecoder;
  }
  return static_cast<OwnMemory>(value - 1);
}

}  // namespace sluice::ffmpeg
