#include "nodes/vulkan/memory.h"

#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>

namespace sluice::vulkan {
namespace {

constexpr auto kDmabuf = VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT;
constexpr auto kOpaque = VK_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD_BIT;
constexpr auto kHostAllocation = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT;

}  // namespace

Memory& Memory::operator=(Memory&& other) noexcept {
  if (this == &other) return *this;
  Destroy();
  device_ = std::exchange(other.device_, nullptr);
  buffer_ = std::exchange(other.buffer_, VK_NULL_HANDLE);
  memory_ = std::exchange(other.memory_, VK_NULL_HANDLE);
  mapped_ = std::exchange(other.mapped_, nullptr);
  size_ = std::exchange(other.size_, 0);
  serial_ = std::exchange(other.serial_, 0);
  opaque_ = other.opaque_;
  return *this;
}

void Memory::Destroy() {
  if (device_ == nullptr) return;
  const VolkDeviceTable& vk = device_->vk();
  if (buffer_ != VK_NULL_HANDLE) vk.vkDestroyBuffer(device_->handle(), buffer_, nullptr);
  if (memory_ != VK_NULL_HANDLE) vk.vkFreeMemory(device_->handle(), memory_, nullptr);
  device_ = nullptr;
}

Status Memory::CreateBuffer(const Source& source) {
  const VkExternalMemoryBufferCreateInfo external{
      VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO, nullptr,
      static_cast<VkExternalMemoryHandleTypeFlags>(source.handle)};
  VkBufferCreateInfo create{VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                            source.handle != 0 ? &external : nullptr};
  create.size = size_;
  create.usage = source.usage;
  create.sharingMode = VK_SHARING_MODE_EXCLUSIVE;
  const uint32_t families[] = {device_->queue_family(), device_->transfer().family};
  if (source.shared && device_->transfer().queue != VK_NULL_HANDLE) {
    create.sharingMode = VK_SHARING_MODE_CONCURRENT;
    create.queueFamilyIndexCount = 2;
    create.pQueueFamilyIndices = families;
  }
  const VkResult result =
      device_->vk().vkCreateBuffer(device_->handle(), &create, nullptr, &buffer_);
  if (result != VK_SUCCESS) return FailVk(result, "vkCreateBuffer");
  return {};
}

Result<uint32_t> Memory::TypesOf(const Source& source, uint32_t type_bits) const {
  const VolkDeviceTable& vk = device_->vk();
  if (source.host != nullptr) {
    VkMemoryHostPointerPropertiesEXT host{VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT};
    const VkResult result = vk.vkGetMemoryHostPointerPropertiesEXT(device_->handle(), source.handle,
                                                                   source.host, &host);
    if (result != VK_SUCCESS) return FailVk(result, "vkGetMemoryHostPointerPropertiesEXT");
    return type_bits & host.memoryTypeBits;
  }
  if (source.fd >= 0) {
    VkMemoryFdPropertiesKHR fd{VK_STRUCTURE_TYPE_MEMORY_FD_PROPERTIES_KHR};
    const VkResult result =
        vk.vkGetMemoryFdPropertiesKHR(device_->handle(), source.handle, source.fd, &fd);
    if (result != VK_SUCCESS) return FailVk(result, "vkGetMemoryFdPropertiesKHR");
    return type_bits & fd.memoryTypeBits;
  }
  return type_bits;
}

Result<uint32_t> Memory::TypeFor(const Source& source, const VkMemoryRequirements& need,
                                 bool alone) const {
  if (source.opaque == nullptr) {
    auto types = TypesOf(source, need.memoryTypeBits);
    if (!types) return types;
    return device_->FindMemoryType(*types, source.wanted, source.preferred);
  }
  // Chosen by whoever allocated it; an opaque fd cannot be asked.
  const OpaqueMemory& claim = *source.opaque;
  if (claim.memory_type >= 32 || (need.memoryTypeBits >> claim.memory_type & 1U) == 0) {
    return Fail(SLUICE_E_UNSUPPORTED, "memory type " + std::to_string(claim.memory_type) +
                                          " is none that a buffer can have on this device");
  }
  if (claim.allocation_bytes < need.size) {
    return Fail(SLUICE_E_UNSUPPORTED, "an allocation of " + std::to_string(claim.allocation_bytes) +
                                          " bytes; a buffer of " + std::to_string(size_) +
                                          " needs " + std::to_string(need.size));
  }
  if (claim.dedicated != alone) {
    return Fail(SLUICE_E_UNSUPPORTED, std::string("its allocation is ") +
                                          (claim.dedicated ? "" : "not ") +
                                          "its buffer's own; here it would be otherwise");
  }
  return claim.memory_type;
}

Status Memory::Allocate(const Source& source) {
  const VolkDeviceTable& vk = device_->vk();
  VkMemoryDedicatedRequirements dedicated_need{VK_STRUCTURE_TYPE_MEMORY_DEDICATED_REQUIREMENTS};
  VkMemoryRequirements2 need{VK_STRUCTURE_TYPE_MEMORY_REQUIREMENTS_2, &dedicated_need, {}};
  const VkBufferMemoryRequirementsInfo2 which{VK_STRUCTURE_TYPE_BUFFER_MEMORY_REQUIREMENTS_INFO_2,
                                              nullptr, buffer_};
  vk.vkGetBufferMemoryRequirements2(device_->handle(), &which, &need);
  const uint64_t needed = need.memoryRequirements.size;
  const bool alone = dedicated_need.requiresDedicatedAllocation == VK_TRUE ||
                     (source.handle == kDmabuf && device_->info().external.dedicated_dmabuf) ||
                     (source.handle == kOpaque && device_->info().external.dedicated_opaque);
  if (source.imported() && source.opaque == nullptr && needed > size_) {
    return Fail(SLUICE_E_UNSUPPORTED, "a buffer of " + std::to_string(size_) + " bytes needs " +
                                          std::to_string(needed) + " on this device");
  }
  auto type = TypeFor(source, need.memoryRequirements, alone);
  if (!type) return tl::unexpected(type.error());

  sdk::UniqueFd given;
  if (source.fd >= 0) {
    given = sdk::UniqueFd::Dup(source.fd);
    if (!given) {
      return Fail(SLUICE_E_UNSUPPORTED, std::string("no copy of the fd: ") + std::strerror(errno));
    }
  }
  const VkMemoryDedicatedAllocateInfo dedicated{VK_STRUCTURE_TYPE_MEMORY_DEDICATED_ALLOCATE_INFO,
                                                nullptr, VK_NULL_HANDLE, buffer_};
  const void* next = alone ? &dedicated : nullptr;
  const VkImportMemoryHostPointerInfoEXT host{VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT,
                                              next, source.handle, source.host};
  const VkImportMemoryFdInfoKHR fd{VK_STRUCTURE_TYPE_IMPORT_MEMORY_FD_INFO_KHR, next, source.handle,
                                   given.get()};
  const VkExportMemoryAllocateInfo exported{
      VK_STRUCTURE_TYPE_EXPORT_MEMORY_ALLOCATE_INFO, next,
      static_cast<VkExternalMemoryHandleTypeFlags>(source.handle)};
  if (source.host != nullptr) next = &host;
  if (source.fd >= 0) next = &fd;
  if (source.exported) next = &exported;
  // Of imported memory all of it: VUID-VkMemoryAllocateInfo-allocationSize-01745 wants a multiple
  // of the import alignment.
  const uint64_t size = source.opaque != nullptr ? source.opaque->allocation_bytes
                        : source.imported()      ? size_
                                                 : needed;
  opaque_ = {size_, size, *type, alone, source.usage};
  const VkMemoryAllocateInfo allocate{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, next, size, *type};
  device_->counters().allocations.fetch_add(1, std::memory_order_relaxed);
  VkResult result = vk.vkAllocateMemory(device_->handle(), &allocate, nullptr, &memory_);
  if (result != VK_SUCCESS) {
    return FailVk(result, "vkAllocateMemory of " + std::to_string(size) + " bytes");
  }
  // The memory's from here on.
  (void)given.release();
  result = vk.vkBindBufferMemory(device_->handle(), buffer_, memory_, 0);
  if (result != VK_SUCCESS) return FailVk(result, "vkBindBufferMemory");
  return {};
}

Status Memory::Map() {
  void* mapped = nullptr;
  const VkResult result =
      device_->vk().vkMapMemory(device_->handle(), memory_, 0, VK_WHOLE_SIZE, 0, &mapped);
  if (result != VK_SUCCESS) return FailVk(result, "vkMapMemory");
  mapped_ = static_cast<uint8_t*>(mapped);
  return {};
}

Result<Memory> Memory::Create(const Device& device, uint64_t size, const Source& source) {
  static std::atomic<uint64_t> serial{0};
  if (size == 0 || (size > device.info().max_buffer_range && !source.in_parts)) {
    return Fail(SLUICE_E_UNSUPPORTED, "a buffer of " + std::to_string(size) +
                                          " bytes: " + device.info().name + " reaches at most " +
                                          std::to_string(device.info().max_buffer_range));
  }
  Memory memory;
  memory.device_ = &device;
  memory.size_ = size;
  memory.serial_ = ++serial;
  if (Status s = memory.CreateBuffer(source); !s) return tl::unexpected(s.error());
  if (Status s = memory.Allocate(source); !s) return tl::unexpected(s.error());
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
  Source source;
  source.handle = kHostAllocation;
  source.host = base;
  source.shared = true;
  // Coherent, so that no flush is needed around CPU access by nodes that know nothing of the
  // device.
  source.wanted = VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  source.preferred = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
  auto memory = Create(device, size, source);
  if (memory) memory->mapped_ = static_cast<uint8_t*>(base);
  return memory;
}

Result<Memory> Memory::ImportDmabuf(const Device& device, int fd, uint64_t size) {
  if (!device.info().external.import_dmabuf) {
    return Fail(SLUICE_E_UNSUPPORTED, device.info().name + " cannot import dma-bufs");
  }
  // Seeking is how a dma-buf tells its size (linux/dma-buf.h); nobody reads from its offset.
  const off_t real = lseek(fd, 0, SEEK_END);
  if (real < 0) {
    return Fail(SLUICE_E_UNSUPPORTED, "fd " + std::to_string(fd) + " of a dma-buf of " +
                                          std::to_string(size) + " bytes: " + std::strerror(errno));
  }
  if (static_cast<uint64_t>(real) < size) {
    return Fail(SLUICE_E_UNSUPPORTED, "a dma-buf of " + std::to_string(real) +
                                          " bytes that is said to have " + std::to_string(size));
  }
  Source source;
  source.handle = kDmabuf;
  source.fd = fd;
  return Create(device, size, source);
}

Result<Memory> Memory::AllocateExportable(const Device& device, uint64_t size) {
  if (!device.info().external.export_dmabuf) {
    return Fail(SLUICE_E_UNSUPPORTED, device.info().name + " cannot export dma-bufs");
  }
  Source source;
  source.handle = kDmabuf;
  source.exported = true;
  source.preferred = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
  return Create(device, size, source);
}

Result<Memory> Memory::AllocateShareable(const Device& device, uint64_t size) {
  if (!device.info().external.export_opaque) {
    return Fail(SLUICE_E_UNSUPPORTED, device.info().name + " cannot export memory (OPAQUE_FD)");
  }
  Source source;
  source.handle = kOpaque;
  source.exported = true;
  source.preferred = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
  return Create(device, size, source);
}

Result<Memory> Memory::ImportOpaque(const Device& device, int fd, const OpaqueMemory& what) {
  if (!device.info().external.import_opaque) {
    return Fail(SLUICE_E_UNSUPPORTED, device.info().name + " cannot import memory (OPAQUE_FD)");
  }
  if (what.usage != kBufferUsage) {
    return Fail(SLUICE_E_UNSUPPORTED, "a buffer of usage " + std::to_string(what.usage) + ", not " +
                                          std::to_string(kBufferUsage));
  }
  // Software Vulkan's memory is a file: one that is shorter than its mapping kills whoever reads.
  struct stat file {};
  if (fstat(fd, &file) != 0) {
    return Fail(SLUICE_E_UNSUPPORTED, "fd " + std::to_string(fd) + ": " + std::strerror(errno));
  }
  if (S_ISREG(file.st_mode) && static_cast<uint64_t>(file.st_size) < what.allocation_bytes) {
    return Fail(SLUICE_E_UNSUPPORTED, "memory of " + std::to_string(file.st_size) +
                                          " bytes that is said to have " +
                                          std::to_string(what.allocation_bytes));
  }
  Source source;
  source.handle = kOpaque;
  source.fd = fd;
  source.opaque = &what;
  return Create(device, what.buffer_bytes, source);
}

Result<sdk::UniqueFd> Memory::ExportDmabuf() const { return Export(kDmabuf); }
Result<sdk::UniqueFd> Memory::ExportOpaque() const { return Export(kOpaque); }

Result<sdk::UniqueFd> Memory::Export(VkExternalMemoryHandleTypeFlagBits handle) const {
  const VkMemoryGetFdInfoKHR get{VK_STRUCTURE_TYPE_MEMORY_GET_FD_INFO_KHR, nullptr, memory_,
                                 handle};
  int fd = -1;
  const VkResult result = device_->vk().vkGetMemoryFdKHR(device_->handle(), &get, &fd);
  if (result != VK_SUCCESS) return FailVk(result, "vkGetMemoryFdKHR");
  return sdk::UniqueFd(fd);
}

Result<Memory> Memory::AllocateHostVisible(const Device& device, uint64_t size) {
  Source source;
  source.shared = true;
  source.wanted = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  source.preferred = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
  auto memory = Create(device, size, source);
  if (!memory) return memory;
  if (Status s = memory->Map(); !s) return tl::unexpected(s.error());
  return memory;
}

Result<Memory> Memory::AllocateUniform(const Device& device, uint64_t size) {
  Source source;
  source.usage = VK_BUFFER_USAGE_UNIFORM_BUFFER_BIT;
  source.wanted = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  source.preferred = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
  auto memory = Create(device, size, source);
  if (!memory) return memory;
  if (Status s = memory->Map(); !s) return tl::unexpected(s.error());
  return memory;
}

Result<Memory> Memory::AllocateDevice(const Device& device, uint64_t size) {
  Source source;
  source.in_parts = true;
  source.preferred = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
  return Create(device, size, source);
}

Result<Memory> Memory::AllocateForTransfers(const Device& device, uint64_t size) {
  Source source;
  source.shared = true;
  source.preferred = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
  return Create(device, size, source);
}

}  // namespace sluice::vulkan
