#include "engine/scheduler/worker_pool.h"

#include <pthread.h>

#include "engine/base/result.h"

namespace sluice::scheduler {
namespace {

/// Which worker of which pool the current thread is.
thread_local const WorkerPool* t_pool = nullptr;
thread_local unsigned t_worker = 0;

}  // namespace

WorkerPool::WorkerPool(unsigned workers) {
  workers = workers == 0 ? 1 : workers;
  for (unsigned i = 0; i < workers; ++i) queues_.push_back(std::make_unique<Queue>());
  for (unsigned i = 0; i < workers; ++i) threads_.emplace_back([this, i] { Work(i); });
}

WorkerPool::~WorkerPool() {
  {
    std::lock_guard lock(sleep_mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void WorkerPool::Schedule(Task& task) {
  // A read that writes, paired with the exchange in Run: what the caller wrote
  // before is seen by the slice that is already queued, if this returns at once.
  uint32_t state = task.state_.fetch_add(0);
  for (;;) {
    if (state == Task::kQueued || state == Task::kAgain) return;
    uint32_t next = state == Task::kIdle ? Task::kQueued : Task::kAgain;
    if (!task.state_.compare_exchange_weak(state, next)) continue;
    if (next == Task::kQueued) Push(task);
    return;
  }
}

void WorkerPool::Push(Task& task) {
  unsigned target = t_pool == this
                        ? t_worker
                        : next_queue_.fetch_add(1, std::memory_order_relaxed) % queues_.size();
  Queue& queue = *queues_[target];
  {
    std::lock_guard lock(queue.mutex);
    task.next_ = nullptr;
    (queue.tail != nullptr ? queue.tail->next_ : queue.head) = &task;
    queue.tail = &task;
  }
  // Pairs with Work(): either it sees the pending task, or we see the sleeper.
  pending_.fetch_add(1);
  if (sleepers_.load() > 0) {
    std::lock_guard lock(sleep_mutex_);
    wake_.notify_one();
  }
}

Task* WorkerPool::PopFront(Queue& queue) {
  std::lock_guard lock(queue.mutex);
  Task* task = queue.head;
  if (task == nullptr) return nullptr;
  queue.head = task->next_;
  if (queue.head == nullptr) queue.tail = nullptr;
  return task;
}

Task* WorkerPool::Take(unsigned self) {
  for (size_t i = 0; i < queues_.size(); ++i) {
    if (Task* task = PopFront(*queues_[(self + i) % queues_.size()])) {
      pending_.fetch_sub(1);
      return task;
    }
  }
  return nullptr;
}

void WorkerPool::Work(unsigned self) {
  t_pool = this;
  t_worker = self;
  pthread_setname_np(pthread_self(), ("sluice-w" + std::to_string(self)).c_str());
  for (;;) {
    if (Task* task = Take(self)) {
      Run(*task);
      continue;
    }
    std::unique_lock lock(sleep_mutex_);
    sleepers_.fetch_add(1);
    wake_.wait(lock, [this] { return stopping_ || pending_.load() > 0; });
    sleepers_.fetch_sub(1);
    if (stopping_) return;
  }
}

void WorkerPool::Run(Task& task) {
  task.state_.exchange(Task::kRunning);
  bool again = task.RunSlice();
  uint32_t expected = Task::kRunning;
  if (!again && task.state_.compare_exchange_strong(expected, Task::kIdle)) return;
  task.state_.exchange(Task::kQueued);
  Push(task);
}

void WorkerPool::Drain(Task& task) {
  while (!Idle(task)) std::this_thread::yield();
}

}  // namespace sluice::scheduler
