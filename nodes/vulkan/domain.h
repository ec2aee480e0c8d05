#ifndef SLUICE_NODES_VULKAN_DOMAIN_H_
#define SLUICE_NODES_VULKAN_DOMAIN_H_

#include <sluice/domain.h>

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <sluice/domain.hpp>
#include <sluice/fence.hpp>
#include <span>
#include <string>
#include <vector>

#include "nodes/vulkan/device.h"
#include "nodes/vulkan/frame_node.h"
#include "nodes/vulkan/kernel.h"
#include "nodes/vulkan/memory.h"
#include "nodes/vulkan/queue.h"

namespace sluice::vulkan {

/// Memory between the device and a buffer that it cannot import. Reused when its submission is done
/// with.
class StagingPool {
 public:
  struct Item {
    Memory memory;
    uint64_t busy_until = 0;  ///< a point of the queue
  };
  explicit StagingPool(const Device& device) : device_(device) {}
  /// An item of at least `size` bytes that nothing before `done` uses. Ownership: the pool's.
  Result<Item*> Take(uint64_t size, uint64_t done);

 private:
  const Device& device_;
  std::vector<std::unique_ptr<Item>> items_;
};

/// One dispatch of an island and where its buffers come from.
struct IslandStep {
  /// A border frame of the batch, or memory of the island's own.
  struct Place {
    enum class Kind { kInput, kOutput, kInner } kind = Kind::kInner;
    uint32_t index = 0;
  };
  const FrameNode* node = nullptr;
  const KernelModule* module = nullptr;
  VkPipeline pipeline = VK_NULL_HANDLE;
  Shape src;
  Shape dst;
  Place from;
  Place to;
};

/// The `vulkan` domain: one device, one queue, and the islands that run on it.
class VulkanDomain {
 public:
  static constexpr const char* kDomain = "vulkan";
  class Island;

  /// `device`: see ChooseDevice. SLUICE_VULKAN_FORCE_STAGING=1 has every import fail as if it were
  /// misaligned.
  static sdk::Expected<std::unique_ptr<VulkanDomain>> Create(const sdk::Host& host,
                                                             const sdk::Params& params);
  ~VulkanDomain();

  sdk::Status Describe(sluice_domain_info& out) const;
  sdk::Expected<std::unique_ptr<Island>> CreateIsland(const sluice_island_desc& desc);
  sdk::Status Submit(Island& island, const sluice_batch& batch, std::span<sluice_fence> fences);
  void ForgetPool(uint32_t pool, uint32_t epoch);
  sdk::Status WaitIdle(int64_t deadline_ns);

  const Device& device() const { return *device_; }

 private:
  /// Bytes that the waiter copies when a submission has completed.
  struct CopyOut {
    uint64_t point;
    const uint8_t* from;
    uint8_t* to;
    uint64_t bytes;
  };
  /// A border frame's buffer for one firing.
  struct Bound {
    VkBuffer buffer = VK_NULL_HANDLE;
    StagingPool::Item* staging = nullptr;
    uint8_t* base = nullptr;
  };

  VulkanDomain(const sdk::Host& host, std::unique_ptr<Device> device)
      : host_(host), device_(std::move(device)) {}
  sdk::Status Open();
  Status AddStep(const sluice_island_desc& desc, uint32_t node, Island& island);
  Result<uint64_t> WaitPoint(const sluice_batch& batch) const;
  Status Merge(const sluice_fence& fence, uint64_t& point) const;
  Result<Bound> Bind(sluice_frame* frame, const Shape& shape, const FrameNode& node, bool is_input);
  Result<Bound> Stage(const sluice_shm_view& view, const Shape& shape, const FrameNode& node,
                      bool is_input, const std::string& reason);
  Result<uint64_t> Fire(Island& island, const sluice_batch& batch);
  void OnCompleted(uint64_t point);
  void OnLost(uint64_t first, uint64_t last, const Error& error);

  sdk::Host host_;
  std::unique_ptr<Device> device_;
  bool force_staging_ = false;
  sdk::Timeline timeline_;
  std::unique_ptr<KernelModule> kernels_;
  std::mutex mutex_;  // imports_, staging_
  std::unique_ptr<ImportCache> imports_;
  std::unique_ptr<StagingPool> staging_;
  std::mutex copies_mutex_;
  std::deque<CopyOut> copies_;
  std::atomic<uint64_t> announced_{0};  // what timeline_ says; copies out are done up to it
  std::unique_ptr<Queue> queue_;        // last: its thread uses the rest
};

/// Connected nodes of one epoch.
class VulkanDomain::Island {
 public:
  std::string name;
  std::vector<IslandStep> steps;
  std::vector<std::unique_ptr<KernelModule>> modules;  // users' shaders
  std::vector<Memory> inner;
  std::vector<Step> recording;
  std::vector<Bound> inputs;
  std::vector<Bound> outputs;
  std::unique_ptr<CommandRing> ring;
};

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_DOMAIN_H_
