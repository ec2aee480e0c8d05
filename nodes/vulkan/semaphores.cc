#include "nodes/vulkan/semaphores.h"

#include <string>
#include <utility>

namespace sluice::vulkan {
namespace {

constexpr auto kSyncFd = VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_SYNC_FD_BIT;
// In flight at once; far beyond any pool's depth times the fences of a frame.
constexpr size_t kMaxSemaphores = 1024;

}  // namespace

SemaphoreRing::~SemaphoreRing() {
  for (const Slot& slot : slots_)
    device_.vk().vkDestroySemaphore(device_.handle(), slot.semaphore, nullptr);
}

Result<SemaphoreRing::Slot*> SemaphoreRing::Free(uint64_t completed) {
  const ExternalSupport& external = device_.info().external;
  if (!(use_ == Use::kWait ? external.import_sync_fd : external.export_sync_fd)) {
    return Fail(SLUICE_E_UNSUPPORTED, device_.info().name + " has no semaphores as sync_files");
  }
  for (Slot& slot : slots_) {
    if (!slot.taken && !slot.spoiled && slot.point <= completed) return &slot;
  }
  if (slots_.size() == kMaxSemaphores) {
    return Fail(SLUICE_E_RESOURCE_EXHAUSTED,
                std::to_string(kMaxSemaphores) + " semaphores are in flight");
  }
  const VkExportSemaphoreCreateInfo exported{VK_STRUCTURE_TYPE_EXPORT_SEMAPHORE_CREATE_INFO,
                                             nullptr, kSyncFd};
  const VkSemaphoreCreateInfo create{VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO,
                                     use_ == Use::kSignal ? &exported : nullptr, 0};
  Slot slot;
  const VkResult result =
      device_.vk().vkCreateSemaphore(device_.handle(), &create, nullptr, &slot.semaphore);
  if (result != VK_SUCCESS) return FailVk(result, "vkCreateSemaphore");
  if (use_ == Use::kSignal) device_.ExpectExportsOf(slot.semaphore);
  slots_.push_back(slot);
  return &slots_.back();
}

Result<VkSemaphore> SemaphoreRing::Take(uint64_t completed) {
  auto slot = Free(completed);
  if (!slot) return tl::unexpected(slot.error());
  (*slot)->taken = true;
  return (*slot)->semaphore;
}

Result<VkSemaphore> SemaphoreRing::Import(sdk::UniqueFd fd, uint64_t completed) {
  auto slot = Free(completed);
  if (!slot) return tl::unexpected(slot.error());
  VkImportSemaphoreFdInfoKHR import{VK_STRUCTURE_TYPE_IMPORT_SEMAPHORE_FD_INFO_KHR};
  import.semaphore = (*slot)->semaphore;
  import.flags = VK_SEMAPHORE_IMPORT_TEMPORARY_BIT;
  import.handleType = kSyncFd;
  import.fd = fd.get();
  const VkResult result = device_.vk().vkImportSemaphoreFdKHR(device_.handle(), &import);
  if (result != VK_SUCCESS) {
    return FailVk(result, "vkImportSemaphoreFdKHR of fd " + std::to_string(fd.get()));
  }
  (void)fd.release();  // the driver's
  (*slot)->taken = true;
  return (*slot)->semaphore;
}

void SemaphoreRing::Submitted(uint64_t point) {
  for (Slot& slot : slots_) {
    if (std::exchange(slot.taken, false)) slot.point = point;
  }
}

// What was imported stays in it, and is replaced by the next import.
void SemaphoreRing::NotSubmitted() {
  for (Slot& slot : slots_) slot.taken = false;
}

Result<sdk::UniqueFd> SemaphoreRing::Export(VkSemaphore semaphore) {
  const VkSemaphoreGetFdInfoKHR get{VK_STRUCTURE_TYPE_SEMAPHORE_GET_FD_INFO_KHR, nullptr, semaphore,
                                    kSyncFd};
  int fd = -1;
  const VkResult result = device_.vk().vkGetSemaphoreFdKHR(device_.handle(), &get, &fd);
  // The export counts as a wait: the semaphore can be signalled again.
  if (result == VK_SUCCESS) return sdk::UniqueFd(fd);
  for (Slot& slot : slots_) {
    if (slot.semaphore == semaphore) slot.spoiled = true;
  }
  return FailVk(result, "vkGetSemaphoreFdKHR");
}

void SyncFiles::Put(uint64_t point, sdk::UniqueFd file) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (point > completed_ && file) files_.insert_or_assign(point, std::move(file));
}

sdk::UniqueFd SyncFiles::Get(uint64_t point) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = files_.find(point);
  return found != files_.end() ? sdk::UniqueFd::Dup(found->second.get()) : sdk::UniqueFd();
}

void SyncFiles::Completed(uint64_t point) {
  const std::lock_guard<std::mutex> lock(mutex_);
  completed_ = point;
  files_.erase(files_.begin(), files_.upper_bound(point));
}

size_t SyncFiles::size() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return files_.size();
}

}  // namespace sluice::vulkan
