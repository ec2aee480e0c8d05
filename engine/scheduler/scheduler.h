#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/domain/domain.h"
#include "engine/graph/plan.h"
#include "engine/media/buffer_pool.h"
#include "engine/plugin/node_instance.h"
#include "engine/scheduler/edge.h"
#include "engine/scheduler/node_context.h"
#include "engine/scheduler/node_runner.h"
#include "engine/scheduler/run_group.h"
#include "engine/scheduler/worker_pool.h"

namespace sluice::scheduler {

/// One epoch of a graph, alive: its edges, runners and run groups, wired as the
/// plan says. Made and destroyed by the controller, while no group runs.
/// Threads: [main-thread] unless said.
class Scheduler {
 public:
  struct NodeSetup {
    NodeContext* context = nullptr;
    plugin::NodeInstance* instance = nullptr;
    domain::Island* island = nullptr;  ///< The same for all nodes of one.
    /// Ended in an earlier epoch: stays ended.
    bool ended = false;
  };
  struct Setup {
    const graph::Plan* plan = nullptr;              ///< Borrowed, outlives the scheduler, as
    const graph::Graph* graph = nullptr;            ///< the graph that it was made from.
    std::vector<NodeSetup> nodes;                   ///< As Plan::nodes.
    std::vector<EdgeStats*> edges;                  ///< As Plan::edges; null inside islands.
    std::vector<RefPtr<media::BufferPool>> pools;   ///< As Plan::nets; null inside islands.
    WorkerPool* workers = nullptr;
    RunnerEvents* events = nullptr;
    uint32_t sample_every = 16;
  };

  explicit Scheduler(Setup setup);
  /// Stops first.
  ~Scheduler();

  /// Everything may run.
  void Start();
  /// Waits for slices in progress; nothing runs after. Idempotent.
  void Stop();
  /// Sources end, and nodes that wait for a restart; the rest drains. [thread-safe]
  void RequestDrain();

  /// Whether nothing is queued or running and no edge holds a frame.
  bool Quiet() const;
  bool AllEnded() const;
  /// Changes whenever something fired. [thread-safe]
  uint64_t Activity() const;
  /// Whether somebody outside may still wake a waiting node (a timer, a codec's
  /// thread, a device), so that a standstill is not yet a deadlock.
  bool MayWakeByItself() const;
  /// Who waits for whom, for what, one clause for each node that waits.
  std::string DescribeStall() const;

  const std::vector<std::unique_ptr<NodeRunner>>& runners() const { return runners_; }
  /// The runner of a plan node, or of its island.
  NodeRunner& runner(size_t node) const { return *of_node_[node]; }

 private:
  bool LooksQuiet() const;
  void MakeEdges();
  void MakeRunners();
  NodeRunner::Options OptionsFor(const std::vector<uint32_t>& nodes) const;
  NodeRunner::Member MakeMember(uint32_t node) const;
  void AddInput(uint32_t member, uint32_t node, uint32_t port, NodeRunner::Options* options) const;
  void AddOutput(uint32_t member, uint32_t node, uint32_t port, NodeRunner::Options* options) const;
  void SetInfoSource(const std::vector<uint32_t>& nodes, uint32_t node,
                     const NodeRunner::Options& options, NodeRunner::Output* output) const;
  void MakeGroups();
  std::string DescribeWait(const NodeRunner& runner) const;
  std::string DescribeHolders(size_t net) const;

  Setup setup_;
  std::vector<std::unique_ptr<Edge>> edges_;  ///< As Plan::edges; null inside islands.
  std::vector<std::unique_ptr<NodeRunner>> runners_;
  std::vector<NodeRunner*> of_node_;          ///< As Plan::nodes.
  /// Edges by node and port: the one into an input, those out of an output.
  std::vector<std::vector<std::vector<uint32_t>>> edges_at_;
  std::vector<std::unique_ptr<RunGroup>> groups_;
  bool running_ = false;
};

}  // namespace sluice::scheduler
