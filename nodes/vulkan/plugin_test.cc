// The plugin through its ABI, on a fake host: islands, fences, imports and counted copies.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstring>
#include <memory>
#include <sluice/testing/fake_host.hpp>
#include <string>
#include <vector>

#include "nodes/vulkan/reference.h"
#include "nodes/vulkan/testing.h"

extern "C" const sluice_entry sluice_plugin;

namespace sluice::vulkan::testing {
namespace {

using sdk::testing::FakeFrame;
using sdk::testing::FakeHost;
using sdk::testing::FakePool;
using sdk::testing::Holder;

struct Copy {
  std::string port;
  uint64_t bytes;
  std::string reason;
};

sluice_param Text(const char* name, const char* value) {
  sluice_param p{};
  p.name = name;
  p.type = SLUICE_VALUE_STRING;
  p.given = 1;
  p.s = value;
  return p;
}

sluice_param Number(const char* name, double value) {
  sluice_param p{};
  p.name = name;
  p.type = SLUICE_VALUE_FLOAT;
  p.given = 1;
  p.f = value;
  return p;
}

/// One node of the plugin; records what it says to its host.
class TestNode final : public sdk::testing::NodeEvents {
 public:
  TestNode(FakeHost& host, const char* type, std::vector<sluice_param> params) {
    const auto* factory =
        static_cast<const sluice_node_factory*>(sluice_plugin.get_factory(SLUICE_NODE_FACTORY_ID));
    const sluice_param_set set{static_cast<uint32_t>(params.size()), 0, params.data()};
    created = factory->create(host.c(), type, &set, c(), &node);
  }
  ~TestNode() override {
    if (created >= 0) node.destroy(node.self);
  }
  int32_t Configure(const sluice_format& from, const sluice_format& to) {
    sluice_port_config ports[2]{};
    ports[0].name = "in";
    ports[1].name = "out";
    for (int i = 0; i < 2; ++i) {
      ports[i].direction = i;
      ports[i].connected = 1;
      ports[i].views = SLUICE_VIEW_SHM;
      ports[i].format = i == 0 ? from : to;
      ports[i].layout = sdk::testing::MakeLayout(ports[i].format);
    }
    const sluice_configuration configuration{1, 2, ports, 0, 0};
    return node.configure(node.self, &configuration);
  }

  sluice_node node{};
  int32_t created = 0;
  std::vector<Copy> copies;
  std::string error;

  const char* Name() override { return "node"; }
  int32_t Offer(const char*, const sluice_offer&) override { return SLUICE_OK; }
  int32_t Emit(uint32_t, FakeFrame*, const sluice_fence*) override { return SLUICE_E_UNSUPPORTED; }
  int32_t Acquire(uint32_t, sluice_frame**) override { return SLUICE_E_UNSUPPORTED; }
  void Complete(uint64_t, int32_t) override {}
  void Wake() override {}
  void WakeAt(int64_t) override {}
  int32_t RequestRenegotiate(uint32_t) override { return SLUICE_E_UNSUPPORTED; }
  void SetError(int32_t, const char* message) override { error = message; }
  void CountCopy(const char* port, uint64_t bytes, const char* reason) override {
    copies.push_back({port, bytes, reason});
  }
  void CountDrop(const char*, uint64_t, const char*) override {}
  void Note(const char*) override {}
  void Progress(uint64_t, uint64_t) override {}
  void Log(int32_t, const char*) override {}
  void* Domain() override { return nullptr; }
};

/// A domain and a chain of nodes in one island.
class PluginTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(sluice_plugin.init(host_.c()), SLUICE_OK);
    OpenDomain();
  }
  void TearDown() override {
    if (island_ != nullptr) domain_.destroy_island(domain_.self, island_);
    if (domain_.self != nullptr) domain_.destroy(domain_.self);
    nodes_.clear();
    for (const std::string& log : host_.logs())
      EXPECT_EQ(log.find("validation messages"), std::string::npos) << log;
    EXPECT_TRUE(host_.ledger().violations().empty());
  }

  void OpenDomain() {
    const auto* factory = static_cast<const sluice_domain_factory*>(
        sluice_plugin.get_factory(SLUICE_DOMAIN_FACTORY_ID));
    const sluice_param_set none{};
    char error[1024] = "";
    if (factory->create(host_.c(), "vulkan", &none, &domain_, error, sizeof error) < 0) {
      domain_ = {};
      GTEST_SKIP() << error;
    }
  }

  TestNode& Add(const char* type, std::vector<sluice_param> params, const sluice_format& from,
                const sluice_format& to) {
    nodes_.push_back(std::make_unique<TestNode>(host_, type, std::move(params)));
    TestNode& node = *nodes_.back();
    EXPECT_EQ(node.created, SLUICE_OK) << node.error;
    if (node.created >= 0) {
      EXPECT_EQ(node.Configure(from, to), SLUICE_OK) << node.error;
    }
    if (nodes_.size() == 1) from_ = from;
    formats_.push_back(to);
    return node;
  }

  /// The nodes so far as one island, with pools at its ends.
  int32_t Build(uint32_t buffers = 3) {
    std::vector<const sluice_node*> nodes;
    std::vector<sluice_island_edge> edges;
    for (uint32_t i = 0; i < nodes_.size(); ++i) {
      nodes.push_back(&nodes_[i]->node);
      if (i > 0) edges.push_back({{i - 1, 0}, {i, 0}, formats_[i - 1]});
    }
    const sluice_island_port input{0, 0};
    const sluice_island_port output{static_cast<uint32_t>(nodes_.size() - 1), 0};
    sluice_island_desc desc{};
    desc.name = "island";
    desc.epoch = 1;
    desc.node_count = static_cast<uint32_t>(nodes.size());
    desc.nodes = nodes.data();
    desc.edge_count = static_cast<uint32_t>(edges.size());
    desc.edges = edges.data();
    desc.input_count = desc.output_count = 1;
    desc.inputs = &input;
    desc.outputs = &output;
    in_pool_ = &host_.MakePool(from_, buffers);
    out_pool_ = &host_.MakePool(formats_.back(), buffers);
    return domain_.create_island(domain_.self, &desc, &island_);
  }

  static FakeFrame* Lease(FakePool& pool) {
    const std::lock_guard<std::mutex> lock(pool.mutex());
    return pool.TakeBuffer(Holder::kHost);
  }
  static void Return(FakeFrame* frame, const sluice_fence* fence = nullptr) {
    const std::lock_guard<std::mutex> lock(frame->pool->mutex());
    frame->pool->Return(*frame, fence);
  }
  static void Write(FakeFrame* frame, const Picture& picture) {
    for (uint32_t p = 0; p < picture.layout().plane_count; ++p) {
      const sluice_plane& to = frame->pool->layout().planes[p];
      std::memcpy(frame->buffer->base + to.offset, picture.plane(p),
                  picture.layout().planes[p].size);
    }
  }
  static void Read(const FakeFrame* frame, const Picture& picture) {
    for (uint32_t p = 0; p < picture.layout().plane_count; ++p) {
      const sluice_plane& from = frame->pool->layout().planes[p];
      std::memcpy(picture.plane(p), frame->buffer->base + from.offset,
                  picture.layout().planes[p].size);
    }
  }

  int32_t Submit(FakeFrame* in, FakeFrame* out, sluice_fence fences[2]) {
    sluice_frame* const inputs[] = {in->c()};
    sluice_frame* const outputs[] = {out->c()};
    const sluice_batch batch{sequence_++, 1, 1, inputs, outputs};
    return domain_.submit(domain_.self, island_, &batch, fences);
  }
  int32_t WaitIdle() { return domain_.wait_idle(domain_.self, sdk_now_ns() + 20'000'000'000); }
  static int64_t sdk_now_ns() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1'000'000'000 + now.tv_nsec;
  }

  /// Sends `picture` through and returns what comes out.
  Picture RunOnce(const Picture& picture) {
    Picture result(formats_.back());
    FakeFrame* in = Lease(*in_pool_);
    FakeFrame* out = Lease(*out_pool_);
    Write(in, picture);
    sluice_fence fences[2];
    EXPECT_EQ(Submit(in, out, fences), SLUICE_OK);
    EXPECT_EQ(WaitIdle(), SLUICE_OK);
    for (const sluice_fence& fence : fences) {
      EXPECT_EQ(host_.host().timelines()->status(fence.timeline, fence.point), 1);
    }
    Read(out, result);
    Return(in);
    Return(out);
    return result;
  }

  FakeHost host_;
  sluice_domain domain_{};
  sluice_island* island_ = nullptr;
  std::vector<std::unique_ptr<TestNode>> nodes_;
  sluice_format from_{};
  std::vector<sluice_format> formats_;
  FakePool* in_pool_ = nullptr;
  FakePool* out_pool_ = nullptr;
  uint64_t sequence_ = 0;
};

const sluice_format kYuv = MakeFormat(SLUICE_FORMAT_YU12, 641, 359);

void ExpectWithin(int codes, const Picture& got, const Picture& want) {
  for (const Difference& d : Compare(got, want))
    EXPECT_LE(d.worst, codes) << ToString(Compare(got, want));
}

TEST_F(PluginTest, ALookIsAppliedInSharedMemoryWithoutACopy) {
  const TestNode& look = Add("vulkan.look", {Text("look", "sepia")}, kYuv, kYuv);
  ASSERT_EQ(Build(), SLUICE_OK);
  Picture picture(kYuv), want(kYuv);
  Fill(picture, Pattern::kGradients);
  Reference(picture, want, "sepia", {{"amount", 1}});
  ExpectWithin(2, RunOnce(picture), want);
  EXPECT_TRUE(look.copies.empty());
}

TEST_F(PluginTest, SeveralNodesAreOneSubmission) {
  const sluice_format rgb = MakeFormat(SLUICE_FORMAT_AB24, 641, 359);
  Add("vulkan.look", {Text("look", "sepia")}, kYuv, kYuv);
  Add("vulkan.look", {Text("look", "negative")}, kYuv, kYuv);
  Add("vulkan.convert", {}, kYuv, rgb);
  ASSERT_EQ(Build(), SLUICE_OK);
  Picture picture(kYuv), a(kYuv), b(kYuv), want(rgb);
  Fill(picture, Pattern::kZonePlate);
  Reference(picture, a, "sepia", {{"amount", 1}});
  Reference(a, b, "negative", {{"amount", 1}});
  Reference(b, want, "", {});
  FakeFrame* in = Lease(*in_pool_);
  FakeFrame* out = Lease(*out_pool_);
  Write(in, picture);
  sluice_fence fences[2];
  ASSERT_EQ(Submit(in, out, fences), SLUICE_OK);
  EXPECT_EQ(fences[0].point, 1U);
  EXPECT_EQ(fences[1].point, 1U);
  ASSERT_EQ(WaitIdle(), SLUICE_OK);
  Picture got(rgb);
  Read(out, got);
  ExpectWithin(4, got, want);
  Return(in);
  Return(out);
}

TEST_F(PluginTest, AFrameOfTheSameDeviceIsWaitedForOnTheDevice) {
  const sluice_format format = MakeFormat(SLUICE_FORMAT_AB24, 64, 32);
  Add("vulkan.look", {Text("look", "negative")}, format, format);
  ASSERT_EQ(Build(), SLUICE_OK);
  Picture picture(format);
  Fill(picture, Pattern::kNoise);
  // There and back again: the second firing reads what the first writes, and nothing waits in
  // between.
  FakeFrame* a = Lease(*in_pool_);
  FakeFrame* b = Lease(*out_pool_);
  FakeFrame* c = Lease(*in_pool_);
  Write(a, picture);
  sluice_fence first[2], second[2];
  ASSERT_EQ(Submit(a, b, first), SLUICE_OK);
  b->acquire = sdk::testing::OwnedFence(&first[0]);
  ASSERT_EQ(Submit(b, c, second), SLUICE_OK);
  EXPECT_EQ(second[0].timeline, first[0].timeline);
  EXPECT_GT(second[0].point, first[0].point);
  ASSERT_EQ(WaitIdle(), SLUICE_OK);
  Picture got(format);
  Read(c, got);
  ExpectWithin(0, got, picture);
  for (FakeFrame* frame : {a, b, c}) Return(frame);
}

TEST_F(PluginTest, AFrameWhoseHostFenceIsPendingIsRefused) {
  const TestNode& look = Add("vulkan.look", {Text("look", "mono")}, kYuv, kYuv);
  ASSERT_EQ(Build(), SLUICE_OK);
  sdk::Timeline pending = host_.MakeTimeline();
  FakeFrame* in = Lease(*in_pool_);
  FakeFrame* out = Lease(*out_pool_);
  in->acquire = sdk::testing::OwnedFence(sdk::Fence::At(pending, 1).c());
  sluice_fence fences[2];
  EXPECT_EQ(Submit(in, out, fences), SLUICE_E_NOT_SUBMITTED);
  EXPECT_NE(look.error.find("fence"), std::string::npos);
  pending.Signal(1);
  EXPECT_EQ(Submit(in, out, fences), SLUICE_OK);
  EXPECT_EQ(WaitIdle(), SLUICE_OK);
  Return(in);
  Return(out);
}

TEST_F(PluginTest, ManyFramesReuseWhatTheFirstOnesMade) {
  const sluice_format format = MakeFormat(SLUICE_FORMAT_NV12, 160, 90);
  Add("vulkan.look", {Text("look", "noir")}, format, format);
  ASSERT_EQ(Build(4), SLUICE_OK);
  Picture picture(format), want(format);
  Fill(picture, Pattern::kBars);
  Reference(picture, want, "noir", {{"amount", 1}, {"contrast", 1.25}});
  for (int i = 0; i < 200; ++i) ExpectWithin(2, RunOnce(picture), want);
}

TEST_F(PluginTest, AParameterChangesWhileTheGraphRuns) {
  const sluice_format format = MakeFormat(SLUICE_FORMAT_AB24, 64, 32);
  const TestNode& look = Add("vulkan.look", {Text("look", "negative")}, format, format);
  ASSERT_EQ(Build(), SLUICE_OK);
  Picture picture(format), negative(format);
  Fill(picture, Pattern::kNoise);
  Reference(picture, negative, "negative", {{"amount", 1}});
  ExpectWithin(2, RunOnce(picture), negative);
  const sluice_param amount = Number("amount", 0);
  ASSERT_EQ(look.node.set_param(look.node.self, &amount), SLUICE_OK);
  ExpectWithin(1, RunOnce(picture), picture);
  const sluice_param wrong = Number("amount", 2);
  EXPECT_EQ(look.node.set_param(look.node.self, &wrong), SLUICE_E_INVALID_ARGUMENT);
}

TEST_F(PluginTest, ForgettingAPoolLetsItsMemoryGo) {
  const sluice_format format = MakeFormat(SLUICE_FORMAT_AB24, 64, 32);
  Add("vulkan.look", {Text("look", "negative")}, format, format);
  ASSERT_EQ(Build(), SLUICE_OK);
  Picture picture(format);
  Fill(picture, Pattern::kNoise);
  RunOnce(picture);
  const FakeFrame* frame = Lease(*in_pool_);
  domain_.forget_pool(domain_.self, frame->buffer->id.pool, frame->buffer->id.epoch);
  Return(const_cast<FakeFrame*>(frame));
  // Imported anew.
  ExpectWithin(1, RunOnce(RunOnce(picture)), picture);
}

TEST_F(PluginTest, TheDomainSaysWhatItIs) {
  sluice_domain_info info{};
  ASSERT_EQ(domain_.describe(domain_.self, &info), SLUICE_OK);
  EXPECT_STRNE(info.device_name, "");
  EXPECT_NE(info.views & SLUICE_VIEW_SHM, 0U);
  EXPECT_GE(info.base_multiple, 1U);
}

TEST_F(PluginTest, AUsersShaderIsCompiledAndRun) {
  const sluice_format format = MakeFormat(SLUICE_FORMAT_AB24, 130, 33);
  Add("vulkan.shader",
      {Text("source",
            "vec3 shade(vec3 color, ivec2 position) {\n  return position.x < int(edge) ? color.bgr "
            ": color;\n}"),
       Text("params", R"({"edge": 20})")},
      format, format);
  ASSERT_EQ(Build(), SLUICE_OK);
  Picture picture(format);
  Fill(picture, Pattern::kNoise);
  const Picture got = RunOnce(picture);
  for (uint64_t y = 0; y < 33; ++y) {
    for (uint64_t x = 0; x < 130; ++x) {
      const uint8_t* from = picture.plane(0) + y * picture.stride(0) + 4 * x;
      const uint8_t* to = got.plane(0) + y * got.stride(0) + 4 * x;
      ASSERT_EQ(to[0], from[x < 20 ? 2 : 0]) << x << "," << y;
      ASSERT_EQ(to[1], from[1]);
      ASSERT_EQ(to[2], from[x < 20 ? 0 : 2]);
    }
  }
}

class StagingTest : public PluginTest {
 protected:
  void SetUp() override {
    setenv("SLUICE_VULKAN_FORCE_STAGING", "1", 1);
    PluginTest::SetUp();
    unsetenv("SLUICE_VULKAN_FORCE_STAGING");
  }
};

TEST_F(StagingTest, WhatCannotBeImportedIsCopiedAndCountedWithAReason) {
  const TestNode& look = Add("vulkan.look", {Text("look", "sepia")}, kYuv, kYuv);
  ASSERT_EQ(Build(), SLUICE_OK);
  Picture picture(kYuv), want(kYuv);
  Fill(picture, Pattern::kGradients);
  Reference(picture, want, "sepia", {{"amount", 1}});
  for (int i = 0; i < 3; ++i) ExpectWithin(2, RunOnce(picture), want);
  ASSERT_EQ(look.copies.size(), 6U);
  EXPECT_EQ(look.copies[0].port, "in");
  EXPECT_EQ(look.copies[1].port, "out");
  EXPECT_GE(look.copies[0].bytes, 641U * 359U * 3 / 2);
  EXPECT_NE(look.copies[0].reason.find("staging"), std::string::npos);
}

/// What create() of a node says when it fails.
std::string ErrorOf(const char* type, std::vector<sluice_param> params) {
  FakeHost host;
  const TestNode node(host, type, std::move(params));
  EXPECT_LT(node.created, 0);
  return node.error;
}

TEST(VulkanNodeTest, AShaderThatDoesNotCompileIsRefusedWithItsLine) {
  const std::string error =
      ErrorOf("vulkan.shader",
              {Text("source", "vec3 shade(vec3 color, ivec2 position) {\n  return colour;\n}")});
  EXPECT_NE(error.find("source:2:"), std::string::npos) << error;
  EXPECT_NE(error.find("colour"), std::string::npos) << error;
}

TEST(VulkanNodeTest, AShaderWithAnotherInterfaceIsRefusedWithTheOneItNeeds) {
  for (const char* source : {"float f() { return 1.0; }", "// shade is missing\n", "void main() {}",
                             "#version 450\nvec3 shade(vec3 c, ivec2 p) { return c; }",
                             "vec4 shade(vec4 color) { return color; }"}) {
    EXPECT_NE(ErrorOf("vulkan.shader", {Text("source", source)})
                  .find("vec3 shade(vec3 color, ivec2 position)"),
              std::string::npos)
        << source << ": " << ErrorOf("vulkan.shader", {Text("source", source)});
  }
}

TEST(VulkanNodeTest, AShaderFileThatIsNotThereIsNamed) {
  EXPECT_NE(ErrorOf("vulkan.shader", {Text("shader", "/nonexistent/x.glsl")})
                .find("/nonexistent/x.glsl: No such file"),
            std::string::npos);
}

TEST(VulkanNodeTest, AShadersParametersMustBeNumbersWithNamesOfGlsl) {
  const sluice_param source = Text("source", "vec3 shade(vec3 c, ivec2 p) { return c; }");
  EXPECT_NE(ErrorOf("vulkan.shader", {source, Text("params", R"({"a b": 1})")}).find("a b"),
            std::string::npos);
  EXPECT_NE(
      ErrorOf("vulkan.shader", {source, Text("params", R"({"a": "x"})")}).find("not a number"),
      std::string::npos);
  EXPECT_NE(ErrorOf("vulkan.shader", {source, Text("params", "[1]")}).find("not a map"),
            std::string::npos);
}

TEST(VulkanNodeTest, AnUnknownLookIsRefusedWithTheNamesThereAre) {
  EXPECT_NE(ErrorOf("vulkan.look", {Text("look", "nior")}).find("noir"), std::string::npos);
}

}  // namespace
}  // namespace sluice::vulkan::testing
