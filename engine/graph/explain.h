#pragma once

#include <string>
#include <vector>

#include "engine/graph/search.h"

namespace sluice::graph {

/// A consumer that cannot be served by its producer, even alone.
struct BadPair {
  uint32_t net = 0;
  uint32_t edge = 0;
  Constraint constraint = kOnFourcc;
};

/// The constraint that empties this net: the first one without which something
/// would be left. kOnAll if no single one.
Constraint EmptyingConstraint(const Model& model, const ModelNet& net, Size nominal);

/// The consumers of the net that fail even as the only one.
std::vector<BadPair> BadPairs(const Model& model, uint32_t net, Size nominal);

/// A few words for why a converter has to stand on this edge: "NV12 -> YU12".
std::string InsertionReason(const Model& model, uint32_t edge, Constraint constraint);

/// Several lines: which net, the constraint that emptied it, what each end
/// offered, the nearest miss, what would help.
std::string ExplainFailure(const Model& model, const Solution& solution, const FailedNet& failed);

}  // namespace sluice::graph
