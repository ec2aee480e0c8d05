#ifndef NODES_V4L2_STREAM_H_
#define NODES_V4L2_STREAM_H_

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sluice/frame.hpp>
#include <sluice/memory.hpp>
#include <sluice/offer.hpp>

#include "nodes/v4l2/device.h"
#include "nodes/v4l2/enumerate.h"
#include "nodes/v4l2/formats.h"
#include "nodes/v4l2/queue.h"

namespace sluice::v4l2 {

/// The most buffers that V4L2 gives a queue.
inline constexpr uint32_t kMaxBuffers = 32;

/// What capture and output have in common: a device, the format of an epoch, and the leases whose
/// buffers the device has. Buffer i of the pool is always buffer i of the device.
/// Threads: none at the same time.
class Stream {
 public:
  explicit Stream(const sdk::Host& host) : host_(host) {}

  bool open() const { return device_ != nullptr; }
  /// Takes an opened device that has no buffers yet, or null.
  void SetDevice(std::unique_ptr<Device> device);
  const Device& device() const { return *device_; }

  /// Which kinds of memory the device takes, as offers for `port`, for each of `groups`.
  struct OfferTerms {
    uint32_t dynamic_reserve = 0;
    uint32_t hold_min = 0;
    uint32_t hold_max = 0;
  };
  sdk::Status Offer(const char* port, const std::vector<Group>& groups, const OfferTerms& terms,
                    sdk::OfferSink& sink) const;

  /// Sets the device's format up, makes its buffers and exports them.
  /// Errors: UNSUPPORTED (the layout does not meet the request, with the numbers; no export).
  sdk::Status Allocate(const sluice_pool_request& request, sdk::PoolSink& sink);
  /// For the buffers of Allocate() if the port has those; else sets the device up for foreign ones.
  /// Errors: UNSUPPORTED, with the numbers, when the device cannot work in that layout.
  sdk::Status Configure(const sluice_port_config& port);
  /// Errors: UNSUPPORTED when the device does not take the frame's buffer.
  sdk::Status TestImport(sdk::FrameRef frame);
  /// Whether the device's buffers are those of this pool, made by Allocate().
  bool Made(uint32_t pool, uint32_t epoch) const {
    return allocated_ && allocated_->pool == pool && allocated_->epoch == epoch;
  }
  /// The pool has ended.
  void ReleasePool(uint32_t pool, uint32_t epoch);
  void ForgetPool(uint32_t pool, uint32_t epoch);

  /// Lends the frame's buffer to the device and keeps the lease.
  sdk::Status Put(sdk::Frame frame);
  /// A buffer that the device is done with, and its lease.
  struct Done {
    Dequeued buffer;
    sdk::Frame frame;
  };
  sdk::Expected<std::optional<Done>> Get();
  sdk::Status StreamOn() { return queue_->StreamOn(); }
  /// Gives every lease back.
  void StreamOff();
  /// The same, and lets go of the buffers, so that the device may change.
  void Close();

  bool streaming() const { return queue_ != nullptr && queue_->streaming(); }
  uint32_t queued() const { return queue_ == nullptr ? 0 : queue_->queued(); }
  bool configured() const { return queue_ != nullptr; }
  const FormatEntry& entry() const { return *entry_; }
  /// The format that is set.
  const PixFormat& format() const { return format_; }
  /// Whether the device has another size or colour by now than what was set.
  bool FormatChanged() const;
  /// That the device keeps; 0/0 = not known.
  sluice_rate rate() const { return rate_; }
  MemoryKind kind() const { return queue_->kind(); }

 private:
  struct Slot {
    sdk::Frame frame;
    sluice_buffer_id id{};
    BufferMemory memory;
    bool known = false;  ///< `memory` is that of `id`
  };

  /// V4L2's formats for a DRM fourcc that the device has, the preferred one first.
  std::vector<const FormatEntry*> Entries(uint32_t fourcc) const;
  sdk::Status SetFormat(const FormatEntry& entry, const sluice_format& format,
                        uint32_t bytesperline, uint32_t sizeimage);
  sdk::Status SetFormatFor(const FormatEntry& entry, const sluice_pool_request& request,
                           sluice_layout* layout);
  sdk::Status AddBuffers(const sluice_pool_request& request, sluice_layout layout,
                         sdk::PoolSink& sink);
  sdk::Status ConfigureImport(const sluice_port_config& port);
  bool IsAllocated(const sluice_port_config& port) const;
  /// Whether the device's buffer `id.index` is another one than the frame's: a port's configuration
  /// does not say whose its buffers are, and another maker's may look the same.
  bool IsStranger(const sluice_buffer_id& id) const {
    return queue_ != nullptr && queue_->kind() == MemoryKind::kMmap && !Made(id.pool, id.epoch);
  }
  sdk::Status FillMemory(sdk::FrameRef frame, Slot* slot) const;
  void MakeSlots(uint32_t count);

  const sdk::Host host_;
  std::unique_ptr<Device> device_;
  /// By MemoryKind. Asked once: to ask frees the buffers that there are.
  std::array<bool, 3> supported_{};
  std::unique_ptr<Queue> queue_;
  const FormatEntry* entry_ = nullptr;
  PixFormat format_;
  sluice_rate rate_{0, 0};
  std::vector<Slot> slots_;
  /// The pool that Allocate() made, until it is released.
  struct Allocated {
    uint32_t pool;
    uint32_t epoch;
    sluice_format format;
    sluice_layout layout;
  };
  std::optional<Allocated> allocated_;
  bool dmabuf_refused_ = false;  ///< by TestImport(): the next Configure() takes another way
};

}  // namespace sluice::v4l2

#endif  // NODES_V4L2_STREAM_H_
