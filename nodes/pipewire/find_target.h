#ifndef NODES_PIPEWIRE_FIND_TARGET_H_
#define NODES_PIPEWIRE_FIND_TARGET_H_

#include <cstdint>
#include <string>
#include <vector>

#include <sluice/status.hpp>

#include "nodes/pipewire/connection.h"
#include "nodes/pipewire/formats.h"

namespace sluice::pipewire {

/// A node that sends video.
struct Target {
  uint32_t id = 0;          ///< of its global; another node may have it later
  std::string serial;       ///< its alone, as long as the daemon lives
  std::string name;         ///< node.name
  std::string description;  ///< for people; its name where it has none
  /// A device whose driver makes dma-bufs without saying so in its formats.
  /// Spec: PipeWire's "DMA-BUF Sharing", the special case of V4L2.
  bool plain_dmabufs = false;
  /// It waits for a buffer that is still read without ever asking again (GStreamer's pipewiresink
  /// as a driver): nothing of it can be held.
  bool stalls_when_held = false;

  /// "camera0 (Integrated camera)".
  std::string Text() const;
};

/// The source `wanted`: a node.name, an object.serial or an id; empty: the one that the session
/// manager prefers, else the one of the highest priority.session, else the oldest. Of several of
/// one name, the newest. Errors: NOT_FOUND, with the sources that there are.
sdk::Expected<Target> FindTarget(Connection& connection, const Connection::Lock& lock,
                                 const std::string& wanted, int64_t deadline_ns);

/// Whether a session manager makes links here.
bool HasSessionManager(const Connection& connection);

/// What it can send, as it prefers it; formats that Sluice does not know are left out. Completes
/// `target` by what only a look at the node tells.
/// Errors: DEVICE_LOST, TIMEOUT, UNSUPPORTED (no format is known).
sdk::Expected<std::vector<VideoFormat>> EnumerateFormats(Connection& connection,
                                                         const Connection::Lock& lock,
                                                         Target* target, int64_t deadline_ns);

}  // namespace sluice::pipewire

#endif  // NODES_PIPEWIRE_FIND_TARGET_H_
