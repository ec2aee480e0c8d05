#pragma once

#include <poll.h>
#include <cerrno>
#include <mutex>
#include <utility>
#include <vector>

#include "engine/sync/fd_waiter.h"

namespace sluice::sync {

/// A waiter that a test runs when it wants. Threads: [thread-safe].
class ManualWaiter final : public FdWaiter {
 public:
  void WaitReadable(UniqueFd fd, std::function<void()> ready) override {
    std::lock_guard lock(mutex_);
    waits_.push_back({std::move(fd), std::move(ready)});
  }

  size_t waiting() const {
    std::lock_guard lock(mutex_);
    return waits_.size();
  }

  /// Calls whoever is ready within `timeout_ms`; the number of calls.
  size_t Run(int timeout_ms = 0) {
    std::vector<pollfd> fds;
    {
      std::lock_guard lock(mutex_);
      for (const Wait& wait : waits_) fds.push_back({wait.fd.get(), POLLIN, 0});
    }
    int ready = 0;
    do {
      ready = poll(fds.data(), fds.size(), timeout_ms);
    } while (ready < 0 && errno == EINTR);
    std::vector<Wait> due;
    {
      std::lock_guard lock(mutex_);
      for (size_t i = fds.size(); i-- > 0;) {
        if (fds[i].revents == 0) continue;
        due.push_back(std::move(waits_[i]));
        waits_.erase(waits_.begin() + static_cast<ptrdiff_t>(i));
      }
    }
    for (Wait& wait : due) wait.ready();
    return due.size();
  }

  /// As a reactor that ends: nobody is called.
  void DropAll() {
    std::vector<Wait> dropped;  // ends outside the lock
    std::lock_guard lock(mutex_);
    std::swap(dropped, waits_);
  }

 private:
  struct Wait {
    UniqueFd fd;
    std::function<void()> ready;
  };
  mutable std::mutex mutex_;
  std::vector<Wait> waits_;
};

}  // namespace sluice::sync
