#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/graph/model.h"
#include "engine/graph/ranges.h"

namespace sluice::graph {

/// The constraints a net is under. Leaving some out shows which one empties a set.
enum Constraint : uint32_t {
  kOnFourcc = 1,
  kOnModifier = 2,
  kOnSize = 4,
  kOnRate = 8,
  kOnColor = 16,
  kOnCopies = 32,  ///< offers that make the node copy, where zero-copy is required
  kOnMemory = 64,
  kOnExclusions = 128,
  kOnAll = 255,
};

/// Compared from the first member on; adds member by member.
struct Cost {
  uint64_t loss = 0;     ///< colour, depth of sample and alpha thrown away
  uint64_t time_ns = 0;  ///< for one frame
  uint64_t memory = 0;   ///< bytes of one buffer
  uint64_t preference = 0;
  friend auto operator<=>(const Cost&, const Cost&) = default;
  Cost& operator+=(const Cost& other);
};
inline Cost operator+(Cost a, const Cost& b) { return a += b; }

/// One way to make a net's buffers.
struct Allocation {
  AllocatorKind kind = AllocatorKind::kEngine;
  std::string name;
  size_t participant = 0;  ///< kPort: who, and with which of its offers
  size_t offer = 0;
  Views views = 0;
  std::string device;
  uint32_t max_buffers = 0;
  uint32_t reluctance = 0;  ///< EngineAllocator::reluctance
};

/// One way to settle a net, up to the ranges that ties may narrow.
struct Candidate {
  uint32_t fourcc = 0;
  uint64_t modifier = 0;
  Extent width;
  Extent height;
  RateRange rate;
  media::Color color;
  Allocation allocation;
  std::vector<uint32_t> offers;  ///< chosen offer of each participant
  std::vector<Views> views;      ///< chosen view of each participant
  Cost cost;
};

struct CandidateSet {
  std::vector<Candidate> items;  ///< by cost; none that another equals in all but cost
  bool truncated = false;        ///< SolverLimits::max_candidates cut it off
};

/// `nominal`: the size that costs are estimated with.
CandidateSet MakeCandidates(const Model& model, const ModelNet& net, Size nominal,
                            uint32_t constraints = kOnAll);

/// Time for a node to read or write `bytes` by `view` of what `allocation` makes, transfers
/// included.
uint64_t TouchNs(const Model& model, const ModelNode& node, Access access, Views view,
                 const Allocation& allocation, bool writes, double bytes);

/// Why exclusions keep this net from something, for refusals.
std::vector<std::string> ExclusionReasons(const Model& model, const ModelNet& net);

}  // namespace sluice::graph
