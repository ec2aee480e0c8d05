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

constexpr std::chrono::seconds kExportWait{2};

sdk::Status ToStatus(const Error& error) { return sdk::Status(error.code, error.message); }

BoundFrame Whole(const Import& import, const Shape& shape) {
  PlaneBuffers planes = AllPlanesIn(import.parts.front().buffer());
  for (uint32_t p = 0; p < shape.planes; ++p) planes[p] = import.parts[shape.part[p]].buffer();
  return {planes, import.parts.front().serial()};
}

void AddForeign(const Import* import, bool written, std::vector<ForeignBuffer>& list) {
  if (import == nullptr || (!import->foreign && !import->external)) return;
  for (const Memory& part : import->parts) {
    const auto known = std::find_if(list.begin(), list.end(), [&](const ForeignBuffer& f) {
      return f.buffer == part.buffer();
    });
    if (known == list.end()) {
      list.push_back({part.buffer(), written, import->external});
    } else {
      known->written |= written;
    }
  }
}

}  // namespace

Result<VulkanDomain::Bound> VulkanDomain::Stage(const sluice_frame* frame,
                                                const sluice_shm_view& view, const Border& border,
                                                bool is_input, const std::string& reason) {
  if (is_input) {
    if (Status s = AwaitOnHost(frame, border.port.sync); !s) return tl::unexpected(s.error());
  }
  const uint64_t bytes = border.shape.bytes;
  auto item = staging_->Take(bytes, announced_.load());
  if (!item) return tl::unexpected(item.error());
  // Taken: nobody else gets it before the submission says until when.
  (*item)->busy_until = UINT64_MAX;
  auto* base = static_cast<uint8_t*>(view.base);
  if (is_input) std::memcpy((*item)->memory.mapped(), base, bytes);
  border.node->host_context().CountCopy(border.port.name, bytes, reason.c_str());
  const Memory& memory = (*item)->memory;
  return Bound{{AllPlanesIn(memory.buffer()), memory.serial()}, nullptr, *item, base};
}

Result<VulkanDomain::Bound> VulkanDomain::BindDevice(const sluice_frame* frame,
                                                     const Shape& shape) {
  const Import* import = imports_->Find(host_.frames()->buffer_id(frame));
  if (import == nullptr)
    return Fail(SLUICE_E_UNSUPPORTED, "memory of a device, which is not this one");
  if (import->parts.front().size() < shape.bytes) {
    return Fail(SLUICE_E_INVALID_ARGUMENT,
                "a buffer of " + std::to_string(import->parts.front().size()) + " bytes, " +
                    std::to_string(shape.bytes) + " are needed");
  }
  return Bound{Whole(*import, shape), import, nullptr, nullptr};
}

Result<VulkanDomain::Bound> VulkanDomain::BindDmabuf(sluice_frame* frame, const Shape& shape,
                                                     bool written) {
  const sluice_buffer_id id = host_.frames()->buffer_id(frame);
  const Import* import = imports_->Find(id);
  if (import == nullptr || (written && !import->mappings.empty())) {
    sluice_memory memory{};
    if (const int32_t code = host_.memory()->fds(frame, SLUICE_VIEW_DMABUF, &memory); code < 0) {
      return Fail(code, std::string("a frame without dma-bufs (") + sdk::CodeName(code) + ")");
    }
    auto made = imports_->ImportDmabuf(id, memory, shape, written);
    if (!made) return tl::unexpected(made.error());
    import = *made;
  }
  std::array<uint64_t, SLUICE_MAX_PLANES> sizes{};
  const size_t parts = std::min(import->parts.size(), sizes.size());
  for (size_t i = 0; i < parts; ++i) sizes[i] = import->parts[i].size();
  if (Status s = CheckParts(shape, std::span(sizes).first(parts)); !s)
    return tl::unexpected(s.error());
  return Bound{Whole(*import, shape), import, nullptr, nullptr};
}

Result<VulkanDomain::Bound> VulkanDomain::BindShm(sluice_frame* frame, const Border& border,
                                                  bool is_input) {
  const Shape& shape = border.shape;
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
    return Stage(frame, view, border, is_input, "staging: SLUICE_VULKAN_FORCE_STAGING is set");
  const sluice_buffer_id id = host_.frames()->buffer_id(frame);
  // An earlier frame in this buffer went by its dma-buf, where the mapping could not be imported.
  if (const Import* known = imports_->Find(id); known != nullptr && known->foreign)
    return BindDmabuf(frame, shape, !is_input);
  auto import = imports_->ImportHost(id, view.base, view.size);
  if (import) return Bound{Whole(**import, shape), *import, nullptr, nullptr};
  if (import.error().code != SLUICE_E_UNSUPPORTED) return tl::unexpected(import.error());
  if ((border.port.views & this->views() & SLUICE_VIEW_DMABUF) != 0) {
    if (auto bound = BindDmabuf(frame, shape, !is_input)) return bound;
  }
  return Stage(frame, view, border, is_input, "staging: " + import.error().message);
}

// Shared memory by its mapping: it needs no ownership transfers, and a CPU neighbour reads it as it
// lies.
Result<VulkanDomain::Bound> VulkanDomain::Bind(sluice_frame* frame, const Border& border,
                                               bool is_input) {
  const uint32_t views = border.port.views;
  const Shape& shape = border.shape;
  std::lock_guard<std::mutex> lock(mutex_);
  if ((views & SLUICE_VIEW_DEVICE) != 0) return BindDevice(frame, shape);
  if ((views & SLUICE_VIEW_DMABUF) != 0 && ((views & SLUICE_VIEW_SHM) == 0 || shape.parts > 1)) {
    return BindDmabuf(frame, shape, !is_input);
  }
  return BindShm(frame, border, is_input);
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
  const auto bound = BindDmabuf(frame.c(), *shape, port.direction == SLUICE_PORT_OUTPUT);
  if (bound) return {};
  // Whatever the driver calls it: this way does not go. A lost device is another matter.
  const int32_t code =
      bound.error().code == SLUICE_E_DEVICE_LOST ? SLUICE_E_DEVICE_LOST : SLUICE_E_UNSUPPORTED;
  return sdk::Status::Error(code, "%s: import as dma-buf by %s: %s", port.name,
                            device_->info().name.c_str(), bound.error().message.c_str());
}

Status VulkanDomain::BindAll(Island& island, const sluice_batch& batch) {
  island.foreign.clear();
  const auto bind = [&](uint32_t i, bool is_input) -> Status {
    const Border& border = is_input ? island.input_borders[i] : island.output_borders[i];
    auto made = Bind(is_input ? batch.inputs[i] : batch.outputs[i], border, is_input);
    if (!made)
      return Fail(made.error().code, std::string(border.port.name) + ": " + made.error().message);
    Cross(island, i, is_input, *made);
    (is_input ? island.inputs : island.outputs)[i] = *made;
    (is_input ? island.input_frames : island.output_frames)[i] = made->frame;
    AddForeign(made->import, !is_input, island.foreign);
    return {};
  };
  for (uint32_t i = 0; i < batch.input_count; ++i) {
    if (Status s = bind(i, true); !s) return s;
  }
  for (uint32_t i = 0; i < batch.output_count; ++i) {
    if (Status s = bind(i, false); !s) return s;
  }
  return {};
}

void VulkanDomain::AddMappedReads(const Island& island, uint64_t point) {
  for (const Bound& bound : island.inputs) {
    if (bound.import == nullptr || bound.import->mappings.empty()) continue;
    for (const ReadMapping& mapping : bound.import->mappings) mapping.Begin();
    std::lock_guard<std::mutex> lock(copies_mutex_);
    mapped_reads_.push_back({point, bound.import});
  }
}

void VulkanDomain::EndMappedReads(uint64_t first, uint64_t last) {
  std::lock_guard<std::mutex> lock(copies_mutex_);
  std::erase_if(mapped_reads_, [&](const MappedRead& read) {
    if (read.point < first || read.point > last) return false;
    for (const ReadMapping& mapping : read.import->mappings) mapping.End();
    return true;
  });
}

void VulkanDomain::AddCopiesOut(const Island& island, uint64_t point) {
  std::lock_guard<std::mutex> lock(copies_mutex_);
  for (size_t i = 0; i < island.outputs.size(); ++i) {
    const Bound& bound = island.outputs[i];
    if (bound.staging == nullptr) continue;
    copies_.push_back(
        {point, bound.staging->memory.mapped(), bound.base, island.output_borders[i].shape.bytes});
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

void VulkanDomain::NoteUse(Island& island, uint64_t until) {
  std::lock_guard<std::mutex> lock(mutex_);
  for (const auto* list : {&island.inputs, &island.outputs}) {
    for (const Bound& bound : *list) {
      if (bound.staging != nullptr) bound.staging->busy_until = until;
      if (bound.import != nullptr) bound.import->last_use = std::max(bound.import->last_use, until);
    }
  }
}

void VulkanDomain::PassInfos(Island& island, const sluice_batch& batch) {
  using Kind = Network::Source::Kind;
  for (size_t n = 0; n < island.nodes.size(); ++n) {
    const auto& sources = island.network.nodes[n].sources;
    const auto first = std::find_if(sources.begin(), sources.end(), [&](const auto& source) {
      return source.kind == Kind::kNode ||
             (source.kind == Kind::kBorder && batch.inputs[source.index] != nullptr);
    });
    sluice_frame_info& info = island.infos[n];
    if (first == sources.end()) {
      info = {};
    } else if (first->kind == Kind::kNode) {
      info = island.infos[first->index];
    } else {
      info = *host_.frames()->info(batch.inputs[first->index]);
    }
    island.nodes[n]->PassInfo(info);
  }
  for (uint32_t o = 0; o < batch.output_count; ++o) {
    sluice_frame_info* out = host_.frames()->info_mut(batch.outputs[o]);
    if (out != nullptr) *out = island.infos[island.network.output_nodes[o]];
  }
}

Result<uint64_t> VulkanDomain::Fire(Island& island, const sluice_batch& batch) {
  // First: whatever fails must not give back the staging memory of the firing before.
  std::fill(island.inputs.begin(), island.inputs.end(), Bound{});
  std::fill(island.outputs.begin(), island.outputs.end(), Bound{});
  island.crossing.Clear();
  std::unique_lock<std::mutex> implicit(implicit_mutex_, std::defer_lock);
  if (island.implicit) implicit.lock();
  if (island.implicit && ExportWouldWait()) {
    // Its end must be in the dma-bufs when this returns.
    if (Status s = queue_->WaitIdle(std::chrono::steady_clock::now() + kExportWait); !s)
      return tl::unexpected(s.error());
  }
  Island::Resources& gpu = *island.gpu;
  const auto give_up = [&](const Error& error) -> Result<uint64_t> {
    NoteUse(island, 0);
    gpu.waits.NotSubmitted();
    gpu.signals.NotSubmitted();
    return tl::unexpected(error);
  };
  FollowChanges(island);
  if (Status s = CollectFences(island, batch); !s) return give_up(s.error());
  if (Status s = BindAll(island, batch); !s) return give_up(s.error());
  PassInfos(island, batch);
  auto recording = gpu.program->Prepare(island.input_frames, island.output_frames, island.foreign,
                                        announced_.load(), island);
  if (!recording) return give_up(recording.error());
  // The CPU finishes a staged output after the device: a file would signal too early.
  const bool staged = std::any_of(island.outputs.begin(), island.outputs.end(),
                                  [](const Bound& bound) { return bound.staging != nullptr; });
  VkSemaphore signal = VK_NULL_HANDLE;
  if (island.shows_files && !staged && !ExportWouldWait()) {
    auto taken = gpu.signals.Take(queue_->completed());
    if (!taken) return give_up(taken.error());
    signal = *taken;
  }
  const auto brought = CopyIn(island);
  if (!brought) return give_up(brought.error());
  const auto prepare = [&](uint64_t point) {
    if (!island.waiting.empty() || !island.crossing.waiting.empty()) last_held_.store(point);
    AddMappedReads(island, point);
    AddCopiesOut(island, point);
  };
  const auto refused = [&](uint64_t point) {
    DropCopiesOut(island);
    EndMappedReads(point, point);
  };
  // By reference: std::function then allocates nothing.
  std::unique_lock<std::mutex> copies_out(crossing_mutex_, std::defer_lock);
  if (!island.crossing.out.empty()) copies_out.lock();
  auto point = queue_->Submit(
      {Program::Commands(**recording), 0, island.waiting, signal, Awaited(island.crossing)},
      std::ref(prepare), std::ref(refused));
  if (!point) {
    if (copies_out.owns_lock()) copies_out.unlock();
    if (EndTransfer(*brought)) return give_up(point.error());
    NoteUse(island, UINT64_MAX);  // a copy that may never end
    return tl::unexpected(point.error());
  }
  CopyOutBehind(island, *point);
  if (copies_out.owns_lock()) copies_out.unlock();
  NoteUse(island, *point);
  gpu.program->Submitted(**recording, *point);
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
    Error error = point.error();
    if (error.message.find(device_->info().name) == std::string::npos)
      error.message = device_->info().name + ": " + error.message;
    const sdk::Status status = ToStatus(error);
    // The first is as good as any where it is not known which one is to blame.
    if (!island.nodes.empty()) island.nodes.front()->host_context().Fail(status);
    return status;
  }
  std::fill(fences.begin(), fences.end(), *sdk::Fence::At(timeline_, *point).c());
  return {};
}

}  // namespace sluice::vulkan
