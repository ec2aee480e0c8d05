// Passes with a body of their own for numbers that are at their neutral values: that it does what
// the other one does, that it is left and come back to as numbers change, and that it is shorter.
#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "nodes/vulkan/compiler.h"
#include "nodes/vulkan/look_testing.h"
#include "nodes/vulkan/pass_text.h"
#include "nodes/vulkan/testing.h"

namespace sluice::vulkan::testing {
namespace {

/// param(0) is added, and param(1) an exponent that is 1 mostly.
constexpr char kCurve[] =
    "vec4 shade(vec4 c, ivec2 at) {\n"
    "  c.rgb = clamp(c.rgb + param(0), 0.0, 1.0);\n"
    "  if (param(1) != 1.0) c.rgb = pow(c.rgb, vec3(param(1)));\n"
    "  return c;\n"
    "}\n";

TestFilter Curve(float add, float exponent, Network::Source source = FromInput(0)) {
  Stage stage;
  stage.label = "curve";
  stage.glsl = kCurve;
  stage.limits = true;
  stage.param_count = 2;
  stage.neutrals = {{0, 0.0F}, {1, 1.0F}};
  TestFilter filter;
  filter.stages = {stage};
  filter.sources = {source};
  filter.params = {add, exponent};
  return filter;
}

TestFilter MixedLook(const char* name, float amount, Network::Source source) {
  TestFilter filter = LookFilter(name, source);
  filter.params[0] = amount;
  return filter;
}

Program::Options OneBody() {
  Program::Options options;
  options.settle = false;
  return options;
}

/// The text of one pass with these filters, each reading the one before.
PassText TextOf(const std::vector<TestFilter>& filters) {
  const sluice_format format = MakeFormat(SLUICE_FORMAT_AB24, 16, 16);
  Network network;
  std::vector<std::vector<float>> numbers;
  for (const TestFilter& filter : filters) {
    network.nodes.push_back({"filter", filter.stages, filter.sources});
    numbers.push_back(filter.params);
  }
  network.inputs = network.outputs = {Picture(format).shape()};
  network.output_nodes = {static_cast<uint32_t>(filters.size() - 1)};
  const PassPlan plan = PlanPasses(network, {}).value();
  EXPECT_EQ(plan.passes.size(), 1U);
  return MakePassText(network, plan.passes[0], std::vector<uint32_t>(filters.size()), numbers);
}

/// How often the compiled text raises to a power.
size_t Powers(const PassText& text) {
  constexpr uint32_t kOpExtInst = 12, kPow = 26;
  Compiler compiler("");
  const auto spirv = compiler.Compile(text.glsl, "settled").value();
  size_t count = 0;
  for (size_t at = 5; at < spirv.size(); at += std::max(spirv[at] >> 16, 1U)) {
    if ((spirv[at] & 0xffffU) == kOpExtInst && spirv.at(at + 4) == kPow) ++count;
  }
  return count;
}

TEST(SettledTextTest, ANumberIsAConstantWhereItIsNeutralWhenThePassIsMade) {
  const PassText text = TextOf({Curve(0.25F, 1), Curve(0, 2, FromFilter(0))});
  ASSERT_EQ(text.settled.size(), 2U);
  EXPECT_EQ(text.settled[0].node, 0U);
  EXPECT_EQ(text.settled[0].number, 1U);
  EXPECT_EQ(text.settled[1].node, 1U);
  EXPECT_EQ(text.settled[1].number, 0U);
  EXPECT_GE(text.settled_at, 4U) << "behind the numbers of both";
  EXPECT_LT(text.settled_at, text.floats);
}

TEST(SettledTextTest, WhereNothingIsNeutralThereIsOneBody) {
  const PassText text = TextOf({Curve(0.25F, 2)});
  EXPECT_TRUE(text.settled.empty());
  EXPECT_EQ(text.glsl.find("settled"), std::string::npos);
}

TEST(SettledTextTest, TheFlagHoldsOnlyWhileAllOfThemDo) {
  const PassText text = TextOf({Curve(0, 1)});
  std::vector<std::vector<float>> numbers = {{0, 1}};
  EXPECT_TRUE(AreSettled(text.settled, numbers));
  numbers[0][0] = 0.5F;
  EXPECT_FALSE(AreSettled(text.settled, numbers));
  numbers[0] = {0, 1.5F};
  EXPECT_FALSE(AreSettled(text.settled, numbers));
}

TEST(SettledTextTest, TheBodyForNeutralNumbersDoesLess) {
  const size_t one_body = Powers(TextOf({Curve(0.25F, 2)}));
  ASSERT_GT(one_body, 0U);
  EXPECT_EQ(Powers(TextOf({Curve(0, 2)})), 2 * one_body) << "two bodies, a power in each";
  EXPECT_EQ(Powers(TextOf({Curve(0.25F, 1)})), one_body) << "two bodies, a power in one";
}

class SettledTest : public DeviceTest {
 protected:
  static std::vector<TestFilter> Chain(float amount, float add, float exponent) {
    return {MixedLook("warm", amount, FromInput(0)), Curve(add, exponent, FromFilter(0)),
            MixedLook("vignette", amount, FromFilter(1)), MixedLook("sepia", 1, FromFilter(2))};
  }
};

TEST_F(SettledTest, BothBodiesMakeTheSamePicture) {
  for (const auto& [from, to] : {std::pair{SLUICE_FORMAT_AB24, SLUICE_FORMAT_AB24},
                                 std::pair{SLUICE_FORMAT_NV12, SLUICE_FORMAT_YU12},
                                 std::pair{SLUICE_FORMAT_AB4H, SLUICE_FORMAT_AR24}}) {
    Picture source(MakeFormat(from, 101, 53));
    Picture settled(MakeFormat(to, 101, 53)), general(MakeFormat(to, 101, 53));
    Fill(source, IsHalf(from) ? Pattern::kNoise : Pattern::kGradients);
    bench_->RunChain(Chain(1, 0, 1), {&source}, settled);
    bench_->RunChain(Chain(1, 0, 1), {&source}, general, OneBody());
    EXPECT_LE(Worst(settled, general), 1) << FourccName(from) << " to " << FourccName(to);
  }
}

TEST_F(SettledTest, ANumberThatLeavesItsNeutralValueIsFollowed) {
  Picture source(MakeFormat(SLUICE_FORMAT_AB24, 101, 53));
  Picture got(source.format()), want(source.format()), before(source.format());
  Fill(source, Pattern::kGradients);
  auto filters = Chain(0.5F, 0.125F, 2);
  bench_->RunChain(filters, {&source}, want, OneBody());
  for (size_t i = 0; i < filters.size(); ++i) filters[i].made_with = Chain(1, 0, 1)[i].params;
  bench_->RunChain(filters, {&source}, got);
  EXPECT_LE(Worst(got, want), 1);
  bench_->RunChain(Chain(1, 0, 1), {&source}, before);
  EXPECT_GT(Worst(got, before), 10) << "the numbers make a difference";
}

/// The numbers of one filter, which a test changes between frames.
struct Changing final : NumberSource {
  void CopyParams(uint32_t, std::span<float> out) const override {
    ++asked;
    std::copy(numbers.begin(), numbers.end(), out.begin());
  }
  uint64_t changes() const override { return count; }
  void Set(float add, float exponent) {
    numbers = {add, exponent};
    ++count;
  }
  std::vector<float> numbers = {0, 1};
  uint64_t count = 0;
  mutable int asked = 0;
};

/// A curve whose numbers change, between one picture of grey and several results.
class RunningCurve {
 public:
  RunningCurve(Bench& bench, size_t results) : bench_(bench) {
    FillRgb(source_, std::vector<uint8_t>(64 * 16 * 3, 128));
    from_ = Import(source_);
    for (size_t i = 0; i < results; ++i) {
      results_.push_back(std::make_unique<Picture>(source_.format()));
      to_.push_back(Import(*results_.back()));
    }
    const TestFilter curve = Curve(0, 1);
    Network network;
    network.nodes = {{"curve", curve.stages, curve.sources}};
    network.inputs = {source_.shape()};
    network.outputs = {source_.shape()};
    network.output_nodes = {0};
    program_ =
        Program::Create(bench.device(), bench.kernels(), network, {{curve.params, {}}}, {}).value();
  }

  /// One frame into that result: its first byte.
  int Red(size_t result = 0) {
    auto* const recording = program_
                                ->Prepare(std::span(&from_, 1), std::span(&to_[result], 1), {},
                                          bench_.queue().completed(), numbers)
                                .value();
    const auto point = bench_.queue().Submit(Program::Commands(*recording), 0).value();
    program_->Submitted(*recording, point);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    EXPECT_TRUE(bench_.queue().WaitIdle(deadline).has_value());
    return static_cast<int>(results_[result]->plane(0)[0]);
  }

  Changing numbers;

 private:
  BoundFrame Import(const Picture& picture) {
    imports_.push_back(
        Memory::ImportHost(bench_.device(), picture.base(), picture.bytes()).value());
    return {AllPlanesIn(imports_.back().buffer()), imports_.back().serial()};
  }

  Bench& bench_;
  Picture source_{MakeFormat(SLUICE_FORMAT_AB24, 64, 16)};
  std::vector<std::unique_ptr<Picture>> results_;
  std::vector<Memory> imports_;
  BoundFrame from_;
  std::vector<BoundFrame> to_;
  std::unique_ptr<Program> program_;
};

TEST_F(SettledTest, LeavingAndComingBackCompilesAndRecordsNothing) {
  RunningCurve curve(*bench_, 1);
  EXPECT_EQ(curve.Red(), 128);
  const DeviceCounters& counters = bench_->device().counters();
  const uint64_t pipelines = counters.pipelines, recordings = counters.recordings;
  curve.numbers.Set(0.25F, 1);
  EXPECT_NEAR(curve.Red(), 192, 1);
  curve.numbers.Set(0, 2);
  EXPECT_NEAR(curve.Red(), 64, 1);
  curve.numbers.Set(0, 1);
  EXPECT_EQ(curve.Red(), 128);
  EXPECT_EQ(counters.pipelines, pipelines);
  EXPECT_EQ(counters.recordings, recordings);
}

TEST_F(SettledTest, NumbersAreAskedForWhenTheyHaveChangedAndReachEveryFrame) {
  RunningCurve curve(*bench_, 3);
  curve.numbers.Set(0.25F, 1);
  for (size_t result = 0; result < 3; ++result) EXPECT_NEAR(curve.Red(result), 192, 1) << result;
  EXPECT_EQ(curve.numbers.asked, 1);
  curve.numbers.Set(0, 2);
  EXPECT_NEAR(curve.Red(1), 64, 1);
  EXPECT_NEAR(curve.Red(0), 64, 1) << "not that of its last frame";
  curve.numbers.Set(0.25F, 1);
  EXPECT_NEAR(curve.Red(2), 192, 1);
  EXPECT_NEAR(curve.Red(1), 192, 1);
  EXPECT_EQ(curve.numbers.asked, 3);
}

}  // namespace
}  // namespace sluice::vulkan::testing
