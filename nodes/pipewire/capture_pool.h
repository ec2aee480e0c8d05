#ifndef NODES_PIPEWIRE_CAPTURE_POOL_H_
#define NODES_PIPEWIRE_CAPTURE_POOL_H_

#include <cstdint>
#include <memory>
#include <vector>

#include <sluice/node.hpp>

#include "nodes/pipewire/capture_stream.h"
#include "nodes/pipewire/peer_buffers.h"

namespace sluice::pipewire {

/// A pool of the engine whose memory is a peer's: buffer i of it is buffer i of the stream. Where
/// the peer has fewer, the last ones are spare: nobody fills them, and nobody acquires them.
struct LentPool {
  uint32_t pool = 0;
  uint32_t epoch = 0;
  uint32_t views = 0;
  sluice_format format{};
  sluice_layout layout{};
  Geometry geometry;
  uint32_t buffers = 0;  ///< of the pool
  uint32_t real = 0;     ///< so many of them are the peer's, the others spare ones
  /// What its memory needs to stay, also when the stream is gone.
  std::vector<std::shared_ptr<Mapping>> mappings;

  bool Is(sluice_buffer_id id) const { return id.pool == pool && id.epoch == epoch; }
  /// Whether a port was given this pool.
  bool IsOf(const sluice_port_config& port) const;
  /// Whether a delivered picture lies where the pool's layout says.
  bool Holds(const Delivery& delivery, bool compressed) const;
};

/// Lends what `stream`'s peer gives to the pool that `request` asks for. `geometry` says where the
/// rows of its pictures lie, where that is known; else they have no gaps.
/// Requires: the connection's lock.
/// Errors: UNSUPPORTED (it can be lent in another way, or not at all), DEVICE_LOST,
/// RESOURCE_EXHAUSTED, IO.
sdk::Expected<LentPool> LendPool(const CaptureStream& stream, const sluice_pool_request& request,
                                 const Geometry* geometry, sdk::PoolSink& sink);

}  // namespace sluice::pipewire

#endif  // NODES_PIPEWIRE_CAPTURE_POOL_H_
