#ifndef SLUICE_SDK_PARAMS_HPP_
#define SLUICE_SDK_PARAMS_HPP_

#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include <sluice/node.h>

namespace sluice::sdk {

struct Size {
  uint32_t width = 0;
  uint32_t height = 0;
};

inline Size ToSize(int64_t packed) {
  const auto bits = static_cast<uint64_t>(packed);
  return {static_cast<uint32_t>(bits >> 32), static_cast<uint32_t>(bits)};
}
inline sluice_rate ToRate(int64_t packed) {
  const auto bits = static_cast<uint64_t>(packed);
  return {static_cast<uint32_t>(bits >> 32), static_cast<uint32_t>(bits)};
}

/// The parameters of a node or a domain: validated by the host, defaults filled in.
/// A view: valid as long as the host's set is (the call it was passed to). Getters copy.
class Params {
 public:
  Params() = default;
  explicit Params(const sluice_param_set* set) : set_(set) {}

  /// Null when it was not given and has no default.
  const sluice_param* Find(const char* name) const {
    for (const sluice_param& param : all()) {
      if (std::strcmp(param.name, name) == 0) return &param;
    }
    return nullptr;
  }
  bool Has(const char* name) const { return Find(name) != nullptr; }
  /// Whether the graph gave it; false for a default.
  bool Given(const char* name) const {
    const sluice_param* param = Find(name);
    return param != nullptr && param->given != 0;
  }

  int64_t Int(const char* name, int64_t fallback = 0) const { return Number(name, fallback); }
  bool Bool(const char* name, bool fallback = false) const { return Number(name, fallback) != 0; }
  /// Nanoseconds.
  int64_t DurationNs(const char* name, int64_t fallback = 0) const {
    return Number(name, fallback);
  }
  double Float(const char* name, double fallback = 0) const {
    const sluice_param* param = Find(name);
    return param == nullptr ? fallback : param->f;
  }
  sdk::Size Size(const char* name, sdk::Size fallback = {}) const {
    const sluice_param* param = Find(name);
    return param == nullptr ? fallback : ToSize(param->i);
  }
  sluice_rate Rate(const char* name, sluice_rate fallback = {0, 0}) const {
    const sluice_param* param = Find(name);
    return param == nullptr ? fallback : ToRate(param->i);
  }
  /// STRING, ENUM, PATH, or the JSON text of a MAP.
  std::string String(const char* name, const char* fallback = "") const {
    const sluice_param* param = Find(name);
    return param == nullptr || param->s == nullptr ? fallback : param->s;
  }

  std::span<const sluice_param> all() const {
    if (set_ == nullptr) return {};
    return {set_->params, set_->count};
  }
  const sluice_param_set* c() const { return set_; }

 private:
  int64_t Number(const char* name, int64_t fallback) const {
    const sluice_param* param = Find(name);
    return param == nullptr ? fallback : param->i;
  }

  const sluice_param_set* set_ = nullptr;
};

}  // namespace sluice::sdk

#endif  // SLUICE_SDK_PARAMS_HPP_
