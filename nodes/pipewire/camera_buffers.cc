#include "nodes/pipewire/camera_buffers.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <spa/buffer/meta.h>
#include <spa/param/buffers.h>

#include <sluice/format.h>

#include "nodes/pipewire/sync_timeline.h"

namespace sluice::pipewire {
namespace {

constexpr int32_t kMostBuffers = 32;

uint64_t RoundUp(uint64_t value, uint64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// The rows of the planes after the first, relative to it; 0 for what has none.
struct Chroma {
  uint32_t width_divisor;
  uint32_t height_divisor;
  uint32_t bytes;  ///< of one sample, both colours where they lie together
};

Chroma ChromaOf(uint32_t fourcc) {
  switch (fourcc) {
    case SLUICE_FORMAT_YU12:
      return {2, 2, 1};
    case SLUICE_FORMAT_NV12:
    case SLUICE_FORMAT_NV21:
      return {2, 2, 2};
    case SLUICE_FORMAT_NV16:
      return {2, 1, 2};
    default:
      return {};
  }
}

uint32_t Clamp32(uint64_t value) {
  return static_cast<uint32_t>(std::min<uint64_t>(value, INT32_MAX));
}

template <class T>
T* MetaOf(spa_buffer& buffer, uint32_t type) {
  return static_cast<T*>(spa_buffer_find_meta_data(&buffer, type, sizeof(T)));
}

void AddMeta(uint32_t type, std::size_t size, PodList& pods) {
  pods.Add(static_cast<const spa_pod*>(spa_pod_builder_add_object(
      pods.Next().get(), SPA_TYPE_OBJECT_ParamMeta, SPA_PARAM_Meta, SPA_PARAM_META_type,
      SPA_POD_Id(type), SPA_PARAM_META_size, SPA_POD_Int(static_cast<int32_t>(size)))));
}

const spa_pod* BuildBuffers(PodBuilder& builder, const SharedPool& pool, bool dmabuf, bool sync) {
  const auto count = static_cast<int32_t>(pool.buffers.size());
  const uint32_t blocks = BlocksOf(pool, dmabuf);
  const sluice_plane& first = pool.layout.planes[0];
  const uint64_t size = blocks == 1 ? pool.layout.size : first.size;
  spa_pod_builder* b = builder.get();
  spa_pod_frame object;
  spa_pod_builder_push_object(b, &object, SPA_TYPE_OBJECT_ParamBuffers, SPA_PARAM_Buffers);
  // Some readers insist on more buffers than the pool has; they get some twice.
  spa_pod_builder_add(
      b, SPA_PARAM_BUFFERS_buffers,
      SPA_POD_CHOICE_RANGE_Int(count, count, std::max(count, kMostBuffers)),
      SPA_PARAM_BUFFERS_blocks,
      SPA_POD_Int(static_cast<int32_t>(blocks + (sync ? SyncPair::kDatas : 0))),
      SPA_PARAM_BUFFERS_size, SPA_POD_Int(static_cast<int32_t>(Clamp32(size))),
      SPA_PARAM_BUFFERS_stride, SPA_POD_Int(static_cast<int32_t>(Clamp32(first.stride))),
      SPA_PARAM_BUFFERS_dataType,
      SPA_POD_CHOICE_FLAGS_Int(1 << (dmabuf ? SPA_DATA_DmaBuf : SPA_DATA_MemFd)), 0);
#if PW_CHECK_VERSION(1, 2, 0)
  if (sync) {
    spa_pod_builder_prop(b, SPA_PARAM_BUFFERS_metaType, SPA_POD_PROP_FLAG_MANDATORY);
    spa_pod_builder_int(b, 1 << SPA_META_SyncTimeline);
  }
#endif
  return static_cast<const spa_pod*>(spa_pod_builder_pop(b, &object));
}

}  // namespace

bool SharedPool::dmabuf() const {
  return !buffers.empty() && std::all_of(buffers.begin(), buffers.end(), [](const auto& buffer) {
    return buffer.dmabuf.has_value();
  });
}

bool SharedPool::shm() const {
  return !buffers.empty() && std::all_of(buffers.begin(), buffers.end(),
                                         [](const auto& buffer) { return buffer.shm.has_value(); });
}

bool InOnePiece(const sluice_layout& layout, const sluice_format& format) {
  if (layout.plane_count <= 1) return true;
  const Chroma chroma = ChromaOf(format.fourcc);
  if (chroma.bytes == 0 || layout.part_count != 1) return false;
  const uint64_t luma_rows = RoundUp(format.height, 2);
  uint64_t offset = layout.planes[0].offset;
  for (uint32_t i = 0; i < layout.plane_count; ++i) {
    const uint64_t width =
        i == 0 ? format.width
               : RoundUp(format.width, chroma.width_divisor) / chroma.width_divisor * chroma.bytes;
    const uint64_t rows = i == 0 ? luma_rows : luma_rows / chroma.height_divisor;
    if (layout.planes[i].offset != offset || layout.planes[i].stride != RoundUp(width, 4)) {
      return false;
    }
    offset += layout.planes[i].stride * rows;
  }
  return true;
}

uint32_t BlocksOf(const SharedPool& pool, bool dmabuf) {
  // A dma-buf has a piece for each plane, with its own offset and stride, as its importers want it.
  return !dmabuf && InOnePiece(pool.layout, pool.format) ? 1 : pool.layout.plane_count;
}

VideoFormat FormatOf(const SharedPool& pool, bool dmabuf) {
  VideoFormat format;
  format.entry = FindDrm(pool.format.fourcc);
  if (dmabuf) format.modifiers = {pool.format.modifier};
  format.size = format.size_min = format.size_max = {pool.format.width, pool.format.height};
  format.rate = format.rate_min = format.rate_max = pool.format.rate;
  format.color = pool.format.color;
  return format;
}

void AddBufferParams(const SharedPool& pool, bool dmabuf, PodList& pods, bool sync) {
#if PW_CHECK_VERSION(1, 2, 0)
  if (sync && dmabuf) {
    pods.Add(BuildBuffers(pods.Next(), pool, true, true));
    pods.Add(BuildBuffers(pods.Next(), pool, true, false));
    AddMeta(SPA_META_SyncTimeline, sizeof(spa_meta_sync_timeline), pods);
  } else {
    pods.Add(BuildBuffers(pods.Next(), pool, dmabuf, false));
  }
#else
  static_cast<void>(sync);
  pods.Add(BuildBuffers(pods.Next(), pool, dmabuf, false));
#endif
  AddMeta(SPA_META_Header, sizeof(spa_meta_header), pods);
  AddMeta(SPA_META_VideoCrop, sizeof(spa_meta_region), pods);
}

bool WantsSync(const SharedPool& pool, bool dmabuf, const spa_buffer& buffer) {
  return dmabuf && buffer.n_datas == BlocksOf(pool, true) + SyncPair::kDatas;
}

sdk::Expected<std::vector<sdk::UniqueFd>> FillBuffer(const SharedPool& pool,
                                                     const SharedBuffer& from, bool dmabuf,
                                                     spa_buffer& buffer) {
  const std::optional<sluice_memory>& memory = dmabuf ? from.dmabuf : from.shm;
  const uint32_t type = dmabuf ? SPA_DATA_DmaBuf : SPA_DATA_MemFd;
  const uint32_t blocks = BlocksOf(pool, dmabuf);
  if (!memory || buffer.n_datas < blocks) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "a buffer of %u pieces is asked for",
                              buffer.n_datas);
  }
  std::vector<sdk::UniqueFd> fds;
  const uint32_t filled = WantsSync(pool, dmabuf, buffer) ? blocks : buffer.n_datas;
  for (uint32_t i = 0; i < filled; ++i) {
    spa_data& data = buffer.datas[i];
    // Before it is filled, `type` has a bit for each type that both ends take.
    if ((data.type & 1u << type) == 0) {
      return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "its readers take no %s",
                                dmabuf ? "dma-buf" : "memfd");
    }
    const uint32_t plane = std::min(i, pool.layout.plane_count - 1);
    const uint32_t part = std::min(pool.layout.planes[plane].part, memory->part_count - 1);
    sdk::UniqueFd fd = sdk::UniqueFd::Dup(memory->parts[part].fd);
    if (!fd) return sdk::Status::Error(SLUICE_E_IO, "an fd of a buffer: %s", strerror(errno));
    data.type = type;
    data.flags = SPA_DATA_FLAG_READABLE;
#ifdef SPA_DATA_FLAG_MAPPABLE
    // A reader that knows no dma-bufs is given them all the same when it comes after one that does:
    // PipeWire negotiates a port's buffers once. Those that are shared memory too it can read.
    if (!dmabuf || from.shm) data.flags |= SPA_DATA_FLAG_MAPPABLE;
#endif
    data.fd = fd.get();
    data.mapoffset = 0;
    data.maxsize = Clamp32(memory->parts[part].size);
    data.data = nullptr;
    fds.push_back(std::move(fd));
  }
  return fds;
}

void MarkEmpty(spa_buffer& buffer) {
  for (uint32_t i = 0; i < buffer.n_datas; ++i) {
    buffer.datas[i].chunk->size = 0;
    buffer.datas[i].chunk->flags = SPA_CHUNK_FLAG_CORRUPTED;
  }
  if (auto* header = MetaOf<spa_meta_header>(buffer, SPA_META_Header); header != nullptr) {
    header->flags = SPA_META_HEADER_FLAG_CORRUPTED;
  }
}

void ForgetMemory(spa_buffer& buffer) {
  for (uint32_t i = 0; i < buffer.n_datas; ++i) {
    buffer.datas[i].type = SPA_ID_INVALID;
    buffer.datas[i].fd = -1;
    buffer.datas[i].data = nullptr;
  }
}

void DescribeFrame(const SharedPool& pool, const sdk::FrameRef& frame, int64_t now_ns,
                   spa_buffer& buffer) {
  uint32_t blocks = buffer.n_datas;
  if (WantsSync(pool, buffer.datas[0].type == SPA_DATA_DmaBuf, buffer)) blocks -= SyncPair::kDatas;
  const sluice_frame_info& info = frame.Info();
  const bool corrupt = (info.flags & SLUICE_FRAME_CORRUPT) != 0;
  for (uint32_t i = 0; i < blocks; ++i) {
    const sluice_plane& plane = pool.layout.planes[std::min(i, pool.layout.plane_count - 1)];
    uint64_t size = plane.size;
    if (blocks == 1) {
      const sluice_plane& last = pool.layout.planes[pool.layout.plane_count - 1];
      size = last.offset + last.size - plane.offset;
      if (info.bytes_used != 0) size = std::min(size, info.bytes_used);
    }
    spa_chunk& chunk = *buffer.datas[i].chunk;
    chunk.offset = Clamp32(plane.offset);
    chunk.size = Clamp32(size);
    chunk.stride = static_cast<int32_t>(Clamp32(plane.stride));
    chunk.flags = corrupt ? SPA_CHUNK_FLAG_CORRUPTED : SPA_CHUNK_FLAG_NONE;
  }
  if (auto* header = MetaOf<spa_meta_header>(buffer, SPA_META_Header); header != nullptr) {
    header->flags = corrupt ? SPA_META_HEADER_FLAG_CORRUPTED : 0;
    if ((info.flags & SLUICE_FRAME_DISCONTINUITY) != 0) {
      header->flags |= SPA_META_HEADER_FLAG_DISCONT;
    }
    header->offset = 0;
    header->pts = info.captured_ns != 0 ? info.captured_ns : now_ns;
    header->dts_offset = 0;
    header->seq = info.sequence;
  }
  if (auto* crop = MetaOf<spa_meta_region>(buffer, SPA_META_VideoCrop); crop != nullptr) {
    const bool cropped = info.crop_width != 0 && info.crop_height != 0;
    crop->region.position = {cropped ? static_cast<int32_t>(info.crop_x) : 0,
                             cropped ? static_cast<int32_t>(info.crop_y) : 0};
    crop->region.size = {cropped ? info.crop_width : pool.format.width,
                         cropped ? info.crop_height : pool.format.height};
  }
}

}  // namespace sluice::pipewire
