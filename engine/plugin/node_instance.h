#pragma once

#include <memory>
#include <optional>
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

/// What the plan wants of a pool that a port makes.
struct MemoryRequest {
  uint32_t pool = 0;
  uint32_t epoch = 0;
  uint32_t buffers = 0;
  uint32_t views = 0;
  media::Format format;
  std::optional<media::Layout> layout;  ///< One that all users accept, where it is known.
  media::Alignment alignment;           ///< What they demand of any other.
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

  Result<OfferSink> Probe(const graph::NodeType& type);
  Status Configure(const ConfigureArguments& arguments);
  Status Start();
  /// [process-thread] The raw result of process().
  int32_t Process(const sluice_invocation& invocation) {
    return node_.process(node_.self, &invocation);
  }
  bool HasProcess() const { return node_.process != nullptr; }
  bool HasDrain() const { return node_.drain != nullptr; }
  int32_t Drain() { return node_.drain(node_.self); }
  /// [thread-safe] Active: what waits for somebody outside need not wait any more in this epoch.
  void EndSoon() {
    if (ending_ != nullptr) ending_->soon(node_.self);
  }
  void Stop(MonotonicNs deadline_ns, bool completed);
  Status Reconfigure(const ConfigureArguments& arguments);
  Status SetParam(const ParamArgument& param);

  /// Whether it can make the memory of its ports' pools; the verbs below are Unsupported else.
  bool Allocates() const { return allocator_ != nullptr; }
  /// Memory for one port, made before the node is configured for it. Everything
  /// that it gives is checked. `port`: among those of its direction.
  Result<PortMemory> Allocate(graph::Direction direction, uint32_t port,
                              const MemoryRequest& request);
  /// No lease of the pool is out, and its memory is gone.
  void ReleasePool(uint32_t pool, uint32_t epoch);

  bool Imports() const { return importer_ != nullptr; }
  /// Configured: tries `frame` (borrowed).
  Status TestImport(graph::Direction direction, uint32_t port, media::Frame& frame);
  void ForgetPool(uint32_t pool, uint32_t epoch);

  State state() const { return state_; }
  const sluice_node* abi() const { return &node_; }

 private:
  NodeInstance() = default;
  Status Check(int32_t result, const char* verb) const;

  void FindExtensions();

  NodeHost* host_ = nullptr;
  sluice_node node_{};
  const sluice_allocator* allocator_ = nullptr;
  const sluice_importer* importer_ = nullptr;
  const sluice_ending* ending_ = nullptr;
  State state_ = State::kCreated;
};

}  // namespace sluice::plugin
