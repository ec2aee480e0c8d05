#include "nodes/vulkan/device.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace sluice::vulkan {
namespace {

constexpr char kInstall[] =
    "install a Vulkan driver: `apt-get install mesa-vulkan-drivers` has those for AMD, Intel and "
    "software "
    "(lavapipe); NVIDIA's comes with its own driver";
constexpr char kValidationLayer[] = "VK_LAYER_KHRONOS_validation";

int TypeRank(VkPhysicalDeviceType type) {
  switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
      return 0;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
      return 1;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
      return 2;
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
      return 3;
    default:
      return 4;
  }
}

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::string ListOf(const std::vector<DeviceInfo>& devices) {
  std::string out;
  for (const DeviceInfo& d : devices) {
    if (!out.empty()) out += ", ";
    out += std::to_string(d.index) + ": " + d.name;
  }
  return out.empty() ? "none" : out;
}

Result<size_t> Usable(const std::vector<DeviceInfo>& devices, size_t at) {
  if (devices[at].usable) return at;
  return Fail(SLUICE_E_UNSUPPORTED,
              "Vulkan device " + devices[at].name + " lacks " + devices[at].missing);
}

std::vector<VkExtensionProperties> DeviceExtensions(VkPhysicalDevice physical) {
  uint32_t count = 0;
  vkEnumerateDeviceExtensionProperties(physical, nullptr, &count, nullptr);
  std::vector<VkExtensionProperties> out(count);
  vkEnumerateDeviceExtensionProperties(physical, nullptr, &count, out.data());
  out.resize(count);
  return out;
}

bool Has(const std::vector<VkExtensionProperties>& list, const char* name) {
  return std::any_of(list.begin(), list.end(),
                     [name](const auto& e) { return std::strcmp(e.extensionName, name) == 0; });
}

std::vector<VkQueueFamilyProperties> QueueFamilies(VkPhysicalDevice physical) {
  uint32_t count = 0;
  vkGetPhysicalDeviceQueueFamilyProperties(physical, &count, nullptr);
  std::vector<VkQueueFamilyProperties> families(count);
  vkGetPhysicalDeviceQueueFamilyProperties(physical, &count, families.data());
  return families;
}

/// Compute, and nothing else where there is a choice: a queue of its own does not wait behind
/// graphics.
int FindComputeFamily(const std::vector<VkQueueFamilyProperties>& families) {
  int found = -1;
  for (uint32_t i = 0; i < families.size(); ++i) {
    const VkQueueFlags flags = families[i].queueFlags;
    if (!(flags & VK_QUEUE_COMPUTE_BIT)) continue;
    if (!(flags & VK_QUEUE_GRAPHICS_BIT)) return static_cast<int>(i);
    if (found < 0) found = static_cast<int>(i);
  }
  return found;
}

/// Nothing but copies: that is where a device has engines of their own for them. Those of video
/// engines copy as well.
int FindTransferFamily(const std::vector<VkQueueFamilyProperties>& families) {
  constexpr VkQueueFlags kVideoEncode = 0x40;  // a beta's name in these headers
  constexpr VkQueueFlags kWork = VK_QUEUE_TRANSFER_BIT | VK_QUEUE_COMPUTE_BIT |
                                 VK_QUEUE_GRAPHICS_BIT | VK_QUEUE_VIDEO_DECODE_BIT_KHR |
                                 kVideoEncode | VK_QUEUE_OPTICAL_FLOW_BIT_NV;
  for (uint32_t i = 0; i < families.size(); ++i) {
    if ((families[i].queueFlags & kWork) == VK_QUEUE_TRANSFER_BIT) return static_cast<int>(i);
  }
  return -1;
}

uint64_t TimestampMask(const VkQueueFamilyProperties& family) {
  const uint32_t bits = family.timestampValidBits;
  return bits >= 64 ? UINT64_MAX : (uint64_t{1} << bits) - 1;
}

double TimestampPeriod(VkPhysicalDevice physical) {
  VkPhysicalDeviceProperties properties;
  vkGetPhysicalDeviceProperties(physical, &properties);
  return properties.limits.timestampPeriod;
}

void DescribeTimestamps(VkPhysicalDevice physical, double period_ns, DeviceInfo& info) {
  const std::vector<VkQueueFamilyProperties> families = QueueFamilies(physical);
  const int family = FindComputeFamily(families);
  if (family < 0) return;
  info.timestamp_mask = TimestampMask(families[static_cast<size_t>(family)]);
  if (info.timestamp_mask != 0) info.timestamp_ns = period_ns;
}

std::string Missing(VkPhysicalDevice physical, uint32_t api_version) {
  if (api_version < VK_API_VERSION_1_3) {
    return "Vulkan 1.3 (it has " + std::to_string(VK_API_VERSION_MAJOR(api_version)) + "." +
           std::to_string(VK_API_VERSION_MINOR(api_version)) + ")";
  }
  VkPhysicalDeviceVulkan13Features f13{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES};
  VkPhysicalDeviceVulkan12Features f12{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, &f13};
  VkPhysicalDeviceFeatures2 features{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, &f12};
  vkGetPhysicalDeviceFeatures2(physical, &features);
  if (!f12.timelineSemaphore) return "timeline semaphores";
  if (!f13.synchronization2) return "synchronization2";
  if (FindComputeFamily(QueueFamilies(physical)) < 0) return "a compute queue";
  return "";
}

DeviceInfo Describe(VkPhysicalDevice physical, uint32_t index) {
  DeviceInfo info;
  info.index = index;
  const std::vector<VkExtensionProperties> extensions = DeviceExtensions(physical);
  const bool can_import = Has(extensions, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME);
  VkPhysicalDeviceExternalMemoryHostPropertiesEXT host{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT};
  VkPhysicalDeviceDriverProperties driver{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES,
                                          can_import ? &host : nullptr};
  VkPhysicalDeviceIDProperties id{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES, &driver};
  VkPhysicalDeviceProperties2 p{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, &id};
  vkGetPhysicalDeviceProperties2(physical, &p);
  info.name = p.properties.deviceName;
  info.driver = std::string(driver.driverName) + " " + driver.driverInfo;
  std::copy(std::begin(id.deviceUUID), std::end(id.deviceUUID), info.uuid.begin());
  std::copy(std::begin(id.driverUUID), std::end(id.driverUUID), info.driver_uuid.begin());
  info.type = p.properties.deviceType;
  info.api_version = p.properties.apiVersion;
  info.import_alignment = can_import ? host.minImportedHostPointerAlignment : 0;
  info.max_buffer_range = p.properties.limits.maxStorageBufferRange;
  info.max_buffers = p.properties.limits.maxPerStageDescriptorStorageBuffers;
  info.binding_alignment = p.properties.limits.minStorageBufferOffsetAlignment;
  info.uniform_alignment =
      std::max<uint64_t>(p.properties.limits.minUniformBufferOffsetAlignment, 16);
  info.max_uniform_range = p.properties.limits.maxUniformBufferRange;
  std::copy(std::begin(p.properties.pipelineCacheUUID), std::end(p.properties.pipelineCacheUUID),
            info.cache_uuid.begin());
  DescribeTimestamps(physical, p.properties.limits.timestampPeriod, info);
  info.missing = Missing(physical, info.api_version);
  info.usable = info.missing.empty();
  // A device older than 1.1 cannot even be asked.
  if (info.usable) info.external = DescribeExternal(physical, extensions);
  return info;
}

Result<std::vector<VkPhysicalDevice>> PhysicalDevices(VkInstance instance) {
  uint32_t count = 0;
  VkResult result = vkEnumeratePhysicalDevices(instance, &count, nullptr);
  std::vector<VkPhysicalDevice> physical(count);
  if (result == VK_SUCCESS && count > 0)
    result = vkEnumeratePhysicalDevices(instance, &count, physical.data());
  if (result < 0 || count == 0) {
    return Fail(SLUICE_E_UNSUPPORTED, std::string("no Vulkan device found; ") + kInstall);
  }
  return physical;
}

bool LayerIsThere(const char* name) {
  uint32_t count = 0;
  vkEnumerateInstanceLayerProperties(&count, nullptr);
  std::vector<VkLayerProperties> layers(count);
  vkEnumerateInstanceLayerProperties(&count, layers.data());
  return std::any_of(layers.begin(), layers.end(),
                     [name](const auto& l) { return std::strcmp(l.layerName, name) == 0; });
}

}  // namespace

std::string FormatUuid(const std::array<uint8_t, VK_UUID_SIZE>& uuid) {
  std::string out;
  for (size_t i = 0; i < uuid.size(); ++i) {
    char text[3];
    std::snprintf(text, sizeof text, "%02x", uuid[i]);
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    out += text;
  }
  return out;
}

std::string ResultName(VkResult result) {
  switch (result) {
    case VK_ERROR_OUT_OF_HOST_MEMORY:
      return "VK_ERROR_OUT_OF_HOST_MEMORY";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
      return "VK_ERROR_OUT_OF_DEVICE_MEMORY";
    case VK_ERROR_DEVICE_LOST:
      return "VK_ERROR_DEVICE_LOST";
    case VK_ERROR_INITIALIZATION_FAILED:
      return "VK_ERROR_INITIALIZATION_FAILED";
    case VK_ERROR_LAYER_NOT_PRESENT:
      return "VK_ERROR_LAYER_NOT_PRESENT";
    case VK_ERROR_EXTENSION_NOT_PRESENT:
      return "VK_ERROR_EXTENSION_NOT_PRESENT";
    case VK_ERROR_FEATURE_NOT_PRESENT:
      return "VK_ERROR_FEATURE_NOT_PRESENT";
    case VK_ERROR_INCOMPATIBLE_DRIVER:
      return "VK_ERROR_INCOMPATIBLE_DRIVER";
    case VK_ERROR_INVALID_EXTERNAL_HANDLE:
      return "VK_ERROR_INVALID_EXTERNAL_HANDLE";
    case VK_ERROR_TOO_MANY_OBJECTS:
      return "VK_ERROR_TOO_MANY_OBJECTS";
    default:
      return "VkResult " + std::to_string(static_cast<int>(result));
  }
}

tl::unexpected<Error> FailVk(VkResult result, std::string_view what) {
  int32_t code = SLUICE_E_INTERNAL;
  if (result == VK_ERROR_DEVICE_LOST) code = SLUICE_E_DEVICE_LOST;
  if (result == VK_ERROR_OUT_OF_HOST_MEMORY || result == VK_ERROR_OUT_OF_DEVICE_MEMORY ||
      result == VK_ERROR_TOO_MANY_OBJECTS) {
    code = SLUICE_E_RESOURCE_EXHAUSTED;
  }
  if (result == VK_ERROR_INVALID_EXTERNAL_HANDLE) code = SLUICE_E_UNSUPPORTED;
  return Fail(code, std::string(what) + ": " + ResultName(result));
}

Result<size_t> ChooseDevice(const std::vector<DeviceInfo>& devices, std::string_view selector) {
  if (selector.empty()) {
    size_t best = devices.size();
    for (size_t i = 0; i < devices.size(); ++i) {
      if (!devices[i].usable) continue;
      if (best == devices.size() || TypeRank(devices[i].type) < TypeRank(devices[best].type))
        best = i;
    }
    if (best < devices.size()) return best;
    std::string why;
    for (const DeviceInfo& d : devices) why += "; " + d.name + " lacks " + d.missing;
    return Fail(SLUICE_E_UNSUPPORTED, "no usable Vulkan device" + why + "; " + kInstall);
  }
  const bool is_index =
      selector.size() <= 4 && std::all_of(selector.begin(), selector.end(), [](char c) {
        return std::isdigit(static_cast<unsigned char>(c)) != 0;
      });
  std::string hex = Lower(selector);
  hex.erase(std::remove(hex.begin(), hex.end(), '-'), hex.end());
  for (size_t i = 0; i < devices.size(); ++i) {
    if (is_index && std::to_string(devices[i].index) == selector) return Usable(devices, i);
    std::string uuid = FormatUuid(devices[i].uuid);
    uuid.erase(std::remove(uuid.begin(), uuid.end(), '-'), uuid.end());
    if (uuid == hex) return Usable(devices, i);
  }
  for (size_t i = 0; i < devices.size() && !is_index; ++i) {
    if (Lower(devices[i].name).find(Lower(selector)) != std::string::npos)
      return Usable(devices, i);
  }
  return Fail(SLUICE_E_NOT_FOUND, "no Vulkan device matches \"" + std::string(selector) +
                                      "\"; there is " + ListOf(devices));
}

DeviceOptions DeviceOptionsFromEnvironment() {
  DeviceOptions options;
  const char* validation = std::getenv("SLUICE_VULKAN_VALIDATION");
  options.validation = validation != nullptr && std::strcmp(validation, "1") == 0;
  return options;
}

void Device::ExpectExportsOf(VkSemaphore semaphore) const {
  if (!validating()) return;
  const std::lock_guard<std::mutex> lock(exported_mutex_);
  exported_.insert(reinterpret_cast<uint64_t>(semaphore));
}

bool Device::IsExpected(const VkDebugUtilsMessengerCallbackDataEXT& data) const {
  constexpr char kSignalledTwice[] = "UNASSIGNED-CoreValidation-DrawState-QueueForwardProgress";
  if (data.pMessageIdName == nullptr || std::strcmp(data.pMessageIdName, kSignalledTwice) != 0 ||
      data.objectCount == 0) {
    return false;
  }
  const std::lock_guard<std::mutex> lock(exported_mutex_);
  return exported_.contains(data.pObjects[0].objectHandle);
}

VKAPI_ATTR VkBool32 VKAPI_CALL Device::OnMessage(VkDebugUtilsMessageSeverityFlagBitsEXT,
                                                 VkDebugUtilsMessageTypeFlagsEXT,
                                                 const VkDebugUtilsMessengerCallbackDataEXT* data,
                                                 void* self) {
  auto* device = static_cast<Device*>(self);
  if (device->IsExpected(*data)) return VK_FALSE;
  device->validation_messages_.fetch_add(1);
  std::fprintf(stderr, "vulkan validation: %s\n", data->pMessage);
  return VK_FALSE;
}

Status Device::CreateInstance(const DeviceOptions& options) {
  if (volkInitialize() != VK_SUCCESS) {
    return Fail(SLUICE_E_UNSUPPORTED,
                std::string("no Vulkan loader: `apt-get install libvulkan1`; then ") + kInstall);
  }
  if (volkGetInstanceVersion() < VK_API_VERSION_1_3) {
    return Fail(SLUICE_E_UNSUPPORTED, "the Vulkan loader is older than 1.3; upgrade libvulkan1");
  }
  VkApplicationInfo app{
      VK_STRUCTURE_TYPE_APPLICATION_INFO, nullptr, "sluice", 0, "sluice", 0, VK_API_VERSION_1_3};
  VkDebugUtilsMessengerCreateInfoEXT messenger{
      VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT};
  messenger.messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT |
                              VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT;
  // Of GENERAL the loader's complaints about other vendors' drivers would come too: they say
  // nothing about us.
  messenger.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT;
  messenger.pfnUserCallback = &Device::OnMessage;
  messenger.pUserData = this;
  const VkValidationFeatureEnableEXT enables[] = {
      VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT};
  const VkValidationFeaturesEXT features{
      VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT, &messenger, 1, enables, 0, nullptr};
  const char* layers[] = {kValidationLayer};
  const char* extensions[] = {VK_EXT_DEBUG_UTILS_EXTENSION_NAME};
  VkInstanceCreateInfo create{VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
  create.pApplicationInfo = &app;
  if (options.validation) {
    if (!LayerIsThere(kValidationLayer)) {
      return Fail(SLUICE_E_UNSUPPORTED,
                  "validation was asked for, but the layer is not there: `apt-get install "
                  "vulkan-validationlayers`");
    }
    create.pNext = &features;
    create.enabledLayerCount = 1;
    create.ppEnabledLayerNames = layers;
    create.enabledExtensionCount = 1;
    create.ppEnabledExtensionNames = extensions;
  }
  const VkResult result = vkCreateInstance(&create, nullptr, &instance_);
  if (result == VK_ERROR_INCOMPATIBLE_DRIVER) {
    return Fail(SLUICE_E_UNSUPPORTED, std::string("no Vulkan driver found; ") + kInstall);
  }
  if (result != VK_SUCCESS) return FailVk(result, "vkCreateInstance");
  volkLoadInstanceOnly(instance_);
  if (options.validation)
    vkCreateDebugUtilsMessengerEXT(instance_, &messenger, nullptr, &messenger_);
  destroy_messenger_ = vkDestroyDebugUtilsMessengerEXT;
  return {};
}

Status Device::Open(VkPhysicalDevice physical, bool transfer_queue) {
  vkGetPhysicalDeviceMemoryProperties(physical, &memory_);
  const std::vector<VkQueueFamilyProperties> families = QueueFamilies(physical);
  queue_family_ = static_cast<uint32_t>(FindComputeFamily(families));
  const float priorities[] = {1.0F, 1.0F};
  std::vector<VkDeviceQueueCreateInfo> queues = {
      {VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, nullptr, 0, queue_family_, 1, priorities}};
  const int found = transfer_queue ? FindTransferFamily(families) : -1;
  if (found >= 0) {
    transfer_.family = static_cast<uint32_t>(found);
    queues.push_back(queues.front());
    queues.back().queueFamilyIndex = transfer_.family;
    queues.back().queueCount = std::min(families[transfer_.family].queueCount, 2U);
    transfer_.timestamp_mask = TimestampMask(families[transfer_.family]);
    if (transfer_.timestamp_mask != 0) transfer_.timestamp_ns = TimestampPeriod(physical);
  }
  VkPhysicalDeviceVulkan13Features f13{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES};
  f13.synchronization2 = VK_TRUE;
  // Part of 1.3 everywhere; compilers for 1.3 write LocalSizeId.
  f13.maintenance4 = VK_TRUE;
  VkPhysicalDeviceVulkan12Features f12{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, &f13};
  f12.timelineSemaphore = VK_TRUE;
  // Part of 1.2 everywhere; a queue that only copies cannot reset queries.
  f12.hostQueryReset = found >= 0 ? VK_TRUE : VK_FALSE;
  std::vector<const char*> extensions = info_.external.extensions;
  if (info_.import_alignment > 0) extensions.push_back(VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME);
  VkDeviceCreateInfo create{VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, &f12};
  create.queueCreateInfoCount = static_cast<uint32_t>(queues.size());
  create.pQueueCreateInfos = queues.data();
  create.enabledExtensionCount = static_cast<uint32_t>(extensions.size());
  create.ppEnabledExtensionNames = extensions.data();
  const VkResult result = vkCreateDevice(physical, &create, nullptr, &device_);
  if (result != VK_SUCCESS) return FailVk(result, "vkCreateDevice on " + info_.name);
  volkLoadDeviceTable(&vk_, device_);
  vk_.vkGetDeviceQueue(device_, queue_family_, 0, &queue_);
  if (found < 0) return {};
  vk_.vkGetDeviceQueue(device_, transfer_.family, 0, &transfer_.queue);
  if (queues.back().queueCount > 1)
    vk_.vkGetDeviceQueue(device_, transfer_.family, 1, &transfer_.second);
  return {};
}

Result<std::unique_ptr<Device>> Device::Create(const DeviceOptions& options) {
  std::unique_ptr<Device> device(new Device());
  if (Status s = device->CreateInstance(options); !s) return tl::unexpected(s.error());
  auto physical = PhysicalDevices(device->instance_);
  if (!physical) return tl::unexpected(physical.error());
  std::vector<DeviceInfo> infos;
  for (size_t i = 0; i < physical->size(); ++i) {
    infos.push_back(Describe((*physical)[i], static_cast<uint32_t>(i)));
  }
  auto chosen = ChooseDevice(infos, options.selector);
  if (!chosen) return tl::unexpected(chosen.error());
  device->info_ = infos[*chosen];
  if (Status s = device->Open((*physical)[*chosen], options.transfer_queue); !s) {
    return tl::unexpected(s.error());
  }
  return device;
}

Device::~Device() {
  if (device_ != VK_NULL_HANDLE) vk_.vkDestroyDevice(device_, nullptr);
  if (messenger_ != VK_NULL_HANDLE) destroy_messenger_(instance_, messenger_, nullptr);
  if (instance_ != VK_NULL_HANDLE) vkDestroyInstance(instance_, nullptr);
}

Result<uint32_t> Device::FindMemoryType(uint32_t type_bits, VkMemoryPropertyFlags wanted,
                                        VkMemoryPropertyFlags preferred) const {
  int best = -1;
  int best_score = -1;
  for (uint32_t i = 0; i < memory_.memoryTypeCount; ++i) {
    const VkMemoryPropertyFlags flags = memory_.memoryTypes[i].propertyFlags;
    if (!(type_bits >> i & 1U) || (flags & wanted) != wanted) continue;
    const int score = __builtin_popcount(flags & preferred);
    if (score > best_score) {
      best = static_cast<int>(i);
      best_score = score;
    }
  }
  if (best < 0) return Fail(SLUICE_E_UNSUPPORTED, info_.name + " has no suitable memory type");
  return static_cast<uint32_t>(best);
}

VkMemoryPropertyFlags Device::MemoryFlags(uint32_t type) const {
  return memory_.memoryTypes[type].propertyFlags;
}

Result<std::vector<DeviceInfo>> ListDevices() {
  // A short-lived instance: listing must not hold a device.
  if (volkInitialize() != VK_SUCCESS) {
    return Fail(SLUICE_E_UNSUPPORTED,
                std::string("no Vulkan loader: `apt-get install libvulkan1`; then ") + kInstall);
  }
  VkApplicationInfo app{
      VK_STRUCTURE_TYPE_APPLICATION_INFO, nullptr, "sluice", 0, "sluice", 0, VK_API_VERSION_1_3};
  VkInstanceCreateInfo create{VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
  create.pApplicationInfo = &app;
  VkInstance instance = VK_NULL_HANDLE;
  if (vkCreateInstance(&create, nullptr, &instance) != VK_SUCCESS) {
    return Fail(SLUICE_E_UNSUPPORTED, std::string("no Vulkan driver found; ") + kInstall);
  }
  volkLoadInstanceOnly(instance);
  std::vector<DeviceInfo> infos;
  auto physical = PhysicalDevices(instance);
  if (physical) {
    for (size_t i = 0; i < physical->size(); ++i) {
      infos.push_back(Describe((*physical)[i], static_cast<uint32_t>(i)));
    }
  }
  vkDestroyInstance(instance, nullptr);
  if (!physical) return tl::unexpected(physical.error());
  return infos;
}

}  // namespace sluice::vulkan
