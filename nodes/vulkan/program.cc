#include "nodes/vulkan/program.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

namespace sluice::vulkan {
namespace {

// Sets of frames that are remembered; far beyond any pool's depth.
constexpr uint32_t kMaxRecordings = 64;
constexpr uint64_t kScratchBytes = 4096;
constexpr uint64_t kVectorBytes = 16;
// Of so many firings one is asked for its timestamps: asking takes the driver longer than the rest.
constexpr uint64_t kTimedOneIn = 16;
// Of so many recordings one has timestamps: they keep a frame from beginning while the last one is
// still being worked on.
constexpr uint32_t kStampedOneIn = 4;
// What a submission's semaphores are waited for at: an acquire starts there.
constexpr VkPipelineStageFlags2 kStages =
    VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_2_TRANSFER_BIT;
constexpr VkAccessFlags2 kRead = VK_ACCESS_2_SHADER_STORAGE_READ_BIT;
constexpr VkAccessFlags2 kWrite = VK_ACCESS_2_SHADER_STORAGE_WRITE_BIT;

/// What `made` was for, in the words of whoever made the graph.
template <typename T>
tl::unexpected<Error> FailFor(const char* purpose, const Result<T>& made) {
  return Fail(made.error().code, std::string(purpose) + ": " + made.error().message);
}

uint64_t RoundUp(uint64_t value, uint64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

uint64_t HeaderBytes(const PassText& text) {
  return kVectorBytes * (3 + 3 * uint64_t{text.inputs} + text.sizes.size());
}

void Barrier(const VolkDeviceTable& vk, VkCommandBuffer commands, VkPipelineStageFlags2 dst,
             VkAccessFlags2 to) {
  const VkMemoryBarrier2 barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER_2,
                                 nullptr,
                                 VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT,
                                 kWrite,
                                 dst,
                                 to};
  const VkDependencyInfo info{VK_STRUCTURE_TYPE_DEPENDENCY_INFO, nullptr, 0, 1, &barrier};
  vk.vkCmdPipelineBarrier2(commands, &info);
}

/// Takes the buffers from others or gives them back. Before, the other's release and its fence have
/// come: nothing of ours has to be made available. After, the fence that the
/// submission signals says what is needed.
void Transfer(const Device& device, VkCommandBuffer commands,
              std::span<const ForeignBuffer> foreign, bool acquire) {
  std::vector<VkBufferMemoryBarrier2> barriers;
  const uint32_t ours = device.queue_family();
  for (const ForeignBuffer& f : foreign) {
    // Without the extension there is nobody to name: the fences alone order the accesses.
    if (!f.same_driver && !device.info().external.foreign_queue) continue;
    const uint32_t theirs = f.same_driver ? VK_QUEUE_FAMILY_EXTERNAL : VK_QUEUE_FAMILY_FOREIGN_EXT;
    VkBufferMemoryBarrier2 barrier{VK_STRUCTURE_TYPE_BUFFER_MEMORY_BARRIER_2};
    barrier.srcStageMask = kStages;
    barrier.srcAccessMask = acquire ? 0 : f.written ? kWrite : kRead;
    barrier.dstStageMask = acquire ? kStages : VK_PIPELINE_STAGE_2_NONE;
    barrier.dstAccessMask = !acquire ? 0 : f.written ? kRead | kWrite : kRead;
    barrier.srcQueueFamilyIndex = acquire ? theirs : ours;
    barrier.dstQueueFamilyIndex = acquire ? ours : theirs;
    barrier.buffer = f.buffer;
    barrier.size = VK_WHOLE_SIZE;
    barriers.push_back(barrier);
  }
  if (barriers.empty()) return;
  const VkDependencyInfo info{VK_STRUCTURE_TYPE_DEPENDENCY_INFO,      nullptr,        0, 0, nullptr,
                              static_cast<uint32_t>(barriers.size()), barriers.data()};
  device.vk().vkCmdPipelineBarrier2(commands, &info);
}

/// Whether so much is done to a pixel that copies of it for each pixel of a block would take
/// software Vulkan seconds to compile; otherwise they run several times faster than a loop.
bool IsLong(const Network& network, const Pass& pass) {
  constexpr size_t kFew = 2;
  if (pass.sample || pass.tail.size() > kFew) return true;
  return std::any_of(pass.tail.begin(), pass.tail.end(), [&](const StageRef& ref) {
    return network.nodes[ref.node].stages[ref.stage].samples;
  });
}

std::array<uint32_t, 4> Vector(const std::array<uint32_t, 3>& v, uint32_t w = 0) {
  return {v[0], v[1], v[2], w};
}

}  // namespace

struct Program::Recording {
  uint32_t slot = 0;
  VkCommandBuffer commands = VK_NULL_HANDLE;
  std::vector<VkDescriptorSet> sets;  // by pass
  std::vector<uint64_t> key;          // serials of its frames; empty: nobody's
  uint64_t point = 0;
  uint64_t used = 0;
  uint64_t gathered = 0;  // which numbers its uniform bytes have, as gathered_count_; 0: none yet
  bool stamped = false;   // it has timestamps
  bool untimed = true;    // its timestamps have been taken, or there are none
};

void PassTime::Add(uint64_t ns) {
  ++frames;
  total_ns += ns;
  min_ns = std::min(min_ns, ns);
  max_ns = std::max(max_ns, ns);
}

Program::Program(const Device& device, Network network)
    : device_(device), network_(std::move(network)) {}

Program::~Program() {
  const VolkDeviceTable& vk = device_.vk();
  if (queries_ != VK_NULL_HANDLE) vk.vkDestroyQueryPool(device_.handle(), queries_, nullptr);
  if (descriptors_ != VK_NULL_HANDLE)
    vk.vkDestroyDescriptorPool(device_.handle(), descriptors_, nullptr);
  if (pool_ != VK_NULL_HANDLE) vk.vkDestroyCommandPool(device_.handle(), pool_, nullptr);
}

Result<std::unique_ptr<Program>> Program::Create(const Device& device, KernelLibrary& kernels,
                                                 Network network, std::vector<NodeData> nodes,
                                                 const Options& options) {
  std::unique_ptr<Program> program(new Program(device, std::move(network)));
  if (Status s = program->Build(kernels, std::move(nodes), options); !s)
    return tl::unexpected(s.error());
  return program;
}

uint64_t Program::memory_bytes() const {
  return inner_.size() + tables_.size() + uniforms_.size() + scratch_.size();
}

Status Program::Build(KernelLibrary& kernels, std::vector<NodeData> nodes, const Options& options) {
  barriers_ = options.barriers;
  nodes.resize(network_.nodes.size());
  PassOptions passes = options.passes;
  passes.alignment = std::max<uint64_t>(passes.alignment, device_.info().binding_alignment);
  auto plan = PlanPasses(network_, passes);
  if (!plan) return tl::unexpected(plan.error());
  plan_ = std::move(*plan);
  if (Status s = PlaceTables(nodes); !s) return s;
  for (NodeData& node : nodes) numbers_.push_back(std::move(node.numbers));
  for (const Pass& pass : plan_.passes) {
    if (Status s = BuildKernel(kernels, pass, options.settle); !s) return s;
  }
  if (Status s = CheckReach(); !s) return s;
  times_.resize(plan_.passes.size());
  auto scratch = Memory::AllocateDevice(device_, 2 * kScratchBytes);
  if (!scratch) return FailFor("memory to warm up in", scratch);
  scratch_ = std::move(*scratch);
  if (plan_.inner_bytes > 0) {
    auto inner = Memory::AllocateDevice(device_, plan_.inner_bytes);
    if (!inner) return FailFor("memory between passes", inner);
    inner_ = std::move(*inner);
  }
  return CreatePools();
}

/// A binding beyond the limits may be cut off without a word.
Status Program::CheckReach() const {
  const DeviceInfo& info = device_.info();
  const auto check = [&](const char* what, const Shape& shape) -> Status {
    if (shape.bytes <= info.max_buffer_range) return {};
    return Fail(SLUICE_E_UNSUPPORTED,
                info.name + ": " + what + " of " + std::to_string(shape.width) + "x" +
                    std::to_string(shape.height) + " has " + std::to_string(shape.bytes) +
                    " bytes; a shader of this device reaches " +
                    std::to_string(info.max_buffer_range));
  };
  for (const auto* frames : {&network_.inputs, &network_.outputs}) {
    for (const Shape& shape : *frames) {
      if (Status s = check("a frame", shape); !s) return s;
    }
  }
  for (const Pass& pass : plan_.passes) {
    if (pass.to.kind != Pass::Place::Kind::kInner) continue;
    if (Status s = check("a picture between passes", pass.result); !s) return s;
  }
  for (const Kernel& kernel : kernels_) {
    // All but the block of numbers.
    const uint32_t buffers = BindingCount(kernel.text.inputs) - 1;
    if (buffers <= info.max_buffers) continue;
    return Fail(SLUICE_E_UNSUPPORTED, info.name + ": a pass of " +
                                          std::to_string(kernel.text.inputs) + " inputs needs " +
                                          std::to_string(buffers) + " buffers; the device takes " +
                                          std::to_string(info.max_buffers));
  }
  return {};
}

Status Program::PlaceTables(std::span<const NodeData> nodes) {
  std::vector<float> all;
  for (const NodeData& node : nodes) {
    table_at_.push_back(static_cast<uint32_t>(all.size() / 4));
    all.insert(all.end(), node.table.begin(), node.table.end());
    all.resize((all.size() + 3) / 4 * 4);
  }
  if (all.empty()) return {};
  if (all.size() * 4 > device_.info().max_buffer_range) {
    return Fail(SLUICE_E_UNSUPPORTED, "tables of " + std::to_string(all.size() * 4) +
                                          " bytes are more than the device reaches");
  }
  auto tables = Memory::AllocateHostVisible(device_, all.size() * 4);
  if (!tables) return FailFor("memory for tables", tables);
  tables_ = std::move(*tables);
  std::memcpy(tables_.mapped(), all.data(), all.size() * 4);
  return {};
}

Status Program::BuildKernel(KernelLibrary& kernels, const Pass& pass, bool settle) {
  Kernel kernel;
  kernel.text = MakePassText(network_, pass, table_at_,
                             settle ? numbers_ : std::span<const std::vector<float>>());
  auto module = kernels.Get(kernel.text.glsl, kernel.text.inputs);
  if (!module) return Fail(module.error().code, PlainMessage(module.error().message));
  kernel.module = *module;
  PassContext context;
  context.loops = device_.is_software() && IsLong(network_, pass);
  context.same_grid = SameGrid(network_);
  for (const auto* frames : {&network_.outputs, &network_.inputs}) {
    for (const Shape& shape : *frames) {
      if (shape.is_yuv()) context.matrix = shape.matrix;
    }
  }
  auto pipeline = kernel.module->Get(ConstantsFor(pass, context));
  if (!pipeline) return tl::unexpected(pipeline.error());
  kernel.pipeline = *pipeline;
  kernel.block_at = block_bytes_;
  kernel.numbers_at = gathered_.size();
  gathered_.resize(gathered_.size() + kernel.text.floats);
  const uint64_t bytes = HeaderBytes(kernel.text) + uint64_t{kernel.text.floats} * 4;
  if (bytes > device_.info().max_uniform_range) {
    return Fail(SLUICE_E_UNSUPPORTED, "a pass with " + std::to_string(kernel.text.floats) +
                                          " numbers; the device takes " +
                                          std::to_string(device_.info().max_uniform_range / 4));
  }
  block_bytes_ = RoundUp(block_bytes_ + bytes, device_.info().uniform_alignment);
  kernel.groups_x = (pass.result.width + kernel.text.pixels_across - 1) / kernel.text.pixels_across;
  kernel.groups_y = (pass.result.height + kernel.text.pixels_down - 1) / kernel.text.pixels_down;
  kernels_.push_back(std::move(kernel));
  return {};
}

Status Program::CreatePools() {
  const VolkDeviceTable& vk = device_.vk();
  auto uniforms =
      Memory::AllocateUniform(device_, std::max<uint64_t>(block_bytes_, 64) * kMaxRecordings);
  if (!uniforms) return FailFor("memory for the numbers of filters", uniforms);
  uniforms_ = std::move(*uniforms);
  const VkCommandPoolCreateInfo pool{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO, nullptr,
                                     VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                     device_.queue_family()};
  VkResult result = vk.vkCreateCommandPool(device_.handle(), &pool, nullptr, &pool_);
  if (result != VK_SUCCESS) return FailVk(result, "vkCreateCommandPool");
  uint32_t bindings = 0;
  for (const Kernel& kernel : kernels_) bindings += BindingCount(kernel.text.inputs);
  const auto sets = static_cast<uint32_t>(kernels_.size());
  const VkDescriptorPoolSize sizes[] = {
      {VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER, sets * kMaxRecordings},
      {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, bindings * kMaxRecordings}};
  const VkDescriptorPoolCreateInfo descriptors{
      VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO, nullptr, 0,
      std::max(sets, 1U) * kMaxRecordings,           2,       sizes};
  result = vk.vkCreateDescriptorPool(device_.handle(), &descriptors, nullptr, &descriptors_);
  if (result != VK_SUCCESS) return FailVk(result, "vkCreateDescriptorPool");
  if (device_.info().timestamp_ns > 0) {
    VkQueryPoolCreateInfo queries{VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO};
    queries.queryType = VK_QUERY_TYPE_TIMESTAMP;
    queries.queryCount = (sets + 1) * kMaxRecordings;
    result = vk.vkCreateQueryPool(device_.handle(), &queries, nullptr, &queries_);
    if (result != VK_SUCCESS) return FailVk(result, "vkCreateQueryPool");
  }
  recordings_.reserve(kMaxRecordings);
  return {};
}

Program::Recording* Program::FindFree(std::span<const BoundFrame> inputs,
                                      std::span<const BoundFrame> outputs, uint64_t completed,
                                      bool* known) {
  const auto matches = [&](const Recording& r) {
    if (r.key.size() != inputs.size() + outputs.size()) return false;
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (r.key[i] != inputs[i].serial) return false;
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (r.key[inputs.size() + i] != outputs[i].serial) return false;
    }
    return true;
  };
  Recording* oldest = nullptr;
  // Frames come in turns.
  for (size_t i = 0; i < recordings_.size(); ++i) {
    const size_t at = (next_ + i) % recordings_.size();
    Recording& recording = *recordings_[at];
    if (recording.point > completed) continue;
    if (matches(recording)) {
      *known = true;
      next_ = at + 1;
      return &recording;
    }
    if (oldest == nullptr || recording.used < oldest->used) oldest = &recording;
  }
  *known = false;
  // A new one rather than one that may be wanted again.
  return recordings_.size() < kMaxRecordings ? nullptr : oldest;
}

Result<Program::Recording*> Program::AddRecording() {
  if (recordings_.size() == kMaxRecordings) {
    return Fail(SLUICE_E_RESOURCE_EXHAUSTED,
                std::to_string(kMaxRecordings) + " submissions are in flight");
  }
  auto recording = std::make_unique<Recording>();
  recording->slot = static_cast<uint32_t>(recordings_.size());
  const VkCommandBufferAllocateInfo commands{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                             nullptr, pool_, VK_COMMAND_BUFFER_LEVEL_PRIMARY, 1};
  VkResult result =
      device_.vk().vkAllocateCommandBuffers(device_.handle(), &commands, &recording->commands);
  if (result != VK_SUCCESS) return FailVk(result, "vkAllocateCommandBuffers");
  std::vector<VkDescriptorSetLayout> layouts;
  for (const Kernel& kernel : kernels_) layouts.push_back(kernel.module->set_layout());
  recording->sets.resize(kernels_.size());
  if (!layouts.empty()) {
    const VkDescriptorSetAllocateInfo sets{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO, nullptr,
                                           descriptors_, static_cast<uint32_t>(layouts.size()),
                                           layouts.data()};
    result = device_.vk().vkAllocateDescriptorSets(device_.handle(), &sets, recording->sets.data());
    if (result != VK_SUCCESS) return FailVk(result, "vkAllocateDescriptorSets");
  }
  recordings_.push_back(std::move(recording));
  return recordings_.back().get();
}

Result<Program::Recording*> Program::Prepare(std::span<const BoundFrame> inputs,
                                             std::span<const BoundFrame> outputs,
                                             std::span<const ForeignBuffer> foreign,
                                             uint64_t completed, const NumberSource& numbers) {
  bool known = false;
  Recording* recording = FindFree(inputs, outputs, completed, &known);
  if (recording == nullptr) {
    auto added = AddRecording();
    if (!added) return added;
    recording = *added;
  }
  recording->used = ++clock_;
  if (recording->stamped && clock_ >= times_due_) {
    ReadTimes(*recording);
    times_due_ = clock_ + kTimedOneIn;
  }
  if (!known) {
    recording->key.clear();
    if (Status s = Record(*recording, inputs, outputs, foreign, false); !s)
      return tl::unexpected(s.error());
    for (const BoundFrame& frame : inputs) recording->key.push_back(frame.serial);
    for (const BoundFrame& frame : outputs) recording->key.push_back(frame.serial);
  }
  Gather(numbers);
  WriteNumbers(*recording);
  return recording;
}

Result<Program::Recording*> Program::PrepareWarmUp(uint64_t completed) {
  bool known = false;
  Recording* recording = FindFree({}, {}, completed, &known);
  if (recording == nullptr) {
    auto added = AddRecording();
    if (!added) return added;
    recording = *added;
  }
  recording->key.clear();
  const BoundFrame scratch{AllPlanesIn(scratch_.buffer()), 0};
  const std::vector<BoundFrame> inputs(network_.inputs.size(), scratch);
  const std::vector<BoundFrame> outputs(network_.outputs.size(), scratch);
  if (Status s = Record(*recording, inputs, outputs, {}, true); !s)
    return tl::unexpected(s.error());
  recording->untimed = true;
  return recording;
}

VkCommandBuffer Program::Commands(const Recording& recording) { return recording.commands; }

void Program::Submitted(Recording& recording, uint64_t point) {
  recording.point = point;
  recording.untimed = !recording.stamped;
}

Status Program::Record(Recording& recording, std::span<const BoundFrame> inputs,
                       std::span<const BoundFrame> outputs, std::span<const ForeignBuffer> foreign,
                       bool one_pixel) {
  const VolkDeviceTable& vk = device_.vk();
  ++recorded_;
  device_.counters().recordings.fetch_add(1, std::memory_order_relaxed);
  const VkCommandBufferBeginInfo begin{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  VkResult result = vk.vkBeginCommandBuffer(recording.commands, &begin);
  if (result != VK_SUCCESS) return FailVk(result, "vkBeginCommandBuffer");
  recording.stamped =
      queries_ != VK_NULL_HANDLE && !one_pixel && frames_recorded_++ % kStampedOneIn == 0;
  if (recording.stamped) {
    const auto count = static_cast<uint32_t>(kernels_.size() + 1);
    vk.vkCmdResetQueryPool(recording.commands, queries_, recording.slot * count, count);
  }
  Transfer(device_, recording.commands, foreign, true);
  for (uint32_t p = 0; p < kernels_.size(); ++p) {
    WriteSet(recording.sets[p], recording, p, inputs, outputs);
    WriteGeometry(recording, p, one_pixel);
    // Before the first as well: memory between passes is shared by successive frames.
    if (barriers_ || (recording.stamped && p == 0)) {
      Barrier(vk, recording.commands, VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT, kRead | kWrite);
    }
    // Behind the barrier: what the frame before still takes is not this one's.
    if (recording.stamped && p == 0) Stamp(recording, 0);
    RecordPass(recording, p, one_pixel);
    if (recording.stamped) Stamp(recording, p + 1);
  }
  // Spec: "Host Access to Device Memory Objects": the semaphore alone does not make writes visible
  // to the host.
  Barrier(vk, recording.commands, VK_PIPELINE_STAGE_2_HOST_BIT,
          VK_ACCESS_2_HOST_READ_BIT | VK_ACCESS_2_HOST_WRITE_BIT);
  Transfer(device_, recording.commands, foreign, false);
  result = vk.vkEndCommandBuffer(recording.commands);
  if (result != VK_SUCCESS) return FailVk(result, "vkEndCommandBuffer");
  return {};
}

void Program::RecordPass(const Recording& recording, uint32_t pass, bool one_pixel) const {
  const VolkDeviceTable& vk = device_.vk();
  const Kernel& kernel = kernels_[pass];
  vk.vkCmdBindPipeline(recording.commands, VK_PIPELINE_BIND_POINT_COMPUTE, kernel.pipeline);
  vk.vkCmdBindDescriptorSets(recording.commands, VK_PIPELINE_BIND_POINT_COMPUTE,
                             kernel.module->layout(), 0, 1, &recording.sets[pass], 0, nullptr);
  vk.vkCmdDispatch(recording.commands, one_pixel ? 1 : kernel.groups_x,
                   one_pixel ? 1 : kernel.groups_y, 1);
}

void Program::WriteSet(VkDescriptorSet set, const Recording& recording, uint32_t pass,
                       std::span<const BoundFrame> inputs,
                       std::span<const BoundFrame> outputs) const {
  const Kernel& kernel = kernels_[pass];
  const Pass& what = plan_.passes[pass];
  std::vector<VkDescriptorBufferInfo> buffers;
  const VkDescriptorBufferInfo nothing{scratch_.buffer(), 0, VK_WHOLE_SIZE};
  const auto add = [&](const Pass::Place& place) {
    using Kind = Pass::Place::Kind;
    for (uint32_t plane = 0; plane < 3; ++plane) {
      if (place.kind == Kind::kInner) {
        const InnerImage& image = plan_.inner[place.index];
        buffers.push_back({inner_.buffer(), image.offset, image.shape.bytes});
      } else if (place.kind == Kind::kNone) {
        buffers.push_back(nothing);
      } else {
        const auto& frames = place.kind == Kind::kInput ? inputs : outputs;
        buffers.push_back({frames[place.index].planes[plane], 0, VK_WHOLE_SIZE});
      }
    }
  };
  buffers.push_back({uniforms_.buffer(), recording.slot * block_bytes_ + kernel.block_at,
                     HeaderBytes(kernel.text) + uint64_t{kernel.text.floats} * 4});
  buffers.push_back(tables_.size() > 0 ? VkDescriptorBufferInfo{tables_.buffer(), 0, VK_WHOLE_SIZE}
                                       : nothing);
  add(what.to);
  for (uint32_t i = 0; i < kernel.text.inputs; ++i)
    add(i < what.inputs.size() ? what.inputs[i].place : Pass::Place{});
  std::vector<VkWriteDescriptorSet> writes(buffers.size());
  for (uint32_t i = 0; i < writes.size(); ++i) {
    writes[i].sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
    writes[i].dstSet = set;
    writes[i].dstBinding = i;
    writes[i].descriptorCount = 1;
    writes[i].descriptorType =
        i == 0 ? VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
    writes[i].pBufferInfo = &buffers[i];
  }
  device_.vk().vkUpdateDescriptorSets(device_.handle(), static_cast<uint32_t>(writes.size()),
                                      writes.data(), 0, nullptr);
}

void Program::WriteGeometry(const Recording& recording, uint32_t pass, bool one_pixel) const {
  const Kernel& kernel = kernels_[pass];
  const Pass& what = plan_.passes[pass];
  std::vector<std::array<uint32_t, 4>> header;
  // One pixel: all planes in the same place, results behind sources.
  const std::array<uint32_t, 3> stride{16, 16, 16};
  if (one_pixel) {
    const uint32_t behind = what.to.kind == Pass::Place::Kind::kInner ? 0 : kScratchBytes / 4;
    header = {{1, 1, 0, 0}, {behind, behind, behind, 0}, Vector(stride)};
  } else {
    header = {{what.result.width, what.result.height, 0, 0},
              Vector(what.result.offset),
              Vector(what.result.stride)};
  }
  for (uint32_t i = 0; i < kernel.text.inputs; ++i) {
    const Shape shape = i < what.inputs.size() ? what.inputs[i].shape : Shape{};
    if (one_pixel) {
      header.insert(header.end(), {{0, 0, 0, 0}, Vector(stride), {1, 1, 0, 0}});
    } else {
      header.insert(header.end(), {Vector(shape.offset), Vector(shape.stride),
                                   std::array<uint32_t, 4>{shape.width, shape.height, 0, 0}});
    }
  }
  for (const auto& [width, height] : kernel.text.sizes)
    header.push_back({one_pixel ? 1 : width, one_pixel ? 1 : height, 0, 0});
  uint8_t* const at = uniforms_.mapped() + recording.slot * block_bytes_ + kernel.block_at;
  std::memcpy(at, header.data(), header.size() * kVectorBytes);
}

void Program::Gather(const NumberSource& numbers) {
  // First: what changes while it is copied is copied again.
  const uint64_t changes = numbers.changes();
  if (gathered_count_ > 0 && changes == changes_seen_) return;
  changes_seen_ = changes;
  former_ = gathered_;
  for (uint32_t n = 0; n < numbers_.size(); ++n) {
    if (!numbers_[n].empty()) numbers.CopyParams(n, numbers_[n]);
  }
  for (const Kernel& kernel : kernels_) {
    float* const block = gathered_.data() + kernel.numbers_at;
    for (const ParamSlice& slice : kernel.text.params) {
      const Stage& stage = network_.nodes[slice.stage.node].stages[slice.stage.stage];
      const std::vector<float>& all = numbers_[slice.stage.node];
      if (stage.param_count == 0 || stage.first_param + stage.param_count > all.size()) continue;
      std::copy_n(all.begin() + stage.first_param, stage.param_count, block + slice.at);
    }
    if (!kernel.text.settled.empty())
      block[kernel.text.settled_at] = AreSettled(kernel.text.settled, numbers_) ? 1.0F : 0.0F;
  }
  // It may have been another island's numbers that changed.
  if (gathered_count_ == 0 || gathered_ != former_) ++gathered_count_;
}

// The device's memory is far for the CPU: it is written when numbers have changed.
void Program::WriteNumbers(Recording& recording) const {
  if (recording.gathered == gathered_count_) return;
  recording.gathered = gathered_count_;
  for (const Kernel& kernel : kernels_) {
    std::memcpy(uniforms_.mapped() + recording.slot * block_bytes_ + kernel.block_at +
                    HeaderBytes(kernel.text),
                gathered_.data() + kernel.numbers_at, uint64_t{kernel.text.floats} * 4);
  }
}

void Program::Stamp(const Recording& recording, uint32_t index) const {
  const auto count = static_cast<uint32_t>(kernels_.size() + 1);
  device_.vk().vkCmdWriteTimestamp2(recording.commands, VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT,
                                    queries_, recording.slot * count + index);
}

void Program::ReadTimes(Recording& recording) {
  if (recording.untimed || recording.point == 0) return;
  recording.untimed = true;
  const auto count = static_cast<uint32_t>(kernels_.size() + 1);
  std::array<uint64_t, 65> stamps{};
  if (count > stamps.size()) return;
  const VkResult result = device_.vk().vkGetQueryPoolResults(
      device_.handle(), queries_, recording.slot * count, count, count * sizeof(uint64_t),
      stamps.data(), sizeof(uint64_t), VK_QUERY_RESULT_64_BIT);
  if (result != VK_SUCCESS) return;
  for (uint32_t p = 0; p < kernels_.size(); ++p) {
    const uint64_t ticks = (stamps[p + 1] - stamps[p]) & device_.info().timestamp_mask;
    const auto ns = static_cast<uint64_t>(static_cast<double>(ticks) * device_.info().timestamp_ns);
    times_[p].Add(ns);
  }
}

void Program::CollectTimes(uint64_t completed) {
  for (const auto& recording : recordings_) {
    if (recording->point <= completed) ReadTimes(*recording);
  }
}

}  // namespace sluice::vulkan
