#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "nodes/vulkan/domain.h"

namespace sluice::vulkan {
namespace {

constexpr uint32_t kFileSyncs = SLUICE_SYNC_SYNC_FILE | SLUICE_SYNC_SYNCOBJ | SLUICE_SYNC_IMPLICIT;

constexpr uint32_t kScratchBytes = 4096;
constexpr std::chrono::seconds kWarmUpLimit{60};

sdk::Status ToStatus(const Error& error) { return sdk::Status(error.code, error.message); }

std::optional<uint32_t> FindPort(const sluice_island_port* ports, uint32_t count, uint32_t node) {
  for (uint32_t i = 0; i < count; ++i) {
    if (ports[i].node == node) return i;
  }
  return std::nullopt;
}

}  // namespace

VulkanDomain::Island::Island(VulkanDomain& owner)
    : domain(owner), gpu(std::make_unique<Resources>(owner.device())) {}

VulkanDomain::Island::~Island() {
  if (!domain.IsOver(last_point)) (void)gpu.release();
}

Status VulkanDomain::AddStep(const sluice_island_desc& desc, uint32_t node, Island& island) {
  IslandStep step;
  step.node = FrameNodeOf(*desc.nodes[node]);
  if (step.node == nullptr) return Fail(SLUICE_E_UNSUPPORTED, "a node that is not of this plugin");
  sluice_format src_format = step.node->input().format;
  sluice_format dst_format = step.node->output().format;
  sluice_layout src_layout = step.node->input().layout;
  sluice_layout dst_layout = step.node->output().layout;
  const auto input = FindPort(desc.inputs, desc.input_count, node);
  const auto output = FindPort(desc.outputs, desc.output_count, node);
  if (output) {
    step.to = {IslandStep::Place::Kind::kOutput, *output};
  } else {
    for (uint32_t e = 0; e < desc.edge_count; ++e) {
      if (desc.edges[e].from.node == node) dst_format = desc.edges[e].format;
    }
    auto layout = MakeLayout(dst_format);
    if (!layout) return tl::unexpected(layout.error());
    dst_layout = *layout;
    auto memory = Memory::AllocateDevice(*device_, dst_layout.size);
    if (!memory) return tl::unexpected(memory.error());
    step.to = {IslandStep::Place::Kind::kInner, static_cast<uint32_t>(island.gpu->inner.size())};
    island.gpu->inner.push_back(std::move(*memory));
  }
  auto dst = MakeShape(dst_format, dst_layout);
  if (!dst) return tl::unexpected(dst.error());
  step.dst = *dst;
  if (input) {
    step.from = {IslandStep::Place::Kind::kInput, *input};
    auto src = MakeShape(src_format, src_layout);
    if (!src) return tl::unexpected(src.error());
    step.src = *src;
  } else {
    const IslandStep* producer = nullptr;
    for (uint32_t e = 0; e < desc.edge_count; ++e) {
      if (desc.edges[e].to.node == node && desc.edges[e].from.node < island.steps.size()) {
        producer = &island.steps[desc.edges[e].from.node];
      }
    }
    if (producer == nullptr)
      return Fail(SLUICE_E_INVALID_ARGUMENT, "a node whose input comes from nowhere before it");
    step.from = producer->to;
    step.src = producer->dst;
  }
  step.module = kernels_.get();
  Result<VkPipeline> pipeline = VkPipeline{};
  const Constants constants = ConstantsFor(step.src, step.dst, step.node->look());
  if (!step.node->spirv().empty()) {
    auto module = KernelModule::Create(*device_, step.node->spirv());
    if (!module) return tl::unexpected(module.error());
    pipeline = (*module)->Get(constants);
    step.module = module->get();
    island.gpu->modules.push_back(std::move(*module));
  } else {
    pipeline = kernels_->Get(constants);
  }
  if (!pipeline) return tl::unexpected(pipeline.error());
  step.pipeline = *pipeline;
  island.steps.push_back(step);
  return {};
}

Status VulkanDomain::WarmUp(Island& island) {
  if (!device_->is_software()) return {};
  auto scratch = Memory::AllocateDevice(*device_, 2 * kScratchBytes);
  if (!scratch) return tl::unexpected(scratch.error());
  Island::Resources& gpu = *island.gpu;
  gpu.scratch = std::move(*scratch);
  // One pixel, with all planes in the same place.
  Push push;
  push.width = push.height = 1;
  push.src_stride.fill(kStrideMultiple / 4);
  push.dst_stride = push.src_stride;
  push.dst_offset.fill(kScratchBytes / 4);
  const PlaneBuffers planes = AllPlanesIn(gpu.scratch.buffer());
  for (size_t i = 0; i < island.steps.size(); ++i) {
    push.param = island.steps[i].node->params();
    island.recording[i] = {island.steps[i].module, island.steps[i].pipeline, planes, planes, push};
  }
  auto commands = gpu.ring->Record(island.recording, queue_->completed());
  if (!commands) return tl::unexpected(commands.error());
  auto point = queue_->Submit(*commands, 0);
  if (!point) return tl::unexpected(point.error());
  gpu.ring->Submitted(*point);
  island.last_point = *point;
  // Late: then the first frame waits for it.
  (void)queue_->WaitIdle(std::chrono::steady_clock::now() + kWarmUpLimit);
  return {};
}

sdk::Expected<std::unique_ptr<VulkanDomain::Island>> VulkanDomain::CreateIsland(
    const sluice_island_desc& desc) {
  auto island = std::make_unique<Island>(*this);
  island->name = desc.name;
  for (uint32_t i = 0; i < desc.node_count; ++i) {
    if (Status s = AddStep(desc, i, *island); !s) {
      return sdk::Status::Error(s.error().code, "%s: %s", desc.name, s.error().message.c_str());
    }
  }
  uint32_t sync = 0;
  for (uint32_t i = 0; i < desc.input_count; ++i) {
    const FrameNode& node = *FrameNodeOf(*desc.nodes[desc.inputs[i].node]);
    island->input_sync.push_back(node.input().sync);
    sync |= node.input().sync;
  }
  uint32_t shown = sync & SLUICE_SYNC_IMPLICIT;
  for (uint32_t i = 0; i < desc.output_count; ++i) {
    const FrameNode& node = *FrameNodeOf(*desc.nodes[desc.outputs[i].node]);
    island->output_sync.push_back(node.output().sync);
    sync |= node.output().sync;
    shown |= node.output().sync & kFileSyncs;
  }
  island->implicit = (sync & SLUICE_SYNC_IMPLICIT) != 0;
  island->shows_files = shown != 0;
  if ((sync & kFileSyncs) != 0 && !device_->info().external.sync_files()) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s: %s has no sync_files (SYNC_FD)", desc.name,
                              device_->info().name.c_str());
  }
  island->recording.resize(island->steps.size());
  island->inputs.resize(desc.input_count);
  island->outputs.resize(desc.output_count);
  auto ring = CommandRing::Create(*device_, kernels_->set_layout(), std::max(desc.node_count, 1U));
  if (!ring) return ToStatus(ring.error());
  island->gpu->ring = std::move(*ring);
  if (Status s = WarmUp(*island); !s) return ToStatus(s.error());
  return island;
}

}  // namespace sluice::vulkan
