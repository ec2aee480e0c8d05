#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/graph/graph.h"
#include "engine/graph/plan.h"
#include "engine/graph/profile.h"

namespace sluice::graph {

/// Memory that the engine can make. In order of preference.
struct EngineAllocator {
  std::string name = "memfd";
  Views views = kViewShm | kViewCpu;
  uint32_t max_buffers = 0;  ///< 0 = no bound
  /// Added to the preferences of what it makes: a device that can allocate knows
  /// its own demands better than the engine does.
  uint32_t reluctance = 0;
};

/// What the runtime knows of an opened domain; unopened ones may be absent.
struct DomainFacts {
  std::array<uint8_t, 16> device_uuid{};
  std::string device_name;
  /// Views that it can reach without a copy. A port that takes `shm` although it
  /// is not among them is served by a transfer, which is counted as a copy.
  Views views = 0;
  uint32_t base_multiple = 1;  ///< of imported memory, bytes
  uint32_t size_multiple = 1;
  uint32_t offset_multiple = 1;
  bool is_software = false;
  std::string driver;
};

struct SolverLimits {
  /// Search steps for one component before it is cut off (then Plan::optimal is false).
  uint32_t max_steps = 200'000;
  /// Combinations kept for one net.
  uint32_t max_candidates = 20'000;
  /// Trials when looking where to put converters.
  uint32_t max_insertions = 256;
};

struct NegotiationInput {
  const Graph* graph = nullptr;  ///< borrowed
  /// Refined offers by "node.port", inserted nodes included ("core.copy@write.in.out");
  /// a port that is absent stands by its manifest. Not a subset of the declared
  /// ones: InvalidArgument.
  std::map<std::string, std::vector<Offer>> offers;
  Profile profile;
  std::vector<EngineAllocator> allocators = {EngineAllocator{}};
  /// By instance; the first of a domain is called as NodeType::domain.
  std::map<std::string, DomainFacts> domains;
  /// The instance of a node; an absent one's is NodeType::domain, an inserted one's that
  /// of its neighbour.
  std::map<std::string, std::string, std::less<>> domain_of;
  std::vector<Exclusion> exclusions;
  /// Types that may be inserted, in order of preference. Borrowed.
  std::vector<const NodeType*> converters;
  /// Nodes that have ended: none joins an island with those that run on.
  std::set<std::string, std::less<>> apart;
  uint32_t epoch = 1;
  SolverLimits limits;
};

/// Settles formats, memory, allocators, sync and depths of the whole graph.
/// Deterministic: equal inputs give equal plans. Pure: opens nothing, waits for nothing.
/// Errors: Unsupported when there is no plan, with the constraint that emptied
/// the set; ResourceExhausted when a pool would have to be deeper than a port
/// allows; InvalidArgument for refined offers that go beyond the declared ones.
/// Ownership: the plan borrows the node types.
/// Threads: [thread-safe].
Result<Plan> Negotiate(const NegotiationInput& input);

}  // namespace sluice::graph
