#include "nodes/vulkan/import_cache.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace sluice::vulkan {

const Import* ImportCache::Find(const sluice_buffer_id& id) const {
  const auto pool = pools_.find({id.pool, id.epoch});
  if (pool == pools_.end()) return nullptr;
  const auto found = pool->second.find(id.index);
  return found != pool->second.end() ? &found->second : nullptr;
}

size_t ImportCache::size() const {
  size_t size = 0;
  for (const auto& [pool, imports] : pools_) size += imports.size();
  return size;
}

const Import* ImportCache::Add(const sluice_buffer_id& id, Import import) {
  return &pools_[{id.pool, id.epoch}].insert_or_assign(id.index, std::move(import)).first->second;
}

void ImportCache::Put(const sluice_buffer_id& id, Import import) { Add(id, std::move(import)); }

Result<const Import*> ImportCache::ImportHost(const sluice_buffer_id& id, void* base,
                                              uint64_t size) {
  if (const Import* known = Find(id); known != nullptr) {
    if (known->base == base && known->parts.front().size() == size) return known;
    return Fail(SLUICE_E_INTERNAL, "a buffer changed its mapping within its epoch");
  }
  auto memory = Memory::ImportHost(device_, base, size);
  if (!memory) return tl::unexpected(memory.error());
  Import import;
  import.base = base;
  import.parts.push_back(std::move(*memory));
  return Add(id, std::move(import));
}

Result<const Import*> ImportCache::ImportDmabuf(const sluice_buffer_id& id,
                                                const sluice_memory& memory, const Shape& shape,
                                                bool written) {
  if (const Import* known = Find(id); known != nullptr) {
    if (!written || known->mappings.empty()) return known;
    return Fail(SLUICE_E_UNSUPPORTED, "a dma-buf that may only be read");
  }
  std::array<uint64_t, SLUICE_MAX_PLANES> sizes{};
  const uint32_t parts = std::min<uint32_t>(memory.part_count, SLUICE_MAX_PLANES);
  for (uint32_t i = 0; i < parts; ++i) sizes[i] = memory.parts[i].size;
  if (Status s = CheckParts(shape, std::span(sizes).first(parts)); !s)
    return tl::unexpected(s.error());
  Import import;
  import.foreign = true;
  for (uint32_t i = 0; i < parts; ++i) {
    auto part = ImportPart(memory.parts[i].fd, memory.parts[i].size, written, import);
    if (!part) {
      return Fail(part.error().code, PlanesIn(shape, i) + ": " + part.error().message);
    }
    import.parts.push_back(std::move(*part));
  }
  return Add(id, std::move(import));
}

// Software Vulkan maps what it imports for reading and writing, which a dma-buf that was exported
// to be read alone refuses. Its device is the CPU: a mapping of ours is as good. A GPU may reach
// such a mapping or not, and has no need of it.
Result<Memory> ImportCache::ImportPart(int fd, uint64_t size, bool written, Import& import) {
  auto memory = Memory::ImportDmabuf(device_, fd, size);
  if (memory || written || !device_.is_software() || !ReadMapping::IsReadOnly(fd)) return memory;
  auto mapping = ReadMapping::Of(fd, size);
  if (!mapping) return tl::unexpected(mapping.error());
  memory = Memory::ImportHost(device_, mapping->base(), mapping->size());
  if (!memory) return memory;
  import.mappings.push_back(std::move(*mapping));
  import.foreign = false;
  return memory;
}

ImportCache::Taken ImportCache::TakePool(uint32_t pool, uint32_t epoch) {
  const auto node = pools_.extract({pool, epoch});
  return node.empty() ? Taken() : std::move(node.mapped());
}

}  // namespace sluice::vulkan
