#include "nodes/pipewire/capture_copy.h"

#include <algorithm>
#include <utility>

namespace sluice::pipewire {
bool PictureCopier::Copy(const VideoFormat& format, const PeerBuffer& buffer, uint32_t index,
                         const sluice_layout& from, const sdk::Mapping& to, uint64_t* bytes) {
  const FormatEntry& entry = *format.entry;
  for (uint32_t i = 0; i < entry.plane_count && i < to.planes(); ++i) {
    const sluice_plane& plane = from.planes[i];
    const PeerBlock& block = buffer.blocks[plane.part];
    uint64_t row_bytes = RowBytes(entry, i, format.size.width);
    uint64_t rows = RowCount(entry, i, format.size.height);
    if (entry.compressed()) {
      row_bytes = std::min<uint64_t>(plane.size, to.stride(0));
      rows = 1;
    }
    const auto mapping = MappingOf(block, size_t{index} * SLUICE_MAX_PLANES + plane.part);
    if (!mapping.ok()) return false;
    for (uint64_t row = 0; row < rows; ++row) {
      const uint64_t offset = plane.offset + row * plane.stride;
      if (!block.Read(mapping->get(), offset, row_bytes, to.Row(i, row))) return false;
    }
    *bytes += rows * row_bytes;
  }
  return true;
}

sdk::Expected<std::shared_ptr<Mapping>> PictureCopier::MappingOf(const PeerBlock& block,
                                                                 size_t key) {
  // The block keeps its own.
  if (block.mapping != nullptr) return block.mapping;
  if (mappings_.size() <= key) mappings_.resize(key + 1);
  if (mappings_[key] == nullptr) {
    auto made = block.Map();
    if (!made.ok()) return made.status();
    mappings_[key] = *std::move(made);
  }
  return mappings_[key];
}

}  // namespace sluice::pipewire
