#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include <sluice/testing/fake_host.hpp>

#include "engine/plugin/loader.h"
#include "engine/plugin/registry.h"

namespace sluice::plugin {
namespace {

constexpr const char* kPlugins[] = {
    "nodes/core/core.so",
    "plugins/examples/invert.so",
    "plugins/examples/counter_c.so",
    "plugins/examples/gain_shader",
};

Registry ScanAll() {
  SearchPath path;
  for (const char* plugin : kPlugins) {
    path.places.push_back(
        {std::string(getenv("PWD")) + "/" + plugin, SearchOrigin::kCommandLine, true});
  }
  return Registry::Scan(path);
}

TEST(ManifestsTest, AllAreReadWithoutLoadingAnyCode) {
  const Registry registry = ScanAll();
  for (const FailedPlugin& failed : registry.failed())
    ADD_FAILURE() << failed.path << failed.reason;
  EXPECT_EQ(registry.Names(),
            (std::vector<std::string>{"core.checksum", "core.identity", "core.null", "core.select",
                                      "core.testsrc", "example.counter", "example.gain",
                                      "example.invert"}));
}

TEST(ManifestsTest, EveryPluginIsWhatItsManifestSays) {
  const Registry registry = ScanAll();
  sdk::testing::FakeHost host;
  Loader loader(&registry, host.c());
  for (const FailedPlugin& failed : loader.CheckAll())
    ADD_FAILURE() << failed.path << failed.reason;
  EXPECT_TRUE(loader.FindNode("core.testsrc").has_value());
  DeinitPlugins();
}

TEST(ManifestsTest, EveryTypePortAndParameterIsExplained) {
  const Registry registry = ScanAll();
  for (const std::string& name : registry.Names()) {
    const graph::NodeType& type = *registry.Find(name);
    EXPECT_NE(type.doc, "") << name;
    EXPECT_FALSE(type.ports.empty()) << name;
    for (const graph::ParamDesc& param : type.params)
      EXPECT_NE(param.doc, "") << name << param.name;
  }
}

TEST(ManifestsTest, APlanFollowsTheParametersOfTheTestSource) {
  const Registry registry = ScanAll();
  const graph::NodeType* type = registry.Find("core.testsrc");
  ASSERT_NE(type, nullptr);
  const graph::Offer& offer = type->ports.at(0).offers.at(0);
  EXPECT_EQ(offer.size_param, "size");
  EXPECT_EQ(offer.rate_param, "rate");
  EXPECT_EQ(offer.fourcc_param, "format");
}

}  // namespace
}  // namespace sluice::plugin
