#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "engine/sync/fd_waiter.h"
#include "engine/sync/timeline.h"

namespace sluice::sync {

// Spec: Documentation/driver-api/sync_file.rst, linux/sync_file.h.

/// How far a sync_file is. `error` is what its driver reported, with kFailed.
struct SyncFileState {
  FenceState state = FenceState::kSubmitted;
  Code error = Code::kInternal;
  std::string driver;  ///< Of its first fence: "vkms". Empty if it has none.
};

/// Asks the kernel; `fd` is borrowed. Errors: InvalidArgument for a fd that is no
/// sync_file, Io. Threads: [thread-safe], as all below.
Result<SyncFileState> QuerySyncFile(int fd);

/// Point 1 of a timeline of its own: it passes when the sync_file does, with the
/// error that it carries. Empty for one that has signalled already. Nobody waits in the kernel before somebody subscribes.
/// `waiter` is not kept; where it ends first, the point fails (Cancelled). Takes the fd, also when
/// it fails. Errors: as QuerySyncFile.
Result<Fence> ImportSyncFile(UniqueFd sync_file, std::string signaller,
                             const std::shared_ptr<FdWaiter>& waiter);

/// One sync_file that passes when all have; of one, itself; of none, empty. Takes the
/// fds, also when it fails. Errors: InvalidArgument, Io.
Result<UniqueFd> MergeSyncFiles(std::vector<UniqueFd> sync_files, std::string_view name);

/// For a border that takes one fd: all of `fences` as one sync_file; empty when all
/// have signalled. Errors: NotSubmitted, Unsupported where one has no kernel fence
/// behind it, and the error of one that failed (the kernel would drop it in a merge).
Result<UniqueFd> ToOneSyncFile(std::span<const Fence> fences, std::string_view name);

}  // namespace sluice::sync
