#ifndef NODES_PIPEWIRE_FILTER_OUT_NODE_H_
#define NODES_PIPEWIRE_FILTER_OUT_NODE_H_

#include <memory>

#include <sluice/node.hpp>

#include "nodes/pipewire/filter_pair.h"

namespace sluice::pipewire {

/// pipewire.filter_out: what leaves by the output of a node of PipeWire. Never a copy.
class FilterOutNode : public sdk::Node<FilterOutNode> {
 public:
  static constexpr const char* kType = "pipewire.filter_out";

  static sdk::Expected<std::unique_ptr<FilterOutNode>> Create(const sdk::NodeContext& context,
                                                              const sdk::Params& params);
  FilterOutNode(sdk::NodeContext context, const sdk::Params& params,
                std::shared_ptr<FilterPair> pair);
  ~FilterOutNode();

  sdk::Status Probe(sdk::OfferSink& offers);
  sdk::Status Configure(const sdk::Configuration& configuration);
  sdk::Status TestImport(int32_t direction, uint32_t port, sdk::FrameRef frame);
  void ForgetPool(uint32_t pool, uint32_t epoch);
  sdk::Status Start();
  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation);
  sdk::Status Drain() { return {}; }
  sdk::Status Reconfigure(const sdk::Configuration& configuration);
  void Stop(int64_t deadline_ns, bool completed);

 private:
  const std::string memory_;
  const uint32_t hold_;
  const std::shared_ptr<FilterPair> pair_;
  SharedPool pool_;
  sluice_buffer_id pool_id_{};
};

}  // namespace sluice::pipewire

#endif  // NODES_PIPEWIRE_FILTER_OUT_NODE_H_
