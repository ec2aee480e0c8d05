#include "nodes/vulkan/domain.h"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <optional>

namespace sluice::vulkan {
namespace {

constexpr uint32_t kMaxReleaseFences = 64;
constexpr std::chrono::seconds kStagingWait{10};

sdk::Status ToStatus(const Error& error) { return sdk::Status(error.code, error.message); }

bool FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && std::strcmp(value, "1") == 0;
}

void CopyText(char* to, size_t size, const std::string& from) {
  std::snprintf(to, size, "%s", from.c_str());
}

std::optional<uint32_t> FindPort(const sluice_island_port* ports, uint32_t count, uint32_t node) {
  for (uint32_t i = 0; i < count; ++i) {
    if (ports[i].node == node) return i;
  }
  return std::nullopt;
}

}  // namespace

Result<StagingPool::Item*> StagingPool::Take(uint64_t size, uint64_t done) {
  for (const auto& item : items_) {
    if (item->busy_until <= done && item->memory.size() >= size) return item.get();
  }
  auto memory = Memory::AllocateHostVisible(device_, size);
  if (!memory) return tl::unexpected(memory.error());
  items_.push_back(std::make_unique<Item>());
  items_.back()->memory = std::move(*memory);
  return items_.back().get();
}

sdk::Expected<std::unique_ptr<VulkanDomain>> VulkanDomain::Create(const sdk::Host& host,
                                                                  const sdk::Params& params) {
  DeviceOptions options = DeviceOptionsFromEnvironment();
  options.selector = params.String("device");
  auto device = Device::Create(options);
  if (!device) return ToStatus(device.error());
  std::unique_ptr<VulkanDomain> domain(new VulkanDomain(host, std::move(*device)));
  if (sdk::Status status = domain->Open(); !status.ok()) return status;
  return domain;
}

sdk::Status VulkanDomain::Open() {
  force_staging_ = FromEnvironment("SLUICE_VULKAN_FORCE_STAGING");
  auto timeline = sdk::Timeline::Create(host_, device_->info().name.c_str());
  if (!timeline.ok()) return timeline.status();
  timeline_ = *std::move(timeline);
  auto kernels = KernelModule::CreateBuiltin(*device_);
  if (!kernels) return ToStatus(kernels.error());
  kernels_ = std::move(*kernels);
  imports_ = std::make_unique<ImportCache>(*device_);
  staging_ = std::make_unique<StagingPool>(*device_);
  auto queue = Queue::Create(*device_, {[this](uint64_t point) { OnCompleted(point); },
                                        [this](uint64_t first, uint64_t last, const Error& error) {
                                          OnLost(first, last, error);
                                        }});
  if (!queue) return ToStatus(queue.error());
  queue_ = std::move(*queue);
  return {};
}

VulkanDomain::~VulkanDomain() {
  queue_.reset();
  if (device_->validating() && device_->validation_messages() > 0) {
    host_.Log(SLUICE_LOG_ERROR, kDomain, "%u validation messages", device_->validation_messages());
  }
}

sdk::Status VulkanDomain::Describe(sluice_domain_info& out) const {
  const DeviceInfo& info = device_->info();
  out = {};
  CopyText(out.device_name, sizeof out.device_name, info.name);
  CopyText(out.driver, sizeof out.driver, info.driver);
  std::copy(info.uuid.begin(), info.uuid.end(), out.device_uuid);
  out.views = info.import_alignment > 0 ? SLUICE_VIEW_SHM : 0;
  out.base_multiple = static_cast<uint32_t>(std::max<uint64_t>(info.import_alignment, 1));
  out.size_multiple = out.base_multiple;
  out.offset_multiple = kStrideMultiple;
  out.is_software = device_->is_software() ? 1 : 0;
  return {};
}

void VulkanDomain::OnCompleted(uint64_t point) {
  for (;;) {
    CopyOut copy{};
    {
      std::lock_guard<std::mutex> lock(copies_mutex_);
      if (copies_.empty() || copies_.front().point > point) break;
      copy = copies_.front();
      copies_.pop_front();
    }
    std::memcpy(copy.to, copy.from, copy.bytes);
  }
  announced_.store(point);
  timeline_.Signal(point);
}

void VulkanDomain::OnLost(uint64_t first, uint64_t last, const Error& error) {
  host_.Log(SLUICE_LOG_ERROR, kDomain, "%s", error.message.c_str());
  for (uint64_t point = first; point <= last; ++point) timeline_.Fail(point, error.code);
  timeline_.Signal(last);
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
    step.to = {IslandStep::Place::Kind::kInner, static_cast<uint32_t>(island.inner.size())};
    island.inner.push_back(std::move(*memory));
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
    island.modules.push_back(std::move(*module));
  } else {
    pipeline = kernels_->Get(constants);
  }
  if (!pipeline) return tl::unexpected(pipeline.error());
  step.pipeline = *pipeline;
  island.steps.push_back(step);
  return {};
}

sdk::Expected<std::unique_ptr<VulkanDomain::Island>> VulkanDomain::CreateIsland(
    const sluice_island_desc& desc) {
  auto island = std::make_unique<Island>();
  island->name = desc.name;
  for (uint32_t i = 0; i < desc.node_count; ++i) {
    if (Status s = AddStep(desc, i, *island); !s) {
      return sdk::Status::Error(s.error().code, "%s: %s", desc.name, s.error().message.c_str());
    }
  }
  island->recording.resize(island->steps.size());
  island->inputs.resize(desc.input_count);
  island->outputs.resize(desc.output_count);
  auto ring = CommandRing::Create(*device_, kernels_->set_layout(), std::max(desc.node_count, 1U));
  if (!ring) return ToStatus(ring.error());
  island->ring = std::move(*ring);
  return island;
}

Status VulkanDomain::Merge(const sluice_fence& fence, uint64_t& point) const {
  switch (fence.kind) {
    case SLUICE_FENCE_SIGNALLED:
      return {};
    case SLUICE_FENCE_TIMELINE: {
      if (fence.timeline == timeline_.c()) {
        // What the waiter has announced is over, and visible to the host as well.
        if (fence.point > announced_.load()) point = std::max(point, fence.point);
        return {};
      }
      const int32_t status = host_.timelines()->status(fence.timeline, fence.point);
      if (status == 1) return {};
      // A GPU never waits for a host timeline: the engine fires an island after that has signalled.
      return Fail(status < 0 ? status : SLUICE_E_NOT_SUBMITTED,
                  "a frame whose fence has not signalled");
    }
    default: {
      pollfd poll_fd{fence.fd, POLLIN, 0};
      if (poll(&poll_fd, 1, 0) == 1) return {};
      return Fail(SLUICE_E_UNSUPPORTED,
                  "a sync_file that has not signalled: this device cannot wait for one");
    }
  }
}

Result<uint64_t> VulkanDomain::WaitPoint(const sluice_batch& batch) const {
  uint64_t point = 0;
  const sluice_frame_api& api = *host_.frames();
  for (uint32_t i = 0; i < batch.input_count; ++i) {
    if (Status s = Merge(api.acquire_fence(batch.inputs[i]), point); !s)
      return tl::unexpected(s.error());
  }
  sluice_fence fences[kMaxReleaseFences];
  for (uint32_t i = 0; i < batch.output_count; ++i) {
    const uint32_t count = std::min(api.release_fences(batch.outputs[i], fences, kMaxReleaseFences),
                                    kMaxReleaseFences);
    for (uint32_t f = 0; f < count; ++f) {
      if (Status s = Merge(fences[f], point); !s) return tl::unexpected(s.error());
    }
  }
  return point;
}

Result<VulkanDomain::Bound> VulkanDomain::Stage(const sluice_shm_view& view, const Shape& shape,
                                                const FrameNode& node, bool is_input,
                                                const std::string& reason) {
  auto item = staging_->Take(shape.bytes, announced_.load());
  if (!item) return tl::unexpected(item.error());
  // Taken: nobody else gets it before the submission says until when.
  (*item)->busy_until = UINT64_MAX;
  auto* base = static_cast<uint8_t*>(view.base);
  if (is_input && queue_->submitted() > announced_.load()) {
    // The CPU reads it now, so that what the device may still write into it must be there now.
    if (Status s = queue_->WaitIdle(std::chrono::steady_clock::now() + kStagingWait); !s) {
      (*item)->busy_until = 0;
      return tl::unexpected(s.error());
    }
  }
  if (is_input) std::memcpy((*item)->memory.mapped(), base, shape.bytes);
  node.host_context().CountCopy(is_input ? "in" : "out", shape.bytes, reason.c_str());
  return Bound{(*item)->memory.buffer(), *item, base};
}

Result<VulkanDomain::Bound> VulkanDomain::Bind(sluice_frame* frame, const Shape& shape,
                                               const FrameNode& node, bool is_input) {
  sluice_shm_view view{};
  if (host_.frames()->shm(frame, &view) < 0)
    return Fail(SLUICE_E_UNSUPPORTED, "a frame without shared memory");
  if (view.size < shape.bytes) {
    return Fail(SLUICE_E_INVALID_ARGUMENT, "a buffer of " + std::to_string(view.size) + " bytes, " +
                                               std::to_string(shape.bytes) + " are needed");
  }
  std::lock_guard<std::mutex> lock(mutex_);
  if (force_staging_)
    return Stage(view, shape, node, is_input, "staging: SLUICE_VULKAN_FORCE_STAGING is set");
  auto memory = imports_->Get(host_.frames()->buffer_id(frame), view.base, view.size);
  if (memory) return Bound{(*memory)->buffer(), nullptr, nullptr};
  if (memory.error().code != SLUICE_E_UNSUPPORTED) return tl::unexpected(memory.error());
  return Stage(view, shape, node, is_input, "staging: " + memory.error().message);
}

Result<uint64_t> VulkanDomain::Fire(Island& island, const sluice_batch& batch) {
  auto wait_point = WaitPoint(batch);
  if (!wait_point) return wait_point;
  std::fill(island.inputs.begin(), island.inputs.end(), Bound{});
  std::fill(island.outputs.begin(), island.outputs.end(), Bound{});
  const auto bind = [&](const IslandStep& step, const IslandStep::Place& place,
                        const Shape& shape) -> Result<VkBuffer> {
    if (place.kind == IslandStep::Place::Kind::kInner) return island.inner[place.index].buffer();
    const bool is_input = place.kind == IslandStep::Place::Kind::kInput;
    Bound& bound = is_input ? island.inputs[place.index] : island.outputs[place.index];
    if (bound.buffer == VK_NULL_HANDLE) {
      auto made = Bind(is_input ? batch.inputs[place.index] : batch.outputs[place.index], shape,
                       *step.node, is_input);
      if (!made) return tl::unexpected(made.error());
      bound = *made;
    }
    return bound.buffer;
  };
  const auto release_staging = [&](uint64_t until) {
    std::lock_guard<std::mutex> lock(mutex_);
    for (const auto* list : {&island.inputs, &island.outputs}) {
      for (const Bound& bound : *list) {
        if (bound.staging != nullptr) bound.staging->busy_until = until;
      }
    }
  };
  const auto record = [&]() -> Result<VkCommandBuffer> {
    for (size_t i = 0; i < island.steps.size(); ++i) {
      const IslandStep& step = island.steps[i];
      auto src = bind(step, step.from, step.src);
      if (!src) return tl::unexpected(src.error());
      auto dst = bind(step, step.to, step.dst);
      if (!dst) return tl::unexpected(dst.error());
      island.recording[i] = {step.module, step.pipeline, *src, *dst,
                             PushFor(step.src, step.dst, step.node->params())};
    }
    return island.ring->Record(island.recording, queue_->completed());
  };
  auto commands = record();
  if (!commands) {
    release_staging(0);
    return tl::unexpected(commands.error());
  }
  const auto prepare = [&](uint64_t point) {
    std::lock_guard<std::mutex> lock(copies_mutex_);
    for (size_t i = 0; i < island.outputs.size(); ++i) {
      const Bound& bound = island.outputs[i];
      if (bound.staging == nullptr) continue;
      uint64_t bytes = 0;
      for (const IslandStep& step : island.steps) {
        if (step.to.kind == IslandStep::Place::Kind::kOutput && step.to.index == i)
          bytes = step.dst.bytes;
      }
      copies_.push_back({point, bound.staging->memory.mapped(), bound.base, bytes});
    }
  };
  // By reference: std::function then allocates nothing.
  auto point = queue_->Submit(*commands, *wait_point, std::ref(prepare));
  if (!point) {
    // By memory, not by point: another island may have got the same one since. Ours until released.
    std::lock_guard<std::mutex> lock(copies_mutex_);
    std::erase_if(copies_, [&](const CopyOut& copy) {
      return std::any_of(island.outputs.begin(), island.outputs.end(), [&](const Bound& bound) {
        return bound.staging != nullptr && bound.staging->memory.mapped() == copy.from;
      });
    });
  }
  release_staging(point ? *point : 0);
  if (!point) return point;
  island.ring->Submitted(*point);
  timeline_.Submitted(*point);
  return point;
}

sdk::Status VulkanDomain::Submit(Island& island, const sluice_batch& batch,
                                 std::span<sluice_fence> fences) {
  if (batch.input_count != island.inputs.size() || batch.output_count != island.outputs.size()) {
    return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT, "%s: a batch of %u inputs and %u outputs",
                              island.name.c_str(), batch.input_count, batch.output_count);
  }
  const auto point = Fire(island, batch);
  if (!point) {
    const sdk::Status status = ToStatus(point.error());
    // The first is as good as any where it is not known which one is to blame.
    if (!island.steps.empty()) island.steps.front().node->host_context().Fail(status);
    return status;
  }
  std::fill(fences.begin(), fences.end(), *sdk::Fence::At(timeline_, *point).c());
  return {};
}

void VulkanDomain::ForgetPool(uint32_t pool, uint32_t epoch) {
  std::lock_guard<std::mutex> lock(mutex_);
  imports_->ForgetPool(pool, epoch);
}

sdk::Status VulkanDomain::WaitIdle(int64_t deadline_ns) {
  const std::chrono::steady_clock::time_point deadline{std::chrono::nanoseconds(deadline_ns)};
  if (Status s = queue_->WaitIdle(deadline); !s) return ToStatus(s.error());
  return {};
}

}  // namespace sluice::vulkan
