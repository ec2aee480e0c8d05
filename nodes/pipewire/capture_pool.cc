#include "nodes/pipewire/capture_pool.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace sluice::pipewire {
namespace {

/// One is being filled, one is on its way, one is read.
constexpr uint32_t kFewestBuffers = 3;

bool SameLayout(const sluice_layout& a, const sluice_layout& b) {
  if (a.coded_width != b.coded_width || a.coded_height != b.coded_height ||
      a.plane_count != b.plane_count || a.part_count != b.part_count || a.size != b.size) {
    return false;
  }
  for (uint32_t i = 0; i < a.plane_count && i < SLUICE_MAX_PLANES; ++i) {
    const sluice_plane &p = a.planes[i], &q = b.planes[i];
    if (p.part != q.part || p.offset != q.offset || p.stride != q.stride || p.size != q.size) {
      return false;
    }
  }
  return true;
}

/// Nobody maps an fd: the CPU reads the pool by its mapping.
bool IsMapped(uint32_t views) { return (views & (SLUICE_VIEW_DMABUF | SLUICE_VIEW_SHM)) == 0; }

/// Adds the buffers of one pool.
class Lender {
 public:
  Lender(const CaptureStream& stream, LentPool& lent, sdk::PoolSink& sink)
      : stream_(stream), lent_(lent), sink_(sink) {}

  sdk::Status CheckStream() const;
  /// Adds the peer's buffers, which decide the layout.
  sdk::Status AddReal();
  sdk::Status AddSpare();

 private:
  sdk::Status Unsupported(const char* what) const {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s: %s", Who(), what);
  }
  const char* Who() const { return who_.c_str(); }
  sdk::Status CheckBlocks(const PeerBuffer& buffer) const;
  sdk::Status AddMapped(const PeerBuffer& buffer, const sluice_layout& layout);
  sdk::Status AddMapping(std::shared_ptr<Mapping> mapping, const sluice_layout& layout);
  sdk::Status AddFds(const PeerBuffer& buffer, const sluice_layout& layout);
  sdk::Status AddUnfilled();

  const CaptureStream& stream_;
  LentPool& lent_;
  sdk::PoolSink& sink_;
  const std::string who_ = stream_.target().Text();
};

sdk::Status Lender::CheckStream() const {
  const auto count = static_cast<uint32_t>(stream_.buffer_count());
  if (!stream_.lost().ok()) return stream_.lost();
  if (count == 0 || stream_.changed()) {
    return sdk::Status::Error(SLUICE_E_DEVICE_LOST, "%s has taken its buffers away", Who());
  }
  const uint32_t real = std::min(count, lent_.buffers);
  if (real < kFewestBuffers) return Unsupported("it has too few buffers to lend any");
  if (count > real && !stream_.peer_counts_readers()) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED,
                              "%s fills its %u buffers in turn, and %u of them can be lent", Who(),
                              count, real);
  }
  return {};
}

sdk::Status Lender::CheckBlocks(const PeerBuffer& buffer) const {
  const bool dmabuf = (lent_.views & SLUICE_VIEW_DMABUF) != 0;
  if (!IsMapped(lent_.views) && !buffer.Only(dmabuf ? SPA_DATA_DmaBuf : SPA_DATA_MemFd)) {
    return Unsupported(dmabuf ? "its buffers are no dma-bufs" : "its buffers have no fds");
  }
  if (std::any_of(buffer.blocks.begin(), buffer.blocks.end(),
                  [](const PeerBlock& block) { return !block.sealed; })) {
    return Unsupported("its memory is not sealed: it may shrink while it is read");
  }
  return {};
}

sdk::Status Lender::AddReal() {
  const VideoFormat& format = stream_.format();
  lent_.real = std::min(static_cast<uint32_t>(stream_.buffer_count()), lent_.buffers);
  lent_.geometry.blocks.resize(stream_.buffer(0).blocks.size());
  for (uint32_t i = 0; i < lent_.real; ++i) {
    const PeerBuffer& buffer = stream_.buffer(i);
    if (sdk::Status status = CheckBlocks(buffer); !status.ok()) return status;
    auto layout = LayoutOf(*format.entry, format.size, buffer, lent_.geometry);
    if (!layout.ok()) return Unsupported(layout.status().c_message());
    if (i == 0) lent_.layout = *layout;
    if (!SameLayout(lent_.layout, *layout)) return Unsupported("its buffers are not laid out alike");
    sdk::Status status =
        IsMapped(lent_.views) ? AddMapped(buffer, *layout) : AddFds(buffer, *layout);
    if (!status.ok()) return status;
  }
  return {};
}

sdk::Status Lender::AddMapped(const PeerBuffer& buffer, const sluice_layout& layout) {
  if (buffer.blocks.size() != 1) return Unsupported("its planes are in several blocks");
  auto made = buffer.blocks[0].Map();
  return made.ok() ? AddMapping(*std::move(made), layout) : made.status();
}

sdk::Status Lender::AddMapping(std::shared_ptr<Mapping> mapping, const sluice_layout& layout) {
  sluice_buffer_desc description{};
  description.layout = layout;
  description.base = mapping->base();
  lent_.mappings.push_back(std::move(mapping));
  return sink_.Add(description);
}

sdk::Status Lender::AddFds(const PeerBuffer& buffer, const sluice_layout& layout) {
  sluice_buffer_desc description{};
  description.layout = layout;
  description.memory.view = buffer.Only(SPA_DATA_DmaBuf) ? SLUICE_VIEW_DMABUF : SLUICE_VIEW_SHM;
  description.memory.part_count = static_cast<uint32_t>(buffer.blocks.size());
  sdk::UniqueFd fds[SLUICE_MAX_PLANES];
  for (size_t i = 0; i < buffer.blocks.size(); ++i) {
    fds[i] = sdk::UniqueFd::Dup(buffer.blocks[i].fd.get());
    if (!fds[i]) {
      return sdk::Status::Error(SLUICE_E_RESOURCE_EXHAUSTED, "a second fd: %s", strerror(errno));
    }
  }
  for (size_t i = 0; i < buffer.blocks.size(); ++i) {
    description.memory.parts[i].fd = fds[i].release();
    description.memory.parts[i].size = buffer.blocks[i].fd_size;
  }
  return sink_.Add(description);
}

sdk::Status Lender::AddSpare() {
  for (uint32_t i = lent_.real; i < lent_.buffers; ++i) {
    sdk::Status status = (lent_.views & SLUICE_VIEW_DMABUF) != 0
                             ? AddFds(stream_.buffer(0), lent_.layout)
                             : AddUnfilled();
    if (!status.ok()) return status;
  }
  return {};
}

// Its memory is never touched, and so has no pages.
sdk::Status Lender::AddUnfilled() {
  const sluice_layout& layout = lent_.layout;
  const bool mapped = IsMapped(lent_.views);
  sluice_buffer_desc description{};
  description.layout = layout;
  description.memory.view = SLUICE_VIEW_SHM;
  description.memory.part_count = layout.part_count;
  sdk::UniqueFd fds[SLUICE_MAX_PLANES];
  for (uint32_t i = 0; i < layout.part_count && i < SLUICE_MAX_PLANES; ++i) {
    const uint64_t size = mapped ? layout.size : stream_.buffer(0).blocks[i].fd_size;
    fds[i] = sdk::UniqueFd(memfd_create("sluice:spare", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!fds[i] || ftruncate(fds[i].get(), static_cast<off_t>(size)) != 0 ||
        fcntl(fds[i].get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
      return sdk::Status::Error(SLUICE_E_RESOURCE_EXHAUSTED, "a spare buffer: %s", strerror(errno));
    }
    description.memory.parts[i].size = size;
  }
  if (mapped) {
    auto mapping = Mapping::OfFd(fds[0].get(), 0, layout.size);
    return mapping.ok() ? AddMapping(*std::move(mapping), layout) : mapping.status();
  }
  for (uint32_t i = 0; i < layout.part_count && i < SLUICE_MAX_PLANES; ++i) {
    description.memory.parts[i].fd = fds[i].release();
  }
  return sink_.Add(description);
}

}  // namespace

bool LentPool::IsOf(const sluice_port_config& port) const {
  return port.buffers == buffers && port.format.fourcc == format.fourcc &&
         port.format.modifier == format.modifier && SameLayout(port.layout, layout);
}

bool LentPool::Holds(const Delivery& delivery, bool compressed) const {
  if (delivery.geometry.blocks.size() != geometry.blocks.size()) return false;
  for (size_t i = 0; i < geometry.blocks.size(); ++i) {
    const Geometry::Block& has = delivery.geometry.blocks[i];
    if (has.offset != geometry.blocks[i].offset || has.stride < 0) return false;
    const auto stride = static_cast<uint64_t>(has.stride);
    if (!compressed && stride != 0 && stride != layout.planes[i].stride) return false;
  }
  return true;
}

sdk::Expected<LentPool> LendPool(const CaptureStream& stream, const sluice_pool_request& request,
                                 const Geometry* geometry, sdk::PoolSink& sink) {
  LentPool lent;
  lent.pool = request.pool;
  lent.epoch = request.epoch;
  lent.views = request.views;
  lent.format = request.format;
  lent.buffers = request.buffers;
  if (geometry != nullptr) lent.geometry = *geometry;
  Lender lender(stream, lent, sink);
  sdk::Status status = lender.CheckStream();
  if (status.ok()) status = lender.AddReal();
  if (status.ok()) status = lender.AddSpare();
  if (!status.ok()) return status;
  return lent;
}

}  // namespace sluice::pipewire
