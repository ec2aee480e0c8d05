#ifndef SLUICE_NODES_VULKAN_SHARING_RECEIVE_NODE_H_
#define SLUICE_NODES_VULKAN_SHARING_RECEIVE_NODE_H_

#include <array>
#include <bitset>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <sluice/node.hpp>

#include "nodes/vulkan/sharing/socket.h"

namespace sluice::vulkan {

/// vulkan.receive: frames of another process, in memory of the device that both have.
///
/// Buffer i of the pool is buffer i of the sender; those of the pool that the sender does not have
/// are nobody's. What is free in the pool is the sender's; what the sender hands over is acquired
/// and emitted, and goes back to it when it is free again, the device's work included.
class ReceiveNode final : public sdk::Node<ReceiveNode> {
 public:
  static constexpr const char* kType = "vulkan.receive";

  ReceiveNode(sdk::NodeContext context, const sdk::Params& params);
  ~ReceiveNode();

  sdk::Status Probe(sdk::OfferSink& offers);
  sdk::Status Allocate(int32_t direction, uint32_t port, const sluice_pool_request& request,
                       sdk::PoolSink& sink);
  void ReleasePool(uint32_t pool, uint32_t epoch);
  sdk::Status Configure(const sdk::Configuration& configuration);
  sdk::Status Reconfigure(const sdk::Configuration& configuration);
  sdk::Status Start();
  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation);
  void Stop(int64_t deadline_ns, bool completed);

 private:
  /// A pool of an earlier epoch, some frames of which are still read.
  struct Former {
    sluice_buffer_id pool{};
    std::bitset<kMostShared> read;
  };
  /// A sender, as it said hello.
  struct Sender {
    WireSocket socket;
    SharedPool pool;
    std::vector<sdk::UniqueFd> fds;
    bool left = false;  ///< it was told that no more frames are taken
  };

  /// Connects, if there is no sender, and waits for its hello, until `deadline_ns`.
  Status Connect(int64_t deadline_ns);
  Status TryConnect(int64_t deadline_ns);
  /// Leaves the sender. While frames of it are still read here, the connection stays until the
  /// domain has forgotten their pool: the sender writes into them when it ends.
  void Disconnect();
  void Unwatch();
  /// All frames that were asked for were emitted: the sender is free for others, and the stream
  /// ends when ours are home, or after a while.
  sdk::Process TakeNoMore();
  bool HasAll() const { return frame_limit_ != 0 && delivered_ >= frame_limit_; }
  /// Tells the sender that no more frames are taken, and which are still read.
  void Leave();
  /// What the sender has sent by now. False: nothing more comes.
  sdk::Expected<bool> Hear();
  sdk::Status Deliver(const FrameMessage& frame);
  /// Tells the sender of every buffer that is free again.
  void GiveBack();
  /// Asks the sender for frames.
  void Begin();
  std::string Name() const;

  const std::string path_;
  const int64_t wait_ns_;
  const int64_t timeout_ns_;
  const uint64_t frame_limit_;

  /// A pool may come home while frames run; the engine's other verbs take turns.
  std::mutex mutex_;
  std::shared_ptr<Sender> sender_;  ///< the domain's, too, while it has imports
  sluice_buffer_id pool_{};         ///< that has its buffers; its index means nothing
  bool has_pool_ = false;
  uint64_t domain_ = 0;               ///< VulkanDomain::serial() that imported them; 0: none
  std::array<uint8_t, 16> device_{};  ///< of that domain
  uint32_t generation_ = 0;           ///< of pools; changes with the sender and the domain
  std::bitset<kMostShared> ours_;     ///< handed over, and not given back
  std::vector<Former> former_;        ///< of the same sender
  bool watched_ = false;
  bool heard_ = false;    ///< a frame of this sender
  bool changed_ = false;  ///< the sender has another pool: a new epoch was asked for
  uint64_t delivered_ = 0;
  int64_t last_ns_ = 0;  ///< CLOCK_MONOTONIC: something came, or could not come
};

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_SHARING_RECEIVE_NODE_H_
