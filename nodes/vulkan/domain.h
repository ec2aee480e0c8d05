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
#include "nodes/vulkan/import_cache.h"
#include "nodes/vulkan/kernel.h"
#include "nodes/vulkan/queue.h"
#include "nodes/vulkan/semaphores.h"
#include "nodes/vulkan/staging.h"

namespace sluice::vulkan {

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
/// docs/vulkan-memory.md has how frames reach the device and how they are waited for.
class VulkanDomain {
 public:
  static constexpr const char* kDomain = "vulkan";
  class Island;

  /// `device`: see ChooseDevice. SLUICE_VULKAN_FORCE_STAGING=1 has every import of a host pointer
  /// fail as if it were misaligned.
  static sdk::Expected<std::unique_ptr<VulkanDomain>> Create(const sdk::Host& host,
                                                             const sdk::Params& params);
  ~VulkanDomain();

  sdk::Status Describe(sluice_domain_info& out) const;
  sdk::Expected<std::unique_ptr<Island>> CreateIsland(const sluice_island_desc& desc);
  sdk::Status Submit(Island& island, const sluice_batch& batch, std::span<sluice_fence> fences);
  void ForgetPool(uint32_t pool, uint32_t epoch);
  sdk::Status WaitIdle(int64_t deadline_ns);

  const Device& device() const { return *device_; }
  /// SLUICE_VIEW_* by which the device reaches frames without a copy.
  uint32_t views() const;

  /// Imports `frame` as a firing of a node with the port `port` would.
  /// Errors: UNSUPPORTED, with the planes and numbers.
  sdk::Status TestImport(sdk::FrameRef frame, const sluice_port_config& port);
  /// Makes the pool's buffers as linear dma-bufs of the device and keeps them until ForgetPool.
  /// Errors: UNSUPPORTED when the device cannot export, or not in this layout.
  sdk::Status AllocatePool(const sluice_pool_request& request, sdk::PoolSink& sink);

  /// Buffers that are imported or exported now, and sync_files that are kept; for tests.
  size_t imports() const;
  size_t sync_files() const { return files_.size(); }

 private:
  /// Bytes that the waiter copies when a submission has completed.
  struct CopyOut {
    uint64_t point;
    const uint8_t* from;
    uint8_t* to;
    uint64_t bytes;
  };
  /// Buffers of a pool that went while submissions up to `until` may use them.
  struct Forgotten {
    uint64_t until;
    std::vector<Import> imports;
  };
  /// A border frame's buffers for one firing.
  struct Bound {
    PlaneBuffers planes{};
    const Import* import = nullptr;
    StagingPool::Item* staging = nullptr;
    uint8_t* base = nullptr;
    bool IsMade() const { return planes[0] != VK_NULL_HANDLE; }
  };

  VulkanDomain(const sdk::Host& host, std::unique_ptr<Device> device);
  sdk::Status Open();
  Status AddStep(const sluice_island_desc& desc, uint32_t node, Island& island);
  /// Has software Vulkan compile the island's kernels, which it does when one first runs: seconds
  /// that belong to the preparation, not to the first frame's deadline.
  Status WarmUp(Island& island);

  // What must have happened before a firing.
  Status CollectFences(Island& island, const sluice_batch& batch);
  Status Await(Island& island, const sluice_fence& fence);
  Status AwaitTimeline(Island& island, const sluice_fence& fence);
  Status AwaitFile(Island& island, sdk::UniqueFd file);
  /// Blocks, for two seconds at most, until the CPU may read `frame` as far as other drivers go.
  Status AwaitOnHost(const sluice_frame* frame, uint32_t sync);
  Status AwaitImplicit(Island& island, const sluice_frame* frame, uint32_t access);

  // The frames of a firing.
  Result<Bound> Bind(sluice_frame* frame, const Shape& shape, const FrameNode& node, bool is_input);
  Result<Bound> BindShm(sluice_frame* frame, const Shape& shape, const FrameNode& node,
                        bool is_input);
  Result<Bound> BindDmabuf(sluice_frame* frame, const Shape& shape);
  Result<Bound> Stage(const sluice_frame* frame, const sluice_shm_view& view, const Shape& shape,
                      const FrameNode& node, bool is_input, const std::string& reason);
  Result<const Bound*> BindPlace(Island& island, const sluice_batch& batch, const IslandStep& step,
                                 bool is_source);
  Result<VkCommandBuffer> Record(Island& island, const sluice_batch& batch);
  void AddCopiesOut(const Island& island, uint64_t point);
  void DropCopiesOut(const Island& island);
  void ReleaseStaging(Island& island, uint64_t until);

  Result<uint64_t> Fire(Island& island, const sluice_batch& batch);
  /// After the submission `point`: shows its end to those who wait for sync_files.
  void ShowEnd(Island& island, const sluice_batch& batch, uint64_t point, VkSemaphore signal);
  static int32_t ToSyncFile(void* self, uint64_t point, int32_t* fd);
  Result<sdk::UniqueFd> ExportPoint(uint64_t point);
  /// Whether an export now would wait for fences of other drivers.
  bool ExportWouldWait() const {
    return device_->exports_late() && last_held_.load() > announced_.load();
  }
  bool IsCopiedOut(uint64_t point);

  void OnCompleted(uint64_t point);
  void BuryForgotten(uint64_t point);
  void OnLost(uint64_t first, uint64_t last, const Error& error);
  bool IsOver(uint64_t point) const { return queue_ == nullptr || queue_->completed() >= point; }
  void Abandon();

  sdk::Host host_;
  std::unique_ptr<Device> device_;
  bool force_staging_ = false;
  sdk::Timeline timeline_;
  std::unique_ptr<KernelModule> kernels_;
  mutable std::mutex mutex_;  // imports_, staging_
  std::unique_ptr<ImportCache> imports_;
  std::unique_ptr<StagingPool> staging_;
  mutable std::mutex forgotten_mutex_;  // after mutex_; the waiter takes this one only
  std::deque<Forgotten> forgotten_;
  std::mutex copies_mutex_;
  std::deque<CopyOut> copies_;
  SyncFiles files_;
  std::mutex exports_mutex_;
  std::unique_ptr<SemaphoreRing> exports_;  // of points whose file was asked for later
  // EXPORT_SYNC_FILE, submit, IMPORT_SYNC_FILE are not atomic: a firing of ours must not come
  // between those of another. Spec: linux/dma-buf.h.
  std::mutex implicit_mutex_;
  std::atomic<uint64_t> last_held_{0};  // the last submission that waits for other drivers
  std::atomic<uint64_t> announced_{0};  // what timeline_ says; copies out are done up to it
  std::unique_ptr<Queue> queue_;        // last: its thread uses the rest
};

/// Connected nodes of one epoch.
class VulkanDomain::Island {
 public:
  explicit Island(VulkanDomain& domain);
  /// Leaves to the driver what a submission that never ends still uses.
  ~Island();
  Island(const Island&) = delete;
  Island& operator=(const Island&) = delete;

  /// What a firing uses on the device.
  struct Resources {
    explicit Resources(const Device& device)
        : waits(device, SemaphoreRing::Use::kWait), signals(device, SemaphoreRing::Use::kSignal) {}
    std::vector<std::unique_ptr<KernelModule>> modules;  // users' shaders
    std::vector<Memory> inner;
    Memory scratch;  // of WarmUp
    SemaphoreRing waits;
    SemaphoreRing signals;
    std::unique_ptr<CommandRing> ring;
  };

  VulkanDomain& domain;
  std::string name;
  std::vector<IslandStep> steps;
  std::vector<uint32_t> input_sync;  // SLUICE_SYNC_*, of the border ports
  std::vector<uint32_t> output_sync;
  bool implicit = false;     // a border has implicit fences
  bool shows_files = false;  // an output is wanted as sync_files, or a border is implicit
  std::unique_ptr<Resources> gpu;
  uint64_t last_point = 0;

  // Of one firing.
  std::vector<Step> recording;
  std::vector<Bound> inputs;
  std::vector<Bound> outputs;
  std::vector<ForeignBuffer> foreign;
  uint64_t wait_point = 0;
  std::vector<VkSemaphore> waiting;
};

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_DOMAIN_H_
