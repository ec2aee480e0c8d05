#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/media/memory.h"

namespace sluice::media {

/// Makes the memory of buffers. Ports make memory too (AdoptMemory); these are the
/// engine's own kinds. docs/memory.md. Threads: [main-thread].
class Allocator {
 public:
  virtual ~Allocator() = default;
  /// "memfd".
  virtual std::string_view name() const = 0;
  /// View bits of what Allocate returns.
  virtual uint32_t views() const = 0;
  /// The multiple of `size` and of the mapping's address, bytes.
  virtual uint32_t granularity() const = 0;
  /// The largest buffer, bytes; 0 = no bound of its own.
  virtual uint64_t max_bytes() const { return 0; }
  /// One part of at least `size` bytes, zeroed, resident, not mapped. `label` shows in
  /// /proc. Errors: InvalidArgument, ResourceExhausted (also beyond max_bytes, with the
  /// numbers), what the kernel says.
  virtual Result<std::unique_ptr<Memory>> Allocate(std::string_view label, uint64_t size) = 0;
};

/// Sealed memfds (SHRINK, GROW, SEAL; no write seal, so that udmabuf can be a
/// view of them), one for each buffer.
std::unique_ptr<Allocator> CreateMemfdAllocator();

/// The same memfds, each with a dma-buf over its pages (/dev/udmabuf): both views
/// show the same bytes. Errors: what ProbeUdmabuf says.
Result<std::unique_ptr<Allocator>> CreateUdmabufAllocator();

/// dma-bufs of /dev/dma_heap/<heap>. Errors: what ProbeDmaHeap says.
Result<std::unique_ptr<Allocator>> CreateDmaHeapAllocator(std::string heap = "system");

/// Whether an allocator can work here, found out by making one page.
struct AllocatorProbe {
  bool usable = false;
  uint64_t max_bytes = 0;  ///< As Allocator::max_bytes.
  std::string detail;      ///< What there is, or what is missing: "/dev/udmabuf: ...".
  std::string advice;      ///< What to do about it. Empty when usable.
};
AllocatorProbe ProbeUdmabuf();
AllocatorProbe ProbeDmaHeap(const std::string& heap = "system");

/// What the engine can allocate itself here: memfd first, the others where they are usable.
std::vector<std::unique_ptr<Allocator>> MakeAllocators();

}  // namespace sluice::media
