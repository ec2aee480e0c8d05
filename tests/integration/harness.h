#pragma once

#include <string>
#include <vector>

#include "engine/runtime/engine.h"
#include "engine/runtime/report.h"

namespace sluice::testing {

/// What became of a graph.
struct Ran {
  bool planned = false;   ///< It got as far as running.
  std::string problem;    ///< Why it did not; else empty.
  runtime::Report report;
  std::string plan_table;  ///< Of the last epoch.
  std::vector<std::string> islands;  ///< Their names, of the last epoch.
  uint64_t planned_copy_bytes = 0;

  const runtime::NodeReport& node(const std::string& name) const;
  const runtime::EdgeReport& edge(const std::string& name) const;
  /// All errors of problem and report in one line.
  std::string Errors() const;
};

/// The engine with the first-party plugins and the probe nodes, in this process.
/// `adjust` may change the options before it runs.
Ran RunGraph(const std::string& text,
             const std::function<void(runtime::Engine::Options&)>& adjust = {},
             const std::function<void(runtime::Engine&)>& started = {});

/// The same, up to where everything is allocated and every import was tried.
Ran RehearseGraph(const std::string& text);

/// Open descriptors of this process.
size_t CountFds();

}  // namespace sluice::testing
