#pragma once

#include <cstdint>
#include <string>

namespace sluice::testing {

/// What `peer` was asked for; `peer --help` explains each.
struct PeerOptions {
  // Both.
  std::string name;
  std::string format;
  uint32_t width = 320;
  uint32_t height = 240;
  std::string memory;
  uint64_t frames = 0;
  uint32_t every = 1;
  uint64_t announce = 0;
  uint32_t buffers = 0;
  int64_t deadline_ms = 0;
  bool sync_timeline = false;

  // Source.
  double fps = 30;
  bool lockstep = false;
  std::string count;
  bool linger = false;
  uint64_t unfilled_after = 0;
  uint32_t acquire_ms = 0;
  uint32_t release_patience_ms = 2000;  ///< source

  // Sink.
  std::string target;
  bool autoconnect = false;
  bool any_size = false;
  bool no_band = false;
  uint32_t stride = 0;
  bool unread = false;
  uint64_t warm_up = 0;
  bool sync = false;
  uint32_t hold = 0;
  uint32_t hold_ms = 0;
  uint32_t release_lag = 0;
  bool never_release = false;
  std::string dump;
  uint64_t dump_frame = 0;
};

/// `peer source`: a camera. Returns the program's exit status.
int RunSource(const PeerOptions& options);
/// `peer sink`: a consumer of one.
int RunSink(const PeerOptions& options);

}  // namespace sluice::testing
