#include "engine/scheduler/node_runner.h"

#include <algorithm>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "engine/base/log.h"
#include "engine/scheduler/run_group.h"

namespace sluice::scheduler {

class NodeRunner::PoolListener final : public media::FreedListener {
 public:
  explicit PoolListener(NodeRunner* runner)
      : runner_fills_queue_(runner->options_.fills_queue), runner_(runner) {}

  // The pool's mutex orders this: whoever found it empty had set the flag before.
  void OnFreed() override {
    if (runner_fills_queue_) {
      std::lock_guard lock(mutex_);
      if (runner_ != nullptr) runner_->Wake();
      return;
    }
    if (!waiting_.load(std::memory_order_seq_cst) || !waiting_.exchange(false)) return;
    std::lock_guard lock(mutex_);
    if (runner_ != nullptr) runner_->group->Schedule();
  }

  void SetWaiting(bool waiting) {
    waiting_.store(waiting, std::memory_order_seq_cst);
  }
  /// Leases may come home after the runner is gone.
  void Detach() {
    std::lock_guard lock(mutex_);
    runner_ = nullptr;
  }

 private:
  const bool runner_fills_queue_;
  std::atomic<bool> waiting_{false};
  std::mutex mutex_;
  NodeRunner* runner_;  // guarded by mutex_
};

NodeRunner::NodeRunner(Options options)
    : options_(std::move(options)), stats_(options_.members.front().context->stats) {
  size_t inputs = options_.inputs.size();
  input_frames_.resize(inputs);
  sampled_.resize(inputs);
  input_fences_ = std::make_unique<InputFence[]>(inputs);
  for (size_t i = 0; i < inputs; ++i) {
    input_fences_[i].runner = this;
    if (Edge* edge = options_.inputs[i].edge) {
      edge->consumer = this;
      edge->consumer_input = static_cast<uint32_t>(i);
    }
  }
  output_frames_.resize(options_.outputs.size());
  if (options_.island == nullptr) FindLead();
  output_fences_.resize(options_.outputs.size());
  for (Output& output : options_.outputs) {
    for (Edge* edge : output.edges) edge->producer = this;
    listeners_.push_back(MakeRef<PoolListener>(this));
    if (output.pool) output.pool->SetFreedListener(listeners_.back());
  }
  renegotiating_ = std::make_unique<std::atomic<bool>[]>(options_.members.size());
  if (options_.island == nullptr) return;
  for (const Member& member : options_.members) {
    if (!member.is_source) continue;
    sources_.resize(options_.members.size());
    sources_[&member - options_.members.data()].outputs.resize(member.ports_out);
  }
}

NodeRunner::~NodeRunner() {
  for (size_t i = 0; i < options_.inputs.size(); ++i) {
    InputFence& waiter = input_fences_[i];
    if (waiter.pending.load() && waiter.fence.timeline->Unsubscribe(&waiter)) {
      waiter.pending.store(false);
    }
    // Being told right now: of this point, or, where it has just been subscribed again, still of
    // the last one.
    while (waiter.pending.load() || waiter.telling.load(std::memory_order_acquire) != 0) {
      std::this_thread::yield();
    }
  }
  for (auto& listener : listeners_) listener->Detach();
  for (media::Frame* frame : sampled_) {
    if (frame != nullptr) frame->Release();
  }
  ReturnReserved();
}

NodeRunner::Fired NodeRunner::NotFired(Waiting why, uint32_t port) {
  waiting_.store(why, std::memory_order_relaxed);
  waiting_port_.store(port, std::memory_order_relaxed);
  return Fired::kNo;
}

NodeRunner::Fired NodeRunner::TryFire(MonotonicNs now_ns) {
  State state = state_.load(std::memory_order_acquire);
  const bool at_work = async_pending_.load(std::memory_order_relaxed) &&
                       !async_done_.load(std::memory_order_acquire);
  if (fault_.load(std::memory_order_relaxed) && !at_work) return HandleFault(state);
  if (state == State::kFailed && end_requested_.load(std::memory_order_relaxed)) {
    End();  // a restart is no longer waited for
    return Fired::kYes;
  }
  if (state == State::kFailed && discards_.load(std::memory_order_acquire)) return DiscardInputs();
  if (state >= State::kEnded) return Fired::kNo;
  if (async_pending_.load(std::memory_order_relaxed)) {
    if (!async_done_.load(std::memory_order_acquire)) return NotFired(Waiting::kAsync, 0);
    return FinishAsync();
  }
  // Only now: until an invocation is finished its own thread may be emitting.
  now_ns_ = now_ns;
  if (held_.load(std::memory_order_relaxed)) return NotFired(Waiting::kHeld, 0);
  bool end = source() && end_requested_.load(std::memory_order_relaxed);
  bool unheard = state == State::kRunning && AllOutputsClosed();
  // A node in the middle may have something of its own to finish: a file, say.
  if (unheard && !source()) return StartDrain();
  if (end || unheard) {
    End();
    return Fired::kYes;
  }
  if (needs_wake_ && !woken_.exchange(false, std::memory_order_acq_rel)) {
    return NotFired(Waiting::kWake, 0);
  }
  needs_wake_ = false;
  bool takes_input = state == State::kRunning && !options_.inputs.empty();
  if (takes_input) {
    Fired outcome = Fired::kNo;
    takes_input = InputsReady(&outcome);
    // Woken without input: there is something to do beside it.
    const bool beside = outcome == Fired::kNo && options_.island == nullptr &&
                        woken_.load(std::memory_order_acquire);
    if (!takes_input && !beside) return outcome;
  }
  if (!Reserve()) return Fired::kNo;
  if (Fired outcome = Fired::kNo; !sources_.empty() && !AskSources(&outcome)) return outcome;
  if (takes_input) {
    TakeInputs();
  } else {
    std::fill(input_frames_.begin(), input_frames_.end(), nullptr);
  }
  // An exchange, so that a wake that comes meanwhile is not overwritten.
  if (!source()) woken_.exchange(false, std::memory_order_acq_rel);
  waiting_.store(Waiting::kNothing, std::memory_order_relaxed);
  stats_.fired.Add(1);
  return options_.island != nullptr ? FireIsland() : FireNode();
}

bool NodeRunner::Fires(const std::string& node) const {
  return std::any_of(options_.members.begin(), options_.members.end(),
                     [&](const Member& member) { return member.context->name() == node; });
}

bool NodeRunner::AllOutputsClosed() const {
  // A sink inside an island goes on by itself.
  for (const Member& member : options_.members) {
    if (member.is_sink) return false;
  }
  // An optional output that nobody is connected to does not make a node useless.
  bool any = false;
  for (const Output& output : options_.outputs) {
    for (const Edge* edge : output.edges) {
      if (!edge->closed()) return false;
      any = true;
    }
  }
  return any;
}

// ---- inputs

bool NodeRunner::InputsReady(Fired* outcome) {
  for (size_t i = 0; i < options_.inputs.size(); ++i) {
    const Input& input = options_.inputs[i];
    Edge* edge = input.edge;
    if (edge == nullptr) continue;
    const bool sampled = input.sampled;
    if (sampled) TakeSampled(i);
    media::Frame* front = edge->Front();
    if (front == nullptr) {
      // Ended is read first: a frame pushed before the end must still be seen.
      bool ended = edge->ended();
      if (ended && edge->Front() == nullptr) {
        if (sampled && !input.end_on_any && sampled_[i] != nullptr) continue;
        *outcome = StartDrain();
        return false;
      }
      if (sampled && sampled_[i] != nullptr) continue;
      if (!ended && edge->WaitForFrame()) {
        *outcome = NotFired(Waiting::kInput, static_cast<uint32_t>(i));
        return false;
      }
      front = edge->Front();
      if (front == nullptr) {
        *outcome = Fired::kYes;  // it ended just now: look again
        return false;
      }
    }
    if (sampled) {
      if (sampled_[i] == nullptr) TakeSampled(i);
      if (sampled_[i] != nullptr) continue;
      *outcome = Fired::kNo;  // its fence, or the drop of a failed one, schedules us
      return false;
    }
    if (input.waits ? !FenceReady(i, *front) : DropIfFailed(i, *front)) {
      *outcome = Fired::kNo;
      return false;
    }
  }
  return true;
}

/// An island's members are counted by CountIsland().
void NodeRunner::FindLead() {
  const auto has_edges = [](const Output& output) { return !output.edges.empty(); };
  const auto has_edge = [](const Input& input) { return input.edge != nullptr; };
  const auto& outputs = options_.outputs;
  const auto output = std::find_if(outputs.begin(), outputs.end(), has_edges);
  if (output != outputs.end()) {
    lead_output_ = static_cast<size_t>(output - outputs.begin());
    return;
  }
  const auto& inputs = options_.inputs;
  const auto input = std::find_if(inputs.begin(), inputs.end(), has_edge);
  if (input != inputs.end()) lead_input_ = static_cast<size_t>(input - inputs.begin());
}

void NodeRunner::CountIn(size_t input) {
  NodeStats& stats = StatsOf(options_.inputs[input].member);
  stats.frames_in.Add(1);
  if (input == lead_input_) stats.rate.Tick();
}

void NodeRunner::TakeInputs() {
  for (size_t i = 0; i < options_.inputs.size(); ++i) {
    const Input& input = options_.inputs[i];
    Edge* edge = input.edge;
    input_frames_[i] = nullptr;
    if (edge == nullptr) continue;
    if (input.sampled) {
      media::Frame& sample = *sampled_[i];
      input_frames_[i] = sample.pool().Share(sample, sample.holder(), now_ns_);
      continue;
    }
    bool wake = false;
    media::Frame* frame = edge->Pop(&wake);
    input_frames_[i] = frame;
    CountIn(i);
    if (wake) edge->producer->group->Schedule();
    if (frame != nullptr && !input.waits) WatchFence(edge, *frame);
    if (frame != nullptr && frame->born_ns() != 0) {
      edge->stats().latency.Record(Clock::Real().Now() - frame->since_ns());
    }
  }
}

/// Keeps the newest frame of a sampled input, once it may be read.
void NodeRunner::TakeSampled(size_t input) {
  Edge* edge = options_.inputs[input].edge;
  while (media::Frame* front = edge->Front()) {
    if (options_.inputs[input].waits && !FenceReady(input, *front)) return;
    bool wake = false;
    media::Frame* frame = edge->Pop(&wake);
    if (wake) edge->producer->group->Schedule();
    CountIn(input);
    if (sampled_[input] != nullptr) {
      sampled_[input]->Release();
      edge->stats().superseded.Add(1);
    }
    sampled_[input] = frame;
  }
}

// ---- reservation: all or none

bool NodeRunner::Reserve() {
  for (size_t i = 0; i < options_.outputs.size(); ++i) {
    if (!ReserveRoom(options_.outputs[i], static_cast<uint32_t>(i))) return false;
  }
  for (size_t i = 0; i < options_.outputs.size(); ++i) {
    if (ReserveBuffer(i)) continue;
    ReturnReserved();
    NotFired(Waiting::kBuffer, static_cast<uint32_t>(i));
    return false;
  }
  return true;
}

bool NodeRunner::ReserveRoom(const Output& output, uint32_t port) {
  for (Edge* edge : output.edges) {
    if (edge->options().queue.when_full != graph::WhenFull::kBlock || edge->closed()) continue;
    if (edge->Full() && edge->WaitForRoom()) {
      NotFired(Waiting::kRoom, port);
      return false;
    }
  }
  return true;
}

bool NodeRunner::ReserveBuffer(size_t port) {
  Output& output = options_.outputs[port];
  if (!output.pool || output.edges.empty()) return true;
  if (output.dynamic && options_.fills_queue) return true;
  auto attempt = [&] {
    if (output.dynamic) return output.pool->ReserveCovered();
    output_frames_[port] = output.pool->TryAcquire(now_ns_);
    return output_frames_[port] != nullptr;
  };
  if (attempt()) return true;
  listeners_[port]->SetWaiting(true);
  if (!attempt()) return false;
  listeners_[port]->SetWaiting(false);
  return true;
}

void NodeRunner::ReturnReserved() {
  for (media::Frame*& frame : output_frames_) {
    if (frame != nullptr) std::exchange(frame, nullptr)->Release();
  }
}

// ---- firing

/// Short runs are measured whole: the first firings cost a clock reading each.
uint32_t NodeRunner::NextSample() const {
  constexpr uint64_t kAllOfTheFirst = 128;
  return stats_.fired.value() < kAllOfTheFirst ? 0 : options_.sample_every - 1;
}

NodeRunner::Fired NodeRunner::FireNode() {
  bool draining = state_.load(std::memory_order_relaxed) == State::kDraining;
  if (draining) std::fill(input_frames_.begin(), input_frames_.end(), nullptr);
  born_ns_ = 0;
  for (media::Frame* frame : input_frames_) {
    if (frame != nullptr && born_ns_ == 0) born_ns_ = frame->born_ns();
  }
  invocation_.store(invocation_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  sluice_invocation invocation{};
  invocation.id = invocation_.load(std::memory_order_relaxed);
  invocation.input_count = static_cast<uint32_t>(input_frames_.size());
  invocation.output_count = static_cast<uint32_t>(output_frames_.size());
  invocation.inputs = reinterpret_cast<sluice_frame* const*>(input_frames_.data());
  invocation.outputs = reinterpret_cast<sluice_frame* const*>(output_frames_.data());
  invocation.flags = draining ? SLUICE_INVOCATION_DRAINING : 0;

  async_done_.store(false, std::memory_order_relaxed);
  bool sample = until_sample_-- == 0;
  if (!sample) {
    HandleResult(options_.members.front().instance->Process(invocation));
    return Fired::kYes;
  }
  until_sample_ = NextSample();
  MonotonicNs begin = Clock::Real().Now();
  if (source()) born_ns_ = begin;
  int32_t result = options_.members.front().instance->Process(invocation);
  MonotonicNs end = Clock::Real().Now();
  stats_.process_ns.Record(end - begin);
  HandleResult(result);
  return Fired::kYes;
}

NodeRunner::Fired NodeRunner::FinishAsync() {
  async_pending_.store(false, std::memory_order_relaxed);
  async_done_.store(false, std::memory_order_relaxed);
  HandleResult(async_result_.load(std::memory_order_relaxed));
  return Fired::kYes;
}

void NodeRunner::HandleResult(int32_t result) {
  if (result == SLUICE_PROCESS_ASYNC) {
    async_pending_.store(true, std::memory_order_release);
    return;
  }
  ReturnReserved();
  if (options_.outputs.empty() && born_ns_ != 0) {
    stats_.latency_ns.Record(Clock::Real().Now() - born_ns_);
  }
  if (result == SLUICE_PROCESS_DONE) return;
  if (result == SLUICE_PROCESS_NEED_MORE) {
    needs_wake_ = source() || state_.load(std::memory_order_relaxed) == State::kDraining;
  } else if (result == SLUICE_PROCESS_END) {
    completed_.store(true, std::memory_order_release);
    End();
  } else {
    HandleError(static_cast<Code>(result < 0 ? result : SLUICE_E_INTERNAL), "process() failed");
  }
}

void NodeRunner::HandleError(Code code, std::string_view fallback) {
  state_.store(State::kFailed, std::memory_order_release);
  for (const Member& member : options_.members) {
    auto said = member.context->TakeError();
    if (!said) continue;
    options_.events->OnError(*this, member.context, std::move(*said));
    return;
  }
  options_.events->OnError(*this, nullptr, {code, std::string(fallback)});
}

NodeRunner::Fired NodeRunner::StartDrain() {
  for (const Input& input : options_.inputs) {
    Edge* edge = input.edge;
    if (edge != nullptr && !edge->ended() && edge->Close()) edge->producer->group->Schedule();
  }
  if (options_.island != nullptr || !options_.members.front().instance->HasDrain()) {
    completed_.store(true, std::memory_order_release);
    End();
    return Fired::kYes;
  }
  int32_t result = options_.members.front().instance->Drain();
  if (result < 0) {
    HandleError(static_cast<Code>(result), "drain() failed");
  } else {
    state_.store(State::kDraining, std::memory_order_release);
  }
  return Fired::kYes;
}

void NodeRunner::End() {
  state_.store(State::kEnded, std::memory_order_release);
  waiting_.store(Waiting::kEnded, std::memory_order_relaxed);
  for (const Input& input : options_.inputs) {
    if (input.edge != nullptr && input.edge->Close()) input.edge->producer->group->Schedule();
  }
  for (Output& output : options_.outputs) {
    for (Edge* edge : output.edges) {
      if (edge->End()) edge->consumer->group->Schedule();
    }
  }
  options_.events->OnEnded(*this);
}

// ---- what the node asks for

media::Frame* NodeRunner::TakeReserved(media::Frame* frame) {
  for (media::Frame*& reserved : output_frames_) {
    if (reserved == frame) reserved = nullptr;
  }
  return frame;
}

int32_t NodeRunner::Emit(uint32_t output, media::Frame* frame, sync::Fence fence) {
  // The domain emits, and what an island has reserved goes to it.
  if (options_.island != nullptr) {
    const bool reserved =
        std::find(output_frames_.begin(), output_frames_.end(), frame) != output_frames_.end();
    if (!reserved) frame->Release();
    return SLUICE_E_INVALID_ARGUMENT;
  }
  std::unique_lock lock(emit_mutex_, std::defer_lock);
  if (options_.emits_from_threads) lock.lock();  // an edge has one producer
  if (output >= options_.outputs.size()) {
    TakeReserved(frame)->Release();
    return SLUICE_E_INVALID_ARGUMENT;
  }
  // Holders are known by their number in the net's own pool.
  const auto& carries = options_.outputs[output].carries;
  if (carries && &frame->pool() != carries.get()) {
    TakeReserved(frame)->Release();
    return SLUICE_E_INVALID_ARGUMENT;
  }
  // Of a pool of its own: what it has emitted already is another's.
  if (options_.outputs[output].pool && frame->holder() != media::kProducer) {
    const uint32_t member = options_.outputs[output].member;
    Log(LogLevel::kError, options_.members[member].context->name(),
        "it emitted a frame a second time");
    return SLUICE_E_INVALID_ARGUMENT;
  }
  if (frame->writing()) {
    TakeReserved(frame);
    frame->Publish(std::move(fence), frame->born_ns() != 0 ? 0 : born_ns_);
  }
  Send(options_.outputs[output], frame);
  return SLUICE_OK;
}

void NodeRunner::Send(Output& output, media::Frame* frame) {
  NodeStats& stats = StatsOf(output.member);
  stats.frames_out.Add(1);
  if (static_cast<size_t>(&output - options_.outputs.data()) == lead_output_) stats.rate.Tick();
  size_t count = output.edges.size();
  if (count == 0) {
    frame->Release();
    return;
  }
  for (size_t i = 0; i < count; ++i) {
    Edge* edge = output.edges[i];
    media::Frame* lease = frame;
    if (i + 1 < count) {
      lease = frame->pool().Share(*frame, edge->holder, now_ns_);
      if (lease == nullptr) {
        options_.members[output.member].context->CountDrop(
            "", 1, "no lease was left for " + edge->stats().name);
        continue;
      }
    } else {
      frame->HandOver(edge->holder, now_ns_);
    }
    if (edge->Push(lease)) edge->consumer->group->Schedule();
  }
}

int32_t NodeRunner::Acquire(uint32_t output, media::Frame** out) {
  if (output >= options_.outputs.size() || !options_.outputs[output].pool ||
      options_.island != nullptr) {
    return SLUICE_E_INVALID_ARGUMENT;
  }
  *out = options_.outputs[output].pool->TryAcquire(Clock::Real().Now());
  return *out != nullptr ? SLUICE_OK : SLUICE_E_WOULD_BLOCK;
}

int32_t NodeRunner::AcquireBuffer(uint32_t output, uint32_t index, media::Frame** out) {
  if (output >= options_.outputs.size() || !options_.outputs[output].dynamic) {
    return SLUICE_E_INVALID_ARGUMENT;
  }
  const RefPtr<media::BufferPool>& pool = options_.outputs[output].pool;
  if (!pool || index >= pool->size()) return SLUICE_E_INVALID_ARGUMENT;
  *out = pool->TryAcquireBuffer(index, Clock::Real().Now());
  return *out != nullptr ? SLUICE_OK : SLUICE_E_WOULD_BLOCK;
}

int32_t NodeRunner::IsFree(uint32_t output, uint32_t index) const {
  if (output >= options_.outputs.size()) return SLUICE_E_INVALID_ARGUMENT;
  const RefPtr<media::BufferPool>& pool = options_.outputs[output].pool;
  if (!pool || index >= pool->size()) return SLUICE_E_INVALID_ARGUMENT;
  return pool->IsFree(index) ? 1 : 0;
}

void NodeRunner::Complete(uint64_t invocation, int32_t result) {
  if (invocation != invocation_.load(std::memory_order_relaxed)) return;
  async_result_.store(result, std::memory_order_relaxed);
  async_done_.store(true, std::memory_order_release);
  group->Schedule();
}

void NodeRunner::Wake() {
  woken_.store(true, std::memory_order_release);
  group->Schedule();
}

size_t NodeRunner::MemberOf(const NodeContext& node) const {
  size_t member = 0;
  while (options_.members[member].context != &node) ++member;
  return member;
}

int32_t NodeRunner::RequestRenegotiate(NodeContext& node, uint32_t output) {
  const Member& asker = options_.members[MemberOf(node)];
  return output < asker.ports_out ? Renegotiate(node) : SLUICE_E_INVALID_ARGUMENT;
}

int32_t NodeRunner::RequestRenegotiateInput(NodeContext& node, uint32_t input) {
  const Member& asker = options_.members[MemberOf(node)];
  return input < asker.ports_in ? Renegotiate(node) : SLUICE_E_INVALID_ARGUMENT;
}

int32_t NodeRunner::Renegotiate(NodeContext& node) {
  if (renegotiating_[MemberOf(node)].exchange(true)) return SLUICE_OK;
  // What is under way to a node in the middle has to go somewhere: it takes it, and keeps it.
  if (source()) held_.store(true);
  options_.events->OnRenegotiate(node);
  return SLUICE_OK;
}

// ---- what the controller asks for

void NodeRunner::RequestEnd() {
  end_requested_.store(true);
  group->Schedule();
}

void NodeRunner::DiscardInputsOnceFailed() {
  discards_.store(true, std::memory_order_release);
  group->Schedule();
}

/// Nobody will take them: what waits for the edges to be empty would wait for ever.
NodeRunner::Fired NodeRunner::DiscardInputs() {
  Fired fired = Fired::kNo;
  for (const Input& input : options_.inputs) {
    Edge* edge = input.edge;
    if (edge == nullptr) continue;
    bool wake = false;
    while (media::Frame* frame = edge->Pop(&wake)) {
      frame->Release();
      fired = Fired::kYes;
    }
    if (wake) edge->producer->group->Schedule();
  }
  return fired;
}

void NodeRunner::SetHeld(bool held) {
  held_.store(held);
  if (!held) group->Schedule();
}

void NodeRunner::Recover(plugin::NodeInstance* instance) {
  if (options_.island == nullptr) options_.members.front().instance = instance;
  for (SourceState& source : sources_) source.asked = false;
  ReturnReserved();
  async_pending_.store(false);
  async_done_.store(false);
  needs_wake_ = false;
  state_.store(State::kRunning, std::memory_order_release);
  group->Schedule();
}

}  // namespace sluice::scheduler
