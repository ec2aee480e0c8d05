#ifndef NODES_PIPEWIRE_CAPTURE_NODE_H_
#define NODES_PIPEWIRE_CAPTURE_NODE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sluice/node.hpp>

#include "nodes/pipewire/capture_copy.h"
#include "nodes/pipewire/capture_offers.h"
#include "nodes/pipewire/capture_pool.h"
#include "nodes/pipewire/capture_stream.h"
#include "nodes/pipewire/connection.h"
#include "nodes/pipewire/find_target.h"
#include "nodes/pipewire/source_clock.h"

namespace sluice::pipewire {

/// pipewire.capture: frames of any video source of PipeWire, in the memory of their producer where
/// it can be lent, else copied out of it.
///
/// Buffer i of the pool is buffer i of the stream. What is free in the pool is with the peer; what
/// the peer delivers is acquired and emitted, and goes back to the peer when it is free again.
/// Where the peer has fewer buffers than the pool, the last ones of the pool are spare: nobody
/// fills them, and nobody acquires them.
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
  /// What a pool's memory needs to stay.
  struct Kept {
    uint32_t pool;
    uint32_t epoch;
    std::vector<std::shared_ptr<Mapping>> mappings;
  };

  sdk::Status EnsureConnection();
  /// How many buffers the source has beside those that are read.
  uint32_t Reserve() const;
  /// Ends the stream and gives back what was with the peer.
  void CloseStream();
  sdk::Status OpenStream(const sluice_format& format, uint32_t data_types, uint32_t buffers);
  sdk::Status Connect(const CaptureStream::Request& request, int64_t deadline_ns);
  /// Whether the stream that there is will do. To leave it and come again would end many a source:
  /// some take the first reader's leaving for their end.
  bool IsOpenFor(const sluice_format& format, uint32_t data_types) const;
  sdk::Status Lend(const sluice_pool_request& request, sdk::PoolSink& sink);
  /// Takes the fences of the peer's buffers. Errors: UNSUPPORTED.
  sdk::Status TakeFences(const Connection::Lock& lock);

  bool IsAtLimit() const { return frame_limit_ != 0 && delivered_ >= frame_limit_; }
  /// Of `deliveries`, those that were not emitted go back.
  sdk::Process End(const std::vector<Delivery>& deliveries);
  sdk::Status Renegotiate();
  sdk::Status Deliver(const Delivery& delivery);
  sdk::Status Copy(const Delivery& delivery);
  /// Every delivery has one, that of a frame which is dropped too.
  SourceClock::Stamp StampOf(const Delivery& delivery);
  void Describe(const Delivery& delivery, const SourceClock::Stamp& stamp, sluice_frame_info* info);
  void Return(uint32_t index);
  /// Gives the peer back what nobody reads any more.
  void ReturnFree();
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
  std::unique_ptr<CaptureStream> stream_;
  /// What was agreed on when the stream's buffers came. The stream's own may be the next one.
  VideoFormat format_;
  std::optional<LentPool> lent_;  ///< the one whose memory is the peer's
  std::vector<Kept> kept_;
  /// Where the rows of the latest picture were, for a source that sends none for a while.
  std::optional<Geometry> hint_;
  VideoFormat hint_format_;
  PictureCopier copier_;

  bool active_ = false;         ///< between Start() and Stop()
  bool renegotiating_ = false;  ///< asked for by this node
  uint32_t generation_ = 0;     ///< of the peer's buffers
  SourceClock clock_;
  uint64_t delivered_ = 0;
  int64_t last_event_ns_ = 0;  ///< CLOCK_MONOTONIC: something came
};

}  // namespace sluice::pipewire

#endif  // NODES_PIPEWIRE_CAPTURE_NODE_H_
