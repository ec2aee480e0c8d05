#ifndef NODES_PIPEWIRE_SOURCE_CLOCK_H_
#define NODES_PIPEWIRE_SOURCE_CLOCK_H_

#include <cstdint>

#include "nodes/pipewire/capture_stream.h"

namespace sluice::pipewire {

/// Times and numbers of a source's frames, whatever the source stamps on them.
class SourceClock {
 public:
  struct Stamp {
    int64_t pts_ns = 0;       ///< 0 for the first frame; always grows
    int64_t captured_ns = 0;  ///< CLOCK_MONOTONIC; 0: not known
    uint64_t sequence = 0;
    uint64_t lost = 0;  ///< frames between this one and the one before
  };

  /// Of the next frame. A source that does not count, or whose stamps stand still, is timed by when
  /// its frames arrive.
  Stamp Next(const Delivery& delivery);

 private:
  bool first_ = true;
  bool by_arrival_ = false;
  int64_t first_pts_ns_ = 0;
  int64_t first_received_ns_ = 0;
  int64_t last_pts_ns_ = 0;
  uint64_t last_counted_ = 0;
  uint64_t sequence_ = 0;
};

}  // namespace sluice::pipewire

#endif  // NODES_PIPEWIRE_SOURCE_CLOCK_H_
