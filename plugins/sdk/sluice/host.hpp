#ifndef SLUICE_SDK_HOST_HPP_
#define SLUICE_SDK_HOST_HPP_

#include <cstdarg>

#include <sluice/abi.h>
#include <sluice/frame.h>
#include <sluice/memory.h>
#include <sluice/node.h>
#include <sluice/status.hpp>

namespace sluice::sdk {

/// The engine's function tables, looked up once. A small value: copy it freely.
/// Threads: [thread-safe]. Ownership: borrows the host, which outlives the plugin.
class Host {
 public:
  Host() = default;
  explicit Host(const sluice_host* host)
      : host_(host),
        frames_(Find<sluice_frame_api>(SLUICE_FRAME_API_ID)),
        timelines_(Find<sluice_timeline_api>(SLUICE_TIMELINE_API_ID)),
        nodes_(Find<sluice_node_host_api>(SLUICE_NODE_HOST_API_ID)),
        memory_(Find<sluice_memory_api>(SLUICE_MEMORY_API_ID)),
        own_buffers_(Find<sluice_own_buffers_api>(SLUICE_OWN_BUFFERS_API_ID)),
        inputs_(Find<sluice_inputs_api>(SLUICE_INPUTS_API_ID)) {}

  /// Whether the host has what the SDK needs.
  /// Errors: UNSUPPORTED.
  Status Check() const {
    if (host_ == nullptr) return Status::Error(SLUICE_E_INVALID_ARGUMENT, "no host");
    if (host_->abi.major != SLUICE_ABI_MAJOR ||
        (SLUICE_ABI_MAJOR == 0 && host_->abi.minor != SLUICE_ABI_MINOR)) {
      return Status::Error(SLUICE_E_UNSUPPORTED, "the host has ABI %u.%u, the plugin %u.%u",
                           host_->abi.major, host_->abi.minor, SLUICE_ABI_MAJOR, SLUICE_ABI_MINOR);
    }
    if (frames_ == nullptr || timelines_ == nullptr || nodes_ == nullptr || memory_ == nullptr) {
      return Status::Error(SLUICE_E_UNSUPPORTED, "the host lacks %s, %s, %s or %s",
                           SLUICE_FRAME_API_ID, SLUICE_TIMELINE_API_ID, SLUICE_NODE_HOST_API_ID,
                           SLUICE_MEMORY_API_ID);
    }
    return {};
  }

  /// A table by its id, or null. T must be the type that the id stands for.
  template <class T>
  const T* Find(const char* id) const {
    return static_cast<const T*>(host_->get_extension(host_, id));
  }

  [[gnu::format(printf, 4, 5)]] void Log(int32_t level, const char* category, const char* format,
                                         ...) const {
    std::va_list args;
    va_start(args, format);
    host_->log(host_, level, category, VFormat(format, args).c_str());
    va_end(args);
  }

  const sluice_host* c() const { return host_; }
  const sluice_frame_api* frames() const { return frames_; }
  const sluice_timeline_api* timelines() const { return timelines_; }
  const sluice_node_host_api* nodes() const { return nodes_; }
  const sluice_memory_api* memory() const { return memory_; }
  /// Null where the host is older, as is the next.
  const sluice_own_buffers_api* own_buffers() const { return own_buffers_; }
  const sluice_inputs_api* inputs() const { return inputs_; }

 private:
  const sluice_host* host_ = nullptr;
  const sluice_frame_api* frames_ = nullptr;
  const sluice_timeline_api* timelines_ = nullptr;
  const sluice_node_host_api* nodes_ = nullptr;
  const sluice_memory_api* memory_ = nullptr;
  const sluice_own_buffers_api* own_buffers_ = nullptr;
  const sluice_inputs_api* inputs_ = nullptr;
};

}  // namespace sluice::sdk

#endif  // SLUICE_SDK_HOST_HPP_
