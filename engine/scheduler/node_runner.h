#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/domain/domain.h"
#include "engine/graph/node_type.h"
#include "engine/media/buffer_pool.h"
#include "engine/plugin/node_instance.h"
#include "engine/scheduler/edge.h"
#include "engine/scheduler/node_context.h"

namespace sluice::scheduler {

class RunGroup;

/// Why a node does not run, for stall reports.
enum class Waiting : uint8_t {
  kNothing,
  kInput,      ///< No frame on an input.
  kRoom,       ///< An edge downstream is full.
  kBuffer,     ///< No buffer of an output's pool is free.
  kFence,      ///< An input's acquire fence.
  kAsync,      ///< complete() of an invocation.
  kWake,       ///< wake() or a timer of its own.
  kHeld,       ///< The engine: a renegotiation or a restart.
  kEnded,
};

/// What a runner reports to whoever controls the graph. Threads: [thread-safe].
class RunnerEvents {
 public:
  virtual ~RunnerEvents() = default;
  virtual void OnEnded(class NodeRunner& runner) = 0;
  /// `suspect`: the node of the runner that said what is wrong; null if none did.
  virtual void OnError(class NodeRunner& runner, NodeContext* suspect, Error error) = 0;
  virtual void OnRenegotiate(NodeContext& node) = 0;
};

/// One node (or one island) in one epoch: decides whether it may fire, and fires
/// it. Runs inside its run group; Emit, Acquire, Complete and Wake may come from
/// other threads as their callers' tags allow.
class NodeRunner {
 public:
  /// A node that this runner fires: one, or all of an island.
  struct Member {
    NodeContext* context = nullptr;
    plugin::NodeInstance* instance = nullptr;
    uint32_t inner_inputs = 0;  ///< Connected ports without a frame: counted as if they had one.
    uint32_t inner_outputs = 0;
    uint32_t ports_out = 0;     ///< Output ports of its type.
    uint32_t ports_in = 0;
    bool is_sink = false;       ///< Its type has no output.
    bool is_source = false;     ///< Its type has no input.
  };
  struct Input {
    Edge* edge = nullptr;   ///< Null = not connected.
    uint32_t member = 0;
    /// Fires only when the acquire fence has signalled. Else the node takes the fence
    /// along, to its device.
    bool waits = false;
    bool sampled = false;     ///< Under `latest`, not the trigger: the newest frame stays.
    bool end_on_any = false;  ///< A sampled one that ends ends the node.
  };
  struct Output {
    std::vector<Edge*> edges;
    RefPtr<media::BufferPool> pool;     ///< Its own; null: passes through.
    RefPtr<media::BufferPool> carries;  ///< Whose frames leave here; null: not connected.
    bool dynamic = false;
    uint32_t member = 0;
    /// Islands: whose info (pts, sequence, ...) its frames have: that of an input, or
    /// of a source inside (index into `members`).
    uint32_t info_from = 0;
    bool info_from_source = false;
  };
  struct Options {
    std::string name;             ///< "look", or of the island: "look+convert".
    std::vector<Member> members;  ///< At least one; in topological order.
    domain::Island* island = nullptr;  ///< Set: fires by the domain, not by process().
    std::vector<Input> inputs;    ///< By input port; of an island, those at its border.
    std::vector<Output> outputs;  ///< The same.
    /// No input drives it.
    bool source = false;
    bool emits_from_threads = false;   ///< Not only within process().
    /// A live source with buffers in a device's queue: fires without a free one,
    /// and is woken whenever there is one.
    bool fills_queue = false;
    uint32_t sample_every = 16;
    RunnerEvents* events = nullptr;
  };

  explicit NodeRunner(Options options);
  ~NodeRunner();
  NodeRunner(const NodeRunner&) = delete;
  NodeRunner& operator=(const NodeRunner&) = delete;

  enum class Fired { kYes, kNo };
  /// [group] Fires once if it may.
  Fired TryFire(MonotonicNs now_ns);

  // For the node, through its context.
  int32_t Emit(uint32_t output, media::Frame* frame, sync::Fence fence);
  int32_t Acquire(uint32_t output, media::Frame** out);
  int32_t AcquireBuffer(uint32_t output, uint32_t index, media::Frame** out);
  int32_t IsFree(uint32_t output, uint32_t index) const;
  void Complete(uint64_t invocation, int32_t result);
  void Wake();
  int32_t RequestRenegotiate(NodeContext& node, uint32_t output);
  int32_t RequestRenegotiateInput(NodeContext& node, uint32_t input);

  // For the controller; the group is paused unless said.
  /// [thread-safe] A source ends after what it is doing.
  void RequestEnd();
  /// Any node: the run is being ended, so nobody outside need be waited for.
  void EndSoon() {
    for (const Member& member : options_.members) {
      if (member.instance != nullptr) member.instance->EndSoon();
    }
  }
  /// [thread-safe] Does not fire until released.
  void SetHeld(bool held);
  /// [thread-safe] If it has failed or fails, what comes to it is let go of.
  void DiscardInputsOnceFailed();
  /// Back to running after a failure, with the node made anew (not those of an island);
  /// what it was doing is gone.
  void Recover(plugin::NodeInstance* instance);
  /// Ends it for its neighbours, as if it had answered END.
  void End();
  /// [thread-safe] A frame of this node turned out not to exist: it answers for it.
  void ReportFault(Error error);
  /// A wake that nothing has answered yet; asking forgets it.
  bool TakeWake() { return woken_.exchange(false, std::memory_order_acq_rel); }
  bool AsyncPending() const { return async_pending_.load(std::memory_order_acquire); }

  bool ended() const { return state_.load(std::memory_order_acquire) == State::kEnded; }
  bool faulted() const { return fault_.load(std::memory_order_acquire); }
  bool failed() const { return state_.load(std::memory_order_acquire) == State::kFailed; }
  bool source() const { return options_.source; }
  /// Whether process() answered END (rather than the engine ending it).
  bool completed() const { return completed_.load(std::memory_order_acquire); }
  Waiting waiting() const { return waiting_.load(std::memory_order_relaxed); }
  uint32_t waiting_port() const { return waiting_port_.load(std::memory_order_relaxed); }
  const std::string& name() const { return options_.name; }
  const std::vector<Member>& members() const { return options_.members; }
  bool Fires(const std::string& node) const;
  const Options& options() const { return options_; }
  RunGroup* group = nullptr;

  /// Late acquire fences: who waits since when for whom. [thread-safe]
  struct LateFence {
    std::string signaller;
    MonotonicNs waited_ns = 0;
  };
  std::optional<LateFence> CheckFenceDeadline(MonotonicNs now_ns, MonotonicNs limit_ns);

 private:
  enum class State : uint8_t { kRunning, kDraining, kEnded, kFailed };

  struct InputFence : sync::FenceWaiter {
    InputFence() : FenceWaiter(&NodeRunner::InputFencePassed) {}
    NodeRunner* runner = nullptr;
    std::atomic<bool> pending{false};
    std::atomic<uint32_t> telling{0};
    // For CheckFenceDeadline; guarded by fence_mutex_.
    sync::Fence fence;
    MonotonicNs since_ns = 0;
  };
  /// Told when a pool has a free buffer again; outlives this runner with the pool.
  class PoolListener;

  size_t MemberOf(const NodeContext& node) const;
  int32_t Renegotiate(NodeContext& node);
  std::optional<LateFence> CheckTakenFences(MonotonicNs now_ns, MonotonicNs limit_ns);
  static void InputFencePassed(sync::FenceWaiter* waiter, sync::FenceState state);

  Fired NotFired(Waiting why, uint32_t port);
  Fired HandleFault(State state);
  bool InputsReady(Fired* outcome);
  bool HandleEndedInput(size_t input);
  bool FenceReady(size_t input, media::Frame& frame);
  bool DropIfFailed(size_t input, media::Frame& frame);
  void WatchFence(Edge* edge, const media::Frame& frame);
  void DropFront(size_t input);
  bool Reserve();
  bool ReserveRoom(const Output& output, uint32_t port);
  bool ReserveBuffer(size_t port);
  void ReturnReserved();
  Fired DiscardInputs();
  void FindLead();
  void CountIn(size_t input);
  void TakeInputs();
  void TakeSampled(size_t input);
  bool AllOutputsClosed() const;

  uint32_t NextSample() const;
  Fired FireNode();
  Fired FireIsland();
  bool AskSources(Fired* outcome);
  int32_t AskSource(size_t member);
  void SetInfos();
  void CountIsland();
  Fired FinishAsync();
  void HandleResult(int32_t result);
  void HandleError(Code code, std::string_view fallback);
  NodeStats& StatsOf(uint32_t member) const { return options_.members[member].context->stats; }
  Fired StartDrain();
  media::Frame* TakeReserved(media::Frame* frame);
  void Send(Output& output, media::Frame* frame);

  Options options_;
  NodeStats& stats_;  ///< Of the first member.
  std::atomic<State> state_{State::kRunning};
  std::atomic<Waiting> waiting_{Waiting::kNothing};
  std::atomic<uint32_t> waiting_port_{0};
  std::atomic<bool> held_{false};
  std::atomic<bool> end_requested_{false};
  std::atomic<bool> completed_{false};
  std::atomic<bool> discards_{false};
  std::unique_ptr<std::atomic<bool>[]> renegotiating_;  ///< By member.
  bool needs_wake_ = false;
  std::atomic<bool> woken_{false};
  std::atomic<bool> async_pending_{false};
  std::atomic<bool> async_done_{false};
  std::atomic<int32_t> async_result_{0};
  std::atomic<uint64_t> invocation_{0};
  uint32_t until_sample_ = 0;
  MonotonicNs now_ns_ = 0;
  MonotonicNs born_ns_ = 0;
  /// Whose frames are the node's rate; one of them, or none.
  static constexpr size_t kNoPort = SIZE_MAX;
  size_t lead_output_ = kNoPort;
  size_t lead_input_ = kNoPort;

  std::vector<media::Frame*> input_frames_;
  std::vector<media::Frame*> output_frames_;
  std::vector<media::Frame*> sampled_;
  std::vector<sync::Fence> output_fences_;
  /// Sources inside an island: what they said of the frame to come. `asked`: answered
  /// DONE for a firing that has not come yet.
  struct SourceState {
    bool asked = false;
    media::FrameInfo info;
    std::vector<media::Frame*> outputs;
  };
  std::vector<SourceState> sources_;  ///< By member; empty without any.
  std::unique_ptr<InputFence[]> input_fences_;
  std::vector<RefPtr<PoolListener>> listeners_;
  /// A fence that a device waits for: nobody here does, but somebody must see that it is late.
  struct TakenFence {
    Edge* edge;
    sync::Fence fence;
    MonotonicNs since_ns;
  };
  std::mutex fence_mutex_;
  std::vector<TakenFence> taken_fences_;  // guarded by fence_mutex_
  std::mutex emit_mutex_;
  std::atomic<bool> fault_{false};
  Error fault_error_;  // guarded by fence_mutex_
};

}  // namespace sluice::scheduler
