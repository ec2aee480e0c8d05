#ifndef NODES_FFMPEG_PACKET_FRAMES_H_
#define NODES_FFMPEG_PACKET_FRAMES_H_

#include <sluice/node.hpp>

#include "nodes/ffmpeg/libav.h"

namespace sluice::ffmpeg {

/// Packets over the memory of compressed frames: a packet's last reference releases its lease.
class PacketFrames {
 public:
  /// `port`: name of the input, for the count of copies; outlives this object.
  PacketFrames(const sdk::NodeContext& context, const char* port)
      : context_(context), port_(port) {}

  /// Takes `frame`. Without the bytes that libav may read behind a packet (at the very end of its
  /// memory) it is copied, which is counted.
  /// Errors: INVALID_ARGUMENT: more bytes than the plane has, or none.
  sdk::Expected<PacketPtr> Wrap(sdk::Frame frame) const;

 private:
  const sdk::NodeContext context_;
  const char* const port_;
};

/// Whether a JPEG has its end marker; what comes after it is padding.
bool HasEndOfImage(const uint8_t* data, size_t size);

}  // namespace sluice::ffmpeg

#endif  // NODES_FFMPEG_PACKET_FRAMES_H_
