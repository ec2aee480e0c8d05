#include "nodes/ffmpeg/packet_frames.h"

#include <algorithm>
#include <climits>
#include <cstring>
#include <memory>
#include <utility>

namespace sluice::ffmpeg {
namespace {

struct Lease {
  sdk::Frame frame;
  // After `frame`, so that it ends before.
  sdk::Mapping mapping;
};

void Free(void* opaque, uint8_t*) { delete static_cast<Lease*>(opaque); }

/// Bytes that are there behind the beginning of the plane.
uint64_t Reachable(const sluice_layout& layout) {
  const sluice_plane& plane = layout.planes[0];
  if (layout.part_count != 1 || plane.offset > layout.size) return plane.size;
  return std::max(plane.size, layout.size - plane.offset);
}

}  // namespace

sdk::Expected<PacketPtr> PacketFrames::Wrap(sdk::Frame frame) const {
  const sluice_layout& layout = frame.Layout();
  const uint64_t room = layout.planes[0].size;
  const uint64_t used = frame.Info().bytes_used;
  const bool empty = used == 0 && (frame.Info().flags & SLUICE_FRAME_CORRUPT) != 0;
  const uint64_t bytes = used == 0 ? room : used;
  if (empty || bytes > room || bytes > INT_MAX) {
    return sdk::Status::Error(
        SLUICE_E_INVALID_ARGUMENT, "a frame of %llu bytes in a buffer of %llu",
        static_cast<unsigned long long>(empty ? 0 : bytes), static_cast<unsigned long long>(room));
  }
  PacketPtr packet(av_packet_alloc());
  if (packet == nullptr) return sdk::Status::Error(SLUICE_E_RESOURCE_EXHAUSTED, "out of memory");
  const uint64_t reachable = Reachable(layout);
  auto mapping = frame.Map(SLUICE_MAP_READ);
  if (!mapping.ok()) return mapping.status();
  uint8_t* data = mapping->plane(0);
  // What lies there is not zero as libav would have it. Its decoders' readers stop at the end of
  // the data all the same; the bytes only have to exist.
  if (bytes + AV_INPUT_BUFFER_PADDING_SIZE <= reachable) {
    std::unique_ptr<Lease> lease(new Lease{std::move(frame), *std::move(mapping)});
    packet->buf = av_buffer_create(data, bytes + AV_INPUT_BUFFER_PADDING_SIZE, &Free, lease.get(),
                                   AV_BUFFER_FLAG_READONLY);
    if (packet->buf == nullptr) {
      return sdk::Status::Error(SLUICE_E_RESOURCE_EXHAUSTED, "out of memory");
    }
    lease.release();
    packet->data = data;
    packet->size = static_cast<int>(bytes);
    return packet;
  }
  if (av_new_packet(packet.get(), static_cast<int>(bytes)) < 0) {
    return sdk::Status::Error(SLUICE_E_RESOURCE_EXHAUSTED, "out of memory");
  }
  std::copy_n(data, bytes, packet->data);
  context_.CountCopy(port_, bytes, "the data fills its buffer to the end");
  return packet;
}

bool HasEndOfImage(const uint8_t* data, size_t size) {
  while (size >= 2) {
    const auto* end = static_cast<const uint8_t*>(memrchr(data + 1, 0xd9, size - 1));
    if (end == nullptr) return false;
    if (end[-1] == 0xff) return true;
    size = static_cast<size_t>(end - data);
  }
  return false;
}

}  // namespace sluice::ffmpeg
