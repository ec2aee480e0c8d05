#include <string>

#include <gtest/gtest.h>

#include "engine/yaml/value.h"

namespace sluice::yaml {
namespace {

std::optional<Value> ParseText(const std::string& text, DiagnosticList* list,
                               const Limits& limits = {}) {
  list->SetSource("t.yaml", text);
  return Parse(text, list, limits);
}

/// The code of the only finding, or what went wrong.
std::string OnlyCode(const std::string& text, const Limits& limits = {}) {
  DiagnosticList list;
  (void)ParseText(text, &list, limits);
  if (list.items().size() != 1) return std::to_string(list.items().size()) + " findings";
  return list.items()[0].code;
}

TEST(YamlTest, KeepsPlacesOneBased) {
  DiagnosticList list;
  auto root = ParseText("a: 1\nb:\n  - x\n  - {c: d}\n", &list);
  ASSERT_TRUE(root) << list.Format();
  ASSERT_TRUE(root->is_mapping());
  EXPECT_EQ(root->entries()[1].key_mark, (SourceMark{2, 1}));
  const Value& items = root->entries()[1].value;
  ASSERT_EQ(items.items().size(), 2u);
  EXPECT_EQ(items.items()[0].mark(), (SourceMark{3, 5}));
  EXPECT_EQ(items.items()[1].entries()[0].value.mark(), (SourceMark{4, 9}));
}

TEST(YamlTest, InterpretsOnlyUnquotedScalars) {
  DiagnosticList list;
  auto root = ParseText(
      "[12, '12', true, \"true\", 0x10, 1.5, 1e400, -9223372036854775808, ~, 9223372036854775808]",
      &list);
  ASSERT_TRUE(root) << list.Format();
  const auto& items = root->items();
  EXPECT_EQ(items[0].AsInt(), 12);
  EXPECT_EQ(items[1].AsInt(), std::nullopt);
  EXPECT_EQ(items[2].AsBool(), true);
  EXPECT_EQ(items[3].AsBool(), std::nullopt);
  EXPECT_EQ(items[4].AsInt(), 16);
  EXPECT_EQ(items[5].AsDouble(), 1.5);
  EXPECT_EQ(items[6].AsDouble(), std::nullopt);
  EXPECT_EQ(items[7].AsInt(), INT64_MIN);
  EXPECT_TRUE(items[8].is_null());
  EXPECT_EQ(items[9].AsInt(), std::nullopt);
}

TEST(YamlTest, AnEmptyTextIsNull) {
  DiagnosticList list;
  auto root = ParseText("# nothing\n", &list);
  ASSERT_TRUE(root);
  EXPECT_TRUE(root->is_null());
}

TEST(YamlTest, MalformedTextNamesThePlace) {
  DiagnosticList list;
  EXPECT_FALSE(ParseText("a: [1, 2\nb: 3\n", &list));
  ASSERT_EQ(list.items().size(), 1u);
  EXPECT_EQ(list.items()[0].code, kErrSyntax);
  EXPECT_GT(list.items()[0].mark.line, 0);
  EXPECT_NE(list.Format().find("t.yaml:"), std::string::npos);
}

TEST(YamlTest, DuplicateKeysAreAllFoundAndTheTreeStaysUsable) {
  DiagnosticList list;
  auto root = ParseText("a: 1\na: 2\nb: {c: 1, c: 2}\n", &list);
  ASSERT_TRUE(root);
  ASSERT_EQ(list.items().size(), 2u);
  EXPECT_EQ(list.items()[0].code, kErrDuplicateKey);
  EXPECT_EQ(list.items()[0].mark, (SourceMark{2, 1}));
  EXPECT_EQ(list.items()[0].hint, "first given at 1:1");
  EXPECT_EQ(list.items()[1].mark, (SourceMark{3, 11}));
  EXPECT_EQ(root->Find("a")->text(), "1");
}

TEST(YamlTest, AliasesAreExpandedAtTheirOwnPlace) {
  DiagnosticList list;
  auto root = ParseText("a: &x {p: 1}\nb: *x\n", &list);
  ASSERT_TRUE(root) << list.Format();
  EXPECT_EQ(root->Find("b")->Find("p")->text(), "1");
  EXPECT_EQ(root->Find("b")->mark(), (SourceMark{2, 4}));
}

TEST(YamlTest, AnAliasInsideItsOwnAnchorIsAnError) {
  EXPECT_EQ(OnlyCode("&s [*s]"), kErrAliasCycle);
  EXPECT_EQ(OnlyCode("a: &s {b: {c: *s}}"), kErrAliasCycle);
}

TEST(YamlTest, AnAliasWithoutAnchorIsAnError) { EXPECT_EQ(OnlyCode("a: *nope"), kErrSyntax); }

TEST(YamlTest, AnAliasBombEndsInAnErrorNotInMemory) {
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 12; ++i) {
    std::string before = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) bomb += before + ",";
    bomb += "]\n";
  }
  EXPECT_EQ(OnlyCode(bomb), kErrTooManyNodes);
}

TEST(YamlTest, NestedAnchorsCannotMultiplyMemory) {
  std::string text;
  for (int i = 0; i < 60; ++i) text += "&a" + std::to_string(i) + " [";
  for (int i = 0; i < 5000; ++i) text += "x,";
  text += std::string(60, ']');
  EXPECT_EQ(OnlyCode(text), kErrTooManyNodes);
}

TEST(YamlTest, DepthIsLimitedAtTheLimit) {
  auto nested = [](int levels) {
    return std::string(levels, '[') + "x" + std::string(levels, ']');
  };
  EXPECT_EQ(OnlyCode(nested(63)), "0 findings");
  EXPECT_EQ(OnlyCode(nested(64)), kErrTooDeep);
  EXPECT_EQ(OnlyCode(nested(100000)), kErrTooDeep);
}

TEST(YamlTest, DepthIsLimitedThroughAliasesToo) {
  std::string text = "a: &a " + std::string(40, '[') + "x" + std::string(40, ']') +
                     "\nb: " + std::string(40, '[') + "*a" + std::string(40, ']') + "\n";
  EXPECT_EQ(OnlyCode(text), kErrTooDeep);
}

TEST(YamlTest, SizeAndNodesAreLimited) {
  EXPECT_EQ(OnlyCode("abcdef", {.max_bytes = 5}), kErrTooLarge);
  EXPECT_EQ(OnlyCode("[1,2,3]", {.max_nodes = 3}), kErrTooManyNodes);
  EXPECT_EQ(OnlyCode("[1,2,3]", {.max_nodes = 4}), "0 findings");
}

TEST(YamlTest, KeysMustBeScalars) {
  EXPECT_EQ(OnlyCode("{[a, b]: c}"), kErrKeyNotScalar);
  EXPECT_EQ(OnlyCode("? {a: b}\n: c\n"), kErrKeyNotScalar);
}

TEST(YamlTest, OneDocumentOnly) {
  EXPECT_EQ(OnlyCode("a: 1\n---\nb: 2\n"), kErrSeveralDocuments);
  EXPECT_EQ(OnlyCode("---\na: 1\n"), "0 findings");
}

TEST(YamlTest, BytesThatAreNotTextAreRefusedWithTheirPlace) {
  EXPECT_EQ(OnlyCode(std::string("a: \0b", 5)), kErrEncoding);
  EXPECT_EQ(OnlyCode("\xff\xfe"), kErrEncoding);
  DiagnosticList list;
  EXPECT_FALSE(ParseText("a: 1\nb: \x01", &list));
  EXPECT_EQ(list.items()[0].mark, (SourceMark{2, 4}));
}

TEST(YamlTest, GarbageNeverCrashes) {
  // A fixed generator: the same texts in every run.
  uint32_t state = 1;
  const std::string alphabet = "ab:-[]{}&*!|>'\"%@`#, \n\t?~0";
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (int i = 0; i < 40; ++i) {
      state = state * 1664525u + 1013904223u;
      text += alphabet[(state >> 16) % alphabet.size()];
    }
    DiagnosticList list;
    auto root = ParseText(text, &list);
    EXPECT_TRUE(root || list.has_errors()) << text;
    (void)list.Format();
  }
}

TEST(YamlTest, UnknownKeysNameTheNearest) {
  DiagnosticList list;
  auto root = ParseText("{dept: 1, when_full: block}", &list);
  CheckKeys(*root, {"depth", "when_full"}, "queue", "SLU-E103", &list);
  ASSERT_EQ(list.items().size(), 1u);
  EXPECT_EQ(list.items()[0].message, "unknown key 'dept' in queue");
  EXPECT_EQ(list.items()[0].hint, "did you mean 'depth'?");
}

}  // namespace
}  // namespace sluice::yaml
