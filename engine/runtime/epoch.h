#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/domain/domain.h"
#include "engine/graph/plan.h"
#include "engine/media/buffer_pool.h"
#include "engine/media/memory.h"
#include "engine/runtime/node_set.h"
#include "engine/runtime/pool_keeper.h"
#include "engine/runtime/report.h"
#include "engine/scheduler/scheduler.h"

namespace sluice::runtime {

/// What outlives epochs while a graph runs.
struct RunState {
  scheduler::WorkerPool* workers = nullptr;
  scheduler::RunnerEvents* events = nullptr;
  std::vector<std::unique_ptr<media::Allocator>> allocators;
  std::shared_ptr<sync::FdWaiter> fd_waiter;
  uint32_t sample_every = 16;
  bool realtime = false;
  bool overwrite = false;
  bool poison = false;
  bool rehearsal = false;  ///< Memory and imports are tried; nothing will run.
  uint32_t next_pool = 1;
  std::map<std::string, std::unique_ptr<scheduler::EdgeStats>> edges;  ///< By name.
  PoolKeeper pools;
  std::set<std::string> ended;     ///< Names of nodes that ended.
  std::vector<PassReport> passes;  ///< Of all epochs so far.

  scheduler::EdgeStats& EdgeStatsFor(const std::string& name);
  void AddPass(const PassReport& pass);
};

/// Whether an active node has to hear of a new epoch. One that offers any format
/// and has no reconfigure() does not look at pixels: it goes on as it is.
bool MustReconfigure(const LiveNode& node);

/// A plan with its memory, islands and scheduler. Threads: [main-thread].
class Epoch {
 public:
  /// Allocates pools (or keeps those of `previous` that did not change),
  /// configures or reconfigures the nodes, tries every import, prepares the islands
  /// and starts nodes that are not active. Nothing runs yet. `previous` has stopped.
  /// Errors: those of nodes and allocators, with the node's name. What turned out
  /// not to go together is in `*refused` (its reason is not empty): the plan can be
  /// solved again without that combination.
  static Result<std::unique_ptr<Epoch>> Create(const graph::Graph& graph, graph::Plan plan,
                                               NodeSet& nodes, RunState& state, Epoch* previous,
                                               graph::Exclusion* refused);
  ~Epoch();

  const graph::Plan& plan() const { return plan_; }
  scheduler::Scheduler& scheduler() { return *scheduler_; }
  /// A node of the plan.
  LiveNode& node(size_t index) const { return *nodes_[index]; }

  /// Whether the node made or imported the memory of a pool: an instance of it that
  /// is made anew cannot go on with this epoch.
  bool HasMemoryOf(const LiveNode& node) const;

  /// The arguments with which a node of this epoch is configured.
  plugin::ConfigureArguments ArgumentsFor(size_t node) const;

  /// Stops the scheduler and gives the islands up. The pools live on as long as
  /// their leases do.
  void Stop();

 private:
  Epoch(const graph::Graph& graph, graph::Plan plan, NodeSet& nodes, RunState& state)
      : graph_(graph), plan_(std::move(plan)), node_set_(nodes), state_(state) {}
  Status MakePools(Epoch* previous, graph::Exclusion* refused);
  RefPtr<media::BufferPool> KeptPool(const graph::PlanNet& net, const Epoch* previous) const;
  media::BufferPool::Options PoolOptions(const graph::PlanNet& net) const;
  Result<RefPtr<media::BufferPool>> MakePool(const graph::PlanNet& net);
  Result<RefPtr<media::BufferPool>> MakePortPool(const graph::PlanNet& net);
  std::vector<PoolKeeper::User> UsersOf(const graph::PlanNet& net) const;
  Status TestImports(graph::Exclusion* refused);
  Status TestImport(const graph::PlanNet& net, media::BufferPool& pool, graph::PortRef port,
                    graph::Exclusion* refused);
  Status ConfigureNodes(Epoch* previous, graph::Exclusion* refused);
  bool SameAs(const Epoch* previous, size_t index) const;
  plugin::PortArgument ArgumentFor(graph::PortRef port) const;
  Status MakeIslands();
  void CollectPassTimes();
  Error ExplainIsland(const graph::PlanIsland& planned, const Error& error) const;
  Status StartNodes();
  void MakeScheduler();
  graph::Syncs SyncOf(graph::PortRef port) const;
  graph::Exclusion ExclusionFor(size_t node, const Error& error) const;
  graph::Exclusion ExcludeAllocator(const graph::PlanNet& net, const Error& error) const;

  const graph::Graph& graph_;
  graph::Plan plan_;
  NodeSet& node_set_;
  RunState& state_;
  std::vector<LiveNode*> nodes_;
  std::vector<RefPtr<media::BufferPool>> pools_;          ///< As Plan::nets; null inside islands.
  std::vector<bool> kept_;                                ///< By net: of the previous epoch.
  std::vector<std::unique_ptr<domain::Island>> islands_;  ///< As Plan::islands.
  std::unique_ptr<scheduler::Scheduler> scheduler_;
};

}  // namespace sluice::runtime
