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
  }
  if (!WaitQuiet(Now() + options_.stop_limit_ns)) {
    if (!failed_ && !stopping_) {
      FailRun(fmt::format("node '{}' asked for new formats, but the frames under way did not come "
                          "to rest: {}",
                          name, epoch_->scheduler().DescribeStall()));
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
    SLUICE_RETURN_IF_ERROR(domain->WaitIdle(Now() + options_.stop_limit_ns));
  }
  epoch_->Stop();
  SLUICE_RETURN_IF_ERROR(RecreateFailed());
  for (const auto& node : nodes_->nodes()) {
    if (state_.ended.contains(node->name) || !node->instance) continue;
    if (node->name == name || node->instance->abi()->reconfigure != nullptr) {
      SLUICE_RETURN_IF_ERROR(nodes_->Probe(*node));
    }
  }
  PinUnchangeable();
  auto plan = nodes_->Solve(epoch_->plan().epoch + 1, exclusions_);
  if (!plan) {
    return Fail(plan.error().error.code, fmt::format("node '{}' changed its format in mid-stream: {}",
                                                     name, plan.error().error.message));
  }
  auto next = MakeEpoch(std::move(*plan), epoch_.get());
  if (!next) return tl::unexpected(next.error());
  epoch_ = std::move(*next);
  Log(LogLevel::kInfo, "run", "epoch {}: '{}' changed its format", epoch_->plan().epoch, name);
  drain_requested_ = false;
  epoch_->scheduler().Start();
  // It may have kept what it was given meanwhile.
  for (size_t i = 0; i < epoch_->plan().nodes.size(); ++i) {
    if (epoch_->plan().nodes[i].name == name) epoch_->scheduler().runner(i).Wake();
  }
  return {};
}

}  // namespace sluice::runtime
