#include "nodes/vulkan/queue.h"

#include <pthread.h>
#include <sys/prctl.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace sluice::vulkan {
namespace {
// Bounded, so that the thread notices a stop and a lost device even if the driver never wakes it.
constexpr uint64_t kSliceNs = 50'000'000;

uint64_t NowNs() {
  return static_cast<uint64_t>(
      std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}
}  // namespace

Result<std::unique_ptr<Queue>> Queue::Create(const Device& device, Listener listener) {
  std::unique_ptr<Queue> queue(new Queue(device, std::move(listener)));
  if (Status made = queue->timeline_.Create(); !made) return tl::unexpected(made.error());
  queue->waiter_ = std::thread([q = queue.get()] { q->Run(); });
  return queue;
}

Queue::~Queue() {
  if (waiter_.joinable()) {
    (void)WaitIdle(std::chrono::steady_clock::now() + std::chrono::seconds(2));
    StopWaiter();
  }
}

void Queue::StopWaiter() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  waiter_.join();
}

void Queue::Abandon() {
  StopWaiter();
  timeline_.Leave();
}

Result<uint64_t> Queue::Submit(VkCommandBuffer commands, uint64_t wait_point) {
  const auto nothing = [](uint64_t) {};
  return Submit(Work{.commands = commands, .wait_point = wait_point}, nothing, nothing);
}

Result<uint64_t> Queue::Submit(const Work& work, const AtPoint& prepare, const AtPoint& refused) {
  constexpr VkPipelineStageFlags2 kWaitStages =
      VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_2_TRANSFER_BIT;
  std::array<VkSemaphoreSubmitInfo, kMaxWaits + 3> waits;
  uint32_t wait_count = 0;
  const auto wait_for = [&](VkSemaphore semaphore, uint64_t value) {
    waits[wait_count++] = {
        VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO, nullptr, semaphore, value, kWaitStages, 0};
  };
  if (work.waits.size() > kMaxWaits) {
    return Fail(SLUICE_E_RESOURCE_EXHAUSTED,
                std::to_string(work.waits.size()) + " fences to wait for at once");
  }
  if (work.wait_point > 0) wait_for(timeline_.handle(), work.wait_point);
  for (const TimelinePoint& after : work.after) {
    if (after.value > 0) wait_for(after.semaphore, after.value);
  }
  for (const VkSemaphore semaphore : work.waits) wait_for(semaphore, 0);
  VkSemaphoreSubmitInfo signals[2];
  for (VkSemaphoreSubmitInfo& signal : signals) {
    signal = {VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO, nullptr, work.signal, 0,
              VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT,    0};
  }
  signals[0].semaphore = timeline_.handle();
  const VkCommandBufferSubmitInfo command{VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO, nullptr,
                                          work.commands, 0};
  VkSubmitInfo2 submit{VK_STRUCTURE_TYPE_SUBMIT_INFO_2};
  submit.waitSemaphoreInfoCount = wait_count;
  submit.pWaitSemaphoreInfos = waits.data();
  submit.commandBufferInfoCount = work.commands != VK_NULL_HANDLE ? 1 : 0;
  submit.pCommandBufferInfos = &command;
  submit.signalSemaphoreInfoCount = work.signal != VK_NULL_HANDLE ? 2 : 1;
  submit.pSignalSemaphoreInfos = signals;

  const std::lock_guard<std::mutex> submitting(submit_mutex_);
  if (lost()) return tl::unexpected(Lost());
  const uint64_t point = submitted_ + 1;
  signals[0].value = point;
  prepare(point);
  const VkResult result = device_.vk().vkQueueSubmit2(device_.queue(), 1, &submit, VK_NULL_HANDLE);
  if (result != VK_SUCCESS) refused(point);
  std::unique_lock<std::mutex> lock(mutex_);
  if (result != VK_SUCCESS) {
    lost_ |= result == VK_ERROR_DEVICE_LOST;
    lock.unlock();
    changed_.notify_all();  // what is under way ends here too
    return FailVk(result, device_.info().name + ": vkQueueSubmit2");
  }
  submitted_ = point;
  // A waiter that is busy with an earlier point looks again by itself.
  const bool wake = std::exchange(idle_, false);
  lock.unlock();
  if (wake) changed_.notify_all();
  return point;
}

void Queue::Lose() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    lost_ = true;
  }
  changed_.notify_all();
}

Error Queue::Lost() const {
  return {SLUICE_E_DEVICE_LOST, device_.info().name + ": the device is lost"};
}

bool Queue::Refresh() const {
  uint64_t value = 0;
  if (!timeline_.Ask(&value)) return false;
  uint64_t known = completed_.load(std::memory_order_relaxed);
  while (known < value && !completed_.compare_exchange_weak(known, value)) {
  }
  return true;
}

uint64_t Queue::completed() const {
  (void)Refresh();
  return completed_.load();
}

bool Queue::lost() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return lost_;
}

uint64_t Queue::submitted() const {
  std::lock_guard<std::mutex> lock(submit_mutex_);
  return submitted_;
}

uint64_t Queue::EndSubmissions() {
  const std::lock_guard<std::mutex> submitting(submit_mutex_);
  const std::lock_guard<std::mutex> lock(mutex_);
  lost_ = true;
  return submitted_;
}

Status Queue::WaitIdle(std::chrono::steady_clock::time_point deadline) {
  return WaitFor(UINT64_MAX, deadline);
}

Status Queue::WaitFor(uint64_t point, std::chrono::steady_clock::time_point deadline) {
  std::unique_lock<std::mutex> lock(mutex_);
  const uint64_t target = std::min(point, submitted_);
  if (!changed_.wait_until(lock, deadline, [&] { return announced_ >= target || told_lost_; })) {
    return Fail(SLUICE_E_TIMEOUT, device_.info().name +
                                      " did not finish: " + std::to_string(target - announced_) +
                                      " submissions are outstanding");
  }
  if (lost_) return tl::unexpected(Lost());
  return {};
}

void Queue::Run() {
  pthread_setname_np(pthread_self(), "sluice-gpu");
  // Sleeps of some ten microseconds are meant as such; the kernel's default is 50 more.
  (void)prctl(PR_SET_TIMERSLACK, 1'000UL, 0UL, 0UL, 0UL);
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] {
      // The device may be done with what Submit has not come to note.
      idle_ = !stopping_ && (told_lost_ || (!lost_ && submitted_ <= announced_));
      return !idle_;
    });
    if (stopping_) return;
    const uint64_t before = announced_;
    const std::chrono::nanoseconds sleep(ahead_.SleepNs(std::max(submitted_, before) - before));
    const bool lost = lost_;
    lock.unlock();
    const uint64_t began_ns = NowNs();
    bool alive = !lost;
    if (alive && sleep.count() > 0) {
      std::this_thread::sleep_for(sleep);
    } else if (alive) {
      alive = timeline_.Wait(before + 1, kSliceNs) != TimelineSemaphore::State::kLost;
    }
    // The counter is asked in any case: what was done before the loss counts.
    alive = Refresh() && alive;
    const uint64_t now = completed_.load();
    ahead_.Completed(now - before, NowNs() - began_ns);
    // The listener first: whoever sees the queue idle may rely on it having been told.
    if (now > before) listener_.completed(now);
    if (!alive) listener_.lost(now + 1, EndSubmissions(), Lost());
    lock.lock();
    announced_ = now;
    told_lost_ |= !alive;
    changed_.notify_all();
  }
}

}  // namespace sluice::vulkan
