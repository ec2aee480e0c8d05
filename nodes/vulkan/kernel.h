#ifndef SLUICE_NODES_VULKAN_KERNEL_H_
#define SLUICE_NODES_VULKAN_KERNEL_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "nodes/vulkan/compiler.h"
#include "nodes/vulkan/device.h"
#include "nodes/vulkan/passes.h"
#include "nodes/vulkan/shape.h"

namespace sluice::vulkan {

/// Ids and values of the specialisation constants of shaders/result.glsl and shaders/source.glsl.
using Constants = std::vector<std::pair<uint32_t, uint32_t>>;

/// What does not depend on one pass alone.
struct PassContext {
  uint32_t matrix = 1;     ///< of the frames around, for luma of frames of R'G'B'
  bool loops = false;      ///< compiles in less time, runs in more
  uint32_t same_grid = 0;  ///< SameGrid()
};

/// On which axes (1: columns, 2: rows) the frames of a network have the same chroma samples at both
/// ends and no stage reads pixels other than its own: then a sample serves its own pixels from end
/// to end, in however many passes.
uint32_t SameGrid(const Network& network);

/// What the shader of a pass is specialised for.
Constants ConstantsFor(const Pass& pass, const PassContext& context);

/// Bindings of every kernel: 0 the block of shaders/result.glsl, 1 tables, 2 to 4 the result's
/// planes, then three for each input.
constexpr uint32_t kFirstInputBinding = 5;
constexpr uint32_t BindingCount(uint32_t inputs) { return kFirstInputBinding + 3 * inputs; }

/// A shader with one pipeline for each set of constants that was asked for. Threads: [thread-safe].
class KernelModule {
 public:
  /// Errors: InvalidArgument for what is no SPIR-V; Internal. `pipelines`: borrowed, may be null.
  static Result<std::unique_ptr<KernelModule>> Create(const Device& device,
                                                      std::span<const uint32_t> spirv,
                                                      uint32_t inputs, VkPipelineCache pipelines);
  ~KernelModule();
  KernelModule(const KernelModule&) = delete;
  KernelModule& operator=(const KernelModule&) = delete;

  /// Compiles on first use. Ownership: the module's.
  Result<VkPipeline> Get(const Constants& constants);
  VkPipelineLayout layout() const { return layout_; }
  VkDescriptorSetLayout set_layout() const { return set_layout_; }
  uint32_t inputs() const { return inputs_; }

 private:
  KernelModule(const Device& device, uint32_t inputs, VkPipelineCache pipelines)
      : device_(device), inputs_(inputs), cache_(pipelines) {}
  Status CreateLayout();

  const Device& device_;
  const uint32_t inputs_;
  const VkPipelineCache cache_;
  VkShaderModule module_ = VK_NULL_HANDLE;
  VkDescriptorSetLayout set_layout_ = VK_NULL_HANDLE;
  VkPipelineLayout layout_ = VK_NULL_HANDLE;
  std::mutex mutex_;
  std::map<Constants, VkPipeline> pipelines_;
};

/// The kernels of a device, each compiled once; what the driver made of them is kept on disk
/// between runs, by device and driver. Threads: [thread-safe].
class KernelLibrary {
 public:
  static constexpr size_t kMostKept = 64;

  /// `cache`: a directory, or empty for none. A damaged cache is as good as none. Of more than
  /// `most_kept` those that nobody holds are forgotten: a shader that is edited while a graph runs
  /// leaves one behind with each text.
  KernelLibrary(const Device& device, const std::filesystem::path& cache,
                size_t most_kept = kMostKept);
  /// Saves what the driver made.
  ~KernelLibrary();
  KernelLibrary(const KernelLibrary&) = delete;
  KernelLibrary& operator=(const KernelLibrary&) = delete;

  /// The kernel with this text. Ownership: shared, to be dropped when the device is done with it
  /// and before the library goes. Errors: InvalidArgument, with the compiler's message; Internal.
  Result<std::shared_ptr<KernelModule>> Get(const std::string& glsl, uint32_t inputs);
  uint64_t compiled() const { return compiler_.compiled(); }
  /// Kernels that are kept now, for tests.
  size_t size() const;

 private:
  std::string CacheKey() const;
  void OpenPipelineCache();
  void SavePipelineCache() const;

  const Device& device_;
  const std::filesystem::path cache_;
  const size_t most_kept_;
  Compiler compiler_;
  VkPipelineCache pipelines_ = VK_NULL_HANDLE;
  uint64_t loaded_bytes_ = 0;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<KernelModule>> modules_;
};

/// The buffer of each plane; the same one for all of a frame that is one allocation.
using PlaneBuffers = std::array<VkBuffer, 3>;
inline PlaneBuffers AllPlanesIn(VkBuffer buffer) { return {buffer, buffer, buffer}; }

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_KERNEL_H_
