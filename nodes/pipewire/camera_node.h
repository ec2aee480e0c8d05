#ifndef NODES_PIPEWIRE_CAMERA_NODE_H_
#define NODES_PIPEWIRE_CAMERA_NODE_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <sluice/sdk.hpp>

#include "nodes/pipewire/camera_stream.h"
#include "nodes/pipewire/connection.h"

namespace sluice::pipewire {

/// A camera for other applications, over the graph's own buffers: pipewire.camera.
class CameraNode final : public sdk::Node<CameraNode> {
 public:
  static constexpr const char* kType = "pipewire.camera";

  CameraNode(sdk::NodeContext context, const sdk::Params& params);
  ~CameraNode();

  sdk::Status Probe(sdk::OfferSink& offers);
  sdk::Status Configure(const sdk::Configuration& configuration);
  sdk::Status Reconfigure(const sdk::Configuration& configuration);
  sdk::Status Start();
  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation);
  sdk::Status Drain();
  void EndSoon();
  void Stop(int64_t deadline_ns, bool completed);

  sdk::Status TestImport(int32_t direction, uint32_t port, sdk::FrameRef frame);
  void ForgetPool(uint32_t pool, uint32_t epoch);

 private:
  sdk::Status AddOffers(sdk::OfferSink& offers, const std::optional<CameraWish>& wish) const;
  sdk::Status Open();
  void Close();

  const std::string remote_;
  const std::string memory_;
  const uint32_t buffers_;
  CameraStream::Options options_;

  uint32_t views_ = 0;                      ///< of the port's buffers
  std::shared_ptr<Connection> connection_;  ///< from Probe() on
  SharedPool pool_;
  sluice_buffer_id pool_id_{};  ///< whose buffers they are; its index means nothing
  std::mutex stream_mutex_;     ///< for who asks from outside; the engine's verbs take turns
  std::unique_ptr<CameraStream> stream_;
  bool ending_soon_ = false;   ///< the run or the epoch; guarded as the stream
  bool wish_offered_ = false;  ///< since the last epoch
  uint64_t published_ = 0;     ///< by streams that are gone
};

}  // namespace sluice::pipewire

#endif  // NODES_PIPEWIRE_CAMERA_NODE_H_
