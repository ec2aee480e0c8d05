#ifndef SLUICE_NODES_VULKAN_PROGRAM_H_
#define SLUICE_NODES_VULKAN_PROGRAM_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "nodes/vulkan/kernel.h"
#include "nodes/vulkan/memory.h"
#include "nodes/vulkan/pass_text.h"
#include "nodes/vulkan/passes.h"

namespace sluice::vulkan {

/// A frame's memory for one recording. `serial` tells memories apart, also when a driver uses a
/// handle again: Memory::serial of the first part.
struct BoundFrame {
  PlaneBuffers planes{};
  uint64_t serial = 0;
};

/// A buffer that others use too: taken from them before the first pass and given back after the
/// last. Spec: VK_EXT_queue_family_foreign; VK_QUEUE_FAMILY_EXTERNAL.
struct ForeignBuffer {
  VkBuffer buffer = VK_NULL_HANDLE;
  bool written = false;
  bool same_driver = false;  ///< others are processes that use this device by this driver
};

/// Gives the numbers of nodes for the next frame.
class NumberSource {
 public:
  /// FilterNode::CopyParams of a node.
  virtual void CopyParams(uint32_t node, std::span<float> out) const = 0;
  /// While it stays, so do the numbers.
  virtual uint64_t changes() const = 0;

 protected:
  ~NumberSource() = default;
};

/// Time of one pass on the device, from its timestamps.
struct PassTime {
  uint64_t frames = 0;
  uint64_t total_ns = 0;
  uint64_t min_ns = UINT64_MAX;
  uint64_t max_ns = 0;

  void Add(uint64_t ns);
};

/// The passes of a network on a device: kernels, memory between passes, and command buffers, one
/// for each set of frames that comes, recorded once and submitted as often as it comes again.
/// Numbers lie in memory that the device reads: a change records nothing anew. Threads: one at a
/// time, but for Create and what says otherwise.
class Program {
 public:
  struct Options {
    PassOptions passes;
    bool settle = true;    ///< false: no pass has a body of its own for neutral numbers
    bool barriers = true;  ///< false: so that a test sees the validation layer report it
  };
  /// What a node brings beside its stages.
  struct NodeData {
    std::vector<float> numbers;  ///< as they are now: of those that are neutral, kernels make use
    std::vector<float> table;
  };
  struct Recording;

  /// Compiles and allocates; nothing does later. Errors: InvalidArgument for stages that do not fit
  /// or compile, naming file and line; ResourceExhausted for memory.
  static Result<std::unique_ptr<Program>> Create(const Device& device, KernelLibrary& kernels,
                                                 Network network, std::vector<NodeData> nodes,
                                                 const Options& options);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  const Network& network() const { return network_; }
  const PassPlan& plan() const { return plan_; }
  /// Device memory of its own: between passes, tables and numbers; bytes.
  uint64_t memory_bytes() const;

  /// A command buffer for these frames (as Network::inputs and outputs) whose last submission is
  /// not after `completed`, with the numbers of now. Errors: ResourceExhausted when too many are in
  /// flight. `numbers`: the same source in each call.
  Result<Recording*> Prepare(std::span<const BoundFrame> inputs,
                             std::span<const BoundFrame> outputs,
                             std::span<const ForeignBuffer> foreign, uint64_t completed,
                             const NumberSource& numbers);
  static VkCommandBuffer Commands(const Recording& recording);
  /// It was submitted as `point`.
  void Submitted(Recording& recording, uint64_t point);
  /// One with every pass, on one pixel of memory of the program's own: drivers that compile at the
  /// first dispatch do it now. Errors: as Prepare.
  Result<Recording*> PrepareWarmUp(uint64_t completed);

  size_t recordings() const { return recordings_.size(); }
  /// Command buffers recorded since the start, for tests: constant in the steady state.
  uint64_t recorded() const { return recorded_; }
  /// By pass. Sampled: not each frame is looked at.
  const std::vector<PassTime>& times() const { return times_; }
  /// Takes the timestamps of what has completed.
  void CollectTimes(uint64_t completed);

 private:
  struct Kernel {
    std::shared_ptr<KernelModule> module;
    VkPipeline pipeline = VK_NULL_HANDLE;
    PassText text;
    uint64_t block_at = 0;  ///< of a recording's uniform bytes
    size_t numbers_at = 0;  ///< of gathered_
    uint32_t groups_x = 0;
    uint32_t groups_y = 0;
  };

  Program(const Device& device, Network network);
  Status Build(KernelLibrary& kernels, std::vector<NodeData> nodes, const Options& options);
  Status BuildKernel(KernelLibrary& kernels, const Pass& pass, bool settle);
  Status PlaceTables(std::span<const NodeData> nodes);
  Status CheckReach() const;
  Status CreatePools();
  Recording* FindFree(std::span<const BoundFrame> inputs, std::span<const BoundFrame> outputs,
                      uint64_t completed, bool* known);
  Result<Recording*> AddRecording();
  Status Record(Recording& recording, std::span<const BoundFrame> inputs,
                std::span<const BoundFrame> outputs, std::span<const ForeignBuffer> foreign,
                bool one_pixel);
  void RecordPass(const Recording& recording, uint32_t pass, bool one_pixel) const;
  void WriteSet(VkDescriptorSet set, const Recording& recording, uint32_t pass,
                std::span<const BoundFrame> inputs, std::span<const BoundFrame> outputs) const;
  void WriteGeometry(const Recording& recording, uint32_t pass, bool one_pixel) const;
  void Gather(const NumberSource& numbers);
  void WriteNumbers(Recording& recording) const;
  void Stamp(const Recording& recording, uint32_t index) const;
  void ReadTimes(Recording& recording);

  const Device& device_;
  Network network_;
  std::vector<uint32_t> table_at_;
  PassPlan plan_;
  std::vector<Kernel> kernels_;
  bool barriers_ = true;
  Memory inner_;
  Memory tables_;
  Memory uniforms_;
  Memory scratch_;            // of the warm-up
  uint64_t block_bytes_ = 0;  // uniform bytes of one recording
  VkCommandPool pool_ = VK_NULL_HANDLE;
  VkDescriptorPool descriptors_ = VK_NULL_HANDLE;
  VkQueryPool queries_ = VK_NULL_HANDLE;
  std::vector<std::unique_ptr<Recording>> recordings_;
  size_t next_ = 0;                          // of recordings_: behind the one that was taken last
  std::vector<std::vector<float>> numbers_;  // by node, of the last frame
  uint64_t changes_seen_ = 0;                // of their source
  std::vector<float> gathered_;              // by kernel, as they lie in its uniform bytes
  std::vector<float> former_;                // what they were before
  uint64_t gathered_count_ = 0;              // how often they were others
  std::vector<PassTime> times_;
  uint64_t times_due_ = 0;        // by clock_: before, no timestamps are asked for
  uint64_t frames_recorded_ = 0;  // command buffers of frames
  uint64_t recorded_ = 0;
  uint64_t clock_ = 0;
};

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_PROGRAM_H_
