#ifndef SLUICE_SDK_MEMORY_HPP_
#define SLUICE_SDK_MEMORY_HPP_

#include <sluice/memory.h>
#include <sluice/frame.hpp>
#include <sluice/host.hpp>

namespace sluice::sdk {

/// Where Allocate() puts the buffers it made. Valid for that call.
class PoolSink {
 public:
  PoolSink(const Host& host, sluice_pool_sink* sink) : host_(host), sink_(sink) {}

  /// Takes the fds in `buffer`, also when it fails.
  /// Errors: INVALID_ARGUMENT for a description that does not fit its memory.
  Status Add(const sluice_buffer_desc& buffer) {
    const int32_t code = host_.memory()->add_buffer(sink_, &buffer);
    if (code >= 0) return {};
    return Status::Error(code, "the host refused the buffer (%s)", CodeName(code));
  }

 private:
  Host host_;
  sluice_pool_sink* sink_;
};

/// The fds of a frame's buffer; borrowed, open until its pool is forgotten. `view`: one bit.
/// Errors: UNSUPPORTED (no such view); PERMISSION_DENIED (the port does not declare raw_fds).
inline Expected<sluice_memory> Memory(const Host& host, FrameRef frame, uint32_t view) {
  sluice_memory memory{};
  if (const int32_t code = host.memory()->fds(frame.c(), view, &memory); code < 0) {
    return Status::Error(code, "the buffer gives no fd (%s)", CodeName(code));
  }
  return memory;
}

}  // namespace sluice::sdk

#endif  // SLUICE_SDK_MEMORY_HPP_
