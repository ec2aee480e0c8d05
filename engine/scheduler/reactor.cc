#include "engine/scheduler/reactor.h"

// One thread runs the context, and its queue's mutex orders what is posted: no
// fence is needed around a handler, and tsan knows none.
#define BOOST_ASIO_DISABLE_FENCED_BLOCK 1

#include <utility>  // before Asio: Boost 1.74 with C++20 misses it

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <cerrno>
#include <csignal>
#include <future>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <thread>
#include <unistd.h>

#include "engine/base/unique_fd.h"
#include "engine/scheduler/watch_set.h"

namespace sluice::scheduler {

namespace asio = boost::asio;

struct Reactor::Impl {
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  std::unique_ptr<asio::signal_set> signals;
  std::shared_ptr<WatchSet> watches;
  asio::posix::stream_descriptor watches_due{context};
  std::thread thread;

  void AwaitWatches() {
    watches_due.async_wait(asio::posix::stream_descriptor::wait_read,
                           [this](boost::system::error_code error) {
                             if (error) return;
                             watches->Dispatch();
                             AwaitWatches();
                           });
  }
};

namespace {

/// A timerfd: setting it is one system call from any thread; the reactor only reads.
class TimerFd final : public Reactor::Timer {
 public:
  TimerFd(asio::io_context& context, std::thread::id reactor, int fd,
          std::function<void()> fired)
      : context_(context), reactor_(reactor), fd_(fd),
        shared_(std::make_shared<Shared>(context, std::move(fired))) {
    shared_->descriptor.assign(fd);
    asio::post(context_, [shared = shared_] { Arm(shared); });
  }

  ~TimerFd() override {
    auto close = [shared = shared_] {
      shared->dead = true;
      boost::system::error_code ignored;
      shared->descriptor.close(ignored);
    };
    if (std::this_thread::get_id() == reactor_ || context_.stopped()) {
      close();
      return;
    }
    std::promise<void> closed;
    asio::post(context_, [&] {
      close();
      closed.set_value();
    });
    closed.get_future().wait();
  }

  void SetAt(MonotonicNs at_ns) override {
    if (at_ns <= 0) at_ns = 1;  // 0 would disarm
    itimerspec spec{};
    spec.it_value = {at_ns / 1'000'000'000, at_ns % 1'000'000'000};
    timerfd_settime(fd_, TFD_TIMER_ABSTIME, &spec, nullptr);
  }

 private:
  struct Shared {
    Shared(asio::io_context& context, std::function<void()> f)
        : descriptor(context), fired(std::move(f)) {}
    asio::posix::stream_descriptor descriptor;
    std::function<void()> fired;
    bool dead = false;  // reactor's thread only
  };

  static void Arm(const std::shared_ptr<Shared>& shared) {
    if (shared->dead) return;
    shared->descriptor.async_wait(
        asio::posix::stream_descriptor::wait_read, [shared](boost::system::error_code error) {
          if (error || shared->dead) return;
          uint64_t expirations = 0;
          ssize_t got = read(shared->descriptor.native_handle(), &expirations, sizeof expirations);
          if (got == sizeof expirations) shared->fired();
          Arm(shared);
        });
  }

  asio::io_context& context_;
  std::thread::id reactor_;
  int fd_;  // owned by shared_->descriptor
  std::shared_ptr<Shared> shared_;
};

class SetWatch final : public Reactor::Watch {
 public:
  SetWatch(std::shared_ptr<WatchSet> set, WatchSet::Id id) : set_(std::move(set)), id_(id) {}
  ~SetWatch() override { set_->Remove(id_); }

  void Arm(uint32_t events) override {
    uint32_t wanted = 0;
    if ((events & Reactor::kReadable) != 0) wanted |= EPOLLIN;
    if ((events & Reactor::kPriority) != 0) wanted |= EPOLLPRI;
    set_->Arm(id_, wanted);
  }

 private:
  std::shared_ptr<WatchSet> set_;
  WatchSet::Id id_;
};

}  // namespace

Reactor::Reactor() : impl_(std::make_unique<Impl>()) {}

Status Reactor::Start() {
  auto watches = WatchSet::Create();
  if (!watches) return tl::unexpected(std::move(watches).error());
  impl_->watches = std::move(*watches);
  auto due = UniqueFd::Duplicate(impl_->watches->fd());
  if (!due) return tl::unexpected(std::move(due).error());
  boost::system::error_code error;
  impl_->watches_due.assign(due->get(), error);
  if (error) return Fail(Code::kIo, "watch fds: " + error.message());
  (void)due->Release();
  impl_->AwaitWatches();
  impl_->thread = std::thread([impl = impl_.get()] {
    pthread_setname_np(pthread_self(), "sluice-reactor");
    impl->context.run();
  });
  return {};
}

Result<std::unique_ptr<Reactor>> Reactor::Create() {
  std::unique_ptr<Reactor> reactor(new Reactor);
  SLUICE_RETURN_IF_ERROR(reactor->Start());
  return reactor;
}

Reactor::~Reactor() {
  impl_->work.reset();
  impl_->context.stop();
  if (impl_->thread.joinable()) impl_->thread.join();
  if (impl_->watches) impl_->watches->End();
}

Result<std::unique_ptr<Reactor::Timer>> Reactor::CreateTimer(std::function<void()> fired) {
  int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  if (fd < 0) return FailErrno("timerfd_create", errno);
  UniqueFd owned(fd);
  try {
    auto timer = std::make_unique<TimerFd>(impl_->context, impl_->thread.get_id(), fd,
                                           std::move(fired));
    (void)owned.Release();
    return std::unique_ptr<Timer>(std::move(timer));
  } catch (const boost::system::system_error& error) {
    return Fail(Code::kIo, std::string("watch a timer: ") + error.what());
  }
}

Result<std::unique_ptr<Reactor::Watch>> Reactor::WatchFd(int fd, std::function<void()> ready) {
  auto own = UniqueFd::Duplicate(fd);
  if (!own) return tl::unexpected(std::move(own).error());
  auto id = impl_->watches->Add(std::move(*own), std::move(ready));
  if (!id) return tl::unexpected(std::move(id).error());
  return std::unique_ptr<Watch>(std::make_unique<SetWatch>(impl_->watches, *id));
}

std::shared_ptr<sync::FdWaiter> Reactor::fd_waiter() { return impl_->watches; }

void Reactor::OnInterrupt(std::function<void(int)> caught) {
  impl_->signals = std::make_unique<asio::signal_set>(impl_->context, SIGINT, SIGTERM);
  struct Waiter {
    static void Wait(asio::signal_set& set, std::function<void(int)> callback) {
      set.async_wait([&set, callback](boost::system::error_code error, int signal) {
        if (error) return;
        callback(signal);
        Wait(set, callback);
      });
    }
  };
  Waiter::Wait(*impl_->signals, std::move(caught));
}

}  // namespace sluice::scheduler
