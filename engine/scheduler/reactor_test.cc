#include "engine/scheduler/reactor.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <atomic>
#include <cstdint>
#include <future>
#include <memory>
#include <semaphore>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::scheduler {
namespace {

using sync::FdWaiter;

struct Pipe {
  Pipe() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    read.Reset(ends[0]);
    write.Reset(ends[1]);
  }
  void Fill() { EXPECT_EQ(::write(write.get(), "x", 1), 1); }
  void Drain() {
    char byte;
    EXPECT_EQ(::read(read.get(), &byte, 1), 1);
  }
  UniqueFd read;
  UniqueFd write;
};

UniqueFd Duplicate(const UniqueFd& fd) { return std::move(*UniqueFd::Duplicate(fd.get())); }

size_t OpenFds() {
  size_t count = 0;
  DIR* dir = opendir("/proc/self/fd");
  while (readdir(dir) != nullptr) ++count;
  closedir(dir);
  return count;
}

class ReactorTest : public testing::Test {
 protected:
  ReactorTest() : reactor_(std::move(*Reactor::Create())) {}
  std::unique_ptr<Reactor> reactor_;
};

/// Counts calls and lets the test wait for the next one.
class Calls {
 public:
  std::function<void()> Count() {
    return [state = state_] {
      ++state->count;
      state->happened.release();
    };
  }
  void Await() { state_->happened.acquire(); }
  int count() const { return state_->count; }

 private:
  // A call may still be about to return when the test goes on.
  struct State {
    std::atomic<int> count{0};
    std::counting_semaphore<> happened{0};
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

/// All that the reactor had to do before this returns is done.
void PassThrough(Reactor& reactor) {
  Pipe pipe;
  pipe.Fill();
  Calls calls;
  reactor.fd_waiter()->WaitReadable(Duplicate(pipe.read), calls.Count());
  calls.Await();
}

TEST_F(ReactorTest, WatchTellsOnceForEachArm) {
  Pipe pipe;
  Calls calls;
  auto watch = reactor_->WatchFd(pipe.read.get(), calls.Count());
  ASSERT_TRUE(watch);
  pipe.Fill();
  PassThrough(*reactor_);
  EXPECT_EQ(calls.count(), 0) << "it was not armed";
  (*watch)->Arm(Reactor::kReadable);
  calls.Await();
  PassThrough(*reactor_);
  EXPECT_EQ(calls.count(), 1) << "the pipe is still full, and nobody armed again";
  (*watch)->Arm(Reactor::kReadable);
  calls.Await();
  EXPECT_EQ(calls.count(), 2);
}

TEST_F(ReactorTest, WatchMayArmItselfFromItsOwnCall) {
  Pipe pipe;
  std::promise<void> done;
  std::unique_ptr<Reactor::Watch> watch;
  int calls = 0;  // reactor's thread
  watch = std::move(*reactor_->WatchFd(pipe.read.get(), [&] {
    pipe.Drain();
    if (++calls == 3) return done.set_value();
    pipe.Fill();
    watch->Arm(Reactor::kReadable);
  }));
  pipe.Fill();
  watch->Arm(Reactor::kReadable);
  done.get_future().wait();
  EXPECT_EQ(calls, 3);
}

TEST_F(ReactorTest, WatchHearsOfTheEndOfTheOtherSideWhateverItWaitsFor) {
  Pipe pipe;
  Calls calls;
  auto watch = reactor_->WatchFd(pipe.read.get(), calls.Count());
  ASSERT_TRUE(watch);
  (*watch)->Arm(0);
  pipe.write.Reset();
  calls.Await();
  EXPECT_EQ(calls.count(), 1);
}

TEST_F(ReactorTest, WatchOfAClosedOtherSideStaysSilentUntilItIsArmed) {
  Pipe pipe;
  pipe.write.Reset();
  Calls calls;
  auto watch = reactor_->WatchFd(pipe.read.get(), calls.Count());
  ASSERT_TRUE(watch);
  PassThrough(*reactor_);
  EXPECT_EQ(calls.count(), 0);
  (*watch)->Arm(Reactor::kReadable);
  calls.Await();
}

TEST_F(ReactorTest, PriorityIsNotReadable) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  UniqueFd a(ends[0]), b(ends[1]);
  Calls calls;
  auto watch = reactor_->WatchFd(a.get(), calls.Count());
  ASSERT_TRUE(watch);
  (*watch)->Arm(Reactor::kPriority);
  ASSERT_EQ(write(b.get(), "x", 1), 1);
  PassThrough(*reactor_);
  EXPECT_EQ(calls.count(), 0);
  (*watch)->Arm(Reactor::kPriority | Reactor::kReadable);
  calls.Await();
}

TEST_F(ReactorTest, WatchLeavesTheFileAsItIs) {
  Pipe pipe;
  Calls calls;
  {
    auto watch = reactor_->WatchFd(pipe.read.get(), calls.Count());
    ASSERT_TRUE(watch);
    (*watch)->Arm(Reactor::kReadable);
    pipe.Fill();
    calls.Await();
    EXPECT_EQ(fcntl(pipe.read.get(), F_GETFL) & O_NONBLOCK, 0);
  }
  EXPECT_NE(fcntl(pipe.read.get(), F_GETFD), -1) << "the fd was borrowed";
}

TEST_F(ReactorTest, WatchEndsWhileOthersHaveTheFileOpen) {
  Pipe pipe;
  Calls calls;
  auto watch = reactor_->WatchFd(pipe.read.get(), calls.Count());
  ASSERT_TRUE(watch);
  (*watch)->Arm(Reactor::kReadable);
  watch->reset();
  pipe.Fill();
  PassThrough(*reactor_);
  EXPECT_EQ(calls.count(), 0);
}

TEST_F(ReactorTest, EndOfAWatchWaitsForACallInProgress) {
  Pipe pipe;
  pipe.Fill();
  std::promise<void> entered;
  std::promise<void> proceed;
  std::atomic<bool> returned{false};
  auto watch = reactor_->WatchFd(pipe.read.get(), [&] {
    entered.set_value();
    proceed.get_future().wait();
    returned = true;
  });
  ASSERT_TRUE(watch);
  (*watch)->Arm(Reactor::kReadable);
  entered.get_future().wait();
  std::thread helper([&] { proceed.set_value(); });
  watch->reset();
  EXPECT_TRUE(returned);
  helper.join();
}

TEST_F(ReactorTest, WatchMayEndWithinItsOwnCall) {
  Pipe pipe;
  pipe.Fill();
  Calls calls;
  std::unique_ptr<Reactor::Watch> watch;
  auto canary = std::make_shared<int>(1);
  watch = std::move(*reactor_->WatchFd(pipe.read.get(), [&, canary] {
    watch.reset();
    EXPECT_EQ(*canary, 1) << "the function lives until it returns";
    calls.Count()();
  }));
  watch->Arm(Reactor::kReadable);
  calls.Await();
  PassThrough(*reactor_);
  EXPECT_EQ(canary.use_count(), 1);
}

TEST_F(ReactorTest, RefusesWhatCannotBeWatched) {
  auto closed = reactor_->WatchFd(-1, [] {});
  EXPECT_FALSE(closed);
  UniqueFd file(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  auto regular = reactor_->WatchFd(file.get(), [] {});
  ASSERT_FALSE(regular);
  EXPECT_EQ(regular.error().code, Code::kInvalidArgument);
}

TEST_F(ReactorTest, WatchMayOutliveTheReactor) {
  Pipe pipe;
  Calls calls;
  auto watch = reactor_->WatchFd(pipe.read.get(), calls.Count());
  ASSERT_TRUE(watch);
  (*watch)->Arm(Reactor::kReadable);
  reactor_ = nullptr;
  pipe.Fill();
  (*watch)->Arm(Reactor::kReadable);
  watch->reset();
  EXPECT_EQ(calls.count(), 0);
}

TEST_F(ReactorTest, WaiterTellsOnceAndClosesTheFd) {
  Pipe pipe;
  Calls calls;
  reactor_->fd_waiter()->WaitReadable(Duplicate(pipe.read), calls.Count());
  EXPECT_EQ(calls.count(), 0);
  pipe.Fill();
  calls.Await();
  PassThrough(*reactor_);
  EXPECT_EQ(calls.count(), 1);
  pipe.read.Reset();
  // Linux tells the writer when the last reader has closed.
  pollfd look{pipe.write.get(), 0, 0};
  ASSERT_EQ(poll(&look, 1, 60'000), 1);
  EXPECT_NE(look.revents & POLLERR, 0);
}

TEST_F(ReactorTest, WaiterKeepsManyApart) {
  constexpr int kPipes = 100;
  std::vector<Pipe> pipes(kPipes);
  std::vector<Calls> calls(kPipes);
  auto waiter = reactor_->fd_waiter();
  for (int i = 0; i < kPipes; ++i) waiter->WaitReadable(Duplicate(pipes[i].read), calls[i].Count());
  for (int i = kPipes - 1; i >= 0; i -= 2) pipes[i].Fill();
  for (int i = kPipes - 1; i >= 0; i -= 2) calls[i].Await();
  reactor_ = nullptr;  // before the pipes, whose ends it would hear of
  for (int i = 0; i < kPipes; ++i) EXPECT_EQ(calls[i].count(), i % 2);
}

TEST_F(ReactorTest, WaiterTakesWhatIsAlwaysReadable) {
  UniqueFd file(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  Calls calls;
  reactor_->fd_waiter()->WaitReadable(std::move(file), calls.Count());
  EXPECT_EQ(calls.count(), 1);
}

/// What a fence's function captures: it must learn of its end.
struct Guard {
  explicit Guard(std::atomic<int>* count) : ended(count) {}
  ~Guard() { ++*ended; }
  std::atomic<int>* ended;
};

TEST_F(ReactorTest, EndOfTheReactorCallsWhatIsReadyAndDropsTheRest) {
  Pipe ready, never;
  Calls called, dropped;
  std::atomic<int> guards{0};
  auto waiter = reactor_->fd_waiter();
  {
    auto guard = std::make_shared<Guard>(&guards);
    waiter->WaitReadable(Duplicate(never.read), [guard, count = dropped.Count()] { count(); });
  }
  reactor_ = nullptr;
  EXPECT_EQ(guards, 1);
  EXPECT_EQ(dropped.count(), 0);
  {
    auto guard = std::make_shared<Guard>(&guards);
    waiter->WaitReadable(Duplicate(never.read), [guard, count = dropped.Count()] { count(); });
  }
  EXPECT_EQ(guards, 2) << "after the end nobody waits";
  EXPECT_EQ(dropped.count(), 0);
  ready.Fill();
  waiter->WaitReadable(Duplicate(ready.read), called.Count());
  EXPECT_EQ(called.count(), 1) << "it was readable, and that is seen at once";
}

TEST_F(ReactorTest, ManyThreadsWatchArmAndEnd) {
  constexpr int kThreads = 4;
  std::vector<std::thread> threads;
  std::atomic<int> heard{0};
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        Pipe pipe;
        Calls calls;
        auto watch = reactor_->WatchFd(pipe.read.get(), calls.Count());
        ASSERT_TRUE(watch);
        (*watch)->Arm(Reactor::kReadable);
        pipe.Fill();
        if (i % 2 == 0) calls.Await();
        watch->reset();
        heard += calls.count();
        EXPECT_LE(calls.count(), 1);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_GE(heard, kThreads * 100);
}

TEST_F(ReactorTest, TimerInThePastFiresAtOnce) {
  Calls calls;
  auto timer = reactor_->CreateTimer(calls.Count());
  ASSERT_TRUE(timer);
  (*timer)->SetAt(-5);
  calls.Await();
  (*timer)->SetAt(1);
  calls.Await();
  timer->reset();
  EXPECT_EQ(calls.count(), 2);
}

TEST(ReactorLifeTest, LeavesNoFdBehind) {
  const size_t fds = OpenFds();
  for (int i = 0; i < 20; ++i) {
    auto reactor = Reactor::Create();
    ASSERT_TRUE(reactor);
    Pipe pipe;
    auto watch = (*reactor)->WatchFd(pipe.read.get(), [] {});
    ASSERT_TRUE(watch);
    (*reactor)->fd_waiter()->WaitReadable(Duplicate(pipe.read), [] {});
    watch->reset();
  }
  EXPECT_EQ(OpenFds(), fds);
}

}  // namespace
}  // namespace sluice::scheduler
