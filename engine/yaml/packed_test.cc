#include "engine/yaml/packed.h"

#include <string>

#include <gtest/gtest.h>

namespace sluice::yaml {
namespace {

constexpr char kText[] =
    "name: core  # a comment\n"
    "empty:\n"
    "list: [1, \"1\", { a: b }, []]\n"
    "base: &base { x: 1, y: 2 }\n"
    "again: *base\n"
    "doc: |\n"
    "  Two lines,\n"
    "  and \xC3\xBC.\n";

Value Parsed(const std::string& text) {
  DiagnosticList diagnostics("test", text);
  return Parse(text, &diagnostics).value();
}

void ExpectSame(const Value& a, const Value& b) {
  EXPECT_EQ(a.kind(), b.kind());
  EXPECT_EQ(a.mark(), b.mark());
  EXPECT_EQ(a.text(), b.text());
  EXPECT_EQ(a.quoted(), b.quoted());
  ASSERT_EQ(a.items().size(), b.items().size());
  for (size_t i = 0; i < a.items().size(); ++i) ExpectSame(a.items()[i], b.items()[i]);
  ASSERT_EQ(a.entries().size(), b.entries().size());
  for (size_t i = 0; i < a.entries().size(); ++i) {
    EXPECT_EQ(a.entries()[i].key, b.entries()[i].key);
    EXPECT_EQ(a.entries()[i].key_mark, b.entries()[i].key_mark);
    ExpectSame(a.entries()[i].value, b.entries()[i].value);
  }
}

TEST(PackedTest, ATreeComesBackAsItWas) {
  const Value tree = Parsed(kText);
  const auto again = Unpack(Pack(tree));
  ASSERT_TRUE(again);
  ExpectSame(tree, *again);
}

TEST(PackedTest, WhatIsCutOffOrTooLongIsNoTree) {
  const std::string whole = Pack(Parsed(kText));
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(Unpack(whole.substr(0, size))) << size;
  EXPECT_FALSE(Unpack(whole + '\0'));
}

TEST(PackedTest, NoByteIsBelieved) {
  const std::string whole = Pack(Parsed(kText));
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const int value : {0, 3, 4, 5, 127, 128, 255}) {
      std::string changed = whole;
      changed[at] = static_cast<char>(value);
      // A tree or none, and nothing read that is not there (the sanitizers look).
      (void)Unpack(changed);
    }
  }
}

TEST(PackedTest, TheLimitsHold) {
  const std::string whole = Pack(Parsed("a: [[[[1]]]]\n"));
  EXPECT_TRUE(Unpack(whole, {.max_depth = 6, .max_nodes = 7}));
  EXPECT_FALSE(Unpack(whole, {.max_depth = 5, .max_nodes = 7}));
  EXPECT_FALSE(Unpack(whole, {.max_depth = 6, .max_nodes = 6}));
}

}  // namespace
}  // namespace sluice::yaml
