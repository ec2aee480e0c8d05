#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/base/clock.h"
#include "engine/graph/graph.h"
#include "engine/graph/plan.h"
#include "engine/media/copy_meter.h"
#include "engine/media/memory.h"
#include "engine/plugin/loader.h"
#include "engine/runtime/epoch.h"
#include "engine/runtime/node_set.h"
#include "engine/runtime/report.h"
#include "engine/scheduler/reactor.h"
#include "engine/scheduler/worker_pool.h"

namespace sluice::runtime {

/// What a run is doing, a few times a second.
struct ProgressInfo {
  double seconds = 0;
  uint64_t frames = 0;  ///< At the busiest sink.
  double fps = 0;       ///< Since the last call.
  uint64_t done = 0;    ///< As the sources say; total 0 = unknown.
  uint64_t total = 0;
};

/// Opens, plans and runs one graph; the only class that the command line needs.
/// Threads: [main-thread]; Interrupt is [thread-safe].
class Engine final : private scheduler::RunnerEvents {
 public:
  struct Options {
    const graph::TypeSource* types = nullptr;  ///< Borrowed, as `loader`.
    plugin::Loader* loader = nullptr;
    std::string gpu;
    graph::Profile profile;  ///< What plans are made with.
    bool overwrite = false;
    unsigned workers = 0;        ///< 0 = one for each processor.
    uint32_t sample_every = 16;  ///< Latencies are measured of 1 frame in so many.
    /// A fence that is later than this gets a verdict.
    MonotonicNs fence_limit_ns = 10'000'000'000;
    /// Nothing fired for so long: the stall is reported.
    MonotonicNs stall_limit_ns = 2'000'000'000;
    MonotonicNs stop_limit_ns = 5'000'000'000;
    bool poison = false;
    bool catch_signals = false;
    std::function<void(const ProgressInfo&)> progress;
  };

  /// `graph` outlives the engine.
  static Result<std::unique_ptr<Engine>> Create(const graph::Graph& graph, Options options);
  ~Engine();

  /// Opens domains and nodes, and negotiates. Allocates nothing yet.
  tl::expected<void, Failure> Prepare();
  /// After Prepare: allocates, configures and tries every import as Run does, and
  /// gives it all back: plan() is then the one that stands on this machine.
  Status Rehearse();
  /// After Prepare. The plan of the latest epoch.
  const graph::Plan& plan() const;
  /// What nodes had to say when they were opened, by node.
  std::vector<std::pair<std::string, std::string>> Notes() const;

  /// Runs to the end. The report says what happened, failures included.
  Report Run();

  /// Asks for a new value of a parameter of a node, `text` as in a graph (JSON for a
  /// mapping). `done` is called on Run's thread, or never if the graph ends before.
  /// Errors told to it: NotFound, InvalidArgument, Unsupported (not changeable while
  /// running), the node's. [thread-safe]
  void ChangeParam(std::string node, std::string param, std::string text, bool is_map,
                   std::function<void(const Status&)> done);

  /// First: sources end and the rest drains; before Run, nothing is started.
  /// Second: stops. With catch_signals, a third signal ends the process at once (130).
  void Interrupt();

 private:
  struct Event {
    enum class Kind { kEnded, kError, kRenegotiate, kChange } kind;
    std::string node;  ///< Of an island: one that the graph has.
    Error error;       ///< Its message names who it is about.
    struct Change {
      std::string param;
      std::string text;
      bool is_map = false;
      std::function<void(const Status&)> done;
    } change;
  };
  struct Restart {
    uint32_t attempts = 0;
    MonotonicNs due_ns = 0;
    uint64_t frames_at_failure = 0;
  };

  Engine(const graph::Graph& graph, Options options);

  // scheduler::RunnerEvents, from any thread.
  void OnEnded(scheduler::NodeRunner& runner) override;
  void OnError(scheduler::NodeRunner& runner, scheduler::NodeContext* suspect,
               Error error) override;
  void OnRenegotiate(scheduler::NodeContext& node) override;
  const std::string& NodeOfGraph(const scheduler::NodeRunner& runner) const;
  void Push(Event event);

  void Interrupted();
  void AllocateAndLoop();
  Status Allocate();
  /// Allocates and tries a plan, and solves again without what turned out not to go
  /// together, until an epoch stands.
  Result<std::unique_ptr<Epoch>> MakeEpoch(graph::Plan plan, Epoch* previous);
  void Loop();
  void NoteInterrupts();
  void NoteInterruptsLocked();
  bool WaitEvent(Event* event, MonotonicNs until_ns);
  void Handle(Event event);
  /// `message` names the node already.
  void HandleError(const std::string& name, const std::string& message);
  Status Change(const std::string& node, const Event::Change& change);
  void Tick(MonotonicNs now);
  void CheckFences(MonotonicNs now);
  void CheckStall(MonotonicNs now);
  void ReportProgress(MonotonicNs now);
  void RestartDue(MonotonicNs now);
  Status RestartNode(const std::string& name);
  void Renegotiate(const std::string& name);
  Status RecreateFailed();
  Status NextEpoch(const std::string& name);
  Status RestartDevice(const LiveNode& node);
  Status ReopenLost();
  Status ExchangeReopened();
  bool WaitQuiet(MonotonicNs deadline_ns);
  void PinUnchangeable();
  void FailRun(std::string message);
  void NoteEnd(const scheduler::NodeRunner& runner);
  /// Null: no node of this epoch.
  const scheduler::NodeRunner* RunnerOf(const std::string& name) const;
  bool HasFailed(const std::string& name) const;
  bool HasEnded(const std::string& name) const;
  void Teardown();
  void StopNodes(MonotonicNs deadline_ns);
  void WaitForLeases(MonotonicNs deadline_ns);
  Report MakeReport(double seconds) const;

  const graph::Graph& graph_;
  Options options_;
  media::CopyMeter copies_;
  std::unique_ptr<scheduler::Reactor> reactor_;
  std::unique_ptr<scheduler::WorkerPool> workers_;
  RunState state_;
  std::unique_ptr<NodeSet> nodes_;
  std::unique_ptr<graph::Plan> plan_;  ///< Until it is allocated.
  std::unique_ptr<Epoch> epoch_;
  std::vector<graph::Exclusion> exclusions_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Event> events_;   // guarded by mutex_; emptied as a whole: it keeps its room
  size_t next_event_ = 0;       // guarded by mutex_
  int interrupts_ = 0;          // guarded by mutex_
  int handled_interrupts_ = 0;  // guarded by mutex_

  // The control loop's own.
  std::map<std::string, Restart> restarts_;
  /// Domains in the place of lost ones, from the next epoch on.
  std::map<std::string, std::unique_ptr<domain::Domain>> reopened_;
  std::map<std::string, bool> completed_;  ///< Ended by itself, by node.
  std::vector<std::string> errors_;
  std::vector<std::string> warnings_;
  bool failed_ = false;
  bool draining_ = false;
  bool drain_requested_ = false;
  bool quiescing_ = false;  ///< A renegotiation is under way, or the run is over.
  bool stopping_ = false;
  uint32_t restart_count_ = 0;
  MonotonicNs started_ns_ = 0;
  MonotonicNs last_progress_ns_ = 0;
  uint64_t last_frames_ = 0;
  uint64_t last_activity_ = 0;
  MonotonicNs active_ns_ = 0;
  bool stall_reported_ = false;
};

}  // namespace sluice::runtime
