#include "engine/config/schema.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace sluice::config {
namespace {

using graph::NodeType;
using graph::ParamDesc;
using graph::ParamType;
using Json = nlohmann::ordered_json;

constexpr const char* kNamePattern = "^[A-Za-z_][A-Za-z0-9_-]{0,63}$";
/// Any value may come from a parameter of the graph instead.
const Json kSubstituted = {{"type", "string"}, {"pattern", "\\$\\{[^}]+\\}"}};

Json NumberSchema(const ParamDesc& desc, const char* type) {
  Json number = {{"type", type}};
  if (desc.min) number["minimum"] = *desc.min;
  if (desc.max) number["maximum"] = *desc.max;
  Json any = Json::array({number});
  if (!desc.unit.empty())
    any.push_back({{"type", "string"}, {"pattern", "^[-+0-9.eE]+ ?" + desc.unit + "$"}});
  any.push_back(kSubstituted);
  return {{"anyOf", any}};
}

Json PatternSchema(const char* pattern) {
  return {{"anyOf", Json::array({{{"type", "string"}, {"pattern", pattern}}, kSubstituted})}};
}

Json ValueSchema(const ParamDesc& desc) {
  switch (desc.type) {
    case ParamType::kInt:
      return NumberSchema(desc, "integer");
    case ParamType::kFloat:
      return NumberSchema(desc, "number");
    case ParamType::kBool:
      return {{"anyOf", Json::array({{{"type", "boolean"}}, kSubstituted})}};
    case ParamType::kEnum:
      return {{"anyOf", Json::array({{{"enum", desc.choices}}, kSubstituted})}};
    case ParamType::kSize:
      return PatternSchema("^[0-9]+x[0-9]+$");
    case ParamType::kRate:
      return {{"anyOf", Json::array({{{"type", "number"}, {"exclusiveMinimum", 0}},
                                     {{"type", "string"},
                                      {"pattern", "^[0-9]+(\\.[0-9]+|/[0-9]+)?( ?fps)?$"}},
                                     kSubstituted})}};
    case ParamType::kDuration:
      return PatternSchema("^([0-9.]+ ?(ns|us|ms|s|min)|0)$");
    case ParamType::kMap:
      return {{"type", Json::array({"object", "string"})}};
    case ParamType::kString:
      if (desc.form == graph::Form::kColor) return PatternSchema("^#[0-9a-fA-F]{6}$");
      if (desc.form == graph::Form::kColorAlpha) {
        return PatternSchema("^#([0-9a-fA-F]{6}|[0-9a-fA-F]{8})$");
      }
      return {{"type", Json::array({"string", "number", "boolean"})}};
    case ParamType::kPath:
      return {{"type", "string"}};
  }
  return Json::object();
}

Json ParamSchema(const ParamDesc& desc) {
  Json schema = ValueSchema(desc);
  std::string doc = desc.doc;
  if (!desc.unit.empty()) doc += fmt::format("{}Unit: {}.", doc.empty() ? "" : " ", desc.unit);
  if (!doc.empty()) schema["description"] = doc;
  if (desc.default_value) {
    // Numbers and booleans as such; the rest as a text would write them.
    switch (desc.type) {
      case ParamType::kInt:
        schema["default"] = desc.default_value->i;
        break;
      case ParamType::kFloat:
        schema["default"] = desc.default_value->f;
        break;
      case ParamType::kBool:
        schema["default"] = desc.default_value->i != 0;
        break;
      default:
        schema["default"] = desc.default_value->ToString();
        break;
    }
  }
  return schema;
}

Json CommonNodeProperties(const NodeType& type) {
  const Json duration = PatternSchema("^([0-9.]+ ?(ns|us|ms|s|min)|0)$");
  Json properties = Json::object();
  properties["type"] = {{"const", type.id}};
  if (!type.doc.empty()) properties["type"]["description"] = type.doc;
  properties["on_error"] = {
      {"anyOf", Json::array({{{"enum", {"stop", "restart"}}},
                             {{"type", "object"},
                              {"required", Json::array({"action"})},
                              {"additionalProperties", false},
                              {"properties",
                               {{"action", {{"enum", {"stop", "restart"}}}},
                                {"attempts", {{"type", "integer"}, {"minimum", 0}}},
                                {"backoff", duration},
                                {"max_backoff", duration}}}}})}};
  Json inputs = Json::array();
  for (const graph::PortDesc* port : type.Ports(graph::Direction::kInput))
    inputs.push_back(port->name);
  if (inputs.size() > 1) {
    properties["sync"] = {{"anyOf", Json::array({{{"enum", {"all", "latest"}}},
                                                 {{"type", "object"},
                                                  {"additionalProperties", false},
                                                  {"properties",
                                                   {{"policy", {{"enum", {"all", "latest"}}}},
                                                    {"trigger", {{"enum", inputs}}}}}}})}};
    properties["end"] = {{"enum", {"all", "any"}}};
  }
  if (type.domain != "cpu") {
    properties["gpu"] = {{"type", "string"}};
    properties["island"] = {{"enum", {"join", "cut"}}};
  }
  return properties;
}

Json NodeSchema(const NodeType& type) {
  Json properties = CommonNodeProperties(type);
  Json required = Json::array({"type"});
  for (const ParamDesc& param : type.params) {
    properties[param.name] = ParamSchema(param);
    if (param.required && !param.default_value) required.push_back(param.name);
  }
  Json schema = {{"type", "object"}, {"required", required}, {"additionalProperties", false}};
  if (!type.doc.empty()) schema["description"] = type.doc;
  schema["properties"] = std::move(properties);
  return schema;
}

/// The node's type decides which schema the rest of it is held to; if/then rather
/// than oneOf, because editors then report the one that applies.
Json AnyNodeSchema(const std::vector<std::string>& names) {
  Json rules = Json::array();
  for (const std::string& name : names) {
    rules.push_back(
        {{"if",
          {{"properties", {{"type", {{"const", name}}}}}, {"required", Json::array({"type"})}}},
         {"then", {{"$ref", "#/$defs/" + name}}}});
  }
  Json schema = {{"type", "object"},
                 {"required", Json::array({"type"})},
                 {"properties", {{"type", {{"enum", names}}}}}};
  if (!rules.empty()) schema["allOf"] = std::move(rules);
  return schema;
}

Json EdgeSchema() {
  const Json queue = {
      {"anyOf",
       Json::array({{{"type", "integer"}, {"minimum", 1}, {"maximum", 1024}},
                    {{"type", "object"},
                     {"additionalProperties", false},
                     {"properties",
                      {{"depth", {{"type", "integer"}, {"minimum", 1}, {"maximum", 1024}}},
                       {"when_full", {{"enum", {"block", "drop-oldest", "drop-newest"}}}}}}}})}};
  return {{"anyOf", Json::array({{{"type", "string"}, {"pattern", "->"}},
                                 {{"type", "object"},
                                  {"required", Json::array({"from", "to"})},
                                  {"additionalProperties", false},
                                  {"properties",
                                   {{"from", {{"type", "string"}}},
                                    {"to", {{"type", "string"}}},
                                    {"queue", queue},
                                    {"require", {{"enum", {"zero-copy"}}}}}}}})}};
}

Json SettingsSchema() {
  return {{"type", "object"},
          {"additionalProperties", false},
          {"properties",
           {{"zero_copy", {{"enum", {"prefer", "require"}}}},
            {"clock", {{"enum", {"realtime", "free-run"}}}},
            {"convert", {{"enum", {"auto", "never"}}}},
            {"gpu", {{"type", "string"}}}}}};
}

}  // namespace

std::string GraphSchema(const graph::TypeSource& types) {
  const std::vector<std::string> names = types.Names();
  Json defs = Json::object();
  for (const std::string& name : names) defs[name] = NodeSchema(*types.Find(name));
  Json schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                 {"title", "Sluice graph"},
                 {"type", "object"},
                 {"required", Json::array({"sluice", "nodes"})},
                 {"additionalProperties", false}};
  schema["properties"] = {
      {"sluice", {{"const", 1}, {"description", "Version of the graph language."}}},
      {"name", {{"type", "string"}}},
      {"params", {{"type", "object"}, {"propertyNames", {{"pattern", kNamePattern}}}}},
      {"settings", SettingsSchema()},
      {"nodes",
       {{"type", "object"},
        {"propertyNames", {{"pattern", kNamePattern}}},
        {"additionalProperties", AnyNodeSchema(names)}}},
      {"edges", {{"type", "array"}, {"items", EdgeSchema()}}}};
  schema["$defs"] = std::move(defs);
  // The texts are those of plugins: what is no UTF-8 becomes U+FFFD.
  return schema.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace sluice::config
