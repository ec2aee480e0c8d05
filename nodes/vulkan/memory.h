#ifndef SLUICE_NODES_VULKAN_MEMORY_H_
#define SLUICE_NODES_VULKAN_MEMORY_H_

#include <cstdint>
#include <utility>

#include <sluice/unique_fd.hpp>

#include "nodes/vulkan/device.h"

namespace sluice::vulkan {

/// A VkBuffer and its memory, destroyed together. Move-only; the device must outlive it.
class Memory {
 public:
  /// The whole of a host mapping as one buffer, without a copy. The mapping must outlive the
  /// object. Errors: Unsupported when base or size are not multiples of
  /// DeviceInfo::import_alignment (the message has the numbers), or when the device cannot import
  /// or reach so much. Spec: VK_EXT_external_memory_host,
  /// VUID-VkMemoryAllocateInfo-allocationSize-01745, -pHostPointer-02806.
  static Result<Memory> ImportHost(const Device& device, void* base, uint64_t size);
  /// The first `size` bytes of a dma-buf as one buffer, without a copy. Borrows `fd` whatever
  /// comes of it. Errors: Unsupported when the device refuses, or when `fd` is none or has fewer
  /// bytes (the message has the numbers). Spec: VK_EXT_external_memory_dma_buf;
  /// VkImportMemoryFdInfoKHR, which takes an fd only when it succeeds.
  static Result<Memory> ImportDmabuf(const Device& device, int fd, uint64_t size);
  /// Device memory that ExportDmabuf() can show to other drivers.
  static Result<Memory> AllocateExportable(const Device& device, uint64_t size);
  /// Memory that the CPU maps and the device reaches.
  static Result<Memory> AllocateHostVisible(const Device& device, uint64_t size);
  /// Memory that only the device uses.
  static Result<Memory> AllocateDevice(const Device& device, uint64_t size);

  Memory() = default;
  ~Memory() { Destroy(); }
  Memory(Memory&& other) noexcept { *this = std::move(other); }
  Memory& operator=(Memory&& other) noexcept;

  /// The same memory as a dma-buf. Ownership: the caller's; it keeps the memory alive on its own.
  /// Requires: made by AllocateExportable.
  Result<sdk::UniqueFd> ExportDmabuf() const;

  VkBuffer buffer() const { return buffer_; }
  uint64_t size() const { return size_; }
  /// Start of the bytes as the CPU sees them; null for device memory.
  uint8_t* mapped() const { return mapped_; }

 private:
  /// Where the bytes come from, and whom they are shown to.
  struct Source {
    VkExternalMemoryHandleTypeFlagBits handle{};  ///< none: the device's own
    void* host = nullptr;                         ///< imported
    int fd = -1;                                  ///< imported
    bool exported = false;
    VkMemoryPropertyFlags wanted = 0;
    VkMemoryPropertyFlags preferred = 0;
    bool imported() const { return host != nullptr || fd >= 0; }
  };
  static Result<Memory> Create(const Device& device, uint64_t size, const Source& source);
  Status CreateBuffer(const Source& source);
  /// The memory types that the source can be, of those in `type_bits`.
  Result<uint32_t> TypesOf(const Source& source, uint32_t type_bits) const;
  Status Allocate(const Source& source);
  Status Map();
  void Destroy();

  const Device* device_ = nullptr;
  VkBuffer buffer_ = VK_NULL_HANDLE;
  VkDeviceMemory memory_ = VK_NULL_HANDLE;
  uint8_t* mapped_ = nullptr;
  uint64_t size_ = 0;
};

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_MEMORY_H_
