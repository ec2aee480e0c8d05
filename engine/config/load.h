#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/diagnostic.h"
#include "engine/graph/graph.h"
#include "engine/graph/graph_config.h"
#include "engine/yaml/value.h"

namespace sluice::config {

/// Values of the graph's `params`, by name, as `--set name=value` gives them.
using Overrides = std::map<std::string, std::string>;

/// Splits "name=value". Errors: InvalidArgument without "=" or name.
Status AddOverride(std::string_view assignment, Overrides* overrides);

/// Reads the tree of a graph text: its shape, its settings, ${...} substitution.
/// Types, ports and parameters are not looked at. A config is returned whenever
/// there is something to check further, even if findings were recorded.
std::optional<graph::GraphConfig> ReadGraph(const yaml::Value& root, const Overrides& overrides,
                                            DiagnosticList* diagnostics);

/// From text to a validated graph. All findings of all stages go to
/// `diagnostics`, sorted by place; nothing is returned if one is an error.
/// `file` is for messages only.
/// Threads: [thread-safe].
std::optional<graph::Graph> LoadGraph(std::string_view text, std::string_view file,
                                      const Overrides& overrides, const graph::TypeSource& types,
                                      DiagnosticList* diagnostics);

/// A new value for a parameter of a running graph.
struct Change {
  std::string node;
  std::string param;
  std::string text;     ///< As in a graph; of a mapping: JSON.
  bool is_map = false;
};
/// Reads "NODE.PARAM: VALUE", VALUE as in a graph; nothing of a line that is blank or a comment.
/// Errors: InvalidArgument.
Result<std::optional<Change>> ParseChange(std::string_view line);

/// The text of a graph file, at most 1 MiB. Errors: NotFound, Io, PermissionDenied,
/// ResourceExhausted when it is larger, InvalidArgument for a folder.
Result<std::string> ReadGraphFile(const std::string& path);

}  // namespace sluice::config
