#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/diagnostic.h"
#include "engine/yaml/value.h"

namespace sluice::config {

/// Small readers of single values that record what is wrong and go on.
class Reader {
 public:
  explicit Reader(DiagnosticList* diagnostics) : diagnostics_(diagnostics) {}

  DiagnosticList* diagnostics() const { return diagnostics_; }

  /// Records a finding unless `value` is a mapping.
  bool ExpectMapping(const yaml::Value& value, std::string_view what) const;
  bool ExpectScalar(const yaml::Value& value, std::string_view what) const;

  /// The index of the scalar among `choices`, or a finding with the nearest.
  std::optional<size_t> Choice(const yaml::Value& value, std::string_view what,
                               const std::vector<std::string>& choices) const;
  std::optional<bool> Bool(const yaml::Value& value, std::string_view what) const;
  std::optional<uint32_t> Count(const yaml::Value& value, std::string_view what, uint32_t min,
                                uint32_t max) const;
  /// "100ms"; nanoseconds.
  std::optional<int64_t> Duration(const yaml::Value& value, std::string_view what) const;
  std::string Text(const yaml::Value& value, std::string_view what) const;
  /// Letters, digits, '_' and '-', not beginning with a digit or '-'.
  bool Name(std::string_view name, SourceMark mark, std::string_view what) const;

 private:
  DiagnosticList* const diagnostics_;
};

}  // namespace sluice::config
