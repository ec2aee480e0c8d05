#include "nodes/vulkan/meter.h"

#include <algorithm>
#include <chrono>

namespace sluice::vulkan {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRounds = 7;
constexpr int kSubmissions = 101;
/// Of one piece of work, which takes milliseconds.
constexpr uint64_t kDeadlineNs = 10'000'000'000;
constexpr uint32_t kGroup = 256;
constexpr uint64_t kBytesAnInvocation = 16;

// What it reads is never what it looks for: but the compiler does not know.
constexpr char kText[] = R"(#version 450
layout(local_size_x = 256) in;
layout(constant_id = 0) const uint traffic = 0;
layout(std430, binding = 0) readonly buffer From { uvec4 from[]; };
layout(std430, binding = 1) writeonly buffer To { uvec4 to[]; };
void main() {
  const uint i = gl_GlobalInvocationID.x;
  if (traffic == 0) {
    to[i] = from[i];
  } else if (traffic == 1) {
    const uvec4 found = from[i];
    if (found == uvec4(0x51D1CE51u, 0xCE51D1CEu, 0x0BADF00Du, i)) to[i] = found;
  } else {
    to[i] = uvec4(i * 2654435761u, i, ~i, 0x9E3779B9u);
  }
}
)";

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

double Seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

// ---- Meter

Result<std::unique_ptr<Meter>> Meter::Create(const Device& device, VkQueue queue, uint32_t family,
                                             bool timestamps) {
  std::unique_ptr<Meter> meter(new Meter(device, queue));
  const VolkDeviceTable& vk = device.vk();
  const VkCommandPoolCreateInfo pool{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO, nullptr,
                                     VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT, family};
  VkResult result = vk.vkCreateCommandPool(device.handle(), &pool, nullptr, &meter->pool_);
  if (result != VK_SUCCESS) return FailVk(result, "vkCreateCommandPool");
  const VkCommandBufferAllocateInfo allocate{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                             nullptr, meter->pool_, VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                             1};
  result = vk.vkAllocateCommandBuffers(device.handle(), &allocate, &meter->commands_);
  if (result != VK_SUCCESS) return FailVk(result, "vkAllocateCommandBuffers");
  const VkFenceCreateInfo fence{VK_STRUCTURE_TYPE_FENCE_CREATE_INFO, nullptr, 0};
  result = vk.vkCreateFence(device.handle(), &fence, nullptr, &meter->fence_);
  if (result != VK_SUCCESS) return FailVk(result, "vkCreateFence");
  if (!timestamps) return meter;
  const VkQueryPoolCreateInfo queries{
      VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO, nullptr, 0, VK_QUERY_TYPE_TIMESTAMP, 2, 0};
  result = vk.vkCreateQueryPool(device.handle(), &queries, nullptr, &meter->queries_);
  if (result != VK_SUCCESS) return FailVk(result, "vkCreateQueryPool");
  return meter;
}

Meter::~Meter() {
  if (stuck_) return;
  const VolkDeviceTable& vk = device_.vk();
  if (queries_ != VK_NULL_HANDLE) vk.vkDestroyQueryPool(device_.handle(), queries_, nullptr);
  if (fence_ != VK_NULL_HANDLE) vk.vkDestroyFence(device_.handle(), fence_, nullptr);
  if (pool_ != VK_NULL_HANDLE) vk.vkDestroyCommandPool(device_.handle(), pool_, nullptr);
}

Status Meter::Record(const std::function<void(VkCommandBuffer)>& record) {
  const VolkDeviceTable& vk = device_.vk();
  const VkCommandBufferBeginInfo begin{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  VkResult result = vk.vkBeginCommandBuffer(commands_, &begin);
  if (result != VK_SUCCESS) return FailVk(result, "vkBeginCommandBuffer");
  if (queries_ != VK_NULL_HANDLE) {
    vk.vkCmdResetQueryPool(commands_, queries_, 0, 2);
    vk.vkCmdWriteTimestamp2(commands_, VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT, queries_, 0);
  }
  record(commands_);
  if (queries_ != VK_NULL_HANDLE) {
    vk.vkCmdWriteTimestamp2(commands_, VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT, queries_, 1);
  }
  result = vk.vkEndCommandBuffer(commands_);
  if (result != VK_SUCCESS) return FailVk(result, "vkEndCommandBuffer");
  return {};
}

Result<std::pair<double, double>> Meter::Run() {
  const VolkDeviceTable& vk = device_.vk();
  if (stuck_) return Fail(SLUICE_E_TIMEOUT, device_.info().name + " does not answer");
  const VkCommandBufferSubmitInfo command{VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO, nullptr,
                                          commands_, 0};
  VkSubmitInfo2 submit{VK_STRUCTURE_TYPE_SUBMIT_INFO_2};
  submit.commandBufferInfoCount = 1;
  submit.pCommandBufferInfos = &command;
  const Clock::time_point began = Clock::now();
  VkResult result = vk.vkQueueSubmit2(queue_, 1, &submit, fence_);
  const Clock::time_point submitted = Clock::now();
  if (result != VK_SUCCESS) return FailVk(result, "vkQueueSubmit2");
  result = vk.vkWaitForFences(device_.handle(), 1, &fence_, VK_TRUE, kDeadlineNs);
  const Clock::time_point done = Clock::now();
  if (result != VK_SUCCESS) stuck_ = true;
  if (result == VK_TIMEOUT) {
    return Fail(SLUICE_E_TIMEOUT, device_.info().name + " did not finish within " +
                                      std::to_string(kDeadlineNs / 1'000'000'000) + " s");
  }
  if (result != VK_SUCCESS) return FailVk(result, "vkWaitForFences");
  result = vk.vkResetFences(device_.handle(), 1, &fence_);
  if (result != VK_SUCCESS) return FailVk(result, "vkResetFences");
  return std::pair(Seconds(submitted - began), Seconds(done - began));
}

double Meter::ReadTimestamps() const {
  uint64_t ticks[2] = {};
  const VkResult result =
      device_.vk().vkGetQueryPoolResults(device_.handle(), queries_, 0, 2, sizeof ticks, ticks,
                                         sizeof ticks[0], VK_QUERY_RESULT_64_BIT);
  if (result != VK_SUCCESS) return 0;
  const uint64_t passed = (ticks[1] - ticks[0]) & device_.info().timestamp_mask;
  return static_cast<double>(passed) * device_.info().timestamp_ns / 1e9;
}

Result<double> Meter::Time(const std::function<void(VkCommandBuffer)>& record) {
  if (Status s = Record(record); !s) return tl::unexpected(s.error());
  std::vector<double> seconds;
  for (int round = 0; round <= kRounds; ++round) {
    const auto run = Run();
    if (!run) return tl::unexpected(run.error());
    double took = run->second;
    if (queries_ != VK_NULL_HANDLE) {
      const double measured = ReadTimestamps();
      // A driver whose timestamps are none must not make a figure beyond all bounds.
      if (measured > 0 && measured <= took) took = measured;
    }
    if (round > 0) seconds.push_back(took);
  }
  return Median(std::move(seconds));
}

Result<Meter::Submission> Meter::TimeSubmissions(
    const std::function<void(VkCommandBuffer)>& record) {
  if (Status s = Record(record); !s) return tl::unexpected(s.error());
  std::vector<double> cpu, round_trip;
  for (int i = 0; i < kSubmissions; ++i) {
    const auto run = Run();
    if (!run) return tl::unexpected(run.error());
    cpu.push_back(run->first * 1e9);
    round_trip.push_back(run->second * 1e9);
  }
  return Submission{Median(std::move(cpu)), Median(std::move(round_trip))};
}

// ---- TrafficKernel

Result<std::unique_ptr<TrafficKernel>> TrafficKernel::Create(const Device& device, uint32_t sets) {
  std::unique_ptr<TrafficKernel> kernel(new TrafficKernel(device));
  if (Status s = kernel->CreateLayout(); !s) return tl::unexpected(s.error());
  if (Status s = kernel->CreatePipelines(); !s) return tl::unexpected(s.error());
  if (Status s = kernel->CreatePool(sets); !s) return tl::unexpected(s.error());
  return kernel;
}

TrafficKernel::~TrafficKernel() {
  const VolkDeviceTable& vk = device_.vk();
  for (VkPipeline pipeline : pipelines_) {
    if (pipeline != VK_NULL_HANDLE) vk.vkDestroyPipeline(device_.handle(), pipeline, nullptr);
  }
  if (pool_ != VK_NULL_HANDLE) vk.vkDestroyDescriptorPool(device_.handle(), pool_, nullptr);
  if (layout_ != VK_NULL_HANDLE) vk.vkDestroyPipelineLayout(device_.handle(), layout_, nullptr);
  if (set_layout_ != VK_NULL_HANDLE) {
    vk.vkDestroyDescriptorSetLayout(device_.handle(), set_layout_, nullptr);
  }
}

Status TrafficKernel::CreateLayout() {
  const VolkDeviceTable& vk = device_.vk();
  VkDescriptorSetLayoutBinding bindings[2];
  for (uint32_t i = 0; i < 2; ++i) {
    bindings[i] = {i, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, nullptr};
  }
  const VkDescriptorSetLayoutCreateInfo set{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
                                            nullptr, 0, 2, bindings};
  VkResult result = vk.vkCreateDescriptorSetLayout(device_.handle(), &set, nullptr, &set_layout_);
  if (result != VK_SUCCESS) return FailVk(result, "vkCreateDescriptorSetLayout");
  const VkPipelineLayoutCreateInfo layout{
      VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO, nullptr, 0, 1, &set_layout_, 0, nullptr};
  result = vk.vkCreatePipelineLayout(device_.handle(), &layout, nullptr, &layout_);
  if (result != VK_SUCCESS) return FailVk(result, "vkCreatePipelineLayout");
  return {};
}

Status TrafficKernel::CreatePipelines() {
  const VolkDeviceTable& vk = device_.vk();
  Compiler compiler(CacheDirectory());
  const auto spirv = compiler.Compile(kText, "traffic");
  if (!spirv) return tl::unexpected(spirv.error());
  const VkShaderModuleCreateInfo create{VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, nullptr, 0,
                                        spirv->size() * 4, spirv->data()};
  VkShaderModule module = VK_NULL_HANDLE;
  VkResult result = vk.vkCreateShaderModule(device_.handle(), &create, nullptr, &module);
  if (result != VK_SUCCESS) return FailVk(result, "vkCreateShaderModule");
  for (uint32_t traffic = 0; traffic < 3 && result == VK_SUCCESS; ++traffic) {
    const VkSpecializationMapEntry entry{0, 0, 4};
    const VkSpecializationInfo special{1, &entry, 4, &traffic};
    VkComputePipelineCreateInfo pipeline{VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO};
    pipeline.stage = {VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                      nullptr,
                      0,
                      VK_SHADER_STAGE_COMPUTE_BIT,
                      module,
                      "main",
                      &special};
    pipeline.layout = layout_;
    result = vk.vkCreateComputePipelines(device_.handle(), VK_NULL_HANDLE, 1, &pipeline, nullptr,
                                         &pipelines_[traffic]);
  }
  vk.vkDestroyShaderModule(device_.handle(), module, nullptr);
  if (result != VK_SUCCESS) return FailVk(result, "vkCreateComputePipelines");
  return {};
}

Status TrafficKernel::CreatePool(uint32_t sets) {
  const VkDescriptorPoolSize size{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 2 * sets};
  const VkDescriptorPoolCreateInfo create{
      VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO, nullptr, 0, sets, 1, &size};
  const VkResult result =
      device_.vk().vkCreateDescriptorPool(device_.handle(), &create, nullptr, &pool_);
  if (result != VK_SUCCESS) return FailVk(result, "vkCreateDescriptorPool");
  return {};
}

Result<VkDescriptorSet> TrafficKernel::Bind(const Memory& from, const Memory& to) {
  const VolkDeviceTable& vk = device_.vk();
  const VkDescriptorSetAllocateInfo allocate{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                             nullptr, pool_, 1, &set_layout_};
  VkDescriptorSet set = VK_NULL_HANDLE;
  const VkResult result = vk.vkAllocateDescriptorSets(device_.handle(), &allocate, &set);
  if (result != VK_SUCCESS) return FailVk(result, "vkAllocateDescriptorSets");
  const VkDescriptorBufferInfo infos[2] = {{from.buffer(), 0, VK_WHOLE_SIZE},
                                           {to.buffer(), 0, VK_WHOLE_SIZE}};
  VkWriteDescriptorSet write{VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET};
  write.dstSet = set;
  write.descriptorCount = 2;  // one after the other: of bindings with one descriptor each
  write.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
  write.pBufferInfo = infos;
  vk.vkUpdateDescriptorSets(device_.handle(), 1, &write, 0, nullptr);
  return set;
}

void TrafficKernel::Record(VkCommandBuffer commands, Traffic traffic, VkDescriptorSet pair,
                           uint64_t bytes) const {
  const VolkDeviceTable& vk = device_.vk();
  vk.vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE,
                       pipelines_[static_cast<uint32_t>(traffic)]);
  vk.vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, layout_, 0, 1, &pair, 0,
                             nullptr);
  vk.vkCmdDispatch(commands, static_cast<uint32_t>(bytes / kBytesAnInvocation / kGroup), 1, 1);
}

void RecordBarrier(const Device& device, VkCommandBuffer commands) {
  VkMemoryBarrier2 barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER_2};
  barrier.srcStageMask = barrier.dstStageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT;
  barrier.srcAccessMask = VK_ACCESS_2_MEMORY_WRITE_BIT;
  barrier.dstAccessMask = VK_ACCESS_2_MEMORY_READ_BIT | VK_ACCESS_2_MEMORY_WRITE_BIT;
  VkDependencyInfo dependency{VK_STRUCTURE_TYPE_DEPENDENCY_INFO};
  dependency.memoryBarrierCount = 1;
  dependency.pMemoryBarriers = &barrier;
  device.vk().vkCmdPipelineBarrier2(commands, &dependency);
}

}  // namespace sluice::vulkan
