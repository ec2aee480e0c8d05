#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace sluice {

/// A place in a text; both 1-based, columns in bytes. 0 = unknown.
struct SourceMark {
  int line = 0;
  int column = 0;
  friend bool operator==(const SourceMark&, const SourceMark&) = default;
};

enum class Severity { kError, kWarning };

/// One finding about an input text. `code` is stable across versions
/// (docs/graph-language.md lists them); `message` and `hint` are for people.
struct Diagnostic {
  Severity severity = Severity::kError;
  std::string code;
  std::string file;
  SourceMark mark;
  std::string message;
  /// What would help, e.g. "did you mean 'look'?". May be empty.
  std::string hint;

  /// "file:line:column: error: message [code]"; the hint is left out.
  std::string Headline() const;
};

/// The headline, the offending line of `source` with a caret under the column,
/// and the hint. `source` may be empty: then only headline and hint.
std::string FormatDiagnostic(const Diagnostic& diagnostic, std::string_view source);

/// Collects findings of one text, so that all can be shown at once.
class DiagnosticList {
 public:
  explicit DiagnosticList(std::string file = {}, std::string source = {})
      : file_(std::move(file)), source_(std::move(source)) {}

  void Error(std::string_view code, SourceMark mark, std::string message, std::string hint = {});
  void Warn(std::string_view code, SourceMark mark, std::string message, std::string hint = {});
  void Add(Diagnostic diagnostic) { items_.push_back(std::move(diagnostic)); }

  /// Names the text that later findings are about and that Format() quotes from.
  void SetSource(std::string file, std::string source) {
    file_ = std::move(file);
    source_ = std::move(source);
  }

  const std::vector<Diagnostic>& items() const { return items_; }
  const std::string& file() const { return file_; }
  const std::string& source() const { return source_; }
  bool has_errors() const;
  size_t error_count() const;
  /// By place, errors and warnings mixed; equal places keep their order.
  void SortByPlace();
  /// All findings as FormatDiagnostic() prints them.
  std::string Format() const;
  /// InvalidArgument with all errors formatted. Requires has_errors().
  sluice::Error ToError() const;

 private:
  std::string file_;
  std::string source_;
  std::vector<Diagnostic> items_;
};

/// The candidate that `name` was probably meant to be, or "" if none is near:
/// Damerau-Levenshtein distance up to a third of the length, case ignored; ties
/// go to the alphabetically first.
std::string NearestName(std::string_view name, std::span<const std::string> candidates);

/// "did you mean 'x'?", or a list of what there is when it is short, or "".
std::string NameHint(std::string_view name, std::span<const std::string> candidates);

}  // namespace sluice
