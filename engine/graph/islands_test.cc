#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/graph/testing/negotiation_case.h"

namespace sluice::graph {
namespace {

using testing::Case;
using testing::CpuOffer;
using testing::Has;
using testing::NetOf;
using testing::OnDevice;
using testing::SizedOffer;

Offer GpuOffer() {
  Offer offer = CpuOffer("NV12", kViewShm);
  offer.sync = kSyncTimeline | kSyncCpuDone;
  return offer;
}

NodeType Gpu() { return OnDevice(testing::Filter("gpu", {GpuOffer()}, {GpuOffer()})); }

NodeType GpuMix() {
  NodeType type = Gpu();
  type.id = "mix";
  type.ports = {testing::Input("a", {GpuOffer()}), testing::Input("b", {GpuOffer()}),
                testing::Output("out", {GpuOffer()})};
  type.ties = {{"out", "a", TieField::kSize}, {"out", "a", TieField::kRate}};
  return OnDevice(type);
}

/// s (source), cpu (filter), t (sink), gpu (filter), mix (two inputs), fix (source and sink on the device).
std::vector<NodeType> Types() {
  NodeType source = OnDevice(testing::Source("gpusource", {GpuOffer()}));
  NodeType sink = OnDevice(testing::Sink("gpusink", {GpuOffer()}));
  return {testing::Source("s", {SizedOffer("NV12", 64, 48)}),
          testing::Sink("t", {CpuOffer("NV12")}),
          testing::Filter("cpu", {CpuOffer("NV12")}, {CpuOffer("NV12")}),
          Gpu(),
          GpuMix(),
          source,
          sink};
}

/// "a+b | c": the islands by their names, in order.
std::string Islands(const std::string& text, const std::vector<NodeType>& types = Types()) {
  Case c(types, text);
  std::string out;
  for (const PlanIsland& island : c.Succeed().islands) {
    out += (out.empty() ? "" : " | ") + island.name;
  }
  return out;
}

const PlanEdge& EdgeOf(const Plan& plan, const std::string& from, const std::string& to) {
  for (const PlanEdge& edge : plan.edges) {
    if (plan.PortName(edge.from) == from && plan.PortName(edge.to) == to) return edge;
  }
  ADD_FAILURE() << "no edge " << from << " -> " << to;
  static const PlanEdge none;
  return none;
}

TEST(IslandsTest, AChainOfDeviceNodesIsOneIsland) {
  EXPECT_EQ(Islands("s: s\na: gpu\nb: gpu\nc: gpu\nt: t\ns -> a -> b -> c -> t\n"), "a+b+c");
}

TEST(IslandsTest, WhatIsInsideHasNoPoolAndNoDepthButAFormat) {
  Case c(Types(), "s: s\na: gpu\nb: gpu\nt: t\ns -> a -> b -> t\n");
  Plan plan = c.Succeed();
  const PlanNet& inner = NetOf(plan, "a.out");
  EXPECT_TRUE(inner.inner);
  EXPECT_EQ(inner.depth, 0u);
  EXPECT_TRUE(inner.depth_terms.empty());
  EXPECT_EQ(inner.allocator, "");
  EXPECT_EQ(inner.views, 0u);
  EXPECT_EQ(inner.format.width, 64u);
  EXPECT_EQ(media::FourccName(inner.format.fourcc), "NV12");
  EXPECT_TRUE(EdgeOf(plan, "a.out", "b.in").inner);
  EXPECT_FALSE(NetOf(plan, "s.out").inner);
  EXPECT_FALSE(NetOf(plan, "b.out").inner);
  EXPECT_GT(NetOf(plan, "b.out").depth, 0u);
  EXPECT_EQ(plan.FindNode("t")->latency_frames, 4u);  // two queues of two, none inside
  EXPECT_EQ(plan.run_groups.size(), 3u);
  EXPECT_EQ(plan.FindNode("a")->run_group, plan.FindNode("b")->run_group);
}

TEST(IslandsTest, BranchesBelongToIt) {
  EXPECT_EQ(Islands("s: s\na: gpu\nb: gpu\nc: gpu\nm: mix\nt: t\n"
                    "s -> a\na -> b -> m.a\na -> c -> m.b\nm -> t\n"),
            "a+b+c+m");
}

TEST(IslandsTest, AnOutputThatTheCpuReadsTooHasAPoolForItAlone) {
  Case c(Types(), "s: s\na: gpu\nb: gpu\nt: t\nu: t\ns -> a -> b -> t\na -> u\n");
  Plan plan = c.Succeed();
  ASSERT_EQ(plan.islands.size(), 1u);
  const PlanNet& net = NetOf(plan, "a.out");
  EXPECT_FALSE(net.inner);
  EXPECT_TRUE(EdgeOf(plan, "a.out", "b.in").inner);
  EXPECT_FALSE(EdgeOf(plan, "a.out", "u.in").inner);
  for (const DepthTerm& term : net.depth_terms) EXPECT_FALSE(Has(term.what, "b.in")) << term.what;
  EXPECT_EQ(net.depth, 4u);  // writing 1, queue 2, running 1
  EXPECT_FALSE(plan.FindNode("a")->ports[1].inner);
  EXPECT_TRUE(plan.FindNode("b")->ports[0].inner);
}

// a -> cpu -> m.b and a -> m.a: as one island a and m would wait for cpu, which waits for them.
TEST(IslandsTest, NoWayLeavesAnIslandAndComesBack) {
  EXPECT_EQ(Islands("s: s\na: gpu\nm: mix\nx: cpu\nt: t\ns -> a\na -> m.a\na -> x -> m.b\nm -> t\n"),
            "a | m");
}

TEST(IslandsTest, NorDoesALongerWay) {
  EXPECT_EQ(Islands("s: s\na: gpu\nb: gpu\nc: gpu\nm: mix\nx: cpu\ny: cpu\nt: t\n"
                    "s -> a -> b -> c -> m.a\na -> x -> y -> m.b\nm -> t\n"),
            "a+b+c | m");
}

// a1 -> x -> b2 and b1 -> y -> a2: {a1,a2} and {b1,b2} would wait for each other.
TEST(IslandsTest, TwoIslandsDoNotWaitForEachOther) {
  EXPECT_EQ(Islands("s: s\na1: gpu\nb1: gpu\na2: mix\nb2: mix\nx: cpu\ny: cpu\nt: t\nu: t\n"
                    "s -> a1\ns -> b1\na1 -> a2.a\nb1 -> b2.a\na1 -> x -> b2.b\nb1 -> y -> a2.b\n"
                    "a2 -> t\nb2 -> u\n"),
            "a1 | b1+b2 | a2");
}

TEST(IslandsTest, ACutNodeStandsAlone) {
  EXPECT_EQ(Islands("s: s\na: gpu\nb: gpu cut\nc: gpu\nd: gpu\nt: t\ns -> a -> b -> c -> d -> t\n"),
            "a | b | c+d");
}

TEST(IslandsTest, AQueueOfItsOwnIsABorder) {
  EXPECT_EQ(Islands("s: s\na: gpu\nb: gpu\nt: t\ns -> a\na -> b queue=3\nb -> t\n"), "a | b");
}

TEST(IslandsTest, AQueueBesideAnInnerEdgeKeepsItsNodesApart) {
  EXPECT_EQ(Islands("s: s\na: gpu\nm: mix\nt: t\ns -> a\na -> m.a\na -> m.b queue=3\nm -> t\n"),
            "a | m");
}

TEST(IslandsTest, ASampledInputIsABorder) {
  Case c(Types(),
         "s: s\nu: s\na: gpu\nb: gpu\nm: mix sync=latest trigger=a\nt: t\n"
         "s -> a -> m.a\nu -> b -> m.b\nm -> t\n");
  Plan plan = c.Succeed();
  ASSERT_EQ(plan.islands.size(), 2u);
  EXPECT_EQ(plan.islands[0].name, "a+m");
  EXPECT_EQ(plan.islands[1].name, "b");
  EXPECT_TRUE(EdgeOf(plan, "b.out", "m.b").sampled);
  EXPECT_GT(NetOf(plan, "b.out").depth, 0u);
}

TEST(IslandsTest, AnotherPolicyForErrorsIsABorder) {
  EXPECT_EQ(Islands("s: s\na: gpu restart\nb: gpu restart\nc: gpu\nt: t\ns -> a -> b -> c -> t\n"),
            "a+b | c");
}

TEST(IslandsTest, HoldingOrRetainingIsABorder) {
  std::vector<NodeType> types = Types();
  NodeType holds = Gpu();
  holds.id = "holds";
  holds.ports[0].offers[0].hold_max = 1;
  NodeType retains = Gpu();
  retains.id = "retains";
  retains.ports[1].offers[0].retains = 1;
  types.push_back(holds);
  types.push_back(retains);
  EXPECT_EQ(Islands("s: s\na: gpu\nh: holds\nb: gpu\nr: retains\nc: gpu\nt: t\n"
                    "s -> a -> h -> b -> r -> c -> t\n",
                    types),
            "a | h+b+r | c");
}

TEST(IslandsTest, DynamicAndParallelNodesStandAlone) {
  std::vector<NodeType> types = Types();
  NodeType dynamic = Gpu();
  dynamic.id = "dynamic";
  dynamic.ports[1].acquisition = Acquisition::kDynamic;
  NodeType parallel = Gpu();
  parallel.id = "parallel";
  parallel.parallel = 2;
  types.push_back(dynamic);
  types.push_back(parallel);
  EXPECT_EQ(Islands("s: s\na: gpu\nd: dynamic\nb: gpu\np: parallel\nt: t\n"
                    "s -> a -> d -> b -> p -> t\n",
                    types),
            "a | d | b | p");
}

TEST(IslandsTest, ANodeThatChangesTheRateStandsAlone) {
  std::vector<NodeType> types = Types();
  NodeType twice = Gpu();
  twice.id = "twice";
  twice.ties = {{"out", "in", TieField::kSize}};
  twice.ports[0].offers[0].rate_min = twice.ports[0].offers[0].rate_max = {30, 1};
  twice.ports[1].offers[0].rate_min = twice.ports[1].offers[0].rate_max = {60, 1};
  types.push_back(twice);
  EXPECT_EQ(Islands("s: s\na: gpu\nd: twice\nb: gpu\nc: gpu\nt: t\ns -> a -> d -> b -> c -> t\n", types),
            "a | d | b+c");
}

TEST(IslandsTest, AnEdgeWithoutTheDomainsTimelineIsABorder) {
  std::vector<NodeType> types = Types();
  NodeType waits = Gpu();
  waits.id = "waits";
  waits.ports[0].offers[0].sync = kSyncCpuDone;
  types.push_back(waits);
  EXPECT_EQ(Islands("s: s\na: gpu\nw: waits\nt: t\ns -> a -> w -> t\n", types), "a | w");
}

TEST(IslandsTest, AnotherDomainIsABorder) {
  std::vector<NodeType> types = Types();
  NodeType other = Gpu();
  other.id = "other";
  other.domain = "opencl";
  types.push_back(other);
  EXPECT_EQ(Islands("s: s\na: gpu\nb: gpu\no: other\nt: t\ns -> a -> b -> o -> t\n", types),
            "a+b | o");
}

TEST(IslandsTest, SourcesAndSinksOnTheDeviceJoin) {
  EXPECT_EQ(Islands("s: gpusource\na: gpu\nt: gpusink\ns -> a -> t\n"), "s+a+t");
}

TEST(IslandsTest, NodesThatHaveEndedStandAlone) {
  Case c(Types(), "s: s\na: gpu\nb: gpu\nt: t\ns -> a -> b -> t\n");
  const std::string joined = c.Succeed().digest;
  c.input.apart.insert("a");
  Plan plan = c.Succeed();
  EXPECT_EQ(plan.islands.size(), 2u);
  EXPECT_NE(plan.digest, joined);
}

TEST(IslandsTest, IslandsDoNotDependOnTheOrderOfTheText) {
  const std::string nodes = "s: s\na: gpu\nb: gpu\nc: gpu\nm: mix\nx: cpu\nt: t\n";
  EXPECT_EQ(Islands(nodes + "s -> a\na -> b\nb -> x -> m.b\na -> c -> m.a\nm -> t\n"),
            Islands(nodes + "m -> t\na -> c -> m.a\nb -> x -> m.b\na -> b\ns -> a\n"));
}

TEST(IslandsTest, AThousandNodesAreOneIsland) {
  std::string text = "s: s\nt: t\n", edges = "s";
  for (int i = 0; i < 1000; ++i) {
    text += "n" + std::to_string(i) + ": gpu\n";
    edges += " -> n" + std::to_string(i);
  }
  EXPECT_EQ(Islands(text + edges + " -> t\n"), "n0+n1+n2+997 more");
}

TEST(IslandsTest, NoCopyIsPlannedInside) {
  Case c(Types(), "s: s\na: gpu\nb: gpu\nt: t\ns -> a -> b -> t\n");
  DomainFacts facts;
  facts.device_uuid[0] = 1;
  facts.device_name = "GPU without host memory";
  facts.views = kViewDevice;
  c.input.domains["vulkan"] = facts;
  Plan plan = c.Succeed();
  ASSERT_EQ(plan.copies.size(), 2u);
  EXPECT_EQ(plan.copies[0].where, "a.in");
  EXPECT_EQ(plan.copies[1].where, "b.out");
}

TEST(IslandsTest, ThePlanWarnsOfAnOutputThatStallsTheOthersInRealTime) {
  Settings realtime;
  realtime.clock = ClockMode::kRealtime;
  const std::string nodes = "s: s\na: gpu\nb: gpu\nt: t\nu: t\ns -> a -> b\nb -> t\n";
  Plan plan = Case(Types(), nodes + "a -> u\n", realtime).Succeed();
  ASSERT_EQ(plan.warnings.size(), 2u) << plan.ToTable();
  EXPECT_EQ(plan.warnings[0],
            "b.out -> t.in blocks: when it is slow, a.out of the same island stall; `island: cut` on a "
            "node between them splits it, `queue: { when_full: drop-oldest }` lets it drop");
  plan = Case(Types(), nodes + "a -> u drop\n", realtime).Succeed();
  ASSERT_EQ(plan.warnings.size(), 1u) << plan.ToTable();
  plan = Case(Types(), nodes + "a -> u\n").Succeed();
  EXPECT_TRUE(plan.warnings.empty());
}

TEST(IslandsTest, TablesSayWhatIsInside) {
  Case c(Types(), "s: s\na: gpu\nb: gpu\nt: t\ns -> a -> b -> t\n");
  Plan plan = c.Succeed();
  const std::string table = plan.ToTable();
  EXPECT_TRUE(Has(table, "  inside the island a+b: no pool\n  -> b.in  inside the island\n")) << table;
  EXPECT_TRUE(Has(plan.ToDot(), "inside\", style=bold]")) << plan.ToDot();
  auto json = nlohmann::json::parse(plan.ToJson());
  EXPECT_EQ(json["islands"][0]["name"], "a+b");
  EXPECT_EQ(json["nets"][1]["inner"], true);
  EXPECT_EQ(json["nets"][1]["island"], 0);
  EXPECT_FALSE(json["nets"][1].contains("depth"));
  EXPECT_EQ(json["nets"][1]["format"]["fourcc"], "NV12");
  EXPECT_EQ(json["edges"][1]["inner"], true);
  EXPECT_FALSE(json["edges"][1].contains("queue"));
  EXPECT_EQ(json["nodes"][1]["ports"][1]["inner"], true);
}

}  // namespace
}  // namespace sluice::graph
