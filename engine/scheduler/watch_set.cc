#include "engine/scheduler/watch_set.h"

#include <poll.h>
#include <sys/epoll.h>
#include <cerrno>
#include <utility>

namespace sluice::scheduler {

Result<std::shared_ptr<WatchSet>> WatchSet::Create() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return FailErrno("epoll_create1", errno);
  return std::shared_ptr<WatchSet>(new WatchSet(std::move(epoll)));
}

// EPOLLONESHOT: who was called hears nothing more until he arms again.
Status WatchSet::Insert(std::shared_ptr<Entry> entry, uint32_t events, Id* id) {
  std::lock_guard lock(mutex_);
  if (ended_) return Fail(Code::kCancelled, "the reactor has ended");
  *id = ++last_id_;
  epoll_event event{};
  event.events = events;
  event.data.u64 = *id;
  // Known before epoll can name it.
  entries_.emplace(*id, entry);
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, entry->fd.get(), &event) == 0) return {};
  const int error = errno;
  entries_.erase(*id);
  if (error == EPERM || error == EBADF) {
    return Fail(Code::kInvalidArgument, "this fd cannot be waited for");
  }
  return FailErrno("watch an fd", error);
}

Result<WatchSet::Id> WatchSet::Add(UniqueFd fd, std::function<void()> ready) {
  auto entry = std::make_shared<Entry>(Entry{std::move(fd), std::move(ready), false, false});
  Id id = 0;
  // No event bit still means errors; `armed` keeps an early one to itself.
  SLUICE_RETURN_IF_ERROR(Insert(std::move(entry), EPOLLONESHOT, &id));
  return id;
}

void WatchSet::Arm(Id id, uint32_t events) {
  std::lock_guard lock(mutex_);
  auto found = entries_.find(id);
  if (found == entries_.end()) return;
  epoll_event event{};
  event.events = events | EPOLLONESHOT;
  event.data.u64 = id;
  found->second->armed = true;
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, found->second->fd.get(), &event);
}

// Before the fd closes: epoll follows the file, which others may have open.
void WatchSet::Forget(const Entry& entry) {
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, entry.fd.get(), nullptr);
}

void WatchSet::Remove(Id id) {
  std::shared_ptr<Entry> entry;  // ends outside the lock
  std::unique_lock lock(mutex_);
  auto found = entries_.find(id);
  if (found == entries_.end()) return;
  entry = std::move(found->second);
  entries_.erase(found);
  Forget(*entry);
  if (runner_ == std::this_thread::get_id()) return;
  returned_.wait(lock, [&] { return running_ != id; });
}

namespace {

bool Readable(int fd) {
  pollfd look{fd, POLLIN, 0};
  return poll(&look, 1, 0) > 0;
}

}  // namespace

void WatchSet::WaitReadable(UniqueFd fd, std::function<void()> ready) {
  auto entry = std::make_shared<Entry>(Entry{std::move(fd), std::move(ready), true, true});
  Id id = 0;
  if (Insert(entry, EPOLLIN | EPOLLONESHOT, &id)) return;
  // Ended, or a file that epoll does not take: those are always readable.
  if (Readable(entry->fd.get())) entry->ready();
}

void WatchSet::Call(Id id) {
  std::shared_ptr<Entry> entry;
  {
    std::lock_guard lock(mutex_);
    auto found = entries_.find(id);
    if (found == entries_.end() || !found->second->armed) return;
    entry = found->second;
    entry->armed = false;
    if (entry->once) {
      entries_.erase(found);
      Forget(*entry);
    }
    running_ = id;
    runner_ = std::this_thread::get_id();
  }
  entry->ready();
  {
    std::lock_guard lock(mutex_);
    running_ = 0;
    runner_ = {};
  }
  returned_.notify_all();
}

void WatchSet::Dispatch() {
  epoll_event events[16];
  const int count = epoll_wait(epoll_.get(), events, 16, 0);
  for (int i = 0; i < count; ++i) Call(events[i].data.u64);
}

void WatchSet::End() {
  std::unordered_map<Id, std::shared_ptr<Entry>> left;
  {
    std::lock_guard lock(mutex_);
    ended_ = true;
    for (auto it = entries_.begin(); it != entries_.end();) {
      auto next = std::next(it);
      if (it->second->once) left.insert(entries_.extract(it));
      it = next;
    }
  }
  for (auto& [id, entry] : left) {
    Forget(*entry);
    if (Readable(entry->fd.get())) entry->ready();
  }
}

}  // namespace sluice::scheduler
