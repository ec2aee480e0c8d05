#ifndef SLUICE_NODES_VULKAN_READ_MAPPING_H_
#define SLUICE_NODES_VULKAN_READ_MAPPING_H_

#include <sluice/unique_fd.hpp>

#include <cstdint>
#include <utility>

#include "nodes/vulkan/result.h"

namespace sluice::vulkan {

/// A dma-buf, mapped to be read alone. Move-only.
class ReadMapping {
 public:
  /// Whether `fd` (borrowed) may be mapped for reading and not for writing: PipeWire gives the
  /// buffers of V4L2 cameras so.
  static bool IsReadOnly(int fd);
  /// The first `size` bytes of `fd` (borrowed), rounded up to pages. Errors: Unsupported.
  static Result<ReadMapping> Of(int fd, uint64_t size);

  ReadMapping(ReadMapping&& other) noexcept
      : fd_(std::move(other.fd_)),
        base_(std::exchange(other.base_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  ReadMapping& operator=(ReadMapping&&) = delete;
  ~ReadMapping();

  void* base() const { return base_; }
  /// Whole pages.
  uint64_t size() const { return size_; }

  /// Around each use by the CPU. Spec: DMA_BUF_IOCTL_SYNC, linux/dma-buf.h.
  void Begin() const { Sync(true); }
  void End() const { Sync(false); }

 private:
  ReadMapping(sdk::UniqueFd fd, void* base, uint64_t size)
      : fd_(std::move(fd)), base_(base), size_(size) {}
  void Sync(bool begin) const;

  sdk::UniqueFd fd_;
  void* base_;
  uint64_t size_;
};

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_READ_MAPPING_H_
