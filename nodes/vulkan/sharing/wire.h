#ifndef SLUICE_NODES_VULKAN_SHARING_WIRE_H_
#define SLUICE_NODES_VULKAN_SHARING_WIRE_H_

#include <sluice/format.h>
#include <sluice/frame.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <variant>

#include "nodes/vulkan/memory.h"

namespace sluice::vulkan {

/// What two processes say to each other about frames in device memory. One message is one packet
/// of a SOCK_SEQPACKET socket; integers are those of the machine, which both ends are on.
/// docs/sharing.md has the order of the messages.

constexpr uint32_t kWireMagic = 0x48534c53;  // "SLSH"
constexpr uint32_t kWireVersion = 1;
/// The most buffers of one sender; each is one fd of its hello.
constexpr uint32_t kMostShared = 32;
/// Bytes; no message is longer.
constexpr size_t kMostWireBytes = 1024;

/// What a pool is that a sender shares, and where: all that an import has to repeat.
struct SharedPool {
  std::array<uint8_t, VK_UUID_SIZE> device_uuid{};
  std::array<uint8_t, VK_UUID_SIZE> driver_uuid{};
  std::string device_name;  ///< for messages; printable
  sluice_format format{};
  sluice_layout layout{};
  uint32_t buffers = 0;  ///< as many fds come with it
  OpaqueMemory memory;
};

/// Sender: the first message; carries the fds.
struct HelloMessage {
  SharedPool pool;
};
/// Reader: frames may come.
struct StartMessage {};
/// Sender: buffer `index` holds a finished frame, and is the reader's until it gives it back.
struct FrameMessage {
  uint32_t index = 0;
  sluice_frame_info info{};
};
/// Reader: nothing of ours, on the CPU or the device, reads buffer `index` any more.
struct ReleaseMessage {
  uint32_t index = 0;
};
/// Reader: it takes no more frames. Of those it was sent it still reads the ones in the buffers of
/// `kept`, a bit for each; they come back one by one, or when the connection ends.
struct LeaveMessage {
  uint32_t kept = 0;
};
/// Sender: why no more frames come.
struct ByeMessage {
  enum class Why : uint32_t {
    kEnded = 1,    ///< the stream is complete
    kBusy = 2,     ///< another process reads already
    kChanged = 3,  ///< the pool is another one now: connect again
  };
  Why why = Why::kEnded;
  int32_t reader = 0;  ///< kBusy: the other's process id
};

using WireMessage = std::variant<HelloMessage, StartMessage, FrameMessage, ReleaseMessage,
                                 LeaveMessage, ByeMessage>;

/// A message as bytes. Ownership: the value's own.
struct WireBytes {
  std::array<std::byte, kMostWireBytes> bytes{};
  size_t size = 0;
  std::span<const std::byte> span() const { return std::span(bytes).first(size); }
};
WireBytes Encode(const WireMessage& message);

/// What came from a peer, with every number within its bounds; indices are below kMostShared, and
/// for whoever knows the pool to compare. Errors: InvalidArgument, naming the field and the number;
/// Unsupported for another version.
Result<WireMessage> Decode(std::span<const std::byte> bytes);

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_SHARING_WIRE_H_
