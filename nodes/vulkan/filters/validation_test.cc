// Every type of the plugin's manifest under the validation layer with synchronisation validation:
// several firings in flight, buffers that come round again, and inputs that stay while others go
// on. What the layer says is a failure.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <functional>
#include <map>
#include <ostream>

#include "nodes/vulkan/domain.h"
#include "nodes/vulkan/island_testing.h"

namespace sluice::vulkan::testing {
namespace {

constexpr char kManifest[] = "nodes/vulkan/vulkan.sluice.yaml";
constexpr uint32_t kWidth = 64, kHeight = 48;
constexpr uint32_t kBuffers = 2;
constexpr uint32_t kFirings = 5;

/// The node types of the GPU's domain that the manifest declares, so that a new one is run here
/// without being added. Others, which need a peer, have tests of their own (//nodes/vulkan/sharing).
std::vector<std::string> ManifestTypes() {
  std::vector<std::string> types;
  std::ifstream file(kManifest);
  bool in_nodes = false;
  std::string type;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line[0] != ' ' && line[0] != '#') in_nodes = line == "nodes:";
    const bool is_entry = in_nodes && line.size() > 3 && line.starts_with("  ") && line[2] != ' ' &&
                          line.back() == ':';
    if (is_entry && line[2] != '#') type = line.substr(2, line.size() - 3);
    if (in_nodes && line == "    domain: vulkan") types.push_back(type);
  }
  return types;
}

struct Input {
  const char* name = "in";
  uint32_t width = kWidth;  ///< 0: it has no edge
  uint32_t height = kHeight;
  uint32_t fourcc = 0;  ///< 0: that of the case
};

/// One way to use a type.
struct Use {
  std::vector<sluice_param> params = {};
  std::vector<Input> inputs = {{}};
  uint32_t width = kWidth;  ///< of the output
  uint32_t height = kHeight;
  /// Of the output, by that of the first input; null: the same.
  std::function<uint32_t(uint32_t)> to = {};
};

std::string CubeFile() {
  const std::string path = ::testing::TempDir() + "/swap.cube";
  std::ofstream file(path);
  file << "LUT_3D_SIZE 2\n0 0 0\n0 0 1\n0 1 0\n0 1 1\n1 0 0\n1 0 1\n1 1 0\n1 1 1\n";
  return path;
}

uint32_t WithAlpha(uint32_t fourcc) {
  return fourcc == SLUICE_FORMAT_NV12 ? SLUICE_FORMAT_AB24 : fourcc;
}

std::vector<Use> UsesOf(const std::string& type) {
  static const std::string cube = CubeFile();
  const std::vector<Input> layers = {
      {"in0"}, {"in1", 40, 30}, {"in2", 0}, {"in3", 33, 21, SLUICE_FORMAT_AB24}};
  const std::map<std::string, std::vector<Use>> uses = {
      // One of its pixels, and one that reads around.
      {"vulkan.look", {{{Text("look", "sepia")}}, {{Text("look", "pencil")}}}},
      {"vulkan.convert",
       {{{}, {{}}, kWidth, kHeight, [](uint32_t) { return SLUICE_FORMAT_P010; }},
        {{}, {{}}, kWidth, kHeight, [](uint32_t) { return SLUICE_FORMAT_AR24; }}}},
      {"vulkan.shader",
       {{{Text("source", "vec3 shade(vec3 color, ivec2 position) { return color.bgr; }")}},
        {{Text("source",
               "vec4 shade(ivec2 at) { return mix(pixel0(at), bilinear1(vec2(at) / 2.0), 0.5); }")},
         {{"in"}, {"in1", 32, 24}, {"in2", 0}, {"in3", 0}}}}},
      {"vulkan.scale",
       {{{Text("filter", "nearest")}, {{}}, 40, 60},
        {{Text("filter", "lanczos")}, {{}}, 40, 30},
        {{Text("filter", "bicubic"), Flag("linear", true)}, {{}}, 96, 80}}},
      {"vulkan.crop", {{{Number("x", 7), Number("y", -3)}, {{}}, 40, 30}}},
      {"vulkan.rotate",
       {{{Text("angle", "90")}, {{}}, kHeight, kWidth}, {{Text("angle", "auto")}, {{}}, 50, 50}}},
      {"vulkan.lut", {{{Text("path", cube.c_str(), SLUICE_VALUE_STRING)}}}},
      {"vulkan.chroma-key", {{{}, {{}}, kWidth, kHeight, WithAlpha}}},
      {"vulkan.compose",
       {{{Number("x1", 11.5), Number("width3", 50), Number("opacity3", 0.5)}, layers, 80, 60}}},
      {"vulkan.mask", {{{}, {{"base"}, {"overlay"}, {"mask", 32, 24, SLUICE_FORMAT_AB24}}}}},
  };
  const auto known = uses.find(type);
  // The others do with their defaults.
  return known != uses.end() ? known->second : std::vector<Use>{{}};
}

/// Which of its inputs get a new frame at a firing.
enum class FanIn { kAll, kLatest };

class ValidationTest : public IslandTest, public ::testing::WithParamInterface<std::string> {
 protected:
  void SetUp() override {
    IslandTest::SetUp();
    if (domain_.self == nullptr) return;
    ASSERT_TRUE(device().validating()) << "SLUICE_VULKAN_VALIDATION is not set";
  }
  const Device& device() { return sdk::DomainCast<VulkanDomain>(domain_.self)->device(); }

  void Run(const std::string& type, const Use& use, uint32_t fourcc, FanIn fan_in);

 private:
  static sluice_port_config Port(const char* name, int32_t direction, const sluice_format& format) {
    sluice_port_config port{};
    port.name = name;
    port.direction = direction;
    port.connected = format.width != 0 ? 1 : 0;
    if (port.connected == 0) return port;
    port.views = SLUICE_VIEW_SHM;
    port.sync = SLUICE_SYNC_TIMELINE;
    port.format = format;
    port.layout = sdk::testing::MakeLayout(format);
    return port;
  }
  /// An island of one node, a border at each edge.
  void MakeIsland(const TestNode& node, const std::vector<sluice_port_config>& ports);
  /// Leases on `kBuffers` buffers of a new pool.
  std::vector<FakeFrame*> LeaseAll(const sluice_format& format) {
    FakePool& pool = host_.MakePool(format, kBuffers);
    std::vector<FakeFrame*> frames;
    for (uint32_t i = 0; i < kBuffers; ++i) frames.push_back(Lease(pool));
    return frames;
  }
  void Fire(const std::vector<std::vector<FakeFrame*>>& inputs,
            const std::vector<FakeFrame*>& outputs, FanIn fan_in);
};

void ValidationTest::MakeIsland(const TestNode& node,
                                const std::vector<sluice_port_config>& ports) {
  std::vector<sluice_island_port> inputs;
  for (uint32_t i = 0; i + 1 < ports.size(); ++i) {
    if (ports[i].connected != 0) inputs.push_back({0, i});
  }
  const sluice_node* const nodes[] = {&node.node};
  const sluice_island_port output{0, 0};
  sluice_island_desc desc{};
  desc.name = "island";
  desc.epoch = 1;
  desc.node_count = desc.output_count = 1;
  desc.nodes = nodes;
  desc.input_count = static_cast<uint32_t>(inputs.size());
  desc.inputs = inputs.data();
  desc.outputs = &output;
  ASSERT_EQ(domain_.create_island(domain_.self, &desc, &island_), SLUICE_OK) << node.error;
}

// Nothing waits between the firings: what a buffer's next user has to wait for is in its frame's
// fence.
void ValidationTest::Fire(const std::vector<std::vector<FakeFrame*>>& inputs,
                          const std::vector<FakeFrame*>& outputs, FanIn fan_in) {
  for (uint32_t i = 0; i < kFirings; ++i) {
    std::vector<sluice_frame*> in;
    for (size_t p = 0; p < inputs.size(); ++p) {
      // The others stay for all but the last firing.
      const bool stays = fan_in == FanIn::kLatest && p > 0 && i + 1 < kFirings;
      FakeFrame* frame = inputs[p][stays ? 0 : i % kBuffers];
      frame->info.rotation_degrees = static_cast<int32_t>(90 * i);
      in.push_back(frame->c());
    }
    FakeFrame* result = outputs[i % kBuffers];
    sluice_frame* const out[] = {result->c()};
    const sluice_batch batch{sequence_++, static_cast<uint32_t>(in.size()), 1, in.data(), out};
    std::vector<sluice_fence> fences(in.size() + 1);
    ASSERT_EQ(domain_.submit(domain_.self, island_, &batch, fences.data()), SLUICE_OK);
    result->acquire = sdk::testing::OwnedFence(&fences.back());
  }
  ASSERT_EQ(WaitIdle(), SLUICE_OK);
}

void ValidationTest::Run(const std::string& type, const Use& use, uint32_t fourcc, FanIn fan_in) {
  std::vector<sluice_port_config> ports;
  std::vector<std::vector<FakeFrame*>> inputs;
  for (const Input& input : use.inputs) {
    const sluice_format format = MakeFormat(input.fourcc != 0 ? input.fourcc : fourcc, input.width,
                                            input.width != 0 ? input.height : 0);
    ports.push_back(Port(input.name, SLUICE_PORT_INPUT, format));
    if (input.width == 0) continue;
    Picture picture(format);
    Fill(picture, Pattern::kGradients);
    inputs.push_back(LeaseAll(format));
    for (FakeFrame* frame : inputs.back()) Write(frame, picture);
  }
  const sluice_format to = MakeFormat(use.to ? use.to(fourcc) : fourcc, use.width, use.height);
  ports.push_back(Port("out", SLUICE_PORT_OUTPUT, to));
  const std::vector<FakeFrame*> outputs = LeaseAll(to);

  TestNode node(host_, type.c_str(), use.params, domain_.self);
  ASSERT_EQ(node.created, SLUICE_OK) << node.error;
  const sluice_configuration configuration{1, static_cast<uint32_t>(ports.size()), ports.data(), 0,
                                           0};
  ASSERT_EQ(node.node.configure(node.node.self, &configuration), SLUICE_OK) << node.error;
  MakeIsland(node, ports);
  if (!HasFatalFailure()) Fire(inputs, outputs, fan_in);
  if (island_ != nullptr) domain_.destroy_island(domain_.self, island_);
  island_ = nullptr;
  for (const auto& frames : inputs) {
    for (FakeFrame* frame : frames) Return(frame);
  }
  for (FakeFrame* frame : outputs) Return(frame);
}

TEST_P(ValidationTest, RunsWithoutAWordFromTheLayer) {
  const std::vector<Use> uses = UsesOf(GetParam());
  for (size_t i = 0; i < uses.size(); ++i) {
    for (const uint32_t fourcc : {SLUICE_FORMAT_NV12, SLUICE_FORMAT_AB24, SLUICE_FORMAT_AB4H}) {
      SCOPED_TRACE(GetParam() + ", use " + std::to_string(i) + ", " + FourccName(fourcc));
      const bool several = std::count_if(uses[i].inputs.begin(), uses[i].inputs.end(),
                                         [](const Input& in) { return in.width != 0; }) > 1;
      ASSERT_NO_FATAL_FAILURE(Run(GetParam(), uses[i], fourcc, FanIn::kAll));
      if (several) {
        ASSERT_NO_FATAL_FAILURE(Run(GetParam(), uses[i], fourcc, FanIn::kLatest));
      }
      ASSERT_EQ(device().validation_messages(), 0U);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, ValidationTest, ::testing::ValuesIn(ManifestTypes()),
                         [](const auto& instance) {
                           std::string name;
                           for (const char c : instance.param) {
                             name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
                           }
                           return name;
                         });

TEST(ValidationListTest, HasTheTypesOfTheManifest) {
  const std::vector<std::string> types = ManifestTypes();
  EXPECT_GE(types.size(), 15U);
  for (const char* known : {"vulkan.look", "vulkan.compose", "vulkan.mask"}) {
    EXPECT_NE(std::find(types.begin(), types.end(), known), types.end()) << known;
  }
}

}  // namespace
}  // namespace sluice::vulkan::testing
