// A Vulkan layer that passes everything on, but for what SLUICE_VULKAN_FAULTS asks for (rules.h):
// faults that no driver has on demand, in the real process, below the real loader.
// Spec: Vulkan-Loader, docs/LoaderLayerInterface.md.

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <vulkan/vk_layer.h>
#include <vulkan/vulkan.h>

#include "tests/gpu_faults/rules.h"

namespace sluice::vulkan_faults {
namespace {

constexpr char kLayer[] = "VK_LAYER_SLUICE_faults";

std::atomic<Rules*> the_rules{nullptr};

Rules& TheRules() { return *the_rules.load(); }

/// An instance that is made under another order than the last one begins to count anew.
void ReadRules() {
  static std::mutex mutex;
  static auto* const text = new std::string;
  const std::lock_guard lock(mutex);
  const char* ordered = std::getenv("SLUICE_VULKAN_FAULTS");
  if (ordered == nullptr) ordered = "";
  if (the_rules.load() != nullptr && *text == ordered) return;
  // Kept: calls may be looking at the old ones.
  static auto* const all = new std::vector<std::unique_ptr<Rules>>;
  all->push_back(std::make_unique<Rules>());
  ParseRules(ordered, *all->back());
  *text = ordered;
  the_rules.store(all->back().get());
}

void Say(std::string_view function, const char* what) {
  std::fprintf(stderr, "vulkan faults: %.*s: %s\n", static_cast<int>(function.size()),
               function.data(), what);
}

// Functions of a device whose results can be other than the driver's.
// clang-format off
#define SLUICE_FAULTY_FUNCTIONS(X)                                     \
  X(QueueSubmit2) X(QueueWaitIdle) X(DeviceWaitIdle)                   \
  X(WaitSemaphores) X(GetSemaphoreCounterValue) X(GetQueryPoolResults) \
  X(AllocateMemory) X(MapMemory) X(CreateBuffer)                       \
  X(BindBufferMemory) X(CreateShaderModule) X(CreateComputePipelines)  \
  X(CreatePipelineCache) X(CreateCommandPool) X(CreateDescriptorPool)  \
  X(CreateQueryPool) X(CreateSemaphore) X(AllocateCommandBuffers)      \
  X(AllocateDescriptorSets) X(GetMemoryFdKHR) X(GetSemaphoreFdKHR)     \
  X(ImportSemaphoreFdKHR)
// clang-format on

enum Function : int {
#define SLUICE_ENUM(name) k##name,
  SLUICE_FAULTY_FUNCTIONS(SLUICE_ENUM)
#undef SLUICE_ENUM
      kFunctionCount
};

/// Those that say that a device is lost; the others may go on, and here they do.
bool TellsOfLoss(int function) { return function <= kGetQueryPoolResults; }

struct Instance {
  VkInstance handle = VK_NULL_HANDLE;
  PFN_vkGetInstanceProcAddr next = nullptr;
  // Asked for while the instance is made: later the loader answers with the first layer's.
  PFN_vkDestroyInstance destroy = nullptr;
  PFN_vkEnumeratePhysicalDevices enumerate = nullptr;
  PFN_vkGetPhysicalDeviceProperties properties = nullptr;
  PFN_vkGetPhysicalDeviceProperties2 properties2 = nullptr;
  PFN_vkEnumerateDeviceExtensionProperties extensions = nullptr;
  PFN_vkGetPhysicalDeviceQueueFamilyProperties families = nullptr;
  PFN_vkGetPhysicalDeviceQueueFamilyProperties2 families2 = nullptr;
  std::vector<VkPhysicalDevice> devices;  // as the loader lists them

  template <typename Pfn>
  void Take(Pfn& pfn, const char* name) {
    pfn = reinterpret_cast<Pfn>(next(handle, name));
  }
};

/// The queue of a family that the driver does not have. Begins as every handle does: with the
/// pointer of the loader.
struct ExtraQueue {
  void* loader = nullptr;
};

/// A device, and what has become of it.
struct Device {
  using Clock = std::chrono::steady_clock;

  VkDevice handle = VK_NULL_HANDLE;
  PFN_vkGetDeviceProcAddr next = nullptr;
  std::array<PFN_vkVoidFunction, kFunctionCount> functions{};

  std::mutex mutex;
  bool hung = false;
  bool lost = false;
  std::optional<Clock::time_point> reset;

  uint32_t extra_family = UINT32_MAX;  // that the driver does not have
  uint32_t real_family = 0;            // that stands for it
  std::array<ExtraQueue, kMaxCopyQueues> extra_queues;
  VkQueue real_queue = VK_NULL_HANDLE;
  std::mutex queue_mutex;  // queues of the application are one of the driver; after `mutex`

  bool IsExtra(VkQueue queue) const {
    return std::any_of(extra_queues.begin(), extra_queues.end(), [queue](const ExtraQueue& extra) {
      return reinterpret_cast<const ExtraQueue*>(queue) == &extra;
    });
  }

  /// What a call is answered with instead of asking the driver; nothing: ask it.
  std::optional<VkResult> Answer(int function, std::string_view name, uint64_t bytes);

 private:
  void Lose();
  std::optional<VkResult> Inject(CallRule& rule, std::string_view name);
};

/// Handles of one instance or device share the pointer that they begin with.
template <typename Handle>
void* KeyOf(Handle handle) {
  return *reinterpret_cast<void**>(handle);
}

std::mutex registry_mutex;
std::map<void*, std::unique_ptr<Instance>>& Instances() {
  static auto* const instances = new std::map<void*, std::unique_ptr<Instance>>;
  return *instances;
}
std::map<void*, std::unique_ptr<Device>>& Devices() {
  static auto* const devices = new std::map<void*, std::unique_ptr<Device>>;
  return *devices;
}

template <typename Handle>
Instance& InstanceOf(Handle handle) {
  const std::lock_guard lock(registry_mutex);
  return *Instances().at(KeyOf(handle));
}
template <typename Handle>
Device& DeviceOf(Handle handle) {
  const std::lock_guard lock(registry_mutex);
  return *Devices().at(KeyOf(handle));
}

// A lost device has stopped: the driver's work on memory must not go on behind our back.
void Device::Lose() {
  lost = true;
  const std::lock_guard lock(queue_mutex);
  reinterpret_cast<PFN_vkDeviceWaitIdle>(functions[kDeviceWaitIdle])(handle);
}

std::optional<VkResult> Device::Inject(CallRule& rule, std::string_view name) {
  if (rule.fault == CallRule::Fault::kHang) {
    Say(name, "hangs");
    hung = true;
    if (rule.reset_ms > 0) reset = Clock::now() + std::chrono::milliseconds(rule.reset_ms);
    return VK_SUCCESS;
  }
  Say(name, "fails");
  if (rule.result == VK_ERROR_DEVICE_LOST) Lose();
  return rule.result;
}

std::optional<VkResult> Device::Answer(int function, std::string_view name, uint64_t bytes) {
  const std::lock_guard lock(mutex);
  if (reset && !lost && Clock::now() >= *reset) {
    Say(name, "the driver resets the device");
    Lose();
  }
  if (lost && TellsOfLoss(function)) return VK_ERROR_DEVICE_LOST;
  if (CallRule* rule = TheRules().Match(name, bytes)) return Inject(*rule, name);
  if (hung && function == kQueueSubmit2) return VK_SUCCESS;  // taken, and never executed
  return std::nullopt;
}

constexpr std::array<const char*, kFunctionCount> kNames = {
#define SLUICE_NAME(name) "vk" #name,
    SLUICE_FAULTY_FUNCTIONS(SLUICE_NAME)
#undef SLUICE_NAME
};

uint64_t BytesOf() { return 0; }
template <typename First, typename... Rest>
uint64_t BytesOf(First first, Rest...) {
  if constexpr (std::is_same_v<First, const VkMemoryAllocateInfo*>) return first->allocationSize;
  return 0;
}

// What a call is passed on with: as it is, or in the terms of the families that there are.
template <typename T>
T Real(const Device&, T argument) {
  return argument;
}
VkQueue Real(const Device& device, VkQueue queue) {
  return device.IsExtra(queue) ? device.real_queue : queue;
}
const VkCommandPoolCreateInfo* Real(const Device& device, const VkCommandPoolCreateInfo* create) {
  if (create->queueFamilyIndex != device.extra_family) return create;
  thread_local VkCommandPoolCreateInfo real;
  real = *create;
  real.queueFamilyIndex = device.real_family;
  return &real;
}
const VkBufferCreateInfo* Real(const Device& device, const VkBufferCreateInfo* create) {
  if (create->sharingMode != VK_SHARING_MODE_CONCURRENT || device.extra_family == UINT32_MAX)
    return create;
  thread_local VkBufferCreateInfo real;
  real = *create;
  real.sharingMode = VK_SHARING_MODE_EXCLUSIVE;
  real.queueFamilyIndexCount = 0;
  return &real;
}

template <int kFunction, typename Handle, typename... Arguments>
VKAPI_ATTR VkResult VKAPI_CALL Hook(Handle handle, Arguments... arguments) {
  Device& device = DeviceOf(handle);
  if (auto answer = device.Answer(kFunction, kNames[kFunction], BytesOf(arguments...)))
    return *answer;
  using Pfn = VkResult(VKAPI_PTR*)(Handle, Arguments...);
  std::unique_lock<std::mutex> one_queue(device.queue_mutex, std::defer_lock);
  if (kFunction <= kDeviceWaitIdle) one_queue.lock();
  return reinterpret_cast<Pfn>(device.functions[kFunction])(Real(device, handle),
                                                            Real(device, arguments)...);
}

template <int kFunction, typename Handle, typename... Arguments>
PFN_vkVoidFunction HookFor(VkResult(VKAPI_PTR*)(Handle, Arguments...)) {
  return reinterpret_cast<PFN_vkVoidFunction>(&Hook<kFunction, Handle, Arguments...>);
}

PFN_vkVoidFunction DeviceHook(const char* name) {
#define SLUICE_HOOK(function)                 \
  if (std::strcmp(name, "vk" #function) == 0) \
    return HookFor<k##function>(static_cast<PFN_vk##function>(nullptr));
  SLUICE_FAULTY_FUNCTIONS(SLUICE_HOOK)
#undef SLUICE_HOOK
  return nullptr;
}

/// Calls of an instance are numbered as well.
std::optional<VkResult> AnswerOfInstance(std::string_view name) {
  const CallRule* rule = TheRules().Match(name, 0);
  if (rule == nullptr) return std::nullopt;
  Say(name, "fails");
  return rule->result;
}

// ---- the instance

template <typename Link, typename CreateInfo>
Link* LinkOf(const CreateInfo* create, VkStructureType type,
             VkLayerFunction function = VK_LAYER_LINK_INFO) {
  for (auto* item = static_cast<const VkBaseInStructure*>(create->pNext); item != nullptr;
       item = item->pNext) {
    auto* link = reinterpret_cast<Link*>(const_cast<VkBaseInStructure*>(item));
    if (item->sType == type && link->function == function) return link;
  }
  return nullptr;
}

VKAPI_ATTR VkResult VKAPI_CALL CreateInstance(const VkInstanceCreateInfo* create,
                                              const VkAllocationCallbacks* allocator,
                                              VkInstance* instance) {
  ReadRules();
  if (auto answer = AnswerOfInstance("vkCreateInstance")) return *answer;
  auto* link =
      LinkOf<VkLayerInstanceCreateInfo>(create, VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO);
  if (link == nullptr) return VK_ERROR_INITIALIZATION_FAILED;
  const PFN_vkGetInstanceProcAddr next = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
  link->u.pLayerInfo = link->u.pLayerInfo->pNext;
  const auto make = reinterpret_cast<PFN_vkCreateInstance>(next(nullptr, "vkCreateInstance"));
  const VkResult result = make(create, allocator, instance);
  if (result != VK_SUCCESS) return result;
  auto made = std::make_unique<Instance>();
  made->handle = *instance;
  made->next = next;
  made->Take(made->destroy, "vkDestroyInstance");
  made->Take(made->enumerate, "vkEnumeratePhysicalDevices");
  made->Take(made->properties, "vkGetPhysicalDeviceProperties");
  made->Take(made->properties2, "vkGetPhysicalDeviceProperties2");
  made->Take(made->extensions, "vkEnumerateDeviceExtensionProperties");
  made->Take(made->families, "vkGetPhysicalDeviceQueueFamilyProperties");
  made->Take(made->families2, "vkGetPhysicalDeviceQueueFamilyProperties2");
  const std::lock_guard lock(registry_mutex);
  Instances()[KeyOf(*instance)] = std::move(made);
  return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL DestroyInstance(VkInstance instance,
                                           const VkAllocationCallbacks* allocator) {
  if (instance == VK_NULL_HANDLE) return;
  void* const key = KeyOf(instance);
  const auto destroy = InstanceOf(instance).destroy;
  {
    const std::lock_guard lock(registry_mutex);
    Instances().erase(key);
  }
  destroy(instance, allocator);
}

VKAPI_ATTR VkResult VKAPI_CALL EnumeratePhysicalDevices(VkInstance handle, uint32_t* count,
                                                        VkPhysicalDevice* devices) {
  if (auto answer = AnswerOfInstance("vkEnumeratePhysicalDevices")) return *answer;
  Instance& instance = InstanceOf(handle);
  const VkResult result = instance.enumerate(handle, count, devices);
  if (devices != nullptr && result >= 0) instance.devices.assign(devices, devices + *count);
  return result;
}

const DeviceRule* RuleFor(VkPhysicalDevice physical) {
  const Instance& instance = InstanceOf(physical);
  for (uint32_t i = 0; i < instance.devices.size(); ++i) {
    if (instance.devices[i] == physical) return TheRules().ForDevice(i);
  }
  return nullptr;
}

void Change(const DeviceRule& rule, VkPhysicalDeviceProperties& properties) {
  if (!rule.name.empty()) {
    std::snprintf(properties.deviceName, sizeof properties.deviceName, "%s", rule.name.c_str());
  }
  if (rule.type) properties.deviceType = *rule.type;
  if (rule.api_version != 0) properties.apiVersion = rule.api_version;
}

VKAPI_ATTR void VKAPI_CALL GetPhysicalDeviceProperties(VkPhysicalDevice physical,
                                                       VkPhysicalDeviceProperties* properties) {
  InstanceOf(physical).properties(physical, properties);
  if (const DeviceRule* rule = RuleFor(physical)) Change(*rule, *properties);
}

VKAPI_ATTR void VKAPI_CALL GetPhysicalDeviceProperties2(VkPhysicalDevice physical,
                                                        VkPhysicalDeviceProperties2* properties) {
  InstanceOf(physical).properties2(physical, properties);
  const DeviceRule* rule = RuleFor(physical);
  if (rule == nullptr) return;
  Change(*rule, properties->properties);
  for (auto* item = static_cast<VkBaseOutStructure*>(properties->pNext); item != nullptr;
       item = item->pNext) {
    if (item->sType != VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES) continue;
    // Another device has another UUID.
    reinterpret_cast<VkPhysicalDeviceIDProperties*>(item)->deviceUUID[VK_UUID_SIZE - 1] ^=
        static_cast<uint8_t>(0xA0 + rule->index);
  }
}

VKAPI_ATTR VkResult VKAPI_CALL
EnumerateDeviceExtensionProperties(VkPhysicalDevice physical, const char* layer, uint32_t* count,
                                   VkExtensionProperties* properties) {
  if (layer != nullptr && std::strcmp(layer, kLayer) == 0) {
    *count = 0;
    return VK_SUCCESS;
  }
  const auto list = InstanceOf(physical).extensions;
  const DeviceRule* rule = RuleFor(physical);
  if (rule == nullptr || rule->without.empty()) return list(physical, layer, count, properties);
  uint32_t all_count = 0;
  if (VkResult r = list(physical, layer, &all_count, nullptr); r != VK_SUCCESS) return r;
  std::vector<VkExtensionProperties> all(all_count);
  if (VkResult r = list(physical, layer, &all_count, all.data()); r != VK_SUCCESS) return r;
  std::erase_if(all, [&](const VkExtensionProperties& extension) {
    for (const std::string& name : rule->without) {
      if (name == extension.extensionName) return true;
    }
    return false;
  });
  const auto has = static_cast<uint32_t>(all.size());
  if (properties == nullptr) {
    *count = has;
    return VK_SUCCESS;
  }
  const uint32_t given = std::min(*count, has);
  std::copy_n(all.begin(), given, properties);
  *count = given;
  return given < has ? VK_INCOMPLETE : VK_SUCCESS;
}

VkQueueFamilyProperties& FamilyOf(VkQueueFamilyProperties& properties) { return properties; }
VkQueueFamilyProperties& FamilyOf(VkQueueFamilyProperties2& properties) {
  return properties.queueFamilyProperties;
}

/// The families of the driver, and the one that is made up.
template <typename Properties, typename List>
void ListFamilies(VkPhysicalDevice physical, List list, uint32_t* count, Properties* properties) {
  const DeviceRule* rule = RuleFor(physical);
  if (rule == nullptr || rule->copy_queues == 0) return list(physical, count, properties);
  const uint32_t room = *count;
  list(physical, count, properties);
  if (properties == nullptr) {
    ++*count;
  } else if (*count < room) {
    FamilyOf(properties[*count]) = {
        VK_QUEUE_TRANSFER_BIT, rule->copy_queues, rule->timestamp_bits, {1, 1, 1}};
    ++*count;
  }
}

VKAPI_ATTR void VKAPI_CALL GetPhysicalDeviceQueueFamilyProperties(
    VkPhysicalDevice physical, uint32_t* count, VkQueueFamilyProperties* properties) {
  ListFamilies(physical, InstanceOf(physical).families, count, properties);
}

VKAPI_ATTR void VKAPI_CALL GetPhysicalDeviceQueueFamilyProperties2(
    VkPhysicalDevice physical, uint32_t* count, VkQueueFamilyProperties2* properties) {
  ListFamilies(physical, InstanceOf(physical).families2, count, properties);
}

/// Takes the family that the driver does not have out of what is asked of it.
void MakeExtraFamily(VkPhysicalDevice physical, std::vector<VkDeviceQueueCreateInfo>& queues,
                     Device& device) {
  const DeviceRule* rule = RuleFor(physical);
  if (rule == nullptr || rule->copy_queues == 0) return;
  InstanceOf(physical).families(physical, &device.extra_family, nullptr);
  std::erase_if(queues, [&](const VkDeviceQueueCreateInfo& queue) {
    return queue.queueFamilyIndex == device.extra_family;
  });
  if (!queues.empty()) device.real_family = queues.front().queueFamilyIndex;
}

// ---- the device

VKAPI_ATTR VkResult VKAPI_CALL CreateDevice(VkPhysicalDevice physical,
                                            const VkDeviceCreateInfo* create,
                                            const VkAllocationCallbacks* allocator,
                                            VkDevice* device) {
  if (auto answer = AnswerOfInstance("vkCreateDevice")) return *answer;
  auto* link = LinkOf<VkLayerDeviceCreateInfo>(create, VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO);
  if (link == nullptr) return VK_ERROR_INITIALIZATION_FAILED;
  const PFN_vkGetInstanceProcAddr instance_next = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
  const PFN_vkGetDeviceProcAddr next = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
  link->u.pLayerInfo = link->u.pLayerInfo->pNext;
  const auto make = reinterpret_cast<PFN_vkCreateDevice>(
      instance_next(InstanceOf(physical).handle, "vkCreateDevice"));
  auto made = std::make_unique<Device>();
  std::vector<VkDeviceQueueCreateInfo> queues(
      create->pQueueCreateInfos, create->pQueueCreateInfos + create->queueCreateInfoCount);
  MakeExtraFamily(physical, queues, *made);
  VkDeviceCreateInfo real = *create;
  real.queueCreateInfoCount = static_cast<uint32_t>(queues.size());
  real.pQueueCreateInfos = queues.data();
  const auto* loader = LinkOf<VkLayerDeviceCreateInfo>(
      create, VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO, VK_LOADER_DATA_CALLBACK);
  const VkResult result = make(physical, &real, allocator, device);
  if (result != VK_SUCCESS) return result;
  if (made->extra_family != UINT32_MAX) {
    if (loader == nullptr) return VK_ERROR_INITIALIZATION_FAILED;
    for (ExtraQueue& extra : made->extra_queues) loader->u.pfnSetDeviceLoaderData(*device, &extra);
    reinterpret_cast<PFN_vkGetDeviceQueue>(next(*device, "vkGetDeviceQueue"))(
        *device, made->real_family, 0, &made->real_queue);
  }
  made->handle = *device;
  made->next = next;
  for (int i = 0; i < kFunctionCount; ++i) made->functions[i] = next(*device, kNames[i]);
  const std::lock_guard lock(registry_mutex);
  Devices()[KeyOf(*device)] = std::move(made);
  return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL GetDeviceQueue(VkDevice handle, uint32_t family, uint32_t index,
                                          VkQueue* queue) {
  Device& device = DeviceOf(handle);
  if (family == device.extra_family) {
    *queue = reinterpret_cast<VkQueue>(&device.extra_queues.at(index));
    return;
  }
  reinterpret_cast<PFN_vkGetDeviceQueue>(device.next(handle, "vkGetDeviceQueue"))(handle, family,
                                                                                  index, queue);
}

VKAPI_ATTR void VKAPI_CALL DestroyDevice(VkDevice device, const VkAllocationCallbacks* allocator) {
  if (device == VK_NULL_HANDLE) return;
  void* const key = KeyOf(device);
  const auto destroy =
      reinterpret_cast<PFN_vkDestroyDevice>(DeviceOf(device).next(device, "vkDestroyDevice"));
  {
    const std::lock_guard lock(registry_mutex);
    Devices().erase(key);
  }
  destroy(device, allocator);
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL GetDeviceProcAddr(VkDevice device, const char* name);
VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL GetInstanceProcAddr(VkInstance instance, const char* name);

PFN_vkVoidFunction InstanceHook(const char* name) {
  const struct {
    const char* name;
    PFN_vkVoidFunction function;
  } hooks[] = {
#define SLUICE_ENTRY(function) {"vk" #function, reinterpret_cast<PFN_vkVoidFunction>(&function)}
      SLUICE_ENTRY(GetInstanceProcAddr),
      SLUICE_ENTRY(GetDeviceProcAddr),
      SLUICE_ENTRY(CreateInstance),
      SLUICE_ENTRY(DestroyInstance),
      SLUICE_ENTRY(EnumeratePhysicalDevices),
      SLUICE_ENTRY(GetPhysicalDeviceProperties),
      SLUICE_ENTRY(GetPhysicalDeviceProperties2),
      SLUICE_ENTRY(EnumerateDeviceExtensionProperties),
      SLUICE_ENTRY(GetPhysicalDeviceQueueFamilyProperties),
      SLUICE_ENTRY(GetPhysicalDeviceQueueFamilyProperties2),
      SLUICE_ENTRY(CreateDevice),
      SLUICE_ENTRY(DestroyDevice),
#undef SLUICE_ENTRY
  };
  for (const auto& hook : hooks) {
    if (std::strcmp(name, hook.name) == 0) return hook.function;
  }
  return nullptr;
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL GetDeviceProcAddr(VkDevice device, const char* name) {
  if (std::strcmp(name, "vkGetDeviceProcAddr") == 0)
    return reinterpret_cast<PFN_vkVoidFunction>(&GetDeviceProcAddr);
  if (std::strcmp(name, "vkDestroyDevice") == 0)
    return reinterpret_cast<PFN_vkVoidFunction>(&DestroyDevice);
  if (std::strcmp(name, "vkGetDeviceQueue") == 0)
    return reinterpret_cast<PFN_vkVoidFunction>(&GetDeviceQueue);
  const PFN_vkVoidFunction theirs = DeviceOf(device).next(device, name);
  if (theirs == nullptr) return nullptr;
  const PFN_vkVoidFunction ours = DeviceHook(name);
  return ours != nullptr ? ours : theirs;
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL GetInstanceProcAddr(VkInstance instance,
                                                             const char* name) {
  if (const PFN_vkVoidFunction ours = InstanceHook(name)) return ours;
  if (const PFN_vkVoidFunction ours = DeviceHook(name)) return ours;
  return instance != VK_NULL_HANDLE ? InstanceOf(instance).next(instance, name) : nullptr;
}

}  // namespace
}  // namespace sluice::vulkan_faults

extern "C" __attribute__((visibility("default"))) VkResult vkNegotiateLoaderLayerInterfaceVersion(
    VkNegotiateLayerInterface* version) {
  if (version->loaderLayerInterfaceVersion < 2) return VK_ERROR_INITIALIZATION_FAILED;
  version->loaderLayerInterfaceVersion = 2;
  version->pfnGetInstanceProcAddr = &sluice::vulkan_faults::GetInstanceProcAddr;
  version->pfnGetDeviceProcAddr = &sluice::vulkan_faults::GetDeviceProcAddr;
  version->pfnGetPhysicalDeviceProcAddr = nullptr;
  return VK_SUCCESS;
}
