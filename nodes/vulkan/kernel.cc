#include "nodes/vulkan/kernel.h"

#include <string>
#include <tuple>

#include "frame_spv.h"

namespace sluice::vulkan {
namespace {
// In flight at once for one island; far beyond any pool's depth.
constexpr uint32_t kMaxSlots = 64;
constexpr uint32_t kBindings = 6;
// What a submission's semaphores are waited for at: an acquire starts there.
constexpr VkPipelineStageFlags2 kStages =
    VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_2_TRANSFER_BIT;
constexpr VkAccessFlags2 kRead = VK_ACCESS_2_SHADER_STORAGE_READ_BIT;
constexpr VkAccessFlags2 kWrite = VK_ACCESS_2_SHADER_STORAGE_WRITE_BIT;
constexpr uint32_t kSpirvMagic = 0x07230203;
}  // namespace

Constants ConstantsFor(const Shape& src, const Shape& dst, uint32_t look) {
  Constants c{};
  c[0] = static_cast<uint32_t>(src.pixels);
  c[1] = static_cast<uint32_t>(dst.pixels);
  // R'G'B' has no matrix of its own: luma in a look is that of the other end.
  const uint32_t fallback = 1;
  c[2] = src.is_yuv() ? src.matrix : dst.is_yuv() ? dst.matrix : fallback;
  c[3] = dst.is_yuv() ? dst.matrix : c[2];
  c[4] = src.full_range ? 1 : 0;
  c[5] = dst.full_range ? 1 : 0;
  c[6] = src.siting;
  c[7] = dst.siting;
  c[8] = look;
  c[9] = src.alpha && dst.alpha ? 1 : 0;
  c[10] = dst.width & 1U;
  c[11] = dst.height & 1U;
  c[12] = src.parts > 1 ? 1 : 0;
  c[13] = dst.parts > 1 ? 1 : 0;
  return c;
}

Push PushFor(const Shape& src, const Shape& dst, const Params& params) {
  Push push;
  push.width = dst.width;
  push.height = dst.height;
  push.src_offset = src.offset;
  push.src_stride = src.stride;
  push.dst_offset = dst.offset;
  push.dst_stride = dst.stride;
  push.param = params;
  return push;
}

Result<std::unique_ptr<KernelModule>> KernelModule::CreateBuiltin(const Device& device) {
  return Create(device, frame_spv);
}

Result<std::unique_ptr<KernelModule>> KernelModule::Create(const Device& device,
                                                           std::span<const uint32_t> spirv) {
  if (spirv.size() < 5 || spirv[0] != kSpirvMagic)
    return Fail(SLUICE_E_INVALID_ARGUMENT, "not SPIR-V");
  std::unique_ptr<KernelModule> kernel(new KernelModule(device));
  const VkShaderModuleCreateInfo create{VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, nullptr, 0,
                                        spirv.size_bytes(), spirv.data()};
  const VkResult result =
      device.vk().vkCreateShaderModule(device.handle(), &create, nullptr, &kernel->module_);
  if (result != VK_SUCCESS) return FailVk(result, "vkCreateShaderModule");
  if (Status s = kernel->CreateLayout(); !s) return tl::unexpected(s.error());
  return kernel;
}

Status KernelModule::CreateLayout() {
  const VolkDeviceTable& vk = device_.vk();
  std::array<VkDescriptorSetLayoutBinding, kBindings> bindings{};
  for (uint32_t i = 0; i < bindings.size(); ++i) {
    bindings[i] = {i, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, nullptr};
  }
  const VkDescriptorSetLayoutCreateInfo set{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
                                            nullptr, 0, static_cast<uint32_t>(bindings.size()),
                                            bindings.data()};
  VkResult result = vk.vkCreateDescriptorSetLayout(device_.handle(), &set, nullptr, &set_layout_);
  if (result != VK_SUCCESS) return FailVk(result, "vkCreateDescriptorSetLayout");
  const VkPushConstantRange range{VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(Push)};
  const VkPipelineLayoutCreateInfo layout{
      VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO, nullptr, 0, 1, &set_layout_, 1, &range};
  result = vk.vkCreatePipelineLayout(device_.handle(), &layout, nullptr, &layout_);
  if (result != VK_SUCCESS) return FailVk(result, "vkCreatePipelineLayout");
  return {};
}

KernelModule::~KernelModule() {
  const VolkDeviceTable& vk = device_.vk();
  for (const auto& [constants, pipeline] : pipelines_)
    vk.vkDestroyPipeline(device_.handle(), pipeline, nullptr);
  if (layout_ != VK_NULL_HANDLE) vk.vkDestroyPipelineLayout(device_.handle(), layout_, nullptr);
  if (set_layout_ != VK_NULL_HANDLE)
    vk.vkDestroyDescriptorSetLayout(device_.handle(), set_layout_, nullptr);
  if (module_ != VK_NULL_HANDLE) vk.vkDestroyShaderModule(device_.handle(), module_, nullptr);
}

Result<VkPipeline> KernelModule::Get(const Constants& constants) {
  const auto found = pipelines_.find(constants);
  if (found != pipelines_.end()) return found->second;
  std::array<VkSpecializationMapEntry, std::tuple_size_v<Constants>> entries{};
  for (uint32_t i = 0; i < entries.size(); ++i) entries[i] = {i, i * 4U, 4};
  const VkSpecializationInfo special{static_cast<uint32_t>(entries.size()), entries.data(),
                                     sizeof(Constants), constants.data()};
  VkComputePipelineCreateInfo create{VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO};
  create.stage = {VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  nullptr,
                  0,
                  VK_SHADER_STAGE_COMPUTE_BIT,
                  module_,
                  "main",
                  &special};
  create.layout = layout_;
  VkPipeline pipeline = VK_NULL_HANDLE;
  const VkResult result = device_.vk().vkCreateComputePipelines(device_.handle(), VK_NULL_HANDLE, 1,
                                                                &create, nullptr, &pipeline);
  if (result != VK_SUCCESS) return FailVk(result, "vkCreateComputePipelines");
  pipelines_.emplace(constants, pipeline);
  return pipeline;
}

Result<std::unique_ptr<CommandRing>> CommandRing::Create(const Device& device,
                                                         VkDescriptorSetLayout layout,
                                                         uint32_t steps) {
  std::unique_ptr<CommandRing> ring(new CommandRing(device, layout, steps));
  const VkCommandPoolCreateInfo pool{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO, nullptr,
                                     VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                     device.queue_family()};
  VkResult result = device.vk().vkCreateCommandPool(device.handle(), &pool, nullptr, &ring->pool_);
  if (result != VK_SUCCESS) return FailVk(result, "vkCreateCommandPool");
  const VkDescriptorPoolSize size{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, kBindings * steps * kMaxSlots};
  const VkDescriptorPoolCreateInfo descriptors{
      VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO, nullptr, 0, steps * kMaxSlots, 1, &size};
  result = device.vk().vkCreateDescriptorPool(device.handle(), &descriptors, nullptr,
                                              &ring->descriptors_);
  if (result != VK_SUCCESS) return FailVk(result, "vkCreateDescriptorPool");
  ring->slots_.reserve(kMaxSlots);
  return ring;
}

CommandRing::~CommandRing() {
  const VolkDeviceTable& vk = device_.vk();
  if (descriptors_ != VK_NULL_HANDLE)
    vk.vkDestroyDescriptorPool(device_.handle(), descriptors_, nullptr);
  if (pool_ != VK_NULL_HANDLE) vk.vkDestroyCommandPool(device_.handle(), pool_, nullptr);
}

Status CommandRing::AddSlot() {
  if (slots_.size() == kMaxSlots) {
    return Fail(SLUICE_E_RESOURCE_EXHAUSTED,
                std::to_string(kMaxSlots) + " submissions are in flight");
  }
  Slot slot;
  const VkCommandBufferAllocateInfo commands{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                             nullptr, pool_, VK_COMMAND_BUFFER_LEVEL_PRIMARY, 1};
  VkResult result =
      device_.vk().vkAllocateCommandBuffers(device_.handle(), &commands, &slot.commands);
  if (result != VK_SUCCESS) return FailVk(result, "vkAllocateCommandBuffers");
  slot.sets.resize(steps_);
  const std::vector<VkDescriptorSetLayout> layouts(steps_, set_layout_);
  const VkDescriptorSetAllocateInfo sets{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO, nullptr,
                                         descriptors_, steps_, layouts.data()};
  result = device_.vk().vkAllocateDescriptorSets(device_.handle(), &sets, slot.sets.data());
  if (result != VK_SUCCESS) return FailVk(result, "vkAllocateDescriptorSets");
  slots_.push_back(std::move(slot));
  return {};
}

Result<CommandRing::Slot*> CommandRing::Take(uint64_t completed) {
  // The oldest is next to the current one: submissions complete in order.
  for (size_t i = 1; i <= slots_.size(); ++i) {
    const size_t at = (current_ + i) % slots_.size();
    if (slots_[at].point > completed) continue;
    current_ = at;
    return &slots_[at];
  }
  if (Status s = AddSlot(); !s) return tl::unexpected(s.error());
  current_ = slots_.size() - 1;
  return &slots_.back();
}

void CommandRing::Submitted(uint64_t point) { slots_[current_].point = point; }

void CommandRing::Barrier(VkCommandBuffer commands, VkPipelineStageFlags2 src,
                          VkPipelineStageFlags2 dst, VkAccessFlags2 from, VkAccessFlags2 to) const {
  const VkMemoryBarrier2 barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER_2, nullptr, src, from, dst, to};
  const VkDependencyInfo info{VK_STRUCTURE_TYPE_DEPENDENCY_INFO, nullptr, 0, 1, &barrier};
  device_.vk().vkCmdPipelineBarrier2(commands, &info);
}

void CommandRing::Transfer(VkCommandBuffer commands) const {
  if (transfers_.empty()) return;
  const VkDependencyInfo info{
      VK_STRUCTURE_TYPE_DEPENDENCY_INFO,        nullptr,          0, 0, nullptr,
      static_cast<uint32_t>(transfers_.size()), transfers_.data()};
  device_.vk().vkCmdPipelineBarrier2(commands, &info);
}

// The other driver's release, and its fence, came before: nothing of ours has to be made available.
void CommandRing::Acquire(VkCommandBuffer commands, std::span<const ForeignBuffer> foreign) {
  transfers_.clear();
  for (const ForeignBuffer& f : foreign) {
    transfers_.push_back({VK_STRUCTURE_TYPE_BUFFER_MEMORY_BARRIER_2, nullptr, kStages, 0, kStages,
                          f.written ? kRead | kWrite : kRead, VK_QUEUE_FAMILY_FOREIGN_EXT,
                          device_.queue_family(), f.buffer, 0, VK_WHOLE_SIZE});
  }
  Transfer(commands);
}

// What comes after is said by the fence that the submission signals.
void CommandRing::Release(VkCommandBuffer commands, std::span<const ForeignBuffer> foreign) {
  transfers_.clear();
  for (const ForeignBuffer& f : foreign) {
    transfers_.push_back({VK_STRUCTURE_TYPE_BUFFER_MEMORY_BARRIER_2, nullptr, kStages,
                          f.written ? kWrite : kRead, VK_PIPELINE_STAGE_2_NONE, 0,
                          device_.queue_family(), VK_QUEUE_FAMILY_FOREIGN_EXT, f.buffer, 0,
                          VK_WHOLE_SIZE});
  }
  Transfer(commands);
}

void CommandRing::RecordStep(const Slot& slot, uint32_t index, const Step& step) const {
  const VolkDeviceTable& vk = device_.vk();
  const VkDescriptorBufferInfo buffers[kBindings] = {
      {step.src[0], 0, VK_WHOLE_SIZE}, {step.dst[0], 0, VK_WHOLE_SIZE},
      {step.src[1], 0, VK_WHOLE_SIZE}, {step.src[2], 0, VK_WHOLE_SIZE},
      {step.dst[1], 0, VK_WHOLE_SIZE}, {step.dst[2], 0, VK_WHOLE_SIZE}};
  VkWriteDescriptorSet writes[kBindings]{};
  for (uint32_t i = 0; i < kBindings; ++i) {
    writes[i].sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
    writes[i].dstSet = slot.sets[index];
    writes[i].dstBinding = i;
    writes[i].descriptorCount = 1;
    writes[i].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
    writes[i].pBufferInfo = &buffers[i];
  }
  vk.vkUpdateDescriptorSets(device_.handle(), kBindings, writes, 0, nullptr);
  vk.vkCmdBindPipeline(slot.commands, VK_PIPELINE_BIND_POINT_COMPUTE, step.pipeline);
  vk.vkCmdBindDescriptorSets(slot.commands, VK_PIPELINE_BIND_POINT_COMPUTE, step.module->layout(),
                             0, 1, &slot.sets[index], 0, nullptr);
  vk.vkCmdPushConstants(slot.commands, step.module->layout(), VK_SHADER_STAGE_COMPUTE_BIT, 0,
                        sizeof(Push), &step.push);
  constexpr uint32_t kAcross = kBlockWidth * kGroupWidth;
  constexpr uint32_t kDown = kBlockHeight * kGroupHeight;
  vk.vkCmdDispatch(slot.commands, (step.push.width + kAcross - 1) / kAcross,
                   (step.push.height + kDown - 1) / kDown, 1);
}

Result<VkCommandBuffer> CommandRing::Record(std::span<const Step> steps, uint64_t completed,
                                            std::span<const ForeignBuffer> foreign) {
  if (steps.size() > steps_)
    return Fail(SLUICE_E_INTERNAL, "more steps than the ring was made for");
  auto slot = Take(completed);
  if (!slot) return tl::unexpected(slot.error());
  const VkCommandBuffer commands = (*slot)->commands;
  VkCommandBufferBeginInfo begin{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  VkResult result = device_.vk().vkBeginCommandBuffer(commands, &begin);
  if (result != VK_SUCCESS) return FailVk(result, "vkBeginCommandBuffer");
  constexpr VkPipelineStageFlags2 kCompute = VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT;
  // Without the extension there is nobody to name: the fences alone order the accesses.
  const bool transfers = device_.info().external.foreign_queue;
  if (transfers) Acquire(commands, foreign);
  for (uint32_t i = 0; i < steps.size(); ++i) {
    // Before the first as well: memory between steps is shared by successive frames.
    if (barriers_) Barrier(commands, kCompute, kCompute, kWrite, kRead | kWrite);
    RecordStep(**slot, i, steps[i]);
  }
  // Spec: "Host Access to Device Memory Objects": the semaphore alone does not make writes visible
  // to the host.
  Barrier(commands, kCompute, VK_PIPELINE_STAGE_2_HOST_BIT, kWrite,
          VK_ACCESS_2_HOST_READ_BIT | VK_ACCESS_2_HOST_WRITE_BIT);
  if (transfers) Release(commands, foreign);
  result = device_.vk().vkEndCommandBuffer(commands);
  if (result != VK_SUCCESS) return FailVk(result, "vkEndCommandBuffer");
  return commands;
}

}  // namespace sluice::vulkan
