#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/base/text.h"
#include "engine/cli/command.h"
#include "engine/cli/help.h"
#include "engine/cli/session.h"
#include "engine/cli/std_streams.h"

namespace sluice::cli {
namespace {

using Json = nlohmann::ordered_json;
using plugin::FailedPlugin;
using plugin::PluginInfo;
using plugin::Registry;

struct Options {
  bool failed = false;
  bool json = false;
};

std::vector<FailedPlugin> AllFailed(Session& session) {
  std::vector<FailedPlugin> failed = session.registry().failed();
  for (FailedPlugin& plugin : session.loader().CheckAll()) failed.push_back(std::move(plugin));
  return failed;
}

int ListFailed(Session& session, const Options& options) {
  const std::vector<FailedPlugin> failed = AllFailed(session);
  if (options.json) {
    Json list = Json::array();
    for (const FailedPlugin& plugin : failed) {
      list.push_back({{"path", plugin.path}, {"reason", plugin.reason}});
    }
    return DeliverJson(Json{{"failed", std::move(list)}});
  }
  if (failed.empty()) return Deliver("no plugin failed\n");
  std::string text;
  for (const FailedPlugin& plugin : failed) {
    text += plugin.path + "\n";
    // Not wrapped: it may quote a manifest with a caret below.
    std::string_view reason = plugin.reason;
    while (!reason.empty()) {
      const size_t end = std::min(reason.find('\n'), reason.size());
      text += fmt::format("    {}\n", reason.substr(0, end));
      reason.remove_prefix(std::min(end + 1, reason.size()));
    }
  }
  return Deliver(text);
}

std::string SearchText(Session& session) {
  std::string text = "No plugins were found. Searched, in this order:\n";
  std::vector<std::vector<std::string>> rows;
  for (const auto& place : session.search_path().places) {
    rows.push_back({place.path, fmt::format("({})", plugin::SearchOriginName(place.origin))});
  }
  return text + FormatTable(rows, 2);
}

/// A table has room for the first sentence; `inspect` has all of it.
std::string FirstSentence(const std::string& summary) {
  const size_t end = summary.find(". ");
  return end == std::string::npos ? summary : summary.substr(0, end + 1);
}

std::string ToText(Session& session) {
  const Registry& registry = session.registry();
  if (registry.plugins().empty()) return SearchText(session);
  std::vector<std::vector<std::string>> rows = {{"NODE TYPE", "DOMAIN", "STATUS", "SUMMARY"}};
  for (const std::string& name : registry.Names()) {
    const auto& node = *registry.FindNode(name);
    rows.push_back({name, node.type.domain, node.type.status, FirstSentence(node.summary)});
  }
  std::string text = FormatTable(rows);
  rows = {{"DOMAIN", "PLUGIN", "SUMMARY"}, {"cpu", "built in", "The processor."}};
  for (const std::string& name : registry.DomainNames()) {
    rows.push_back(
        {name, registry.PluginOfDomain(name)->manifest.name, registry.FindDomain(name)->summary});
  }
  text += "\n" + FormatTable(rows);
  rows = {{"PLUGIN", "VERSION", "FOUND BY", "PATH"}};
  for (const auto& plugin : registry.plugins()) {
    rows.push_back({plugin->manifest.name, plugin->manifest.version,
                    plugin::SearchOriginName(plugin->origin), plugin->path});
  }
  text += "\n" + FormatTable(rows);
  if (const size_t failed = registry.failed().size(); failed > 0) {
    text += fmt::format("\n{} cannot be used: sluice list --failed\n",
                        failed == 1 ? "One more" : fmt::format("{} more", failed));
  }
  return text;
}

Json ToJson(const Registry& registry) {
  Json types = Json::array();
  for (const std::string& name : registry.Names()) {
    const auto& node = *registry.FindNode(name);
    types.push_back({{"id", name},
                     {"plugin", registry.PluginOfType(name)->manifest.name},
                     {"domain", node.type.domain},
                     {"status", node.type.status},
                     {"summary", node.summary}});
  }
  Json domains = Json::array({{{"id", "cpu"}, {"plugin", nullptr}, {"summary", "The processor."}}});
  for (const std::string& name : registry.DomainNames()) {
    domains.push_back({{"id", name},
                       {"plugin", registry.PluginOfDomain(name)->manifest.name},
                       {"summary", registry.FindDomain(name)->summary}});
  }
  Json plugins = Json::array();
  for (const auto& plugin : registry.plugins()) {
    plugins.push_back({{"name", plugin->manifest.name},
                       {"version", plugin->manifest.version},
                       {"license", plugin->manifest.license},
                       {"description", plugin->manifest.description},
                       {"path", plugin->path},
                       {"found_by", plugin::SearchOriginName(plugin->origin)},
                       {"has_code", plugin->has_code},
                       {"manifest_sha256", plugin->manifest_sha256}});
  }
  return {{"node_types", std::move(types)},
          {"domains", std::move(domains)},
          {"plugins", std::move(plugins)},
          {"failed", registry.failed().size()}};
}

int List(Session& session, const Options& options) {
  if (options.failed) return ListFailed(session, options);
  return options.json ? DeliverJson(ToJson(session.registry())) : Deliver(ToText(session));
}

}  // namespace

Command AddList(CLI::App& parent, Session& session) {
  auto options = std::make_shared<Options>();
  CLI::App* app = parent.add_subcommand("list", "List node types, domains and plugins");
  app->add_flag(
      "--failed", options->failed,
      "Instead, plugins that cannot be used, with the reason; loads all the others to see");
  app->add_flag("--json", options->json, "As a JSON object");
  AddExamples(*app,
              "sluice list\n"
              "sluice list --failed\n"
              "sluice list --plugin-path ./build/plugins --json | jq -r '.node_types[].id'");
  return {app, [&session, options] { return List(session, *options); }};
}

}  // namespace sluice::cli
