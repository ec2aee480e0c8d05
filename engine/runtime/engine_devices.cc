// How a running graph gets another device in the place of one that is lost.

#include "engine/runtime/engine.h"

#include <utility>

#include <fmt/format.h>

#include "engine/base/log.h"

namespace sluice::runtime {
namespace {

MonotonicNs Now() { return Clock::Real().Now(); }

}  // namespace

/// The restart of a node whose device is lost: everything stands still for an epoch with another
/// one. While there is none, nothing is given up, and the next attempt may find it.
Status Engine::RestartDevice(const LiveNode& node) {
  if (Status opened = ReopenLost(); !opened) {
    return Fail(opened.error().code,
                fmt::format("node '{}': {}", node.name, opened.error().message));
  }
  if (!quiescing_) Renegotiate(node.name);
  return {};
}

Status Engine::ReopenLost() {
  for (const auto& [id, domain] : nodes_->domains()) {
    if (reopened_.contains(id) || !domain->IsLost()) continue;
    const std::string& lost = domain->info().device_name;
    auto fresh = nodes_->OpenAgain(id);
    if (!fresh) {
      return Fail(fresh.error().code, fmt::format("{} is lost, and there is no other device: {}",
                                                  lost, fresh.error().message));
    }
    Log(LogLevel::kWarning, "run", "{} is lost; the graph goes on with {}", lost,
        (*fresh)->info().device_name);
    reopened_.emplace(id, std::move(*fresh));
  }
  return {};
}

/// Between two epochs: no island of the old device is left.
Status Engine::ExchangeReopened() {
  for (auto& [id, fresh] : std::exchange(reopened_, {})) {
    const domain::Domain* lost = nodes_->domains().at(id).get();
    for (const auto& node : nodes_->nodes()) {
      if (node->domain != lost || !node->instance) continue;
      node->instance->Stop(Now() + options_.stop_limit_ns, false);
      node->instance = nullptr;
    }
    SLUICE_RETURN_IF_ERROR(nodes_->ExchangeDomain(id, std::move(fresh)));
  }
  return {};
}

}  // namespace sluice::runtime
