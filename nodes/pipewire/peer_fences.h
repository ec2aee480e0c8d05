#ifndef NODES_PIPEWIRE_PEER_FENCES_H_
#define NODES_PIPEWIRE_PEER_FENCES_H_

#include <cstdint>
#include <string>
#include <vector>

#include <sluice/fence.hpp>
#include <sluice/node.hpp>
#include <sluice/status.hpp>
#include <sluice/unique_fd.hpp>

#include "nodes/pipewire/peer_buffers.h"

namespace sluice::pipewire {

/// The timelines by which a peer and its readers say when a buffer may be touched: buffer i may be
/// read when its acquire point is there, and written again when its release point is.
/// Spec: drm_syncobj (timelines); PipeWire's SPA_META_SyncTimeline.
/// Threads: under the connection's lock.
class PeerFences {
 public:
  /// The first render node with timeline syncobjs; empty where there is none. Not kept.
  static sdk::UniqueFd OpenRenderNode();

  /// Takes the fences of the next buffer. `who` signals the acquire points.
  /// Errors: what the host says.
  sdk::Status Add(const sdk::NodeContext& context, const PeerBuffer& buffer, int render_fd,
                  const std::string& who);
  bool empty() const { return fences_.empty(); }
  /// When the picture `point` of buffer `index` may be read; now, where the peer has no fences.
  sdk::Fence Acquire(uint32_t index, uint64_t point);
  /// The peer is gone: what it has not signalled fails, what is asked for later too, or its
  /// readers would wait for nobody.
  void Abandon();
  /// Nobody reads it any more. Nothing happens where the peer has no fences.
  void Release(uint32_t index, uint64_t point) const;

 private:
  struct Pair {
    sdk::Timeline acquire;
    sdk::Timeline release;
    uint64_t acquired = 0;  ///< the latest point that was asked for
  };
  static void FailPending(Pair& pair);

  const sluice_timeline_api* api_ = nullptr;
  bool abandoned_ = false;
  std::vector<Pair> fences_;
};

}  // namespace sluice::pipewire

#endif  // NODES_PIPEWIRE_PEER_FENCES_H_
