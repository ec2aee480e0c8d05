#ifndef SLUICE_NODES_VULKAN_ISLAND_TESTING_H_
#define SLUICE_NODES_VULKAN_ISLAND_TESTING_H_

#include <gtest/gtest.h>
#include <time.h>

#include <cstring>
#include <memory>
#include <mutex>
#include <sluice/testing/chain_description.hpp>
#include <sluice/testing/fake_host.hpp>
#include <string>
#include <utility>
#include <vector>

#include "nodes/vulkan/given_params.h"
#include "nodes/vulkan/testing.h"

extern "C" const sluice_entry sluice_plugin;

/// The plugin through its ABI, on a fake host.
namespace sluice::vulkan::testing {

using sdk::testing::ChainDescription;
using sdk::testing::FakeFrame;
using sdk::testing::FakeHost;
using sdk::testing::FakePool;
using sdk::testing::Holder;

struct Copy {
  std::string port;
  uint64_t bytes;
  std::string reason;
};

/// How a border of the island is reached and synchronised.
struct Border {
  uint32_t views = SLUICE_VIEW_SHM;
  uint32_t sync = SLUICE_SYNC_TIMELINE;
};

/// One node of the plugin; records what it says to its host.
class TestNode final : public sdk::testing::NodeEvents {
 public:
  TestNode(FakeHost& host, const char* type, std::vector<sluice_param> params,
           void* domain = nullptr)
      : domain_(domain) {
    const auto* factory =
        static_cast<const sluice_node_factory*>(sluice_plugin.get_factory(SLUICE_NODE_FACTORY_ID));
    const sluice_param_set set{static_cast<uint32_t>(params.size()), 0, params.data()};
    created = factory->create(host.c(), type, &set, c(), &node);
  }
  ~TestNode() override {
    if (created >= 0) node.destroy(node.self);
  }
  int32_t Configure(const sluice_format& from, const sluice_format& to,
                    const Border (&borders)[2] = {}, const sluice_layout* in = nullptr,
                    const sluice_layout* out = nullptr) {
    sluice_port_config ports[2]{};
    ports[0].name = "in";
    ports[1].name = "out";
    for (int i = 0; i < 2; ++i) {
      ports[i].direction = i;
      ports[i].connected = 1;
      ports[i].views = borders[i].views;
      ports[i].sync = borders[i].sync;
      ports[i].format = i == 0 ? from : to;
      const sluice_layout* layout = i == 0 ? in : out;
      ports[i].layout = layout != nullptr ? *layout : sdk::testing::MakeLayout(ports[i].format);
    }
    const sluice_configuration configuration{1, 2, ports, 0, 0};
    return node.configure(node.self, &configuration);
  }

  sluice_node node{};
  int32_t created = 0;
  std::vector<Copy> copies;
  std::string error;
  /// What it logged, from any thread.
  std::vector<std::string> logs() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return logs_;
  }

  const char* Name() override { return "node"; }
  int32_t Offer(const char*, const sluice_offer&) override { return SLUICE_OK; }
  int32_t Emit(uint32_t, FakeFrame*, const sluice_fence*) override { return SLUICE_E_UNSUPPORTED; }
  int32_t Acquire(uint32_t, sluice_frame**) override { return SLUICE_E_UNSUPPORTED; }
  void Complete(uint64_t, int32_t) override {}
  void Wake() override {}
  void WakeAt(int64_t) override {}
  int32_t RequestRenegotiate(uint32_t) override { return SLUICE_E_UNSUPPORTED; }
  void SetError(int32_t, const char* message) override { error = message; }
  void CountCopy(const char* port, uint64_t bytes, const char* reason) override {
    copies.push_back({port, bytes, reason});
  }
  void CountDrop(const char*, uint64_t, const char*) override {}
  void Note(const char*) override {}
  void Progress(uint64_t, uint64_t) override {}
  void Log(int32_t, const char* message) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    logs_.emplace_back(message);
  }
  void* Domain() override { return domain_; }

 private:
  void* const domain_;
  mutable std::mutex mutex_;
  std::vector<std::string> logs_;
};

/// A domain and a chain of nodes in one island.
class IslandTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(sluice_plugin.init(host_.c()), SLUICE_OK);
    OpenDomain();
  }
  void TearDown() override {
    if (island_ != nullptr) domain_.destroy_island(domain_.self, island_);
    nodes_.clear();  // in the engine's order: a node may use its domain until it is destroyed
    if (domain_.self != nullptr) domain_.destroy(domain_.self);
    for (const std::string& log : host_.logs())
      EXPECT_EQ(log.find("validation messages"), std::string::npos) << log;
    EXPECT_TRUE(host_.ledger().violations().empty());
  }

  void OpenDomain() {
    const auto* factory = static_cast<const sluice_domain_factory*>(
        sluice_plugin.get_factory(SLUICE_DOMAIN_FACTORY_ID));
    const sluice_param_set none{};
    char error[1024] = "";
    if (factory->create(host_.c(), "vulkan", &none, &domain_, error, sizeof error) < 0) {
      domain_ = {};
      GTEST_SKIP() << error;
    }
  }

  TestNode& Add(const char* type, std::vector<sluice_param> params, const sluice_format& from,
                const sluice_format& to) {
    nodes_.push_back(std::make_unique<TestNode>(host_, type, std::move(params), domain_.self));
    TestNode& node = *nodes_.back();
    EXPECT_EQ(node.created, SLUICE_OK) << node.error;
    if (node.created >= 0) {
      EXPECT_EQ(node.Configure(from, to, borders_, in_layout_, out_layout_), SLUICE_OK)
          << node.error;
    }
    if (nodes_.size() == 1) from_ = from;
    formats_.push_back(to);
    return node;
  }

  /// The nodes so far as one island.
  ChainDescription Describe() const {
    std::vector<const sluice_node*> nodes;
    for (const auto& node : nodes_) nodes.push_back(&node->node);
    return ChainDescription(std::move(nodes), formats_);
  }

  /// Makes it, with pools at its ends.
  int32_t Build(uint32_t buffers = 3) {
    const ChainDescription island = Describe();
    in_pool_ = &host_.MakePool(from_, buffers);
    out_pool_ = &host_.MakePool(formats_.back(), buffers);
    return domain_.create_island(domain_.self, island.c(), &island_);
  }

  static FakeFrame* Lease(FakePool& pool) {
    const std::lock_guard<std::mutex> lock(pool.mutex());
    return pool.TakeBuffer(Holder::kHost);
  }
  static void Return(FakeFrame* frame, const sluice_fence* fence = nullptr) {
    const std::lock_guard<std::mutex> lock(frame->pool->mutex());
    frame->pool->Return(*frame, fence);
  }
  static void Write(FakeFrame* frame, const Picture& picture) {
    for (uint32_t p = 0; p < picture.layout().plane_count; ++p) {
      const sluice_plane& to = frame->pool->layout().planes[p];
      std::memcpy(frame->buffer->base + to.offset, picture.plane(p),
                  picture.layout().planes[p].size);
    }
  }
  static void Read(const FakeFrame* frame, const Picture& picture) {
    for (uint32_t p = 0; p < picture.layout().plane_count; ++p) {
      const sluice_plane& from = frame->pool->layout().planes[p];
      std::memcpy(picture.plane(p), frame->buffer->base + from.offset,
                  picture.layout().planes[p].size);
    }
  }

  int32_t Submit(FakeFrame* in, FakeFrame* out, sluice_fence fences[2]) {
    sluice_frame* const inputs[] = {in->c()};
    sluice_frame* const outputs[] = {out->c()};
    const sluice_batch batch{sequence_++, 1, 1, inputs, outputs};
    return domain_.submit(domain_.self, island_, &batch, fences);
  }
  /// The thread sanitizer takes software Vulkan's passes for a minute on a busy machine.
  static constexpr int64_t kWaitNs = 120'000'000'000;
  int32_t WaitIdle() { return domain_.wait_idle(domain_.self, sdk_now_ns() + kWaitNs); }
  static int64_t sdk_now_ns() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1'000'000'000 + now.tv_nsec;
  }

  /// Sends `picture` through and returns what comes out.
  Picture RunOnce(const Picture& picture) {
    Picture result(formats_.back());
    FakeFrame* in = Lease(*in_pool_);
    FakeFrame* out = Lease(*out_pool_);
    Write(in, picture);
    sluice_fence fences[2];
    EXPECT_EQ(Submit(in, out, fences), SLUICE_OK);
    EXPECT_EQ(WaitIdle(), SLUICE_OK);
    for (const sluice_fence& fence : fences) {
      EXPECT_EQ(host_.host().timelines()->status(fence.timeline, fence.point), 1);
    }
    Read(out, result);
    Return(in);
    Return(out);
    return result;
  }

  /// The same twice: the second firing reads what the first writes, and nothing waits in between.
  /// Input and output have one format. `first` and `second`: null, or a fence of each firing.
  Picture RunThereAndBack(const Picture& picture, sluice_fence* first = nullptr,
                          sluice_fence* second = nullptr) {
    FakeFrame* a = Lease(*in_pool_);
    FakeFrame* b = Lease(*out_pool_);
    FakeFrame* c = Lease(*in_pool_);
    Write(a, picture);
    sluice_fence there[2], back[2];
    EXPECT_EQ(Submit(a, b, there), SLUICE_OK);
    b->acquire = sdk::testing::OwnedFence(&there[0]);
    EXPECT_EQ(Submit(b, c, back), SLUICE_OK);
    EXPECT_EQ(WaitIdle(), SLUICE_OK);
    Picture result(formats_.back());
    Read(c, result);
    for (FakeFrame* frame : {a, b, c}) Return(frame);
    if (first != nullptr) *first = there[0];
    if (second != nullptr) *second = back[0];
    return result;
  }

  FakeHost host_;
  sluice_domain domain_{};
  sluice_island* island_ = nullptr;
  std::vector<std::unique_ptr<TestNode>> nodes_;
  /// Of all nodes that are added from now on.
  Border borders_[2];
  const sluice_layout* in_layout_ = nullptr;
  const sluice_layout* out_layout_ = nullptr;
  sluice_format from_{};
  std::vector<sluice_format> formats_;
  FakePool* in_pool_ = nullptr;
  FakePool* out_pool_ = nullptr;
  uint64_t sequence_ = 0;
};

inline void ExpectWithin(int codes, const Picture& got, const Picture& want) {
  for (const Difference& d : Compare(got, want))
    EXPECT_LE(d.worst, codes) << ToString(Compare(got, want));
}

}  // namespace sluice::vulkan::testing

#endif  // SLUICE_NODES_VULKAN_ISLAND_TESTING_H_
