#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/graph/candidates.h"
#include "engine/graph/model.h"

namespace sluice::graph {

/// A net's settled candidate: its ranges are narrowed by the ties and picked from.
struct Choice {
  Candidate candidate;
  Size size;
  media::Rate rate;
  media::Color color;
  bool size_assumed = false;  ///< nothing in the graph fixes it
};

/// A net that nothing is left for.
struct FailedNet {
  uint32_t net = 0;
  /// The net alone has candidates; the ties with these nets emptied it.
  std::vector<uint32_t> tied_to;
  std::optional<TieField> field;
  /// The size that costs were estimated with, for the explanation.
  Size nominal;
};

struct Solution {
  std::vector<Choice> choices;  ///< for each net; whole only if nothing failed
  std::vector<FailedNet> failed;
  Cost cost;
  bool optimal = true;
};

/// Settles all nets: arc consistency over the ties, then an exact search
/// (branch and bound) of each tied component up to SolverLimits::max_steps.
Solution Search(const Model& model);

/// The sizes that costs are estimated with, one for each net.
std::vector<Size> NominalSizes(const Model& model);

}  // namespace sluice::graph
