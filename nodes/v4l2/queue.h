#ifndef NODES_V4L2_QUEUE_H_
#define NODES_V4L2_QUEUE_H_

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <sluice/frame.h>
#include <sluice/status.hpp>

#include "nodes/v4l2/device.h"

namespace sluice::v4l2 {

/// Whose memory the device uses.
enum class MemoryKind { kMmap, kDmabuf, kUserptr };
const char* MemoryName(MemoryKind kind);

/// The memory of one buffer, as VIDIOC_QBUF wants it.
struct BufferMemory {
  struct Plane {
    int fd = -1;              ///< kDmabuf
    uint8_t* base = nullptr;  ///< kUserptr
    uint64_t length = 0;      ///< bytes that are there
  };
  std::array<Plane, kMaxMemoryPlanes> planes{};
};

/// A buffer that the device is done with.
struct Dequeued {
  uint32_t index = 0;
  uint32_t sequence = 0;
  uint32_t flags = 0;  ///< V4L2_BUF_FLAG_*
  uint32_t field = 0;
  int64_t timestamp_ns = 0;
  std::array<uint32_t, kMaxMemoryPlanes> bytes_used{};
  uint32_t data_offset = 0;  ///< the largest of its planes
};

/// The buffers of a device: VIDIOC_REQBUFS to REQBUFS(0).
/// Threads: none at the same time.
/// Spec: V4L2 "Streaming I/O".
class Queue {
 public:
  /// `format`: the one that is set. Borrows the device.
  /// Errors: UNSUPPORTED (not this kind of memory); RESOURCE_EXHAUSTED (fewer buffers than asked
  /// for; in use by somebody else).
  static sdk::Expected<std::unique_ptr<Queue>> Create(const Device& device, MemoryKind kind,
                                                      uint32_t buffers, const PixFormat& format);
  /// Whether the device takes this kind of memory at all. Frees the buffers that were made through
  /// this device and do not stream.
  static bool Supports(const Device& device, MemoryKind kind);
  /// Whether somebody else has buffers of it. Frees as Supports() does.
  static bool InUse(const Device& device);
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  MemoryKind kind() const { return kind_; }
  /// How many there are; the driver may have made more than it was asked for.
  uint32_t size() const { return count_; }
  bool streaming() const { return streaming_; }
  uint32_t queued() const { return queued_; }

  /// The dma-bufs of one MMAP buffer, one for each memory plane. The caller's.
  /// Errors: UNSUPPORTED where the driver cannot export.
  sdk::Expected<std::vector<sdk::UniqueFd>> Export(uint32_t index) const;
  /// Gives a buffer to the device. `memory` is not looked at for kMmap. `info`, of an output's
  /// frame: its time; else null. `bytes_used`: of a compressed output; 0 = the whole format.
  /// Errors: UNSUPPORTED (the device does not take this memory), with the numbers; DEVICE_LOST; IO.
  sdk::Status Put(uint32_t index, const BufferMemory& memory, int64_t timestamp_ns = 0,
                  uint64_t bytes_used = 0);
  /// A buffer that is done; nothing while there is none.
  /// Errors: DEVICE_LOST; IO.
  sdk::Expected<std::optional<Dequeued>> Get();
  sdk::Status StreamOn();
  /// Every buffer is the program's again, also when it never streamed. No error for a device that
  /// is gone.
  void StreamOff();

 private:
  Queue(const Device& device, MemoryKind kind, uint32_t count, const PixFormat& format)
      : device_(device), kind_(kind), count_(count), format_(format) {}

  const Device& device_;
  const MemoryKind kind_;
  const uint32_t count_;
  const PixFormat format_;
  bool streaming_ = false;
  uint32_t queued_ = 0;
};

}  // namespace sluice::v4l2

#endif  // NODES_V4L2_QUEUE_H_
