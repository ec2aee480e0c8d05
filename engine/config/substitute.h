#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

#include "engine/base/diagnostic.h"
#include "engine/yaml/value.h"

namespace sluice::config {

/// Replaces ${name} in scalars by the values of the graph's `params`. A scalar
/// that is nothing but one ${name} takes the whole value, a mapping too; inside
/// other text the value's text is put in. `$${` stands for a literal `${`.
class Substitution {
 public:
  explicit Substitution(DiagnosticList* diagnostics) : diagnostics_(diagnostics) {}

  void Set(const std::string& name, yaml::Value value) { values_[name] = std::move(value); }
  const std::map<std::string, yaml::Value>& values() const { return values_; }

  /// In `value` and everything below it. Findings name the scalar's place.
  void Apply(yaml::Value* value);
  /// A finding about the scalar at `mark` was recorded.
  bool failed(SourceMark mark) const { return failed_.contains({mark.line, mark.column}); }
  bool used(const std::string& name) const { return used_.contains(name); }

 private:
  const yaml::Value* Lookup(const std::string& name, SourceMark mark);
  /// False with a finding.
  bool ApplyToScalar(yaml::Value* value);

  DiagnosticList* const diagnostics_;
  std::map<std::string, yaml::Value> values_;
  std::set<std::string> used_;
  std::set<std::pair<int, int>> failed_;
};

}  // namespace sluice::config
