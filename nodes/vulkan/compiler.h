#ifndef SLUICE_NODES_VULKAN_COMPILER_H_
#define SLUICE_NODES_VULKAN_COMPILER_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "nodes/vulkan/result.h"

namespace sluice::vulkan {

/// Where compiled shaders and pipelines are kept between runs: SLUICE_CACHE_DIR, or `sluice` in
/// XDG_CACHE_HOME or ~/.cache. Empty: nowhere.
std::filesystem::path CacheDirectory();

/// A file of the cache, whole or not at all. Nothing for one that is missing, damaged, or that was
/// kept for another `key`.
std::optional<std::vector<uint8_t>> ReadCached(const std::filesystem::path& path,
                                               const std::string& key);
/// Writes it beside and renames it; a failure costs time later and is nobody's error.
void WriteCached(const std::filesystem::path& path, const std::string& key, const uint8_t* data,
                 size_t size);

/// GLSL to SPIR-V for Vulkan 1.3, each text once: the last ones in memory and, where there is a
/// cache, all on disk. Threads: [thread-safe].
class Compiler {
 public:
  /// Texts in memory.
  static constexpr size_t kMaxKnown = 64;

  explicit Compiler(std::filesystem::path cache) : cache_(std::move(cache)) {}
  /// Errors: InvalidArgument, with the compiler's message.
  Result<std::vector<uint32_t>> Compile(const std::string& glsl, const char* name);
  /// Texts that were really compiled, for tests.
  uint64_t compiled() const { return compiled_; }

 private:
  std::vector<uint32_t> Remember(const std::string& glsl, std::vector<uint32_t> spirv);

  const std::filesystem::path cache_;
  std::mutex mutex_;
  std::map<std::string, std::vector<uint32_t>> known_;
  uint64_t compiled_ = 0;
};

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_COMPILER_H_
