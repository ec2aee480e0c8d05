#include "tests/pipewire/peer_timeline.h"

#include <fcntl.h>
#include <libdrm/drm.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <ctime>
#include <filesystem>
#include <set>
#include <string>

#if __has_include(<pipewire/version.h>)
#include <pipewire/version.h>
#if PW_CHECK_VERSION(1, 2, 0)
#include <spa/buffer/buffer.h>
#include <spa/buffer/meta.h>
#include <spa/param/buffers.h>
static_assert(sluice::testing::kMetaSyncTimeline == SPA_META_SyncTimeline);
static_assert(sluice::testing::kDataSyncobj == SPA_DATA_SyncObj);
static_assert(sluice::testing::kBuffersMetaType == SPA_PARAM_BUFFERS_metaType);
static_assert(sizeof(sluice::testing::SyncPoints) == sizeof(spa_meta_sync_timeline));
#endif
#endif

namespace sluice::testing {
namespace {

int Call(int fd, unsigned long request, void* argument) {
  int result;
  do {
    result = ioctl(fd, request, argument);
  } while (result != 0 && (errno == EINTR || errno == EAGAIN));
  return result;
}

bool KnowsTimelines(int fd) {
  drm_get_cap capability{.capability = DRM_CAP_SYNCOBJ_TIMELINE};
  return Call(fd, DRM_IOCTL_GET_CAP, &capability) == 0 && capability.value == 1;
}

}  // namespace

Result<std::shared_ptr<SyncDevice>> SyncDevice::Open() {
  std::error_code error;
  std::set<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator("/dev/dri", error)) {
    if (entry.is_character_file(error)) paths.insert(entry.path());
  }
  for (const std::string& path : paths) {
    UniqueFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd.valid() || !KnowsTimelines(fd.get())) continue;
    auto device = std::make_shared<SyncDevice>();
    device->fd_ = std::move(fd);
    return device;
  }
  return Fail(Code::kUnsupported, "no DRM device with timelines");
}

Syncobj& Syncobj::operator=(Syncobj&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(handle_, other.handle_);
  return *this;
}

Syncobj::~Syncobj() {
  if (!handle_) return;
  drm_syncobj_destroy request{.handle = handle_};
  Call(device_->fd(), DRM_IOCTL_SYNCOBJ_DESTROY, &request);
}

Result<Syncobj> Syncobj::Create(const std::shared_ptr<SyncDevice>& device) {
  drm_syncobj_create request{};
  if (Call(device->fd(), DRM_IOCTL_SYNCOBJ_CREATE, &request) != 0)
    return FailErrno("create", errno);
  Syncobj made;
  made.device_ = device;
  made.handle_ = request.handle;
  return made;
}

Result<Syncobj> Syncobj::Import(const std::shared_ptr<SyncDevice>& device, int fd) {
  drm_syncobj_handle request{.fd = fd};
  if (Call(device->fd(), DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, &request) != 0) {
    return FailErrno("import a syncobj", errno);
  }
  Syncobj made;
  made.device_ = device;
  made.handle_ = request.handle;
  return made;
}

Result<UniqueFd> Syncobj::Export() const {
  drm_syncobj_handle request{.handle = handle_, .fd = -1};
  if (Call(device_->fd(), DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &request) != 0) {
    return FailErrno("export a syncobj", errno);
  }
  return UniqueFd(request.fd);
}

Status Syncobj::Signal(uint64_t point) {
  drm_syncobj_timeline_array request{.handles = reinterpret_cast<uint64_t>(&handle_),
                                     .points = reinterpret_cast<uint64_t>(&point),
                                     .count_handles = 1};
  if (Call(device_->fd(), DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL, &request) != 0) {
    return FailErrno("signal", errno);
  }
  return {};
}

bool Syncobj::Signalled(uint64_t point, uint64_t wait_ns) const {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const uint64_t now_ns =
      static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
  drm_syncobj_timeline_wait request{};
  request.handles = reinterpret_cast<uint64_t>(&handle_);
  request.points = reinterpret_cast<uint64_t>(&point);
  request.count_handles = 1;
  // An absolute time; 0 asks only.
  request.timeout_nsec = wait_ns ? static_cast<int64_t>(now_ns + wait_ns) : 0;
  request.flags = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT;
  return Call(device_->fd(), DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT, &request) == 0;
}

}  // namespace sluice::testing
