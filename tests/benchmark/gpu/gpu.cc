#include "tests/benchmark/gpu/gpu.h"

#include <strings.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <iterator>
#include <numeric>
#include <shaderc/shaderc.hpp>
#include <thread>

namespace sluice::benchmark {
namespace {

constexpr uint64_t kTimeoutNs = 10'000'000'000;
constexpr uint32_t kPushBytes = 128;  // what every device has

double ClockSeconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

bool HasExtension(VkPhysicalDevice device, const char* name) {
  uint32_t count = 0;
  vkEnumerateDeviceExtensionProperties(device, nullptr, &count, nullptr);
  std::vector<VkExtensionProperties> all(count);
  vkEnumerateDeviceExtensionProperties(device, nullptr, &count, all.data());
  return std::any_of(all.begin(), all.end(), [&](const VkExtensionProperties& extension) {
    return std::strcmp(extension.extensionName, name) == 0;
  });
}

std::vector<uint32_t> Compile(const std::string& glsl,
                              const std::map<std::string, std::string>& macros) {
  shaderc::CompileOptions options;
  options.SetTargetEnvironment(shaderc_target_env_vulkan, shaderc_env_version_vulkan_1_3);
  options.SetOptimizationLevel(shaderc_optimization_level_performance);
  for (const auto& [name, value] : macros) options.AddMacroDefinition(name, value);
  const shaderc::SpvCompilationResult result = shaderc::Compiler().CompileGlslToSpv(
      glsl, shaderc_glsl_compute_shader, "chain.comp", options);
  if (result.GetCompilationStatus() != shaderc_compilation_status_success) {
    throw Failure("compile: " + result.GetErrorMessage());
  }
  return {result.cbegin(), result.cend()};
}

}  // namespace

void CheckVk(VkResult result, const char* call, const char* file, int line) {
  if (result == VK_SUCCESS) return;
  throw Failure(std::string(call) + ": VkResult " + std::to_string(result) + " at " + file + ":" +
                std::to_string(line));
}

double WallSeconds() { return ClockSeconds(CLOCK_MONOTONIC); }
double ThreadSeconds() { return ClockSeconds(CLOCK_THREAD_CPUTIME_ID); }
double ProcessSeconds() { return ClockSeconds(CLOCK_PROCESS_CPUTIME_ID); }

double Median(std::vector<double> values) {
  if (values.empty()) throw Failure("the median of no values");
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void Pace::Reset() {
  samples_ = 0;
  total_ns_ = 0;
}

void Pace::Sample() {
  constexpr uint64_t kOneIn = 16;
  constexpr int kSteps = 500;
  if (++calls_ % kOneIn != 0) return;
  const double begin = ThreadSeconds();
  volatile uint64_t number = 1;
  for (int i = 0; i < kSteps; ++i) number = 3 * number + 1;
  total_ns_ += static_cast<uint64_t>(1e9 * (ThreadSeconds() - begin));
  ++samples_;
}

double Pace::ns() const {
  const uint64_t samples = samples_;
  return samples == 0 ? 0 : static_cast<double>(total_ns_) / static_cast<double>(samples);
}

Counted CountFrames(double seconds, const std::function<std::vector<uint64_t>()>& frames) {
  constexpr uint64_t kWarm = 5;
  constexpr double kLimit = 20;
  const auto pause = [] { std::this_thread::sleep_for(std::chrono::milliseconds(2)); };
  double begin = WallSeconds();
  std::vector<uint64_t> first = frames();
  while (*std::min_element(first.begin(), first.end()) < kWarm) {
    if (WallSeconds() - begin > kLimit) throw Failure("a stream does not run");
    pause();
    first = frames();
  }
  const double process = ProcessSeconds();
  begin = WallSeconds();
  std::vector<uint64_t> last = first;
  uint64_t all = 0;
  while (WallSeconds() - begin < seconds || all < kWarm) {
    if (WallSeconds() - begin > seconds + kLimit) throw Failure("the streams stand still");
    pause();
    last = frames();
    all = std::accumulate(last.begin(), last.end(), uint64_t{0}) -
          std::accumulate(first.begin(), first.end(), uint64_t{0});
  }
  const double wall = WallSeconds() - begin;
  const double cpu = ProcessSeconds() - process;
  for (size_t i = 0; i < last.size(); ++i) last[i] -= first[i];
  const auto [least, most] = std::minmax_element(last.begin(), last.end());
  const auto count = static_cast<double>(all);
  return {count / wall, static_cast<double>(*least) / static_cast<double>(*most), cpu / count};
}

Gpu::Gpu(const std::string& selector) {
  OpenInstance();
  Choose(selector);
  OpenDevice();
}

Gpu::~Gpu() {
  vkDeviceWaitIdle(device_);
  vkDestroyCommandPool(device_, pool_, nullptr);
  vkDestroyDevice(device_, nullptr);
  vkDestroyInstance(instance_, nullptr);
}

void Gpu::OpenInstance() {
  if (volkInitialize() != VK_SUCCESS) throw Failure("no Vulkan loader (libvulkan.so.1)");
  VkApplicationInfo application{VK_STRUCTURE_TYPE_APPLICATION_INFO};
  application.apiVersion = VK_API_VERSION_1_3;
  VkInstanceCreateInfo info{VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
  info.pApplicationInfo = &application;
  SLUICE_CHECK_VK(vkCreateInstance(&info, nullptr, &instance_));
  volkLoadInstance(instance_);
}

void Gpu::Choose(const std::string& selector) {
  uint32_t count = 0;
  SLUICE_CHECK_VK(vkEnumeratePhysicalDevices(instance_, &count, nullptr));
  std::vector<VkPhysicalDevice> devices(count);
  SLUICE_CHECK_VK(vkEnumeratePhysicalDevices(instance_, &count, devices.data()));
  std::string names;
  int best = -1;
  for (VkPhysicalDevice device : devices) {
    VkPhysicalDeviceProperties properties{};
    vkGetPhysicalDeviceProperties(device, &properties);
    names += std::string(names.empty() ? "" : ", ") + properties.deviceName;
    if (strcasestr(properties.deviceName, selector.c_str()) == nullptr) continue;
    const bool discrete = properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
    const bool software = properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
    const int rank = discrete ? 2 : software ? 0 : 1;
    if (rank <= best) continue;
    best = rank;
    physical_ = device;
    is_software_ = software;
  }
  if (physical_ == VK_NULL_HANDLE) {
    throw Failure("no device matches '" + selector + "'; there is: " + names);
  }
  VkPhysicalDeviceDriverProperties driver{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES};
  VkPhysicalDeviceExternalMemoryHostPropertiesEXT host{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT, &driver};
  VkPhysicalDeviceProperties2 all{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, &host};
  vkGetPhysicalDeviceProperties2(physical_, &all);
  name_ = all.properties.deviceName;
  driver_ = std::string(driver.driverName) + " " + driver.driverInfo;
  ns_per_tick_ = all.properties.limits.timestampPeriod;
  if (HasExtension(physical_, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME)) {
    import_alignment_ = host.minImportedHostPointerAlignment;
  }
  has_budget_ = HasExtension(physical_, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
}

void Gpu::OpenDevice() {
  uint32_t count = 0;
  vkGetPhysicalDeviceQueueFamilyProperties(physical_, &count, nullptr);
  std::vector<VkQueueFamilyProperties> families(count);
  vkGetPhysicalDeviceQueueFamilyProperties(physical_, &count, families.data());
  const auto family = std::find_if(families.begin(), families.end(), [](const auto& candidate) {
    return (candidate.queueFlags & VK_QUEUE_COMPUTE_BIT) != 0 && candidate.timestampValidBits != 0;
  });
  if (family == families.end()) throw Failure(name_ + " has no compute queue with timestamps");
  family_ = static_cast<uint32_t>(std::distance(families.begin(), family));

  std::vector<const char*> extensions = {VK_KHR_PUSH_DESCRIPTOR_EXTENSION_NAME};
  if (imports_host_pointers()) extensions.push_back(VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME);
  if (has_budget_) extensions.push_back(VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  VkPhysicalDeviceVulkan13Features features13{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES};
  features13.synchronization2 = VK_TRUE;
  VkPhysicalDeviceVulkan12Features features12{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
                                              &features13};
  features12.timelineSemaphore = VK_TRUE;
  const float priority = 1;
  VkDeviceQueueCreateInfo queue{VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO};
  queue.queueFamilyIndex = family_;
  queue.queueCount = 1;
  queue.pQueuePriorities = &priority;
  VkDeviceCreateInfo info{VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, &features12};
  info.queueCreateInfoCount = 1;
  info.pQueueCreateInfos = &queue;
  info.enabledExtensionCount = static_cast<uint32_t>(extensions.size());
  info.ppEnabledExtensionNames = extensions.data();
  SLUICE_CHECK_VK(vkCreateDevice(physical_, &info, nullptr, &device_));
  volkLoadDevice(device_);
  vkGetDeviceQueue(device_, family_, 0, &queue_);
  VkCommandPoolCreateInfo pool{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
  pool.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
  pool.queueFamilyIndex = family_;
  SLUICE_CHECK_VK(vkCreateCommandPool(device_, &pool, nullptr, &pool_));
}

uint64_t Gpu::MemoryUsed() const {
  if (!has_budget_) return 0;
  VkPhysicalDeviceMemoryBudgetPropertiesEXT budget{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
  VkPhysicalDeviceMemoryProperties2 memory{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2,
                                           &budget};
  vkGetPhysicalDeviceMemoryProperties2(physical_, &memory);
  uint64_t used = 0;
  for (uint32_t i = 0; i < memory.memoryProperties.memoryHeapCount; ++i) {
    const VkMemoryHeap& heap = memory.memoryProperties.memoryHeaps[i];
    if ((heap.flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0) used += budget.heapUsage[i];
  }
  return used;
}

uint32_t Gpu::FindMemoryType(uint32_t type_bits, VkMemoryPropertyFlags wanted,
                             VkMemoryPropertyFlags preferred) const {
  VkPhysicalDeviceMemoryProperties memory{};
  vkGetPhysicalDeviceMemoryProperties(physical_, &memory);
  for (const VkMemoryPropertyFlags flags : {wanted | preferred, wanted}) {
    for (uint32_t i = 0; i < memory.memoryTypeCount; ++i) {
      if ((type_bits >> i & 1) == 0) continue;
      if ((memory.memoryTypes[i].propertyFlags & flags) == flags) return i;
    }
  }
  throw Failure("no memory type with the flags " + std::to_string(wanted));
}

void Gpu::Submit(const VkSubmitInfo2& submit, VkFence fence) {
  const uint32_t ticket = next_ticket_.fetch_add(1);
  for (uint32_t now = served_.load(); now != ticket; now = served_.load()) served_.wait(now);
  const VkResult result = vkQueueSubmit2(queue_, 1, &submit, fence);
  served_.fetch_add(1);
  served_.notify_all();
  SLUICE_CHECK_VK(result);
}

void Gpu::Run(VkCommandBuffer commands) {
  TimelineSemaphore done(*this);
  done.SubmitAndSignal(commands, 1);
  done.Wait(1);
}

Buffer::Buffer(Gpu& gpu, uint64_t bytes, Place place) : gpu_(gpu), bytes_(bytes) {
  Create(nullptr);
  VkMemoryRequirements needs{};
  vkGetBufferMemoryRequirements(gpu_.device(), buffer_, &needs);
  VkMemoryPropertyFlags wanted = 0;
  VkMemoryPropertyFlags preferred = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
  if (place != Place::kDevice) {
    wanted = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    preferred = place == Place::kReadBack ? VK_MEMORY_PROPERTY_HOST_CACHED_BIT : 0;
  }
  VkMemoryAllocateInfo info{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
  info.allocationSize = needs.size;
  info.memoryTypeIndex = gpu_.FindMemoryType(needs.memoryTypeBits, wanted, preferred);
  SLUICE_CHECK_VK(vkAllocateMemory(gpu_.device(), &info, nullptr, &memory_));
  SLUICE_CHECK_VK(vkBindBufferMemory(gpu_.device(), buffer_, memory_, 0));
  if (place == Place::kDevice) return;
  SLUICE_CHECK_VK(vkMapMemory(gpu_.device(), memory_, 0, VK_WHOLE_SIZE, 0, &mapped_));
}

Buffer::Buffer(Gpu& gpu, void* base, uint64_t bytes) : gpu_(gpu), bytes_(bytes), mapped_(base) {
  constexpr auto kHandle = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT;
  VkExternalMemoryBufferCreateInfo external{VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO};
  external.handleTypes = kHandle;
  Create(&external);
  VkMemoryHostPointerPropertiesEXT pointer{VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT};
  SLUICE_CHECK_VK(vkGetMemoryHostPointerPropertiesEXT(gpu_.device(), kHandle, base, &pointer));
  VkMemoryRequirements needs{};
  vkGetBufferMemoryRequirements(gpu_.device(), buffer_, &needs);
  VkImportMemoryHostPointerInfoEXT import{VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT};
  import.handleType = kHandle;
  import.pHostPointer = base;
  VkMemoryAllocateInfo info{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, &import};
  info.allocationSize = bytes;
  info.memoryTypeIndex = gpu_.FindMemoryType(needs.memoryTypeBits & pointer.memoryTypeBits, 0, 0);
  SLUICE_CHECK_VK(vkAllocateMemory(gpu_.device(), &info, nullptr, &memory_));
  SLUICE_CHECK_VK(vkBindBufferMemory(gpu_.device(), buffer_, memory_, 0));
}

Buffer::~Buffer() {
  vkDestroyBuffer(gpu_.device(), buffer_, nullptr);
  vkFreeMemory(gpu_.device(), memory_, nullptr);
}

void Buffer::Create(const void* next) {
  VkBufferCreateInfo info{VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, next};
  info.size = bytes_;
  info.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_BUFFER_BIT |
               VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
  SLUICE_CHECK_VK(vkCreateBuffer(gpu_.device(), &info, nullptr, &buffer_));
}

SharedPages::SharedPages(uint64_t bytes) : bytes_((bytes + 4095) / 4096 * 4096) {
  const int fd = memfd_create("frame", MFD_CLOEXEC);
  if (fd < 0 || ftruncate(fd, static_cast<off_t>(bytes_)) != 0) {
    throw Failure(std::string("memfd: ") + std::strerror(errno));
  }
  void* base = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (base == MAP_FAILED) throw Failure(std::string("mmap: ") + std::strerror(errno));
  data_ = static_cast<uint8_t*>(base);
}

SharedPages::~SharedPages() { munmap(data_, bytes_); }

Kernel::Kernel(Gpu& gpu, const std::string& glsl, const std::map<std::string, std::string>& macros)
    : gpu_(gpu) {
  const std::vector<uint32_t> code = Compile(glsl, macros);
  VkDescriptorSetLayoutBinding bindings[4]{};
  for (uint32_t i = 0; i < 4; ++i) {
    bindings[i] = {i, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, nullptr};
  }
  bindings[3].descriptorType = VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER;
  VkDescriptorSetLayoutCreateInfo set{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO};
  set.flags = VK_DESCRIPTOR_SET_LAYOUT_CREATE_PUSH_DESCRIPTOR_BIT_KHR;
  set.bindingCount = 4;
  set.pBindings = bindings;
  SLUICE_CHECK_VK(vkCreateDescriptorSetLayout(gpu_.device(), &set, nullptr, &set_));
  const VkPushConstantRange push{VK_SHADER_STAGE_COMPUTE_BIT, 0, kPushBytes};
  VkPipelineLayoutCreateInfo layout{VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO};
  layout.setLayoutCount = 1;
  layout.pSetLayouts = &set_;
  layout.pushConstantRangeCount = 1;
  layout.pPushConstantRanges = &push;
  SLUICE_CHECK_VK(vkCreatePipelineLayout(gpu_.device(), &layout, nullptr, &layout_));
  VkShaderModuleCreateInfo module_info{VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO};
  module_info.codeSize = code.size() * sizeof code[0];
  module_info.pCode = code.data();
  VkShaderModule module = VK_NULL_HANDLE;
  SLUICE_CHECK_VK(vkCreateShaderModule(gpu_.device(), &module_info, nullptr, &module));
  VkComputePipelineCreateInfo info{VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO};
  info.stage = {VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO};
  info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  info.stage.module = module;
  info.stage.pName = "main";
  info.layout = layout_;
  const VkResult made =
      vkCreateComputePipelines(gpu_.device(), VK_NULL_HANDLE, 1, &info, nullptr, &pipeline_);
  vkDestroyShaderModule(gpu_.device(), module, nullptr);
  SLUICE_CHECK_VK(made);
}

Kernel::~Kernel() {
  vkDestroyPipeline(gpu_.device(), pipeline_, nullptr);
  vkDestroyPipelineLayout(gpu_.device(), layout_, nullptr);
  vkDestroyDescriptorSetLayout(gpu_.device(), set_, nullptr);
}

Commands::Commands(Gpu& gpu, uint32_t queries) : gpu_(gpu), queries_(queries) {
  // A pool of its own: command buffers of one pool must not be recorded on several threads.
  VkCommandPoolCreateInfo pool{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
  pool.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
  pool.queueFamilyIndex = gpu.family();
  SLUICE_CHECK_VK(vkCreateCommandPool(gpu.device(), &pool, nullptr, &pool_));
  VkCommandBufferAllocateInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
  info.commandPool = pool_;
  info.commandBufferCount = 1;
  SLUICE_CHECK_VK(vkAllocateCommandBuffers(gpu.device(), &info, &commands_));
  if (queries == 0) return;
  VkQueryPoolCreateInfo query{VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO};
  query.queryType = VK_QUERY_TYPE_TIMESTAMP;
  query.queryCount = queries;
  SLUICE_CHECK_VK(vkCreateQueryPool(gpu.device(), &query, nullptr, &query_pool_));
}

Commands::~Commands() {
  vkDestroyQueryPool(gpu_.device(), query_pool_, nullptr);
  vkDestroyCommandPool(gpu_.device(), pool_, nullptr);
}

void Commands::Begin() {
  VkCommandBufferBeginInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  SLUICE_CHECK_VK(vkBeginCommandBuffer(commands_, &info));
  if (queries_ > 0) vkCmdResetQueryPool(commands_, query_pool_, 0, queries_);
}

void Commands::End() {
  Barrier();
  SLUICE_CHECK_VK(vkEndCommandBuffer(commands_));
}

void Commands::Timestamp(uint32_t query) {
  vkCmdWriteTimestamp2(commands_, VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT, query_pool_, query);
}

void Commands::Barrier() {
  VkMemoryBarrier2 barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER_2};
  barrier.srcStageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT;
  barrier.srcAccessMask = VK_ACCESS_2_MEMORY_WRITE_BIT;
  barrier.dstStageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT | VK_PIPELINE_STAGE_2_HOST_BIT;
  barrier.dstAccessMask = VK_ACCESS_2_MEMORY_READ_BIT | VK_ACCESS_2_MEMORY_WRITE_BIT;
  VkDependencyInfo info{VK_STRUCTURE_TYPE_DEPENDENCY_INFO};
  info.memoryBarrierCount = 1;
  info.pMemoryBarriers = &barrier;
  vkCmdPipelineBarrier2(commands_, &info);
}

void Commands::Bind(const Kernel& kernel, const std::vector<float>& params) {
  vkCmdBindPipeline(commands_, VK_PIPELINE_BIND_POINT_COMPUTE, kernel.pipeline());
  float push[kPushBytes / sizeof(float)]{};
  if (params.size() > std::size(push)) throw Failure("too many parameters to push");
  std::copy(params.begin(), params.end(), push);
  vkCmdPushConstants(commands_, kernel.layout(), VK_SHADER_STAGE_COMPUTE_BIT, 0, kPushBytes, push);
}

void Commands::Dispatch(const Kernel& kernel, VkBuffer src, VkBuffer dst, VkBuffer params,
                        uint32_t groups_x, uint32_t groups_y) {
  const VkDescriptorBufferInfo buffers[4] = {{src, 0, VK_WHOLE_SIZE},
                                             {dst, 0, VK_WHOLE_SIZE},
                                             {params, 0, VK_WHOLE_SIZE},
                                             {params, 0, VK_WHOLE_SIZE}};
  VkWriteDescriptorSet writes[4]{};
  for (uint32_t i = 0; i < 4; ++i) {
    writes[i].sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
    writes[i].dstBinding = i;
    writes[i].descriptorCount = 1;
    writes[i].descriptorType =
        i == 3 ? VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
    writes[i].pBufferInfo = &buffers[i];
  }
  vkCmdPushDescriptorSetKHR(commands_, VK_PIPELINE_BIND_POINT_COMPUTE, kernel.layout(), 0, 4,
                            writes);
  vkCmdDispatch(commands_, groups_x, groups_y, 1);
}

void Commands::Copy(const Buffer& from, const Buffer& to) {
  const VkBufferCopy region{0, 0, std::min(from.bytes(), to.bytes())};
  vkCmdCopyBuffer(commands_, from.handle(), to.handle(), 1, &region);
}

std::vector<double> Commands::ReadTimestamps() const {
  std::vector<uint64_t> ticks(queries_);
  SLUICE_CHECK_VK(vkGetQueryPoolResults(
      gpu_.device(), query_pool_, 0, queries_, ticks.size() * sizeof ticks[0], ticks.data(),
      sizeof ticks[0], VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT));
  std::vector<double> ns;
  // From the first: 64-bit ticks of a long uptime do not fit a double's mantissa.
  for (const uint64_t tick : ticks) {
    ns.push_back(static_cast<double>(tick - ticks[0]) * gpu_.ns_per_tick());
  }
  return ns;
}

TimelineSemaphore::TimelineSemaphore(Gpu& gpu) : gpu_(gpu) {
  VkSemaphoreTypeCreateInfo type{VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO};
  type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
  VkSemaphoreCreateInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, &type};
  SLUICE_CHECK_VK(vkCreateSemaphore(gpu.device(), &info, nullptr, &semaphore_));
}

TimelineSemaphore::~TimelineSemaphore() { vkDestroySemaphore(gpu_.device(), semaphore_, nullptr); }

void TimelineSemaphore::Wait(uint64_t value) const {
  VkSemaphoreWaitInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO};
  info.semaphoreCount = 1;
  info.pSemaphores = &semaphore_;
  info.pValues = &value;
  SLUICE_CHECK_VK(vkWaitSemaphores(gpu_.device(), &info, kTimeoutNs));
}

void TimelineSemaphore::SubmitAndSignal(VkCommandBuffer commands, uint64_t value) {
  VkSemaphoreSubmitInfo signal{VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO};
  signal.semaphore = semaphore_;
  signal.value = value;
  signal.stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT;
  VkCommandBufferSubmitInfo buffer{VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO};
  buffer.commandBuffer = commands;
  VkSubmitInfo2 submit{VK_STRUCTURE_TYPE_SUBMIT_INFO_2};
  submit.commandBufferInfoCount = 1;
  submit.pCommandBufferInfos = &buffer;
  submit.signalSemaphoreInfoCount = 1;
  submit.pSignalSemaphoreInfos = &signal;
  gpu_.Submit(submit);
}

}  // namespace sluice::benchmark
