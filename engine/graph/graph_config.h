#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/diagnostic.h"
#include "engine/graph/node_type.h"

namespace sluice::graph {

/// What a graph text says, well-formed in itself but not yet checked against any
/// node type. Every part knows its place in the text.

enum class ZeroCopy { kPrefer, kRequire };
enum class ClockMode { kRealtime, kFreeRun };
enum class Convert { kAuto, kNever };

struct Settings {
  ZeroCopy zero_copy = ZeroCopy::kPrefer;
  ClockMode clock = ClockMode::kFreeRun;
  Convert convert = Convert::kAuto;
  std::string gpu;  ///< selector of the device for all domains; "" = the domain's choice
  SourceMark gpu_mark;
};

enum class WhenFull { kBlock, kDropOldest, kDropNewest };

struct QueueConfig {
  uint32_t depth = 2;
  WhenFull when_full = WhenFull::kBlock;
  /// The text has a `queue:`: also a border between run groups.
  bool given = false;
  friend bool operator==(const QueueConfig&, const QueueConfig&) = default;
};

enum class ErrorAction { kStop, kRestart };

struct ErrorPolicy {
  ErrorAction action = ErrorAction::kStop;
  /// Restart: how often before the graph stops after all; 0 = without end.
  uint32_t attempts = 5;
  /// Restart: pause before the first attempt, doubled up to backoff_max_ns.
  int64_t backoff_ns = 100'000'000;
  int64_t backoff_max_ns = 10'000'000'000;
  friend bool operator==(const ErrorPolicy&, const ErrorPolicy&) = default;
};

enum class EndPolicy { kAll, kAny };

/// A parameter as written; `is_map` means that `text` is a JSON object made
/// from a YAML mapping.
struct ParamConfig {
  std::string name;
  SourceMark name_mark;
  std::string text;
  bool is_map = false;
  bool faulty = false;  ///< a finding about the value was recorded already
  SourceMark mark;
};

struct NodeConfig {
  std::string name;
  SourceMark mark;
  std::string type;
  SourceMark type_mark;
  std::vector<ParamConfig> params;
  std::optional<ErrorPolicy> on_error;
  std::optional<SyncPolicy> sync;
  std::string trigger;
  SourceMark sync_mark;
  EndPolicy end = EndPolicy::kAll;
  std::string gpu;
  SourceMark gpu_mark;
  bool island_cut = false;
};

struct EndpointConfig {
  std::string node;
  std::string port;  ///< "" = the node's only one in this direction
  SourceMark mark;
};

struct EdgeConfig {
  EndpointConfig from;
  EndpointConfig to;
  SourceMark mark;
  QueueConfig queue;
  bool require_zero_copy = false;
};

struct GraphConfig {
  std::string name;
  Settings settings;
  std::vector<NodeConfig> nodes;  ///< in the order of the text
  std::vector<EdgeConfig> edges;
  /// Nodes named by edges that could not be read: that they lack an edge is no news.
  std::vector<std::string> faulty_edge_nodes;
};

std::string_view WhenFullName(WhenFull when_full);

}  // namespace sluice::graph
