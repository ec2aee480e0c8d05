#include "nodes/vulkan/timeline.h"

#include <chrono>
#include <thread>

namespace sluice::vulkan {
namespace {

/// Between two waits that found no memory.
constexpr std::chrono::milliseconds kRetry{1};

}  // namespace

TimelineSemaphore::~TimelineSemaphore() {
  if (semaphore_ != VK_NULL_HANDLE && !left_)
    device_.vk().vkDestroySemaphore(device_.handle(), semaphore_, nullptr);
}

Status TimelineSemaphore::Create() {
  const VkSemaphoreTypeCreateInfo type{VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO, nullptr,
                                       VK_SEMAPHORE_TYPE_TIMELINE, 0};
  const VkSemaphoreCreateInfo create{VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, &type, 0};
  const VkResult result =
      device_.vk().vkCreateSemaphore(device_.handle(), &create, nullptr, &semaphore_);
  if (result != VK_SUCCESS) return FailVk(result, "vkCreateSemaphore");
  return {};
}

TimelineSemaphore::State TimelineSemaphore::Wait(uint64_t value, uint64_t slice_ns) const {
  VkSemaphoreWaitInfo wait{VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO};
  wait.semaphoreCount = 1;
  wait.pSemaphores = &semaphore_;
  wait.pValues = &value;
  const VkResult result = device_.vk().vkWaitSemaphores(device_.handle(), &wait, slice_ns);
  if (result == VK_SUCCESS) return State::kOver;
  if (result == VK_ERROR_DEVICE_LOST) return State::kLost;
  if (result != VK_TIMEOUT && slice_ns > 0) std::this_thread::sleep_for(kRetry);
  return State::kPending;
}

bool TimelineSemaphore::Ask(uint64_t* value) const {
  uint64_t now = 0;
  const VkResult result =
      device_.vk().vkGetSemaphoreCounterValue(device_.handle(), semaphore_, &now);
  // Some drivers end the timelines of a lost device with the highest value there is.
  if (result == VK_ERROR_DEVICE_LOST || now == UINT64_MAX) return false;
  if (result == VK_SUCCESS) *value = now;
  return true;
}

}  // namespace sluice::vulkan
