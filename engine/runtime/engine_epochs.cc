// How a running graph gets to its next epoch: it comes to rest, and goes on with another plan.

#include "engine/runtime/engine.h"

#include <utility>

#include <fmt/format.h>

#include "engine/base/log.h"

namespace sluice::runtime {
namespace {

constexpr MonotonicNs kQuietPollNs = 1'000'000;

MonotonicNs Now() { return Clock::Real().Now(); }

}  // namespace

bool Engine::WaitQuiet(MonotonicNs deadline_ns) {
  while (!epoch_->scheduler().Quiet()) {
    MonotonicNs now = Now();
    if (now >= deadline_ns || failed_ || stopping_) return false;
    Event event;
    if (WaitEvent(&event, now + kQuietPollNs)) Handle(std::move(event));
    RestartDue(now);
  }
  return true;
}

void Engine::Renegotiate(const std::string& name) {
  quiescing_ = true;
  for (const auto& runner : epoch_->scheduler().runners()) {
    if (runner->source()) runner->SetHeld(true);
    runner->DiscardInputsOnceFailed();
    if (!runner->failed()) runner->EndSoon();
  }
  if (!WaitQuiet(Now() + options_.stop_limit_ns)) {
    if (!failed_ && !stopping_) {
      FailRun(fmt::format("node '{}' {}, but the frames under way did not come to rest: {}", name,
                          reopened_.empty() ? "asked for new formats" : "has another device",
                          epoch_->scheduler().DescribeStall()));
    }
    return;
  }
  Event event;
  while (WaitEvent(&event, 0)) Handle(std::move(event));
  if (failed_ || stopping_) return;
  if (Status done = NextEpoch(name); !done) FailRun(done.error().message);
  quiescing_ = false;
}

/// Ports of active nodes that cannot change keep what they have.
void Engine::PinUnchangeable() {
  for (size_t i = 0; i < epoch_->plan().nodes.size(); ++i) {
    const graph::PlanNode& planned = epoch_->plan().nodes[i];
    LiveNode& node = epoch_->node(i);
    bool ended = epoch_->scheduler().runner(i).ended();
    if (ended) state_.ended.insert(node.name);
    if (!node.instance) continue;
    bool changeable = node.instance->abi()->reconfigure != nullptr || !MustReconfigure(node);
    if (!ended && changeable) continue;
    for (const graph::PlanPort& port : planned.ports) {
      if (!port.net) continue;
      const graph::PortDesc* desc = planned.type->FindPort(port.name);
      nodes_->Pin(planned.name + "." + port.name, desc->offers,
                  epoch_->plan().nets[*port.net].format);
    }
  }
}

/// Nodes that wait for a restart are made anew now: the epoch configures and starts them.
Status Engine::RecreateFailed() {
  for (auto& [name, restart] : restarts_) {
    if (std::exchange(restart.due_ns, 0) == 0) continue;
    LiveNode* node = nodes_->Find(name);
    if (node->domain != nullptr) continue;
    if (node->instance) node->instance->Stop(Now() + options_.stop_limit_ns, false);
    SLUICE_RETURN_IF_ERROR(nodes_->Recreate(*node));
    ++restart_count_;
  }
  return {};
}

Status Engine::NextEpoch(const std::string& name) {
  epoch_->scheduler().Stop();
  for (const auto& [id, domain] : nodes_->domains()) {
    Status idle = domain->WaitIdle(Now() + options_.stop_limit_ns);
    if (!idle && idle.error().code != Code::kDeviceLost) return idle;
  }
  SLUICE_RETURN_IF_ERROR(ReopenLost());
  const bool exchanged = !reopened_.empty();
  epoch_->Stop();
  SLUICE_RETURN_IF_ERROR(ExchangeReopened());
  SLUICE_RETURN_IF_ERROR(RecreateFailed());
  for (const auto& node : nodes_->nodes()) {
    if (state_.ended.contains(node->name) || !node->instance) continue;
    if (node->name == name || node->instance->abi()->reconfigure != nullptr) {
      SLUICE_RETURN_IF_ERROR(nodes_->Probe(*node));
    }
  }
  PinUnchangeable();
  auto plan = nodes_->Solve(epoch_->plan().epoch + 1, exclusions_, state_.ended);
  if (LiveNode* asked = nodes_->Find(name); !plan && asked != nullptr && asked->instance) {
    // What it would like leads nowhere. It may do with less, as when somebody outside only wished.
    Log(LogLevel::kInfo, "run", "what '{}' asks for cannot be had: {}", name,
        plan.error().error.message);
    SLUICE_RETURN_IF_ERROR(nodes_->Probe(*asked));
    plan = nodes_->Solve(epoch_->plan().epoch + 1, exclusions_, state_.ended);
  }
  if (!plan) {
    return Fail(plan.error().error.code,
                fmt::format("node '{}' {}: {}", name,
                            exchanged ? "cannot go on with another device"
                                      : "changed its format in mid-stream",
                            plan.error().error.message));
  }
  auto next = MakeEpoch(std::move(*plan), epoch_.get());
  if (!next) return tl::unexpected(next.error());
  epoch_ = std::move(*next);
  Log(LogLevel::kInfo, "run", "epoch {}: '{}' {}", epoch_->plan().epoch, name,
      exchanged ? "goes on with another device" : "changed its format");
  drain_requested_ = false;
  epoch_->scheduler().Start();
  // It may have kept what it was given meanwhile.
  for (size_t i = 0; i < epoch_->plan().nodes.size(); ++i) {
    if (epoch_->plan().nodes[i].name == name) epoch_->scheduler().runner(i).Wake();
  }
  return {};
}

}  // namespace sluice::runtime
