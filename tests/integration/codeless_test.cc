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

std::string ReadText(const std::filesystem::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

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
  return ReadText(path);
}

/// The example under another name, with frames in shared memory alone. Returns its folder.
std::string MakeModest() {
  const auto folder = std::filesystem::path(std::getenv("TEST_TMPDIR")) / "modest";
  std::filesystem::create_directories(folder);
  std::filesystem::copy_file(kExample + "/gain.comp", folder / "gain.comp",
                             std::filesystem::copy_options::overwrite_existing);
  std::string manifest = ReadText(kExample + "/gain.sluice.yaml");
  const auto replace = [&](const std::string& from, const std::string& to) {
    const size_t at = manifest.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    manifest.replace(at, from.size(), to);
  };
  replace("name: gain_shader", "name: modest");
  replace("example.gain", "example.modest");
  replace("views: [dma-buf, shm, device]", "views: [shm]");
  replace("allocates: [dma-buf, device]", "");
  replace("sync: [timeline, sync_file, implicit, cpu-done]", "sync: [timeline, cpu-done]");
  std::ofstream(folder / "modest.sluice.yaml") << manifest;
  return folder.string();
}

class CodelessTest : public ::testing::Test {
 protected:
  // Before the first graph: plugins are looked for once.
  static void SetUpTestSuite() {
    const std::string path = std::filesystem::absolute(kExample).string() + ":" + MakeModest();
    setenv("SLUICE_PLUGIN_PATH", path.c_str(), 1);
  }
};

TEST_F(CodelessTest, AManifestAndItsShaderAreAFilter) {
  const std::string by_plugin = SumsBehind("type: example.gain, gain: 0.5");
  EXPECT_EQ(std::count(by_plugin.begin(), by_plugin.end(), '\n'), 4);
  EXPECT_EQ(by_plugin, SumsBehind("type: vulkan.shader, shader: " + kExample +
                                  "/gain.comp, params: { gain: 0.5 }"));
  EXPECT_NE(by_plugin, SumsBehind("type: example.gain, gain: 0.25"));
}

TEST_F(CodelessTest, NoMoreMemoryIsUsedThanTheManifestDeclares) {
  EXPECT_EQ(SumsBehind("type: example.modest, gain: 0.5"),
            SumsBehind("type: example.gain, gain: 0.5"));
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
