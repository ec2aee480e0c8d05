#include "engine/base/diagnostic.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(DiagnosticTest, PrintsTheOffendingLineWithACaret) {
  DiagnosticList list("g.yaml", "first\nnodes: { a: x }\nlast\n");
  list.Error("SLU-E099", {2, 10}, "unknown key 'a'", "did you mean 'b'?");
  EXPECT_EQ(list.Format(),
            "g.yaml:2:10: error: unknown key 'a' [SLU-E099]\n"
            "    2 | nodes: { a: x }\n"
            "      |          ^\n"
            "      = did you mean 'b'?\n");
}

TEST(DiagnosticTest, KeepsTabsBeforeTheCaretSoThatItLinesUp) {
  Diagnostic finding{.code = "C", .file = "f", .mark = {1, 3}, .message = "m"};
  EXPECT_EQ(FormatDiagnostic(finding, "\t\tx"),
            "f:1:3: error: m [C]\n    1 | \t\tx\n      | \t\t^\n");
}

TEST(DiagnosticTest, PlacesBeyondTheTextPrintOnlyTheHeadline) {
  Diagnostic finding{.code = "C", .file = "f", .mark = {9, 3}, .message = "m"};
  EXPECT_EQ(FormatDiagnostic(finding, "one line"), "f:9:3: error: m [C]\n");
}

TEST(DiagnosticTest, CutsVeryLongLinesAroundTheCaret) {
  std::string line(5000, 'x');
  line[3000] = '!';
  Diagnostic finding{.code = "C", .file = "f", .mark = {1, 3001}, .message = "m"};
  std::string text = FormatDiagnostic(finding, line);
  EXPECT_LT(text.size(), 400u);
  EXPECT_NE(text.find('!'), std::string::npos);
}

TEST(DiagnosticTest, ControlCharactersOfTheInputDoNotReachTheTerminal) {
  Diagnostic finding{.code = "C", .file = "f", .mark = {1, 1}, .message = "bad \x1b[31m key"};
  std::string text = FormatDiagnostic(finding, "\x1b[2J: x");
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

TEST(DiagnosticTest, WarningsAreNoErrors) {
  DiagnosticList list("f");
  list.Warn("W", {1, 1}, "w");
  EXPECT_FALSE(list.has_errors());
  list.Error("E", {1, 2}, "e");
  EXPECT_EQ(list.error_count(), 1u);
  EXPECT_EQ(list.ToError().code, Code::kInvalidArgument);
  EXPECT_EQ(list.ToError().message.find("warning"), std::string::npos);
}

TEST(NearestNameTest, FindsTyposTranspositionsAndCase) {
  std::vector<std::string> names = {"depth", "when_full", "vulkan.look"};
  EXPECT_EQ(NearestName("dept", names), "depth");
  EXPECT_EQ(NearestName("detph", names), "depth");
  EXPECT_EQ(NearestName("Vulkan.Look", names), "vulkan.look");
  EXPECT_EQ(NearestName("vulcan.look", names), "vulkan.look");
}

TEST(NearestNameTest, IsSilentWhenNothingIsNear) {
  std::vector<std::string> names = {"depth"};
  EXPECT_EQ(NearestName("width", names), "");
  EXPECT_EQ(NearestName(std::string(10000, 'd'), names), "");
}

}  // namespace
}  // namespace sluice
