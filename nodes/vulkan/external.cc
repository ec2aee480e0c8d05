#include "nodes/vulkan/external.h"

#include <algorithm>
#include <cstring>

namespace sluice::vulkan {
namespace {

bool Has(const std::vector<VkExtensionProperties>& list, const char* name) {
  return std::any_of(list.begin(), list.end(),
                     [name](const auto& e) { return std::strcmp(e.extensionName, name) == 0; });
}

VkExternalMemoryFeatureFlags FeaturesOf(VkPhysicalDevice physical,
                                        VkExternalMemoryHandleTypeFlagBits handle) {
  const VkPhysicalDeviceExternalBufferInfo info{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_BUFFER_INFO, nullptr, 0, kBufferUsage, handle};
  VkExternalBufferProperties properties{VK_STRUCTURE_TYPE_EXTERNAL_BUFFER_PROPERTIES};
  vkGetPhysicalDeviceExternalBufferProperties(physical, &info, &properties);
  return properties.externalMemoryProperties.externalMemoryFeatures;
}

void DescribeOpaque(VkPhysicalDevice physical, ExternalSupport& out) {
  const auto features = FeaturesOf(physical, VK_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD_BIT);
  out.import_opaque = (features & VK_EXTERNAL_MEMORY_FEATURE_IMPORTABLE_BIT) != 0;
  out.export_opaque = (features & VK_EXTERNAL_MEMORY_FEATURE_EXPORTABLE_BIT) != 0;
  out.dedicated_opaque = (features & VK_EXTERNAL_MEMORY_FEATURE_DEDICATED_ONLY_BIT) != 0;
}

void DescribeMemory(VkPhysicalDevice physical, ExternalSupport& out) {
  const auto features = FeaturesOf(physical, VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT);
  out.import_dmabuf = (features & VK_EXTERNAL_MEMORY_FEATURE_IMPORTABLE_BIT) != 0;
  out.export_dmabuf = (features & VK_EXTERNAL_MEMORY_FEATURE_EXPORTABLE_BIT) != 0;
  out.dedicated_dmabuf = (features & VK_EXTERNAL_MEMORY_FEATURE_DEDICATED_ONLY_BIT) != 0;
}

void DescribeSemaphores(VkPhysicalDevice physical, ExternalSupport& out) {
  const VkPhysicalDeviceExternalSemaphoreInfo info{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_SEMAPHORE_INFO, nullptr,
      VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_SYNC_FD_BIT};
  VkExternalSemaphoreProperties properties{VK_STRUCTURE_TYPE_EXTERNAL_SEMAPHORE_PROPERTIES};
  vkGetPhysicalDeviceExternalSemaphoreProperties(physical, &info, &properties);
  const VkExternalSemaphoreFeatureFlags features = properties.externalSemaphoreFeatures;
  out.import_sync_fd = (features & VK_EXTERNAL_SEMAPHORE_FEATURE_IMPORTABLE_BIT) != 0;
  out.export_sync_fd = (features & VK_EXTERNAL_SEMAPHORE_FEATURE_EXPORTABLE_BIT) != 0;
}

void DescribeRenderNode(VkPhysicalDevice physical, ExternalSupport& out) {
  VkPhysicalDeviceDrmPropertiesEXT drm{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRM_PROPERTIES_EXT};
  VkPhysicalDeviceProperties2 properties{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, &drm};
  vkGetPhysicalDeviceProperties2(physical, &properties);
  out.has_render_node = drm.hasRender == VK_TRUE;
  out.render_major = drm.renderMajor;
  out.render_minor = drm.renderMinor;
}

}  // namespace

ExternalSupport DescribeExternal(VkPhysicalDevice physical,
                                 const std::vector<VkExtensionProperties>& available) {
  ExternalSupport out;
  const auto take = [&](const char* name) {
    if (!Has(available, name)) return false;
    out.extensions.push_back(name);
    return true;
  };
  const bool memory_fd = take(VK_KHR_EXTERNAL_MEMORY_FD_EXTENSION_NAME);
  if (memory_fd) DescribeOpaque(physical, out);
  if (memory_fd && take(VK_EXT_EXTERNAL_MEMORY_DMA_BUF_EXTENSION_NAME)) {
    DescribeMemory(physical, out);
  }
  out.foreign_queue = take(VK_EXT_QUEUE_FAMILY_FOREIGN_EXTENSION_NAME);
  out.image_modifiers = take(VK_EXT_IMAGE_DRM_FORMAT_MODIFIER_EXTENSION_NAME);
  if (take(VK_KHR_EXTERNAL_SEMAPHORE_FD_EXTENSION_NAME)) DescribeSemaphores(physical, out);
  if (take(VK_EXT_PHYSICAL_DEVICE_DRM_EXTENSION_NAME)) DescribeRenderNode(physical, out);
  return out;
}

}  // namespace sluice::vulkan
