#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "engine/plugin/registry.h"

namespace sluice::cli {

// What manifests say, for `inspect`. Nothing is loaded.

std::string NodeToText(const plugin::ManifestNode& node, const plugin::PluginInfo& plugin);
nlohmann::ordered_json NodeToJson(const plugin::ManifestNode& node,
                                  const plugin::PluginInfo& plugin);

std::string DomainToText(const plugin::ManifestDomain& domain, const plugin::PluginInfo& plugin);
nlohmann::ordered_json DomainToJson(const plugin::ManifestDomain& domain,
                                    const plugin::PluginInfo& plugin);

}  // namespace sluice::cli
