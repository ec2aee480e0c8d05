#include "engine/graph/plan.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/graph/negotiate.h"
#include "engine/graph/testing/types.h"

namespace sluice::graph {
namespace {

Plan NoirPlan(const Graph& graph) { return Negotiate({.graph = &graph}).value(); }

constexpr char kNoir[] =
    "clip: test.clip file=a.mp4\nlook: test.look look=noir\nout: test.file file=b.mp4\n"
    "clip -> look -> out\n";

TEST(PlanTest, TheTableNamesFormatsMemoryDepthAndCopies) {
  TypeList types(testing::StandardTypes());
  Graph graph = testing::MakeGraph(kNoir, types);
  const std::string table = NoirPlan(graph).ToTable();
  EXPECT_NE(table.find("clip.out: "), std::string::npos) << table;
  EXPECT_NE(table.find("YU12"), std::string::npos) << table;
  EXPECT_NE(table.find("memory: memfd (shm|cpu), 4 buffers of 3110.4 kB"), std::string::npos)
      << table;
  EXPECT_NE(table.find("depth:  4 = writing clip.out 1 + queue look.in 2 + running look.in 1"),
            std::string::npos)
      << table;
  EXPECT_NE(table.find("copies: none"), std::string::npos) << table;
}

TEST(PlanTest, TheJsonIsWholeAndAgreesWithThePlan) {
  TypeList types(testing::StandardTypes());
  Graph graph = testing::MakeGraph(kNoir, types);
  Plan plan = NoirPlan(graph);
  nlohmann::json json = nlohmann::json::parse(plan.ToJson());
  EXPECT_EQ(json["graph"], "test");
  EXPECT_EQ(json["digest"], plan.digest);
  EXPECT_EQ(json["nodes"].size(), 3u);
  EXPECT_EQ(json["nodes"][1]["params"]["look"], "noir");
  EXPECT_EQ(json["nets"][0]["format"]["fourcc"], "YU12");
  EXPECT_EQ(json["nets"][0]["format"]["width"], 1920);
  EXPECT_EQ(json["nets"][0]["buffer_bytes"], 3110400);
  EXPECT_EQ(json["edges"][1]["from"], "look.out");
  EXPECT_EQ(json["edges"][1]["sync"]["bridge"], "complete");
  EXPECT_EQ(json["copied_bytes_per_frame"], 0);
}

TEST(PlanTest, TheDotHasEveryNodeAndEdge) {
  TypeList types(testing::StandardTypes());
  Graph graph = testing::MakeGraph(kNoir, types);
  const std::string dot = NoirPlan(graph).ToDot();
  EXPECT_TRUE(dot.starts_with("digraph \"test\" {"));
  EXPECT_NE(dot.find("n0 -> n1"), std::string::npos);
  EXPECT_NE(dot.find("n1 -> n2"), std::string::npos);
  EXPECT_EQ(std::count(dot.begin(), dot.end(), '{'), std::count(dot.begin(), dot.end(), '}'));
}

TEST(PlanTest, SerialCpuNodesShareAGroup) {
  TypeList types(testing::StandardTypes());
  Graph graph = testing::MakeGraph(kNoir, types);
  Plan plan = NoirPlan(graph);
  ASSERT_EQ(plan.run_groups.size(), 1u);
  EXPECT_EQ(plan.run_groups[0].nodes, (std::vector<uint32_t>{0, 1, 2}));
}

TEST(PlanTest, HeavyAsyncAndDeviceNodesAndQueuesSplitGroups) {
  std::vector<NodeType> list = testing::StandardTypes();
  NodeType heavy =
      testing::Filter("test.heavy", {testing::CpuOffer("YU12")}, {testing::CpuOffer("YU12")});
  heavy.heavy = true;
  list.push_back(heavy);
  NodeType device = heavy;
  device.id = "test.device";
  device.heavy = false;
  device.domain = "vulkan";
  list.push_back(device);
  TypeList types(list);
  Graph graph = testing::MakeGraph(
      "c: test.clip file=a\nh: test.heavy\nl: test.look\nd: test.device\nm: test.look\nn: "
      "test.null\n"
      "c -> h -> l -> d -> m\nm -> n queue=3\n",
      types);
  Plan plan = Negotiate({.graph = &graph}).value();
  EXPECT_EQ(plan.run_groups.size(), 6u);
  ASSERT_EQ(plan.islands.size(), 1u);
  EXPECT_EQ(plan.islands[0].domain, "vulkan");
  EXPECT_EQ(plan.islands[0].nodes, (std::vector<uint32_t>{3}));
  EXPECT_EQ(plan.nodes[3].island, 0u);
  EXPECT_FALSE(plan.nodes[0].island);
}

TEST(PlanTest, LatencyIsTheLongestWay) {
  TypeList types(testing::StandardTypes());
  Graph graph = testing::MakeGraph(
      "c: test.clip file=a\nl: test.look\nn: test.null\nm: test.null\nc -> l -> n\nc -> m "
      "queue=7\n",
      types);
  Plan plan = Negotiate({.graph = &graph}).value();
  EXPECT_EQ(plan.FindNode("c")->latency_frames, 0u);
  EXPECT_EQ(plan.FindNode("n")->latency_frames, 4u);
  EXPECT_EQ(plan.FindNode("m")->latency_frames, 7u);
}

}  // namespace
}  // namespace sluice::graph
