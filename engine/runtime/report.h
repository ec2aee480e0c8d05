#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/media/copy_meter.h"

namespace sluice::runtime {

/// p50/p99 of durations in nanoseconds; 0 samples = not measured.
struct LatencyReport {
  uint64_t samples = 0;
  int64_t p50_ns = 0;
  int64_t p99_ns = 0;
};

struct NodeReport {
  std::string name;
  std::string type;
  bool inserted = false;
  bool ended = false;
  uint64_t frames_in = 0;
  uint64_t frames_out = 0;
  double fps = 0;            ///< From the first frame to the last, of its first output or input.
  LatencyReport process;     ///< Time in process() (or in the submission).
  LatencyReport end_to_end;  ///< Sinks: since the source emitted.
  std::string island;        ///< The one that it fired with last; "" on the CPU.
  /// Mean of a frame by the device's own clock: its share of the passes that it is in,
  /// where several nodes are in one. 0 = not measured.
  double device_us = 0;
  std::map<std::string, uint64_t> drops;  ///< By reason.
  std::vector<std::string> notes;
};

/// A pass of an island by the device's own clock, over all epochs.
struct PassReport {
  std::string island;
  std::string label;
  std::vector<std::string> nodes;
  uint32_t number = 0;  ///< Of those with the same island, label and nodes.
  uint64_t frames = 0;
  uint64_t total_ns = 0;
  uint64_t min_ns = 0;
  uint64_t max_ns = 0;

  double mean_us() const {
    return frames == 0 ? 0 : static_cast<double>(total_ns) / static_cast<double>(frames) / 1e3;
  }
};

struct EdgeReport {
  std::string name;
  uint64_t frames = 0;
  std::map<std::string, uint64_t> drops;  ///< By reason.
  LatencyReport queued;
  uint32_t peak_queue = 0;
};

struct PoolReport {
  std::string name;
  uint32_t epoch = 1;
  std::string format;
  std::string allocator;
  uint32_t buffers = 0;
  uint32_t peak_leased = 0;
  uint32_t outstanding = 0;  ///< Leases that never came home.
  uint64_t bytes_mapped = 0;
};

/// What a run did. Plain data.
struct Report {
  std::string graph;
  std::string result;  ///< "done", "stopped" (by the user) or "failed"
  std::vector<std::string> errors;
  std::vector<std::string> warnings;
  double seconds = 0;
  uint32_t epochs = 1;
  uint32_t restarts = 0;
  std::vector<std::string> exclusions;  ///< What the plan had to do without, and why.
  std::vector<NodeReport> nodes;
  std::vector<EdgeReport> edges;
  std::vector<PoolReport> pools;
  std::vector<PassReport> passes;
  std::vector<media::CopyMeter::Row> copies;
  uint64_t bytes_copied = 0;

  /// For people.
  std::string ToTable() const;
  /// One JSON object.
  std::string ToJson() const;
};

}  // namespace sluice::runtime
