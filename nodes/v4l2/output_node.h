#ifndef NODES_V4L2_OUTPUT_NODE_H_
#define NODES_V4L2_OUTPUT_NODE_H_

#include <memory>
#include <string>

#include <sluice/node.hpp>

#include "nodes/v4l2/enumerate.h"
#include "nodes/v4l2/stream.h"

namespace sluice::v4l2 {

/// v4l2.output: frames to a V4L2 device that sends them out. It keeps each frame until the device
/// is done with it, and never copies one.
class OutputNode : public sdk::Node<OutputNode> {
 public:
  static constexpr const char* kType = "v4l2.output";

  static sdk::Expected<std::unique_ptr<OutputNode>> Create(const sdk::NodeContext& context,
                                                           const sdk::Params& params);
  OutputNode(const sdk::NodeContext& context, const sdk::Params& params, const Wish& wish);
  ~OutputNode();

  sdk::Status Probe(sdk::OfferSink& sink);
  sdk::Status Allocate(int32_t direction, uint32_t port, const sluice_pool_request& request,
                       sdk::PoolSink& sink);
  sdk::Status Configure(const sdk::Configuration& configuration);
  sdk::Status TestImport(int32_t direction, uint32_t port, sdk::FrameRef frame);
  void ReleasePool(uint32_t pool, uint32_t epoch);
  void ForgetPool(uint32_t pool, uint32_t epoch) { stream_.ForgetPool(pool, epoch); }
  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation);
  sdk::Status Drain();
  void Stop(int64_t deadline_ns, bool completed);
  sdk::Status Reconfigure(const sdk::Configuration& configuration);

 private:
  sdk::Status EnsureOpen();
  sdk::Status StreamOn();
  void StreamOff();
  /// Gives back what the device is done with.
  sdk::Status Collect();
  bool Finished();

  const std::string wanted_;
  const std::string output_name_;
  const Wish wish_;
  const uint32_t hold_;
  Stream stream_;
  /// Readable when the device can be written to: hosts watch for reading alone.
  sdk::UniqueFd writable_;
  int64_t last_event_ns_ = 0;  ///< CLOCK_MONOTONIC: the device finished a frame
};

}  // namespace sluice::v4l2

#endif  // NODES_V4L2_OUTPUT_NODE_H_
