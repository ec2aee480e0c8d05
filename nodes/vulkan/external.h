#ifndef SLUICE_NODES_VULKAN_EXTERNAL_H_
#define SLUICE_NODES_VULKAN_EXTERNAL_H_

#include <volk.h>

#include <cstdint>
#include <vector>

namespace sluice::vulkan {

/// What a device can share with other drivers, and with other processes that use the same driver,
/// as it says itself when asked for what the kernels use: storage buffers over dma-bufs or opaque
/// fds, and binary semaphores as sync_files.
struct ExternalSupport {
  bool import_dmabuf = false;
  bool export_dmabuf = false;
  bool dedicated_dmabuf = false;  ///< each such buffer needs an allocation of its own
  bool foreign_queue = false;     ///< VK_EXT_queue_family_foreign
  bool image_modifiers = false;   ///< VK_EXT_image_drm_format_modifier
  bool import_sync_fd = false;
  bool export_sync_fd = false;
  bool import_opaque = false;  ///< OPAQUE_FD: memory of this device and driver, by an fd
  bool export_opaque = false;
  bool dedicated_opaque = false;  ///< each such buffer needs an allocation of its own
  bool has_render_node = false;  ///< VK_EXT_physical_device_drm names one
  int64_t render_major = 0;
  int64_t render_minor = 0;
  /// Device extensions to enable for the above.
  std::vector<const char*> extensions;

  /// Whether frames can be handed to other processes of the same driver, and taken from them.
  bool opaque_memory() const { return import_opaque && export_opaque; }
  /// Whether frames can be waited for, and given away, as sync_files.
  bool sync_files() const { return import_sync_fd && export_sync_fd; }
};

/// Usage of every buffer that kernels work on.
constexpr VkBufferUsageFlags kBufferUsage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
                                            VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                                            VK_BUFFER_USAGE_TRANSFER_DST_BIT;

/// Asks `physical`, which has the extensions `available`.
ExternalSupport DescribeExternal(VkPhysicalDevice physical,
                                 const std::vector<VkExtensionProperties>& available);

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_EXTERNAL_H_
