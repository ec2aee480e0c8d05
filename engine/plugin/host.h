#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/node.h>

#include "engine/base/clock.h"
#include "engine/graph/node_type.h"
#include "engine/graph/offer.h"
#include "engine/media/buffer_pool.h"
#include "engine/media/frame.h"
#include "engine/sync/fd_waiter.h"
#include "engine/sync/timeline.h"

namespace sluice::plugin {

/// The engine's side of one node: what a plugin's calls on its sluice_node_host
/// become. Thread tags are those of sluice_node_host_api.
class NodeHost {
 public:
  virtual ~NodeHost() = default;
  virtual const char* Name() const = 0;
  /// Takes `frame`, also on failure.
  virtual int32_t Emit(uint32_t output, media::Frame* frame, sync::Fence fence) = 0;
  virtual int32_t Acquire(uint32_t output, media::Frame** out) = 0;
  /// sluice_own_buffers_api.
  virtual int32_t AcquireBuffer(uint32_t output, uint32_t index, media::Frame** out) = 0;
  virtual int32_t IsFree(uint32_t output, uint32_t index) = 0;
  virtual void Complete(uint64_t invocation, int32_t result) = 0;
  virtual void Wake() = 0;
  virtual void WakeAt(MonotonicNs at_ns) = 0;
  virtual int32_t RequestRenegotiate(uint32_t output) = 0;
  /// sluice_inputs_api.
  virtual int32_t RequestRenegotiateInput(uint32_t input) = 0;
  virtual void SetError(int32_t code, std::string_view message) = 0;
  virtual void CountCopy(std::string_view port, uint64_t bytes, std::string_view reason) = 0;
  virtual void CountDrop(std::string_view port, uint64_t frames, std::string_view reason) = 0;
  virtual void Note(std::string_view text) = 0;
  virtual void Progress(uint64_t done, uint64_t total) = 0;
  virtual void LogLine(int32_t level, std::string_view message) = 0;
  /// The `self` of the node's domain, or null.
  virtual void* DomainSelf() const = 0;
  virtual int32_t WatchFd(int32_t fd, uint32_t events) = 0;
  virtual void UnwatchFd(int32_t fd) = 0;
  /// Who waits for the kernel's fences that the node hands out.
  virtual const std::shared_ptr<sync::FdWaiter>& Waiter() const = 0;
};

/// Collects what a node's probe() offers: {port name, offer} in call order.
struct OfferSink {
  const graph::NodeType* type = nullptr;  ///< Whose ports there are.
  std::vector<std::pair<std::string, graph::Offer>> offers;
};

/// The memory of a pool that a port made.
struct PortMemory {
  media::Layout layout;
  std::vector<std::unique_ptr<media::Memory>> buffers;
};

/// Takes what a port's allocate() gives, and believes none of it.
class PoolSink {
 public:
  PoolSink(const media::Format& format, uint32_t wanted) : format_(format), wanted_(wanted) {}

  /// Takes the fds. Errors: InvalidArgument, with the plane and the numbers.
  Status Add(const sluice_buffer_desc& buffer);
  /// Whether everything that was wanted is there.
  Status Finish() const;
  PortMemory& memory() { return memory_; }
  /// What was wrong with a buffer; null if nothing was.
  const Error* error() const { return error_ ? &*error_ : nullptr; }
  void Drop() { memory_ = {}; }

 private:
  Status Check(const sluice_buffer_desc& buffer, std::vector<UniqueFd> fds);

  const media::Format format_;
  const uint32_t wanted_;
  PortMemory memory_;
  std::optional<Error> error_;
};

/// The one host table of the process.
const sluice_host* Host();

inline sluice_node_host* ToAbi(NodeHost* host) { return reinterpret_cast<sluice_node_host*>(host); }
inline sluice_frame* ToAbi(media::Frame* frame) { return reinterpret_cast<sluice_frame*>(frame); }
inline media::Frame* FromAbi(sluice_frame* frame) { return reinterpret_cast<media::Frame*>(frame); }
inline sluice_pool_sink* ToAbi(PoolSink* sink) { return reinterpret_cast<sluice_pool_sink*>(sink); }
inline sluice_offer_sink* ToAbi(OfferSink* sink) { return reinterpret_cast<sluice_offer_sink*>(sink); }

/// Adds a reference to the timeline; borrows the fd of a sync_file, whose
/// timeline is of `signaller`. Errors: InvalidArgument, Io.
Result<sync::Fence> FromAbi(const sluice_fence* fence, const std::string& signaller,
                            const std::shared_ptr<sync::FdWaiter>& waiter);

sluice_format ToAbi(const media::Format& format);
media::Format FromAbi(const sluice_format& format);
/// fds are -1 in the result.
sluice_layout ToAbi(const media::Layout& layout);
/// What BufferPool::Options::abi_shape must be for pools whose frames cross the boundary.
std::shared_ptr<const void> MakeAbiShape(const media::Format& format, const media::Layout& layout);
/// Errors: InvalidArgument for what no buffer can be.
Result<media::Layout> FromAbi(const sluice_layout& layout);
/// Errors: InvalidArgument for sizes and masks that mean nothing.
Result<graph::Offer> FromAbi(const sluice_offer& offer);

}  // namespace sluice::plugin
