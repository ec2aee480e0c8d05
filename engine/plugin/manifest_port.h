#pragma once

#include "engine/base/diagnostic.h"
#include "engine/graph/node_type.h"
#include "engine/yaml/value.h"

namespace sluice::plugin::internal {

/// Reads one entry of `ports`; findings go to `diagnostics`.
graph::PortDesc ReadPort(const yaml::Entry& entry, const std::string& node,
                         DiagnosticList* diagnostics);

/// Reads one entry of `params`.
graph::ParamDesc ReadParam(const yaml::Entry& entry, const std::string& owner,
                           DiagnosticList* diagnostics);

}  // namespace sluice::plugin::internal
