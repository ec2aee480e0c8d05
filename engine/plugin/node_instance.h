#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include <sluice/node.h>

#include "engine/base/clock.h"
#include "engine/base/result.h"
#include "engine/graph/node_type.h"
#include "engine/media/format.h"
#include "engine/plugin/host.h"

namespace sluice::plugin {

/// A parameter as the graph settled it.
struct ParamArgument {
  std::string name;
  graph::ParamValue value;
  bool given = false;
};

/// What one epoch of one port of a node is.
struct PortArgument {
  std::string name;
  graph::Direction direction = graph::Direction::kInput;
  bool connected = false;
  uint32_t views = 0;
  media::Format format;
  media::Layout layout;
  uint32_t buffers = 0;
  uint32_t sync = 0;
};

struct ConfigureArguments {
  uint32_t epoch = 1;
  std::vector<PortArgument> ports;  ///< as NodeType::ports
  bool realtime = false;
  bool overwrite = false;
};

/// One live node of a plugin. Owns it. The verbs follow the state machine of
/// sluice/node.h; calling one in a wrong state is the engine's fault and aborts.
class NodeInstance {
 public:
  enum class State { kCreated, kConfigured, kActive };

  /// Errors: those of the plugin, with the message it set through `host`.
  /// `host` outlives the instance; `last_error` of it is told by the caller.
  static Result<std::unique_ptr<NodeInstance>> Create(const sluice_node_factory& factory,
                                                      const std::string& type_id,
                                                      std::span<const ParamArgument> params,
                                                      NodeHost& host);
  ~NodeInstance();

  Result<OfferSink> Probe();
  Status Configure(const ConfigureArguments& arguments);
  Status Start();
  /// [process-thread] The raw result of process().
  int32_t Process(const sluice_invocation& invocation) {
    return node_.process(node_.self, &invocation);
  }
  bool HasProcess() const { return node_.process != nullptr; }
  bool HasDrain() const { return node_.drain != nullptr; }
  int32_t Drain() { return node_.drain(node_.self); }
  void Stop(MonotonicNs deadline_ns, bool completed);
  Status Reconfigure(const ConfigureArguments& arguments);
  Status SetParam(const ParamArgument& param);

  State state() const { return state_; }
  const sluice_node* abi() const { return &node_; }

 private:
  NodeInstance() = default;
  Status Check(int32_t result, const char* verb) const;

  sluice_node node_{};
  State state_ = State::kCreated;
};

}  // namespace sluice::plugin
