#ifndef NODES_PIPEWIRE_CAPTURE_NODE_H_
#define NODES_PIPEWIRE_CAPTURE_NODE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sluice/node.hpp>

#include "nodes/pipewire/capture_offers.h"
#include "nodes/pipewire/capture_stream.h"
#include "nodes/pipewire/connection.h"
#include "nodes/pipewire/find_target.h"
#include "nodes/pipewire/peer_fences.h"
#include "nodes/pipewire/source_clock.h"

namespace sluice::pipewire {

/// pipewire.capture: frames of any video source of PipeWire, in the memory of their producer where
/// it can be lent, else copied out of it.
///
/// Buffer i of the pool is buffer i of the stream. A frame that this node holds is with the peer;
/// when the peer has delivered it, it is emitted, and when it has come home and is acquired again,
/// its buffer goes back.
///
/// Many a peer fills its buffers in turn, whoever has them: so there are no more of the peer's than
/// this node may hold, and none is ever at home for long. The pool's other buffers are spare ones,
/// which nobody fills; they come last, and so the pool gives them last, and they are left in it.
class CaptureNode : public sdk::Node<CaptureNode> {
 public:
  static constexpr const char* kType = "pipewire.capture";

  static sdk::Expected<std::unique_ptr<CaptureNode>> Create(const sdk::NodeContext& context,
                                                            const sdk::Params& params);
  CaptureNode(const sdk::NodeContext& context, const sdk::Params& params, const CaptureWish& wish);
  ~CaptureNode();

  sdk::Status Probe(sdk::OfferSink& sink);
  sdk::Status Allocate(int32_t direction, uint32_t port, const sluice_pool_request& request,
                       sdk::PoolSink& sink);
  sdk::Status Configure(const sdk::Configuration& configuration);
  void ReleasePool(uint32_t pool, uint32_t epoch);
  sdk::Status Start();
  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation);
  void Stop(int64_t deadline_ns, bool completed);
  sdk::Status Reconfigure(const sdk::Configuration& configuration);

 private:
  /// A buffer of the pool that the peer fills.
  struct Slot {
    sdk::Frame frame;  ///< while the peer has the buffer
    bool out = false;  ///< emitted, and not acquired since
  };
  /// The pool whose memory is the peer's.
  struct Lent {
    uint32_t pool;
    uint32_t epoch;
    uint32_t views;
    sluice_format format;
    sluice_layout layout;
    Geometry geometry;
    uint32_t real;  ///< so many of its buffers are the peer's, the others spare ones
  };
  /// What a pool's memory needs to stay.
  struct Kept {
    uint32_t pool;
    uint32_t epoch;
    std::vector<std::shared_ptr<Mapping>> mappings;
  };

  sdk::Status EnsureConnection();
  /// The most buffers that may be with the source.
  uint32_t Reserve() const;
  /// Ends the stream and gives back what was with the peer.
  void CloseStream();
  sdk::Status OpenStream(const sluice_format& format, uint32_t data_types, uint32_t buffers);
  sdk::Status Connect(const CaptureStream::Request& request, int64_t deadline_ns);
  /// Whether the stream that there is will do. To leave it and come again would end many a source:
  /// some take the first reader's leaving for their end.
  bool IsOpenFor(const sluice_format& format, uint32_t data_types) const;
  sdk::Status Lend(const sluice_pool_request& request, sdk::PoolSink& sink);
  /// A buffer that nobody fills.
  sdk::Status AddSpare(const sluice_layout& layout, uint32_t views, sdk::PoolSink& sink,
                       Kept* kept) const;
  /// Takes the fences of the peer's buffers. Errors: UNSUPPORTED.
  sdk::Status OpenLending(const sluice_pool_request& request, uint32_t types);
  sdk::Status TakeFences(const Connection::Lock& lock);
  sdk::Status AddBuffer(const PeerBuffer& buffer, const sluice_layout& layout, bool mapped,
                        sdk::PoolSink& sink, Kept* kept) const;
  bool IsLent(const sluice_port_config& port) const;

  sdk::Status Renegotiate();
  sdk::Status Deliver(const Delivery& delivery);
  sdk::Status Copy(const Delivery& delivery);
  bool CopyPlanes(const PeerBuffer& buffer, uint32_t index, const sluice_layout& from,
                  const sdk::Mapping& to, uint64_t* bytes);
  /// Every delivery has one, that of a frame which is dropped too.
  SourceClock::Stamp StampOf(const Delivery& delivery);
  void Describe(const Delivery& delivery, const SourceClock::Stamp& stamp, sluice_frame_info* info);
  void Return(uint32_t index);
  /// Lends the peer every buffer that is free, but for those that have just been `delivered`.
  sdk::Status Fill(const std::vector<Delivery>& delivered);
  sdk::Status CheckTime();

  const std::string wanted_;
  const std::string remote_;
  const int fd_;
  const CaptureWish wish_;
  const uint32_t reserve_;
  const uint64_t frame_limit_;
  const int64_t timeout_ns_;

  std::shared_ptr<Connection> connection_;
  std::optional<Target> target_;
  std::vector<VideoFormat> formats_;
  sdk::UniqueFd render_node_;    ///< where fences can be imported; kept once it was needed
  bool fences_refused_ = false;  ///< they could not be imported: the next stream does without
  PeerFences fences_;
  std::unique_ptr<CaptureStream> stream_;
  std::optional<Lent> lent_;
  std::vector<Slot> slots_;
  sdk::Frame spare_;  ///< one that nobody fills, while nothing else is home
  std::vector<Kept> kept_;
  /// Where the rows of the latest picture were, for a source that sends none for a while.
  std::optional<Geometry> hint_;
  VideoFormat hint_format_;
  std::vector<std::shared_ptr<Mapping>> copy_from_;

  bool active_ = false;         ///< between Start() and Stop()
  bool renegotiating_ = false;  ///< asked for by this node
  uint32_t generation_ = 0;     ///< of the peer's buffers
  SourceClock clock_;
  uint64_t delivered_ = 0;
  int64_t last_event_ns_ = 0;  ///< CLOCK_MONOTONIC: something came
};

}  // namespace sluice::pipewire

#endif  // NODES_PIPEWIRE_CAPTURE_NODE_H_
