#include "nodes/pipewire/sync_timeline.h"

#include <fcntl.h>
#include <libdrm/drm.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include <spa/buffer/meta.h>

namespace sluice::pipewire {
namespace {

#if PW_CHECK_VERSION(1, 2, 0)

constexpr int kFirstRenderNode = 128;
constexpr int kNodes = 64;

bool HasTimelines(int fd) {
  drm_get_cap cap{DRM_CAP_SYNCOBJ_TIMELINE, 0};
  return ioctl(fd, DRM_IOCTL_GET_CAP, &cap) == 0 && cap.value != 0;
}

sdk::Status Failed(const char* what) {
  return sdk::Status::Error(SLUICE_E_IO, "%s: %s", what, strerror(errno));
}

/// A syncobj, as an fd. Its handle is only on the way to it.
sdk::Expected<sdk::UniqueFd> MakeSyncobj(int device) {
  drm_syncobj_create create{};
  if (ioctl(device, DRM_IOCTL_SYNCOBJ_CREATE, &create) != 0) return Failed("a syncobj");
  drm_syncobj_handle handle{};
  handle.handle = create.handle;
  const int result = ioctl(device, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &handle);
  const int error = errno;
  drm_syncobj_destroy destroy{create.handle, 0};
  ioctl(device, DRM_IOCTL_SYNCOBJ_DESTROY, &destroy);
  errno = error;
  if (result != 0) return Failed("the fd of a syncobj");
  return sdk::UniqueFd(handle.fd);
}

sdk::Expected<sdk::Timeline> Import(const sdk::NodeContext& context, int device, int fd,
                                    const char* signaller) {
  const sluice_timeline_api* api = context.host().timelines();
  sluice_timeline* timeline = nullptr;
  // The host says why in its log.
  if (api->struct_size < sizeof(sluice_timeline_api) || api->import_syncobj == nullptr ||
      api->import_syncobj(context.c(), signaller, device, fd, &timeline) < 0) {
    return sdk::Status(SLUICE_E_UNSUPPORTED, "the host takes no syncobj");
  }
  return sdk::Timeline(api, timeline);
}

void FillOne(spa_data& data, int fd) {
  data.type = SPA_DATA_SyncObj;
  data.flags = SPA_DATA_FLAG_READWRITE;
  data.fd = fd;
  data.mapoffset = 0;
  data.maxsize = 0;
  data.data = nullptr;
}

#endif

}  // namespace

#if PW_CHECK_VERSION(1, 2, 0)

sdk::UniqueFd SyncPair::FindDevice() {
  for (const int first : {kFirstRenderNode, 0}) {
    for (int i = first; i < first + kNodes; ++i) {
      const std::string path = sdk::Format("/dev/dri/%s%d", first == 0 ? "card" : "renderD", i);
      sdk::UniqueFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
      if (fd && HasTimelines(fd.get())) return fd;
    }
  }
  return {};
}

sdk::Expected<SyncPair> SyncPair::Make(const sdk::NodeContext& context, int device,
                                       const char* readers) {
  SyncPair pair;
  pair.api_ = context.host().timelines();
  for (const bool acquire : {true, false}) {
    sdk::Expected<sdk::UniqueFd> fd = MakeSyncobj(device);
    if (!fd.ok()) return fd.status();
    sdk::Expected<sdk::Timeline> timeline =
        Import(context, device, fd->get(), acquire ? context.name() : readers);
    if (!timeline.ok()) return timeline.status();
    (acquire ? pair.acquire_fd_ : pair.release_fd_) = *std::move(fd);
    (acquire ? pair.acquire_ : pair.release_) = *std::move(timeline);
  }
  return pair;
}

void SyncPair::Fill(spa_buffer& buffer, uint32_t planes) const {
  FillOne(buffer.datas[planes], acquire_fd_.get());
  FillOne(buffer.datas[planes + 1], release_fd_.get());
}

sdk::Status SyncPair::Publish(spa_buffer& buffer, int fence) {
  auto* meta = static_cast<spa_meta_sync_timeline*>(
      spa_buffer_find_meta_data(&buffer, SPA_META_SyncTimeline, sizeof(spa_meta_sync_timeline)));
  if (meta == nullptr) return sdk::Status(SLUICE_E_IO, "a buffer without its points");
  ++point_;
  meta->flags = 0;
  meta->acquire_point = meta->release_point = point_;
  const int32_t code = fence >= 0 ? api_->attach_syncobj(acquire_.c(), point_, fence)
                                  : api_->signal_syncobj(acquire_.c(), point_);
  if (code >= 0) return {};
  return sdk::Status::Error(code, "an acquire point (%s)", sdk::CodeName(code));
}

#else

sdk::UniqueFd SyncPair::FindDevice() { return {}; }

sdk::Expected<SyncPair> SyncPair::Make(const sdk::NodeContext&, int, const char*) {
  return sdk::Status(SLUICE_E_UNSUPPORTED, "this PipeWire has no SyncTimeline");
}

void SyncPair::Fill(spa_buffer&, uint32_t) const {}

sdk::Status SyncPair::Publish(spa_buffer&, int) { return {}; }

#endif

void SyncPair::ReleaseNow() const { api_->signal_syncobj(release_.c(), point_); }

}  // namespace sluice::pipewire
