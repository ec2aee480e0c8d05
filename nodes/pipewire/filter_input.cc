#include "nodes/pipewire/filter_input.h"

#include <linux/dma-buf.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include <spa/buffer/meta.h>
#include <spa/param/buffers.h>

namespace sluice::pipewire {
namespace {

constexpr const char* kOut = "out";
/// More than that wait only where the graph is too slow for the peer.
constexpr std::size_t kMostWaiting = 2;
/// Rows that begin on whole pages serve whoever imports them.
constexpr int32_t kAlign = 4096;

template <class T>
const T* MetaOf(const pw_buffer* buffer, uint32_t type) {
  return static_cast<const T*>(spa_buffer_find_meta_data(buffer->buffer, type, sizeof(T)));
}

void AddMeta(uint32_t type, std::size_t size, PodList& pods) {
  pods.Add(static_cast<const spa_pod*>(spa_pod_builder_add_object(
      pods.Next().get(), SPA_TYPE_OBJECT_ParamMeta, SPA_PARAM_Meta, SPA_PARAM_META_type,
      SPA_POD_Id(type), SPA_PARAM_META_size, SPA_POD_Int(static_cast<int32_t>(size)))));
}

/// Reads of the CPU between these two see what a device wrote.
void SyncRead(int fd, uint64_t phase) {
  dma_buf_sync sync{DMA_BUF_SYNC_READ | phase};
  while (ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync) != 0 && (errno == EINTR || errno == EAGAIN)) {
  }
}

}  // namespace

uint32_t PackedPixelBytes(uint32_t fourcc) {
  switch (fourcc) {
    case SLUICE_FORMAT_AB24:
    case SLUICE_FORMAT_XB24:
    case SLUICE_FORMAT_AR24:
    case SLUICE_FORMAT_XR24:
      return 4;
    case SLUICE_FORMAT_BG24:
    case SLUICE_FORMAT_RG24:
      return 3;
    case SLUICE_FORMAT_YUYV:
    case SLUICE_FORMAT_UYVY:
    case SLUICE_FORMAT_RG16:
      return 2;
    case SLUICE_FORMAT_R8:
      return 1;
    default:
      return 0;
  }
}

bool CountReader(pw_buffer* buffer, int32_t change) {
  auto* busy = static_cast<spa_meta_busy*>(
      spa_buffer_find_meta_data(buffer->buffer, SPA_META_Busy, sizeof(spa_meta_busy)));
  if (busy == nullptr) return false;
  std::atomic_ref<uint32_t>(busy->count).fetch_add(static_cast<uint32_t>(change));
  return true;
}

// --- Setting up ----------------------------------------------------------------------------------

VideoFormat FilterInput::Offer(bool dmabuf) const {
  VideoFormat format;
  format.entry = FindDrm(format_.fourcc);
  if (dmabuf) format.modifiers = {SLUICE_MODIFIER_LINEAR};
  format.size = format.size_min = format.size_max = {format_.width, format_.height};
  // Whoever is linked has the say.
  format.rate = format_.rate.numerator != 0 ? format_.rate : sluice_rate{30, 1};
  format.rate_min = {0, 1};
  format.rate_max = {1000, 1};
  return format;
}

sdk::Status FilterInput::Attach(pw_filter* filter) {
  filter_ = filter;
  first_ns_ = -1;
  counted_ = 0;
  PodList formats;
  // It is read by the CPU, which is faster where it was made for it.
  formats.Add(BuildFormat(formats.Next(), Offer(false)));
  formats.Add(BuildFormat(formats.Next(), Offer(true)));
  port_ = pw_filter_add_port(filter, PW_DIRECTION_INPUT, PW_FILTER_PORT_FLAG_NONE, sizeof(void*),
                             pw_properties_new(PW_KEY_PORT_NAME, "input", nullptr), formats.data(),
                             formats.size());
  if (port_ != nullptr) return {};
  return sdk::Status::Error(SLUICE_E_INTERNAL, "an input port of PipeWire: %s", strerror(errno));
}

void FilterInput::Detach() {
  const std::lock_guard guard(mutex_);
  arrived_.clear();
  port_ = nullptr;
  filter_ = nullptr;
}

void FilterInput::OnFormat(const spa_pod* param) {
  if (param == nullptr) return;
  const sdk::Expected<VideoFormat> agreed = ParseFormat(param);
  if (!agreed.ok()) {
    context_.Log(SLUICE_LOG_WARNING, "%s", agreed.status().c_message());
    return;
  }
  const uint32_t types =
      agreed->dmabuf() ? 1u << SPA_DATA_DmaBuf : 1u << SPA_DATA_MemFd | 1u << SPA_DATA_MemPtr;
  const uint32_t stride = PackedPixelBytes(format_.fourcc) * format_.width;
  PodList params;
  params.Add(static_cast<const spa_pod*>(spa_pod_builder_add_object(
      params.Next().get(), SPA_TYPE_OBJECT_ParamBuffers, SPA_PARAM_Buffers,
      SPA_PARAM_BUFFERS_buffers, SPA_POD_CHOICE_RANGE_Int(4, 2, 32), SPA_PARAM_BUFFERS_blocks,
      SPA_POD_Int(1), SPA_PARAM_BUFFERS_size,
      SPA_POD_CHOICE_RANGE_Int(static_cast<int32_t>(stride * format_.height), 1, INT32_MAX),
      SPA_PARAM_BUFFERS_stride,
      SPA_POD_CHOICE_RANGE_Int(static_cast<int32_t>(stride), 1, INT32_MAX), SPA_PARAM_BUFFERS_align,
      SPA_POD_Int(kAlign), SPA_PARAM_BUFFERS_dataType,
      SPA_POD_CHOICE_FLAGS_Int(static_cast<int32_t>(types)))));
  AddMeta(SPA_META_Header, sizeof(spa_meta_header), params);
  AddMeta(SPA_META_Busy, sizeof(spa_meta_busy), params);
  pw_filter_update_params(filter_, port_, params.data(), params.size());
}

sdk::Expected<std::unique_ptr<FilterInput::Buffer>> FilterInput::Adopt(const spa_buffer& buffer,
                                                                       pw_mempool* pool) {
  auto checked = CheckBuffer(buffer, pool);
  if (!checked.ok()) return checked.status();
  if (checked->blocks.size() != 1) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "its picture is in several blocks");
  }
  auto adopted = std::make_unique<Buffer>();
  adopted->block = std::move(checked->blocks[0]);
  auto mapping = adopted->block.Map();
  if (!mapping.ok()) return mapping.status();
  adopted->mapping = *std::move(mapping);
  return adopted;
}

void FilterInput::OnAddBuffer(pw_buffer* buffer, pw_mempool* pool) {
  buffer->user_data = nullptr;
  auto adopted = Adopt(*buffer->buffer, pool);
  if (!adopted.ok()) {
    context_.Log(SLUICE_LOG_WARNING, "a buffer of the peer cannot be read, its pictures are lost: %s",
                 adopted.status().c_message());
    return;
  }
  buffer->user_data = adopted->release();
}

void FilterInput::OnRemoveBuffer(pw_buffer* buffer) {
  {
    const std::lock_guard guard(mutex_);
    // Others may read it, whose peer counts on all who counted themselves.
    if (std::erase(arrived_, buffer) != 0) CountReader(buffer, -1);
  }
  delete static_cast<Buffer*>(buffer->user_data);
  buffer->user_data = nullptr;
}

// --- Running -------------------------------------------------------------------------------------

bool FilterInput::waiting() const {
  const std::lock_guard guard(mutex_);
  return !arrived_.empty();
}

void FilterInput::OnProcess() {
  const std::lock_guard guard(mutex_);
  while (pw_buffer* buffer = pw_filter_dequeue_buffer(port_)) {
    CountReader(buffer, 1);
    arrived_.push_back(buffer);
  }
  uint64_t late = 0;
  for (; arrived_.size() > kMostWaiting; ++late) {
    pw_buffer* oldest = arrived_.front();
    arrived_.pop_front();
    Return(oldest);
  }
  if (late > 0) context_.CountDrop(kOut, late, "the graph was not ready for it");
}

void FilterInput::Return(pw_buffer* buffer) {
  CountReader(buffer, -1);
  pw_filter_queue_buffer(port_, buffer);
}

std::optional<FilterInput::Place> FilterInput::Find(const pw_buffer* buffer) const {
  const auto* peer = static_cast<const Buffer*>(buffer->user_data);
  if (peer == nullptr || peer->block.size == 0) return std::nullopt;
  const uint64_t size = peer->block.size;
  // Of memory that the peer goes on writing: read once.
  const volatile spa_chunk& chunk = *buffer->buffer->datas[0].chunk;
  const int32_t stride = chunk.stride;
  Place place;
  place.offset = chunk.offset;
  place.row_bytes = uint64_t{PackedPixelBytes(format_.fourcc)} * format_.width;
  place.stride = stride > 0 ? static_cast<uint64_t>(stride) : place.row_bytes;
  if (place.stride < place.row_bytes || place.offset > size) return std::nullopt;
  const uint64_t needed = place.stride * (format_.height - 1) + place.row_bytes;
  if (needed > size - place.offset) return std::nullopt;
  return place;
}

bool FilterInput::CopyRows(const Buffer& from, const Place& place, const sdk::Mapping& to) const {
  const PeerBlock& block = from.block;
  const bool dmabuf = block.type == SPA_DATA_DmaBuf;
  if (dmabuf) SyncRead(block.fd.get(), DMA_BUF_SYNC_START);
  bool whole = true;
  for (uint32_t y = 0; y < format_.height && whole; ++y) {
    const uint64_t at = place.offset + y * place.stride;
    whole = block.Read(from.mapping.get(), block.begin() + at, place.row_bytes, to.Row(0, y));
  }
  if (dmabuf) SyncRead(block.fd.get(), DMA_BUF_SYNC_END);
  return whole;
}

std::optional<uint64_t> FilterInput::CopyNext(const sdk::Mapping& to, sluice_frame_info* info) {
  pw_buffer* buffer = nullptr;
  {
    const std::lock_guard guard(mutex_);
    if (arrived_.empty()) return std::nullopt;
    buffer = arrived_.front();
    arrived_.pop_front();
  }
  // It stays: buffers go on the loop alone.
  const std::optional<Place> place = Find(buffer);
  const spa_chunk chunk =
      buffer->buffer->n_datas > 0 ? *buffer->buffer->datas[0].chunk : spa_chunk{};
  const auto* header = MetaOf<spa_meta_header>(buffer, SPA_META_Header);
  ++counted_;
  if (!place || chunk.size == 0 ||
      !CopyRows(*static_cast<const Buffer*>(buffer->user_data), *place, to)) {
    context_.CountDrop(kOut, 1, chunk.size == 0 ? "empty" : "its buffer does not hold a picture");
    const std::lock_guard guard(mutex_);
    Return(buffer);
    return std::nullopt;
  }

  const int64_t pts_ns = header != nullptr && header->pts > 0 ? header->pts : NowNs();
  if (first_ns_ < 0) first_ns_ = pts_ns;
  info->pts_ns = pts_ns - first_ns_;
  info->captured_ns = pts_ns;
  info->duration_ns = 0;
  info->pts_ticks = SLUICE_PTS_NONE;
  info->sequence = header != nullptr ? header->seq : counted_ - 1;
  const bool corrupt = (chunk.flags & SPA_CHUNK_FLAG_CORRUPTED) != 0 ||
                       (header != nullptr && (header->flags & SPA_META_HEADER_FLAG_CORRUPTED) != 0);
  info->flags = corrupt ? SLUICE_FRAME_CORRUPT : 0;
  info->crop_x = info->crop_y = 0;
  info->crop_width = format_.width;
  info->crop_height = format_.height;
  info->bytes_used = 0;
  const std::lock_guard guard(mutex_);
  Return(buffer);
  return place->row_bytes * format_.height;
}

}  // namespace sluice::pipewire
