#include "nodes/vulkan/queue.h"

#include <algorithm>
#include <array>
#include <string>

namespace sluice::vulkan {
namespace {
// Bounded, so that the thread notices a stop and a lost device even if the driver never wakes it.
constexpr uint64_t kSliceNs = 50'000'000;
}  // namespace

Result<std::unique_ptr<Queue>> Queue::Create(const Device& device, Listener listener) {
  std::unique_ptr<Queue> queue(new Queue(device, std::move(listener)));
  const VkSemaphoreTypeCreateInfo type{VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO, nullptr,
                                       VK_SEMAPHORE_TYPE_TIMELINE, 0};
  const VkSemaphoreCreateInfo create{VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, &type, 0};
  const VkResult result =
      device.vk().vkCreateSemaphore(device.handle(), &create, nullptr, &queue->timeline_);
  if (result != VK_SUCCESS) return FailVk(result, "vkCreateSemaphore");
  queue->waiter_ = std::thread([q = queue.get()] { q->Run(); });
  return queue;
}

Queue::~Queue() {
  if (waiter_.joinable()) {
    (void)WaitIdle(std::chrono::steady_clock::now() + std::chrono::seconds(2));
    StopWaiter();
  }
  if (timeline_ != VK_NULL_HANDLE && !abandoned_)
    device_.vk().vkDestroySemaphore(device_.handle(), timeline_, nullptr);
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
  abandoned_ = true;
}

Result<uint64_t> Queue::Submit(VkCommandBuffer commands, uint64_t wait_point) {
  return Submit(Work{commands, wait_point, {}, VK_NULL_HANDLE}, [](uint64_t) {});
}

Result<uint64_t> Queue::Submit(const Work& work, const std::function<void(uint64_t)>& prepare) {
  constexpr VkPipelineStageFlags2 kWaitStages =
      VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_2_TRANSFER_BIT;
  std::array<VkSemaphoreSubmitInfo, kMaxWaits + 1> waits;
  uint32_t wait_count = 0;
  const auto wait_for = [&](VkSemaphore semaphore, uint64_t value) {
    waits[wait_count++] = {
        VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO, nullptr, semaphore, value, kWaitStages, 0};
  };
  if (work.waits.size() > kMaxWaits) {
    return Fail(SLUICE_E_RESOURCE_EXHAUSTED,
                std::to_string(work.waits.size()) + " fences to wait for at once");
  }
  if (work.wait_point > 0) wait_for(timeline_, work.wait_point);
  for (const VkSemaphore semaphore : work.waits) wait_for(semaphore, 0);
  VkSemaphoreSubmitInfo signals[2];
  for (VkSemaphoreSubmitInfo& signal : signals) {
    signal = {VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO, nullptr, work.signal, 0,
              VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT,    0};
  }
  signals[0].semaphore = timeline_;
  const VkCommandBufferSubmitInfo command{VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO, nullptr,
                                          work.commands, 0};
  VkSubmitInfo2 submit{VK_STRUCTURE_TYPE_SUBMIT_INFO_2};
  submit.waitSemaphoreInfoCount = wait_count;
  submit.pWaitSemaphoreInfos = waits.data();
  submit.commandBufferInfoCount = work.commands != VK_NULL_HANDLE ? 1 : 0;
  submit.pCommandBufferInfos = &command;
  submit.signalSemaphoreInfoCount = work.signal != VK_NULL_HANDLE ? 2 : 1;
  submit.pSignalSemaphoreInfos = signals;

  std::unique_lock<std::mutex> lock(mutex_);
  if (lost_) return Fail(SLUICE_E_DEVICE_LOST, device_.info().name + ": the device is lost");
  const uint64_t point = submitted_ + 1;
  signals[0].value = point;
  prepare(point);
  const VkResult result = device_.vk().vkQueueSubmit2(device_.queue(), 1, &submit, VK_NULL_HANDLE);
  if (result != VK_SUCCESS) return FailVk(result, "vkQueueSubmit2");
  submitted_ = point;
  lock.unlock();
  changed_.notify_all();
  return point;
}

uint64_t Queue::completed() const {
  uint64_t value = 0;
  if (device_.vk().vkGetSemaphoreCounterValue(device_.handle(), timeline_, &value) != VK_SUCCESS)
    return 0;
  return value;
}

uint64_t Queue::submitted() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return submitted_;
}

Status Queue::WaitIdle(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock<std::mutex> lock(mutex_);
  const uint64_t target = submitted_;
  if (!changed_.wait_until(lock, deadline, [&] { return announced_ >= target || lost_; })) {
    return Fail(SLUICE_E_TIMEOUT, device_.info().name +
                                      " did not finish: " + std::to_string(target - announced_) +
                                      " submissions are outstanding");
  }
  if (lost_) return Fail(SLUICE_E_DEVICE_LOST, device_.info().name + ": the device is lost");
  return {};
}

bool Queue::WaitSlice(uint64_t point) {
  VkSemaphoreWaitInfo wait{VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO};
  wait.semaphoreCount = 1;
  wait.pSemaphores = &timeline_;
  wait.pValues = &point;
  const VkResult result = device_.vk().vkWaitSemaphores(device_.handle(), &wait, kSliceNs);
  return result == VK_SUCCESS || result == VK_TIMEOUT;
}

void Queue::Run() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || (submitted_ > announced_ && !lost_); });
    if (stopping_) return;
    const uint64_t before = announced_;
    lock.unlock();
    const bool alive = WaitSlice(before + 1);
    const uint64_t now = alive ? completed() : before;
    // The listener first: whoever sees the queue idle may rely on it having been told.
    if (now > before) listener_.completed(now);
    lock.lock();
    announced_ = now;
    if (!alive) {
      lost_ = true;
      const uint64_t last = submitted_;
      lock.unlock();
      listener_.lost(now + 1, last,
                     Error{SLUICE_E_DEVICE_LOST, device_.info().name + ": the device is lost"});
      lock.lock();
    }
    changed_.notify_all();
  }
}

}  // namespace sluice::vulkan
