#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <vulkan/vulkan.h>

/// What the fault layer is asked to do. In SLUICE_VULKAN_FAULTS, separated by `;`:
///
///   vkQueueSubmit2@30=VK_ERROR_DEVICE_LOST     the 30th call in this process fails
///   vkAllocateMemory@5+=VK_ERROR_...           the 5th and all later ones do
///   vkAllocateMemory>4096=VK_ERROR_...         those of more than so many bytes do
///   vkQueueSubmit2@10=HANG                     from then on the device executes nothing
///   vkQueueSubmit2@10=HANG:300                 the same, and after 300 ms the driver resets it:
///                                              the device is lost
///   gpu1.name=Old GPU                          the second device is another one by this name,
///   gpu1.type=discrete                         of this type (discrete, integrated, virtual, cpu),
///   gpu1.api=1.2                               of this version,
///   gpu1.without=VK_EXT_...                    and lacks an extension
///   gpu1.copies=2                              and has a queue family more, of so many queues that
///                                              only copy: their work goes to the real queue,
///   gpu1.timestamps=36                         and whose timestamps have so many bits (0: it has
///                                              none)
namespace sluice::vulkan_faults {

/// One call that goes wrong.
struct CallRule {
  enum class Fault { kResult, kHang };

  std::string function;
  uint64_t call = 0;  ///< 1-based; 0: not by number
  bool and_later = false;
  uint64_t above_bytes = 0;  ///< 0: not by size
  Fault fault = Fault::kResult;
  VkResult result = VK_SUCCESS;
  uint32_t reset_ms = 0;  ///< of a hang; 0: the driver never resets
  std::atomic<uint64_t> calls{0};

  /// Counts a call and says whether this rule has it fail.
  bool Applies(uint64_t bytes);
};

constexpr uint32_t kMaxCopyQueues = 4;

/// What a physical device is said to be.
struct DeviceRule {
  uint32_t index = 0;
  std::string name;
  std::optional<VkPhysicalDeviceType> type;
  uint32_t api_version = 0;
  std::vector<std::string> without;
  uint32_t copy_queues = 0;
  uint32_t timestamp_bits = 0;  ///< of the family of those
};

struct Rules {
  std::deque<CallRule> calls;
  std::vector<DeviceRule> devices;

  /// Counts a call for every rule about it. Returns the first that has it fail, or null.
  CallRule* Match(std::string_view function, uint64_t bytes);
  const DeviceRule* ForDevice(uint32_t index) const;
};

/// Parses them; what cannot be understood ends the process: a test that injects nothing would pass
/// for the wrong reason.
void ParseRules(std::string_view text, Rules& rules);

}  // namespace sluice::vulkan_faults
