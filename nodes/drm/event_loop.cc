#include "nodes/drm/event_loop.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <system_error>

namespace sluice::drm {

int64_t NowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

EventLoop::~EventLoop() {
  {
    const std::lock_guard lock(mutex_);
    quit_ = true;
  }
  Wake();
  if (thread_.joinable()) thread_.join();
}

sdk::Expected<uint64_t> EventLoop::Add(std::shared_ptr<EventSink> sink) {
  const std::lock_guard thread_lock(thread_mutex_);
  uint64_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    id = ++last_id_;
    sinks_.push_back({id, std::move(sink)});
  }
  if (!thread_.joinable()) {
    if (sdk::Status status = StartThread(); !status.ok()) {
      const std::lock_guard lock(mutex_);
      sinks_.pop_back();
      return status;
    }
  }
  Wake();
  return id;
}

void EventLoop::Remove(uint64_t id) {
  const std::lock_guard thread_lock(thread_mutex_);
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(sinks_, [&](const Entry& entry) { return entry.id == id; });
    quit_ = sinks_.empty();
  }
  Wake();  // also for the thread's own reference to the sink to go
  if (!quit_) return;
  if (thread_.joinable()) thread_.join();
  quit_ = false;
}

void EventLoop::Wake() {
  if (!wake_) return;
  const uint64_t one = 1;
  // Full means that it is awake.
  [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof(one));
}

sdk::Status EventLoop::StartThread() {
  if (!wake_) wake_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_) return KmsError(errno, "eventfd");
  // The program's signals are not for this thread.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  sdk::Status status;
  try {
    thread_ = std::thread([this] { Run(); });
  } catch (const std::system_error& error) {
    status = sdk::Status::Error(SLUICE_E_RESOURCE_EXHAUSTED, "the event thread: %s", error.what());
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return status;
}

void EventLoop::Run() {
  pthread_setname_np(pthread_self(), "drm-events");
  std::vector<Entry> sinks;
  std::vector<pollfd> polled;
  bool lost = false;
  while (true) {
    {
      const std::lock_guard lock(mutex_);
      if (quit_) return;
      sinks.assign(sinks_.begin(), sinks_.end());
    }
    const int64_t now = NowNs();
    int64_t at = INT64_MAX;
    polled.clear();
    polled.push_back({wake_.get(), POLLIN, 0});
    polled.push_back({lost ? -1 : fd_, POLLIN, 0});
    for (const Entry& entry : sinks) {
      const EventSink::Next next = entry.sink->Advance(now);
      at = std::min(at, next.at_ns);
      if (next.fd >= 0) polled.push_back({next.fd, POLLIN, 0});
    }
    timespec timeout{};
    if (at != INT64_MAX) {
      const int64_t left = std::max<int64_t>(0, at - NowNs());
      timeout = {left / 1'000'000'000, left % 1'000'000'000};
    }
    if (ppoll(polled.data(), polled.size(), at == INT64_MAX ? nullptr : &timeout, nullptr) < 0) {
      continue;  // EINTR; nothing else can be
    }
    if (polled[0].revents != 0) {
      uint64_t count;
      [[maybe_unused]] const ssize_t got = read(wake_.get(), &count, sizeof(count));
    }
    if (!lost && polled[1].revents != 0) {
      std::string why;
      const bool broken = (polled[1].revents & POLLIN) == 0;
      if (broken) why = "the card reports an error";
      if (broken || !ReadEvents(sinks, &why)) {
        lost = true;
        const sdk::Status status(SLUICE_E_DEVICE_LOST, why);
        for (const Entry& entry : sinks) entry.sink->OnLost(status);
      }
    }
    sinks.clear();
  }
}

bool EventLoop::ReadEvents(const std::vector<Entry>& sinks, std::string* why) {
  std::array<std::byte, 4096> bytes;
  const ssize_t count = read(fd_, bytes.data(), bytes.size());
  if (count < 0) {
    if (errno == EAGAIN || errno == EINTR) return true;
    *why = sdk::Format("reading the card's events: %s", ErrnoText(errno));
    return false;
  }
  if (count == 0) {
    *why = "the card's events have ended";
    return false;
  }
  for (const FlipEvent& flip : ParseEvents({bytes.data(), static_cast<std::size_t>(count)})) {
    for (const Entry& entry : sinks) {
      if (entry.id == flip.user_data) entry.sink->OnFlip(flip);
    }
  }
  return true;
}

}  // namespace sluice::drm
