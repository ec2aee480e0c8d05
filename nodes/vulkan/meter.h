#ifndef SLUICE_NODES_VULKAN_METER_H_
#define SLUICE_NODES_VULKAN_METER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "nodes/vulkan/compiler.h"
#include "nodes/vulkan/device.h"
#include "nodes/vulkan/memory.h"

namespace sluice::vulkan {

/// Times work on one queue of a device, one piece after another.
/// Threads: one at a time; nothing else may use the queue meanwhile.
class Meter {
 public:
  /// Of one submission, medians in nanoseconds.
  struct Submission {
    double cpu_ns = 0;         ///< until vkQueueSubmit2 has returned
    double round_trip_ns = 0;  ///< until the CPU has seen that it is done
  };

  /// `timestamps`: the queue has them (DeviceInfo::timestamp_ns), and can reset queries; else the
  /// time is the CPU's, from submission to completion. The device outlives the meter.
  static Result<std::unique_ptr<Meter>> Create(const Device& device, VkQueue queue, uint32_t family,
                                               bool timestamps);
  ~Meter();
  Meter(const Meter&) = delete;
  Meter& operator=(const Meter&) = delete;

  /// Seconds that what `record` records takes; the median of a few runs after a first that does
  /// not count. Errors: Timeout (see stuck()), DeviceLost, ResourceExhausted.
  Result<double> Time(const std::function<void(VkCommandBuffer)>& record);
  /// Of what `record` records. Errors: as Time.
  Result<Submission> TimeSubmissions(const std::function<void(VkCommandBuffer)>& record);

  /// The device did not finish what it was given: it, and all that it uses, must be left alone for
  /// good.
  bool stuck() const { return stuck_; }

 private:
  Meter(const Device& device, VkQueue queue) : device_(device), queue_(queue) {}
  Status Record(const std::function<void(VkCommandBuffer)>& record);
  /// Seconds by the CPU's clock: until submitted, and until done.
  Result<std::pair<double, double>> Run();
  double ReadTimestamps() const;

  const Device& device_;
  const VkQueue queue_;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  VkCommandBuffer commands_ = VK_NULL_HANDLE;
  VkFence fence_ = VK_NULL_HANDLE;
  VkQueryPool queries_ = VK_NULL_HANDLE;
  bool stuck_ = false;
};

/// What a kernel does with the two buffers that it has.
enum class Traffic : uint32_t { kCopy, kRead, kWrite };

/// A kernel that does nothing but move 16 bytes an invocation, at full width.
class TrafficKernel {
 public:
  /// Bytes that buffers must be a multiple of.
  static constexpr uint64_t kMultiple = 4096;

  /// For at most `sets` pairs of buffers. Errors: Internal, ResourceExhausted.
  static Result<std::unique_ptr<TrafficKernel>> Create(const Device& device, uint32_t sets);
  ~TrafficKernel();
  TrafficKernel(const TrafficKernel&) = delete;
  TrafficKernel& operator=(const TrafficKernel&) = delete;

  /// A pair of buffers, to be named by what it returns. Errors: ResourceExhausted.
  Result<VkDescriptorSet> Bind(const Memory& from, const Memory& to);
  void Record(VkCommandBuffer commands, Traffic traffic, VkDescriptorSet pair,
              uint64_t bytes) const;

 private:
  explicit TrafficKernel(const Device& device) : device_(device) {}
  Status CreateLayout();
  Status CreatePipelines();
  Status CreatePool(uint32_t sets);

  const Device& device_;
  VkDescriptorSetLayout set_layout_ = VK_NULL_HANDLE;
  VkPipelineLayout layout_ = VK_NULL_HANDLE;
  VkDescriptorPool pool_ = VK_NULL_HANDLE;
  VkPipeline pipelines_[3] = {};
};

/// Everything before is done, and seen, by everything after.
void RecordBarrier(const Device& device, VkCommandBuffer commands);

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_METER_H_
