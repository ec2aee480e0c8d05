// Pools that the engine refuses, or that fail half-way, with a real device.
#include <gtest/gtest.h>
#include <poll.h>

#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "nodes/vulkan/domain.h"
#include "nodes/vulkan/island_testing.h"
#include "nodes/vulkan/sharing/socket.h"

namespace sluice::vulkan::testing {
namespace {

namespace fs = std::filesystem;
using sdk::testing::FakePoolSink;

class SharedPoolTest : public IslandTest {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/pool_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    socket_ = folder_ + "/socket";
    IslandTest::SetUp();
    if (domain_.self == nullptr) return;
    if (!vulkan().device().info().external.opaque_memory())
      GTEST_SKIP() << vulkan().device().info().name << " shares no memory";
  }
  void TearDown() override {
    IslandTest::TearDown();
    fs::remove_all(folder_);
  }

  VulkanDomain& vulkan() { return *sdk::DomainCast<VulkanDomain>(domain_.self); }
  static sluice_pool_request Request(uint32_t pool) {
    sluice_pool_request request{};
    request.pool = pool;
    request.epoch = 1;
    request.buffers = 3;
    request.views = SLUICE_VIEW_DEVICE;
    request.format = sdk::testing::MakeFormat(SLUICE_FORMAT_AB24, 64, 32);
    return request;
  }
  std::unique_ptr<TestNode> Add(const char* type) {
    auto node = std::make_unique<TestNode>(
        host_, type, std::vector<sluice_param>{Text("socket", socket_.c_str())});
    EXPECT_EQ(node->created, SLUICE_OK) << node->error;
    return node;
  }
  static int32_t Probe(TestNode& node) {
    return node.node.probe(node.node.self, reinterpret_cast<sluice_offer_sink*>(
                                               static_cast<sdk::testing::NodeEvents*>(&node)));
  }
  static const sluice_allocator& AllocatorOf(const TestNode& node) {
    return *static_cast<const sluice_allocator*>(
        node.node.get_extension(node.node.self, SLUICE_ALLOCATOR_ID));
  }

  /// A pool that a sender shares, with no fd of a device's memory in place of its second one.
  void MakeShared() {
    FakePoolSink sink;
    sdk::PoolSink to(sdk::Host(host_.c()), sink.c());
    const sluice_pool_request request = Request(7);
    ASSERT_TRUE(vulkan().AllocateShared(request, to, pool_.memory, fds_).ok());
    vulkan().ForgetPool(7, 1);
    const DeviceInfo& info = vulkan().device().info();
    pool_.device_uuid = info.uuid;
    pool_.driver_uuid = info.driver_uuid;
    pool_.device_name = info.name;
    pool_.format = request.format;
    pool_.layout = sink.buffers()[0].layout;
    pool_.buffers = 3;
    fds_[1] = sdk::UniqueFd(open("/dev/null", O_RDWR | O_CLOEXEC));
  }
  /// Greets whoever connects first.
  void Greet(const WireListener& listener) {
    pollfd wait{listener.fd(), POLLIN, 0};
    ASSERT_EQ(poll(&wait, 1, 30'000), 1);
    auto accepted = listener.Accept();
    ASSERT_TRUE(accepted && *accepted);
    reader_ = std::move(*accepted);
    EXPECT_TRUE(reader_.Send(HelloMessage{pool_}, fds_));
  }

  std::string folder_, socket_;
  SharedPool pool_;
  std::vector<sdk::UniqueFd> fds_;
  WireSocket reader_;
};

TEST_F(SharedPoolTest, WhatASenderMadeForAPoolThatIsRefusedGoesWithIt) {
  const auto send = Add("vulkan.send");
  ASSERT_EQ(Probe(*send), SLUICE_OK) << send->error;
  FakePoolSink sink;
  const sluice_pool_request request = Request(2);
  ASSERT_EQ(AllocatorOf(*send).allocate(send->node.self, SLUICE_PORT_INPUT, 0, &request, sink.c()),
            SLUICE_OK)
      << send->error;
  EXPECT_EQ(vulkan().imports(), 3u);
  AllocatorOf(*send).release_pool(send->node.self, 2, 1);
  EXPECT_EQ(vulkan().imports(), 0u);
}

TEST_F(SharedPoolTest, WhatAReceiverImportedBeforeItFailedGoesWithThePool) {
  ASSERT_NO_FATAL_FAILURE(MakeShared());
  ASSERT_EQ(vulkan().imports(), 0u);
  const auto listener = WireListener::Listen(socket_);
  ASSERT_TRUE(listener) << listener.error().message;
  const auto receive = Add("vulkan.receive");
  std::thread sender([&] { Greet(*listener); });
  const int32_t probed = Probe(*receive);
  sender.join();
  ASSERT_EQ(probed, SLUICE_OK) << receive->error;
  FakePoolSink sink;
  const sluice_pool_request request = Request(2);
  EXPECT_EQ(
      AllocatorOf(*receive).allocate(receive->node.self, SLUICE_PORT_OUTPUT, 0, &request, sink.c()),
      SLUICE_E_UNSUPPORTED);
  EXPECT_NE(receive->error.find("buffer 1"), std::string::npos) << receive->error;
  EXPECT_EQ(vulkan().imports(), 1u);
  AllocatorOf(*receive).release_pool(receive->node.self, 2, 1);
  EXPECT_EQ(vulkan().imports(), 0u);
}

}  // namespace
}  // namespace sluice::vulkan::testing
