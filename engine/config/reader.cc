#include "engine/config/reader.h"

#include <cctype>

#include <fmt/format.h>

#include "engine/graph/codes.h"
#include "engine/graph/node_type.h"

namespace sluice::config {

using graph::kErrBadValue;
using graph::kErrKind;
using graph::kErrName;

bool Reader::ExpectMapping(const yaml::Value& value, std::string_view what) const {
  if (value.is_mapping()) return true;
  diagnostics_->Error(kErrKind, value.mark(),
                      fmt::format("{} must be a mapping, not {}", what, value.Describe()));
  return false;
}

bool Reader::ExpectScalar(const yaml::Value& value, std::string_view what) const {
  if (value.is_scalar()) return true;
  diagnostics_->Error(kErrKind, value.mark(),
                      fmt::format("{} must be a single value, not {}", what, value.Describe()));
  return false;
}

std::optional<size_t> Reader::Choice(const yaml::Value& value, std::string_view what,
                                     const std::vector<std::string>& choices) const {
  if (!ExpectScalar(value, what)) return std::nullopt;
  for (size_t i = 0; i < choices.size(); ++i) {
    if (choices[i] == value.text()) return i;
  }
  std::string hint = NearestName(value.text(), choices);
  diagnostics_->Error(
      kErrBadValue, value.mark(),
      fmt::format("{}: '{}' is none of: {}", what, value.text(), fmt::join(choices, ", ")),
      hint.empty() ? "" : fmt::format("did you mean '{}'?", hint));
  return std::nullopt;
}

std::optional<bool> Reader::Bool(const yaml::Value& value, std::string_view what) const {
  if (!ExpectScalar(value, what)) return std::nullopt;
  if (auto flag = value.AsBool()) return flag;
  diagnostics_->Error(kErrBadValue, value.mark(),
                      fmt::format("{}: '{}' is neither true nor false", what, value.text()));
  return std::nullopt;
}

std::optional<uint32_t> Reader::Count(const yaml::Value& value, std::string_view what, uint32_t min,
                                      uint32_t max) const {
  if (!ExpectScalar(value, what)) return std::nullopt;
  auto number = value.AsInt();
  if (number && *number >= min && *number <= max) return static_cast<uint32_t>(*number);
  diagnostics_->Error(
      kErrBadValue, value.mark(),
      fmt::format("{}: '{}' is not a whole number in {}..{}", what, value.text(), min, max));
  return std::nullopt;
}

std::optional<int64_t> Reader::Duration(const yaml::Value& value, std::string_view what) const {
  if (!ExpectScalar(value, what)) return std::nullopt;
  graph::ParamDesc desc;
  desc.type = graph::ParamType::kDuration;
  desc.min = 0;
  std::string problem;
  if (auto parsed = graph::ParseParamValue(desc, value.text(), &problem)) return parsed->i;
  diagnostics_->Error(kErrBadValue, value.mark(),
                      fmt::format("{}: '{}' {}", what, value.text(), problem));
  return std::nullopt;
}

std::string Reader::Text(const yaml::Value& value, std::string_view what) const {
  return ExpectScalar(value, what) ? value.text() : std::string();
}

bool Reader::Name(std::string_view name, SourceMark mark, std::string_view what) const {
  bool valid = !name.empty() && name.size() <= 64;
  for (char c : name) {
    valid = valid && (std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-');
  }
  valid = valid && !std::isdigit(static_cast<unsigned char>(name[0])) && name[0] != '-';
  if (valid) return true;
  diagnostics_->Error(kErrName, mark, fmt::format("'{}' is not a valid {}", name, what),
                      "up to 64 letters, digits, '_' and '-'; a letter or '_' first");
  return false;
}

}  // namespace sluice::config
