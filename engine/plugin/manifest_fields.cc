#include "engine/plugin/manifest_fields.h"

#include <fmt/format.h>

#include <set>

#include "engine/plugin/manifest.h"

namespace sluice::plugin::internal {

Fields::Fields(const yaml::Value* value, std::string where, const std::vector<std::string>& known,
               SourceMark mark, DiagnosticList* diagnostics)
    : where_(std::move(where)), mark_(mark), diagnostics_(diagnostics) {
  if (value == nullptr || value->is_null()) return;
  if (!value->is_mapping()) {
    Error(kErrManifestKind, value->mark(),
          fmt::format("{} must be a mapping, not {}", where_, value->Describe()));
    return;
  }
  value_ = value;
  yaml::CheckKeys(*value, known, where_, kErrManifestKey, diagnostics_);
}

const yaml::Value* Fields::Find(std::string_view key) const {
  return value_ == nullptr ? nullptr : value_->Find(key);
}

const yaml::Value* Fields::Require(std::string_view key) const {
  const yaml::Value* value = Find(key);
  if (value == nullptr)
    Error(kErrManifestMissing, mark_, fmt::format("{} needs the key '{}'", where_, key));
  return value;
}

SourceMark Fields::MarkOf(std::string_view key) const {
  const yaml::Value* value = Find(key);
  return value == nullptr || value->mark().line == 0 ? mark_ : value->mark();
}

std::string Fields::Text(std::string_view key) const {
  const yaml::Value* value = Find(key);
  if (value == nullptr) return {};
  if (!value->is_scalar()) {
    BadValue(key, *value, "a text");
    return {};
  }
  return value->text();
}

std::string Fields::RequiredLine(std::string_view key) const {
  const yaml::Value* value = Require(key);
  if (value == nullptr) return {};
  if (!value->is_scalar() || value->text().empty() ||
      value->text().find('\n') != std::string::npos) {
    BadValue(key, *value, "one line of text");
    return {};
  }
  return value->text();
}

bool Fields::Bool(std::string_view key, bool fallback) const {
  const yaml::Value* value = Find(key);
  if (value == nullptr) return fallback;
  const auto read = value->AsBool();
  if (!read) BadValue(key, *value, "true or false");
  return read.value_or(fallback);
}

uint32_t Fields::Number(std::string_view key, uint32_t min, uint32_t max, uint32_t fallback) const {
  const yaml::Value* value = Find(key);
  if (value == nullptr) return fallback;
  const auto read = value->AsInt();
  if (!read || *read < int64_t{min} || *read > int64_t{max}) {
    BadValue(key, *value, fmt::format("an integer from {} to {}", min, max));
    return fallback;
  }
  return static_cast<uint32_t>(*read);
}

double Fields::Real(std::string_view key, double min, double max, double fallback) const {
  const yaml::Value* value = Find(key);
  if (value == nullptr) return fallback;
  const auto read = value->AsDouble();
  if (!read || *read < min || *read > max) {
    BadValue(key, *value, fmt::format("a number from {} to {}", min, max));
    return fallback;
  }
  return *read;
}

std::vector<std::pair<std::string, SourceMark>> Fields::TextList(std::string_view key) const {
  std::vector<std::pair<std::string, SourceMark>> texts;
  ForEachItem(key, [&](const yaml::Value& item) {
    if (item.is_scalar()) {
      texts.emplace_back(item.text(), item.mark());
    } else {
      BadValue(key, item, "a list of texts");
    }
  });
  return texts;
}

void Fields::ForEach(std::string_view key,
                     const std::function<void(const yaml::Entry&)>& visit) const {
  const yaml::Value* value = Find(key);
  if (value == nullptr || value->is_null()) return;
  if (!value->is_mapping()) {
    BadValue(key, *value, "a mapping");
    return;
  }
  std::set<std::string_view> seen;
  for (const yaml::Entry& entry : value->entries()) {
    // A duplicate was recorded by the YAML reader, and the first one counts.
    if (seen.insert(entry.key).second) visit(entry);
  }
}

void Fields::ForEachItem(std::string_view key,
                         const std::function<void(const yaml::Value&)>& visit) const {
  const yaml::Value* value = Find(key);
  if (value == nullptr || value->is_null()) return;
  if (!value->is_sequence()) {
    BadValue(key, *value, "a list");
    return;
  }
  for (const yaml::Value& item : value->items()) visit(item);
}

void Fields::Error(std::string_view code, SourceMark mark, std::string message,
                   std::string hint) const {
  diagnostics_->Error(code, mark, std::move(message), std::move(hint));
}

void Fields::BadValue(std::string_view key, const yaml::Value& value,
                      std::string_view expected) const {
  Error(value.is_scalar() ? kErrManifestValue : kErrManifestKind,
        value.mark().line == 0 ? mark_ : value.mark(),
        fmt::format("'{}' of {} must be {}, not {}", key, where_, expected, value.Describe()));
}

void Fields::BadChoice(std::string_view key, const yaml::Value& value,
                       const std::vector<std::string>& names) const {
  if (!value.is_scalar()) {
    BadValue(key, value, fmt::format("one of {}", fmt::join(names, ", ")));
    return;
  }
  Error(kErrManifestValue, value.mark(),
        fmt::format("'{}' of {} must be one of {}, not '{}'", key, where_, fmt::join(names, ", "),
                    value.text()),
        NameHint(value.text(), names));
}

}  // namespace sluice::plugin::internal
