// The example of a plugin without code, on the plugin path as it lies: it runs, and does what its
// GLSL says.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "tests/integration/harness.h"

namespace sluice::testing {
namespace {

const std::string kExample = "plugins/examples/gain_shader";

/// What is left of a picture behind `filter`: the checksums of its frames.
std::string SumsBehind(const std::string& filter) {
  static int count = 0;
  const std::string path =
      std::string(std::getenv("TEST_TMPDIR")) + "/sums" + std::to_string(count++) + ".txt";
  const Ran ran = RunGraph(
      "sluice: 1\nname: gain\nnodes:\n"
      "  source: { type: core.testsrc, size: 64x36, format: AB24, frames: 4, pattern: gradient }\n"
      "  filter: { " +
      filter +
      " }\n"
      "  sums: { type: core.checksum, path: \"" +
      path +
      "\" }\n"
      "edges:\n  - source -> filter -> sums\n");
  EXPECT_TRUE(ran.planned) << ran.problem;
  EXPECT_EQ(ran.report.result, "done") << ran.Errors();
  EXPECT_EQ(ran.report.bytes_copied, 0u);
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class CodelessTest : public ::testing::Test {
 protected:
  // Before the first graph: plugins are looked for once.
  static void SetUpTestSuite() {
    setenv("SLUICE_PLUGIN_PATH", std::filesystem::absolute(kExample).c_str(), 1);
  }
};

TEST_F(CodelessTest, AManifestAndItsShaderAreAFilter) {
  const std::string by_plugin = SumsBehind("type: example.gain, gain: 0.5");
  EXPECT_EQ(std::count(by_plugin.begin(), by_plugin.end(), '\n'), 4);
  EXPECT_EQ(by_plugin, SumsBehind("type: vulkan.shader, shader: " + kExample +
                                  "/gain.comp, params: { gain: 0.5 }"));
  EXPECT_NE(by_plugin, SumsBehind("type: example.gain, gain: 0.25"));
}

TEST_F(CodelessTest, AParameterBeyondItsRangeIsRefusedAsTheManifestSays) {
  const Ran ran = RunGraph(R"(
sluice: 1
name: gain
nodes:
  source: { type: core.testsrc, size: 64x36, format: AB24, frames: 1 }
  filter: { type: example.gain, gain: 17 }
  sink: { type: core.null }
edges:
  - source -> filter -> sink
)");
  EXPECT_FALSE(ran.planned);
  EXPECT_NE(ran.problem.find("gain"), std::string::npos) << ran.problem;
  EXPECT_NE(ran.problem.find("16"), std::string::npos) << ran.problem;
}

}  // namespace
}  // namespace sluice::testing
