#include "nodes/vulkan/import_cache.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace sluice::vulkan {

const Import* ImportCache::Find(const sluice_buffer_id& id) const {
  const auto found = entries_.find(Key(id.pool, id.epoch, id.index));
  return found != entries_.end() ? &found->second : nullptr;
}

const Import* ImportCache::Add(const sluice_buffer_id& id, Import import) {
  return &entries_.insert_or_assign(Key(id.pool, id.epoch, id.index), std::move(import))
              .first->second;
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
  Taken taken;
  auto it = entries_.lower_bound(Key(pool, epoch, 0U));
  while (it != entries_.end() && std::get<0>(it->first) == pool &&
         std::get<1>(it->first) == epoch) {
    taken.push_back(entries_.extract(it++));
  }
  return taken;
}

}  // namespace sluice::vulkan
