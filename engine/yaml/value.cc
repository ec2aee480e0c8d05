#include "engine/yaml/value.h"

#include <charconv>
#include <cmath>

#include <fmt/format.h>

namespace sluice::yaml {

Value::Value() = default;

Value Value::Scalar(std::string text, bool quoted, SourceMark mark) {
  Value value;
  value.kind_ = Kind::kScalar;
  value.text_ = std::move(text);
  value.quoted_ = quoted;
  value.mark_ = mark;
  return value;
}

Value Value::Sequence(SourceMark mark) {
  Value value;
  value.kind_ = Kind::kSequence;
  value.mark_ = mark;
  return value;
}

Value Value::Mapping(SourceMark mark) {
  Value value;
  value.kind_ = Kind::kMapping;
  value.mark_ = mark;
  return value;
}

std::string Value::Describe() const {
  switch (kind_) {
    case Kind::kNull:
      return "nothing";
    case Kind::kScalar:
      return fmt::format("'{}'", text_);
    case Kind::kSequence:
      return "a list";
    case Kind::kMapping:
      return "a mapping";
  }
  return "?";
}

std::optional<bool> Value::AsBool() const {
  if (!is_scalar() || quoted_) return std::nullopt;
  if (text_ == "true" || text_ == "True" || text_ == "TRUE") return true;
  if (text_ == "false" || text_ == "False" || text_ == "FALSE") return false;
  return std::nullopt;
}

std::optional<int64_t> Value::AsInt() const {
  if (!is_scalar() || quoted_ || text_.empty()) return std::nullopt;
  std::string_view digits = text_;
  const bool negative = digits.front() == '-';
  if (negative || digits.front() == '+') digits.remove_prefix(1);
  int base = 10;
  if (digits.starts_with("0x")) {
    base = 16;
    digits.remove_prefix(2);
  }
  if (digits.empty() || digits.front() == '-') return std::nullopt;
  uint64_t magnitude = 0;
  auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), magnitude, base);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  constexpr uint64_t kMaxPositive = static_cast<uint64_t>(INT64_MAX);
  if (magnitude > kMaxPositive + (negative ? 1 : 0)) return std::nullopt;
  return negative ? static_cast<int64_t>(0 - magnitude) : static_cast<int64_t>(magnitude);
}

std::optional<double> Value::AsDouble() const {
  if (!is_scalar() || quoted_ || text_.empty()) return std::nullopt;
  std::string_view digits = text_;
  if (digits.front() == '+') digits.remove_prefix(1);
  double value = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size() || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

const Value* Value::Find(std::string_view key) const {
  for (const Entry& entry : entries_) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

void CheckKeys(const Value& mapping, const std::vector<std::string>& known, std::string_view where,
               std::string_view code, DiagnosticList* diagnostics) {
  for (const Entry& entry : mapping.entries()) {
    bool found = false;
    for (const std::string& name : known) found = found || name == entry.key;
    if (found) continue;
    diagnostics->Error(code, entry.key_mark,
                       fmt::format("unknown key '{}' in {}", entry.key, where),
                       NameHint(entry.key, known));
  }
}

}  // namespace sluice::yaml
