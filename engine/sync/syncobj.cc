#include "engine/sync/syncobj.h"

#include <fcntl.h>
#include <libdrm/drm.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <algorithm>
#include <cerrno>
#include <mutex>
#include <utility>
#include <vector>

#include <fmt/format.h>

// Newer than the oldest libdrm that we build with. Spec: include/uapi/drm/drm.h.
#ifndef DRM_IOCTL_SYNCOBJ_EVENTFD
struct drm_syncobj_eventfd {
  __u32 handle;
  __u32 flags;
  __u64 point;
  __s32 fd;
  __u32 pad;
};
#define DRM_IOCTL_SYNCOBJ_EVENTFD DRM_IOWR(0xCF, struct drm_syncobj_eventfd)
#endif

namespace sluice::sync {
namespace {

/// 0 or an errno.
template <typename T>
int Ioctl(int fd, unsigned long request, T* argument) {
  while (ioctl(fd, request, argument) != 0) {
    if (errno != EINTR && errno != EAGAIN) return errno;
  }
  return 0;
}

uint64_t Address(const void* object) { return reinterpret_cast<uint64_t>(object); }

/// A handle of a DRM file. The fd is borrowed.
class Handle {
 public:
  Handle() = default;
  Handle(int drm, uint32_t handle) : drm_(drm), handle_(handle) {}
  Handle(Handle&& other) noexcept
      : drm_(other.drm_), handle_(std::exchange(other.handle_, 0)) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(drm_, other.drm_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Handle() {
    if (handle_ == 0) return;
    drm_syncobj_destroy destroy{handle_, 0};
    Ioctl(drm_, DRM_IOCTL_SYNCOBJ_DESTROY, &destroy);
  }
  uint32_t get() const { return handle_; }

  static Result<Handle> Create(int drm) {
    drm_syncobj_create create{};
    if (int error = Ioctl(drm, DRM_IOCTL_SYNCOBJ_CREATE, &create); error != 0) {
      return FailErrno("DRM_IOCTL_SYNCOBJ_CREATE", error);
    }
    return Handle(drm, create.handle);
  }

 private:
  int drm_ = -1;
  uint32_t handle_ = 0;
};

int Transfer(int drm, uint32_t from, uint64_t from_point, uint32_t to, uint64_t to_point) {
  drm_syncobj_transfer transfer{from, to, from_point, to_point, 0, 0};
  return Ioctl(drm, DRM_IOCTL_SYNCOBJ_TRANSFER, &transfer);
}

/// The backend of an imported syncobj. Owned by its timeline.
struct Syncobj {
  UniqueFd drm;
  Handle handle;  // ends before drm
  std::weak_ptr<FdWaiter> waiter;  // it keeps us while it waits
  Timeline* timeline = nullptr;
  std::mutex mutex;
  struct Armed {
    uint64_t point = 0;
    UniqueFd event;  // what the waiter waits for; none: nobody does
  };
  std::vector<Armed> armed;     // guarded by mutex
  std::mutex submit_mutex;      // a look at the last point, and the next one behind it

  Result<uint64_t> Query(uint32_t flags) const;
  void Refresh();
  void Arm(uint64_t point);
  std::vector<Armed>::iterator Find(uint64_t point) {
    return std::find_if(armed.begin(), armed.end(),
                        [point](const Armed& one) { return one.point == point; });
  }
  void Arrived(uint64_t point, bool called);
  void Passed(uint64_t point);
  Result<UniqueFd> ToSyncFile(uint64_t point) const;
  Status CheckNew(uint64_t point) const;
};

Result<uint64_t> Syncobj::Query(uint32_t flags) const {
  uint32_t which = handle.get();
  uint64_t point = 0;
  drm_syncobj_timeline_array query{Address(&which), Address(&point), 1, flags};
  if (int error = Ioctl(drm.get(), DRM_IOCTL_SYNCOBJ_QUERY, &query); error != 0) {
    return FailErrno("DRM_IOCTL_SYNCOBJ_QUERY", error);
  }
  return point;
}

void Syncobj::Refresh() {
  if (auto submitted = Query(DRM_SYNCOBJ_QUERY_FLAGS_LAST_SUBMITTED)) {
    timeline->Submitted(*submitted);
  }
  if (auto passed = Query(0)) timeline->Signal(*passed);
}

/// Goes into the waiter, and ends there in one of two ways: called, or not.
struct PointArrival {
  PointArrival(RefPtr<Timeline> t, Syncobj* o, uint64_t p)
      : timeline(std::move(t)), syncobj(o), point(p) {}
  PointArrival(const PointArrival&) = delete;
  PointArrival& operator=(const PointArrival&) = delete;
  ~PointArrival() { syncobj->Arrived(point, called); }

  RefPtr<Timeline> timeline;  // keeps syncobj
  Syncobj* syncobj;
  uint64_t point;
  bool called = false;
};

void Syncobj::Arm(uint64_t point) {
  {
    std::lock_guard lock(mutex);
    if (Find(point) != armed.end()) return;
    armed.push_back({point, UniqueFd()});
  }
  auto arrival = std::make_shared<PointArrival>(RefPtr<Timeline>(timeline), this, point);
  UniqueFd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  auto waits = waiter.lock();
  if (!event.valid() || !waits) return;
  drm_syncobj_eventfd wait{handle.get(), 0, point, event.get(), 0};
  if (Ioctl(drm.get(), DRM_IOCTL_SYNCOBJ_EVENTFD, &wait) != 0) return;
  {
    std::lock_guard lock(mutex);
    if (const auto entry = Find(point); entry != armed.end()) {
      entry->event = UniqueFd(fcntl(event.get(), F_DUPFD_CLOEXEC, 0));
    }
  }
  waits->WaitReadable(std::move(event), [arrival = std::move(arrival)] { arrival->called = true; });
}

void Syncobj::Arrived(uint64_t point, bool called) {
  Refresh();
  std::vector<uint64_t> lost;
  {
    std::lock_guard lock(mutex);
    std::erase_if(armed, [point](const Armed& one) { return one.point == point; });
    if (!called && timeline->completed() < point) {
      for (const Armed& one : armed) lost.push_back(one.point);
    }
  }
  if (called) return timeline->Signal(point);
  if (timeline->completed() >= point) return;
  // Nobody waits any more. All that were waited for fail before the highest passes.
  lost.push_back(point);
  for (uint64_t each : lost) timeline->Fail(each, Code::kCancelled);
  timeline->Signal(*std::max_element(lost.begin(), lost.end()));
}

// Somebody else has said so, since its signaller is gone: the kernel never will, and the waiter
// would wait for as long as it lives.
void Syncobj::Passed(uint64_t point) {
  std::lock_guard lock(mutex);
  for (const Armed& one : armed) {
    if (one.point <= point && one.event.valid()) eventfd_write(one.event.get(), 1);
  }
}

Result<UniqueFd> Syncobj::ToSyncFile(uint64_t point) const {
  auto binary = Handle::Create(drm.get());
  if (!binary) return tl::unexpected(std::move(binary).error());
  if (int error = Transfer(drm.get(), handle.get(), point, binary->get(), 0); error != 0) {
    if (error == EINVAL) {
      return Fail(Code::kNotSubmitted,
                  fmt::format("point {} of {} is only promised", point, timeline->signaller()));
    }
    return FailErrno("DRM_IOCTL_SYNCOBJ_TRANSFER", error);
  }
  drm_syncobj_handle request{};
  request.handle = binary->get();
  request.flags = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE;
  request.fd = -1;
  if (int error = Ioctl(drm.get(), DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &request); error != 0) {
    return FailErrno("DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD", error);
  }
  return UniqueFd(request.fd);
}

// The kernel takes points in any order, and is no timeline any more afterwards.
Status Syncobj::CheckNew(uint64_t point) const {
  auto last = Query(DRM_SYNCOBJ_QUERY_FLAGS_LAST_SUBMITTED);
  if (!last) return tl::unexpected(std::move(last).error());
  if (point > *last) return {};
  return Fail(Code::kInvalidArgument, fmt::format("point {} of {} is not behind point {}", point,
                                                  timeline->signaller(), *last));
}

Syncobj* Self(void* self) { return static_cast<Syncobj*>(self); }

const TimelineBackend& SyncobjBackend() {
  static const TimelineBackend backend = [] {
    TimelineBackend b;
    b.query = [](void* self) { return Self(self)->Query(0); };
    b.to_sync_file = [](void* self, uint64_t point) { return Self(self)->ToSyncFile(point); };
    b.destroy = [](void* self) { delete Self(self); };
    b.refresh = [](void* self) { Self(self)->Refresh(); };
    b.arm = [](void* self, uint64_t point) { Self(self)->Arm(point); };
    b.passed = [](void* self, uint64_t point) { Self(self)->Passed(point); };
    return b;
  }();
  return backend;
}

Result<Syncobj*> Find(Timeline& timeline) {
  void* self = timeline.SelfFor(&SyncobjBackend());
  if (self != nullptr) return Self(self);
  return Fail(Code::kUnsupported,
              fmt::format("the timeline of {} is no syncobj", timeline.signaller()));
}

Status CheckDevice(int drm) {
  drm_get_cap cap{DRM_CAP_SYNCOBJ_TIMELINE, 0};
  const int error = Ioctl(drm, DRM_IOCTL_GET_CAP, &cap);
  if (error == ENOTTY || error == EBADF) {
    return Fail(Code::kInvalidArgument, fmt::format("fd {} is no DRM device", drm));
  }
  if (error == 0 && cap.value != 0) return {};
  return Fail(Code::kUnsupported, "the DRM device has no timeline syncobjs");
}

// A kernel that knows the call looks at the eventfd, which is none.
Status CheckEventfd(const Syncobj& syncobj) {
  drm_syncobj_eventfd probe{syncobj.handle.get(), 0, 1, -1, 0};
  if (Ioctl(syncobj.drm.get(), DRM_IOCTL_SYNCOBJ_EVENTFD, &probe) == EBADF) return {};
  return Fail(Code::kUnsupported, "waiting for a syncobj needs Linux 6.6 (SYNCOBJ_EVENTFD)");
}

}  // namespace

Result<RefPtr<Timeline>> ImportSyncobj(std::string signaller, int drm_fd, int syncobj_fd,
                                       const std::shared_ptr<FdWaiter>& waiter) {
  SLUICE_RETURN_IF_ERROR(CheckDevice(drm_fd));
  auto drm = UniqueFd::Duplicate(drm_fd);
  if (!drm) return tl::unexpected(std::move(drm).error());
  drm_syncobj_handle import{};
  import.fd = syncobj_fd;
  if (int error = Ioctl(drm->get(), DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, &import); error != 0) {
    if (error != EINVAL && error != EBADF) {
      return FailErrno("DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE", error);
    }
    return Fail(Code::kInvalidArgument, fmt::format("fd {} is no syncobj", syncobj_fd));
  }
  auto syncobj = std::make_unique<Syncobj>();
  syncobj->drm = std::move(*drm);
  syncobj->handle = Handle(syncobj->drm.get(), import.handle);
  syncobj->waiter = waiter;
  SLUICE_RETURN_IF_ERROR(CheckEventfd(*syncobj));
  Syncobj* self = syncobj.release();
  auto timeline = MakeRef<Timeline>(std::move(signaller), &SyncobjBackend(), self);
  self->timeline = timeline.get();
  self->Refresh();
  return timeline;
}

Status SignalSyncobj(Timeline& timeline, uint64_t point) {
  auto syncobj = Find(timeline);
  if (!syncobj) return tl::unexpected(std::move(syncobj).error());
  {
    std::lock_guard lock((*syncobj)->submit_mutex);
    SLUICE_RETURN_IF_ERROR((*syncobj)->CheckNew(point));
    uint32_t handle = (*syncobj)->handle.get();
    drm_syncobj_timeline_array signal{Address(&handle), Address(&point), 1, 0};
    if (int error = Ioctl((*syncobj)->drm.get(), DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL, &signal);
        error != 0) {
      return FailErrno("DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL", error);
    }
  }
  timeline.Refresh();
  return {};
}

Status AttachSyncobj(Timeline& timeline, uint64_t point, int sync_file) {
  auto found = Find(timeline);
  if (!found) return tl::unexpected(std::move(found).error());
  Syncobj& syncobj = **found;
  auto binary = Handle::Create(syncobj.drm.get());
  if (!binary) return tl::unexpected(std::move(binary).error());
  drm_syncobj_handle import{};
  import.handle = binary->get();
  import.flags = DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE;
  import.fd = sync_file;
  if (int error = Ioctl(syncobj.drm.get(), DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, &import); error != 0) {
    if (error != EINVAL && error != EBADF) {
      return FailErrno("DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE", error);
    }
    return Fail(Code::kInvalidArgument, fmt::format("fd {} is no sync_file", sync_file));
  }
  {
    std::lock_guard lock(syncobj.submit_mutex);
    SLUICE_RETURN_IF_ERROR(syncobj.CheckNew(point));
    const int error =
        Transfer(syncobj.drm.get(), binary->get(), 0, syncobj.handle.get(), point);
    if (error != 0) return FailErrno("DRM_IOCTL_SYNCOBJ_TRANSFER", error);
  }
  timeline.Refresh();
  return {};
}

}  // namespace sluice::sync
