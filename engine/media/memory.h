#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "engine/media/format.h"

namespace sluice::media {

/// One allocation: an fd, its real size, and a CPU mapping that lives as long
/// as it does. Owns both.
class Memory {
 public:
  Memory(UniqueFd fd, void* mapping, uint64_t size, uint32_t views);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  /// Borrowed; -1 where the memory has no fd.
  int fd() const { return fd_.get(); }
  /// Page aligned; null where the CPU cannot reach it.
  uint8_t* mapping() const { return static_cast<uint8_t*>(mapping_); }
  uint64_t size() const { return size_; }
  uint32_t views() const { return views_; }

 private:
  UniqueFd fd_;
  void* mapping_;
  uint64_t size_;
  uint32_t views_;
};

/// Makes the memory of buffers. memfd is the first row of the table; udmabuf,
/// dma-heap, dumb buffers and devices join as further rows. Threads: [main-thread].
class Allocator {
 public:
  virtual ~Allocator() = default;
  /// "memfd".
  virtual std::string_view name() const = 0;
  /// View bits of what Allocate returns.
  virtual uint32_t views() const = 0;
  /// The multiple of `size` and of the mapping's address, bytes.
  virtual uint32_t granularity() const = 0;
  /// At least `size` bytes, zeroed, resident. Errors: ResourceExhausted, Io.
  virtual Result<std::unique_ptr<Memory>> Allocate(std::string_view label, uint64_t size) = 0;
};

/// Sealed memfds (SHRINK, GROW, SEAL; no write seal, so that udmabuf can be a
/// view of them), one for each buffer, pre-faulted, mapped once.
std::unique_ptr<Allocator> CreateMemfdAllocator();

}  // namespace sluice::media
