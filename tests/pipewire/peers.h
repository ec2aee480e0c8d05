#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "tests/pipewire/process.h"

namespace sluice::testing {

/// A camera or a consumer in a process of its own: tests/pipewire/peer, which
/// speaks JSON lines. Meets the daemon that this process's environment names.
class Peer {
 public:
  /// `arguments` as of `peer`: {"source", "--lockstep"}. A deadline that ends
  /// the peer if the test forgets it is set unless given. Errors: Io.
  static Result<Peer> Start(std::vector<std::string> arguments);

  Process& process() { return process_; }

  /// Its next line with this "event", after the lines before it. Errors:
  /// Timeout; Cancelled if it ends first.
  Result<nlohmann::json> WaitForEvent(const std::string& event,
                                      const std::function<bool(const nlohmann::json&)>& fits = {});
  Status WaitForState(const std::string& state);
  /// Until so many frames are through; it must have been told to announce.
  Status WaitForFrames(uint64_t frames);

  /// Its last words, when it has ended by itself. Errors: Timeout; Io.
  Result<nlohmann::json> Ended();
  /// SIGTERM, then the same.
  Result<nlohmann::json> Stop();

 private:
  Process process_;
};

}  // namespace sluice::testing
