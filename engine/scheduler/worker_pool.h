#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace sluice::scheduler {

/// Something that runs in slices, never two at once. Threads: Schedule is
/// [thread-safe]; the task outlives its last slice (see WorkerPool::Remove).
class Task {
 public:
  virtual ~Task() = default;

 protected:
  /// One slice. True: run again later, others first.
  virtual bool RunSlice() = 0;

 private:
  friend class WorkerPool;
  enum State : uint32_t { kIdle, kQueued, kRunning, kAgain };
  std::atomic<uint32_t> state_{kIdle};
  Task* next_ = nullptr;  // in a run queue
};

/// Threads with a run queue each; an idle one takes from the others.
class WorkerPool {
 public:
  explicit WorkerPool(unsigned workers);
  /// No task may be queued any more.
  ~WorkerPool();

  /// Has `task` run soon: at least one whole slice begins after this call.
  void Schedule(Task& task);
  /// Waits until `task` is neither queued nor running. Nobody may schedule it meanwhile.
  void Drain(Task& task);
  bool Idle(const Task& task) const {
    return task.state_.load(std::memory_order_acquire) == Task::kIdle;
  }

 private:
  struct alignas(64) Queue {
    std::mutex mutex;
    Task* head = nullptr;
    Task* tail = nullptr;
  };

  void Push(Task& task);
  Task* Take(unsigned self);
  static Task* PopFront(Queue& queue);
  void Work(unsigned self);
  void Run(Task& task);

  std::vector<std::unique_ptr<Queue>> queues_;
  std::atomic<unsigned> next_queue_{0};
  std::atomic<int> pending_{0};
  std::atomic<int> sleepers_{0};
  std::mutex sleep_mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  // guarded by sleep_mutex_
  std::vector<std::thread> threads_;
};

}  // namespace sluice::scheduler
