#include "nodes/vulkan/compiler.h"

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <shaderc/shaderc.hpp>
#include <system_error>

namespace sluice::vulkan {
namespace {

constexpr char kMagic[8] = {'S', 'L', 'U', 'V', 'K', 'C', '0', '1'};
constexpr uint64_t kMaxCached = uint64_t{64} << 20;

uint64_t Hash(const void* data, size_t size, uint64_t seed) {
  // FNV-1a: finds damage and spreads names; equal keys are compared in full.
  uint64_t hash = 0xCBF29CE484222325ULL ^ seed;
  const auto* bytes = static_cast<const uint8_t*>(data);
  for (size_t i = 0; i < size; ++i) hash = (hash ^ bytes[i]) * 0x100000001B3ULL;
  return hash;
}

struct Header {
  char magic[8];
  uint64_t key_size;
  uint64_t data_size;
  uint64_t hash;  // of key and data
};

constexpr shaderc_optimization_level kOptimisation = shaderc_optimization_level_performance;
constexpr shaderc_env_version kEnvironment = shaderc_env_version_vulkan_1_3;

/// What the result depends on beside the text.
std::string CompilerKey() {
  unsigned int version = 0, revision = 0;
  shaderc_get_spv_version(&version, &revision);
  return "// " + std::to_string(version) + "." + std::to_string(revision) + " for " +
         std::to_string(kEnvironment) + " by " + std::to_string(kOptimisation) + "\n";
}

std::string FileName(const std::string& text) {
  std::array<char, 40> name{};
  std::snprintf(name.data(), name.size(), "%016llx%016llx.spv",
                static_cast<unsigned long long>(Hash(text.data(), text.size(), 0)),
                static_cast<unsigned long long>(Hash(text.data(), text.size(), 0x9E3779B9)));
  return name.data();
}

}  // namespace

std::filesystem::path CacheDirectory() {
  const auto from = [](const char* name) -> std::filesystem::path {
    const char* value = std::getenv(name);
    return value != nullptr && value[0] == '/' ? value : "";
  };
  if (auto path = from("SLUICE_CACHE_DIR"); !path.empty()) return path;
  if (auto path = from("XDG_CACHE_HOME"); !path.empty()) return path / "sluice";
  if (auto path = from("HOME"); !path.empty()) return path / ".cache" / "sluice";
  return {};
}

std::optional<std::vector<uint8_t>> ReadCached(const std::filesystem::path& path,
                                               const std::string& key) {
  std::ifstream file(path, std::ios::binary);
  Header header{};
  if (!file.read(reinterpret_cast<char*>(&header), sizeof header)) return std::nullopt;
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0 || header.key_size != key.size() ||
      header.data_size > kMaxCached) {
    return std::nullopt;
  }
  std::string known(header.key_size, '\0');
  std::vector<uint8_t> data(header.data_size);
  if (!file.read(known.data(), static_cast<std::streamsize>(known.size())) || known != key)
    return std::nullopt;
  if (!file.read(reinterpret_cast<char*>(data.data()), static_cast<std::streamsize>(data.size())))
    return std::nullopt;
  if (Hash(data.data(), data.size(), Hash(key.data(), key.size(), 0)) != header.hash)
    return std::nullopt;
  return data;
}

void WriteCached(const std::filesystem::path& path, const std::string& key, const uint8_t* data,
                 size_t size) {
  if (size > kMaxCached) return;
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  const std::filesystem::path part = path.string() + "." + std::to_string(getpid()) + ".part";
  Header header{};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.key_size = key.size();
  header.data_size = size;
  header.hash = Hash(data, size, Hash(key.data(), key.size(), 0));
  {
    std::ofstream file(part, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(&header), sizeof header);
    file.write(key.data(), static_cast<std::streamsize>(key.size()));
    file.write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
    file.close();
    if (!file) {
      std::filesystem::remove(part, error);
      return;
    }
  }
  std::filesystem::rename(part, path, error);
  if (error) std::filesystem::remove(part, error);
}

std::vector<uint32_t> Compiler::Remember(const std::string& glsl, std::vector<uint32_t> spirv) {
  if (known_.size() >= kMaxKnown) known_.clear();
  return known_.emplace(glsl, std::move(spirv)).first->second;
}

Result<std::vector<uint32_t>> Compiler::Compile(const std::string& glsl, const char* name) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (const auto found = known_.find(glsl); found != known_.end()) return found->second;
  const std::string key = CompilerKey() + glsl;
  const std::filesystem::path path = cache_.empty() ? cache_ : cache_ / "shaders" / FileName(key);
  if (!path.empty()) {
    if (const auto bytes = ReadCached(path, key); bytes && bytes->size() % 4 == 0) {
      std::vector<uint32_t> words(bytes->size() / 4);
      std::memcpy(words.data(), bytes->data(), bytes->size());
      return Remember(glsl, std::move(words));
    }
  }
  shaderc::CompileOptions options;
  options.SetTargetEnvironment(shaderc_target_env_vulkan, kEnvironment);
  options.SetOptimizationLevel(kOptimisation);
  const shaderc::Compiler compiler;
  const auto result =
      compiler.CompileGlslToSpv(glsl.data(), glsl.size(), shaderc_compute_shader, name, options);
  if (result.GetCompilationStatus() != shaderc_compilation_status_success) {
    std::string message = result.GetErrorMessage();
    while (!message.empty() && message.back() == '\n') message.pop_back();
    return Fail(SLUICE_E_INVALID_ARGUMENT, message);
  }
  ++compiled_;
  std::vector<uint32_t> words(result.cbegin(), result.cend());
  if (!path.empty()) {
    WriteCached(path, key, reinterpret_cast<const uint8_t*>(words.data()), words.size() * 4);
  }
  return Remember(glsl, std::move(words));
}

}  // namespace sluice::vulkan
