#include "nodes/vulkan/copy_times.h"

namespace sluice::vulkan {

CopyTimes::~CopyTimes() {
  if (queries_ != VK_NULL_HANDLE)
    device_.vk().vkDestroyQueryPool(device_.handle(), queries_, nullptr);
}

Status CopyTimes::Create(size_t borders) {
  times_.resize(borders);
  borders_.reserve(borders);
  stamps_.resize(borders + 1);
  if (device_.transfer().timestamp_ns <= 0) return {};
  VkQueryPoolCreateInfo create{VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO};
  create.queryType = VK_QUERY_TYPE_TIMESTAMP;
  create.queryCount = static_cast<uint32_t>(stamps_.size());
  const VkResult result =
      device_.vk().vkCreateQueryPool(device_.handle(), &create, nullptr, &queries_);
  if (result != VK_SUCCESS) return FailVk(result, "vkCreateQueryPool");
  return {};
}

Result<uint64_t> CopyTimes::Submit(TransferQueue& queue, TransferQueue::Work work) {
  work.stamps = Next(queue);
  auto point = queue.Submit(work);
  if (!point || work.stamps == VK_NULL_HANDLE) return point;
  point_ = *point;
  borders_.clear();
  for (const TransferQueue::Copy& copy : work.copies) borders_.push_back(copy.border);
  return point;
}

VkQueryPool CopyTimes::Next(const TransferQueue& queue) {
  if (queries_ == VK_NULL_HANDLE || submissions_++ % kTimedOneIn != 0) return VK_NULL_HANDLE;
  Collect(queue);
  if (point_ != 0) return VK_NULL_HANDLE;
  // Spec: vkCmdResetQueryPool is not for queues that only copy.
  device_.vk().vkResetQueryPool(device_.handle(), queries_, 0,
                                static_cast<uint32_t>(stamps_.size()));
  return queries_;
}

void CopyTimes::Collect(const TransferQueue& queue) {
  if (point_ == 0 || !queue.IsOver(point_)) return;
  point_ = 0;
  const size_t count = borders_.size() + 1;
  const VkResult result = device_.vk().vkGetQueryPoolResults(
      device_.handle(), queries_, 0, static_cast<uint32_t>(count), count * sizeof(uint64_t),
      stamps_.data(), sizeof(uint64_t), VK_QUERY_RESULT_64_BIT);
  if (result != VK_SUCCESS) return;
  for (size_t i = 0; i < borders_.size(); ++i)
    times_[borders_[i]].Add(Nanoseconds(stamps_[i + 1] - stamps_[i]));
}

uint64_t CopyTimes::Nanoseconds(uint64_t ticks) const {
  const Device::TransferQueue& queue = device_.transfer();
  return static_cast<uint64_t>(static_cast<double>(ticks & queue.timestamp_mask) *
                               queue.timestamp_ns);
}

}  // namespace sluice::vulkan
