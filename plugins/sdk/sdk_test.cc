#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sluice/sdk.hpp>
#include <sluice/testing/node_runner.hpp>

namespace {

namespace sdk = sluice::sdk;
using namespace sluice::sdk::testing;

sluice_format Grey() { return MakeFormat(SLUICE_FORMAT_R8, 8, 4); }

PortSpec Port(bool passthrough = false, bool dynamic = false) {
  PortSpec port;
  port.format = Grey();
  port.passthrough = passthrough;
  port.dynamic = dynamic;
  return port;
}

/// A node that does in each verb what the parameter `mode` says.
class Misbehaving : public sdk::Node<Misbehaving> {
 public:
  static constexpr const char* kType = "test.misbehaving";
  static sdk::Expected<std::unique_ptr<Misbehaving>> Create(sdk::NodeContext context,
                                                            const sdk::Params& params) {
    if (params.String("mode") == "refuse") {
      return sdk::Status::Error(SLUICE_E_NOT_FOUND, "no %s here", "device");
    }
    if (params.String("mode") == "throw in create") throw std::runtime_error("create threw");
    return std::make_unique<Misbehaving>(context, params.String("mode"));
  }
  Misbehaving(sdk::NodeContext context, std::string mode) : Node(context), mode_(std::move(mode)) {}

  sdk::Status Configure(const sdk::Configuration&) {
    if (mode_ == "throw in configure") throw 42;
    return {};
  }
  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation) {
    if (mode_ == "throw in process") throw std::runtime_error("process threw");
    if (mode_ == "no memory") throw std::bad_alloc();
    if (mode_ == "keep the lease") kept_ = invocation.TakeInput(0);
    if (mode_ == "release twice") {
      sluice_frame* frame = invocation.TakeInput(0).Take();
      context().host().frames()->release(frame, nullptr);
      context().host().frames()->release(frame, nullptr);
    }
    if (mode_ == "emit mapped") {
      sdk::Frame frame = invocation.TakeInput(0);
      auto mapping = frame.Map(SLUICE_MAP_READ);
      static_cast<void>(context().Emit(0, std::move(frame)).ok());
    }
    if (mode_ == "write what was emitted") {
      EXPECT_EQ(invocation.Input(0).Map(SLUICE_MAP_WRITE).status().code(),
                SLUICE_E_PERMISSION_DENIED);
      EXPECT_EQ(invocation.Input(0).InfoMut(), nullptr);
    }
    if (mode_ == "complete twice") {
      context().Complete(invocation.id());
      context().Complete(invocation.id());
      return sdk::Process::kAsync;
    }
    return sdk::Process::kDone;
  }
  void Stop(int64_t, bool) {
    if (mode_ == "throw in stop") throw std::runtime_error("stop threw");
  }

 private:
  const std::string mode_;
  sdk::Frame kept_;
};

/// Emits what it acquires, from a thread of its own, and ends the invocation there.
class Async : public sdk::Node<Async> {
 public:
  static constexpr const char* kType = "test.async";
  Async(sdk::NodeContext context, const sdk::Params&) : Node(context) {}
  ~Async() { Join(); }
  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation) {
    Join();
    worker_ = std::thread([this, id = invocation.id(), input = invocation.TakeInput(0)]() mutable {
      sdk::Expected<sdk::Frame> frame = context().Acquire(0);
      if (!frame.ok()) return context().Complete(id, frame.status());
      sdk::Frame copy = frame->Share();
      EXPECT_TRUE(context().Emit(0, *std::move(frame)).ok());
      EXPECT_TRUE(context().Emit(0, std::move(copy)).ok());
      context().Complete(id);
    });
    return sdk::Process::kAsync;
  }
  void Stop(int64_t, bool) { Join(); }

 private:
  void Join() {
    if (worker_.joinable()) worker_.join();
  }
  std::thread worker_;
};

/// Work of a device: its output is ready when a timeline says so, its input is read until then.
class Deferred : public sdk::Node<Deferred> {
 public:
  static constexpr const char* kType = "test.deferred";
  static sdk::Expected<std::unique_ptr<Deferred>> Create(sdk::NodeContext context,
                                                         const sdk::Params&) {
    sdk::Expected<sdk::Timeline> timeline = sdk::Timeline::Create(context.host(), "device");
    if (!timeline.ok()) return timeline.status();
    return std::make_unique<Deferred>(context, *std::move(timeline));
  }
  Deferred(sdk::NodeContext context, sdk::Timeline timeline)
      : Node(context), timeline_(std::move(timeline)) {}
  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation) {
    const sdk::Fence fence = sdk::Fence::At(timeline_, ++point_);
    if (sdk::Status s = context().EmitReserved(0, invocation.Output(0), fence); !s.ok()) return s;
    invocation.TakeInput(0).Release(fence);
    return sdk::Process::kDone;
  }
  void Finish(int32_t code = SLUICE_OK) {
    if (code < 0) timeline_.Fail(point_, code);
    timeline_.Signal(point_);
  }

 private:
  sdk::Timeline timeline_;
  uint64_t point_ = 0;
};

class Domain {
 public:
  static constexpr const char* kDomain = "test";
  struct Island {
    uint32_t epoch;
  };
  static sdk::Expected<std::unique_ptr<Domain>> Create(const sdk::Host&,
                                                       const sdk::Params& params) {
    if (params.Has("device")) {
      return sdk::Status::Error(SLUICE_E_NOT_FOUND, "no device %s",
                                params.String("device").c_str());
    }
    return std::make_unique<Domain>();
  }
  sdk::Status Describe(sluice_domain_info& info) {
    info.is_software = 1;
    return {};
  }
  sdk::Expected<std::unique_ptr<Island>> CreateIsland(const sluice_island_desc& desc) {
    if (desc.node_count == 0) return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT, "empty");
    return std::make_unique<Island>(Island{desc.epoch});
  }
  sdk::Status Submit(Island& island, const sluice_batch&, std::span<sluice_fence> fences) {
    fences.back().point = island.epoch;
    return {};
  }
  void ForgetPool(uint32_t, uint32_t) {}
  sdk::Status WaitIdle(int64_t) { throw std::runtime_error("lost"); }
};

using TestPlugin = sdk::internal::Plugin<Misbehaving, Domain, Async, Deferred>;
constexpr sluice_entry kEntry = TestPlugin::Entry(0x1234);

std::unique_ptr<NodeRunner> Started(const char* type, const char* mode = "") {
  auto runner = std::make_unique<NodeRunner>(kEntry, type, Parameters().String("mode", mode));
  runner->Input("in", Port());
  runner->Output("out",
                 Port(std::string(type) == "test.misbehaving", std::string(type) == "test.async"));
  EXPECT_EQ(runner->Configure(), SLUICE_OK);
  EXPECT_EQ(runner->Start(), SLUICE_OK);
  return runner;
}

TEST(PluginTest, ListsNodesAndDomainsApart) {
  const auto* nodes =
      static_cast<const sluice_node_factory*>(kEntry.get_factory(SLUICE_NODE_FACTORY_ID));
  ASSERT_EQ(nodes->count(), 3u);
  EXPECT_STREQ(nodes->type_id(0), "test.misbehaving");
  EXPECT_STREQ(nodes->type_id(1), "test.async");
  EXPECT_EQ(nodes->type_id(3), nullptr);
  const auto* domains =
      static_cast<const sluice_domain_factory*>(kEntry.get_factory(SLUICE_DOMAIN_FACTORY_ID));
  ASSERT_EQ(domains->count(), 1u);
  EXPECT_STREQ(domains->domain_id(0), "test");
  EXPECT_EQ(kEntry.manifest_hash, 0x1234u);
}

TEST(PluginTest, RefusesAHostThatLacksAnExtension) {
  FakeHost host;
  host.SetExtension(SLUICE_FRAME_API_ID, nullptr);
  EXPECT_EQ(kEntry.init(host.c()), SLUICE_E_UNSUPPORTED);
  ASSERT_EQ(host.logs().size(), 1u);
  EXPECT_NE(host.logs()[0].find(SLUICE_FRAME_API_ID), std::string::npos);
}

TEST(NodeTest, AFailedCreateSaysWhy) {
  NodeRunner runner(kEntry, "test.misbehaving", Parameters().String("mode", "refuse"));
  EXPECT_EQ(runner.created(), SLUICE_E_NOT_FOUND);
  EXPECT_EQ(runner.error(), "no device here");
}

TEST(NodeTest, NoExceptionCrossesTheBoundary) {
  NodeRunner create(kEntry, "test.misbehaving", Parameters().String("mode", "throw in create"));
  EXPECT_EQ(create.created(), SLUICE_E_INTERNAL);
  EXPECT_EQ(create.error(), "create threw");

  NodeRunner configure(kEntry, "test.misbehaving",
                       Parameters().String("mode", "throw in configure"));
  EXPECT_EQ(configure.Configure(), SLUICE_E_INTERNAL);
  EXPECT_EQ(configure.error(), "an exception of unknown type");

  const auto process = Started("test.misbehaving", "throw in process");
  EXPECT_EQ(process->Push(process->NewFrame()), SLUICE_E_INTERNAL);
  EXPECT_EQ(process->error(), "process threw");
  EXPECT_EQ(process->Leaked(), 0u);

  const auto memory = Started("test.misbehaving", "no memory");
  EXPECT_EQ(memory->Push(memory->NewFrame()), SLUICE_E_RESOURCE_EXHAUSTED);

  const auto stop = Started("test.misbehaving", "throw in stop");
  stop->Stop();
  EXPECT_EQ(stop->error(), "stop threw");
}

TEST(NodeTest, VerbsThatAClassLacksAreNullInTheTable) {
  const auto runner = Started("test.misbehaving");
  EXPECT_EQ(runner->node().probe, nullptr);
  EXPECT_EQ(runner->node().drain, nullptr);
  EXPECT_EQ(runner->node().reconfigure, nullptr);
  EXPECT_EQ(runner->node().set_param, nullptr);
  EXPECT_NE(runner->node().process, nullptr);
}

TEST(NodeTest, AVerbOutOfOrderIsTheHostsMistake) {
  NodeRunner runner(kEntry, "test.misbehaving", Parameters().String("mode", ""));
  EXPECT_EQ(runner.Start(), SLUICE_E_INTERNAL);
  EXPECT_EQ(runner.error(), "start while not configured");
}

TEST(NodeTest, IsFoundBehindItsTableByItsOwnTypeOnly) {
  const auto runner = Started("test.misbehaving");
  EXPECT_NE(sdk::NodeCast<Misbehaving>(runner->node()), nullptr);
  EXPECT_EQ(sdk::NodeCast<Async>(runner->node()), nullptr);
}

TEST(InvocationTest, InputsThatNobodyTakesAreReleased) {
  const auto runner = Started("test.misbehaving");
  for (int i = 0; i < 20; ++i) EXPECT_EQ(runner->Push(runner->NewFrame()), SLUICE_PROCESS_DONE);
  EXPECT_EQ(runner->Leaked(), 0u);
}

TEST(RunnerTest, SeesALeaseThatIsKept) {
  const auto runner = Started("test.misbehaving", "keep the lease");
  runner->Push(runner->NewFrame());
  EXPECT_EQ(runner->Leaked(), 1u);
}

TEST(RunnerTest, SeesBrokenRules) {
  for (const char* mode : {"release twice", "emit mapped", "complete twice"}) {
    const auto runner = Started("test.misbehaving", mode);
    EXPECT_TRUE(runner->violations().empty());
    runner->Push(runner->NewFrame());
    EXPECT_FALSE(runner->violations().empty()) << mode;
  }
  const auto runner = Started("test.misbehaving", "write what was emitted");
  runner->Push(runner->NewFrame());
}

TEST(RunnerTest, ANodeIsNotCalledBeforeItsInputIsReady) {
  const auto runner = Started("test.misbehaving");
  sdk::Timeline late = runner->host().MakeTimeline("camera");
  HeldFrame frame = runner->NewFrame();
  frame.SetAcquireFence(*sdk::Fence::At(late, 1).c());
  EXPECT_EQ(runner->Push(std::move(frame)), kNotRunnable);
  late.Signal(1);
  EXPECT_EQ(runner->Step(), SLUICE_PROCESS_DONE);
}

TEST(RunnerTest, RunsNodesThatCompleteFromAnotherThread) {
  const auto runner = Started("test.async");
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(runner->Push(runner->NewFrame()), SLUICE_PROCESS_ASYNC);
    ASSERT_EQ(runner->WaitComplete(), SLUICE_PROCESS_DONE);
    ASSERT_TRUE(runner->WaitEmitted(0, 2));
    const HeldFrame first = runner->Take(), second = runner->Take();
    EXPECT_EQ(first.BufferId().index, second.BufferId().index);
  }
  runner->set_refuse_acquire(true);
  ASSERT_EQ(runner->Push(runner->NewFrame()), SLUICE_PROCESS_ASYNC);
  EXPECT_EQ(runner->WaitComplete(), SLUICE_E_WOULD_BLOCK);
  runner->Stop();
  EXPECT_EQ(runner->Leaked(), 0u);
  EXPECT_TRUE(runner->violations().empty());
}

TEST(FenceTest, AnOutputIsReadyWhenItsFenceSignals) {
  const auto runner = Started("test.deferred");
  auto* node = sdk::NodeCast<Deferred>(runner->node());
  ASSERT_EQ(runner->Push(runner->NewFrame()), SLUICE_PROCESS_DONE);
  const HeldFrame out = runner->Take();
  EXPECT_EQ(out.AcquireStatus(), 0);
  node->Finish();
  EXPECT_EQ(out.AcquireStatus(), 1);
}

TEST(FenceTest, ABufferIsReusedOnlyAfterItsReadersFence) {
  const auto runner = Started("test.deferred");
  auto* node = sdk::NodeCast<Deferred>(runner->node());
  for (int i = 0; i < 4; ++i) {
    ASSERT_EQ(runner->Push(runner->NewFrame()), SLUICE_PROCESS_DONE);
    runner->Take();
  }
  EXPECT_FALSE(runner->NewFrame());  // four buffers, all still read by the device
  node->Finish();
  EXPECT_TRUE(runner->NewFrame());
}

TEST(FenceTest, AFailedFenceQuarantinesTheBuffer) {
  const auto runner = Started("test.deferred");
  auto* node = sdk::NodeCast<Deferred>(runner->node());
  for (int i = 0; i < 4; ++i) {
    ASSERT_EQ(runner->Push(runner->NewFrame()), SLUICE_PROCESS_DONE);
    const HeldFrame out = runner->Take();
    node->Finish(SLUICE_E_DEVICE_LOST);
    EXPECT_EQ(out.AcquireStatus(), SLUICE_E_DEVICE_LOST);
  }
  EXPECT_FALSE(runner->NewFrame());
}

TEST(FenceTest, TimelinesAreGivenBack) {
  const int before = FakeHost::LiveTimelines();
  {
    const auto runner = Started("test.deferred");
    runner->Push(runner->NewFrame());
    EXPECT_EQ(FakeHost::LiveTimelines(), before + 1);
  }
  EXPECT_EQ(FakeHost::LiveTimelines(), before);
}

class DomainTest : public testing::Test {
 protected:
  int32_t Make(Parameters params = {}) {
    const auto* factory =
        static_cast<const sluice_domain_factory*>(kEntry.get_factory(SLUICE_DOMAIN_FACTORY_ID));
    return factory->create(host_.c(), "test", params.c(), &domain_, error_, sizeof(error_));
  }
  FakeHost host_;
  sluice_domain domain_{};
  char error_[12] = "";
};

TEST_F(DomainTest, MakesIslandsAndSubmits) {
  ASSERT_EQ(Make(), SLUICE_OK);
  sluice_island_desc desc{};
  sluice_island* island = nullptr;
  EXPECT_EQ(domain_.create_island(domain_.self, &desc, &island), SLUICE_E_INVALID_ARGUMENT);
  desc.node_count = 1;
  desc.epoch = 9;
  ASSERT_EQ(domain_.create_island(domain_.self, &desc, &island), SLUICE_OK);
  sluice_fence fences[1] = {};
  const sluice_batch batch{};
  EXPECT_EQ(domain_.submit(domain_.self, island, &batch, fences), SLUICE_OK);
  EXPECT_EQ(fences[0].point, 9u);
  domain_.destroy_island(domain_.self, island);
  EXPECT_EQ(domain_.wait_idle(domain_.self, 0), SLUICE_E_INTERNAL);
  EXPECT_NE(sdk::DomainCast<Domain>(domain_.self), nullptr);
  domain_.destroy(domain_.self);
}

TEST_F(DomainTest, SaysWhyThereIsNone) {
  EXPECT_EQ(Make(Parameters().String("device", "imaginary")), SLUICE_E_NOT_FOUND);
  EXPECT_STREQ(error_, "no device i");  // cut to the host's buffer
}

TEST(PaceTest, FramesAreDueAsTheirPtsSay) {
  sdk::Pace pace;
  EXPECT_EQ(pace.DueNs(40, 1'000), 1'000);
  EXPECT_EQ(pace.DueNs(80, 1'001), 1'040);
  EXPECT_EQ(pace.DueNs(120, 1'040), 1'080);
}

TEST(PaceTest, WhatIsLateByLittleIsMadeUpFor) {
  sdk::Pace pace;
  pace.DueNs(0, 1'000);
  EXPECT_EQ(pace.DueNs(40, 1'040 + sdk::Pace::kMostLateNs), 1'040);
  EXPECT_EQ(pace.DueNs(80, 1'040 + sdk::Pace::kMostLateNs), 1'080);
}

// A virtual camera that nobody read for an hour would show that hour at twice its speed.
TEST(PaceTest, AfterAPauseItGoesOnAtItsOwnPace) {
  constexpr int64_t kHourNs = 3'600'000'000'000;
  sdk::Pace pace;
  pace.DueNs(0, 1'000);
  EXPECT_EQ(pace.DueNs(40, kHourNs), kHourNs);
  EXPECT_EQ(pace.DueNs(80, kHourNs), kHourNs + 40);
  pace.Restart();
  EXPECT_EQ(pace.DueNs(120, 2 * kHourNs), 2 * kHourNs);
}

TEST(ParamsTest, GettersReadEachTypeAndFallBack) {
  Parameters values;
  values.Int("n", -3).Float("x", 0.5).Bool("b", true).Size("s", 640, 360).Rate("r", 30000, 1001);
  values.DurationNs("d", 5).Enum("e", "bars").Path("p", "/a").Map("m", "{}");
  const sdk::Params params(values.c());
  EXPECT_EQ(params.Int("n"), -3);
  EXPECT_EQ(params.Float("n"), -3.0);
  EXPECT_EQ(params.Float("x"), 0.5);
  EXPECT_TRUE(params.Bool("b"));
  EXPECT_EQ(params.Size("s").width, 640u);
  EXPECT_EQ(params.Size("s").height, 360u);
  EXPECT_EQ(params.Rate("r").denominator, 1001u);
  EXPECT_EQ(params.DurationNs("d"), 5);
  EXPECT_EQ(params.String("e"), "bars");
  EXPECT_EQ(params.String("none", "x"), "x");
  EXPECT_EQ(params.Int("none", 7), 7);
  EXPECT_FALSE(params.Has("none"));
  EXPECT_TRUE(params.Given("n"));
}

TEST(OfferBuilderTest, BuildsWhatIsSaid) {
  sdk::OfferBuilder builder;
  const sluice_offer& offer = builder.Formats({SLUICE_FORMAT_NV12, SLUICE_FORMAT_YU12})
                                  .Size(640, 360)
                                  .TailBytes(64)
                                  .Build();
  EXPECT_EQ(offer.struct_size, sizeof(sluice_offer));
  ASSERT_EQ(offer.fourcc_count, 2u);
  EXPECT_EQ(offer.fourccs[1], SLUICE_FORMAT_YU12);
  EXPECT_EQ(offer.width_min, 640u);
  EXPECT_EQ(offer.height_max, 360u);
  EXPECT_EQ(offer.tail_bytes, 64u);
  EXPECT_EQ(offer.modifier_count, 0u);
}

TEST(ExpectedTest, ASuccessWithoutAValueIsAnError) {
  EXPECT_EQ(sdk::Expected<int>(sdk::Status()).status().code(), SLUICE_E_INTERNAL);
  EXPECT_EQ(*sdk::Expected<int>(3), 3);
}

}  // namespace
