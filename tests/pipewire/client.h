#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "tests/pipewire/process.h"

namespace sluice::testing {

/// A node as the daemon tells of it.
struct NodeSeen {
  uint32_t id = 0;
  std::map<std::string, std::string> properties;
  std::string state;             ///< "error", "creating", "suspended", "idle", or "running".
  std::vector<uint32_t> inputs;  ///< Its ports, by their global ids.
  std::vector<uint32_t> outputs;

  std::string name() const { return property("node.name"); }
  std::string property(const std::string& key) const;
};

struct LinkSeen {
  uint32_t id = 0;
  uint32_t output_node = 0;
  uint32_t input_node = 0;
  std::string
      state;  ///< "error", "unlinked", "init", "negotiating", "allocating", "paused", or "active".
  std::string error;
};

/// A test's view of the daemon, and what a session manager does for others:
/// links. It has no thread of its own: what it shows changes only within its
/// waits. Not thread-safe.
class Client {
 public:
  /// Connects to the daemon that the environment names, and returns when all
  /// that exists is known. Errors: Io.
  static Result<std::unique_ptr<Client>> Connect();
  ~Client();

  /// Copies, as known by the last wait.
  std::vector<NodeSeen> nodes() const;
  std::vector<LinkSeen> links() const;

  /// Lets events come in until `ready`. Errors: Timeout, with what there is;
  /// DeviceLost when the daemon is gone.
  Status WaitUntil(const std::string& what, const std::function<bool()>& ready,
                   std::chrono::milliseconds patience = kPatience);

  /// Until a node of this name has a port. Where several have it, the newest.
  Result<NodeSeen> WaitForNode(const std::string& name);
  Status WaitForNodeState(const std::string& name, const std::string& state);
  /// Until no node has this name.
  Status WaitUntilGone(const std::string& name);

  /// Makes a link between the first ports of two nodes, which it waits for,
  /// and returns its id as soon as it exists. A port may have many. The link
  /// lasts until Unlink, or until one end or this client is gone.
  Result<uint32_t> Link(const std::string& output_node, const std::string& input_node);
  Status Unlink(uint32_t id);
  /// Until it is "active", or another state. Errors: Io with the link's own
  /// error, as when the formats do not meet.
  Status WaitForLinkState(uint32_t id, const std::string& state);

  /// Removes a node, or whatever has this id, as `pw-cli destroy` does.
  Status Destroy(uint32_t id);

 private:
  struct Impl;
  explicit Client(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::testing
