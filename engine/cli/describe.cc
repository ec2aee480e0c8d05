#include "engine/cli/describe.h"

#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/cli/describe_offer.h"
#include "engine/cli/wrap.h"

namespace sluice::cli {
namespace {

using Json = nlohmann::ordered_json;
using graph::Changeable;
using graph::ParamDesc;
using graph::ParamType;
using graph::PortDesc;
using plugin::ManifestDomain;
using plugin::ManifestNode;
using plugin::PluginInfo;

bool IsNumber(const ParamDesc& param) {
  return param.type == ParamType::kInt || param.type == ParamType::kFloat ||
         param.type == ParamType::kDuration;
}

/// Durations have their bounds in seconds.
std::string_view BoundUnit(const ParamDesc& param) {
  return param.type == ParamType::kDuration ? std::string_view("s") : std::string_view(param.unit);
}

std::string RangeText(const ParamDesc& param) {
  if (!param.min && !param.max) return {};
  const std::string unit = BoundUnit(param).empty() ? "" : fmt::format(" {}", BoundUnit(param));
  if (!param.max) return fmt::format(", {}{} or more", *param.min, unit);
  if (!param.min) return fmt::format(", up to {}{}", *param.max, unit);
  return fmt::format(", {} to {}{}", *param.min, *param.max, unit);
}

std::string_view ChangeText(Changeable changeable) {
  switch (changeable) {
    case Changeable::kNo:
      return "";
    case Changeable::kRunning:
      return ", may change while running";
    case Changeable::kRenegotiate:
      return ", may change with a new negotiation";
  }
  return "";
}

std::string ParamHead(const ParamDesc& param) {
  std::string head = fmt::format("{}: {}", param.name, graph::ParamTypeName(param.type));
  if (!param.choices.empty()) head += fmt::format(" of {}", fmt::join(param.choices, ", "));
  if (param.form != graph::Form::kAny) head += fmt::format(" as {}", graph::FormText(param.form));
  head += RangeText(param);
  if (IsNumber(param) && !param.unit.empty() && !param.min && !param.max)
    head += ", in " + param.unit;
  if (param.required) head += ", required";
  if (param.default_value) {
    const std::string value = param.default_value->ToString();
    head += fmt::format(", default {}", value.empty() ? "''" : value);
  }
  return head + std::string(ChangeText(param.changeable));
}

std::string ParamsText(const std::vector<ParamDesc>& params) {
  if (params.empty()) return "\nParameters: none\n";
  std::string text = "\nParameters\n";
  for (const ParamDesc& param : params) {
    text += Wrap(ParamHead(param), 2) + WrapDoc(param.doc, 6);
  }
  return text;
}

Json ParamToJson(const ParamDesc& param) {
  Json json = {
      {"name", param.name}, {"type", graph::ParamTypeName(param.type)}, {"doc", param.doc}};
  if (!param.unit.empty()) json["unit"] = param.unit;
  if (param.min) json["min"] = *param.min;
  if (param.max) json["max"] = *param.max;
  if (!param.choices.empty()) json["choices"] = param.choices;
  if (param.form != graph::Form::kAny) json["form"] = graph::FormText(param.form);
  if (param.default_value) {
    const graph::ParamValue& value = *param.default_value;
    switch (value.type) {
      case ParamType::kInt:
        json["default"] = value.i;
        break;
      case ParamType::kFloat:
        json["default"] = value.f;
        break;
      case ParamType::kBool:
        json["default"] = value.i != 0;
        break;
      default:
        json["default"] = value.ToString();
    }
  }
  json["required"] = param.required;
  json["changeable"] = param.changeable == Changeable::kNo        ? "no"
                       : param.changeable == Changeable::kRunning ? "running"
                                                                  : "renegotiate";
  return json;
}

Json ParamsToJson(const std::vector<ParamDesc>& params) {
  Json list = Json::array();
  for (const ParamDesc& param : params) list.push_back(ParamToJson(param));
  return list;
}

std::string PortHead(const PortDesc& port) {
  std::string head = fmt::format("{}: {}", port.name,
                                 port.direction == graph::Direction::kInput ? "input" : "output");
  head += port.required ? "" : ", optional";
  if (port.access == graph::Access::kDevice) head += ", read and written by the device";
  if (port.acquisition == graph::Acquisition::kDynamic)
    head += ", takes buffers when it needs them";
  if (!port.passthrough.empty())
    head += fmt::format(", passes on the frames of '{}'", port.passthrough);
  return head;
}

std::string PortsText(const std::vector<PortDesc>& ports) {
  std::string text = "\nPorts\n";
  for (const PortDesc& port : ports) {
    text += Wrap(PortHead(port), 2) + WrapDoc(port.doc, 6);
    for (const graph::Offer& offer : port.offers) {
      std::string lines = Wrap(OfferToText(offer), 8);
      lines[6] = '-';
      text += lines;
    }
  }
  return text;
}

Json PortToJson(const PortDesc& port) {
  Json offers = Json::array();
  for (const graph::Offer& offer : port.offers) offers.push_back(OfferToJson(offer));
  Json json = {
      {"name", port.name},
      {"direction", port.direction == graph::Direction::kInput ? "input" : "output"},
      {"doc", port.doc},
      {"required", port.required},
      {"access", port.access == graph::Access::kDevice ? "device" : "cpu"},
      {"acquire", port.acquisition == graph::Acquisition::kDynamic ? "dynamic" : "per-invocation"}};
  if (!port.passthrough.empty()) json["passthrough"] = port.passthrough;
  json["offers"] = std::move(offers);
  return json;
}

std::string Properties(const graph::NodeType& type) {
  std::vector<std::string> parts = {"domain " + type.domain, type.status};
  if (type.heavy) parts.push_back("heavy: runs apart from others");
  if (type.async) parts.push_back("answers later");
  if (type.live) parts.push_back("live: drops frames when nothing is free");
  if (type.parallel > 1) parts.push_back(fmt::format("up to {} at once", type.parallel));
  if (type.in_flight > 0) parts.push_back(fmt::format("{} more frames under way", type.in_flight));
  if (type.converter) parts.push_back("may be inserted as a converter");
  return fmt::format("{}", fmt::join(parts, "; "));
}

}  // namespace

std::string NodeToText(const ManifestNode& node, const PluginInfo& plugin) {
  const graph::NodeType& type = node.type;
  std::string text = type.id + "\n" + WrapDoc(type.doc, 2) + "\n";
  text += fmt::format("  {}\n  plugin {} {}: {}\n", Properties(type), plugin.manifest.name,
                      plugin.manifest.version, plugin.path);
  if (node.implementation.given()) {
    text += fmt::format("  made by {} from {}\n", node.implementation.type_id,
                        node.implementation.file);
  }
  text += PortsText(type.ports);
  if (!type.ties.empty()) {
    text += "\nEqual on both ports\n";
    for (const graph::Tie& tie : type.ties) text += fmt::format("  {}\n", graph::ToString(tie));
  }
  return text + ParamsText(type.params);
}

Json NodeToJson(const ManifestNode& node, const PluginInfo& plugin) {
  const graph::NodeType& type = node.type;
  Json ports = Json::array();
  for (const PortDesc& port : type.ports) ports.push_back(PortToJson(port));
  Json ties = Json::array();
  for (const graph::Tie& tie : type.ties) ties.push_back(graph::ToString(tie));
  Json json = {{"id", type.id},
               {"kind", "node type"},
               {"summary", node.summary},
               {"doc", type.doc},
               {"status", type.status},
               {"plugin", plugin.manifest.name},
               {"plugin_version", plugin.manifest.version},
               {"path", plugin.path},
               {"domain", type.domain},
               {"heavy", type.heavy},
               {"async", type.async},
               {"live", type.live},
               {"parallel", type.parallel},
               {"in_flight", type.in_flight},
               {"converter", type.converter},
               {"ports", std::move(ports)},
               {"ties", std::move(ties)},
               {"params", ParamsToJson(type.params)}};
  if (node.implementation.given()) {
    json["implementation"] = {{"type", node.implementation.type_id},
                              {"file", node.implementation.file}};
  }
  return json;
}

std::string DomainToText(const ManifestDomain& domain, const PluginInfo& plugin) {
  return fmt::format("{}\n{}\n  plugin {} {}: {}\n", domain.id, WrapDoc(domain.doc, 2),
                     plugin.manifest.name, plugin.manifest.version, plugin.path) +
         ParamsText(domain.params);
}

Json DomainToJson(const ManifestDomain& domain, const PluginInfo& plugin) {
  return {{"id", domain.id},
          {"kind", "domain"},
          {"summary", domain.summary},
          {"doc", domain.doc},
          {"plugin", plugin.manifest.name},
          {"plugin_version", plugin.manifest.version},
          {"path", plugin.path},
          {"params", ParamsToJson(domain.params)}};
}

}  // namespace sluice::cli
