#include "engine/base/diagnostic.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include <fmt/format.h>

namespace sluice {
namespace {

constexpr size_t kMaxQuotedColumns = 160;
constexpr size_t kMaxNameLength = 64;

/// Input text goes to a terminal: control characters other than tab become '?'.
std::string Printable(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f) c = '?';
  }
  return out;
}

/// The 1-based `line` of `source` without its end; nothing if there is none.
std::optional<std::string_view> LineOf(std::string_view source, int line) {
  size_t begin = 0;
  for (int i = 1; i < line; ++i) {
    size_t end = source.find('\n', begin);
    if (end == std::string_view::npos) return std::nullopt;
    begin = end + 1;
  }
  if (begin > source.size() || source.empty()) return std::nullopt;
  size_t end = source.find('\n', begin);
  std::string_view text = source.substr(begin, end == std::string_view::npos ? end : end - begin);
  if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
  return text;
}

std::string Excerpt(const Diagnostic& diagnostic, std::string_view source) {
  if (diagnostic.mark.line <= 0) return {};
  std::optional<std::string_view> found = LineOf(source, diagnostic.mark.line);
  if (!found) return {};
  std::string_view line = *found;
  size_t caret = diagnostic.mark.column > 0 ? static_cast<size_t>(diagnostic.mark.column) - 1 : 0;
  caret = std::min(caret, line.size());
  if (line.size() > kMaxQuotedColumns) {
    size_t begin = caret > kMaxQuotedColumns / 2 ? caret - kMaxQuotedColumns / 2 : 0;
    line = line.substr(begin, kMaxQuotedColumns);
    caret -= begin;
  }
  // Tabs stay tabs, so that the caret is under its character at any tab width.
  std::string padding(line.substr(0, caret));
  for (char& c : padding) {
    if (c != '\t') c = ' ';
  }
  return fmt::format("{:>5} | {}\n      | {}^\n", diagnostic.mark.line, Printable(line), padding);
}

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

/// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), previous(b.size() + 1), current(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) previous[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
      current[j] = std::min({previous[j] + 1, current[j - 1] + 1, previous[j - 1] + cost});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        current[j] = std::min(current[j], before[j - 2] + 1);
      }
    }
    std::swap(before, previous);
    std::swap(previous, current);
  }
  return previous[b.size()];
}

}  // namespace

std::string Diagnostic::Headline() const {
  std::string place = file;
  if (mark.line > 0) place += fmt::format(":{}:{}", mark.line, std::max(mark.column, 1));
  if (!place.empty()) place += ": ";
  return fmt::format("{}{}: {} [{}]", place, severity == Severity::kError ? "error" : "warning",
                     Printable(message), code);
}

std::string FormatDiagnostic(const Diagnostic& diagnostic, std::string_view source) {
  std::string out = diagnostic.Headline() + "\n" + Excerpt(diagnostic, source);
  if (!diagnostic.hint.empty()) out += fmt::format("      = {}\n", Printable(diagnostic.hint));
  return out;
}

void DiagnosticList::Error(std::string_view code, SourceMark mark, std::string message,
                           std::string hint) {
  items_.push_back(
      {Severity::kError, std::string(code), file_, mark, std::move(message), std::move(hint)});
}

void DiagnosticList::Warn(std::string_view code, SourceMark mark, std::string message,
                          std::string hint) {
  items_.push_back(
      {Severity::kWarning, std::string(code), file_, mark, std::move(message), std::move(hint)});
}

bool DiagnosticList::has_errors() const { return error_count() > 0; }

size_t DiagnosticList::error_count() const {
  return static_cast<size_t>(std::count_if(items_.begin(), items_.end(), [](const Diagnostic& d) {
    return d.severity == Severity::kError;
  }));
}

void DiagnosticList::SortByPlace() {
  std::stable_sort(items_.begin(), items_.end(), [](const Diagnostic& a, const Diagnostic& b) {
    return std::pair(a.mark.line, a.mark.column) < std::pair(b.mark.line, b.mark.column);
  });
}

std::string DiagnosticList::Format() const {
  std::string out;
  for (const Diagnostic& item : items_) out += FormatDiagnostic(item, source_);
  return out;
}

sluice::Error DiagnosticList::ToError() const {
  std::string out;
  for (const Diagnostic& item : items_) {
    if (item.severity == Severity::kError) out += FormatDiagnostic(item, source_);
  }
  if (!out.empty()) out.pop_back();
  return {Code::kInvalidArgument, std::move(out)};
}

std::string NearestName(std::string_view name, std::span<const std::string> candidates) {
  if (name.empty() || name.size() > kMaxNameLength) return {};
  const std::string wanted = Lower(name);
  size_t best_distance = std::max<size_t>(1, name.size() / 3) + 1;
  std::string best;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kMaxNameLength) continue;
    size_t distance = EditDistance(wanted, Lower(candidate));
    if (distance < best_distance ||
        (distance == best_distance && !best.empty() && candidate < best)) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string NameHint(std::string_view name, std::span<const std::string> candidates) {
  if (std::string nearest = NearestName(name, candidates); !nearest.empty()) {
    return fmt::format("did you mean '{}'?", nearest);
  }
  if (candidates.empty() || candidates.size() > 16) return {};
  return fmt::format("there is: {}", fmt::join(candidates, ", "));
}

}  // namespace sluice
