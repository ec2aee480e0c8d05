#pragma once

#include <cstdint>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace sluice::sync {

// The border to neighbours that know only implicit fences. Spec: linux/dma-buf.h
// (Linux 6.0). Export, submit, import is not atomic: nobody else may work on the
// buffer in between, which is what a lease says. Threads: [thread-safe].

/// Read: a reader's view, it waits for writers. Write: it waits for everybody. The
/// numbers equal those of the kernel and of the plugin ABI.
inline constexpr uint32_t kDmabufRead = 1;
inline constexpr uint32_t kDmabufWrite = 2;

/// What whoever wants `access` must wait for, as a sync_file: a snapshot. Empty
/// when that is nothing. `dmabuf` is borrowed. Errors: Unsupported for a fd that has
/// no implicit fences, or on a kernel without the call; InvalidArgument.
Result<UniqueFd> ExportSyncFile(int dmabuf, uint32_t access);

/// Puts `sync_file` into the dma-buf: as a reader's (later writers wait) or a
/// writer's (everybody waits). Both fds are borrowed. Errors: Unsupported as above,
/// InvalidArgument where `sync_file` is none.
Status ImportSyncFile(int dmabuf, uint32_t access, int sync_file);

}  // namespace sluice::sync
