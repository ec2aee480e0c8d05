// Pools in device memory that another process of the same device and driver has too (OPAQUE_FD).
//
// As in export.cc the memory is that of a linear VkBuffer, and the layout ours to choose: an image
// would have to be made anew by the importer with the very same parameters, and no kernel here
// could address it.
#include <utility>

#include "nodes/vulkan/domain.h"

namespace sluice::vulkan {
namespace {

sdk::Status ToStatus(const Error& error) { return sdk::Status(error.code, error.message); }

}  // namespace

sdk::Status VulkanDomain::AllocateShared(const sluice_pool_request& request, sdk::PoolSink& sink,
                                         OpaqueMemory& what, std::vector<sdk::UniqueFd>& fds) {
  const auto layout = LayoutFor(request);
  if (!layout) return sdk::Status(SLUICE_E_UNSUPPORTED, layout.error().message);
  for (uint32_t i = 0; i < request.buffers; ++i) {
    auto memory = Memory::AllocateShareable(*device_, layout->size);
    if (!memory) return ToStatus(memory.error());
    auto fd = memory->ExportOpaque();
    if (!fd) return ToStatus(fd.error());
    fds.push_back(std::move(*fd));
    what = memory->opaque();
    sdk::Status status = AddShared(request, i, *layout, std::move(*memory), nullptr, sink);
    if (!status.ok()) return status;
  }
  return {};
}

sdk::Status VulkanDomain::ImportShared(const sluice_pool_request& request,
                                       const sluice_layout& layout, const OpaqueMemory& what,
                                       std::span<const sdk::UniqueFd> fds,
                                       const std::shared_ptr<const void>& keeper,
                                       sdk::PoolSink& sink) {
  if (fds.size() > request.buffers) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "a pool of %u buffers for %zu that are shared",
                              request.buffers, fds.size());
  }
  // What the layout says is what kernels reach.
  if (layout.size > what.buffer_bytes) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "a layout of %llu bytes in a buffer of %llu",
                              static_cast<unsigned long long>(layout.size),
                              static_cast<unsigned long long>(what.buffer_bytes));
  }
  if (const auto shape = MakeShape(request.format, layout); !shape)
    return sdk::Status(SLUICE_E_UNSUPPORTED, shape.error().message);
  for (uint32_t i = 0; i < request.buffers; ++i) {
    std::optional<Memory> own;
    if (i < fds.size()) {
      auto memory = Memory::ImportOpaque(*device_, fds[i].get(), what);
      if (!memory) {
        return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "buffer %u: import by %s: %s", i,
                                  device_->info().name.c_str(), memory.error().message.c_str());
      }
      own = std::move(*memory);
    }
    sdk::Status status = AddShared(request, i, layout, std::move(own), keeper, sink);
    if (!status.ok()) return status;
  }
  return {};
}

sdk::Status VulkanDomain::AddShared(const sluice_pool_request& request, uint32_t index,
                                    const sluice_layout& layout, std::optional<Memory> memory,
                                    const std::shared_ptr<const void>& keeper,
                                    sdk::PoolSink& sink) {
  sluice_buffer_desc buffer{};
  buffer.memory.view = SLUICE_VIEW_DEVICE;
  buffer.layout = layout;
  if (sdk::Status status = sink.Add(buffer); !status.ok() || !memory) return status;
  Import import;
  import.external = true;
  import.keeper = keeper;
  import.parts.push_back(std::move(*memory));
  const std::lock_guard<std::mutex> lock(mutex_);
  imports_->Put({request.pool, request.epoch, index}, std::move(import));
  return {};
}

}  // namespace sluice::vulkan
