#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/base/result.h"
#include "engine/sync/fd_waiter.h"
#include "engine/sync/timeline.h"

namespace sluice::sync {

// Timeline DRM syncobjs. Spec: the overview in drivers/gpu/drm/drm_syncobj.c.
// Threads: [thread-safe].

/// A timeline whose points are those of the syncobj behind `syncobj_fd`. Both fds
/// are borrowed; duplicates are kept (of `drm_fd` too, so its DRM file stays open). A
/// point that nothing stands behind yet is promised. The kernel forgets the errors
/// of passed points: none of these fails, but by the end of `waiter` (Cancelled).
/// Errors: Unsupported without DRM_CAP_SYNCOBJ_TIMELINE or DRM_IOCTL_SYNCOBJ_EVENTFD
/// (Linux 6.6), InvalidArgument for a fd that is no syncobj, Io.
Result<RefPtr<Timeline>> ImportSyncobj(std::string signaller, int drm_fd, int syncobj_fd,
                                       const std::shared_ptr<FdWaiter>& waiter);

/// Signals `point` from the CPU, now. Errors: Unsupported for a timeline of another
/// kind, InvalidArgument for a point that has something behind it already, Io.
Status SignalSyncobj(Timeline& timeline, uint64_t point);

/// Makes `point` pass when `sync_file` (borrowed) does. Errors: as SignalSyncobj.
Status AttachSyncobj(Timeline& timeline, uint64_t point, int sync_file);

}  // namespace sluice::sync
