#ifndef SLUICE_NODES_VULKAN_SHARING_SEND_NODE_H_
#define SLUICE_NODES_VULKAN_SHARING_SEND_NODE_H_

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include <sluice/node.hpp>

#include "nodes/vulkan/sharing/server.h"

namespace sluice::vulkan {

/// vulkan.send: frames for another process, in memory of the device that both have.
///
/// It is no node of the domain: it takes finished frames, and the domain's only part is the memory
/// of the pool, which this port alone can make.
class SendNode final : public sdk::Node<SendNode> {
 public:
  static constexpr const char* kType = "vulkan.send";

  SendNode(sdk::NodeContext context, const sdk::Params& params);

  sdk::Status Probe(sdk::OfferSink& offers);
  sdk::Status Allocate(int32_t direction, uint32_t port, const sluice_pool_request& request,
                       sdk::PoolSink& sink);
  void ReleasePool(uint32_t pool, uint32_t epoch);
  sdk::Status Configure(const sdk::Configuration& configuration);
  sdk::Status Reconfigure(const sdk::Configuration& configuration);
  sdk::Status Start();
  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation);
  sdk::Status Drain() { return {}; }
  void EndSoon();
  void Stop(int64_t deadline_ns, bool completed);

 private:
  FrameServer::Options options_;
  const std::string device_;  ///< a selector

  std::array<uint8_t, 16> uuid_{};  ///< of the device, from Probe() on
  uint64_t domain_ = 0;             ///< VulkanDomain::serial() that made the pool; 0: none
  uint32_t generation_ = 0;         ///< of pools; changes with the domain
  std::shared_ptr<FrameServer::Shared> shared_;
  std::mutex server_mutex_;  ///< for EndSoon(); the engine's verbs take turns
  std::unique_ptr<FrameServer> server_;
};

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_SHARING_SEND_NODE_H_
