// What a run has to tell when it is over.

#include "engine/runtime/engine.h"

#include <algorithm>

#include <fmt/format.h>

namespace sluice::runtime {
namespace {

LatencyReport Summarise(const scheduler::Histogram& histogram) {
  return {histogram.count(), histogram.Quantile(0.5), histogram.Quantile(0.99)};
}

NodeReport Describe(const LiveNode& node) {
  const scheduler::NodeStats& stats = node.context->stats;
  return {.name = node.name,
          .type = node.type->id,
          .frames_in = stats.frames_in.value(),
          .frames_out = stats.frames_out.value(),
          .fps = stats.rate.PerSecond(),
          .process = Summarise(stats.process_ns),
          .end_to_end = Summarise(stats.latency_ns),
          .drops = node.context->drops(),
          .notes = node.context->notes()};
}

EdgeReport Describe(const std::string& name, const scheduler::EdgeStats& stats) {
  EdgeReport row;
  row.name = name;
  row.frames = stats.passed.value();
  auto drop = [&](const char* reason, uint64_t count) {
    if (count != 0) row.drops[reason] = count;
  };
  drop("queue full, oldest dropped", stats.dropped_oldest.value());
  drop("queue full, newest dropped", stats.dropped_newest.value());
  drop("acquire fence failed", stats.dropped_failed.value());
  drop("emitted beyond its reservation", stats.dropped_overrun.value());
  drop("consumer had ended", stats.dropped_closed.load());
  drop("superseded by a newer sample", stats.superseded.value());
  row.queued = Summarise(stats.latency);
  row.peak_queue = stats.peak.load();
  return row;
}

}  // namespace

Report Engine::MakeReport(double seconds) const {
  Report report;
  report.graph = graph_.name();
  report.result = failed_ ? "failed" : stopping_ || draining_ ? "stopped" : "done";
  report.errors = errors_;
  report.warnings = warnings_;
  report.seconds = seconds;
  report.epochs = plan_->epoch;
  report.restarts = restart_count_;
  for (const graph::Exclusion& exclusion : plan_->exclusions) {
    report.exclusions.push_back(exclusion.ToString());
  }
  for (const auto& node : nodes_->nodes()) {
    NodeReport row = Describe(*node);
    row.inserted = graph_.FindNode(node->name) == nullptr;
    row.ended = completed_.contains(node->name);
    if (const graph::PlanNode* planned = plan_->FindNode(node->name); planned && planned->island) {
      row.island = plan_->islands[*planned->island].name;
    }
    for (const PassReport& pass : state_.passes) {
      if (std::find(pass.nodes.begin(), pass.nodes.end(), node->name) == pass.nodes.end()) continue;
      row.device_us += pass.mean_us() / static_cast<double>(pass.nodes.size());
    }
    report.nodes.push_back(std::move(row));
  }
  for (const auto& [name, stats] : state_.edges) report.edges.push_back(Describe(name, *stats));
  report.pools = state_.pools.Reports();
  report.passes = state_.passes;
  report.copies = copies_.Rows();
  report.bytes_copied = copies_.TotalBytes();
  return report;
}

}  // namespace sluice::runtime
