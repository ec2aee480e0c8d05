#include <gtest/gtest.h>

#include <cstring>

#include <sluice/testing/node_runner.hpp>

extern "C" const sluice_entry sluice_plugin;

namespace {

using namespace sluice::sdk::testing;

class InvertTest : public testing::Test {
 protected:
  void Begin(uint32_t fourcc, Parameters params = {}) {
    runner_ = std::make_unique<NodeRunner>(sluice_plugin, "example.invert", std::move(params));
    PortSpec port;
    port.format = MakeFormat(fourcc, 4, 2);
    runner_->Input("in", port).Output("out", port);
    ASSERT_EQ(runner_->Configure(), SLUICE_OK) << runner_->error();
    ASSERT_EQ(runner_->Start(), SLUICE_OK);
  }
  HeldFrame Invert(uint8_t value) {
    HeldFrame in = runner_->NewFrame();
    for (uint32_t y = 0; y < 2; ++y) std::memset(in.Row(0, y), value, in.stride(0));
    in.Info().sequence = 3;
    in.Info().pts_ns = 40;
    EXPECT_EQ(runner_->Push(std::move(in)), SLUICE_PROCESS_DONE);
    return runner_->Take();
  }
  void TearDown() override {
    if (runner_ == nullptr) return;
    runner_->Stop();
    EXPECT_EQ(runner_->Leaked(), 0u);
    EXPECT_TRUE(runner_->violations().empty());
  }
  std::unique_ptr<NodeRunner> runner_;
};

TEST_F(InvertTest, InvertsColourAndKeepsAlphaAndTime) {
  Begin(SLUICE_FORMAT_AB24);
  const HeldFrame out = Invert(10);
  EXPECT_EQ(out.Row(0, 1)[4], 245);
  EXPECT_EQ(out.Row(0, 1)[7], 10);
  EXPECT_EQ(out.Info().sequence, 3u);
  EXPECT_EQ(out.Info().pts_ns, 40);
}

TEST_F(InvertTest, InvertsGreyInEveryColumn) {
  Begin(SLUICE_FORMAT_R8);
  EXPECT_EQ(Invert(0).Row(0, 0)[3], 255);
}

TEST_F(InvertTest, TheAmountChangesWhileItRuns) {
  Begin(SLUICE_FORMAT_R8, Parameters().Float("amount", 0));
  EXPECT_EQ(Invert(10).Row(0, 0)[0], 10);
  sluice_param amount{};
  amount.name = "amount";
  amount.type = SLUICE_VALUE_FLOAT;
  amount.f = 1;
  EXPECT_EQ(runner_->SetParam(amount), SLUICE_OK);
  EXPECT_EQ(Invert(10).Row(0, 0)[0], 245);
}

TEST_F(InvertTest, RefusesYuv) {
  NodeRunner runner(sluice_plugin, "example.invert");
  PortSpec port;
  port.format = MakeFormat(SLUICE_FORMAT_YU12, 4, 2);
  runner.Input("in", port).Output("out", port);
  EXPECT_EQ(runner.Configure(), SLUICE_E_UNSUPPORTED);
}

}  // namespace
