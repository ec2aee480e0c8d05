// The frames of a firing, and the firing itself.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <functional>
#include <utility>

#include "nodes/vulkan/domain.h"

namespace sluice::vulkan {
namespace {

constexpr std::chrono::seconds kStagingWait{10};
constexpr std::chrono::seconds kExportWait{2};

sdk::Status ToStatus(const Error& error) { return sdk::Status(error.code, error.message); }

PlaneBuffers PlanesOf(const Import& import, const Shape& shape) {
  PlaneBuffers planes = AllPlanesIn(import.parts.front().buffer());
  for (uint32_t p = 0; p < shape.planes; ++p) planes[p] = import.parts[shape.part[p]].buffer();
  return planes;
}

void AddForeign(const Import* import, bool written, std::vector<ForeignBuffer>& list) {
  if (import == nullptr || !import->foreign) return;
  for (const Memory& part : import->parts) {
    const auto known = std::find_if(list.begin(), list.end(), [&](const ForeignBuffer& f) {
      return f.buffer == part.buffer();
    });
    if (known == list.end()) {
      list.push_back({part.buffer(), written});
    } else {
      known->written |= written;
    }
  }
}

}  // namespace

Result<VulkanDomain::Bound> VulkanDomain::Stage(const sluice_frame* frame,
                                                const sluice_shm_view& view, const Shape& shape,
                                                const FrameNode& node, bool is_input,
                                                const std::string& reason) {
  if (is_input) {
    if (Status s = AwaitOnHost(frame, node.input().sync); !s) return tl::unexpected(s.error());
  }
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
  return Bound{AllPlanesIn((*item)->memory.buffer()), nullptr, *item, base};
}

Result<VulkanDomain::Bound> VulkanDomain::BindDmabuf(sluice_frame* frame, const Shape& shape) {
  const sluice_buffer_id id = host_.frames()->buffer_id(frame);
  const Import* import = imports_->Find(id);
  if (import == nullptr) {
    sluice_memory memory{};
    if (const int32_t code = host_.memory()->fds(frame, SLUICE_VIEW_DMABUF, &memory); code < 0) {
      return Fail(code, std::string("a frame without dma-bufs (") + sdk::CodeName(code) + ")");
    }
    auto made = imports_->ImportDmabuf(id, memory, shape);
    if (!made) return tl::unexpected(made.error());
    import = *made;
  }
  std::array<uint64_t, SLUICE_MAX_PLANES> sizes{};
  const size_t parts = std::min(import->parts.size(), sizes.size());
  for (size_t i = 0; i < parts; ++i) sizes[i] = import->parts[i].size();
  if (Status s = CheckParts(shape, std::span(sizes).first(parts)); !s)
    return tl::unexpected(s.error());
  return Bound{PlanesOf(*import, shape), import, nullptr, nullptr};
}

Result<VulkanDomain::Bound> VulkanDomain::BindShm(sluice_frame* frame, const Shape& shape,
                                                  const FrameNode& node, bool is_input) {
  sluice_shm_view view{};
  if (host_.frames()->shm(frame, &view) < 0)
    return Fail(SLUICE_E_UNSUPPORTED, "a frame without shared memory");
  if (shape.parts > 1) {
    return Fail(SLUICE_E_UNSUPPORTED, "shared memory in " + std::to_string(shape.parts) + " parts");
  }
  if (view.size < shape.bytes) {
    return Fail(SLUICE_E_INVALID_ARGUMENT, "a buffer of " + std::to_string(view.size) + " bytes, " +
                                               std::to_string(shape.bytes) + " are needed");
  }
  if (force_staging_)
    return Stage(frame, view, shape, node, is_input, "staging: SLUICE_VULKAN_FORCE_STAGING is set");
  const sluice_buffer_id id = host_.frames()->buffer_id(frame);
  // An earlier frame in this buffer went by its dma-buf, where the mapping could not be imported.
  if (const Import* known = imports_->Find(id); known != nullptr && known->foreign)
    return BindDmabuf(frame, shape);
  auto import = imports_->ImportHost(id, view.base, view.size);
  if (import) return Bound{PlanesOf(**import, shape), *import, nullptr, nullptr};
  if (import.error().code != SLUICE_E_UNSUPPORTED) return tl::unexpected(import.error());
  const uint32_t views = is_input ? node.input().views : node.output().views;
  if ((views & this->views() & SLUICE_VIEW_DMABUF) != 0) {
    if (auto bound = BindDmabuf(frame, shape)) return bound;
  }
  return Stage(frame, view, shape, node, is_input, "staging: " + import.error().message);
}

// Shared memory by its mapping: it needs no ownership transfers, and a CPU neighbour reads it as it
// lies.
Result<VulkanDomain::Bound> VulkanDomain::Bind(sluice_frame* frame, const Shape& shape,
                                               const FrameNode& node, bool is_input) {
  const uint32_t views = is_input ? node.input().views : node.output().views;
  std::lock_guard<std::mutex> lock(mutex_);
  if ((views & SLUICE_VIEW_DMABUF) != 0 && ((views & SLUICE_VIEW_SHM) == 0 || shape.parts > 1)) {
    return BindDmabuf(frame, shape);
  }
  return BindShm(frame, shape, node, is_input);
}

sdk::Status VulkanDomain::TestImport(sdk::FrameRef frame, const sluice_port_config& port) {
  const auto shape = MakeShape(port.format, port.layout);
  // What shared memory cannot be imported is copied, and counted: no reason to refuse it.
  if ((port.views & SLUICE_VIEW_DMABUF) == 0 ||
      ((port.views & SLUICE_VIEW_SHM) != 0 && shape && shape->parts == 1)) {
    return {};
  }
  if (!shape) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s: %s", port.name,
                              shape.error().message.c_str());
  }
  std::lock_guard<std::mutex> lock(mutex_);
  const auto bound = BindDmabuf(frame.c(), *shape);
  if (bound) return {};
  // Whatever the driver calls it: this way does not go. A lost device is another matter.
  const int32_t code =
      bound.error().code == SLUICE_E_DEVICE_LOST ? SLUICE_E_DEVICE_LOST : SLUICE_E_UNSUPPORTED;
  return sdk::Status::Error(code, "%s: import as dma-buf by %s: %s", port.name,
                            device_->info().name.c_str(), bound.error().message.c_str());
}

Result<const VulkanDomain::Bound*> VulkanDomain::BindPlace(Island& island,
                                                           const sluice_batch& batch,
                                                           const IslandStep& step, bool is_source) {
  const IslandStep::Place& place = is_source ? step.from : step.to;
  const bool is_input = place.kind == IslandStep::Place::Kind::kInput;
  Bound& bound = is_input ? island.inputs[place.index] : island.outputs[place.index];
  if (bound.IsMade()) return &bound;
  auto made = Bind(is_input ? batch.inputs[place.index] : batch.outputs[place.index],
                   is_source ? step.src : step.dst, *step.node, is_input);
  if (!made) {
    return Fail(made.error().code, std::string(is_input ? "in: " : "out: ") + made.error().message);
  }
  bound = *made;
  AddForeign(bound.import, !is_input, island.foreign);
  return &bound;
}

Result<VkCommandBuffer> VulkanDomain::Record(Island& island, const sluice_batch& batch) {
  island.foreign.clear();
  const auto planes = [&](const IslandStep& step, bool is_source) -> Result<PlaneBuffers> {
    const IslandStep::Place& place = is_source ? step.from : step.to;
    if (place.kind == IslandStep::Place::Kind::kInner)
      return AllPlanesIn(island.gpu->inner[place.index].buffer());
    auto bound = BindPlace(island, batch, step, is_source);
    if (!bound) return tl::unexpected(bound.error());
    return (*bound)->planes;
  };
  for (size_t i = 0; i < island.steps.size(); ++i) {
    const IslandStep& step = island.steps[i];
    auto src = planes(step, true);
    if (!src) return tl::unexpected(src.error());
    auto dst = planes(step, false);
    if (!dst) return tl::unexpected(dst.error());
    island.recording[i] = {step.module, step.pipeline, *src, *dst,
                           PushFor(step.src, step.dst, step.node->params())};
  }
  return island.gpu->ring->Record(island.recording, queue_->completed(), island.foreign);
}

void VulkanDomain::AddCopiesOut(const Island& island, uint64_t point) {
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
}

// By memory, not by point: another island may have got the same one since. Ours until released.
void VulkanDomain::DropCopiesOut(const Island& island) {
  std::lock_guard<std::mutex> lock(copies_mutex_);
  std::erase_if(copies_, [&](const CopyOut& copy) {
    return std::any_of(island.outputs.begin(), island.outputs.end(), [&](const Bound& bound) {
      return bound.staging != nullptr && bound.staging->memory.mapped() == copy.from;
    });
  });
}

void VulkanDomain::ReleaseStaging(Island& island, uint64_t until) {
  std::lock_guard<std::mutex> lock(mutex_);
  for (const auto* list : {&island.inputs, &island.outputs}) {
    for (const Bound& bound : *list) {
      if (bound.staging != nullptr) bound.staging->busy_until = until;
    }
  }
}

Result<uint64_t> VulkanDomain::Fire(Island& island, const sluice_batch& batch) {
  // First: whatever fails must not give back the staging memory of the firing before.
  std::fill(island.inputs.begin(), island.inputs.end(), Bound{});
  std::fill(island.outputs.begin(), island.outputs.end(), Bound{});
  std::unique_lock<std::mutex> implicit(implicit_mutex_, std::defer_lock);
  if (island.implicit) implicit.lock();
  if (island.implicit && ExportWouldWait()) {
    // Its end must be in the dma-bufs when this returns.
    if (Status s = queue_->WaitIdle(std::chrono::steady_clock::now() + kExportWait); !s)
      return tl::unexpected(s.error());
  }
  Island::Resources& gpu = *island.gpu;
  const auto give_up = [&](const Error& error) -> Result<uint64_t> {
    ReleaseStaging(island, 0);
    gpu.waits.NotSubmitted();
    gpu.signals.NotSubmitted();
    return tl::unexpected(error);
  };
  if (Status s = CollectFences(island, batch); !s) return give_up(s.error());
  auto commands = Record(island, batch);
  if (!commands) return give_up(commands.error());
  // The CPU finishes a staged output after the device: a file would signal too early.
  const bool staged = std::any_of(island.outputs.begin(), island.outputs.end(),
                                  [](const Bound& bound) { return bound.staging != nullptr; });
  VkSemaphore signal = VK_NULL_HANDLE;
  if (island.shows_files && !staged && !ExportWouldWait()) {
    auto taken = gpu.signals.Take(queue_->completed());
    if (!taken) return give_up(taken.error());
    signal = *taken;
  }
  const auto prepare = [&](uint64_t point) {
    if (!island.waiting.empty()) last_held_.store(point);
    AddCopiesOut(island, point);
  };
  // By reference: std::function then allocates nothing.
  auto point =
      queue_->Submit({*commands, island.wait_point, island.waiting, signal}, std::ref(prepare));
  if (!point) {
    DropCopiesOut(island);
    return give_up(point.error());
  }
  ReleaseStaging(island, *point);
  gpu.ring->Submitted(*point);
  gpu.waits.Submitted(*point);
  gpu.signals.Submitted(*point);
  island.last_point = *point;
  ShowEnd(island, batch, *point, signal);
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

}  // namespace sluice::vulkan
