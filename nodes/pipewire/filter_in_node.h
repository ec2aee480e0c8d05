#ifndef NODES_PIPEWIRE_FILTER_IN_NODE_H_
#define NODES_PIPEWIRE_FILTER_IN_NODE_H_

#include <memory>

#include <sluice/node.hpp>

#include "nodes/pipewire/filter_pair.h"

namespace sluice::pipewire {

/// pipewire.filter_in: what arrives at the input of a node of PipeWire. It also tells what happens
/// to that node.
class FilterInNode : public sdk::Node<FilterInNode> {
 public:
  static constexpr const char* kType = "pipewire.filter_in";

  static sdk::Expected<std::unique_ptr<FilterInNode>> Create(const sdk::NodeContext& context,
                                                             const sdk::Params& params);
  FilterInNode(sdk::NodeContext context, const sdk::Params& params,
               std::shared_ptr<FilterPair> pair);
  ~FilterInNode();

  sdk::Status Configure(const sdk::Configuration& configuration);
  sdk::Status Start();
  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation);
  sdk::Status Reconfigure(const sdk::Configuration& configuration);
  void Stop(int64_t deadline_ns, bool completed);

 private:
  sdk::Status Deliver(bool* more);

  const uint64_t frame_limit_;
  const std::shared_ptr<FilterPair> pair_;
  sdk::Frame spare_;  ///< acquired, and not filled yet
  uint64_t delivered_ = 0;
};

}  // namespace sluice::pipewire

#endif  // NODES_PIPEWIRE_FILTER_IN_NODE_H_
