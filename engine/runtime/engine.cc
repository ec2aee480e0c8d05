#include "engine/runtime/engine.h"

#include <unistd.h>
#include <algorithm>
#include <chrono>
#include <thread>

#include <fmt/format.h>

#include "engine/base/log.h"

namespace sluice::runtime {
namespace {

constexpr MonotonicNs kTickNs = 100'000'000;
constexpr int kMaxExclusions = 16;

MonotonicNs Now() { return Clock::Real().Now(); }

/// In order of preference: the first is there always.
std::vector<graph::EngineAllocator> Describe(
    const std::vector<std::unique_ptr<media::Allocator>>& allocators) {
  constexpr uint32_t kDmabufReluctance = 64;
  std::vector<graph::EngineAllocator> described;
  for (const auto& allocator : allocators) {
    const bool dmabuf = (allocator->views() & media::kViewDmabuf) != 0;
    described.push_back(
        {std::string(allocator->name()), allocator->views(), 0, dmabuf ? kDmabufReluctance : 0});
  }
  return described;
}

double Seconds(MonotonicNs ns) { return static_cast<double>(ns) / 1e9; }

}  // namespace

Engine::Engine(const graph::Graph& graph, Options options)
    : graph_(graph), options_(std::move(options)) {}

Result<std::unique_ptr<Engine>> Engine::Create(const graph::Graph& graph, Options options) {
  std::unique_ptr<Engine> engine(new Engine(graph, std::move(options)));
  auto reactor = scheduler::Reactor::Create();
  if (!reactor) return tl::unexpected(reactor.error());
  engine->reactor_ = std::move(*reactor);
  engine->state_.allocators = media::MakeAllocators();
  engine->state_.fd_waiter = engine->reactor_->fd_waiter();
  Engine* self = engine.get();
  if (self->options_.catch_signals)
    self->reactor_->OnInterrupt([self](int) { self->Interrupted(); });
  NodeSet::Options nodes;
  nodes.types = self->options_.types;
  nodes.loader = self->options_.loader;
  nodes.reactor = self->reactor_.get();
  nodes.copies = &self->copies_;
  nodes.gpu = self->options_.gpu;
  nodes.profile = self->options_.profile;
  nodes.allocators = Describe(self->state_.allocators);
  self->nodes_ = std::make_unique<NodeSet>(graph, nodes);
  return engine;
}

Engine::~Engine() {
  epoch_ = nullptr;
  workers_ = nullptr;
  if (nodes_) state_.pools.ReleaseAll(nodes_->domains());
  nodes_ = nullptr;
  reactor_ = nullptr;  // before what its callbacks lock
}

tl::expected<void, Failure> Engine::Prepare() {
  auto opened = nodes_->Open();
  if (!opened) return opened;
  auto plan = nodes_->Solve(1, exclusions_, {});
  if (!plan) return tl::unexpected(plan.error());
  plan_ = std::make_unique<graph::Plan>(std::move(*plan));
  return {};
}

Status Engine::Rehearse() {
  SLUICE_CHECK(plan_ != nullptr);
  state_.rehearsal = true;
  auto epoch = MakeEpoch(*plan_, nullptr);
  state_.rehearsal = false;
  if (!epoch) return tl::unexpected(epoch.error());
  plan_ = std::make_unique<graph::Plan>((*epoch)->plan());
  *epoch = nullptr;
  state_.pools.Discard(plan_->epoch, nodes_->domains());
  return {};
}

const graph::Plan& Engine::plan() const {
  SLUICE_CHECK(plan_ || epoch_);
  return epoch_ ? epoch_->plan() : *plan_;
}

std::vector<std::pair<std::string, std::string>> Engine::Notes() const {
  std::vector<std::pair<std::string, std::string>> notes;
  for (const auto& node : nodes_->nodes()) {
    for (std::string& note : node->context->notes())
      notes.emplace_back(node->name, std::move(note));
  }
  return notes;
}

// ---- events

void Engine::Push(Event event) {
  std::lock_guard lock(mutex_);
  events_.push_back(std::move(event));
  changed_.notify_one();
}

/// A node of the runner that stands in the graph, not one that the plan inserted.
const std::string& Engine::NodeOfGraph(const scheduler::NodeRunner& runner) const {
  for (const auto& member : runner.members()) {
    if (graph_.FindNode(member.context->name()) != nullptr) return member.context->name();
  }
  return runner.members().front().context->name();
}

void Engine::OnEnded(scheduler::NodeRunner& runner) {
  Push({Event::Kind::kEnded, runner.members().front().context->name(), {}, {}});
}
void Engine::OnError(scheduler::NodeRunner& runner, scheduler::NodeContext* suspect, Error error) {
  const bool one = runner.members().size() == 1;
  error.message =
      suspect != nullptr || one
          ? fmt::format("node '{}': {}", suspect != nullptr ? suspect->name() : runner.name(),
                        error.message)
          : fmt::format("island '{}': {}", runner.name(), error.message);
  Push({Event::Kind::kError, NodeOfGraph(runner), std::move(error), {}});
}
void Engine::OnRenegotiate(scheduler::NodeContext& node) {
  Push({Event::Kind::kRenegotiate, node.name(), {}, {}});
}

/// A third signal is for a node or driver that does not come back: nothing that
/// is waited for may keep the process.
void Engine::Interrupted() {
  Interrupt();
  std::lock_guard lock(mutex_);
  if (interrupts_ >= 3) _exit(130);
}

void Engine::Interrupt() {
  std::lock_guard lock(mutex_);
  ++interrupts_;
  changed_.notify_one();
}

void Engine::NoteInterrupts() {
  std::lock_guard lock(mutex_);
  NoteInterruptsLocked();
}

void Engine::NoteInterruptsLocked() {
  handled_interrupts_ = interrupts_;
  if (interrupts_ == 1) draining_ = true;
  if (interrupts_ > 1) stopping_ = true;
}

bool Engine::WaitEvent(Event* event, MonotonicNs until_ns) {
  std::unique_lock lock(mutex_);
  auto until = std::chrono::steady_clock::time_point(std::chrono::nanoseconds(until_ns));
  changed_.wait_until(lock, until, [&] {
    return next_event_ != events_.size() || interrupts_ != handled_interrupts_;
  });
  NoteInterruptsLocked();
  if (next_event_ == events_.size()) return false;
  *event = std::move(events_[next_event_++]);
  if (next_event_ == events_.size()) {
    events_.clear();
    next_event_ = 0;
  }
  return true;
}

// ---- running

Status Engine::Allocate() {
  auto epoch = MakeEpoch(*plan_, nullptr);
  if (!epoch) return tl::unexpected(epoch.error());
  epoch_ = std::move(*epoch);
  plan_ = nullptr;
  return {};
}

Result<std::unique_ptr<Epoch>> Engine::MakeEpoch(graph::Plan plan, Epoch* previous) {
  const uint32_t number = plan.epoch;
  const size_t known = exclusions_.size();
  std::optional<Error> first;
  for (;;) {
    graph::Exclusion refused;
    auto epoch = Epoch::Create(graph_, std::move(plan), *nodes_, state_, previous, &refused);
    if (epoch) return epoch;
    state_.pools.Discard(number, nodes_->domains());
    if (!first) first = epoch.error();
    if (refused.reason.empty() || exclusions_.size() - known >= kMaxExclusions) {
      return tl::unexpected(epoch.error());
    }
    Log(LogLevel::kInfo, "plan", "{}; the plan is solved again without it", refused.reason);
    exclusions_.push_back(std::move(refused));
    auto next = nodes_->Solve(number, exclusions_, state_.ended);
    // The first refusal says more than that nothing else is left.
    if (!next) return tl::unexpected(*first);
    plan = std::move(*next);
  }
}

Report Engine::Run() {
  SLUICE_CHECK(plan_ != nullptr);
  unsigned processors = std::max(1u, std::thread::hardware_concurrency());
  workers_ = std::make_unique<scheduler::WorkerPool>(options_.workers != 0 ? options_.workers
                                                                           : processors);
  state_.workers = workers_.get();
  state_.events = this;
  state_.sample_every = std::max(options_.sample_every, 1u);
  state_.realtime = graph_.settings().clock == graph::ClockMode::kRealtime;
  state_.overwrite = options_.overwrite;
  state_.poison = options_.poison;
  started_ns_ = last_progress_ns_ = active_ns_ = Now();
  NoteInterrupts();
  stopping_ = stopping_ || draining_;  // interrupted while it was planned
  if (!stopping_) AllocateAndLoop();
  double seconds = Seconds(Now() - started_ns_);
  Teardown();
  return MakeReport(seconds);
}

void Engine::AllocateAndLoop() {
  if (Status allocated = Allocate(); !allocated) {
    FailRun(allocated.error().message);
    return;
  }
  epoch_->scheduler().Start();
  Loop();
}

void Engine::Loop() {
  MonotonicNs next_tick = Now() + kTickNs;
  while (!failed_ && !stopping_ && !epoch_->scheduler().AllEnded()) {
    Event event;
    if (WaitEvent(&event, next_tick)) Handle(std::move(event));
    if (draining_ && !drain_requested_) {
      drain_requested_ = true;
      for (auto& [name, restart] : restarts_) restart.due_ns = 0;
      epoch_->scheduler().RequestDrain();
    }
    MonotonicNs now = Now();
    if (now < next_tick) continue;
    next_tick = now + kTickNs;
    Tick(now);
  }
  // What ended last may have left an error behind.
  quiescing_ = true;
  Event event;
  while (WaitEvent(&event, 0)) Handle(std::move(event));
}

void Engine::Handle(Event event) {
  switch (event.kind) {
    case Event::Kind::kEnded: {
      for (const auto& runner : epoch_->scheduler().runners()) {
        if (runner->Fires(event.node)) NoteEnd(*runner);
      }
      break;
    }
    case Event::Kind::kError:
      HandleError(event.node, event.error.message);
      break;
    // Whoever asks while one is under way is served by it: all are probed again.
    case Event::Kind::kRenegotiate:
      if (!quiescing_) Renegotiate(event.node);
      break;
    case Event::Kind::kChange:
      event.change.done(Change(event.node, event.change));
      break;
  }
}

void Engine::ChangeParam(std::string node, std::string param, std::string text, bool is_map,
                         std::function<void(const Status&)> done) {
  Event event{Event::Kind::kChange, std::move(node), {}, {}};
  event.change = {std::move(param), std::move(text), is_map, std::move(done)};
  Push(std::move(event));
}

/// Changes may come a thousand times a second: one that is in order allocates nothing here.
Status Engine::Change(const std::string& name, const Event::Change& change) {
  LiveNode* node = nodes_->Find(name);
  if (node == nullptr) return Fail(Code::kNotFound, fmt::format("no node '{}'", name));
  const auto refuse = [&](Code code, std::string_view what) {
    return Fail(code, fmt::format("{}.{}{}", name, change.param, what));
  };
  const graph::ParamDesc* desc = node->type->FindParam(change.param);
  if (desc == nullptr) {
    return refuse(Code::kNotFound, fmt::format(": {} has no such parameter", node->type->id));
  }
  if (desc->changeable != graph::Changeable::kRunning) {
    return refuse(Code::kUnsupported, " does not change while the graph runs");
  }
  const bool takes_map = desc->type == graph::ParamType::kMap;
  std::string problem;
  std::optional<graph::ParamValue> value;
  if (change.is_map == takes_map) {
    value = graph::ParseParamValue(*desc, change.text, &problem);
  } else {
    problem = change.is_map ? "is a mapping" : "is not a mapping";
  }
  if (!value) {
    return refuse(Code::kInvalidArgument, fmt::format(": '{}' {}", change.text, problem));
  }
  if (!node->instance) return Fail(Code::kCancelled, fmt::format("'{}' is not there", name));
  const plugin::ParamArgument argument{change.param, *value, true};
  if (Status set = node->instance->SetParam(argument); !set) {
    return tl::unexpected(node->Explain(set.error()));
  }
  // A restart begins with it.
  const auto had = std::find_if(node->params.begin(), node->params.end(),
                                [&](const auto& param) { return param.name == change.param; });
  if (had != node->params.end()) {
    *had = argument;
  } else {
    node->params.push_back(argument);
  }
  return {};
}

/// A node that ended itself stays so, whatever later epochs make of it.
void Engine::NoteEnd(const scheduler::NodeRunner& runner) {
  for (const auto& member : runner.members()) {
    bool& completed = completed_[member.context->name()];
    completed = completed || runner.completed();
  }
}

void Engine::FailRun(std::string message) {
  failed_ = true;
  errors_.push_back(std::move(message));
}

void Engine::HandleError(const std::string& name, const std::string& message) {
  const graph::GraphNode* node = graph_.FindNode(name);
  const bool may_restart = node != nullptr && node->on_error.action != graph::ErrorAction::kStop;
  if (may_restart && HasEnded(name)) {
    // A frame of its failed after it; there is nothing to restart, and nothing that would be lost.
    Log(LogLevel::kWarning, "run", "{}; it has ended already", message);
    warnings_.push_back(message);
    return;
  }
  if (!may_restart || !HasFailed(name)) {
    FailRun(message);
    return;
  }
  Restart& restart = restarts_[name];
  const graph::ErrorPolicy& policy = node->on_error;
  uint64_t frames = nodes_->Find(name)->context->stats.fired.value();
  // Work was done since: the fault is a new one.
  if (frames > restart.frames_at_failure + 1) restart.attempts = 0;
  restart.frames_at_failure = frames;
  if (policy.attempts != 0 && restart.attempts >= policy.attempts) {
    FailRun(fmt::format("{} (given up after {} restarts)", message, restart.attempts));
    return;
  }
  MonotonicNs pause = policy.backoff_ns;
  for (uint32_t i = 0; i < restart.attempts && pause < policy.backoff_max_ns; ++i) pause *= 2;
  restart.due_ns = Now() + std::min(pause, policy.backoff_max_ns);
  ++restart.attempts;
  Log(LogLevel::kWarning, "run", "{}; restart {} in {} ms", message, restart.attempts,
      std::min(pause, policy.backoff_max_ns) / 1'000'000);
  warnings_.push_back(fmt::format("{}; restarted", message));
}

void Engine::Tick(MonotonicNs now) {
  RestartDue(now);
  CheckFences(now);
  state_.pools.Collect(nodes_->domains());
  CheckStall(now);
  ReportProgress(now);
}

const scheduler::NodeRunner* Engine::RunnerOf(const std::string& name) const {
  for (const auto& runner : epoch_->scheduler().runners()) {
    if (runner->Fires(name)) return runner.get();
  }
  return nullptr;
}

bool Engine::HasFailed(const std::string& name) const {
  const scheduler::NodeRunner* runner = RunnerOf(name);
  return runner != nullptr && runner->failed();
}

bool Engine::HasEnded(const std::string& name) const {
  const scheduler::NodeRunner* runner = RunnerOf(name);
  return runner != nullptr && runner->ended();
}

void Engine::RestartDue(MonotonicNs now) {
  for (auto& [name, restart] : restarts_) {
    if (restart.due_ns == 0 || now < restart.due_ns) continue;
    restart.due_ns = 0;
    if (!HasFailed(name)) continue;  // ended, or made anew with its epoch
    if (Status done = RestartNode(name); !done) HandleError(name, done.error().message);
  }
}

Status Engine::RestartNode(const std::string& name) {
  LiveNode* node = nodes_->Find(name);
  const auto& planned = epoch_->plan().nodes;
  for (size_t i = 0; i < planned.size(); ++i) {
    if (planned[i].name != name) continue;
    scheduler::NodeRunner& runner = epoch_->scheduler().runner(i);
    ++restart_count_;
    if (node->domain == nullptr) {
      if (node->instance) node->instance->Stop(Now() + options_.stop_limit_ns, false);
      SLUICE_RETURN_IF_ERROR(nodes_->Recreate(*node));
      // Its buffers died with the instance that made or imported them.
      if (epoch_->HasMemoryOf(*node)) {
        if (!quiescing_) Renegotiate(name);
        return {};
      }
      Status done = node->instance->Configure(epoch_->ArgumentsFor(i));
      if (done) done = node->instance->Start();
      if (!done) return tl::unexpected(node->Explain(done.error()));
    } else if (node->domain->IsLost()) {
      return RestartDevice(*node);
    }
    runner.Recover(node->instance.get());
  }
  return {};
}

void Engine::CheckFences(MonotonicNs now) {
  for (const auto& entry : state_.pools.entries()) {
    const auto& pool = entry.pool;
    for (const auto& verdict : pool->CheckDeadlines(now, options_.fence_limit_ns)) {
      std::string text =
          verdict.failed
              ? fmt::format(
                    "buffer {} of {} is quarantined: {} released it with a fence of {} that "
                    "failed",
                    verdict.buffer.index, pool->options().name, verdict.holder, verdict.signaller)
              : fmt::format(
                    "buffer {} of {} is quarantined: {} released it {:.1f} s ago, but {} has "
                    "not signalled",
                    verdict.buffer.index, pool->options().name, verdict.holder,
                    Seconds(verdict.waited_ns), verdict.signaller);
      Log(LogLevel::kWarning, "fence", "{}", text);
      warnings_.push_back(std::move(text));
    }
  }
  for (const auto& runner : epoch_->scheduler().runners()) {
    auto late = runner->CheckFenceDeadline(now, options_.fence_limit_ns);
    if (!late) continue;
    FailRun(fmt::format("node '{}' waits since {:.1f} s for a frame's fence: {} has not signalled",
                        runner->name(), Seconds(late->waited_ns), late->signaller));
    return;
  }
}

void Engine::CheckStall(MonotonicNs now) {
  scheduler::Scheduler& scheduler = epoch_->scheduler();
  uint64_t activity = scheduler.Activity();
  bool restart_pending = std::any_of(restarts_.begin(), restarts_.end(),
                                     [](const auto& entry) { return entry.second.due_ns != 0; });
  if (activity != last_activity_ || restart_pending) {
    last_activity_ = activity;
    active_ns_ = now;
    stall_reported_ = false;
    return;
  }
  if (now - active_ns_ < options_.stall_limit_ns) return;
  std::string chain = scheduler.DescribeStall();
  if (!scheduler.MayWakeByItself()) {
    FailRun(fmt::format("the graph stands still and nobody can wake it: {}", chain));
    return;
  }
  if (stall_reported_) return;
  stall_reported_ = true;
  Log(LogLevel::kInfo, "run", "nothing has run for {:.1f} s: {}", Seconds(now - active_ns_), chain);
}

void Engine::ReportProgress(MonotonicNs now) {
  if (!options_.progress) return;
  ProgressInfo info;
  info.seconds = Seconds(now - started_ns_);
  for (const auto& node : nodes_->nodes()) {
    info.frames = std::max(info.frames, node->context->stats.frames_in.value());
    info.done = std::max(info.done, node->context->progress_done());
    info.total = std::max(info.total, node->context->progress_total());
  }
  info.fps = static_cast<double>(info.frames - last_frames_) / Seconds(now - last_progress_ns_);
  last_frames_ = info.frames;
  last_progress_ns_ = now;
  options_.progress(info);
}

// ---- the end

void Engine::StopNodes(MonotonicNs deadline_ns) {
  for (const auto& node : nodes_->nodes()) {
    if (!node->instance) continue;
    auto completed = completed_.find(node->name);
    node->instance->Stop(deadline_ns, completed != completed_.end() && completed->second);
  }
}

void Engine::WaitForLeases(MonotonicNs deadline_ns) {
  for (const auto& entry : state_.pools.entries()) {
    const auto& pool = entry.pool;
    while (pool->Outstanding() != 0 && Now() < deadline_ns) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    if (pool->Outstanding() == 0) continue;
    for (const auto& row : pool->Ledger()) {
      if (row.holders.empty()) continue;
      errors_.push_back(fmt::format("buffer {} of {} never came home: held by {}", row.buffer.index,
                                    pool->options().name, fmt::join(row.holders, ", ")));
    }
  }
}

void Engine::Teardown() {
  MonotonicNs deadline = Now() + options_.stop_limit_ns;
  if (epoch_) {
    for (const auto& runner : epoch_->scheduler().runners()) {
      if (runner->ended()) NoteEnd(*runner);
    }
    epoch_->scheduler().Stop();
  }
  StopNodes(deadline);
  if (epoch_) {
    plan_ = std::make_unique<graph::Plan>(epoch_->plan());
    for (const auto& [id, domain] : nodes_->domains()) {
      Status idle = domain->WaitIdle(deadline);
      // A lost device ended the run already, or was not needed any more.
      if (!idle && idle.error().code != Code::kDeviceLost) errors_.push_back(idle.error().message);
    }
    epoch_ = nullptr;
  }
  WaitForLeases(deadline);
  state_.pools.ReleaseAll(nodes_->domains());
}

}  // namespace sluice::runtime
