#include "engine/yaml/packed.h"

#include <cstdint>
#include <limits>
#include <utility>

namespace sluice::yaml {
namespace {

enum class Tag : uint8_t { kNull, kPlain, kQuoted, kSequence, kMapping };

Tag TagOf(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kNull:
      return Tag::kNull;
    case Value::Kind::kScalar:
      return value.quoted() ? Tag::kQuoted : Tag::kPlain;
    case Value::Kind::kSequence:
      return Tag::kSequence;
    case Value::Kind::kMapping:
      return Tag::kMapping;
  }
  return Tag::kNull;
}

class Packer {
 public:
  std::string Take() { return std::move(out_); }

  void Add(const Value& value) {
    out_ += static_cast<char>(TagOf(value));
    Add(value.mark());
    if (value.is_scalar()) Add(value.text());
    if (value.is_sequence()) {
      Add(value.items().size());
      for (const Value& item : value.items()) Add(item);
    }
    if (value.is_mapping()) {
      Add(value.entries().size());
      for (const Entry& entry : value.entries()) {
        Add(entry.key);
        Add(entry.key_mark);
        Add(entry.value);
      }
    }
  }

 private:
  /// Seven bits at a time, the low ones first.
  void Add(uint64_t number) {
    for (; number >= 128; number >>= 7) out_ += static_cast<char>(number | 128);
    out_ += static_cast<char>(number);
  }
  void Add(SourceMark mark) {
    Add(static_cast<uint64_t>(mark.line));
    Add(static_cast<uint64_t>(mark.column));
  }
  void Add(const std::string& text) {
    Add(uint64_t{text.size()});
    out_ += text;
  }

  std::string out_;
};

/// Reads what may be anything: after the first fault everything is empty, and ok() false.
class Unpacker {
 public:
  Unpacker(std::string_view bytes, const Limits& limits) : bytes_(bytes), limits_(limits) {}

  bool ok() const { return ok_; }
  bool at_end() const { return bytes_.empty(); }

  Value Next(size_t depth) {
    if (depth > limits_.max_depth || ++nodes_ > limits_.max_nodes) return Fault();
    const uint8_t tag = Byte();
    const SourceMark mark = Mark();
    switch (Tag{tag}) {
      case Tag::kNull: {
        Value value;
        value.set_mark(mark);
        return value;
      }
      case Tag::kPlain:
      case Tag::kQuoted:
        return Value::Scalar(Text(), Tag{tag} == Tag::kQuoted, mark);
      case Tag::kSequence:
        return Sequence(mark, depth);
      case Tag::kMapping:
        return Mapping(mark, depth);
    }
    return Fault();
  }

 private:
  Value Fault() {
    ok_ = false;
    bytes_ = {};
    return {};
  }

  Value Sequence(SourceMark mark, size_t depth) {
    Value value = Value::Sequence(mark);
    for (uint64_t left = Number(); left > 0 && ok_; --left)
      value.items().push_back(Next(depth + 1));
    return value;
  }

  Value Mapping(SourceMark mark, size_t depth) {
    Value value = Value::Mapping(mark);
    for (uint64_t left = Number(); left > 0 && ok_; --left) {
      ++nodes_;  // its key, as the parser counts
      Entry entry;
      entry.key = Text();
      entry.key_mark = Mark();
      entry.value = Next(depth + 1);
      value.entries().push_back(std::move(entry));
    }
    return value;
  }

  uint8_t Byte() {
    if (bytes_.empty()) {
      Fault();
      return 0;
    }
    const auto byte = static_cast<uint8_t>(bytes_.front());
    bytes_.remove_prefix(1);
    return byte;
  }

  uint64_t Number() {
    uint64_t number = 0;
    for (unsigned shift = 0; shift < 63; shift += 7) {
      const uint8_t byte = Byte();
      number |= uint64_t{byte & 127U} << shift;
      if (byte < 128) return number;
    }
    Fault();
    return 0;
  }

  SourceMark Mark() {
    SourceMark mark;
    for (int* part : {&mark.line, &mark.column}) {
      const uint64_t number = Number();
      if (number > uint64_t{std::numeric_limits<int>::max()}) Fault();
      *part = static_cast<int>(number);
    }
    return mark;
  }

  std::string Text() {
    const uint64_t size = Number();
    if (size > bytes_.size()) {
      Fault();
      return {};
    }
    std::string text(bytes_.substr(0, size));
    bytes_.remove_prefix(size);
    return text;
  }

  std::string_view bytes_;
  const Limits limits_;
  size_t nodes_ = 0;
  bool ok_ = true;
};

}  // namespace

std::string Pack(const Value& value) {
  Packer packer;
  packer.Add(value);
  return packer.Take();
}

std::optional<Value> Unpack(std::string_view bytes, const Limits& limits) {
  Unpacker unpacker(bytes, limits);
  Value value = unpacker.Next(1);
  if (!unpacker.ok() || !unpacker.at_end()) return std::nullopt;
  return value;
}

}  // namespace sluice::yaml
