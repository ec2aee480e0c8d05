#include "engine/graph/plan.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/base/text.h"

namespace sluice::graph {
namespace {

using Json = nlohmann::ordered_json;

std::string DepthText(const PlanNet& net) {
  std::vector<std::string> parts;
  for (const DepthTerm& term : net.depth_terms)
    parts.push_back(fmt::format("{} {}", term.what, term.frames));
  return fmt::format("{} = {}", net.depth, fmt::join(parts, " + "));
}

std::string AlignmentText(const media::Alignment& a) {
  std::vector<std::string> parts;
  auto add = [&parts](std::string_view name, uint32_t value, uint32_t neutral) {
    if (value > neutral) parts.push_back(fmt::format("{} {}", name, value));
  };
  add("width", a.width, 1);
  add("height", a.height, 1);
  add("stride", a.stride, 1);
  add("offset", a.offset, 1);
  add("base", a.base, 1);
  add("size", a.size, 1);
  add("tail", a.tail, 0);
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string QueueText(const PlanEdge& edge) {
  return fmt::format("queue {} {}", edge.queue.depth, WhenFullName(edge.queue.when_full));
}

/// Columns as wide as their widest cell, two blanks between them.
std::string Columns(const std::vector<std::vector<std::string>>& rows, std::string_view indent) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line(indent);
    for (size_t i = 0; i < row.size(); ++i) line += fmt::format("{:<{}}  ", row[i], widths[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

Json ColorJson(const media::Color& color) {
  return {{"primaries", media::Name(color.primaries)},
          {"transfer", media::Name(color.transfer)},
          {"matrix", media::Name(color.matrix)},
          {"range", media::Name(color.range)},
          {"siting", media::Name(color.siting)}};
}

std::string_view AccessName(Access access) { return access == Access::kCpu ? "cpu" : "device"; }

Json NodeJson(const PlanNode& node) {
  Json out = {{"name", node.name}, {"type", node.type->id}};
  if (!node.graph_node) out["inserted"] = node.inserted_reason;
  out["domain"] = node.type->domain;
  if (!node.device.empty()) out["device"] = node.device;
  out["run_group"] = node.run_group;
  if (node.island) out["island"] = *node.island;
  out["latency_frames"] = node.latency_frames;
  Json params = Json::object();
  for (const NodeParam& param : node.params) params[param.name] = param.value.ToString();
  out["params"] = std::move(params);
  Json ports = Json::array();
  for (const PlanPort& port : node.ports) {
    Json entry = {{"name", port.name},
                  {"direction", port.direction == Direction::kInput ? "input" : "output"},
                  {"access", AccessName(port.access)}};
    if (port.net) {
      entry["net"] = *port.net;
      if (port.inner) {
        entry["inner"] = true;
      } else {
        entry["view"] = ViewsToString(port.view);
        entry["hold"] = port.hold;
        entry["retains"] = port.retains;
      }
    }
    ports.push_back(std::move(entry));
  }
  out["ports"] = std::move(ports);
  return out;
}

Json NetJson(const Plan& plan, const PlanNet& net) {
  const media::Format& f = net.format;
  const media::Alignment& a = net.alignment;
  Json out = {{"producer", plan.PortName(net.producer)}};
  out["format"] = {{"fourcc", media::FourccName(f.fourcc)},
                   {"modifier", ModifierToString(f.modifier)},
                   {"width", f.width},
                   {"height", f.height},
                   {"rate", RateToString(f.rate)},
                   {"color", ColorJson(f.color)},
                   {"color_assumed", net.color_assumed != 0},
                   {"size_assumed", net.size_assumed}};
  out["alignment"] = {{"width", a.width},   {"height", a.height}, {"stride", a.stride},
                      {"offset", a.offset}, {"base", a.base},     {"size", a.size},
                      {"tail", a.tail}};
  out["inner"] = net.inner;
  out["buffer_bytes"] = net.buffer_bytes;
  out["edges"] = net.edges;
  if (net.inner) {
    out["island"] = *plan.nodes[net.producer.node].island;
    return out;
  }
  out["views"] = ViewsToString(net.views);
  out["allocator"] = {{"kind", net.allocator_kind == AllocatorKind::kEngine ? "engine" : "port"},
                      {"name", net.allocator}};
  if (!net.device.empty()) out["device"] = net.device;
  out["depth"] = net.depth;
  Json terms = Json::array();
  for (const DepthTerm& term : net.depth_terms) {
    terms.push_back({{"what", term.what}, {"frames", term.frames}});
  }
  out["depth_terms"] = std::move(terms);
  return out;
}

Json EdgeJson(const Plan& plan, const PlanEdge& edge) {
  Json out = {{"from", plan.PortName(edge.from)},
              {"to", plan.PortName(edge.to)},
              {"net", edge.net},
              {"inserted", !edge.graph_edge.has_value()},
              {"inner", edge.inner}};
  if (edge.inner) return out;
  out["queue"] = {{"depth", edge.queue.depth}, {"when_full", WhenFullName(edge.queue.when_full)}};
  out["producer_view"] = ViewsToString(edge.producer_view);
  out["consumer_view"] = ViewsToString(edge.consumer_view);
  out["sync"] = {{"producer", SyncsToString(edge.producer_sync)},
                 {"consumer", SyncsToString(edge.consumer_sync)},
                 {"bridge", SyncBridgeName(edge.bridge)}};
  out["sampled"] = edge.sampled;
  out["hold"] = edge.hold;
  out["require_zero_copy"] = edge.require_zero_copy;
  return out;
}

Json CopiesJson(const Plan& plan) {
  Json out = Json::array();
  for (const PlannedCopy& copy : plan.copies) {
    Json entry = {
        {"where", copy.where}, {"bytes_per_frame", copy.bytes_per_frame}, {"reason", copy.reason}};
    if (copy.edge) entry["edge"] = *copy.edge;
    out.push_back(std::move(entry));
  }
  return out;
}

Json ExclusionsJson(const Plan& plan) {
  Json out = Json::array();
  for (const Exclusion& e : plan.exclusions) {
    Json entry = {{"producer", e.producer}, {"reason", e.reason}};
    if (!e.consumer.empty()) entry["consumer"] = e.consumer;
    if (e.fourcc != 0) entry["fourcc"] = media::FourccName(e.fourcc);
    if (e.modifier) entry["modifier"] = ModifierToString(*e.modifier);
    if (e.view != 0) entry["view"] = ViewsToString(e.view);
    if (!e.allocator.empty()) entry["allocator"] = e.allocator;
    if (e.size.width != 0) entry["size"] = fmt::format("{}x{}", e.size.width, e.size.height);
    out.push_back(std::move(entry));
  }
  return out;
}

std::string DotEscape(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

const PlanIsland& IslandOf(const Plan& plan, PortRef port) {
  return plan.islands[*plan.nodes[port.node].island];
}

std::string IslandLabel(const PlanIsland& island) {
  const size_t passes = island.passes.size();
  if (passes == 0) return "island " + island.domain;
  return fmt::format("island {}, {} {}", island.domain, passes, passes == 1 ? "pass" : "passes");
}

std::string PassTable(const Plan& plan) {
  std::string out;
  for (const PlanIsland& island : plan.islands) {
    if (island.passes.empty()) continue;
    uint64_t read = 0, written = 0;
    std::vector<std::vector<std::string>> rows;
    for (const PlanPass& pass : island.passes) {
      read += pass.bytes_read;
      written += pass.bytes_written;
      rows.push_back({fmt::format("{}.", rows.size() + 1), pass.label,
                      "reads " + FormatBytes(pass.bytes_read),
                      "writes " + FormatBytes(pass.bytes_written),
                      pass.apart.empty() ? "" : "apart: " + pass.apart});
    }
    out += fmt::format("  {} ({}): {} {}, reads {} and writes {} a frame, {} inside\n", island.name,
                       island.domain, island.passes.size(),
                       island.passes.size() == 1 ? "pass" : "passes", FormatBytes(read),
                       FormatBytes(written), FormatBytes(island.inner_bytes));
    out += Columns(rows, "    ");
  }
  return out.empty() ? out : "\nislands:\n" + out;
}

Json IslandJson(const PlanIsland& island) {
  Json out = {{"name", island.name},
              {"domain", island.domain},
              {"device", island.device},
              {"nodes", island.nodes}};
  if (island.passes.empty()) return out;
  out["inner_bytes"] = island.inner_bytes;
  out["passes"] = Json::array();
  for (const PlanPass& pass : island.passes) {
    out["passes"].push_back({{"label", pass.label},
                             {"apart", pass.apart},
                             {"nodes", pass.nodes},
                             {"bytes_read", pass.bytes_read},
                             {"bytes_written", pass.bytes_written}});
  }
  return out;
}

std::string NetTable(const Plan& plan) {
  std::string out;
  for (const PlanNet& net : plan.nets) {
    out += fmt::format("{}: {}\n", plan.PortName(net.producer), media::ToString(net.format));
    if (net.inner) {
      out += fmt::format("  inside the island {}: no pool\n", IslandOf(plan, net.producer).name);
    } else {
      out += fmt::format("  memory: {} ({}), {} buffers of {}\n", net.allocator,
                         ViewsToString(net.views), net.depth,
                         net.buffer_bytes == 0 ? "unknown size" : FormatBytes(net.buffer_bytes));
      out += fmt::format("  depth:  {}\n", DepthText(net));
    }
    if (std::string alignment = AlignmentText(net.alignment); !alignment.empty() && !net.inner) {
      out += fmt::format("  align:  {}\n", alignment);
    }
    std::vector<std::vector<std::string>> rows;
    for (uint32_t index : net.edges) {
      const PlanEdge& edge = plan.edges[index];
      if (edge.inner) {
        rows.push_back({"-> " + plan.PortName(edge.to), "inside the island"});
        continue;
      }
      rows.push_back({"-> " + plan.PortName(edge.to), ViewsToString(edge.consumer_view),
                      std::string(SyncBridgeName(edge.bridge)), QueueText(edge),
                      edge.sampled             ? "sampled"
                      : edge.require_zero_copy ? "zero-copy"
                                               : ""});
    }
    out += Columns(rows, "  ");
  }
  return out;
}

}  // namespace

std::string_view SyncBridgeName(SyncBridge bridge) {
  switch (bridge) {
    case SyncBridge::kNone:
      return "complete";
    case SyncBridge::kDomain:
      return "timeline";
    case SyncBridge::kSyncFile:
      return "sync_file";
    case SyncBridge::kSyncobj:
      return "syncobj";
    case SyncBridge::kImplicit:
      return "implicit";
    case SyncBridge::kImport:
      return "import";
    case SyncBridge::kExport:
      return "export";
    case SyncBridge::kHostSignal:
      return "host-signal";
  }
  return "?";
}

void Plan::SetPasses(uint32_t index, std::vector<PlanPass> passes, uint64_t inner_bytes,
                     double device_bandwidth) {
  PlanIsland& island = islands[index];
  double bytes = 0;
  for (const PlanPass& pass : passes) {
    bytes += static_cast<double>(pass.bytes_read) + static_cast<double>(pass.bytes_written);
  }
  // The border's are reckoned with its pools.
  for (uint32_t n : island.nodes) {
    for (const PlanPort& port : nodes[n].ports) {
      if (port.net && !port.inner) {
        bytes -= static_cast<double>(media::VisibleBytes(nets[*port.net].format));
      }
    }
  }
  cost_us -= island.inner_us;
  island.inner_us = std::max(0.0, bytes) / device_bandwidth * 1e6;
  cost_us += island.inner_us;
  island.passes = std::move(passes);
  island.inner_bytes = inner_bytes;
}

std::string Plan::PortName(PortRef ref) const {
  return nodes[ref.node].name + "." + nodes[ref.node].ports[ref.port].name;
}

const PlanNode* Plan::FindNode(std::string_view name) const {
  for (const PlanNode& node : nodes) {
    if (node.name == name) return &node;
  }
  return nullptr;
}

std::string Plan::ToTable() const {
  std::string out =
      fmt::format("plan {} epoch {} digest {}{}\n\n", graph_name.empty() ? "(unnamed)" : graph_name,
                  epoch, digest, optimal ? "" : " (not proven optimal)");
  out += NetTable(*this);
  std::vector<std::vector<std::string>> rows;
  for (uint32_t index : order) {
    const PlanNode& node = nodes[index];
    std::string where =
        node.island ? fmt::format("island {} ({})", *node.island, islands[*node.island].domain)
                    : fmt::format("group {}", node.run_group);
    rows.push_back(
        {node.name, node.type->id, std::move(where),
         node.latency_frames == 0 ? "" : fmt::format("<= {} frames late", node.latency_frames),
         node.graph_node ? "" : "inserted: " + node.inserted_reason});
  }
  out += "\nnodes:\n" + Columns(rows, "  ") + PassTable(*this);
  uint64_t total = 0;
  for (const PlannedCopy& copy : copies) total += copy.bytes_per_frame;
  out += fmt::format("\ncopies: {}\n", copies.empty() ? "none" : FormatBytes(total) + " a frame");
  for (const PlannedCopy& copy : copies) {
    out += fmt::format("  {}: {} a frame: {}\n", copy.where, FormatBytes(copy.bytes_per_frame),
                       copy.reason);
  }
  uint64_t memory = 0;
  for (const PlanNet& net : nets) memory += net.buffer_bytes * net.depth;
  for (const PlanIsland& island : islands) memory += island.inner_bytes;
  out += fmt::format("memory: {}; estimated {:.0f} us a frame\n", FormatBytes(memory), cost_us);
  out += fmt::format("profile: {}\n", profile);
  for (const Exclusion& e : exclusions) out += fmt::format("excluded: {}\n", e.ToString());
  for (const std::string& warning : warnings) out += fmt::format("warning: {}\n", warning);
  return out;
}

std::string Exclusion::ToString() const {
  std::string what = producer;
  if (fourcc != 0) what += " " + media::FourccName(fourcc);
  if (!allocator.empty()) what += " in memory of " + allocator;
  return fmt::format("{}: {}", what, reason);
}

std::string Plan::ToJson() const {
  Json out = {{"graph", graph_name},
              {"epoch", epoch},
              {"digest", digest},
              {"optimal", optimal},
              {"cost_us", cost_us},
              {"profile", profile}};
  out["settings"] = {{"zero_copy", settings.zero_copy == ZeroCopy::kRequire ? "require" : "prefer"},
                     {"clock", settings.clock == ClockMode::kRealtime ? "realtime" : "free-run"},
                     {"convert", settings.convert == Convert::kNever ? "never" : "auto"},
                     {"gpu", settings.gpu}};
  out["nodes"] = Json::array();
  for (const PlanNode& node : nodes) out["nodes"].push_back(NodeJson(node));
  out["nets"] = Json::array();
  for (const PlanNet& net : nets) out["nets"].push_back(NetJson(*this, net));
  out["edges"] = Json::array();
  for (const PlanEdge& edge : edges) out["edges"].push_back(EdgeJson(*this, edge));
  out["run_groups"] = Json::array();
  for (const RunGroup& group : run_groups) out["run_groups"].push_back(group.nodes);
  out["islands"] = Json::array();
  for (const PlanIsland& island : islands) {
    out["islands"].push_back(IslandJson(island));
  }
  out["order"] = order;
  out["copies"] = CopiesJson(*this);
  uint64_t copied = 0;
  for (const PlannedCopy& copy : copies) copied += copy.bytes_per_frame;
  out["copied_bytes_per_frame"] = copied;
  out["exclusions"] = ExclusionsJson(*this);
  out["warnings"] = warnings;
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string Plan::ToDot() const {
  std::string out =
      fmt::format("digraph \"{}\" {{\n  rankdir=LR;\n  node [shape=box];\n", DotEscape(graph_name));
  for (uint32_t i = 0; i < run_groups.size(); ++i) {
    const std::vector<uint32_t>& members = run_groups[i].nodes;
    out += fmt::format("  subgraph cluster_{} {{\n    label=\"{}\";\n", i,
                       nodes[members[0]].island ? IslandLabel(islands[*nodes[members[0]].island])
                                                : fmt::format("group {}", i));
    for (uint32_t index : members) {
      const PlanNode& node = nodes[index];
      out += fmt::format("    n{} [label=\"{}\\n{}\"{}];\n", index, DotEscape(node.name),
                         DotEscape(node.type->id), node.graph_node ? "" : ", style=dashed");
    }
    out += "  }\n";
  }
  for (const PlanEdge& edge : edges) {
    const PlanNet& net = nets[edge.net];
    if (edge.inner) {
      out += fmt::format("  n{} -> n{} [label=\"{} {}x{}\\ninside\", style=bold];\n",
                         edge.from.node, edge.to.node, media::FourccName(net.format.fourcc),
                         net.format.width, net.format.height);
      continue;
    }
    out += fmt::format("  n{} -> n{} [label=\"{} {}x{}\\n{} {}\"];\n", edge.from.node, edge.to.node,
                       media::FourccName(net.format.fourcc), net.format.width, net.format.height,
                       DotEscape(net.allocator), SyncBridgeName(edge.bridge));
  }
  return out + "}\n";
}

}  // namespace sluice::graph
