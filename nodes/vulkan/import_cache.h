#ifndef SLUICE_NODES_VULKAN_IMPORT_CACHE_H_
#define SLUICE_NODES_VULKAN_IMPORT_CACHE_H_

#include <sluice/frame.h>
#include <sluice/memory.h>

#include <map>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "nodes/vulkan/memory.h"
#include "nodes/vulkan/read_mapping.h"
#include "nodes/vulkan/shape.h"

namespace sluice::vulkan {

/// A frame's buffer as the device has it.
struct Import {
  /// Of dma-bufs that may only be read, where the device takes them by that way alone: nothing may
  /// be written through it, and each use is bracketed. They outlive `parts`.
  std::vector<ReadMapping> mappings;
  /// Whatever has to outlive `parts`: the connection to the process whose memory they are, which
  /// may write into them again as soon as that ends.
  std::shared_ptr<const void> keeper;
  std::vector<Memory> parts;
  bool foreign = false;   ///< shared with other drivers: ownership is passed to and fro
  bool external = false;  ///< the same, with processes that use this driver
  void* base = nullptr;   ///< of a host mapping
  /// The last submission that uses it. Of the domain, under its lock.
  mutable uint64_t last_use = 0;
};

/// Imports by buffer identity, so that each buffer is imported once in its life.
/// Threads: one at a time; the owner locks.
class ImportCache {
 public:
  /// Imports at the addresses that Find told, by index.
  using Taken = std::unordered_map<uint32_t, Import>;

  explicit ImportCache(const Device& device) : device_(device) {}

  /// What is known of the buffer `id`, or null. Ownership: the cache's, until TakePool.
  const Import* Find(const sluice_buffer_id& id) const;
  /// The host mapping of the buffer `id`, imported on first use.
  /// Errors: as Memory::ImportHost. Ownership: as Find.
  Result<const Import*> ImportHost(const sluice_buffer_id& id, void* base, uint64_t size);
  /// The dma-bufs of the buffer `id`, all of them or none. Borrows the fds. `written`: by the
  /// device. Errors: as Memory::ImportDmabuf and CheckParts; the message names the planes.
  Result<const Import*> ImportDmabuf(const sluice_buffer_id& id, const sluice_memory& memory,
                                     const Shape& shape, bool written);
  /// The buffer `id` was made here.
  void Put(const sluice_buffer_id& id, Import import);
  /// Forgets this pool. Ownership: the imports are the caller's, to be kept while submissions use
  /// them.
  Taken TakePool(uint32_t pool, uint32_t epoch);
  size_t size() const;

 private:
  const Import* Add(const sluice_buffer_id& id, Import import);
  Result<Memory> ImportPart(int fd, uint64_t size, bool written, Import& import);

  const Device& device_;
  /// By pool and epoch: few, so that a firing finds its buffers with few looks at memory.
  std::map<std::pair<uint32_t, uint32_t>, Taken> pools_;
};

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_IMPORT_CACHE_H_
