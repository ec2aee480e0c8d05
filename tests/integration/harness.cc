#include "tests/integration/harness.h"

#include <dirent.h>

#include <gtest/gtest.h>

#include "engine/config/load.h"
#include "engine/plugin/host.h"
#include "engine/plugin/loader.h"
#include "engine/plugin/registry.h"
#include "engine/plugin/search_path.h"

namespace sluice::testing {
namespace {

/// Plugins are loaded once in a process; so are registry and loader.
struct Plugins {
  plugin::Registry registry;
  plugin::Loader loader;
  Plugins() : registry(plugin::Registry::Scan(plugin::FindSearchPath(Options()))),
              loader(&registry, plugin::Host()) {}
  static plugin::SearchPathOptions Options() {
    plugin::SearchPathOptions options;
    const char* dir = std::getenv("TEST_SRCDIR");
    const char* workspace = std::getenv("TEST_WORKSPACE");
    if (dir != nullptr && workspace != nullptr) {
      options.plugin_path = {std::string(dir) + "/" + workspace + "/tests/integration"};
    }
    return options;
  }
};

Plugins& AllPlugins() {
  static auto* plugins = new Plugins;
  return *plugins;
}

}  // namespace

const runtime::NodeReport& Ran::node(const std::string& name) const {
  for (const auto& node : report.nodes) {
    if (node.name == name) return node;
  }
  ADD_FAILURE() << "no node " << name << " in the report; " << Errors();
  static const runtime::NodeReport none;
  return none;
}

const runtime::EdgeReport& Ran::edge(const std::string& name) const {
  for (const auto& edge : report.edges) {
    if (edge.name == name) return edge;
  }
  ADD_FAILURE() << "no edge " << name << " in the report; " << Errors();
  static const runtime::EdgeReport none;
  return none;
}

std::string Ran::Errors() const {
  std::string text = problem;
  for (const std::string& error : report.errors) text += (text.empty() ? "" : " | ") + error;
  return text;
}

namespace {

/// Loads and plans `text` and hands the engine on; the graph lives as long.
Ran WithEngine(const std::string& text,
               const std::function<void(runtime::Engine::Options&)>& adjust,
               const std::function<void(runtime::Engine&, Ran&)>& use) {
  Ran ran;
  DiagnosticList diagnostics;
  auto graph =
      config::LoadGraph(text, "test.yaml", {}, AllPlugins().registry, &diagnostics);
  if (!graph) {
    ran.problem = diagnostics.Format();
    for (const auto& failed : AllPlugins().registry.failed()) {
      ran.problem += failed.path + ": " + failed.reason + "\n";
    }
    return ran;
  }
  runtime::Engine::Options options;
  options.types = &AllPlugins().registry;
  options.loader = &AllPlugins().loader;
  options.sample_every = 1;
  if (adjust) adjust(options);
  auto engine = runtime::Engine::Create(*graph, options);
  if (!engine) {
    ran.problem = engine.error().ToString();
    return ran;
  }
  if (auto prepared = (*engine)->Prepare(); !prepared) {
    ran.problem = prepared.error().error.ToString();
    return ran;
  }
  ran.planned = true;
  for (const auto& copy : (*engine)->plan().copies) ran.planned_copy_bytes += copy.bytes_per_frame;
  use(**engine, ran);
  ran.plan_table = (*engine)->plan().ToTable();
  for (const auto& island : (*engine)->plan().islands) ran.islands.push_back(island.name);
  return ran;
}

}  // namespace

Ran RunGraph(const std::string& text,
             const std::function<void(runtime::Engine::Options&)>& adjust,
             const std::function<void(runtime::Engine&)>& started) {
  return WithEngine(text, adjust, [&](runtime::Engine& engine, Ran& ran) {
    if (started) started(engine);
    ran.report = engine.Run();
  });
}

Ran RehearseGraph(const std::string& text) {
  return WithEngine(text, {}, [](runtime::Engine& engine, Ran& ran) {
    if (Status rehearsed = engine.Rehearse(); !rehearsed) ran.problem = rehearsed.error().message;
  });
}

size_t CountFds() {
  size_t count = 0;
  DIR* dir = opendir("/proc/self/fd");
  while (readdir(dir) != nullptr) ++count;
  closedir(dir);
  return count;
}

}  // namespace sluice::testing
