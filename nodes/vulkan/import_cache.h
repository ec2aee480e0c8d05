#ifndef SLUICE_NODES_VULKAN_IMPORT_CACHE_H_
#define SLUICE_NODES_VULKAN_IMPORT_CACHE_H_

#include <sluice/frame.h>
#include <sluice/memory.h>

#include <map>
#include <tuple>
#include <vector>

#include "nodes/vulkan/memory.h"
#include "nodes/vulkan/shape.h"

namespace sluice::vulkan {

/// A frame's buffer as the device has it.
struct Import {
  std::vector<Memory> parts;
  bool foreign = false;  ///< shared with other drivers: ownership is passed to and fro
  void* base = nullptr;  ///< of a host mapping
};

/// Imports by buffer identity, so that each buffer is imported once in its life.
/// Threads: one at a time; the owner locks.
class ImportCache {
 public:
  explicit ImportCache(const Device& device) : device_(device) {}

  /// What is known of the buffer `id`, or null. Ownership: the cache's, until TakePool.
  const Import* Find(const sluice_buffer_id& id) const;
  /// The host mapping of the buffer `id`, imported on first use.
  /// Errors: as Memory::ImportHost. Ownership: as Find.
  Result<const Import*> ImportHost(const sluice_buffer_id& id, void* base, uint64_t size);
  /// The dma-bufs of the buffer `id`, all of them or none. Borrows the fds.
  /// Errors: as Memory::ImportDmabuf and CheckParts; the message names the planes.
  Result<const Import*> ImportDmabuf(const sluice_buffer_id& id, const sluice_memory& memory,
                                     const Shape& shape);
  /// The buffer `id` was made here.
  void Put(const sluice_buffer_id& id, Import import);
  /// Forgets this pool. Ownership: the imports are the caller's, to be kept while submissions use
  /// them.
  std::vector<Import> TakePool(uint32_t pool, uint32_t epoch);
  size_t size() const { return entries_.size(); }

 private:
  using Key = std::tuple<uint32_t, uint32_t, uint32_t>;
  const Import* Add(const sluice_buffer_id& id, Import import);

  const Device& device_;
  std::map<Key, Import> entries_;
};

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_IMPORT_CACHE_H_
