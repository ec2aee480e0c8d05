#ifndef NODES_V4L2_CAPTURE_NODE_H_
#define NODES_V4L2_CAPTURE_NODE_H_

#include <memory>
#include <mutex>
#include <string>

#include <sluice/node.hpp>

#include "nodes/v4l2/controls.h"
#include "nodes/v4l2/enumerate.h"
#include "nodes/v4l2/source_input.h"
#include "nodes/v4l2/stream.h"

namespace sluice::v4l2 {

/// v4l2.capture: frames of a camera, a grabber or any other V4L2 device that captures, in its own
/// buffers or in those that somebody else made. Never a copy.
class CaptureNode : public sdk::Node<CaptureNode> {
 public:
  static constexpr const char* kType = "v4l2.capture";

  static sdk::Expected<std::unique_ptr<CaptureNode>> Create(const sdk::NodeContext& context,
                                                            const sdk::Params& params);
  CaptureNode(const sdk::NodeContext& context, const sdk::Params& params, const Wish& wish,
              ControlMap controls);
  ~CaptureNode();

  sdk::Status Probe(sdk::OfferSink& sink);
  sdk::Status Allocate(int32_t direction, uint32_t port, const sluice_pool_request& request,
                       sdk::PoolSink& sink);
  sdk::Status Configure(const sdk::Configuration& configuration);
  sdk::Status TestImport(int32_t direction, uint32_t port, sdk::FrameRef frame);
  void ReleasePool(uint32_t pool, uint32_t epoch);
  void ForgetPool(uint32_t pool, uint32_t epoch) { stream_.ForgetPool(pool, epoch); }
  sdk::Status Start();
  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation);
  void Stop(int64_t deadline_ns, bool completed);
  sdk::Status Reconfigure(const sdk::Configuration& configuration);
  sdk::Status SetParam(const sluice_param& param);

 private:
  sdk::Status EnsureOpen();
  sdk::Status SelectSource();
  /// To be done before its buffers go: a device without any that is polled for reading goes over to
  /// read(), and is then busy for everything else.
  void Unwatch();
  /// Emits all that is ready. False: the last frame that was asked for is out.
  sdk::Expected<bool> Collect();
  sdk::Status Deliver(Stream::Done done);
  void Describe(const Dequeued& buffer, sluice_frame_info* info);
  void CountGap(uint32_t sequence);
  void NoteClock(uint32_t flags);
  /// Lends the device every buffer that is free.
  sdk::Status Fill();
  sdk::Status CheckTime();
  /// What to make of a poll() that reports an error.
  sdk::Status Broken() const;

  const std::string wanted_;
  const std::string input_name_;
  const Wish wish_;
  const uint32_t reserve_;
  const uint64_t frame_limit_;
  const int64_t timeout_ns_;

  // SetParam comes from any thread; it needs the device alone.
  std::mutex device_mutex_;
  Stream stream_;
  ControlMap controls_;

  InputState input_;
  bool active_ = false;         ///< between Start() and Stop()
  bool renegotiating_ = false;  ///< asked for by this node
  bool clock_noted_ = false;
  bool first_ = true;     ///< no frame of this run yet
  int64_t first_ns_ = 0;  ///< the device's clock at the first one
  uint32_t last_sequence_ = 0;
  uint64_t sequence_ = 0;
  uint64_t delivered_ = 0;
  int64_t last_event_ns_ = 0;  ///< CLOCK_MONOTONIC: something moved
};

}  // namespace sluice::v4l2

#endif  // NODES_V4L2_CAPTURE_NODE_H_
