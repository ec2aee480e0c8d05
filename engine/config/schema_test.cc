#include "engine/config/schema.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/graph/testing/types.h"

namespace sluice::config {
namespace {

nlohmann::json StandardSchema() {
  return nlohmann::json::parse(GraphSchema(graph::TypeList(graph::testing::StandardTypes())));
}

TEST(SchemaTest, EveryTypeHasADefinitionThatRefusesOtherKeys) {
  nlohmann::json schema = StandardSchema();
  EXPECT_EQ(schema["required"], nlohmann::json({"sluice", "nodes"}));
  for (const graph::NodeType& type : graph::testing::StandardTypes()) {
    ASSERT_TRUE(schema["$defs"].contains(type.id)) << type.id;
    EXPECT_EQ(schema["$defs"][type.id]["additionalProperties"], false);
  }
}

TEST(SchemaTest, ParametersCarryChoicesRangesDefaultsAndDocs) {
  nlohmann::json schema = StandardSchema();
  const nlohmann::json& look = schema["$defs"]["test.look"]["properties"];
  EXPECT_EQ(look["look"]["anyOf"][0]["enum"], nlohmann::json({"mono", "noir", "sepia"}));
  EXPECT_EQ(look["look"]["default"], "mono");
  EXPECT_EQ(look["strength"]["anyOf"][0]["maximum"], 1.0);
  EXPECT_EQ(look["strength"]["default"], 1.0);
  const nlohmann::json& clip = schema["$defs"]["test.clip"];
  EXPECT_EQ(clip["required"], nlohmann::json({"type", "file"}));
  EXPECT_EQ(clip["properties"]["file"]["description"], "The file to read.");
}

TEST(SchemaTest, AColourHasItsPattern) {
  graph::NodeType type = graph::testing::Sink("test.key", {graph::testing::CpuOffer("")});
  type.params = {graph::testing::Param("color", graph::ParamType::kString)};
  type.params[0].form = graph::Form::kColor;
  const auto schema = nlohmann::json::parse(GraphSchema(graph::TypeList({type})));
  EXPECT_EQ(schema["$defs"]["test.key"]["properties"]["color"]["anyOf"][0]["pattern"],
            "^#[0-9a-fA-F]{6}$");
}

TEST(SchemaTest, SyncIsOfferedOnlyWhereThereAreSeveralInputs) {
  nlohmann::json schema = StandardSchema();
  EXPECT_FALSE(schema["$defs"]["test.look"]["properties"].contains("sync"));
  EXPECT_EQ(schema["$defs"]["test.mix"]["properties"]["sync"]["anyOf"][1]["properties"]["trigger"]
                  ["enum"],
            nlohmann::json({"a", "b"}));
}

TEST(SchemaTest, ANodesTypeSelectsItsDefinition) {
  nlohmann::json node = StandardSchema()["properties"]["nodes"]["additionalProperties"];
  EXPECT_EQ(node["required"], nlohmann::json::array({"type"}));
  ASSERT_EQ(node["allOf"].size(), graph::testing::StandardTypes().size());
  EXPECT_EQ(node["allOf"][0]["if"]["properties"]["type"]["const"], "test.clip");
  EXPECT_EQ(node["allOf"][0]["then"]["$ref"], "#/$defs/test.clip");
}

}  // namespace
}  // namespace sluice::config
