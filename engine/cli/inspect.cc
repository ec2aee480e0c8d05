#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/base/diagnostic.h"
#include "engine/cli/command.h"
#include "engine/cli/describe.h"
#include "engine/cli/exit_code.h"
#include "engine/cli/help.h"
#include "engine/cli/session.h"
#include "engine/cli/std_streams.h"

namespace sluice::cli {
namespace {

struct Options {
  std::string name;
  bool json = false;
};

int Inspect(Session& session, const Options& options) {
  const plugin::Registry& registry = session.registry();
  if (const auto* node = registry.FindNode(options.name)) {
    const plugin::PluginInfo& plugin = *registry.PluginOfType(options.name);
    return options.json ? DeliverJson(NodeToJson(*node, plugin))
                        : Deliver(NodeToText(*node, plugin));
  }
  if (const auto* domain = registry.FindDomain(options.name)) {
    const plugin::PluginInfo& plugin = *registry.PluginOfDomain(options.name);
    return options.json ? DeliverJson(DomainToJson(*domain, plugin))
                        : Deliver(DomainToText(*domain, plugin));
  }
  std::vector<std::string> names = registry.Names();
  for (std::string& name : registry.DomainNames()) names.push_back(std::move(name));
  const std::string hint = NameHint(options.name, names);
  ComplainError(fmt::format("no node type or domain is called '{}'{}{}", options.name,
                            hint.empty() ? "" : "; ", hint));
  if (const size_t failed = registry.failed().size(); failed > 0) {
    Complain("note",
             fmt::format("{} found that cannot be used; `sluice list --failed` says why",
                         failed == 1 ? "a plugin was" : fmt::format("{} plugins were", failed)));
  }
  return kExitUsage;
}

}  // namespace

Command AddInspect(CLI::App& parent, Session& session) {
  auto options = std::make_shared<Options>();
  CLI::App* app = parent.add_subcommand(
      "inspect", "Describe a node type or a domain: ports, what they can do, parameters");
  app->add_option("NAME", options->name, "Node type (core.testsrc) or domain (vulkan)")->required();
  app->add_flag("--json", options->json, "As a JSON object");
  AddExamples(*app,
              "sluice inspect vulkan.look\n"
              "sluice inspect --json core.testsrc | jq '.params[].name'");
  return {app, [&session, options] { return Inspect(session, *options); }};
}

}  // namespace sluice::cli
