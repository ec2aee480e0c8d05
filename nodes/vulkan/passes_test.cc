// Which passes are made of which stages. No device.
#include "nodes/vulkan/passes.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice::vulkan {
namespace {

using Kind = Network::Source::Kind;

Stage Pointwise(const std::string& label) {
  Stage stage;
  stage.label = label;
  return stage;
}

Stage Sampling(const std::string& label, std::vector<uint32_t> inputs = {0}) {
  Stage stage = Pointwise(label);
  stage.kind = Stage::Kind::kSample;
  stage.inputs = std::move(inputs);
  return stage;
}

/// Reads each input once: flip, crop and their like.
Stage Moving(const std::string& label, uint32_t width = 0, uint32_t height = 0,
             std::vector<uint32_t> inputs = {0}) {
  Stage stage = Sampling(label, std::move(inputs));
  stage.reads_once = true;
  stage.width = width;
  stage.height = height;
  return stage;
}

Shape Rgb(uint32_t width = 64, uint32_t height = 32) {
  Shape shape = HalfFloatShape(width, height).value();
  shape.pixels = Pixels::kRgba;
  return shape;
}

Shape Yuv(uint32_t width = 64, uint32_t height = 32) {
  Shape shape = Rgb(width, height);
  shape.pixels = Pixels::kNv12;
  shape.planes = 2;
  return shape;
}

/// Nodes one after the other, from one frame to one frame.
Network Chain(const std::vector<std::vector<Stage>>& nodes, const Shape& in = Rgb(),
              const Shape& out = Rgb()) {
  Network network;
  for (uint32_t n = 0; n < nodes.size(); ++n) {
    const Network::Source source =
        n == 0 ? Network::Source{Kind::kBorder, 0} : Network::Source{Kind::kNode, n - 1};
    network.nodes.push_back({"n" + std::to_string(n), nodes[n], {source}});
  }
  network.inputs = {in};
  network.outputs = {out};
  network.output_nodes = {static_cast<uint32_t>(nodes.size() - 1)};
  return network;
}

/// "a + b | c": the passes by their stages.
std::string Describe(const Network& network, const PassOptions& options = {}) {
  const auto plan = PlanPasses(network, options);
  if (!plan) return "error: " + plan.error().message;
  std::string text;
  for (const Pass& pass : plan->passes)
    text += (text.empty() ? "" : " | ") + plan->Label(network, pass);
  return text;
}

TEST(PassesTest, PointwiseStagesOfAChainAreOnePass) {
  const Network network = Chain({{Pointwise("a")}, {Pointwise("b")}, {Pointwise("c")}});
  EXPECT_EQ(Describe(network), "a + b + c");
  const PassPlan plan = PlanPasses(network, {}).value();
  EXPECT_EQ(plan.inner_bytes, 0U);
  EXPECT_EQ(plan.passes[0].bytes_read(), 64U * 32 * 4);
  EXPECT_EQ(plan.NodesOf(network, plan.passes[0]), (std::vector<uint32_t>{0, 1, 2}));
}

TEST(PassesTest, WithoutFusionEachStageIsAPassWithHalfFloatsBetween) {
  const Network network = Chain({{Pointwise("a")}, {Pointwise("b")}, {Pointwise("c")}});
  PassOptions options;
  options.fuse = false;
  EXPECT_EQ(Describe(network, options), "a | b | c");
  const PassPlan plan = PlanPasses(network, options).value();
  EXPECT_EQ(plan.passes[1].inputs[0].shape.pixels, Pixels::kRgba16f);
  EXPECT_EQ(plan.passes[1].apart, "fusion is switched off");
}

TEST(PassesTest, AConversionInTheMiddleVanishesAndOneAloneIsAPass) {
  EXPECT_EQ(Describe(Chain({{Pointwise("a")}, {}, {Pointwise("b")}})), "a + b");
  EXPECT_EQ(Describe(Chain({{}}, Yuv(), Rgb())), "convert");
}

TEST(PassesTest, AStageThatSamplesBeginsAPassAndTakesWhatFollows) {
  const Network network = Chain({{Pointwise("a")}, {Sampling("blur")}, {Pointwise("b")}});
  EXPECT_EQ(Describe(network), "a | blur + b");
  EXPECT_EQ(PlanPasses(network, {}).value().passes[1].apart, "reads pixels other than its own");
}

TEST(PassesTest, WhereEachPixelIsReadOnceWhatComesBeforeIsDoneOnTheWay) {
  const Network network =
      Chain({{Pointwise("a"), Pointwise("b")}, {Moving("flip")}, {Pointwise("c")}});
  Network chained = network;
  chained.nodes[0].stages[1].inputs = {Stage::kPrevious};
  EXPECT_EQ(Describe(chained), "a + b + flip + c");
  const PassPlan plan = PlanPasses(chained, {}).value();
  EXPECT_EQ(plan.passes[0].inputs[0].chain.size(), 2U);
  EXPECT_EQ(plan.passes[0].inputs[0].place.kind, Pass::Place::Kind::kInput);
  EXPECT_EQ(plan.inner_bytes, 0U);
}

TEST(PassesTest, APointwiseStageThatLooksAroundBeginsAPass) {
  Stage pencil = Pointwise("pencil");
  pencil.samples = true;
  EXPECT_EQ(Describe(Chain({{Pointwise("a")}, {pencil}, {Pointwise("b")}})), "a | pencil + b");
  // And its result cannot be had pixel by pixel on the way.
  EXPECT_EQ(Describe(Chain({{pencil}, {Moving("flip")}})), "pencil | flip");
}

TEST(PassesTest, StagesThatReadOnceAreOnePassWithWhatIsBetweenThem) {
  const Network network = Chain({{Moving("crop", 40, 20)},
                                 {Pointwise("look")},
                                 {},
                                 {Moving("flip")},
                                 {Moving("rotate", 20, 40)},
                                 {Pointwise("adjust")}},
                                Yuv(), Rgb(20, 40));
  EXPECT_EQ(Describe(network), "crop + look + flip + rotate + adjust");
  const PassPlan plan = PlanPasses(network, {}).value();
  const Pass& pass = plan.passes[0];
  EXPECT_EQ(plan.inner_bytes, 0U);
  EXPECT_EQ(pass.bytes_read(), Yuv().FrameBytes());
  EXPECT_EQ(pass.bytes_written(), 20U * 40 * 4);
  EXPECT_EQ(plan.NodesOf(network, pass), (std::vector<uint32_t>{0, 1, 3, 4, 5}));
  // Each has the size of its own result.
  ASSERT_EQ(pass.inputs[0].chain.size(), 3U);
  for (const Pass::Step& step : pass.inputs[0].chain) {
    EXPECT_EQ(step.width, 40U);
    EXPECT_EQ(step.height, 20U);
  }
  EXPECT_EQ(pass.sample, (StageRef{4, 0}));
  EXPECT_EQ(pass.result.width, 20U);
}

TEST(PassesTest, WithoutFusionStagesThatReadOnceArePassesToo) {
  PassOptions options;
  options.fuse = false;
  const Network network = Chain({{Moving("crop", 40, 20)}, {Moving("flip")}}, Rgb(), Rgb(40, 20));
  EXPECT_EQ(Describe(network, options), "crop | flip");
  EXPECT_EQ(PlanPasses(network, options).value().passes[1].apart, "fusion is switched off");
}

TEST(PassesTest, AStageThatReadsSeveralPixelsForOneHasItsSourceAndItsResultInMemory) {
  Stage blur = Sampling("blur");
  blur.wide = true;
  const Network network =
      Chain({{Moving("crop")}, {Moving("flip")}, {blur}, {Moving("rotate")}}, Yuv(), Yuv());
  EXPECT_EQ(Describe(network), "crop + flip | blur | rotate");
  const PassPlan plan = PlanPasses(network, {}).value();
  EXPECT_EQ(plan.passes[1].apart, "reads pixels other than its own");
  EXPECT_EQ(plan.passes[2].apart, "its source reads several pixels for one");
}

TEST(PassesTest, EachInputOfAStageThatReadsOnceIsMadeOnTheWay) {
  Network network;
  network.nodes = {{"a", {Moving("crop")}, {{Kind::kBorder, 0}}},
                   {"b", {Pointwise("look")}, {{Kind::kNode, 0}}},
                   {"c", {Moving("rotate")}, {{Kind::kBorder, 1}}},
                   {"d", {Moving("mix", 64, 32, {0, 1})}, {{Kind::kNode, 1}, {Kind::kNode, 2}}},
                   {"e", {Moving("flip")}, {{Kind::kNode, 3}}}};
  network.inputs = {Rgb(), Yuv(32, 64)};
  network.outputs = {Rgb()};
  network.output_nodes = {4};
  // What has two inputs is no chain itself.
  EXPECT_EQ(Describe(network), "crop + look + rotate + mix | flip");
  const PassPlan plan = PlanPasses(network, {}).value();
  EXPECT_EQ(plan.passes[0].sample_inputs, (std::vector<uint32_t>{0, 1}));
  EXPECT_EQ(plan.passes[0].inputs[0].chain.size(), 2U);
  EXPECT_EQ(plan.passes[0].inputs[1].chain.size(), 1U);
  EXPECT_EQ(plan.passes[1].apart, "its source is not made of one picture");
}

TEST(PassesTest, WhatSeveralReadIsNotMadeOnTheWayToEach) {
  Network network;
  network.nodes = {{"a", {Moving("crop")}, {{Kind::kBorder, 0}}},
                   {"b", {Pointwise("look")}, {{Kind::kNode, 0}}},
                   {"c", {Moving("flip")}, {{Kind::kNode, 1}}},
                   {"d", {Moving("rotate")}, {{Kind::kNode, 0}}}};
  network.inputs = {Rgb()};
  network.outputs = {Rgb(), Rgb()};
  network.output_nodes = {2, 3};
  EXPECT_EQ(Describe(network), "crop | look + flip | rotate");
  const PassPlan plan = PlanPasses(network, {}).value();
  EXPECT_EQ(plan.passes[1].apart, "its source is read by several");
  EXPECT_EQ(plan.passes[1].inputs[0].place, plan.passes[0].to);
  // Nor what one stage reads by two of its inputs, nor what leaves as well.
  network = Chain({{Moving("crop")}, {Moving("mix", 0, 0, {0, 1})}});
  network.nodes[1].sources.push_back({Kind::kNode, 0});
  EXPECT_EQ(Describe(network), "crop | mix");
  network = Chain({{Moving("crop")}, {Moving("flip")}});
  network.outputs = {Rgb(), Rgb()};
  network.output_nodes = {0, 1};
  EXPECT_EQ(Describe(network), "crop | flip | convert");
}

TEST(PassesTest, SubsampledPixelsAreUnpackedBeforeAWideStage) {
  Stage blur = Sampling("blur");
  blur.wide = true;
  EXPECT_EQ(Describe(Chain({{blur}}, Yuv(), Yuv())), "unpack | blur");
  EXPECT_EQ(Describe(Chain({{blur}}, Rgb(), Rgb())), "blur");
}

TEST(PassesTest, HostMemoryIsBroughtToTheDeviceBeforeAWideStage) {
  Stage blur = Sampling("blur");
  blur.wide = true;
  Shape far = Rgb();
  far.far = true;
  EXPECT_EQ(Describe(Chain({{blur}}, far, Rgb())), "unpack | blur");
  EXPECT_EQ(Describe(Chain({{Pointwise("a")}}, far, Rgb())), "a");
  EXPECT_EQ(Describe(Chain({{Moving("crop")}, {Moving("flip")}}, far, Rgb())), "crop + flip");
}

TEST(PassesTest, AResultThatSeveralReadIsMadeOnce) {
  // a feeds b and c, which are both outputs.
  Network network;
  network.nodes = {{"a", {Pointwise("a")}, {{Kind::kBorder, 0}}},
                   {"b", {Pointwise("b")}, {{Kind::kNode, 0}}},
                   {"c", {Pointwise("c")}, {{Kind::kNode, 0}}}};
  network.inputs = {Rgb()};
  network.outputs = {Rgb(), Rgb()};
  network.output_nodes = {1, 2};
  EXPECT_EQ(Describe(network), "a | b | c");
  const PassPlan plan = PlanPasses(network, {}).value();
  EXPECT_EQ(plan.passes[1].inputs[0].place, plan.passes[2].inputs[0].place);
  EXPECT_EQ(plan.passes[1].apart, "its source is read by several");
}

TEST(PassesTest, AResultThatLeavesAndGoesOnIsMadeOnceAndStoredTwice) {
  Network network = Chain({{Pointwise("a")}, {Pointwise("b")}});
  network.outputs = {Rgb(), Rgb()};
  network.output_nodes = {0, 1};
  EXPECT_EQ(Describe(network), "a | b | convert");
}

TEST(PassesTest, MemoryBetweenPassesIsSharedWhereLivesDoNotMeet) {
  std::vector<std::vector<Stage>> nodes(6, {Sampling("s")});
  const PassPlan plan = PlanPasses(Chain(nodes), {}).value();
  ASSERT_EQ(plan.passes.size(), 6U);
  const uint64_t image = HalfFloatShape(64, 32).value().bytes;
  // Five between six passes; each lives while the next is made.
  EXPECT_EQ(plan.inner_bytes, 2 * image);
}

TEST(PassesTest, NoTwoImagesThatLiveAtOnceShareBytes) {
  // Two arms of different sizes that meet.
  Stage small = Sampling("small");
  small.width = 16;
  small.height = 8;
  Network network;
  network.nodes = {{"a", {Sampling("a")}, {{Kind::kBorder, 0}}},
                   {"b", {small}, {{Kind::kNode, 0}}},
                   {"c", {Sampling("c")}, {{Kind::kNode, 0}}},
                   {"d", {Sampling("d", {0, 1})}, {{Kind::kNode, 2}, {Kind::kNode, 1}}}};
  network.inputs = {Rgb()};
  network.outputs = {Rgb()};
  network.output_nodes = {3};
  const PassPlan plan = PlanPasses(network, {}).value();
  ASSERT_EQ(plan.passes.size(), 4U);
  const auto end = [&](uint32_t i) { return plan.inner[i].offset + plan.inner[i].shape.bytes; };
  const uint32_t a = plan.passes[0].to.index, b = plan.passes[1].to.index,
                 c = plan.passes[2].to.index;
  for (const auto& [x, y] : {std::pair{a, b}, std::pair{a, c}, std::pair{b, c}})
    EXPECT_TRUE(end(x) <= plan.inner[y].offset || end(y) <= plan.inner[x].offset);
}

TEST(PassesTest, AResultOfAnotherSizeThanItsFrameIsRefusedByName) {
  EXPECT_EQ(Describe(Chain({{Pointwise("a")}}, Rgb(64, 32), Rgb(32, 32))),
            "error: n0: makes 64x32, not 32x32");
}

TEST(PassesTest, AnInputWithoutAnEdgeIsNoSourceForAPixelStage) {
  Network network = Chain({{Pointwise("a")}});
  network.nodes[0].sources = {{}};
  EXPECT_EQ(Describe(network), "error: n0: has nothing to work on");
  // One that samples reads nothing there.
  Stage mix = Sampling("mix", {0, 1});
  network = Chain({{mix}});
  network.nodes[0].sources.push_back({});
  EXPECT_EQ(Describe(network), "mix");
  // And may be on the way.
  network = Chain({{Moving("none", 64, 32)}, {Moving("flip")}});
  network.nodes[0].sources = {{}};
  EXPECT_EQ(Describe(network), "none + flip");
}

}  // namespace
}  // namespace sluice::vulkan
