// Pools that the device makes.
//
// The kernels read and write storage buffers, so what is exported is the memory of a linear
// VkBuffer: its layout is ours to choose, DRM_FORMAT_MOD_LINEAR by definition, and meets what the
// other users of the pool demand. An image with VK_EXT_image_drm_format_modifier would have the
// driver's layout instead, which no kernel here could address.
#include <utility>

#include "nodes/vulkan/domain.h"

namespace sluice::vulkan {
namespace {

constexpr uint64_t kPage = 4096;

sdk::Status ToStatus(const Error& error) { return sdk::Status(error.code, error.message); }

/// Drivers say OUT_OF_DEVICE_MEMORY when they cannot make a dma-buf at all (lavapipe without
/// /dev/udmabuf). Either way another allocator of the net may have memory: no reason to fail.
sdk::Status CannotAllocate(const DeviceInfo& device, const Error& error) {
  return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s makes no dma-buf here: %s",
                            device.name.c_str(), error.message.c_str());
}

}  // namespace

Result<sluice_layout> LayoutFor(const sluice_pool_request& request) {
  if (request.base_multiple > kPage) {
    return Fail(SLUICE_E_UNSUPPORTED, "buffers at multiples of " +
                                          std::to_string(request.base_multiple) +
                                          " bytes: exported ones start at pages");
  }
  if (request.layout.plane_count > 0 && request.layout.part_count <= 1 &&
      MakeShape(request.format, request.layout)) {
    return request.layout;
  }
  return MakeLayout(request.format, {request.stride_multiple, request.offset_multiple,
                                     request.size_multiple, request.tail_bytes});
}

// Memory that never leaves the device: the host counts leases of it and knows no more.
sdk::Status VulkanDomain::AllocateOnDevice(const sluice_pool_request& request,
                                           sdk::PoolSink& sink) {
  const auto layout = LayoutFor(request);
  if (!layout) return sdk::Status(SLUICE_E_UNSUPPORTED, layout.error().message);
  if (layout->size > device_->info().max_buffer_range) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "buffers of %llu bytes; %s reaches %llu",
                              static_cast<unsigned long long>(layout->size),
                              device_->info().name.c_str(),
                              static_cast<unsigned long long>(device_->info().max_buffer_range));
  }
  for (uint32_t i = 0; i < request.buffers; ++i) {
    auto memory = Memory::AllocateDevice(*device_, layout->size);
    if (!memory) return ToStatus(memory.error());
    sluice_buffer_desc buffer{};
    buffer.memory.view = SLUICE_VIEW_DEVICE;
    buffer.layout = *layout;
    if (sdk::Status status = sink.Add(buffer); !status.ok()) return status;
    Import import;
    import.parts.push_back(std::move(*memory));
    std::lock_guard<std::mutex> lock(mutex_);
    imports_->Put({request.pool, request.epoch, i}, std::move(import));
  }
  return {};
}

sdk::Status VulkanDomain::AllocatePool(const sluice_pool_request& request, sdk::PoolSink& sink) {
  if (request.views == SLUICE_VIEW_DEVICE) return AllocateOnDevice(request, sink);
  if ((request.views & ~static_cast<uint32_t>(SLUICE_VIEW_DMABUF)) != 0) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s makes dma-bufs, not the views %u",
                              device_->info().name.c_str(), request.views);
  }
  const auto layout = LayoutFor(request);
  if (!layout) return sdk::Status(SLUICE_E_UNSUPPORTED, layout.error().message);
  const uint64_t size = (layout->size + kPage - 1) / kPage * kPage;
  for (uint32_t i = 0; i < request.buffers; ++i) {
    auto memory = Memory::AllocateExportable(*device_, size);
    if (!memory) return CannotAllocate(device_->info(), memory.error());
    auto fd = memory->ExportDmabuf();
    if (!fd) return ToStatus(fd.error());
    const off_t real = lseek(fd->get(), 0, SEEK_END);
    sluice_buffer_desc buffer{};
    buffer.memory.view = SLUICE_VIEW_DMABUF;
    buffer.memory.part_count = 1;
    buffer.memory.parts[0].size = real > 0 ? static_cast<uint64_t>(real) : size;
    buffer.memory.parts[0].fd = fd->release();  // the sink's, whatever it says
    buffer.layout = *layout;
    if (sdk::Status status = sink.Add(buffer); !status.ok()) return status;
    Import import;
    import.foreign = true;
    import.parts.push_back(std::move(*memory));
    std::lock_guard<std::mutex> lock(mutex_);
    imports_->Put({request.pool, request.epoch, i}, std::move(import));
  }
  return {};
}

}  // namespace sluice::vulkan
