#include <gtest/gtest.h>

#include <sluice/testing/node_runner.hpp>

extern "C" const sluice_entry sluice_plugin;

namespace {

using namespace sluice::sdk::testing;

void Connect(NodeRunner& runner) {
  PortSpec port;
  port.format = MakeFormat(SLUICE_FORMAT_NV12, 4, 2);
  runner.Input("in", port);
  port.passthrough = true;
  runner.Output("out", port);
  ASSERT_EQ(runner.Configure(), SLUICE_OK);
  ASSERT_EQ(runner.Start(), SLUICE_OK);
}

TEST(CounterTest, PassesFramesOnAndReportsTheirNumber) {
  NodeRunner runner(sluice_plugin, "example.counter", Parameters().Int("limit", 0));
  ASSERT_NO_FATAL_FAILURE(Connect(runner));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(runner.Push(runner.NewFrame()), SLUICE_PROCESS_DONE);
  EXPECT_EQ(runner.emitted(), 3u);
  EXPECT_EQ(runner.Drain(), SLUICE_PROCESS_END);
  EXPECT_EQ(runner.notes(), std::vector<std::string>{"3 frames passed"});
  EXPECT_EQ(runner.Leaked(), 0u);
  EXPECT_TRUE(runner.violations().empty());
}

TEST(CounterTest, EndsAtItsLimit) {
  NodeRunner runner(sluice_plugin, "example.counter", Parameters().Int("limit", 2));
  ASSERT_NO_FATAL_FAILURE(Connect(runner));
  EXPECT_EQ(runner.Push(runner.NewFrame()), SLUICE_PROCESS_DONE);
  EXPECT_EQ(runner.Push(runner.NewFrame()), SLUICE_PROCESS_END);
}

}  // namespace
