// A camera that changes to what an application needs.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "nodes/pipewire/camera_stream.h"
#include "nodes/pipewire/peer_buffers.h"

namespace sluice::pipewire {
namespace {

constexpr Size kLeast{1, 1};
constexpr Size kMost{8192, 8192};

}  // namespace

bool CameraStream::IsOfPool(const VideoFormat& format) const {
  return format.entry->drm == pool_.format.fourcc && format.size.width == pool_.format.width &&
         format.size.height == pool_.format.height;
}

/// After the pool's own: any size of it, and any other pixels. What then is agreed on is a wish.
/// Dma-bufs are not offered with it: whether there will be some is known in the next epoch, which
/// offers its buffers anew.
void CameraStream::AddFollowFormats(PodList& pods) const {
  const auto add = [&](const FormatEntry& entry) {
    VideoFormat format = FormatOf(pool_, false);
    if (entry.drm != pool_.format.fourcc) format.color = {};
    format.entry = &entry;
    format.size_min = kLeast;
    format.size_max = kMost;
    pods.Add(BuildFormat(pods.Next(), format));
  };
  const FormatEntry* own = FindDrm(pool_.format.fourcc);
  if (!own->compressed()) add(*own);
  for (const FormatEntry& entry : AllFormats()) {
    if (!entry.compressed() && entry.drm != own->drm) add(entry);
  }
}

void CameraStream::OfferAnew() {
  PodList formats;
  AddFormats(formats);
  pw_stream_update_params(stream_, formats.data(), formats.size());
}

/// PipeWire gives a link buffers as soon as its format is agreed on. Nothing is ever put into
/// these.
void CameraStream::OfferEmptyBuffers(const VideoFormat& format) {
  SharedPool empty;
  empty.format = pool_.format;
  empty.format.fourcc = format.entry->drm;
  empty.format.width = format.size.width;
  empty.format.height = format.size.height;
  const uint64_t size = PictureBytes(*format.entry, format.size);
  empty.layout.plane_count = empty.layout.part_count = 1;
  empty.layout.size = empty.layout.planes[0].size = size;
  empty.layout.planes[0].stride = RowBytes(*format.entry, 0, format.size.width);
  // Never touched, so without pages.
  sdk::UniqueFd fd(memfd_create("sluice:empty", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd || ftruncate(fd.get(), static_cast<off_t>(size)) != 0 ||
      fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return context_.Log(SLUICE_LOG_WARNING, "an empty buffer: %s", strerror(errno));
  }
  sluice_memory memory{};
  memory.view = SLUICE_VIEW_SHM;
  memory.part_count = 1;
  memory.parts[0] = {fd.get(), 0, size};
  empty.buffers.resize(std::max<std::size_t>(pool_.buffers.size(), 2));
  for (SharedBuffer& buffer : empty.buffers) buffer.shm = memory;
  empty_memory_ = std::move(fd);
  empty_ = std::move(empty);
  PodList params;
  AddBufferParams(*empty_, false, params);
  pw_stream_update_params(stream_, params.data(), params.size());
}

void CameraStream::TakeWish(const VideoFormat& format) {
  const CameraWish wish{format.entry->drm, format.size};
  OfferEmptyBuffers(format);
  if (std::find(refused_.begin(), refused_.end(), wish) != refused_.end()) return CloseOffers();
  if (wish_ || suspended_) return;  // one at a time: the next epoch offers anew
  wish_ = wish;
  context_.Log(SLUICE_LOG_INFO, "%s needs %s, %ux%u", PeerNames().c_str(),
               FourccName(wish.fourcc).c_str(), wish.size.width, wish.size.height);
  if (sdk::Status status = context_.RequestRenegotiateInput(0); !status.ok()) {
    context_.Log(SLUICE_LOG_WARNING, "%s", status.c_message());
    refused_.push_back(*std::exchange(wish_, std::nullopt));
    return CloseOffers();
  }
  // Not from within PipeWire's call.
  pw_loop_signal_event(connection_->loop(), event_);
}

/// Whoever needs something else finds nothing in common, which PipeWire tells it.
void CameraStream::CloseOffers() {
  if (!std::exchange(closed_, true)) OfferAnew();
}

std::optional<CameraWish> CameraStream::wish() const {
  const Connection::Lock lock(*connection_);
  return wish_;
}

bool CameraStream::suspended() const {
  const Connection::Lock lock(*connection_);
  return suspended_;
}

void CameraStream::Suspend() {
  const Connection::Lock lock(*connection_);
  ending_soon_ = false;
  if (std::exchange(suspended_, true)) return;
  for (Slot& slot : slots_) {
    if (slot.frame) GiveHome(slot);
    if (slot.buffer != nullptr) slot.buffer->user_data = nullptr;
  }
  slots_.clear();
  ledger_.Reset(0);
  agreed_.reset();
  cycle_since_ns_ = 0;
}

sdk::Status CameraStream::Resume(const SharedPool& pool, int64_t interval_ns) {
  const Connection::Lock lock(*connection_);
  if (!lost_.ok()) return lost_;
  pool_ = pool;
  options_.interval_ns = interval_ns;
  slots_.resize(pool.buffers.size());
  ledger_.Reset(pool.buffers.size());
  sync_device_.reset();
  FindSync();
  suspended_ = false;
  if (wish_ &&
      !(*wish_ == CameraWish{pool.format.fourcc, {pool.format.width, pool.format.height}})) {
    Say("%s needs %s, %ux%u from the camera %s, which this graph cannot give", PeerNames().c_str(),
        FourccName(wish_->fourcc).c_str(), wish_->size.width, wish_->size.height,
        options_.name.c_str());
    refused_.push_back(*wish_);
    closed_ = true;
  } else {
    refused_.clear();
  }
  wish_.reset();
  renegotiating_ = !bound_.empty();
  OfferAnew();
  return {};
}

}  // namespace sluice::pipewire
