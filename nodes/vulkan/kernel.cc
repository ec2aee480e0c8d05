#include "nodes/vulkan/kernel.h"

#include <algorithm>
#include <string>

namespace sluice::vulkan {
namespace {

constexpr uint32_t kSpirvMagic = 0x07230203;
constexpr uint32_t kFirstInputConstant = 16;
constexpr uint32_t kConstantsOfInput = 8;

std::string Hex(std::span<const uint8_t> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const uint8_t byte : bytes) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

/// The axes on which two frames have the same chroma samples.
uint32_t GridInCommon(const Shape& a, const Shape& b) {
  if (!a.is_yuv() || !b.is_yuv()) return 0;
  constexpr uint32_t kCenter = 1, kTopLeft = 2;
  const bool columns = (a.siting != kCenter) == (b.siting != kCenter);
  const bool rows = a.is_420() && b.is_420() && (a.siting == kTopLeft) == (b.siting == kTopLeft);
  return (columns ? 1U : 0U) | (rows ? 2U : 0U);
}

}  // namespace

uint32_t SameGrid(const Network& network) {
  for (const Network::Node& node : network.nodes) {
    for (const Stage& stage : node.stages) {
      if (stage.kind == Stage::Kind::kSample || stage.samples) return 0;
    }
  }
  if (network.inputs.size() != 1) return 0;
  uint32_t same = 3;
  for (const Shape& output : network.outputs) same &= GridInCommon(network.inputs[0], output);
  return same;
}

Constants ConstantsFor(const Pass& pass, const PassContext& context) {
  const Shape& dst = pass.result;
  const auto flag = [](bool value) { return value ? 1U : 0U; };
  const auto matrix_of = [&](const Shape& shape) {
    return shape.is_yuv() ? shape.matrix : context.matrix;
  };
  uint32_t same_grid = 0;
  if (!pass.sample && !pass.inputs.empty()) {
    const Shape& src = pass.inputs[0].shape;
    same_grid = src.is_yuv() && dst.is_yuv() ? GridInCommon(src, dst) : context.same_grid;
  }
  Constants c = {{0, static_cast<uint32_t>(dst.pixels)},
                 {1, matrix_of(dst)},
                 {2, flag(dst.full_range)},
                 {3, dst.siting},
                 {4, flag(dst.alpha)},
                 {5, flag(dst.parts > 1)},
                 {6, dst.width & 1U},
                 {7, dst.height & 1U},
                 {8, flag(context.loops)},
                 {9, same_grid}};
  for (uint32_t i = 0; i < pass.inputs.size(); ++i) {
    const Shape& src = pass.inputs[i].shape;
    const uint32_t id = kFirstInputConstant + kConstantsOfInput * i;
    c.insert(c.end(), {{id, static_cast<uint32_t>(src.pixels)},
                       {id + 1, matrix_of(src)},
                       {id + 2, flag(src.full_range)},
                       {id + 3, src.siting},
                       {id + 4, flag(src.alpha)},
                       {id + 5, flag(src.parts > 1)},
                       {id + 6, flag(pass.inputs[i].place.kind != Pass::Place::Kind::kNone)}});
  }
  return c;
}

Result<std::unique_ptr<KernelModule>> KernelModule::Create(const Device& device,
                                                           std::span<const uint32_t> spirv,
                                                           uint32_t inputs,
                                                           VkPipelineCache pipelines) {
  if (spirv.size() < 5 || spirv[0] != kSpirvMagic)
    return Fail(SLUICE_E_INVALID_ARGUMENT, "not SPIR-V");
  std::unique_ptr<KernelModule> kernel(new KernelModule(device, inputs, pipelines));
  const VkShaderModuleCreateInfo create{VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, nullptr, 0,
                                        spirv.size_bytes(), spirv.data()};
  const VkResult result =
      device.vk().vkCreateShaderModule(device.handle(), &create, nullptr, &kernel->module_);
  if (result != VK_SUCCESS) return FailVk(result, "vkCreateShaderModule");
  if (Status s = kernel->CreateLayout(); !s) return tl::unexpected(s.error());
  return kernel;
}

Status KernelModule::CreateLayout() {
  const VolkDeviceTable& vk = device_.vk();
  std::vector<VkDescriptorSetLayoutBinding> bindings(BindingCount(inputs_));
  for (uint32_t i = 0; i < bindings.size(); ++i) {
    bindings[i] = {i,
                   i == 0 ? VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                   1, VK_SHADER_STAGE_COMPUTE_BIT, nullptr};
  }
  const VkDescriptorSetLayoutCreateInfo set{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
                                            nullptr, 0, static_cast<uint32_t>(bindings.size()),
                                            bindings.data()};
  VkResult result = vk.vkCreateDescriptorSetLayout(device_.handle(), &set, nullptr, &set_layout_);
  if (result != VK_SUCCESS) return FailVk(result, "vkCreateDescriptorSetLayout");
  const VkPipelineLayoutCreateInfo layout{
      VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO, nullptr, 0, 1, &set_layout_, 0, nullptr};
  result = vk.vkCreatePipelineLayout(device_.handle(), &layout, nullptr, &layout_);
  if (result != VK_SUCCESS) return FailVk(result, "vkCreatePipelineLayout");
  return {};
}

KernelModule::~KernelModule() {
  const VolkDeviceTable& vk = device_.vk();
  for (const auto& [constants, pipeline] : pipelines_)
    vk.vkDestroyPipeline(device_.handle(), pipeline, nullptr);
  if (layout_ != VK_NULL_HANDLE) vk.vkDestroyPipelineLayout(device_.handle(), layout_, nullptr);
  if (set_layout_ != VK_NULL_HANDLE)
    vk.vkDestroyDescriptorSetLayout(device_.handle(), set_layout_, nullptr);
  if (module_ != VK_NULL_HANDLE) vk.vkDestroyShaderModule(device_.handle(), module_, nullptr);
}

Result<VkPipeline> KernelModule::Get(const Constants& constants) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (const auto found = pipelines_.find(constants); found != pipelines_.end())
    return found->second;
  std::vector<VkSpecializationMapEntry> entries;
  std::vector<uint32_t> values;
  for (const auto& [id, value] : constants) {
    entries.push_back({id, static_cast<uint32_t>(values.size() * 4), 4});
    values.push_back(value);
  }
  const VkSpecializationInfo special{static_cast<uint32_t>(entries.size()), entries.data(),
                                     values.size() * 4, values.data()};
  VkComputePipelineCreateInfo create{VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO};
  create.stage = {VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  nullptr,
                  0,
                  VK_SHADER_STAGE_COMPUTE_BIT,
                  module_,
                  "main",
                  &special};
  create.layout = layout_;
  VkPipeline pipeline = VK_NULL_HANDLE;
  const VkResult result = device_.vk().vkCreateComputePipelines(device_.handle(), cache_, 1,
                                                                &create, nullptr, &pipeline);
  if (result != VK_SUCCESS) return FailVk(result, "vkCreateComputePipelines");
  device_.counters().pipelines.fetch_add(1, std::memory_order_relaxed);
  pipelines_.emplace(constants, pipeline);
  return pipeline;
}

KernelLibrary::KernelLibrary(const Device& device, const std::filesystem::path& cache,
                             size_t most_kept)
    : device_(device), cache_(cache), most_kept_(most_kept), compiler_(cache) {
  OpenPipelineCache();
}

KernelLibrary::~KernelLibrary() {
  SavePipelineCache();
  modules_.clear();
  if (pipelines_ != VK_NULL_HANDLE)
    device_.vk().vkDestroyPipelineCache(device_.handle(), pipelines_, nullptr);
}

std::string KernelLibrary::CacheKey() const {
  const DeviceInfo& info = device_.info();
  return info.name + "\n" + info.driver + "\n" + Hex(info.uuid) + "\n" + Hex(info.cache_uuid);
}

// A driver checks what it is given, and some crash all the same: the file's own hash comes first.
void KernelLibrary::OpenPipelineCache() {
  std::vector<uint8_t> data;
  if (!cache_.empty()) {
    auto known =
        ReadCached(cache_ / ("pipelines-" + Hex(device_.info().uuid) + ".bin"), CacheKey());
    if (known) data = std::move(*known);
  }
  loaded_bytes_ = data.size();
  VkPipelineCacheCreateInfo create{VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
  create.initialDataSize = data.size();
  create.pInitialData = data.data();
  const VolkDeviceTable& vk = device_.vk();
  if (vk.vkCreatePipelineCache(device_.handle(), &create, nullptr, &pipelines_) == VK_SUCCESS)
    return;
  loaded_bytes_ = create.initialDataSize = 0;
  if (vk.vkCreatePipelineCache(device_.handle(), &create, nullptr, &pipelines_) != VK_SUCCESS)
    pipelines_ = VK_NULL_HANDLE;
}

void KernelLibrary::SavePipelineCache() const {
  if (cache_.empty() || pipelines_ == VK_NULL_HANDLE) return;
  const VolkDeviceTable& vk = device_.vk();
  size_t size = 0;
  if (vk.vkGetPipelineCacheData(device_.handle(), pipelines_, &size, nullptr) != VK_SUCCESS ||
      size <= loaded_bytes_) {
    return;
  }
  std::vector<uint8_t> data(size);
  if (vk.vkGetPipelineCacheData(device_.handle(), pipelines_, &size, data.data()) != VK_SUCCESS)
    return;
  WriteCached(cache_ / ("pipelines-" + Hex(device_.info().uuid) + ".bin"), CacheKey(), data.data(),
              size);
}

size_t KernelLibrary::size() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return modules_.size();
}

Result<std::shared_ptr<KernelModule>> KernelLibrary::Get(const std::string& glsl, uint32_t inputs) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (const auto found = modules_.find(glsl); found != modules_.end()) return found->second;
  }
  auto spirv = compiler_.Compile(glsl, "pass");
  if (!spirv) return tl::unexpected(spirv.error());
  auto made = KernelModule::Create(device_, *spirv, inputs, pipelines_);
  if (!made) return tl::unexpected(made.error());
  std::lock_guard<std::mutex> lock(mutex_);
  const std::shared_ptr<KernelModule> kernel =
      modules_.emplace(glsl, std::move(*made)).first->second;
  if (modules_.size() > most_kept_)
    std::erase_if(modules_, [](const auto& entry) { return entry.second.use_count() == 1; });
  return kernel;
}

}  // namespace sluice::vulkan
