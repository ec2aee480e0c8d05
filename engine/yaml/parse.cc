#include <algorithm>
#include <istream>
#include <map>
#include <set>
#include <streambuf>
#include <string>

#include <fmt/format.h>
#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include "engine/yaml/value.h"

namespace sluice::yaml {
namespace {

SourceMark FromMark(const YAML::Mark& mark) {
  if (mark.is_null()) return {};
  return {mark.line + 1, mark.column + 1};
}

struct Weight {
  size_t nodes = 1;
  size_t depth = 1;
};

Weight Weigh(const Value& value) {
  Weight weight;
  auto add = [&weight](const Value& child) {
    Weight inner = Weigh(child);
    weight.nodes += inner.nodes;
    weight.depth = std::max(weight.depth, inner.depth + 1);
  };
  for (const Value& item : value.items()) add(item);
  for (const Entry& entry : value.entries()) {
    weight.nodes += 1;  // its key
    add(entry.value);
  }
  return weight;
}

/// Builds the tree from yaml-cpp's events. Working on events rather than on
/// YAML::Node is what makes aliases safe: an alias is copied here, counted, and
/// one to a collection that is still open is an error instead of an endless tree.
/// After the first finding that leaves no whole tree, the rest is ignored.
class Builder final : public YAML::EventHandler {
 public:
  Builder(const Limits& limits, DiagnosticList* diagnostics)
      : limits_(limits), diagnostics_(diagnostics) {}

  bool failed() const { return failed_; }
  Value TakeRoot() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Value value;
    value.set_mark(FromMark(mark));
    Place(std::move(value), anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    // yaml-cpp tags plain scalars "?", quoted and block ones "!"; "!!str" counts as quoted.
    const bool quoted = tag == "!" || tag == "tag:yaml.org,2002:str";
    if (!quoted && (text == "~" || text == "null" || text == "Null" || text == "NULL")) {
      OnNull(mark, anchor);
      return;
    }
    Place(Value::Scalar(text, quoted, FromMark(mark)), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (failed_) return;
    if (open_anchors_.contains(anchor)) {
      Abort(kErrAliasCycle, FromMark(mark), "an alias refers to what contains it");
      return;
    }
    auto found = anchors_.find(anchor);
    if (found == anchors_.end()) {
      Abort(kErrSyntax, FromMark(mark), "an alias refers to no anchor");
      return;
    }
    // Checked before the copy: a bomb must not be allowed to explode first.
    const Anchored& anchored = found->second;
    if (!Count(anchored.weight, FromMark(mark))) return;
    Value copy = anchored.value;
    copy.set_mark(FromMark(mark));
    Attach(std::move(copy));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(Value::Sequence(FromMark(mark)), anchor);
  }
  void OnSequenceEnd() override { Close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(Value::Mapping(FromMark(mark)), anchor);
  }
  void OnMapEnd() override { Close(); }

 private:
  struct Anchored {
    Value value;
    Weight weight;
  };
  struct Level {
    Value value;
    YAML::anchor_t anchor = 0;
    bool have_key = false;
    std::string key;
    SourceMark key_mark;
    std::set<std::string, std::less<>> keys;
  };

  void Abort(std::string_view code, SourceMark mark, std::string message) {
    if (failed_) return;
    failed_ = true;
    diagnostics_->Error(code, mark, std::move(message));
  }

  bool Count(const Weight& weight, SourceMark mark) {
    node_count_ += weight.nodes;
    if (node_count_ > limits_.max_nodes) {
      Abort(kErrTooManyNodes, mark,
            fmt::format("more than {} values after alias expansion", limits_.max_nodes));
      return false;
    }
    if (stack_.size() + weight.depth > limits_.max_depth) {
      Abort(kErrTooDeep, mark, fmt::format("nested deeper than {} levels", limits_.max_depth));
      return false;
    }
    return true;
  }

  void Open(Value value, YAML::anchor_t anchor) {
    if (failed_) return;
    if (!Count({}, value.mark())) return;
    if (anchor != 0) open_anchors_.insert(anchor);
    Level level;
    level.value = std::move(value);
    level.anchor = anchor;
    stack_.push_back(std::move(level));
  }

  void Close() {
    if (failed_) return;
    Level level = std::move(stack_.back());
    stack_.pop_back();
    open_anchors_.erase(level.anchor);
    Remember(level.value, level.anchor);
    Attach(std::move(level.value));
  }

  /// A value that came whole: counts it and puts it into the open collection.
  void Place(Value value, YAML::anchor_t anchor) {
    if (failed_ || !Count({}, value.mark())) return;
    Remember(value, anchor);
    Attach(std::move(value));
  }

  void Remember(const Value& value, YAML::anchor_t anchor) {
    if (anchor == 0) return;
    anchored_nodes_ += Weigh(value).nodes;
    // Anchors nested in anchors would be kept several times over.
    if (anchored_nodes_ > limits_.max_nodes) {
      Abort(kErrTooManyNodes, value.mark(),
            fmt::format("more than {} values under anchors", limits_.max_nodes));
      return;
    }
    anchors_[anchor] = {value, Weigh(value)};
  }

  void Attach(Value value) {
    if (failed_) return;
    if (stack_.empty()) {
      root_ = std::move(value);
      return;
    }
    Level& level = stack_.back();
    if (level.value.is_sequence()) {
      level.value.items().push_back(std::move(value));
    } else if (!level.have_key) {
      TakeKey(&level, std::move(value));
    } else {
      level.have_key = false;
      level.value.entries().push_back({std::move(level.key), level.key_mark, std::move(value)});
    }
  }

  void TakeKey(Level* level, Value value) {
    if (!value.is_scalar()) {
      Abort(kErrKeyNotScalar, value.mark(), "a key must be a plain word, not " + value.Describe());
      return;
    }
    level->have_key = true;
    level->key = value.text();
    level->key_mark = value.mark();
    if (level->keys.insert(level->key).second) return;
    SourceMark first;
    for (const Entry& entry : level->value.entries()) {
      if (entry.key == level->key) first = entry.key_mark;
    }
    diagnostics_->Error(kErrDuplicateKey, level->key_mark,
                        fmt::format("duplicate key '{}'", level->key),
                        fmt::format("first given at {}:{}", first.line, first.column));
  }

  const Limits limits_;
  DiagnosticList* const diagnostics_;
  std::vector<Level> stack_;
  std::map<YAML::anchor_t, Anchored> anchors_;
  std::set<YAML::anchor_t> open_anchors_;
  Value root_;
  size_t node_count_ = 0;
  size_t anchored_nodes_ = 0;
  bool failed_ = false;
};

/// Reads the caller's bytes without copying them.
class ViewBuffer final : public std::streambuf {
 public:
  explicit ViewBuffer(std::string_view text) {
    char* begin = const_cast<char*>(text.data());  // never written: this buffer is input only
    setg(begin, begin, begin + text.size());
  }
};

SourceMark PlaceOf(std::string_view text, size_t offset) {
  SourceMark mark{1, 1};
  for (char c : text.substr(0, offset)) {
    if (c == '\n') {
      ++mark.line;
      mark.column = 1;
    } else {
      ++mark.column;
    }
  }
  return mark;
}

/// Tags the first byte that no graph or manifest may hold. yaml-cpp guesses
/// UTF-16 and UTF-32 from such bytes, and its marks then fit no line of ours.
/// Bytes of the character that begins at `at`; 0 where none does.
/// Spec: The Unicode Standard, table 3-7 (well-formed UTF-8 byte sequences).
size_t CharacterBytes(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const size_t count = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4) return 0;
  for (size_t i = 1; i < count; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const unsigned second = byte(1);
  const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
  const bool surrogate = first == 0xed && second > 0x9f;
  const bool beyond = first == 0xf4 && second > 0x8f;
  return overlong || surrogate || beyond ? 0 : count;
}

bool CheckBytes(std::string_view text, DiagnosticList* diagnostics) {
  for (size_t i = 0, bytes = 0; i < text.size(); i += bytes) {
    const auto c = static_cast<unsigned char>(text[i]);
    const bool control = (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f;
    bytes = CharacterBytes(text, i);
    if (!control && bytes > 0) continue;
    diagnostics->Error(kErrEncoding, PlaceOf(text, i),
                       fmt::format("byte 0x{:02x} does not belong in a UTF-8 text", c));
    return false;
  }
  return true;
}

}  // namespace

std::optional<Value> Parse(std::string_view text, DiagnosticList* diagnostics,
                           const Limits& limits) {
  if (text.size() > limits.max_bytes) {
    diagnostics->Error(
        kErrTooLarge, {},
        fmt::format("the text has {} bytes; {} are the limit", text.size(), limits.max_bytes));
    return std::nullopt;
  }
  if (!CheckBytes(text, diagnostics)) return std::nullopt;
  Builder builder(limits, diagnostics);
  try {
    ViewBuffer buffer(text);
    std::istream stream(&buffer);
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder)) return Value();
    if (builder.failed()) return std::nullopt;
    Builder second(limits, diagnostics);
    if (parser.HandleNextDocument(second)) {
      diagnostics->Error(kErrSeveralDocuments, {}, "more than one document in the text",
                         "a file holds one document; remove what follows the second '---'");
      return std::nullopt;
    }
  } catch (const YAML::DeepRecursion& error) {
    if (!builder.failed()) {
      diagnostics->Error(kErrTooDeep, FromMark(error.mark),
                         fmt::format("nested deeper than {} levels", limits.max_depth));
    }
    return std::nullopt;
  } catch (const YAML::Exception& error) {
    if (!builder.failed()) diagnostics->Error(kErrSyntax, FromMark(error.mark), error.msg);
    return std::nullopt;
  } catch (const std::exception& error) {
    diagnostics->Error(kErrSyntax, {}, error.what());
    return std::nullopt;
  }
  return builder.TakeRoot();
}

}  // namespace sluice::yaml
