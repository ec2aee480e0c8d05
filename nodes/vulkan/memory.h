#ifndef SLUICE_NODES_VULKAN_MEMORY_H_
#define SLUICE_NODES_VULKAN_MEMORY_H_

#include <sluice/frame.h>

#include <cstdint>
#include <map>
#include <tuple>
#include <utility>

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
  /// Memory that the CPU maps and the device reaches.
  static Result<Memory> AllocateHostVisible(const Device& device, uint64_t size);
  /// Memory that only the device uses.
  static Result<Memory> AllocateDevice(const Device& device, uint64_t size);

  Memory() = default;
  ~Memory() { Destroy(); }
  Memory(Memory&& other) noexcept { *this = std::move(other); }
  Memory& operator=(Memory&& other) noexcept;

  VkBuffer buffer() const { return buffer_; }
  uint64_t size() const { return size_; }
  /// Start of the bytes as the CPU sees them; null for device memory.
  uint8_t* mapped() const { return mapped_; }

 private:
  static Result<Memory> Create(const Device& device, uint64_t size, void* import);
  Status Bind(const VkImportMemoryHostPointerInfoEXT* import, VkMemoryPropertyFlags wanted,
              VkMemoryPropertyFlags preferred);
  Status CreateBuffer(bool imported);
  void Destroy();

  const Device* device_ = nullptr;
  VkBuffer buffer_ = VK_NULL_HANDLE;
  VkDeviceMemory memory_ = VK_NULL_HANDLE;
  uint8_t* mapped_ = nullptr;
  uint64_t size_ = 0;
};

/// Imports by buffer identity, so that each buffer is imported once in its life.
/// Threads: [process-thread] one at a time; the owner locks.
class ImportCache {
 public:
  explicit ImportCache(const Device& device) : device_(device) {}

  /// The import of the buffer `id`, made on first use.
  /// Errors: as Memory::ImportHost. Ownership: the cache's, until ForgetPool.
  Result<const Memory*> Get(const sluice_buffer_id& id, void* base, uint64_t size);
  /// Drops what was imported from this pool; no submission may use it any more.
  void ForgetPool(uint32_t pool, uint32_t epoch);
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Memory memory;
    void* base = nullptr;
  };
  const Device& device_;
  std::map<std::tuple<uint32_t, uint32_t, uint32_t>, Entry> entries_;
};

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_MEMORY_H_
