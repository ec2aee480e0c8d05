#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "engine/sync/fd_waiter.h"

namespace sluice::scheduler {

/// Many fds behind one: an epoll set whose own fd the reactor waits for. Setting a
/// watch is one system call from any thread, changes nothing at the file itself
/// (Asio would set O_NONBLOCK on it), and wakes nobody. Threads: [thread-safe].
class WatchSet final : public sync::FdWaiter {
 public:
  using Id = uint64_t;

  static Result<std::shared_ptr<WatchSet>> Create();

  /// Readable while a watch is due. Borrowed.
  int fd() const { return epoll_.get(); }

  /// A watch that is not armed. Errors: InvalidArgument for a fd that cannot be
  /// waited for, ResourceExhausted.
  Result<Id> Add(UniqueFd fd, std::function<void()> ready);
  /// One-shot; replaces an earlier setting. `events` of EPOLLIN and EPOLLPRI.
  void Arm(Id id, uint32_t events);
  /// Waits for a call in progress, unless it is called from within one.
  void Remove(Id id);

  void WaitReadable(UniqueFd fd, std::function<void()> ready) override;

  /// Calls whoever is due. One thread, always the same.
  void Dispatch();

  /// Nobody dispatches any more: calls what is readable now, drops the rest.
  void End();

 private:
  struct Entry {
    UniqueFd fd;
    std::function<void()> ready;
    bool once = false;
    bool armed = false;  // guarded by the set's mutex
  };

  explicit WatchSet(UniqueFd epoll) : epoll_(std::move(epoll)) {}
  Status Insert(std::shared_ptr<Entry> entry, uint32_t events, Id* id);
  void Call(Id id);
  void Forget(const Entry& entry);

  const UniqueFd epoll_;
  std::mutex mutex_;
  std::condition_variable returned_;
  std::unordered_map<Id, std::shared_ptr<Entry>> entries_;  // guarded by mutex_, as all below
  Id last_id_ = 0;
  Id running_ = 0;
  std::thread::id runner_;
  bool ended_ = false;
};

}  // namespace sluice::scheduler
