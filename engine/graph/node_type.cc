#include "engine/graph/node_type.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "engine/base/diagnostic.h"

namespace sluice::graph {
namespace {

struct NamedType {
  std::string_view name;
  ParamType type;
};
constexpr NamedType kTypeNames[] = {
    {"string", ParamType::kString},     {"int", ParamType::kInt},   {"float", ParamType::kFloat},
    {"bool", ParamType::kBool},         {"size", ParamType::kSize}, {"rate", ParamType::kRate},
    {"duration", ParamType::kDuration}, {"enum", ParamType::kEnum}, {"path", ParamType::kPath},
    {"map", ParamType::kMap},
};

/// "12.5 px" -> "12.5" and "px".
void SplitUnit(std::string_view text, std::string_view* number, std::string_view* unit) {
  size_t end = 0;
  while (end < text.size() && (std::isdigit(static_cast<unsigned char>(text[end])) ||
                               std::string_view("+-.").find(text[end]) != std::string_view::npos)) {
    ++end;
  }
  // An exponent belongs to the number only if digits follow it: "1e3" but "1em".
  if (end > 0 && end < text.size() && (text[end] == 'e' || text[end] == 'E')) {
    size_t exponent = end + 1;
    if (exponent < text.size() && (text[exponent] == '+' || text[exponent] == '-')) ++exponent;
    if (exponent < text.size() && std::isdigit(static_cast<unsigned char>(text[exponent]))) {
      while (exponent < text.size() && std::isdigit(static_cast<unsigned char>(text[exponent]))) {
        ++exponent;
      }
      end = exponent;
    }
  }
  *number = text.substr(0, end);
  *unit = text.substr(end);
  while (!unit->empty() && unit->front() == ' ') unit->remove_prefix(1);
}

std::optional<double> ToDouble(std::string_view text) {
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (!std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<int64_t> ToInt(std::string_view text) {
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string RangeText(const ParamDesc& desc) {
  const std::string unit = desc.type == ParamType::kDuration ? "s" : desc.unit;
  const std::string tail = unit.empty() ? "" : " " + unit;
  if (desc.min && desc.max) return fmt::format("{}..{}{}", *desc.min, *desc.max, tail);
  if (desc.min) return fmt::format("at least {}{}", *desc.min, tail);
  if (desc.max) return fmt::format("at most {}{}", *desc.max, tail);
  return {};
}

bool CheckRange(const ParamDesc& desc, double value, std::string* problem) {
  if ((!desc.min || value >= *desc.min) && (!desc.max || value <= *desc.max)) return true;
  *problem = fmt::format("is out of range: expected {}", RangeText(desc));
  return false;
}

bool CheckUnit(const ParamDesc& desc, std::string_view unit, std::string* problem) {
  if (unit.empty() || unit == desc.unit) return true;
  *problem = desc.unit.empty() ? fmt::format("has unit '{}', but takes none", unit)
                               : fmt::format("has unit '{}', but takes '{}'", unit, desc.unit);
  return false;
}

std::optional<ParamValue> ParseNumber(const ParamDesc& desc, std::string_view text,
                                      std::string* problem) {
  std::string_view number, unit;
  SplitUnit(text, &number, &unit);
  ParamValue value;
  value.type = desc.type;
  if (desc.type == ParamType::kInt) {
    auto parsed = ToInt(number);
    if (!parsed) {
      *problem = "is not a whole number";
      return std::nullopt;
    }
    value.i = *parsed;
    value.f = static_cast<double>(*parsed);
  } else {
    auto parsed = ToDouble(number);
    if (!parsed) {
      *problem = "is not a number";
      return std::nullopt;
    }
    value.f = *parsed;
  }
  if (!CheckUnit(desc, unit, problem) || !CheckRange(desc, value.f, problem)) return std::nullopt;
  return value;
}

std::optional<ParamValue> ParseDuration(const ParamDesc& desc, std::string_view text,
                                        std::string* problem) {
  struct Unit {
    std::string_view name;
    double ns;
  };
  constexpr Unit kUnits[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"min", 60e9}};
  std::string_view number, unit;
  SplitUnit(text, &number, &unit);
  auto parsed = ToDouble(number);
  if (!parsed) {
    *problem = "is not a duration: expected a number and ns, us, ms, s or min";
    return std::nullopt;
  }
  double scale = *parsed == 0 && unit.empty() ? 1 : 0;
  for (const Unit& known : kUnits) {
    if (known.name == unit) scale = known.ns;
  }
  if (scale == 0) {
    *problem = unit.empty() ? "has no unit: expected ns, us, ms, s or min"
                            : fmt::format("has unit '{}': expected ns, us, ms, s or min", unit);
    return std::nullopt;
  }
  const double ns = std::round(*parsed * scale);
  if (std::abs(ns) > 9.2e18) {
    *problem = "is out of range";
    return std::nullopt;
  }
  if (!CheckRange(desc, ns / 1e9, problem)) return std::nullopt;
  ParamValue value;
  value.type = ParamType::kDuration;
  value.i = static_cast<int64_t>(ns);
  value.f = ns / 1e9;
  return value;
}

bool HasForm(Form form, std::string_view text) {
  if (form == Form::kAny) return true;
  const bool has_length = text.size() == 7 || (text.size() == 9 && form == Form::kColorAlpha);
  return has_length && text[0] == '#' &&
         text.find_first_not_of("0123456789abcdefABCDEF", 1) == std::string_view::npos;
}

std::optional<ParamValue> ParseEnum(const ParamDesc& desc, std::string_view text,
                                    std::string* problem) {
  for (const std::string& choice : desc.choices) {
    if (choice == text) return ParamValue{.type = ParamType::kEnum, .text = choice};
  }
  *problem = fmt::format("is none of: {}", fmt::join(desc.choices, ", "));
  if (std::string near = NearestName(text, desc.choices); !near.empty()) {
    *problem += fmt::format("; did you mean '{}'?", near);
  }
  return std::nullopt;
}

}  // namespace

std::string_view FormText(Form form) {
  switch (form) {
    case Form::kAny:
      return "";
    case Form::kColor:
      return "#rrggbb";
    case Form::kColorAlpha:
      return "#rrggbb or #rrggbbaa";
  }
  return "";
}

std::string_view ParamTypeName(ParamType type) {
  for (const NamedType& entry : kTypeNames) {
    if (entry.type == type) return entry.name;
  }
  return "?";
}

std::optional<ParamType> ParseParamType(std::string_view name) {
  for (const NamedType& entry : kTypeNames) {
    if (entry.name == name) return entry.type;
  }
  return std::nullopt;
}

std::string ParamValue::ToString() const {
  switch (type) {
    case ParamType::kInt:
      return fmt::format("{}", i);
    case ParamType::kFloat:
      return fmt::format("{}", f);
    case ParamType::kBool:
      return i != 0 ? "true" : "false";
    case ParamType::kSize:
      return fmt::format("{}x{}", size.width, size.height);
    case ParamType::kRate:
      return RateToString(rate);
    case ParamType::kDuration:
      return i % 1'000'000 == 0 ? fmt::format("{}ms", i / 1'000'000) : fmt::format("{}ns", i);
    case ParamType::kString:
    case ParamType::kEnum:
    case ParamType::kPath:
    case ParamType::kMap:
      return text;
  }
  return {};
}

std::optional<ParamValue> ParseParamValue(const ParamDesc& desc, std::string_view text,
                                          std::string* problem) {
  switch (desc.type) {
    case ParamType::kString:
      if (HasForm(desc.form, text)) {
        return ParamValue{.type = desc.type, .text = std::string(text)};
      }
      *problem = fmt::format("is not a colour: expected {}", FormText(desc.form));
      return std::nullopt;
    case ParamType::kMap:
      return ParamValue{.type = desc.type, .text = std::string(text)};
    case ParamType::kPath:
      if (!text.empty() && text.find('\0') == std::string_view::npos) {
        return ParamValue{.type = desc.type, .text = std::string(text)};
      }
      *problem = "is not a path";
      return std::nullopt;
    case ParamType::kInt:
    case ParamType::kFloat:
      return ParseNumber(desc, text, problem);
    case ParamType::kBool:
      if (text == "true" || text == "false") {
        return ParamValue{.type = desc.type, .i = text == "true" ? 1 : 0};
      }
      *problem = "is neither true nor false";
      return std::nullopt;
    case ParamType::kSize: {
      ParamValue value{.type = desc.type};
      if (ParseSize(text, &value.size.width, &value.size.height)) return value;
      *problem =
          fmt::format("is not a size: expected WIDTHxHEIGHT, each 1..{}", media::kMaxDimension);
      return std::nullopt;
    }
    case ParamType::kRate: {
      ParamValue value{.type = desc.type};
      std::string_view number = text;
      if (number.ends_with("fps")) number.remove_suffix(3);
      while (!number.empty() && number.back() == ' ') number.remove_suffix(1);
      if (ParseRate(number, &value.rate)) {
        value.f = static_cast<double>(value.rate.numerator) / value.rate.denominator;
        if (!CheckRange(desc, value.f, problem)) return std::nullopt;
        return value;
      }
      *problem = "is not a rate: expected frames a second as 30, 29.97 or 30000/1001";
      return std::nullopt;
    }
    case ParamType::kDuration:
      return ParseDuration(desc, text, problem);
    case ParamType::kEnum:
      return ParseEnum(desc, text, problem);
  }
  *problem = "has an unknown type";
  return std::nullopt;
}

const PortDesc* NodeType::FindPort(std::string_view name) const {
  for (const PortDesc& port : ports) {
    if (port.name == name) return &port;
  }
  return nullptr;
}

const ParamDesc* NodeType::FindParam(std::string_view name) const {
  for (const ParamDesc& param : params) {
    if (param.name == name) return &param;
  }
  return nullptr;
}

std::vector<const PortDesc*> NodeType::Ports(Direction direction) const {
  std::vector<const PortDesc*> out;
  for (const PortDesc& port : ports) {
    if (port.direction == direction) out.push_back(&port);
  }
  return out;
}

uint32_t NodeType::IndexInDirection(uint32_t port) const {
  uint32_t index = 0;
  for (uint32_t i = 0; i < port; ++i) {
    if (ports[i].direction == ports[port].direction) ++index;
  }
  return index;
}

TypeList::TypeList(std::vector<NodeType> types) {
  for (NodeType& type : types) Add(std::move(type));
}

void TypeList::Add(NodeType type) {
  std::string id = type.id;
  types_.insert_or_assign(std::move(id), std::move(type));
}

const NodeType* TypeList::Find(std::string_view type_id) const {
  auto found = types_.find(type_id);
  return found == types_.end() ? nullptr : &found->second;
}

std::vector<std::string> TypeList::Names() const {
  std::vector<std::string> names;
  for (const auto& [id, type] : types_) names.push_back(id);
  return names;
}

}  // namespace sluice::graph
