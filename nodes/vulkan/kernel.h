#ifndef SLUICE_NODES_VULKAN_KERNEL_H_
#define SLUICE_NODES_VULKAN_KERNEL_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "nodes/vulkan/device.h"
#include "nodes/vulkan/looks.h"
#include "nodes/vulkan/shape.h"

namespace sluice::vulkan {

/// Pixels that one invocation does, and invocations of one workgroup. Mirrors
/// shaders/interface.glsl.
constexpr uint32_t kBlockWidth = 8;
constexpr uint32_t kBlockHeight = 2;
constexpr uint32_t kGroupWidth = 16;
constexpr uint32_t kGroupHeight = 4;

/// kLook of a user's shader.
constexpr uint32_t kUserLook = 15;

/// The push block of shaders/interface.glsl.
struct Push {
  uint32_t width = 0;
  uint32_t height = 0;
  std::array<uint32_t, 3> src_offset{};
  std::array<uint32_t, 3> src_stride{};
  std::array<uint32_t, 3> dst_offset{};
  std::array<uint32_t, 3> dst_stride{};
  Params param{};
};
static_assert(sizeof(Push) == 128, "Vulkan promises 128 bytes");

/// The values of constant_id 0..13 in shaders/interface.glsl.
using Constants = std::array<uint32_t, 14>;

/// What a kernel from `src` to `dst` is specialised for; `look` 0 converts only.
Constants ConstantsFor(const Shape& src, const Shape& dst, uint32_t look);
Push PushFor(const Shape& src, const Shape& dst, const Params& params);

/// A shader module with one pipeline for each set of constants that was asked for. All kernels have
/// the same interface: set 0 with storage buffers 0 (source), 1 (destination), 2 and 3 (planes 1
/// and 2 of a source of several buffers), 4 and 5 (of a destination), and Push.
/// Threads: [main-thread]; a VkPipeline, once made, from anywhere.
class KernelModule {
 public:
  /// Errors: InvalidArgument for what is no SPIR-V; Internal.
  static Result<std::unique_ptr<KernelModule>> Create(const Device& device,
                                                      std::span<const uint32_t> spirv);
  /// The built-in frame kernels.
  static Result<std::unique_ptr<KernelModule>> CreateBuiltin(const Device& device);
  ~KernelModule();
  KernelModule(const KernelModule&) = delete;
  KernelModule& operator=(const KernelModule&) = delete;

  /// Compiles on first use. Ownership: the module's.
  Result<VkPipeline> Get(const Constants& constants);
  VkPipelineLayout layout() const { return layout_; }
  VkDescriptorSetLayout set_layout() const { return set_layout_; }

 private:
  explicit KernelModule(const Device& device) : device_(device) {}
  Status CreateLayout();

  const Device& device_;
  VkShaderModule module_ = VK_NULL_HANDLE;
  VkDescriptorSetLayout set_layout_ = VK_NULL_HANDLE;
  VkPipelineLayout layout_ = VK_NULL_HANDLE;
  std::map<Constants, VkPipeline> pipelines_;
};

/// The buffer of each plane; the same one for all of a frame that is one allocation.
using PlaneBuffers = std::array<VkBuffer, 3>;
inline PlaneBuffers AllPlanesIn(VkBuffer buffer) { return {buffer, buffer, buffer}; }

/// One dispatch: from whole buffers to others.
struct Step {
  const KernelModule* module = nullptr;
  VkPipeline pipeline = VK_NULL_HANDLE;
  PlaneBuffers src{};
  PlaneBuffers dst{};
  Push push;
};

/// A buffer that other drivers use too: taken from them before the first step and given back after
/// the last. Spec: VK_EXT_queue_family_foreign.
struct ForeignBuffer {
  VkBuffer buffer = VK_NULL_HANDLE;
  bool written = false;
};

/// Command buffers with their descriptor sets, reused when their submission has completed.
/// Recording allocates nothing once as many exist as are in flight. Threads: [process-thread], one
/// at a time.
class CommandRing {
 public:
  /// `steps`: the most that one recording has. Ownership: borrows `layout` for its life.
  static Result<std::unique_ptr<CommandRing>> Create(const Device& device,
                                                     VkDescriptorSetLayout layout, uint32_t steps);
  ~CommandRing();
  CommandRing(const CommandRing&) = delete;
  CommandRing& operator=(const CommandRing&) = delete;

  /// Records `steps`, each seeing what those before it wrote, into a command buffer whose last
  /// submission is not after `completed`. Host reads are made safe at the end. Errors:
  /// ResourceExhausted when too many are in flight.
  Result<VkCommandBuffer> Record(std::span<const Step> steps, uint64_t completed,
                                 std::span<const ForeignBuffer> foreign = {});
  /// The last recorded one was submitted as `point`.
  void Submitted(uint64_t point);
  size_t size() const { return slots_.size(); }
  /// Leaves the barriers between steps out, so that a test can see the validation layer report it.
  void LeaveOutBarriersForTesting() { barriers_ = false; }

 private:
  struct Slot {
    VkCommandBuffer commands = VK_NULL_HANDLE;
    std::vector<VkDescriptorSet> sets;
    uint64_t point = 0;
  };
  CommandRing(const Device& device, VkDescriptorSetLayout layout, uint32_t steps)
      : device_(device), set_layout_(layout), steps_(steps) {}
  Result<Slot*> Take(uint64_t completed);
  Status AddSlot();
  void RecordStep(const Slot& slot, uint32_t index, const Step& step) const;
  void Barrier(VkCommandBuffer commands, VkPipelineStageFlags2 src, VkPipelineStageFlags2 dst,
               VkAccessFlags2 from, VkAccessFlags2 to) const;
  void Acquire(VkCommandBuffer commands, std::span<const ForeignBuffer> foreign);
  void Release(VkCommandBuffer commands, std::span<const ForeignBuffer> foreign);
  void Transfer(VkCommandBuffer commands) const;

  const Device& device_;
  const VkDescriptorSetLayout set_layout_;
  const uint32_t steps_;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  VkDescriptorPool descriptors_ = VK_NULL_HANDLE;
  std::vector<Slot> slots_;
  std::vector<VkBufferMemoryBarrier2> transfers_;  // scratch of Acquire and Release
  size_t current_ = 0;
  bool barriers_ = true;
};

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_KERNEL_H_
