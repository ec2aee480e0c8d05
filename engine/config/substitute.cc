#include "engine/config/substitute.h"

#include <vector>

#include <fmt/format.h>

#include "engine/graph/codes.h"

namespace sluice::config {

using graph::kErrSubstitution;

const yaml::Value* Substitution::Lookup(const std::string& name, SourceMark mark) {
  auto found = values_.find(name);
  if (found == values_.end()) {
    std::vector<std::string> names;
    for (const auto& [known, value] : values_) names.push_back(known);
    diagnostics_->Error(kErrSubstitution, mark, fmt::format("there is no parameter '{}'", name),
                        names.empty() ? "declare it under params" : NameHint(name, names));
    return nullptr;
  }
  used_.insert(name);
  if (found->second.is_null()) {
    diagnostics_->Error(kErrSubstitution, mark, fmt::format("parameter '{}' has no value", name),
                        fmt::format("give one: --set {}=VALUE", name));
    return nullptr;
  }
  return &found->second;
}

void Substitution::Apply(yaml::Value* value) {
  if (value->is_scalar() && !ApplyToScalar(value)) {
    failed_.insert({value->mark().line, value->mark().column});
    return;
  }
  for (yaml::Value& item : value->items()) Apply(&item);
  for (yaml::Entry& entry : value->entries()) Apply(&entry.value);
}

bool Substitution::ApplyToScalar(yaml::Value* value) {
  const std::string text = value->text();
  if (text.find("${") == std::string::npos) return true;
  std::string out;
  size_t at = 0;
  while (at < text.size()) {
    const size_t open = text.find("${", at);
    if (open == std::string::npos) break;
    if (open > at && text[open - 1] == '$') {
      out += text.substr(at, open - at) + "{";
      at = open + 2;
      continue;
    }
    const size_t close = text.find('}', open);
    if (close == std::string::npos) {
      diagnostics_->Error(kErrSubstitution, value->mark(), "'${' without '}'",
                          "write $${ for a literal ${");
      return false;
    }
    const yaml::Value* found = Lookup(text.substr(open + 2, close - open - 2), value->mark());
    if (found == nullptr) return false;
    if (open == 0 && close + 1 == text.size()) {
      const SourceMark mark = value->mark();
      *value = *found;
      value->set_mark(mark);
      return true;
    }
    if (!found->is_scalar()) {
      diagnostics_->Error(kErrSubstitution, value->mark(),
                          fmt::format("{} cannot be put inside a text", found->Describe()));
      return false;
    }
    out += text.substr(at, open - at) + found->text();
    at = close + 1;
  }
  value->set_text(out + text.substr(at));
  return true;
}

}  // namespace sluice::config
