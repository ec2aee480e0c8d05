// Every reader of text, given thousands of texts that are nearly right: it takes them or says what
// is wrong and where, and what it takes holds what its header promises. With the sanitizers this
// looks for reads beyond the text, too.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "engine/config/load.h"
#include "engine/config/schema.h"
#include "engine/graph/node_type.h"
#include "engine/plugin/manifest.h"
#include "engine/profile/record.h"
#include "nodes/vulkan/filters/cube.h"
#include "nodes/vulkan/glsl.h"
#include "tests/robustness/mutator.h"

namespace sluice {
namespace {

using testing::Escaped;
using testing::Mutator;

/// For each reader. SLUICE_TEXTS=200000 looks longer.
int Texts() {
  static const char* const given = std::getenv("SLUICE_TEXTS");
  static const int count = given != nullptr ? std::max(1, std::atoi(given)) : 3000;
  return count;
}

std::string ReadText(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The texts of all files in `folder` and below whose names end so. Never none.
std::vector<std::string> TextsOf(const std::string& folder, const std::string& ending) {
  std::set<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().string().ends_with(ending)) paths.insert(entry.path());
  }
  std::vector<std::string> texts;
  for (const auto& path : paths) texts.push_back(ReadText(path));
  EXPECT_FALSE(texts.empty()) << folder;
  return texts;
}

std::vector<std::string> Manifests() { return TextsOf("nodes", ".sluice.yaml"); }

/// Gives `check` so many texts; stops at the first that fails, and shows it.
void ForEach(Mutator mutator, const std::function<void(const std::string&)>& check) {
  for (int i = 0; i < Texts(); ++i) {
    const std::string text = mutator.Next();
    check(text);
    if (::testing::Test::HasFailure()) {
      FAIL() << "text " << i << ":\n" << Escaped(text);
    }
  }
}

/// A finding can be shown, and is at a place that the text has.
void CheckFindings(const DiagnosticList& list, const std::string& text) {
  const auto lines = 1 + std::count(text.begin(), text.end(), '\n');
  for (const Diagnostic& finding : list.items()) {
    EXPECT_TRUE(finding.code.starts_with("SLU-")) << finding.code;
    EXPECT_FALSE(finding.message.empty());
    EXPECT_GE(finding.mark.line, 0);
    EXPECT_LE(finding.mark.line, lines + 1) << finding.Headline();
    EXPECT_GE(finding.mark.column, 0);
    EXPECT_FALSE(FormatDiagnostic(finding, text).empty());
  }
}

TEST(TextsTest, AGraphIsTakenOrItsFaultsHavePlacesAndCodes) {
  graph::TypeList types;
  for (const std::string& text : Manifests()) {
    const auto manifest = plugin::ParseManifest(text, "m.yaml");
    ASSERT_TRUE(manifest.has_value()) << manifest.error().message;
    for (const plugin::ManifestNode& node : manifest->nodes) types.Add(node.type);
  }
  const std::vector<std::string> words = {
      "${",        "${clip}",    " -> ",      "nodes:", "edges:",      "&a ",
      "*a",        "<<: ",       "!!binary ", "|\n",    "vulkan.look", "core.testsrc",
      "1920x1080", "30000/1001", "5ms",       "? ",     "- "};
  int taken = 0;
  ForEach(Mutator(1, TextsOf("graphs", ".yaml"), words), [&](const std::string& text) {
    DiagnosticList list("g.yaml", text);
    const auto graph = config::LoadGraph(text, "g.yaml", {}, types, &list);
    EXPECT_NE(graph.has_value(), list.has_errors()) << list.Format();
    CheckFindings(list, text);
    taken += graph.has_value() ? 1 : 0;
  });
  EXPECT_GT(taken, Texts() / 100) << "hardly any text comes as far as the later checks";
  EXPECT_LT(taken, Texts());
}

TEST(TextsTest, AManifestIsTakenOrItsFaultsHavePlacesAndCodes) {
  const std::vector<std::string> words = {
      "\xc0",      "nodes:",      "ports:", "params:", "range: [1, 0]",
      "default: ", "type: float", "&a ",    "*a",      "<<: "};
  int taken = 0;
  ForEach(Mutator(2, Manifests(), words), [&](const std::string& text) {
    DiagnosticList list("m.yaml", text);
    const auto manifest = plugin::ParseManifest(text, "m.yaml", &list);
    EXPECT_NE(manifest.has_value(), list.has_errors()) << list.Format();
    CheckFindings(list, text);
    if (!manifest) return;
    ++taken;
    graph::TypeList types;
    for (const plugin::ManifestNode& node : manifest->nodes) types.Add(node.type);
    EXPECT_TRUE(config::GraphSchema(types).ends_with("}\n"));
  });
  EXPECT_GT(taken, Texts() / 100);
  EXPECT_LT(taken, Texts());
}

TEST(TextsTest, AProfileIsTakenOrSaysWhyNotAndComesBackAsItWasWritten) {
  profile::Record record;
  record.measured = "2026-11-30T02:40:17Z";
  record.figures = {{"memory copy", "B/s", 12e9, ""},
                    {"wake", "ns", 5200, ""},
                    {"udmabuf", "B/s", 0, "no /dev/udmabuf"}};
  record.Put({"vulkan",
              "llvmpipe",
              "Mesa 25",
              std::string(32, 'a'),
              true,
              record.measured,
              {{"submit", "ns", 3300, ""}}});
  int taken = 0;
  ForEach(Mutator(3, {profile::ToText(record)},
                  {"null", "true", "[]", "{}", "\\u0000", "1e308", "\"figures\":"}),
          [&](const std::string& text) {
            const auto parsed = profile::Parse(text);
            if (!parsed) {
              EXPECT_FALSE(parsed.error().message.empty());
              return;
            }
            ++taken;
            const auto again = profile::Parse(profile::ToText(*parsed));
            ASSERT_TRUE(again.has_value()) << again.error().message;
            EXPECT_EQ(again->figures, parsed->figures);
            EXPECT_EQ(again->devices, parsed->devices);
          });
  EXPECT_GT(taken, Texts() / 100);
}

TEST(TextsTest, AColourTableIsTakenWithAllItsEntriesOrTheLineIsNamed) {
  const std::string curve = "LUT_1D_SIZE 4\n0 0 0\n0.3 0.3 0.3\n0.6 0.6 0.6\n1 1 1\n";
  const std::string cube =
      "TITLE \"t\"\nDOMAIN_MIN 0 0 0\nDOMAIN_MAX 1 1 1\nLUT_3D_SIZE 2\n0 0 0\n1 0 0\n0 1 0\n1 1 "
      "0\n0 0 1\n1 0 1\n0 1 1\n1 1 1\n";
  int taken = 0;
  ForEach(Mutator(4, {curve, cube},
                  {"LUT_3D_SIZE ", "LUT_1D_SIZE ", "DOMAIN_MIN ", "DOMAIN_MAX ", "65537", "129",
                   "TITLE "}),
          [&](const std::string& text) {
            const auto lut = vulkan::ParseCube(text, "t.cube");
            if (!lut) {
              EXPECT_TRUE(lut.error().message.starts_with("t.cube")) << lut.error().message;
              return;
            }
            ++taken;
            const uint64_t size = lut->size;
            EXPECT_EQ(lut->entries.size(), lut->dimensions == 1 ? size : size * size * size);
            EXPECT_LE(size, lut->dimensions == 1 ? vulkan::kMaxCube1dSize : vulkan::kMaxCube3dSize);
            for (int i = 0; i < 3; ++i) EXPECT_LT(lut->domain_min[i], lut->domain_max[i]);
            for (const auto& entry : lut->entries) {
              for (const float value : entry) EXPECT_TRUE(std::isfinite(value));
            }
          });
  EXPECT_GT(taken, Texts() / 100);
}

TEST(TextsTest, AShadersTokensLieWithinItsTextAndNothingIsRenamedThatIsNotAsked) {
  const std::vector<std::string> words = {"/*",   "*/",      "//",      "#define ",
                                          "\\\n", "struct ", "buffer ", "uniform ",
                                          "{",    "}",       ".x",      "vec4 shade("};
  ForEach(Mutator(5, TextsOf("nodes/vulkan", ".glsl"), words), [&](const std::string& text) {
    for (const std::string_view token : vulkan::GlslTokens(text)) {
      EXPECT_FALSE(token.empty());
      EXPECT_GE(token.data(), text.data());
      EXPECT_LE(token.data() + token.size(), text.data() + text.size());
    }
    for (const std::string& name : vulkan::TopLevelNames(text))
      EXPECT_NE(text.find(name), std::string::npos);
    EXPECT_EQ(vulkan::Rename(text, {}), text);
  });
}

TEST(TextsTest, AChangeToARunningGraphIsTakenWithItsPartsOrSaysWhyNot) {
  ForEach(Mutator(6,
                  {"look.amount: 0.5", "lut.path: \"a b.cube\"",
                   "shader.params: { gain: 1.5, speed: 2 }", "a.b: [1, 2]"},
                  {": ", ".", "{ a: ", "&a ", "*a"}),
          [&](const std::string& line) {
            const auto change = config::ParseChange(line);
            if (!change) {
              EXPECT_FALSE(change.error().message.empty());
            } else if (*change) {
              EXPECT_FALSE((*change)->node.empty());
              EXPECT_FALSE((*change)->param.empty());
            }
          });
}

}  // namespace
}  // namespace sluice
