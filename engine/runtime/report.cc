#include "engine/runtime/report.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/base/text.h"

namespace sluice::runtime {
namespace {

using Json = nlohmann::ordered_json;

Json ToJsonValue(const LatencyReport& latency) {
  if (latency.samples == 0) return nullptr;
  return {{"samples", latency.samples}, {"p50_ns", latency.p50_ns}, {"p99_ns", latency.p99_ns}};
}

std::string Duration(int64_t ns) {
  if (ns < 10'000) return fmt::format("{} ns", ns);
  if (ns < 10'000'000) return fmt::format("{:.0f} us", double(ns) / 1e3);
  return fmt::format("{:.1f} ms", double(ns) / 1e6);
}

std::string Quantiles(const LatencyReport& latency) {
  if (latency.samples == 0) return "-";
  return Duration(latency.p50_ns) + " / " + Duration(latency.p99_ns);
}

std::string Drops(const std::map<std::string, uint64_t>& drops) {
  std::string text;
  for (const auto& [reason, count] : drops) {
    text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", count, reason);
  }
  return text.empty() ? "0" : text;
}

std::string PassTable(const std::vector<PassReport>& passes) {
  if (passes.empty()) return "";
  std::vector<std::vector<std::string>> rows = {
      {"pass on the device", "island", "frames", "mean / min / max"}};
  for (const PassReport& pass : passes) {
    rows.push_back({pass.label, pass.island, std::to_string(pass.frames),
                    fmt::format("{:.1f} us / {:.1f} us / {:.1f} us", pass.mean_us(),
                                static_cast<double>(pass.min_ns) / 1e3,
                                static_cast<double>(pass.max_ns) / 1e3)});
  }
  return "\n" + FormatTable(rows, 2);
}

Json ToJsonValue(const PassReport& pass) {
  return {{"island", pass.island},
          {"label", pass.label},
          {"nodes", pass.nodes},
          {"frames", pass.frames},
          {"mean_us", pass.mean_us()},
          {"min_us", static_cast<double>(pass.min_ns) / 1e3},
          {"max_us", static_cast<double>(pass.max_ns) / 1e3}};
}

}  // namespace

std::string Report::ToTable() const {
  const bool measured = !passes.empty();
  std::vector<std::vector<std::string>> rows = {
      {"node", "type", "in", "out", "fps", "work p50 / p99", "end to end p50 / p99", "dropped"}};
  if (measured) rows[0].insert(rows[0].begin() + 6, "device");
  for (const NodeReport& node : nodes) {
    rows.push_back({node.name, node.type, std::to_string(node.frames_in),
                    std::to_string(node.frames_out), fmt::format("{:.1f}", node.fps),
                    Quantiles(node.process), Quantiles(node.end_to_end), Drops(node.drops)});
    if (!measured) continue;
    rows.back().insert(rows.back().begin() + 6,
                       node.device_us == 0 ? "-" : fmt::format("{:.1f} us", node.device_us));
  }
  std::string text =
      fmt::format("{}: {} after {:.2f} s\n\n{}", graph, result, seconds, FormatTable(rows, 2));
  rows = {{"edge", "frames", "queued p50 / p99", "peak queue", "dropped"}};
  for (const EdgeReport& edge : edges) {
    rows.push_back({edge.name, std::to_string(edge.frames), Quantiles(edge.queued),
                    std::to_string(edge.peak_queue), Drops(edge.drops)});
  }
  text += "\n" + FormatTable(rows, 2);
  rows = {{"pool", "format", "allocator", "buffers", "peak leased"}};
  for (const PoolReport& pool : pools) {
    rows.push_back({epochs > 1 ? fmt::format("{} (epoch {})", pool.name, pool.epoch) : pool.name,
                    pool.format, pool.allocator, std::to_string(pool.buffers),
                    std::to_string(pool.peak_leased)});
  }
  text += "\n" + FormatTable(rows, 2);
  text += PassTable(passes);
  text += fmt::format("\nbytes copied: {}\n", bytes_copied);
  for (const auto& copy : copies) {
    text += fmt::format("  {}: {} in {} frames: {}\n", copy.place, FormatBytes(copy.bytes),
                        copy.frames, copy.reason);
  }
  for (const NodeReport& node : nodes) {
    for (const std::string& note : node.notes)
      text += fmt::format("note: {}: {}\n", node.name, note);
  }
  for (const std::string& excluded : exclusions) text += "excluded: " + excluded + "\n";
  for (const std::string& warning : warnings) text += "warning: " + warning + "\n";
  for (const std::string& error : errors) text += "error: " + error + "\n";
  return text;
}

std::string Report::ToJson() const {
  Json json = {{"graph", graph},          {"result", result},
               {"errors", errors},        {"warnings", warnings},
               {"seconds", seconds},      {"epochs", epochs},
               {"restarts", restarts},    {"bytes_copied", bytes_copied},
               {"exclusions", exclusions}};
  json["nodes"] = Json::array();
  for (const NodeReport& node : nodes) {
    json["nodes"].push_back({{"name", node.name},
                             {"type", node.type},
                             {"inserted", node.inserted},
                             {"ended", node.ended},
                             {"frames_in", node.frames_in},
                             {"frames_out", node.frames_out},
                             {"fps", node.fps},
                             {"process", ToJsonValue(node.process)},
                             {"end_to_end", ToJsonValue(node.end_to_end)},
                             {"drops", node.drops},
                             {"notes", node.notes}});
    Json& row = json["nodes"].back();
    if (!node.island.empty()) row["island"] = node.island;
    if (node.device_us != 0) row["device_us"] = node.device_us;
  }
  json["edges"] = Json::array();
  for (const EdgeReport& edge : edges) {
    json["edges"].push_back({{"name", edge.name},
                             {"frames", edge.frames},
                             {"drops", edge.drops},
                             {"queued", ToJsonValue(edge.queued)},
                             {"peak_queue", edge.peak_queue}});
  }
  json["pools"] = Json::array();
  for (const PoolReport& pool : pools) {
    json["pools"].push_back({{"name", pool.name},
                             {"epoch", pool.epoch},
                             {"format", pool.format},
                             {"allocator", pool.allocator},
                             {"buffers", pool.buffers},
                             {"peak_leased", pool.peak_leased},
                             {"outstanding", pool.outstanding},
                             {"bytes_mapped", pool.bytes_mapped}});
  }
  json["passes"] = Json::array();
  for (const PassReport& pass : passes) json["passes"].push_back(ToJsonValue(pass));
  json["copies"] = Json::array();
  for (const auto& copy : copies) {
    json["copies"].push_back({{"place", copy.place},
                              {"reason", copy.reason},
                              {"frames", copy.frames},
                              {"bytes", copy.bytes}});
  }
  // A file's name in a message need not be UTF-8.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace sluice::runtime
