// Programs on the device: fused and not, branches, several inputs, numbers and counters.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "nodes/vulkan/look_testing.h"
#include "nodes/vulkan/testing.h"

namespace sluice::vulkan::testing {
namespace {

using FusionTest = DeviceTest;

TestFilter Sampling(const char* glsl, std::vector<Network::Source> sources) {
  Stage stage;
  stage.kind = Stage::Kind::kSample;
  stage.label = "test";
  stage.glsl = glsl;
  stage.inputs.clear();
  for (uint32_t i = 0; i < sources.size(); ++i) stage.inputs.push_back(i);
  TestFilter filter;
  filter.stages = {stage};
  filter.sources = std::move(sources);
  return filter;
}

std::vector<TestFilter> Chain(const std::vector<const char*>& looks) {
  std::vector<TestFilter> filters;
  for (uint32_t i = 0; i < looks.size(); ++i)
    filters.push_back(LookFilter(looks[i], i == 0 ? FromInput(0) : FromFilter(i - 1)));
  return filters;
}

Program::Options Unfused() {
  Program::Options options;
  options.passes.fuse = false;
  return options;
}

class FormatsTest : public DeviceTest,
                    public ::testing::WithParamInterface<std::array<uint32_t, 2>> {};

TEST_P(FormatsTest, AFusedChainIsThatOfPassesOverHalfFloatsWithinOneCode) {
  const auto [from, to] = GetParam();
  for (const auto& [width, height] : {std::pair{641U, 359U}, std::pair{64U, 32U}}) {
    const Picture source(MakeFormat(from, width, height));
    Picture fused(MakeFormat(to, width, height)), apart(MakeFormat(to, width, height));
    Fill(const_cast<Picture&>(source), Pattern::kGradients);
    const auto filters =
        Chain({"warm", "fade", "vignette", "sepia", "vivid", "cool", "negative", "noir"});
    bench_->RunChain(filters, {&source}, fused);
    bench_->RunChain(filters, {&source}, apart, Unfused());
    const double worst = Worst(fused, apart);
    std::printf("%s -> %s, %ux%u: fused and apart differ by %g at most\n", FourccName(from).c_str(),
                FourccName(to).c_str(), width, height, worst);
    EXPECT_LE(worst, 1);
  }
}

INSTANTIATE_TEST_SUITE_P(
    , FormatsTest,
    ::testing::Values(std::array{uint32_t{SLUICE_FORMAT_AB24}, uint32_t{SLUICE_FORMAT_AB24}},
                      std::array{uint32_t{SLUICE_FORMAT_AB24}, uint32_t{SLUICE_FORMAT_NV12}},
                      std::array{uint32_t{SLUICE_FORMAT_NV12}, uint32_t{SLUICE_FORMAT_NV12}},
                      std::array{uint32_t{SLUICE_FORMAT_YU12}, uint32_t{SLUICE_FORMAT_AR24}},
                      std::array{uint32_t{SLUICE_FORMAT_YUYV}, uint32_t{SLUICE_FORMAT_XR24}}));

TEST_F(FusionTest, TwoArmsOfOneResultAreBothWritten) {
  const sluice_format format = MakeFormat(SLUICE_FORMAT_AB24, 100, 50);
  Picture source(format), inverted(format), twice(format);
  Fill(source, Pattern::kNoise);
  bench_->RunFilters({LookFilter("negative"), LookFilter("negative", FromFilter(0))}, {&source},
                     {&inverted, &twice}, {0, 1});
  EXPECT_EQ(Worst(twice, source), 0);
  Picture again(format);
  bench_->RunChain(Chain({"negative"}), {&inverted}, again);
  EXPECT_EQ(Worst(again, source), 0);
}

TEST_F(FusionTest, AFilterReadsSeveralInputsOfDifferentFormatsAndSizes) {
  // The left half of one input, the right half of the other; a third has no edge.
  const char* const text =
      "vec4 shade(ivec2 at) {\n"
      "  if (has2()) return vec4(1.0, 0.0, 0.0, 1.0);\n"
      "  return at.x < frameSize().x / 2 ? pixel0(at) : pixel1(at * size1() / frameSize());\n"
      "}\n";
  Picture left(MakeFormat(SLUICE_FORMAT_AB24, 64, 32));
  Picture right(MakeFormat(SLUICE_FORMAT_YU12, 128, 64));
  Picture out(MakeFormat(SLUICE_FORMAT_AB24, 64, 32));
  FillRgb(left, std::vector<uint8_t>(64 * 32 * 3, 200));
  FillRgb(right, std::vector<uint8_t>(128 * 64 * 3, 40));
  bench_->RunChain({Sampling(text, {FromInput(0), FromInput(1), {}})}, {&left, &right}, out);
  const auto components = Components(out);
  for (uint32_t y = 0; y < 32; ++y) {
    EXPECT_NEAR(components[0][y * 64 + 31], 200, 1);
    EXPECT_NEAR(components[0][y * 64 + 32], 40, 1);
  }
}

TEST_F(FusionTest, WhatComesBeforeAStageThatReadsOnceIsDoneOnTheWay) {
  const sluice_format format = MakeFormat(SLUICE_FORMAT_AB24, 61, 33);
  Picture source(format), out(format), flipped(format), want(format);
  Fill(source, Pattern::kNoise);
  TestFilter flip =
      Sampling("vec4 shade(ivec2 at) { return pixel0(ivec2(frameSize().x - 1 - at.x, at.y)); }",
               {FromFilter(0)});
  flip.stages[0].reads_once = true;
  bench_->RunChain({LookFilter("vignette"), flip}, {&source}, out);
  bench_->RunChain({LookFilter("vignette")}, {&source}, want);
  flip.sources = {FromInput(0)};
  bench_->RunChain({flip}, {&want}, flipped);
  EXPECT_LE(Worst(out, flipped), 1);
}

/// Reads its one input once, into a picture of this size; 0: that of its input.
TestFilter Moving(const char* glsl, Network::Source source, uint32_t width = 0,
                  uint32_t height = 0) {
  TestFilter filter = Sampling(glsl, {source});
  filter.stages[0].reads_once = true;
  filter.stages[0].width = width;
  filter.stages[0].height = height;
  return filter;
}

constexpr char kCut[] = "vec4 shade(ivec2 at) { return pixel0(at + ivec2(7, -5)); }";
constexpr char kTurn[] =
    "vec4 shade(ivec2 at) { return pixel0(ivec2(at.y, size0().y - 1 - at.x)); }";
constexpr char kMirror[] =
    "vec4 shade(ivec2 at) { return pixel0(ivec2(frameSize().x - 1 - at.x, at.y)); }";

/// One of 8 bits, in those of the format: half floats are no finer than ten bits.
double Code(uint32_t fourcc) { return fourcc == SLUICE_FORMAT_P010 ? 4 : 1; }

class MovingFormatsTest : public FormatsTest {};

TEST_P(MovingFormatsTest, LooksBetweenStagesThatMovePixelsSeeThePictureThatTheyWorkOn) {
  const auto [from, to] = GetParam();
  Picture source(MakeFormat(from, 95, 61));
  Fill(source, Pattern::kGradients);
  Picture fused(MakeFormat(to, 40, 52)), apart(MakeFormat(to, 40, 52));
  // A vignette is of the size of its picture.
  const std::vector<TestFilter> filters = {
      LookFilter("warm"),
      Moving(kCut, FromFilter(0), 52, 40),
      LookFilter("vignette", FromFilter(1)),
      Moving(kTurn, FromFilter(2), 40, 52),
      Moving(kMirror, FromFilter(3)),
      LookFilter("vignette", FromFilter(4)),
  };
  bench_->RunChain(filters, {&source}, fused);
  bench_->RunChain(filters, {&source}, apart, Unfused());
  EXPECT_LE(Worst(fused, apart), Code(to));
}

INSTANTIATE_TEST_SUITE_P(
    , MovingFormatsTest,
    ::testing::Values(std::array{uint32_t{SLUICE_FORMAT_AB24}, uint32_t{SLUICE_FORMAT_AB24}},
                      std::array{uint32_t{SLUICE_FORMAT_NV12}, uint32_t{SLUICE_FORMAT_NV12}},
                      std::array{uint32_t{SLUICE_FORMAT_YU12}, uint32_t{SLUICE_FORMAT_AR24}},
                      std::array{uint32_t{SLUICE_FORMAT_P010}, uint32_t{SLUICE_FORMAT_P010}}));

TEST_F(FusionTest, EachInputOfAStageThatReadsOnceHasItsOwnChain) {
  Picture left(MakeFormat(SLUICE_FORMAT_NV12, 128, 64));
  Picture right(MakeFormat(SLUICE_FORMAT_AR24, 31, 63));
  Fill(left, Pattern::kGradients);
  Fill(right, Pattern::kNoise);
  TestFilter mix = Sampling(
      "vec4 shade(ivec2 at) {\n"
      "  if (has2() || !has0() || !has1()) return vec4(1.0, 0.0, 1.0, 1.0);\n"
      "  return 0.5 * (pixel0(at) + pixel1(at * size1() / frameSize()));\n"
      "}\n",
      {FromFilter(1), FromFilter(3), {}});
  mix.stages[0].reads_once = true;
  mix.stages[0].width = 52;
  mix.stages[0].height = 40;
  const std::vector<TestFilter> filters = {
      Moving(kCut, FromInput(0), 52, 40), LookFilter("vignette", FromFilter(0)),
      Moving(kTurn, FromInput(1), 63, 31), Moving(kMirror, FromFilter(2)), mix};
  const sluice_format format = MakeFormat(SLUICE_FORMAT_AB24, 52, 40);
  const Picture fused(format), apart(format);
  bench_->RunChain(filters, {&left, &right}, fused);
  bench_->RunChain(filters, {&left, &right}, apart, Unfused());
  EXPECT_LE(Worst(fused, apart), 1);
}

TEST_F(FusionTest, AStageOnTheWayMayHaveNoPictureItself) {
  const char* const plain =
      "vec4 shade(ivec2 at) { return has0() ? vec4(1.0) : pixel0(at) + vec4(0.2, 0.4, 0.6, 1.0); }";
  const char* const passed = "vec4 shade(ivec2 at) { return has0() ? pixel0(-at) : vec4(0.0); }";
  const Picture in(MakeFormat(SLUICE_FORMAT_AB24, 16, 16));
  const Picture out(MakeFormat(SLUICE_FORMAT_AB24, 16, 16));
  bench_->RunChain({Moving(plain, {}, 16, 16), Moving(passed, FromFilter(0))}, {&in}, out);
  const auto components = Components(out);
  for (size_t i = 0; i < components[0].size(); ++i) {
    EXPECT_EQ(components[0][i], 51);
    EXPECT_EQ(components[1][i], 102);
    EXPECT_EQ(components[2][i], 153);
  }
}

TEST_F(FusionTest, StagesWithTheSameNamesDoNotMeet) {
  const auto add = [](const char* value, Network::Source source) {
    Stage stage;
    stage.label = "add";
    stage.glsl = std::string("const float kStep = ") + value +
                 ";\nfloat helper(float x) { return x + kStep; }\n"
                 "vec4 shade(vec4 c, ivec2 at) { return vec4(helper(c.r), c.g + param(0), "
                 "table(0).z, 1.0); }\n";
    stage.param_count = 1;
    TestFilter filter;
    filter.stages = {stage};
    filter.sources = {source};
    filter.params = {0.25};
    filter.table = {0, 0, 0.5, 0};
    return filter;
  };
  const sluice_format format = MakeFormat(SLUICE_FORMAT_AB24, 16, 16);
  Picture source(format), out(format);
  FillRgb(source, std::vector<uint8_t>(16 * 16 * 3, 0));
  auto filters = std::vector{add("0.25", FromInput(0)), add("0.5", FromFilter(0))};
  filters[1].params = {0.125};
  filters[1].table = {0, 0, 1.0, 0};
  bench_->RunChain(filters, {&source}, out);
  const auto components = Components(out);
  EXPECT_NEAR(components[0][0], 0.75 * 255, 1);
  EXPECT_NEAR(components[1][0], 0.375 * 255, 1);
  EXPECT_EQ(components[2][0], 255);
}

/// Numbers that change with each frame.
struct Counting final : NumberSource {
  void CopyParams(uint32_t, std::span<float> out) const override {
    for (float& number : out) number = static_cast<float>(calls) / 1000.0F;
    ++calls;
  }
  uint64_t changes() const override { return static_cast<uint64_t>(calls); }
  mutable int calls = 0;
};

TEST_F(FusionTest, AThousandChangesOfParametersMakeAndRecordNothingAnew) {
  const sluice_format format = MakeFormat(SLUICE_FORMAT_AB24, 64, 16);
  Picture source(format), out(format);
  auto in = Memory::ImportHost(bench_->device(), source.base(), source.bytes()).value();
  auto to = Memory::ImportHost(bench_->device(), out.base(), out.bytes()).value();
  Network network;
  const TestFilter look = LookFilter("vignette");
  network.nodes = {{"look", look.stages, look.sources}};
  network.inputs = {source.shape()};
  network.outputs = {out.shape()};
  network.output_nodes = {0};
  auto program = Program::Create(bench_->device(), bench_->kernels(), network,
                                 {{std::vector<float>(kParamCount), {}}}, {})
                     .value();
  const BoundFrame from{AllPlanesIn(in.buffer()), in.serial()};
  const BoundFrame result{AllPlanesIn(to.buffer()), to.serial()};
  const Counting numbers;
  const auto run = [&] {
    auto* recording = program
                          ->Prepare(std::span(&from, 1), std::span(&result, 1), {},
                                    bench_->queue().completed(), numbers)
                          .value();
    program->Submitted(*recording,
                       bench_->queue().Submit(Program::Commands(*recording), 0).value());
    ASSERT_TRUE(bench_->queue()
                    .WaitIdle(std::chrono::steady_clock::now() + std::chrono::seconds(20))
                    .has_value());
  };
  run();
  const DeviceCounters& counters = bench_->device().counters();
  const uint64_t pipelines = counters.pipelines, allocations = counters.allocations,
                 recordings = counters.recordings;
  for (int i = 0; i < 1000; ++i) run();
  EXPECT_EQ(numbers.calls, 1001);
  EXPECT_EQ(counters.pipelines, pipelines);
  EXPECT_EQ(counters.allocations, allocations);
  EXPECT_EQ(counters.recordings, recordings);
  if (bench_->device().info().timestamp_ns > 0) {
    program->CollectTimes(bench_->queue().completed());
    EXPECT_GT(program->times()[0].frames, 10U);
    EXPECT_GT(program->times()[0].total_ns, 0U);
  }
}

TEST_F(FusionTest, AShaderThatDoesNotCompileNamesItsFileAndLine) {
  TestFilter filter = LookFilter("mono");
  filter.stages[0].origin = "bad.glsl";
  filter.stages[0].glsl = "vec4 shade(vec4 c, ivec2 at) {\n  return c * gian;\n}\n";
  Network network;
  network.nodes = {{"bad", filter.stages, filter.sources}};
  const sluice_format format = MakeFormat(SLUICE_FORMAT_AB24, 16, 16);
  network.inputs = network.outputs = {Picture(format).shape()};
  network.output_nodes = {0};
  const auto program =
      Program::Create(bench_->device(), bench_->kernels(), network, {{{}, {}}}, {});
  ASSERT_FALSE(program.has_value());
  EXPECT_EQ(program.error().code, SLUICE_E_INVALID_ARGUMENT);
  EXPECT_NE(program.error().message.find("bad.glsl:2: error: 'gian'"), std::string::npos)
      << program.error().message;
}

}  // namespace
}  // namespace sluice::vulkan::testing
