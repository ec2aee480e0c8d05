#include "nodes/pipewire/peer_fences.h"

#include <fcntl.h>
#include <libdrm/drm.h>
#include <sys/ioctl.h>

#include <utility>

namespace sluice::pipewire {
namespace {

// Render nodes have these minor numbers. Spec: Documentation/gpu/drm-uapi.rst.
constexpr int kFirstRenderNode = 128;
constexpr int kLastRenderNode = 191;

sdk::Expected<sdk::Timeline> Import(const sdk::NodeContext& context, const std::string& who,
                                    int render_fd, int syncobj_fd) {
  const sluice_timeline_api* api = context.host().timelines();
  sluice_timeline* timeline = nullptr;
  const int32_t code =
      api->import_syncobj(context.c(), who.c_str(), render_fd, syncobj_fd, &timeline);
  if (code < 0) return sdk::Status::Error(code, "a fence of %s cannot be imported", who.c_str());
  return sdk::Timeline(api, timeline);
}

}  // namespace

sdk::UniqueFd PeerFences::OpenRenderNode() {
  for (int minor = kFirstRenderNode; minor <= kLastRenderNode; ++minor) {
    const std::string path = "/dev/dri/renderD" + std::to_string(minor);
    sdk::UniqueFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd) continue;
    drm_get_cap capability{};
    capability.capability = DRM_CAP_SYNCOBJ_TIMELINE;
    if (ioctl(fd.get(), DRM_IOCTL_GET_CAP, &capability) == 0 && capability.value != 0) return fd;
  }
  return {};
}

sdk::Status PeerFences::Add(const sdk::NodeContext& context, const PeerBuffer& buffer,
                            int render_fd, const std::string& who) {
  api_ = context.host().timelines();
  auto acquire = Import(context, who, render_fd, buffer.acquire.get());
  if (!acquire.ok()) return acquire.status();
  auto release = Import(context, context.name(), render_fd, buffer.release.get());
  if (!release.ok()) return release.status();
  fences_.push_back({*std::move(acquire), *std::move(release), 0});
  return {};
}

sdk::Fence PeerFences::Acquire(uint32_t index, uint64_t point) {
  if (index >= fences_.size() || point == 0) return {};
  Pair& pair = fences_[index];
  pair.acquired = point;
  if (abandoned_) FailPending(pair);
  return sdk::Fence::At(pair.acquire, point);
}

void PeerFences::Abandon() {
  abandoned_ = true;
  for (Pair& pair : fences_) FailPending(pair);
}

void PeerFences::FailPending(Pair& pair) {
  const uint64_t point = std::exchange(pair.acquired, 0);
  if (point == 0 || pair.acquire.StatusOf(point) != 0) return;
  pair.acquire.Fail(point, SLUICE_E_DEVICE_LOST);
  pair.acquire.Signal(point);
}

void PeerFences::Release(uint32_t index, uint64_t point) const {
  if (index >= fences_.size() || point == 0) return;
  api_->signal_syncobj(fences_[index].release.c(), point);
}

}  // namespace sluice::pipewire
