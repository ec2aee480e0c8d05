#pragma once

#include <functional>

#include "engine/base/unique_fd.h"

namespace sluice::sync {

/// Waits for fds on behalf of those who must not: sync_files, eventfds of
/// syncobjs. Implemented by the reactor. Threads: [thread-safe].
class FdWaiter {
 public:
  virtual ~FdWaiter() = default;
  /// Calls `ready` once, on any thread, when `fd` is readable or has an error; keeps
  /// the fd until then. Where the waiter ends first, or cannot wait for this fd,
  /// `ready` is destroyed without a call: what it captures decides what follows.
  virtual void WaitReadable(UniqueFd fd, std::function<void()> ready) = 0;
};

}  // namespace sluice::sync
