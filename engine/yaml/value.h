#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/diagnostic.h"

namespace sluice::yaml {

class Value;

/// One `key: value` of a mapping, with the place of the key.
struct Entry;

/// A node of a parsed text: null, scalar, sequence or mapping, with its place.
/// Aliases are expanded. Scalars keep their text; the As functions interpret it.
/// Plain data; copying copies the subtree.
class Value {
 public:
  enum class Kind { kNull, kScalar, kSequence, kMapping };

  Value();
  static Value Scalar(std::string text, bool quoted, SourceMark mark);
  static Value Sequence(SourceMark mark);
  static Value Mapping(SourceMark mark);

  Kind kind() const { return kind_; }
  bool is_null() const { return kind_ == Kind::kNull; }
  bool is_scalar() const { return kind_ == Kind::kScalar; }
  bool is_sequence() const { return kind_ == Kind::kSequence; }
  bool is_mapping() const { return kind_ == Kind::kMapping; }
  /// "a list", "a mapping", "'text'": for messages.
  std::string Describe() const;

  SourceMark mark() const { return mark_; }
  void set_mark(SourceMark mark) { mark_ = mark; }

  /// A scalar's text as written (quotes removed); "" for the other kinds.
  const std::string& text() const { return text_; }
  /// The scalar was quoted or a block, so it is a string whatever it looks like.
  bool quoted() const { return quoted_; }
  void set_text(std::string text) { text_ = std::move(text); }

  /// Unquoted true/false only (YAML 1.2).
  std::optional<bool> AsBool() const;
  /// Unquoted decimal or 0x integers that fit.
  std::optional<int64_t> AsInt() const;
  /// Unquoted finite numbers.
  std::optional<double> AsDouble() const;

  const std::vector<Value>& items() const { return items_; }
  std::vector<Value>& items() { return items_; }
  const std::vector<Entry>& entries() const { return entries_; }
  std::vector<Entry>& entries() { return entries_; }
  /// The value of the first entry `key`; nullptr if there is none or this is no mapping.
  const Value* Find(std::string_view key) const;

 private:
  Kind kind_ = Kind::kNull;
  SourceMark mark_;
  bool quoted_ = false;
  std::string text_;
  std::vector<Value> items_;
  std::vector<Entry> entries_;
};

struct Entry {
  std::string key;
  SourceMark key_mark;
  Value value;
};

struct Limits {
  size_t max_bytes = size_t{1} << 20;
  size_t max_depth = 64;
  /// Scalars, sequences and mappings, after alias expansion.
  size_t max_nodes = 100'000;
};

/// Codes of this module's findings.
inline constexpr std::string_view kErrSyntax = "SLU-E001";
inline constexpr std::string_view kErrDuplicateKey = "SLU-E002";
inline constexpr std::string_view kErrTooLarge = "SLU-E003";
inline constexpr std::string_view kErrTooDeep = "SLU-E004";
inline constexpr std::string_view kErrTooManyNodes = "SLU-E005";
inline constexpr std::string_view kErrAliasCycle = "SLU-E006";
inline constexpr std::string_view kErrKeyNotScalar = "SLU-E007";
inline constexpr std::string_view kErrSeveralDocuments = "SLU-E008";
inline constexpr std::string_view kErrEncoding = "SLU-E009";

/// Parses one YAML document. Findings go to `diagnostics`, whose source must be
/// the text (SetSource). Returns nothing when there is no whole tree; a tree
/// with duplicate keys is returned (the first one counts), with the finding
/// recorded, so that a caller can go on to report more.
/// Threads: [thread-safe].
std::optional<Value> Parse(std::string_view text, DiagnosticList* diagnostics,
                           const Limits& limits = {});

/// Records an unknown-key finding with the nearest of `known` for every entry
/// of `mapping` whose key is not among them.
void CheckKeys(const Value& mapping, const std::vector<std::string>& known, std::string_view where,
               std::string_view code, DiagnosticList* diagnostics);

}  // namespace sluice::yaml
