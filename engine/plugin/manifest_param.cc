#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine/plugin/manifest.h"
#include "engine/plugin/manifest_fields.h"
#include "engine/plugin/manifest_port.h"

namespace sluice::plugin::internal {
namespace {

using graph::ParamDesc;
using graph::ParamType;

/// Keys of a node in a graph that are not parameters.
constexpr std::array<std::string_view, 7> kReservedNames = {"type", "on_error", "sync",  "trigger",
                                                            "end",  "gpu",      "island"};

Choices<ParamType> TypeChoices() {
  Choices<ParamType> choices;
  for (const ParamType type :
       {ParamType::kString, ParamType::kInt, ParamType::kFloat, ParamType::kBool, ParamType::kSize,
        ParamType::kRate, ParamType::kDuration, ParamType::kEnum, ParamType::kPath,
        ParamType::kMap}) {
    choices.emplace_back(graph::ParamTypeName(type), type);
  }
  return choices;
}

bool IsNumeric(ParamType type) {
  return type == ParamType::kInt || type == ParamType::kFloat || type == ParamType::kDuration ||
         type == ParamType::kRate;
}

class ParamReader {
 public:
  ParamReader(const yaml::Entry& entry, const std::string& owner, DiagnosticList* diagnostics)
      : fields_(&entry.value, fmt::format("parameter '{}' of {}", entry.key, owner),
                {"type", "doc", "unit", "min", "max", "choices", "form", "default", "required",
                 "change"},
                entry.key_mark, diagnostics) {
    param_.name = entry.key;
  }

  ParamDesc Read() {
    CheckName();
    fields_.Require("type");
    param_.type = fields_.Choice<ParamType>("type", TypeChoices(), param_.type);
    param_.doc = fields_.Text("doc");
    param_.unit = fields_.Text("unit");
    param_.required = fields_.Bool("required");
    param_.changeable =
        fields_.Choice<graph::Changeable>("change",
                                          {{"never", graph::Changeable::kNo},
                                           {"running", graph::Changeable::kRunning},
                                           {"renegotiate", graph::Changeable::kRenegotiate}},
                                          graph::Changeable::kNo);
    ReadChoices();
    ReadForm();
    ReadBounds();
    ReadDefault();
    return std::move(param_);
  }

 private:
  void CheckName() {
    if (!IsManifestName(param_.name)) {
      fields_.Error(kErrManifestName, fields_.mark(),
                    fmt::format("'{}' is not a name for a parameter", param_.name));
    } else if (std::find(kReservedNames.begin(), kReservedNames.end(), param_.name) !=
               kReservedNames.end()) {
      fields_.Error(kErrManifestName, fields_.mark(),
                    fmt::format("'{}' has a meaning of its own in graphs and cannot be a parameter",
                                param_.name));
    }
  }

  void ReadChoices() {
    if (param_.type != ParamType::kEnum) {
      if (fields_.Has("choices")) Conflict("choices", "is for enums");
      return;
    }
    if (fields_.Require("choices") == nullptr) return;
    for (const auto& [text, mark] : fields_.TextList("choices")) {
      if (text.empty() || std::count(param_.choices.begin(), param_.choices.end(), text) != 0) {
        fields_.Error(
            kErrManifestConflict, mark,
            fmt::format("'choices' of {} has '{}' twice, or empty", fields_.where(), text));
      } else {
        param_.choices.push_back(text);
      }
    }
    if (param_.choices.empty()) Conflict("choices", "has no entry");
  }

  void ReadForm() {
    param_.form = fields_.Choice<graph::Form>(
        "form", {{"color", graph::Form::kColor}, {"color-alpha", graph::Form::kColorAlpha}},
        graph::Form::kAny);
    if (fields_.Has("form") && param_.type != ParamType::kString)
      Conflict("form", "is for strings");
  }

  /// A bound is written as a value of the parameter is: "10 ms" for a duration.
  std::optional<double> ReadBound(std::string_view key) {
    const yaml::Value* value = fields_.Find(key);
    if (value == nullptr) return std::nullopt;
    if (!IsNumeric(param_.type)) {
      Conflict(key, "is for int, float, rate and duration");
      return std::nullopt;
    }
    const auto read = ReadValue(key, *value);
    if (!read) return std::nullopt;
    constexpr double kNanosecondsASecond = 1e9;
    switch (param_.type) {
      case ParamType::kInt:
        return static_cast<double>(read->i);
      case ParamType::kDuration:
        return static_cast<double>(read->i) / kNanosecondsASecond;
      default:
        return read->f;
    }
  }

  void ReadBounds() {
    const auto min = ReadBound("min");
    const auto max = ReadBound("max");
    // Set after both are read: a bound is not checked against the other one as a value.
    param_.min = min;
    param_.max = max;
    if (min && max && *min > *max) Conflict("min", "is above 'max'");
  }

  void ReadDefault() {
    const yaml::Value* value = fields_.Find("default");
    if (value == nullptr) return;
    if (param_.required) Conflict("default", "makes no sense for a required parameter");
    if (param_.type == ParamType::kMap) {
      Conflict("default", "cannot be given for a map");
      return;
    }
    param_.default_value = ReadValue("default", *value);
  }

  std::optional<graph::ParamValue> ReadValue(std::string_view key, const yaml::Value& value) {
    if (!value.is_scalar()) {
      fields_.BadValue(key, value,
                       fmt::format("a value of type {}", graph::ParamTypeName(param_.type)));
      return std::nullopt;
    }
    std::string problem;
    auto read = graph::ParseParamValue(param_, value.text(), &problem);
    if (!read) {
      fields_.Error(
          kErrManifestValue, value.mark(),
          fmt::format("'{}' of {}, '{}', {}", key, fields_.where(), value.text(), problem));
    }
    return read;
  }

  void Conflict(std::string_view key, std::string_view why) {
    fields_.Error(kErrManifestConflict, fields_.MarkOf(key),
                  fmt::format("'{}' of {} {}", key, fields_.where(), why));
  }

  Fields fields_;
  ParamDesc param_;
};

}  // namespace

ParamDesc ReadParam(const yaml::Entry& entry, const std::string& owner,
                    DiagnosticList* diagnostics) {
  return ParamReader(entry, owner, diagnostics).Read();
}

}  // namespace sluice::plugin::internal
