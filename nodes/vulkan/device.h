#ifndef SLUICE_NODES_VULKAN_DEVICE_H_
#define SLUICE_NODES_VULKAN_DEVICE_H_

#include <volk.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "nodes/vulkan/external.h"
#include "nodes/vulkan/result.h"

namespace sluice::vulkan {

/// What a physical device is, for the choice and for messages.
struct DeviceInfo {
  uint32_t index = 0;  ///< Among the devices that the loader lists.
  std::string name;
  std::string driver;  ///< Driver's name and version, as it prints them.
  std::array<uint8_t, VK_UUID_SIZE> uuid{};
  std::array<uint8_t, VK_UUID_SIZE> driver_uuid{};  ///< Of the build: another takes no opaque fds.
  VkPhysicalDeviceType type = VK_PHYSICAL_DEVICE_TYPE_OTHER;
  uint32_t api_version = 0;
  bool usable = false;            ///< Has everything that this plugin needs.
  std::string missing;            ///< What it lacks, when not usable.
  uint64_t import_alignment = 0;  ///< Bytes; of base and size of imported memory; 0: cannot import.
  uint64_t max_buffer_range = 0;  ///< Bytes that one shader binding reaches.
  uint32_t max_buffers = 0;       ///< Such bindings of one shader.
  uint64_t binding_alignment = 0;    ///< Bytes.
  uint64_t uniform_alignment = 256;  ///< Bytes, of what one binding of numbers begins at.
  uint64_t max_uniform_range = 0;    ///< Bytes that one of them reaches.
  double timestamp_ns = 0;           ///< Of one tick; 0: the queue has no timestamps.
  uint64_t timestamp_mask = 0;       ///< The bits that count.
  std::array<uint8_t, VK_UUID_SIZE> cache_uuid{};  ///< Of pipeline caches that the driver takes.
  ExternalSupport external;                        ///< What it shares with other drivers.
};

/// Picks one of `devices`: an empty `selector` takes the best usable one (discrete, integrated,
/// virtual, cpu, other; then the lowest index); otherwise an index, a UUID in hexadecimal (dashes
/// ignored) or a part of the name in any case. Returns the position in `devices`. Errors: NotFound,
/// naming what there is; Unsupported when the device lacks something.
Result<size_t> ChooseDevice(const std::vector<DeviceInfo>& devices, std::string_view selector);

/// Lower-case hexadecimal with dashes.
std::string FormatUuid(const std::array<uint8_t, VK_UUID_SIZE>& uuid);

struct DeviceOptions {
  std::string selector;         ///< See ChooseDevice.
  bool validation = false;      ///< Validation layer with synchronisation checks.
  bool transfer_queue = false;  ///< Also a queue that only copies, where there is one.
};

/// Options with `validation` from SLUICE_VULKAN_VALIDATION=1.
DeviceOptions DeviceOptionsFromEnvironment();

/// What has been made since the device was opened: constant while frames only run.
struct DeviceCounters {
  std::atomic<uint64_t> pipelines{0};
  std::atomic<uint64_t> allocations{0};  ///< of device memory, imports included
  std::atomic<uint64_t> recordings{0};   ///< command buffers
};

/// Instance, device and its one compute queue.
/// Threads: [thread-safe] after Create; the queue itself is locked by Queue.
class Device {
 public:
  /// Errors: Unsupported without loader, driver or version (the message says what to install);
  /// NotFound.
  static Result<std::unique_ptr<Device>> Create(const DeviceOptions& options);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const DeviceInfo& info() const { return info_; }
  bool is_software() const { return info_.type == VK_PHYSICAL_DEVICE_TYPE_CPU; }
  /// Whether memory of the host is farther from it than its own.
  bool has_link() const { return info_.type == VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU; }
  /// Whether exporting a semaphore waits until the submissions before it have run: software Vulkan
  /// has no kernel fence that could stand for them. docs/vulkan-memory.md, "Software Vulkan".
  bool exports_late() const { return is_software(); }
  const VolkDeviceTable& vk() const { return vk_; }
  VkDevice handle() const { return device_; }
  VkQueue queue() const { return queue_; }
  uint32_t queue_family() const { return queue_family_; }
  /// Of DeviceOptions::transfer_queue; null where it was not asked for, or there is none.
  struct TransferQueue {
    VkQueue queue = VK_NULL_HANDLE;
    VkQueue second = VK_NULL_HANDLE;  ///< of the same family; null: it has one
    uint32_t family = 0;
    double timestamp_ns = 0;      ///< of one tick; 0: the family has no timestamps
    uint64_t timestamp_mask = 0;  ///< the bits that count
  };
  const TransferQueue& transfer() const { return transfer_; }

  /// A memory type in `type_bits` with all of `wanted`, and of those one with the most of
  /// `preferred`. Errors: Unsupported.
  Result<uint32_t> FindMemoryType(uint32_t type_bits, VkMemoryPropertyFlags wanted,
                                  VkMemoryPropertyFlags preferred) const;
  VkMemoryPropertyFlags MemoryFlags(uint32_t type) const;

  DeviceCounters& counters() const { return counters_; }

  /// `semaphore` is exported after each signal, which counts as a wait. Version 1.3.239 of the
  /// validation layer does not know: what it says of that is not counted.
  void ExpectExportsOf(VkSemaphore semaphore) const;
  /// Warnings and errors of the validation layer so far; 0 when it is off.
  uint32_t validation_messages() const { return validation_messages_.load(); }
  /// Whether the layer is really there.
  bool validating() const { return messenger_ != VK_NULL_HANDLE; }

 private:
  Device() = default;
  Status CreateInstance(const DeviceOptions& options);
  Status Open(VkPhysicalDevice physical, bool transfer_queue);
  bool IsExpected(const VkDebugUtilsMessengerCallbackDataEXT& data) const;
  static VKAPI_ATTR VkBool32 VKAPI_CALL OnMessage(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                                  VkDebugUtilsMessageTypeFlagsEXT types,
                                                  const VkDebugUtilsMessengerCallbackDataEXT* data,
                                                  void* self);

  VkInstance instance_ = VK_NULL_HANDLE;
  VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
  // volk's own is that of the instance that was loaded last.
  PFN_vkDestroyDebugUtilsMessengerEXT destroy_messenger_ = nullptr;
  VkDevice device_ = VK_NULL_HANDLE;
  VkQueue queue_ = VK_NULL_HANDLE;
  uint32_t queue_family_ = 0;
  TransferQueue transfer_;
  VkPhysicalDeviceMemoryProperties memory_{};
  VolkDeviceTable vk_{};
  DeviceInfo info_;
  mutable DeviceCounters counters_;
  std::atomic<uint32_t> validation_messages_{0};
  mutable std::mutex exported_mutex_;
  mutable std::set<uint64_t> exported_;  // semaphores, while validating
};

/// Every device that the loader lists, usable or not.
/// Errors: Unsupported without loader or driver.
Result<std::vector<DeviceInfo>> ListDevices();

/// "VK_ERROR_DEVICE_LOST" and the like.
std::string ResultName(VkResult result);
/// `what` and the result's name; DeviceLost, ResourceExhausted, Unsupported (a handle that the
/// driver does not take) or Internal.
tl::unexpected<Error> FailVk(VkResult result, std::string_view what);

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_DEVICE_H_
