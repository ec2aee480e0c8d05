// What a run has to tell when it is over.

#include "engine/runtime/engine.h"

#include <algorithm>

#include <fmt/format.h>

namespace sluice::runtime {
namespace {

LatencyReport Summarise(const scheduler::Histogram& histogram) {
  return {histogram.count(), histogram.Quantile(0.5), histogram.Quantile(0.99)};
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
    const scheduler::NodeStats& stats = node->context->stats;
    NodeReport out;
    out.name = node->name;
    out.type = node->type->id;
    out.inserted = graph_.FindNode(node->name) == nullptr;
    out.ended = completed_.contains(node->name);
    out.frames_in = stats.frames_in.value();
    out.frames_out = stats.frames_out.value();
    out.fps = static_cast<double>(std::max(out.frames_in, out.frames_out)) / std::max(seconds, 1e-9);
    out.process = Summarise(stats.process_ns);
    out.end_to_end = Summarise(stats.latency_ns);
    out.drops = node->context->drops();
    out.notes = node->context->notes();
    report.nodes.push_back(std::move(out));
  }
  for (const auto& [name, stats] : state_.edges) {
    EdgeReport out;
    out.name = name;
    out.frames = stats->passed.value();
    auto drop = [&](const char* reason, uint64_t count) {
      if (count != 0) out.drops[reason] = count;
    };
    drop("queue full, oldest dropped", stats->dropped_oldest.value());
    drop("queue full, newest dropped", stats->dropped_newest.value());
    drop("acquire fence failed", stats->dropped_failed.value());
    drop("emitted beyond its reservation", stats->dropped_overrun.value());
    drop("consumer had ended", stats->dropped_closed.load());
    drop("superseded by a newer sample", stats->superseded.value());
    out.queued = Summarise(stats->latency);
    out.peak_queue = stats->peak.load();
    report.edges.push_back(std::move(out));
  }
  report.pools = state_.pools.Reports();
  report.copies = copies_.Rows();
  report.bytes_copied = copies_.TotalBytes();
  return report;
}

}  // namespace sluice::runtime
