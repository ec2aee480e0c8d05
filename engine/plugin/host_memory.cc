#include "engine/plugin/host_memory.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "engine/plugin/host.h"
#include "engine/sync/dmabuf_fence.h"
#include "engine/sync/sync_file.h"

namespace sluice::plugin {
namespace {

const media::Frame* From(const sluice_frame* frame) {
  return reinterpret_cast<const media::Frame*>(frame);
}

int32_t Fds(const sluice_frame* c_frame, uint32_t view, sluice_memory* out) {
  const media::Frame& frame = *From(c_frame);
  const media::Memory& memory = frame.buffer().memory();
  if (view != media::kViewDmabuf && view != media::kViewShm) return SLUICE_E_INVALID_ARGUMENT;
  if ((memory.views() & view) == 0) return SLUICE_E_UNSUPPORTED;
  if (!frame.pool().MayHaveFds(frame.holder())) return SLUICE_E_PERMISSION_DENIED;
  *out = {};
  out->view = view;
  out->part_count = memory.part_count();
  for (uint32_t i = 0; i < out->part_count; ++i) {
    out->parts[i] = {memory.fd(static_cast<media::View>(view), i), 0, memory.size(i)};
  }
  return SLUICE_OK;
}

int32_t AddBuffer(sluice_pool_sink* sink, const sluice_buffer_desc* buffer) {
  Status added = reinterpret_cast<PoolSink*>(sink)->Add(*buffer);
  if (added) return SLUICE_OK;
  return static_cast<int32_t>(added.error().code);
}

/// The distinct dma-bufs of a buffer.
std::vector<int> DmabufsOf(const sluice_frame* frame) {
  const media::Memory& memory = From(frame)->buffer().memory();
  std::vector<int> fds;
  for (uint32_t i = 0; i < memory.part_count(); ++i) {
    const int fd = memory.fd(media::kViewDmabuf, i);
    if (fd >= 0) fds.push_back(fd);
  }
  return fds;
}

uint32_t AccessOf(uint32_t access) {
  return (access & SLUICE_ACCESS_WRITE) != 0 ? sync::kDmabufWrite : sync::kDmabufRead;
}

int32_t ExportSyncFile(const sluice_frame* frame, uint32_t access, int32_t* fd) {
  *fd = -1;
  const std::vector<int> dmabufs = DmabufsOf(frame);
  if (dmabufs.empty()) return SLUICE_E_UNSUPPORTED;
  std::vector<UniqueFd> fences;
  for (int dmabuf : dmabufs) {
    auto fence = sync::ExportSyncFile(dmabuf, AccessOf(access));
    if (!fence) return static_cast<int32_t>(fence.error().code);
    if (fence->valid()) fences.push_back(std::move(*fence));
  }
  auto merged = sync::MergeSyncFiles(std::move(fences), "sluice planes");
  if (!merged) return static_cast<int32_t>(merged.error().code);
  *fd = merged->Release();
  return SLUICE_OK;
}

int32_t ImportSyncFile(const sluice_frame* frame, uint32_t access, int32_t fd) {
  const std::vector<int> dmabufs = DmabufsOf(frame);
  if (dmabufs.empty()) return SLUICE_E_UNSUPPORTED;
  for (int dmabuf : dmabufs) {
    Status imported = sync::ImportSyncFile(dmabuf, AccessOf(access), fd);
    if (!imported) return static_cast<int32_t>(imported.error().code);
  }
  return SLUICE_OK;
}

constexpr sluice_memory_api kMemoryApi = {
    sizeof(sluice_memory_api), 0, Fds, AddBuffer, ExportSyncFile, ImportSyncFile};

}  // namespace

const sluice_memory_api* MemoryApi() { return &kMemoryApi; }

}  // namespace sluice::plugin
