#include "nodes/vulkan/memory.h"

#include <string>

namespace sluice::vulkan {

Memory& Memory::operator=(Memory&& other) noexcept {
  if (this == &other) return *this;
  Destroy();
  device_ = std::exchange(other.device_, nullptr);
  buffer_ = std::exchange(other.buffer_, VK_NULL_HANDLE);
  memory_ = std::exchange(other.memory_, VK_NULL_HANDLE);
  mapped_ = std::exchange(other.mapped_, nullptr);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

void Memory::Destroy() {
  if (device_ == nullptr) return;
  const VolkDeviceTable& vk = device_->vk();
  if (buffer_ != VK_NULL_HANDLE) vk.vkDestroyBuffer(device_->handle(), buffer_, nullptr);
  if (memory_ != VK_NULL_HANDLE) vk.vkFreeMemory(device_->handle(), memory_, nullptr);
  device_ = nullptr;
}

Status Memory::CreateBuffer(bool imported) {
  const VkExternalMemoryBufferCreateInfo external{
      VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO, nullptr,
      VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT};
  VkBufferCreateInfo create{VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, imported ? &external : nullptr};
  create.size = size_;
  create.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                 VK_BUFFER_USAGE_TRANSFER_DST_BIT;
  create.sharingMode = VK_SHARING_MODE_EXCLUSIVE;
  const VkResult result =
      device_->vk().vkCreateBuffer(device_->handle(), &create, nullptr, &buffer_);
  if (result != VK_SUCCESS) return FailVk(result, "vkCreateBuffer");
  return {};
}

Status Memory::Bind(const VkImportMemoryHostPointerInfoEXT* import, VkMemoryPropertyFlags wanted,
                    VkMemoryPropertyFlags preferred) {
  const VolkDeviceTable& vk = device_->vk();
  VkMemoryRequirements need{};
  vk.vkGetBufferMemoryRequirements(device_->handle(), buffer_, &need);
  uint64_t size = need.size;
  if (import != nullptr) {
    VkMemoryHostPointerPropertiesEXT host{VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT};
    const VkResult result = vk.vkGetMemoryHostPointerPropertiesEXT(
        device_->handle(), import->handleType, import->pHostPointer, &host);
    if (result != VK_SUCCESS) return FailVk(result, "vkGetMemoryHostPointerPropertiesEXT");
    need.memoryTypeBits &= host.memoryTypeBits;
    if (need.size > size_) {
      return Fail(SLUICE_E_UNSUPPORTED, "a buffer of " + std::to_string(size_) + " bytes needs " +
                                            std::to_string(need.size) + " on this device");
    }
    size = size_;  // VUID-VkMemoryAllocateInfo-allocationSize-01745: a multiple of the import
                   // alignment
  }
  auto type = device_->FindMemoryType(need.memoryTypeBits, wanted, preferred);
  if (!type) return tl::unexpected(type.error());
  const VkMemoryAllocateInfo allocate{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, import, size, *type};
  VkResult result = vk.vkAllocateMemory(device_->handle(), &allocate, nullptr, &memory_);
  if (result != VK_SUCCESS) {
    return FailVk(result, "vkAllocateMemory of " + std::to_string(size) + " bytes");
  }
  result = vk.vkBindBufferMemory(device_->handle(), buffer_, memory_, 0);
  if (result != VK_SUCCESS) return FailVk(result, "vkBindBufferMemory");
  if (import != nullptr) {
    mapped_ = static_cast<uint8_t*>(import->pHostPointer);
  } else if (wanted & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) {
    void* mapped = nullptr;
    result = vk.vkMapMemory(device_->handle(), memory_, 0, VK_WHOLE_SIZE, 0, &mapped);
    if (result != VK_SUCCESS) return FailVk(result, "vkMapMemory");
    mapped_ = static_cast<uint8_t*>(mapped);
  }
  return {};
}

Result<Memory> Memory::Create(const Device& device, uint64_t size, void* import) {
  if (size == 0 || size > device.info().max_buffer_range) {
    return Fail(SLUICE_E_UNSUPPORTED, "a buffer of " + std::to_string(size) +
                                          " bytes: " + device.info().name + " reaches at most " +
                                          std::to_string(device.info().max_buffer_range));
  }
  Memory memory;
  memory.device_ = &device;
  memory.size_ = size;
  if (Status s = memory.CreateBuffer(import != nullptr); !s) return tl::unexpected(s.error());
  return memory;
}

Result<Memory> Memory::ImportHost(const Device& device, void* base, uint64_t size) {
  const uint64_t alignment = device.info().import_alignment;
  if (alignment == 0) {
    return Fail(SLUICE_E_UNSUPPORTED, device.info().name + " cannot import host memory");
  }
  const uint64_t address = reinterpret_cast<uintptr_t>(base);
  if (base == nullptr || address % alignment != 0 || size % alignment != 0) {
    return Fail(SLUICE_E_UNSUPPORTED,
                "import needs base and size in multiples of " + std::to_string(alignment) +
                    ": base is off by " + std::to_string(address % alignment) + ", size " +
                    std::to_string(size) + " by " + std::to_string(size % alignment));
  }
  auto memory = Create(device, size, base);
  if (!memory) return memory;
  const VkImportMemoryHostPointerInfoEXT import{
      VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT, nullptr,
      VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT, base};
  // Coherent, so that no flush is needed around CPU access by nodes that know nothing of the
  // device.
  if (Status s = memory->Bind(&import, VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
                              VK_MEMORY_PROPERTY_HOST_CACHED_BIT);
      !s) {
    return tl::unexpected(s.error());
  }
  return memory;
}

Result<Memory> Memory::AllocateHostVisible(const Device& device, uint64_t size) {
  auto memory = Create(device, size, nullptr);
  if (!memory) return memory;
  if (Status s = memory->Bind(
          nullptr, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
          VK_MEMORY_PROPERTY_HOST_CACHED_BIT);
      !s) {
    return tl::unexpected(s.error());
  }
  return memory;
}

Result<Memory> Memory::AllocateDevice(const Device& device, uint64_t size) {
  auto memory = Create(device, size, nullptr);
  if (!memory) return memory;
  if (Status s = memory->Bind(nullptr, 0, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT); !s)
    return tl::unexpected(s.error());
  return memory;
}

Result<const Memory*> ImportCache::Get(const sluice_buffer_id& id, void* base, uint64_t size) {
  const auto key = std::make_tuple(id.pool, id.epoch, id.index);
  const auto found = entries_.find(key);
  if (found != entries_.end()) {
    if (found->second.base == base && found->second.memory.size() == size)
      return &found->second.memory;
    return Fail(SLUICE_E_INTERNAL, "a buffer changed its mapping within its epoch");
  }
  auto memory = Memory::ImportHost(device_, base, size);
  if (!memory) return tl::unexpected(memory.error());
  const auto [it, inserted] = entries_.emplace(key, Entry{std::move(*memory), base});
  (void)inserted;
  return &it->second.memory;
}

void ImportCache::ForgetPool(uint32_t pool, uint32_t epoch) {
  auto it = entries_.lower_bound(std::make_tuple(pool, epoch, 0U));
  while (it != entries_.end() && std::get<0>(it->first) == pool &&
         std::get<1>(it->first) == epoch) {
    it = entries_.erase(it);
  }
}

}  // namespace sluice::vulkan
