#ifndef NODES_PIPEWIRE_CAPTURE_COPY_H_
#define NODES_PIPEWIRE_CAPTURE_COPY_H_

#include <cstdint>
#include <memory>
#include <vector>

#include <sluice/node.hpp>

#include "nodes/pipewire/formats.h"
#include "nodes/pipewire/peer_buffers.h"

namespace sluice::pipewire {

/// Copies pictures out of a peer's buffers.
/// Threads: any one at a time, while the peer's buffers stay.
class PictureCopier {
 public:
  /// Copies all planes of buffer `index`, which lie in it as `from` says. False: its memory has
  /// become smaller, or cannot be read. `bytes` is what was copied.
  bool Copy(const VideoFormat& format, const PeerBuffer& buffer, uint32_t index,
            const sluice_layout& from, const sdk::Mapping& to, uint64_t* bytes);
  /// The peer's buffers are others now.
  void Forget() { mappings_.clear(); }

 private:
  /// PeerBlock::Map, kept.
  sdk::Expected<std::shared_ptr<Mapping>> MappingOf(const PeerBlock& block, size_t key);

  std::vector<std::shared_ptr<Mapping>> mappings_;
};

}  // namespace sluice::pipewire

#endif  // NODES_PIPEWIRE_CAPTURE_COPY_H_
