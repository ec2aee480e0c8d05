#ifndef SLUICE_NODES_VULKAN_MEMORY_H_
#define SLUICE_NODES_VULKAN_MEMORY_H_

#include <cstdint>
#include <utility>

#include <sluice/unique_fd.hpp>

#include "nodes/vulkan/device.h"

namespace sluice::vulkan {

/// What an import of memory by an opaque fd must repeat of the allocation that it came from.
/// Spec: VUID-VkMemoryAllocateInfo-allocationSize-01742, -memoryTypeIndex; VkImportMemoryFdInfoKHR.
struct OpaqueMemory {
  uint64_t buffer_bytes = 0;      ///< of the VkBuffer
  uint64_t allocation_bytes = 0;  ///< of its memory
  uint32_t memory_type = 0;
  bool dedicated = false;
  uint32_t usage = kBufferUsage;  ///< of the VkBuffer
};

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
  /// Device memory that ExportOpaque() can show to other processes of the same device and driver.
  static Result<Memory> AllocateShareable(const Device& device, uint64_t size);
  /// Memory that another process made by AllocateShareable, without a copy. Borrows `fd` whatever
  /// comes of it. `what` is a claim: checked as far as an opaque fd can be. Errors: Unsupported,
  /// with the numbers. Requires: the same device and driver UUIDs.
  static Result<Memory> ImportOpaque(const Device& device, int fd, const OpaqueMemory& what);
  /// Memory that the CPU maps and the device reaches.
  static Result<Memory> AllocateHostVisible(const Device& device, uint64_t size);
  /// The same for numbers that the CPU writes for each frame and the device reads.
  static Result<Memory> AllocateUniform(const Device& device, uint64_t size);
  /// Memory that only the device uses; bound in parts if it is larger than a binding reaches.
  static Result<Memory> AllocateDevice(const Device& device, uint64_t size);
  /// Memory that only the device uses, its queue of kernels and its transfer queue.
  static Result<Memory> AllocateForTransfers(const Device& device, uint64_t size);

  Memory() = default;
  ~Memory() { Destroy(); }
  Memory(Memory&& other) noexcept { *this = std::move(other); }
  Memory& operator=(Memory&& other) noexcept;

  /// The same memory as a dma-buf. Ownership: the caller's; it keeps the memory alive on its own.
  /// Requires: made by AllocateExportable.
  Result<sdk::UniqueFd> ExportDmabuf() const;

  /// The same for other processes of this device and driver. Ownership: the caller's; it keeps the
  /// memory alive on its own. Requires: made by AllocateShareable.
  Result<sdk::UniqueFd> ExportOpaque() const;
  /// What whoever imports it has to know. Requires: made by AllocateShareable.
  OpaqueMemory opaque() const { return opaque_; }

  VkBuffer buffer() const { return buffer_; }
  uint64_t size() const { return size_; }
  /// Of this allocation alone, from 1; handles of the driver come again, this does not.
  uint64_t serial() const { return serial_; }
  /// Start of the bytes as the CPU sees them; null for device memory.
  uint8_t* mapped() const { return mapped_; }

 private:
  /// Where the bytes come from, and whom they are shown to.
  struct Source {
    VkExternalMemoryHandleTypeFlagBits handle{};  ///< none: the device's own
    void* host = nullptr;                         ///< imported
    int fd = -1;                                  ///< imported
    bool exported = false;
    bool in_parts = false;  ///< never bound as a whole
    bool shared = false;    ///< used by the transfer queue as well, where there is one
    const OpaqueMemory* opaque = nullptr;  ///< of memory imported by an opaque fd
    VkBufferUsageFlags usage = kBufferUsage;
    VkMemoryPropertyFlags wanted = 0;
    VkMemoryPropertyFlags preferred = 0;
    bool imported() const { return host != nullptr || fd >= 0; }
  };
  static Result<Memory> Create(const Device& device, uint64_t size, const Source& source);
  Status CreateBuffer(const Source& source);
  /// The memory types that the source can be, of those in `type_bits`.
  Result<uint32_t> TypesOf(const Source& source, uint32_t type_bits) const;
  Status Allocate(const Source& source);
  /// The memory type to allocate from. `alone`: the buffer has the allocation to itself.
  /// Errors: Unsupported.
  Result<uint32_t> TypeFor(const Source& source, const VkMemoryRequirements& need,
                           bool alone) const;
  Result<sdk::UniqueFd> Export(VkExternalMemoryHandleTypeFlagBits handle) const;
  Status Map();
  void Destroy();

  const Device* device_ = nullptr;
  VkBuffer buffer_ = VK_NULL_HANDLE;
  VkDeviceMemory memory_ = VK_NULL_HANDLE;
  uint8_t* mapped_ = nullptr;
  uint64_t size_ = 0;
  uint64_t serial_ = 0;
  OpaqueMemory opaque_;
};

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_MEMORY_H_
