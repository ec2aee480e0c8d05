#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/diagnostic.h"
#include "engine/yaml/value.h"

namespace sluice::plugin::internal {

template <typename T>
using Choices = std::vector<std::pair<std::string_view, T>>;

/// Typed reading of one mapping of a manifest. Whatever is wrong is recorded and
/// replaced by a fallback, so that reading goes on and finds the rest.
class Fields {
 public:
  /// `where` names the mapping in messages ("port 'out'"). A null `value` or a
  /// YAML null is an empty mapping. Unknown keys are recorded at once.
  Fields(const yaml::Value* value, std::string where, const std::vector<std::string>& known,
         SourceMark mark, DiagnosticList* diagnostics);

  const std::string& where() const { return where_; }
  SourceMark mark() const { return mark_; }
  DiagnosticList* diagnostics() const { return diagnostics_; }

  const yaml::Value* Find(std::string_view key) const;
  bool Has(std::string_view key) const { return Find(key) != nullptr; }
  /// Records it when the key is missing.
  const yaml::Value* Require(std::string_view key) const;
  /// The place of the key's value, or of the mapping.
  SourceMark MarkOf(std::string_view key) const;

  std::string Text(std::string_view key) const;
  /// One line of at least one character.
  std::string RequiredLine(std::string_view key) const;
  bool Bool(std::string_view key, bool fallback = false) const;
  uint32_t Number(std::string_view key, uint32_t min, uint32_t max, uint32_t fallback) const;
  double Real(std::string_view key, double min, double max, double fallback) const;
  std::vector<std::pair<std::string, SourceMark>> TextList(std::string_view key) const;

  template <typename T>
  T Choice(std::string_view key, const Choices<T>& choices, T fallback) const {
    const yaml::Value* value = Find(key);
    if (value == nullptr) return fallback;
    for (const auto& [name, meaning] : choices) {
      if (value->is_scalar() && value->text() == name) return meaning;
    }
    std::vector<std::string> names;
    for (const auto& choice : choices) names.emplace_back(choice.first);
    BadChoice(key, *value, names);
    return fallback;
  }

  /// Calls `visit` for each entry of the mapping under `key`.
  void ForEach(std::string_view key, const std::function<void(const yaml::Entry&)>& visit) const;
  /// Calls `visit` for each item of the list under `key`.
  void ForEachItem(std::string_view key,
                   const std::function<void(const yaml::Value&)>& visit) const;

  void Error(std::string_view code, SourceMark mark, std::string message,
             std::string hint = {}) const;
  /// "KEY of WHERE must be EXPECTED, not VALUE".
  void BadValue(std::string_view key, const yaml::Value& value, std::string_view expected) const;

 private:
  void BadChoice(std::string_view key, const yaml::Value& value,
                 const std::vector<std::string>& names) const;

  const yaml::Value* value_ = nullptr;  // A mapping, or null.
  std::string where_;
  SourceMark mark_;
  DiagnosticList* diagnostics_;
};

}  // namespace sluice::plugin::internal
