#ifndef NODES_PIPEWIRE_CAPTURE_STREAM_H_
#define NODES_PIPEWIRE_CAPTURE_STREAM_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <pipewire/pipewire.h>

#include <sluice/node.hpp>
#include <sluice/status.hpp>

#include "nodes/pipewire/connection.h"
#include "nodes/pipewire/find_target.h"
#include "nodes/pipewire/formats.h"
#include "nodes/pipewire/peer_buffers.h"
#include "nodes/pipewire/peer_fences.h"

namespace sluice::pipewire {

/// A frame that the peer delivered.
struct Delivery {
  uint32_t index = 0;  ///< of its buffer
  Geometry geometry;
  uint32_t bytes = 0;  ///< of the first block that hold the picture
  bool corrupted = false;
  bool counted = false;  ///< `sequence` is the peer's
  uint64_t sequence = 0;
  int64_t pts_ns = -1;  ///< CLOCK_MONOTONIC as the peer stamped it; -1: it did not
  int64_t received_ns = 0;
  uint32_t crop_x = 0, crop_y = 0, crop_width = 0, crop_height = 0;  ///< 0x0: all of it
  uint64_t acquire_point = 0;                                        ///< 0: none
};

/// A stream from one node of PipeWire, with one format and one set of buffers.
///
/// A buffer is with the peer, or held: delivered, and not returned since. What happens to the
/// stream is noted on the loop's thread and asked for by the node.
/// Threads: everything but the constructor and the destructor is called under the connection's
/// lock, or on its loop.
class CaptureStream final : private Connection::Listener {
 public:
  struct Request {
    std::string name;         ///< of the node that the stream is in PipeWire's graph
    VideoFormat format;       ///< one value everywhere, but for a rate that is not known
    uint32_t data_types = 0;  ///< 1 << SPA_DATA_*
    uint32_t buffers = 0;     ///< as a wish; 0: what the peer likes
    /// Not 0: no more than the first so many can be passed on; others are kept when they come.
    uint32_t lent = 0;
    bool explicit_sync = false;
  };

  /// `wake`: something happened; called on the loop's thread.
  CaptureStream(std::shared_ptr<Connection> connection, Target target, Request request,
                std::function<void()> wake);
  CaptureStream(const CaptureStream&) = delete;
  CaptureStream& operator=(const CaptureStream&) = delete;
  /// Takes the lock itself.
  ~CaptureStream();

  /// Connects and waits until the buffers are there.
  /// Errors: UNSUPPORTED (the peer cannot do what was requested), NOT_FOUND, TIMEOUT, DEVICE_LOST.
  sdk::Status Connect(const Connection::Lock& lock, int64_t deadline_ns);
  /// Before the first picture: takes the buffers that a peer has made anew since Connect(), as one
  /// does that must first become what was asked for. Errors: as Connect().
  sdk::Status TakeNewBuffers(const Connection::Lock& lock, int64_t deadline_ns);
  /// Waits for a picture, which says where its rows lie. False: none came.
  bool AwaitPicture(const Connection::Lock& lock, int64_t deadline_ns);
  /// Waits until the peer has parted with the buffers that cannot be passed on.
  void AwaitParked(const Connection::Lock& lock, int64_t deadline_ns);

  /// What was agreed on.
  const VideoFormat& format() const { return *agreed_; }
  uint32_t data_types() const { return request_.data_types; }
  size_t buffer_count() const { return buffers_.size(); }
  const PeerBuffer& buffer(uint32_t index) const { return *buffers_[index].checked; }
  /// Whether the peer waits for readers before it writes again.
  bool peer_counts_readers() const { return peer_counts_readers_; }
  /// Of the latest picture.
  const std::optional<Geometry>& geometry() const { return geometry_; }
  const Target& target() const { return target_; }

  /// From now on deliveries are kept for Take(), the latest one before included; before, buffers
  /// go back when a newer picture is there, and those that nobody took go back now.
  /// `most`: of more than so many, the oldest are given back, and counted; 0: no bound.
  void Run(bool run, size_t most = 0);
  uint64_t TakeSkipped() { return std::exchange(skipped_, 0); }
  std::vector<Delivery> Take() { return std::exchange(ready_, {}); }
  bool held(uint32_t index) const { return index < buffers_.size() && buffers_[index].held; }
  /// Whether the picture in it waits for Take().
  bool arrived(uint32_t index) const;
  /// Gives a held buffer back to the peer. Nothing happens to one that is not held.
  void Return(uint32_t index);
  /// Says that the picture in a held buffer is not read, and keeps the buffer.
  void Drop(uint32_t index) {
    if (held(index)) Release(index);
  }
  /// Whether the peer gives each picture an acquire and a release point.
  bool fenced() const;
  /// Takes the fences of the buffers. From now on a picture's release point is signalled when its
  /// buffer is given back or the stream ends; for those before, now. When the peer goes, acquire
  /// points that it left fail. Errors: what the host says.
  sdk::Status TakeFences(const sdk::NodeContext& context, int render_fd);
  /// When the delivered picture may be read.
  sdk::Fence Acquire(const Delivery& delivery) {
    return fences_.Acquire(delivery.index, delivery.acquire_point);
  }

  /// Not ok: it is over, and why.
  const sdk::Status& lost() const { return lost_; }
  /// The peer has another format or other buffers than those of Connect().
  bool changed() const { return changed_; }

 private:
  struct Buffer {
    pw_buffer* handle = nullptr;
    std::optional<PeerBuffer> checked;
    bool held = false;
    uint64_t release_point = 0;  ///< of the picture in it; 0: none, or signalled
    std::optional<uint64_t> sequence;  ///< of the latest picture that it had, as far as is known
  };

  sdk::Status MakeStream();
  sdk::Status AwaitBuffers(const Connection::Lock& lock, int64_t deadline_ns);
  void Link();
  void WatchLink(void* proxy);
  void OfferBuffers();
  void Lose(int32_t code, const std::string& text);
  void Deliver(pw_buffer* handle);
  void TakeReleasePoint(uint32_t index);
  void Release(uint32_t index);
  void ReleaseSkipped(uint64_t before);

  // Connection::Listener:
  void OnDisconnected(const sdk::Status& reason) override;
  void OnGlobal(const Global& global) override;
  void OnGlobalRemoved(const Global& global) override;

  // pw_stream_events:
  static void OnState(void* data, pw_stream_state old, pw_stream_state state, const char* error);
  static void OnParam(void* data, uint32_t id, const spa_pod* param);
  static void OnAddBuffer(void* data, pw_buffer* buffer);
  static void OnRemoveBuffer(void* data, pw_buffer* buffer);
  /// On PipeWire's data thread.
  static void OnProcess(void* data);
  static void OnArrived(void* data, uint64_t count);
  static const pw_stream_events kEvents;
  // pw_link_events:
  static void OnLink(void* data, const pw_link_info* info);

  const std::shared_ptr<Connection> connection_;
  const Target target_;
  Request request_;
  const std::function<void()> wake_;
  pw_stream* stream_ = nullptr;
  spa_source* arrived_ = nullptr;  ///< signalled when frames can be dequeued
  spa_hook hook_{};
  /// Ours where nobody else makes one, else the one that the session manager made.
  pw_proxy* link_ = nullptr;
  spa_hook link_hook_{};

  std::optional<VideoFormat> agreed_;
  std::vector<Buffer> buffers_;
  std::optional<Geometry> geometry_;
  uint64_t next_sequence_ = 0;  ///< of the picture that is expected
  bool peer_counts_readers_ = false;
  bool complete_ = false;  ///< Connect() has its buffers: whatever comes now is a change
  bool running_ = false;
  bool changed_ = false;
  sdk::Status lost_;
  PeerFences fences_;
  bool releases_ = false;  ///< `fences_` are those of `buffers_`
  std::vector<Delivery> ready_;
  size_t most_ready_ = 0;
  uint64_t skipped_ = 0;
  std::optional<Delivery> latest_;  ///< while it does not run
};

}  // namespace sluice::pipewire

#endif  // NODES_PIPEWIRE_CAPTURE_STREAM_H_
