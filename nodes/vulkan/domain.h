#ifndef SLUICE_NODES_VULKAN_DOMAIN_H_
#define SLUICE_NODES_VULKAN_DOMAIN_H_

#include <sluice/domain.h>
#include <sluice/passes.h>

#include <array>
#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <sluice/domain.hpp>
#include <sluice/fence.hpp>
#include <span>
#include <string>
#include <vector>

#include "nodes/vulkan/copy_times.h"
#include "nodes/vulkan/device.h"
#include "nodes/vulkan/filter_node.h"
#include "nodes/vulkan/import_cache.h"
#include "nodes/vulkan/kernel.h"
#include "nodes/vulkan/program.h"
#include "nodes/vulkan/queue.h"
#include "nodes/vulkan/reloader.h"
#include "nodes/vulkan/semaphores.h"
#include "nodes/vulkan/staging.h"
#include "nodes/vulkan/transfer.h"

namespace sluice::vulkan {

/// The `vulkan` domain: one device, its queue, one that copies beside it where there is one, and
/// the islands that run on it. docs/vulkan-memory.md has how frames reach the device and how they
/// are waited for.
class VulkanDomain {
 public:
  static constexpr const char* kDomain = "vulkan";
  class Island;

  /// `device`: see ChooseDevice. SLUICE_VULKAN_FORCE_STAGING=1 has every import of a host pointer
  /// fail as if it were misaligned; SLUICE_VULKAN_TRANSFER=0 leaves the transfer queue alone.
  static sdk::Expected<std::unique_ptr<VulkanDomain>> Create(const sdk::Host& host,
                                                             const sdk::Params& params);
  ~VulkanDomain();

  sdk::Status Describe(sluice_domain_info& out) const;
  sdk::Expected<std::unique_ptr<Island>> CreateIsland(const sluice_island_desc& desc);
  sdk::Status Submit(Island& island, const sluice_batch& batch, std::span<sluice_fence> fences);
  sdk::Expected<uint64_t> Predict(const sluice_island_desc& desc,
                                  std::span<const sluice_format> inputs,
                                  std::span<const sluice_format> outputs, sdk::PassSink& sink);
  sdk::Status Measured(const Island& island, sdk::PassTimeSink& sink);
  void ForgetPool(uint32_t pool, uint32_t epoch);
  sdk::Status WaitIdle(int64_t deadline_ns);

  const Device& device() const { return *device_; }
  Reloader& reloader() { return reloader_; }
  /// SLUICE_VIEW_* by which the device reaches frames without a copy.
  uint32_t views() const;

  /// Imports `frame` as a firing of a node with the port `port` would.
  /// Errors: UNSUPPORTED, with the planes and numbers.
  sdk::Status TestImport(sdk::FrameRef frame, const sluice_port_config& port);
  /// Makes the pool's buffers as linear dma-bufs of the device and keeps them until ForgetPool.
  /// Errors: UNSUPPORTED when the device cannot export, or not in this layout.
  sdk::Status AllocatePool(const sluice_pool_request& request, sdk::PoolSink& sink);

  /// Makes the pool's buffers in memory of the device that other processes of this device and
  /// driver can import, and keeps them until ForgetPool. Appends one fd for each to `fds`.
  /// `what`: the same for all. Errors: UNSUPPORTED when the device cannot, or not in this layout.
  sdk::Status AllocateShared(const sluice_pool_request& request, sdk::PoolSink& sink,
                             OpaqueMemory& what, std::vector<sdk::UniqueFd>& fds);
  /// Has the buffers of `fds` (borrowed) as the first ones of the pool; the others are nobody's.
  /// Kept until ForgetPool, and until the submissions that use them are over; `keeper` as long.
  /// Errors: UNSUPPORTED, with the buffer and the numbers.
  sdk::Status ImportShared(const sluice_pool_request& request, const sluice_layout& layout,
                           const OpaqueMemory& what, std::span<const sdk::UniqueFd> fds,
                           const std::shared_ptr<const void>& keeper, sdk::PoolSink& sink);

  /// The domain of this process that was opened last on the device, or null: for nodes that are of
  /// none and make or import memory of its. `uuid`: null: of any device. [main-thread]
  static VulkanDomain* FindOpen(const uint8_t* uuid);
  /// Of this domain alone, from 1: one that is opened again on the same device has another.
  uint64_t serial() const { return serial_; }

  /// Buffers that are imported or exported now, and sync_files that are kept; for tests.
  size_t imports() const;
  size_t sync_files() const { return files_.size(); }
  /// Submissions to transfer queues so far; for tests.
  uint64_t transfers() const {
    return (transfer_in_ != nullptr ? transfer_in_->submitted() : 0) +
           (second_transfer_ != nullptr ? second_transfer_->submitted() : 0);
  }

 private:
  /// Bytes that the waiter copies when a submission has completed.
  struct CopyOut {
    uint64_t point;
    const uint8_t* from;
    uint8_t* to;
    uint64_t bytes;
    uint64_t transfer = 0;  ///< point of transfer_out() that has to be over first; 0: none
    int32_t error = 0;      ///< the device refused that: the frame failed
  };
  /// A frame that the CPU reads as the device, by a mapping of its dma-bufs, up to `point`.
  struct MappedRead {
    uint64_t point;
    const Import* import;
  };
  /// Buffers of a pool that went while submissions up to `until` may use them.
  struct Forgotten {
    uint64_t until;
    ImportCache::Taken imports;
  };
  /// A border frame's buffers for one firing.
  struct Bound {
    BoundFrame frame;
    const Import* import = nullptr;
    StagingPool::Item* staging = nullptr;
    uint8_t* base = nullptr;
  };
  /// What the transfer queue does of one firing: from and to a slot of the island's ring.
  struct Crossing {
    TransferRing::Slot* slot = nullptr;  ///< null: nothing crosses
    std::vector<TransferQueue::Copy> in;
    std::vector<TransferQueue::Copy> out;
    std::vector<VkSemaphore> waiting;  ///< fences of what is copied in
    uint64_t after = 0;                ///< point of queue_ that wrote what is copied in
    void Clear();
  };
  /// A frame at the border of an island.
  struct Border {
    const FilterNode* node = nullptr;
    uint32_t index = 0;         ///< of the node, among the island's
    sluice_port_config port{};  // as configured
    Shape shape;
    bool brought = false;  ///< of an input: the transfer queue brings it to the device
  };

  VulkanDomain(const sdk::Host& host, std::unique_ptr<Device> device);
  sdk::Status Open();
  Status AddBorders(const sluice_island_desc& desc, Island& island);
  PassOptions Passes() const;
  Status CheckSync(const Island& island) const;
  Result<std::shared_ptr<Program>> MakeProgram(const Island& island, Network network);
  /// Has software Vulkan compile the island's kernels, which it does when one first runs: seconds
  /// that belong to the preparation, not to the first frame's deadline.
  Status WarmUp(Island& island, Program& program);
  /// Takes a program that the reloader has made since, and asks for one when a filter has changed.
  void FollowChanges(Island& island);
  void Rebuild(Island& island);

  // What must have happened before a firing.
  Status CollectFences(Island& island, const sluice_batch& batch);
  Status Await(Island& island, const sluice_fence& fence);
  Status AwaitTimeline(Island& island, const sluice_fence& fence);
  Status AwaitFile(Island& island, sdk::UniqueFd file);
  /// Blocks, for two seconds at most, until the CPU may read `frame` as far as other drivers go.
  Status AwaitOnHost(const sluice_frame* frame, uint32_t sync);
  Status AwaitImplicit(Island& island, const sluice_frame* frame, uint32_t access);

  /// A buffer of a pool; one without memory is never used.
  sdk::Status AddShared(const sluice_pool_request& request, uint32_t index,
                        const sluice_layout& layout, std::optional<Memory> memory,
                        const std::shared_ptr<const void>& keeper, sdk::PoolSink& sink);
  sdk::Status AllocateOnDevice(const sluice_pool_request& request, sdk::PoolSink& sink);
  // The frames of a firing.
  Result<Bound> Bind(sluice_frame* frame, const Border& border, bool is_input);
  Result<Bound> BindShm(sluice_frame* frame, const Border& border, bool is_input);
  Result<Bound> BindDevice(const sluice_frame* frame, const Shape& shape);
  Result<Bound> BindDmabuf(sluice_frame* frame, const Shape& shape, bool written);
  Result<Bound> Stage(const sluice_frame* frame, const sluice_shm_view& view, const Border& border,
                      bool is_input, const std::string& reason);
  // What crosses the link by the transfer queue.
  bool MayCross(const Border& border) const;
  void ChooseBrought(Island& island);
  void OpenCopyTimes(Island& island);
  void AddCopyTimes(const Island& island, bool is_input, sdk::PassTimeSink& sink);
  void Cross(Island& island, uint32_t border, bool is_input, Bound& bound);
  /// Has the transfer wait for the fences of an input that it copies: those from `first` on.
  void HandToTransfer(Island& island, const sluice_fence& fence, size_t first);
  /// Returns the point of transfer_in_; 0: nothing to copy.
  Result<uint64_t> CopyIn(Island& island);
  /// What the kernels wait for.
  std::array<TimelinePoint, 2> Awaited(const Crossing& crossing) const;
  void CopyOutBehind(Island& island, uint64_t point);
  /// Whether a transfer whose kernels were refused is over: else what it uses must stay.
  bool EndTransfer(uint64_t transfer);
  Error TransferFailed(const Error& error);
  /// What is to be copied by the CPU next, of submissions up to `point`; it counts as outstanding
  /// until EndCopyOut. Both are the waiter's.
  std::optional<CopyOut> NextCopyOut(uint64_t point);
  void EndCopyOut();
  /// Has the filters say what travels with their frames, and writes it into the outputs.
  void PassInfos(Island& island, const sluice_batch& batch);
  Status BindAll(Island& island, const sluice_batch& batch);
  void AddMappedReads(const Island& island, uint64_t point);
  void EndMappedReads(uint64_t first, uint64_t last);
  void AddCopiesOut(const Island& island, uint64_t point);
  void DropCopiesOut(const Island& island);
  /// Staging memory and imports of the firing are in use up to that point; 0: they were not used.
  void NoteUse(Island& island, uint64_t until);

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
  bool IsOver(uint64_t point, const TransferPoints& transfers) const {
    if (queue_ == nullptr || queue_->lost()) return true;
    if (queue_->completed() < point) return false;
    return transfer_in_ == nullptr ||
           (transfer_in_->IsOver(transfers.in) && transfer_out().IsOver(transfers.out));
  }
  TransferQueue& transfer_out() const {
    return second_transfer_ != nullptr ? *second_transfer_ : *transfer_in_;
  }
  Status OpenTransfers();
  void Abandon();

  sdk::Host host_;
  std::unique_ptr<Device> device_;
  uint64_t serial_ = 0;
  bool force_staging_ = false;
  sdk::Timeline timeline_;
  bool fuse_ = true;
  bool settle_ = true;
  std::unique_ptr<KernelLibrary> kernels_;
  mutable std::mutex mutex_;  // imports_, staging_
  std::unique_ptr<ImportCache> imports_;
  std::unique_ptr<StagingPool> staging_;
  mutable std::mutex forgotten_mutex_;  // after mutex_; the waiter takes this one only
  std::deque<Forgotten> forgotten_;
  // Held from a submission until the copies behind it are known: the waiter comes after. Before
  // the queue's lock and copies_mutex_.
  std::mutex crossing_mutex_;
  std::mutex copies_mutex_;
  std::deque<CopyOut> copies_;
  std::deque<MappedRead> mapped_reads_;  // as copies_, by copies_mutex_
  SyncFiles files_;
  std::mutex exports_mutex_;
  std::unique_ptr<SemaphoreRing> exports_;  // of points whose file was asked for later
  // EXPORT_SYNC_FILE, submit, IMPORT_SYNC_FILE are not atomic: a firing of ours must not come
  // between those of another. Spec: linux/dma-buf.h.
  std::mutex implicit_mutex_;
  std::atomic<uint64_t> last_held_{0};          // the last submission that waits for other drivers
  std::atomic<uint64_t> announced_{0};          // what timeline_ says; copies out are done up to it
  std::unique_ptr<TransferQueue> transfer_in_;  // null: nothing is beyond a link, or there is none
  std::unique_ptr<TransferQueue> second_transfer_;  // null: transfer_in_ copies out as well
  std::unique_ptr<Queue> queue_;                    // its thread uses the rest
  Reloader reloader_;                               // last: so does its own
};

/// Connected nodes of one epoch.
class VulkanDomain::Island final : public NumberSource {
 public:
  explicit Island(VulkanDomain& domain);
  /// Leaves to the driver what a submission that never ends still uses.
  ~Island();
  Island(const Island&) = delete;
  Island& operator=(const Island&) = delete;

  void CopyParams(uint32_t node, std::span<float> out) const override {
    nodes[node]->CopyParams(out);
  }
  uint64_t changes() const override { return Changes::count(); }
  /// Of all its filters: changes when one of them does.
  uint64_t Generation() const;

  /// What a firing uses on the device.
  struct Resources {
    explicit Resources(const Device& device)
        : waits(device, SemaphoreRing::Use::kWait),
          signals(device, SemaphoreRing::Use::kSignal),
          ring(device),
          times_in(device),
          times_out(device) {}
    SemaphoreRing waits;
    SemaphoreRing signals;
    TransferRing ring;
    CopyTimes times_in;   // of transfer_in_
    CopyTimes times_out;  // of transfer_out()
    std::shared_ptr<Program> program;
    /// Programs that were, and the last submission of each.
    std::vector<std::pair<uint64_t, std::shared_ptr<Program>>> former;
  };

  VulkanDomain& domain;
  std::string name;
  std::vector<const FilterNode*> nodes;
  Network network;  // sources and borders; stages as they were when it was made
  std::vector<Border> input_borders;
  std::vector<Border> output_borders;
  bool implicit = false;     // a border has implicit fences
  bool shows_files = false;  // an output is wanted as sync_files, or a border is implicit
  std::unique_ptr<Resources> gpu;
  uint64_t last_point = 0;
  TransferPoints last_copies;
  uint64_t changes_seen = 0;  // Changes::count() when the generation was last asked for
  uint64_t generation = 0;
  std::mutex next_mutex;
  std::shared_ptr<Program> next;  // made by the reloader

  // Of one firing.
  std::vector<Bound> inputs;
  std::vector<Bound> outputs;
  std::vector<BoundFrame> input_frames;
  std::vector<BoundFrame> output_frames;
  std::vector<ForeignBuffer> foreign;
  std::vector<sluice_frame_info> infos;  // by node: what its frame says of itself
  std::vector<VkSemaphore> waiting;
  Crossing crossing;
};

/// What the passes of an island would be, from its description alone: stages, sources and the
/// shapes of the borders. Errors: Unsupported for nodes that are not of this plugin;
/// InvalidArgument.
Result<Network> MakeNetwork(const sluice_island_desc& desc,
                            std::span<const FilterNode* const> nodes,
                            std::span<const sluice_format> inputs,
                            std::span<const sluice_format> outputs);
/// The plan's layout where it has one that kernels can use; else one that meets its demands.
/// Errors: Unsupported.
Result<sluice_layout> LayoutFor(const sluice_pool_request& request);
/// Errors: Unsupported.
Result<std::vector<const FilterNode*>> FilterNodesOf(const sluice_island_desc& desc);

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_DOMAIN_H_
