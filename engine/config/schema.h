#pragma once

#include <string>

#include "engine/graph/node_type.h"

namespace sluice::config {

/// A JSON Schema (draft 2020-12) of graph texts over these types, for editors:
/// it completes and checks keys, types, parameters and choices. It is wider than
/// `check` where JSON Schema cannot say it (edges, ${...} in numbers).
std::string GraphSchema(const graph::TypeSource& types);

}  // namespace sluice::config
