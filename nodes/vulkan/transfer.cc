#include "nodes/vulkan/transfer.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace sluice::vulkan {
namespace {

// As the queue's own waiter: a stop and a lost device are noticed even if the driver wakes nobody.
constexpr uint64_t kSliceNs = 50'000'000;
constexpr VkPipelineStageFlags2 kCopies = VK_PIPELINE_STAGE_2_TRANSFER_BIT;
constexpr char kBroughtOver[] = "the transfer queue brings host memory over first";

bool Reads(const Pass& pass, uint32_t input) {
  return std::any_of(pass.inputs.begin(), pass.inputs.end(), [&](const Pass::Input& in) {
    return in.place == Pass::Place{Pass::Place::Kind::kInput, input};
  });
}

/// Made for a wide stage, which reads its result instead (PlanPasses).
bool IsUnpack(const Pass& pass) {
  return !pass.sample && pass.tail.empty() && pass.to.kind == Pass::Place::Kind::kInner;
}

}  // namespace

// ---- TransferQueue

Result<std::unique_ptr<TransferQueue>> TransferQueue::Create(const Device& device, VkQueue handle) {
  std::unique_ptr<TransferQueue> queue(new TransferQueue(device, handle));
  if (Status made = queue->timeline_.Create(); !made) return tl::unexpected(made.error());
  const VkCommandPoolCreateInfo pool{
      VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO, nullptr,
      VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT | VK_COMMAND_POOL_CREATE_TRANSIENT_BIT,
      device.transfer().family};
  const VkResult result =
      device.vk().vkCreateCommandPool(device.handle(), &pool, nullptr, &queue->pool_);
  if (result != VK_SUCCESS) return FailVk(result, "vkCreateCommandPool");
  return queue;
}

TransferQueue::~TransferQueue() {
  if (pool_ != VK_NULL_HANDLE) device_.vk().vkDestroyCommandPool(device_.handle(), pool_, nullptr);
}

// Anew for each submission: which frame meets which slot is by chance, and it is a few commands.
// No ownership of buffers passes between the families: those that both use are made for both
// (Memory::Source::shared). Contents of an exclusive one would need a release on the queue that
// used it last, which a host import need not have been by any: its bytes are the CPU's. What the
// other queue wrote, and what it will read, is ordered and made visible by the semaphores.
Status TransferQueue::Record(VkCommandBuffer commands, const Work& work) const {
  const VolkDeviceTable& vk = device_.vk();
  const VkCommandBufferBeginInfo begin{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO, nullptr,
                                       VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT, nullptr};
  VkResult result = vk.vkBeginCommandBuffer(commands, &begin);
  if (result != VK_SUCCESS) return FailVk(result, "vkBeginCommandBuffer");
  uint32_t stamps = 0;
  // At the stage of the copies: what the submission waits for holds that up, and is not in their
  // time.
  const auto stamp = [&] {
    if (work.stamps != VK_NULL_HANDLE)
      vk.vkCmdWriteTimestamp2(commands, kCopies, work.stamps, stamps++);
  };
  stamp();
  for (const Copy& copy : work.copies) {
    const VkBufferCopy region{0, 0, copy.bytes};
    vk.vkCmdCopyBuffer(commands, copy.from, copy.to, 1, &region);
    stamp();
  }
  if (work.to_host) {
    // Spec: "Host Access to Device Memory Objects": the semaphore alone does not make writes
    // visible to the host.
    const VkMemoryBarrier2 barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER_2,
                                   nullptr,
                                   kCopies,
                                   VK_ACCESS_2_TRANSFER_WRITE_BIT,
                                   VK_PIPELINE_STAGE_2_HOST_BIT,
                                   VK_ACCESS_2_HOST_READ_BIT};
    const VkDependencyInfo info{VK_STRUCTURE_TYPE_DEPENDENCY_INFO, nullptr, 0, 1, &barrier};
    vk.vkCmdPipelineBarrier2(commands, &info);
  }
  result = vk.vkEndCommandBuffer(commands);
  if (result != VK_SUCCESS) return FailVk(result, "vkEndCommandBuffer");
  return {};
}

Result<uint64_t> TransferQueue::Submit(const Work& work) {
  std::array<VkSemaphoreSubmitInfo, Queue::kMaxWaits + 1> waits;
  uint32_t wait_count = 0;
  const auto wait_for = [&](VkSemaphore semaphore, uint64_t value) {
    waits[wait_count++] = {
        VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO, nullptr, semaphore, value, kCopies, 0};
  };
  if (work.waits.size() > Queue::kMaxWaits) {
    return Fail(SLUICE_E_RESOURCE_EXHAUSTED,
                std::to_string(work.waits.size()) + " fences to wait for at once");
  }
  if (work.after.value > 0) wait_for(work.after.semaphore, work.after.value);
  for (const VkSemaphore semaphore : work.waits) wait_for(semaphore, 0);

  const std::lock_guard<std::mutex> lock(mutex_);
  const uint64_t point = submitted_ + 1;
  if (Status s = HaveCommands(); !s) return tl::unexpected(s.error());
  const VkCommandBuffer commands = commands_.front().second;
  if (Status s = Record(commands, work); !s) return tl::unexpected(s.error());
  const VkSemaphoreSubmitInfo signal{
      VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO, nullptr, timeline_.handle(), point,
      VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT,    0};
  const VkCommandBufferSubmitInfo command{VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO, nullptr,
                                          commands, 0};
  VkSubmitInfo2 submit{VK_STRUCTURE_TYPE_SUBMIT_INFO_2};
  submit.waitSemaphoreInfoCount = wait_count;
  submit.pWaitSemaphoreInfos = waits.data();
  submit.commandBufferInfoCount = 1;
  submit.pCommandBufferInfos = &command;
  submit.signalSemaphoreInfoCount = 1;
  submit.pSignalSemaphoreInfos = &signal;
  const VkResult result = device_.vk().vkQueueSubmit2(queue_, 1, &submit, VK_NULL_HANDLE);
  if (result != VK_SUCCESS)
    return FailVk(result, device_.info().name + ": vkQueueSubmit2 of a transfer");
  commands_.pop_front();
  commands_.emplace_back(point, commands);
  submitted_ = point;
  return point;
}

// Copies wait for kernels, and islands share the queue: how many are in flight is not known.
Status TransferQueue::HaveCommands() {
  if (!commands_.empty() && IsOver(commands_.front().first)) return {};
  const VkCommandBufferAllocateInfo allocate{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                             nullptr, pool_, VK_COMMAND_BUFFER_LEVEL_PRIMARY, 1};
  VkCommandBuffer commands = VK_NULL_HANDLE;
  const VkResult result =
      device_.vk().vkAllocateCommandBuffers(device_.handle(), &allocate, &commands);
  if (result != VK_SUCCESS)
    return FailVk(result, device_.info().name + ": vkAllocateCommandBuffers for a transfer");
  commands_.emplace_front(0, commands);
  return {};
}

uint64_t TransferQueue::submitted() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return submitted_;
}

bool TransferQueue::IsOver(uint64_t point) const {
  return point == 0 || WaitSlice(point, 0) != State::kPending;
}

TransferQueue::State TransferQueue::WaitSlice(uint64_t point, uint64_t slice_ns) const {
  const State state = timeline_.Wait(point, slice_ns);
  uint64_t value = 0;
  return state == State::kOver && !timeline_.Ask(&value) ? State::kLost : state;
}

Status TransferQueue::WaitFor(uint64_t point,
                              std::chrono::steady_clock::time_point deadline) const {
  if (point == 0) return {};
  for (;;) {
    const State state = WaitSlice(point, kSliceNs);
    if (state == State::kOver) return {};
    if (state == State::kLost)
      return Fail(SLUICE_E_DEVICE_LOST, device_.info().name + ": the device is lost");
    if (stopped() || std::chrono::steady_clock::now() >= deadline)
      return Fail(SLUICE_E_TIMEOUT, device_.info().name + " did not finish a transfer");
  }
}

bool TransferQueue::Await(uint64_t point) const {
  State state = State::kPending;
  while (state == State::kPending && !stopped()) state = WaitSlice(point, kSliceNs);
  return state == State::kOver;
}

// ---- TransferRing

void TransferRing::Resize(size_t inputs, size_t outputs) {
  for (Slot& slot : slots_) {
    slot.inputs.resize(inputs);
    slot.outputs.resize(outputs);
  }
}

Status TransferRing::Reserve(size_t input, uint64_t bytes) {
  for (Slot& slot : slots_) {
    if (Status s = Fill(slot.inputs[input], bytes); !s) return s;
  }
  return {};
}

void TransferRing::Drop(size_t input) {
  for (Slot& slot : slots_) slot.inputs[input] = Memory();
}

Status TransferRing::Fill(Memory& place, uint64_t bytes) const {
  if (place.size() >= bytes) return {};
  auto memory = Memory::AllocateForTransfers(device_, bytes);
  if (!memory)
    return Fail(memory.error().code,
                "memory for frames beyond the link: " + memory.error().message);
  place = std::move(*memory);
  return {};
}

// ---- what is brought over

std::vector<bool> BringOver(const std::vector<bool>& may, const PassOptions& options,
                            Network& network) {
  std::vector<bool> brought(network.inputs.size());
  // Whoever makes the program says what is wrong with it.
  const auto plan = PlanPasses(network, options);
  if (!plan) return brought;
  for (uint32_t i = 0; i < network.inputs.size(); ++i) {
    if (!network.inputs[i].far || !may[i]) continue;
    size_t readers = 0;
    bool wide = false;
    for (const Pass& pass : plan->passes) {
      if (!Reads(pass, i)) continue;
      ++readers;
      wide |= IsUnpack(pass);
    }
    brought[i] = wide || readers > 1;
    if (brought[i]) network.inputs[i].far = false;
  }
  return brought;
}

void ExplainBrought(const std::vector<bool>& brought, const Network& network, PassPlan& plan) {
  for (uint32_t i = 0; i < brought.size(); ++i) {
    if (!brought[i]) continue;
    plan.inner_bytes += TransferRing::kDepth * network.inputs[i].bytes;
    const auto first = std::find_if(plan.passes.begin(), plan.passes.end(),
                                    [i](const Pass& pass) { return Reads(pass, i); });
    if (first == plan.passes.end()) continue;
    if (first->apart.find(kBroughtOver) != std::string::npos) continue;
    first->apart += (first->apart.empty() ? "" : "; ") + std::string(kBroughtOver);
  }
}

std::string CopyLabel(bool is_input, const std::string& node, const std::string& port) {
  return (is_input ? "copy in: " : "copy out: ") + node + "." + port;
}

}  // namespace sluice::vulkan
