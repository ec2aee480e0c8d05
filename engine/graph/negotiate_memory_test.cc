#include "engine/graph/negotiate.h"

#include <gtest/gtest.h>

#include "engine/graph/testing/negotiation_case.h"
#include "engine/graph/testing/types.h"

namespace sluice::graph {
namespace {

using testing::Case;
using testing::CpuOffer;
using testing::DeviceOffer;
using testing::FourccOf;
using testing::Has;
using testing::NetOf;
using testing::OnDevice;
using testing::Sink;
using testing::SizedOffer;
using testing::Source;
using testing::StandardTypes;

// --- Memory --------------------------------------------------------------------

TEST(NegotiateMemoryTest, TheEngineAllocatesWhereNobodyNeedsTo) {
  Case c(StandardTypes(), "c: test.clip file=a\nn: test.null\nc -> n\n");
  const Plan plan = c.Succeed();
  EXPECT_EQ(plan.nets[0].allocator, "memfd");
  EXPECT_EQ(plan.nets[0].allocator_kind, AllocatorKind::kEngine);
  EXPECT_EQ(plan.nets[0].views, kViewShm | kViewCpu);
}

TEST(NegotiateMemoryTest, APortAllocatesWhereOnlyItsMemoryReachesEveryone) {
  Offer camera = SizedOffer("NV12", 64, 48);
  camera.views = kViewDmabuf;
  camera.allocates = kViewDmabuf;
  Offer encoder = CpuOffer("NV12", kViewDmabuf);
  Case c({Source("s", {camera}), Sink("t", {encoder})}, "s: s\nt: t\ns -> t\n");
  const Plan plan = c.Succeed();
  EXPECT_EQ(plan.nets[0].allocator, "s.out");
  EXPECT_EQ(plan.nets[0].allocator_kind, AllocatorKind::kPort);
  EXPECT_EQ(plan.PortName(plan.nets[0].allocator_port), "s.out");
  EXPECT_EQ(plan.edges[0].consumer_view, kViewDmabuf);
}

TEST(NegotiateMemoryTest, AConsumerMayAllocateForItsProducer) {
  Offer display = CpuOffer("NV12", kViewDmabuf);
  display.allocates = kViewDmabuf;
  Offer source = SizedOffer("NV12", 64, 48);
  source.views = kViewDmabuf;
  Case c({Source("s", {source}), Sink("t", {display})}, "s: s\nt: t\ns -> t\n");
  EXPECT_EQ(c.Succeed().nets[0].allocator, "t.in");
}

TEST(NegotiateMemoryTest, DeviceMemoryIsSharedOnlyOnTheSameDevice) {
  Case same({OnDevice(Source("s", {DeviceOffer("NV12", 1)})),
             OnDevice(Sink("t", {DeviceOffer("NV12", 1)}))},
            "s: s\nt: t cut\ns -> t\n");
  const Plan plan = same.Succeed();
  EXPECT_EQ(plan.nets[0].views, kViewDevice);
  EXPECT_EQ(plan.nets[0].device, "01000000000000000000000000000000");
  EXPECT_EQ(plan.edges[0].bridge, SyncBridge::kDomain);

  Case other({OnDevice(Source("s", {DeviceOffer("NV12", 1)})),
              OnDevice(Sink("t", {DeviceOffer("NV12", 2)}))},
             "s: s\nt: t cut\ns -> t\n");
  const std::string refusal = other.Refusal();
  EXPECT_TRUE(Has(refusal, "s.out -> t.in: no memory that all can reach")) << refusal;
  EXPECT_TRUE(Has(refusal, "device of 01")) << refusal;
  EXPECT_TRUE(Has(refusal, "the engine can allocate memfd: shm|cpu")) << refusal;
}

TEST(NegotiateMemoryTest, ACpuNodeThatNamesNoDeviceTakesTheMemoryOfAny) {
  NodeType sink = Sink("t", {CpuOffer("", kViewCpu | kViewDevice)});
  Case c({OnDevice(Source("s", {DeviceOffer("NV12", 1)})), sink}, "s: s\nt: t\ns -> t\n");
  EXPECT_EQ(c.Succeed().edges[0].consumer_view, kViewDevice);
}

TEST(NegotiateMemoryTest, PrefersTheMemoryThatIsFasterForTheDevice) {
  Offer gpu = DeviceOffer("NV12", 1);
  gpu.views |= kViewShm;
  Case c({OnDevice(Source("s", {gpu})), OnDevice(Sink("t", {gpu}))}, "s: s\nt: t cut\ns -> t\n");
  EXPECT_EQ(c.Succeed().nets[0].views, kViewDevice);
  c.input.profile.device.memory = 1e9;  // a device whose own memory is slower than the host's
  EXPECT_EQ(c.Succeed().nets[0].allocator, "memfd");
}

TEST(NegotiateMemoryTest, AlignmentsCombineToTheLeastCommonMultiple) {
  Offer a = SizedOffer("NV12", 64, 48), b = CpuOffer("NV12");
  a.alignment.stride = 64;
  a.alignment.height = 2;
  a.alignment.tail = 16;
  b.alignment.stride = 48;
  b.alignment.tail = 8;
  Case c({Source("s", {a}), Sink("t", {b})}, "s: s\nt: t\ns -> t\n");
  const Plan plan = c.Succeed();
  EXPECT_EQ(plan.nets[0].alignment.stride, 192u);
  EXPECT_EQ(plan.nets[0].alignment.height, 2u);
  EXPECT_EQ(plan.nets[0].alignment.tail, 16u);
}

TEST(NegotiateMemoryTest, ADevicesImportDemandsJoinTheAlignment) {
  NodeType gpu = OnDevice(Sink("t", {CpuOffer("NV12", kViewShm)}));
  Case c({Source("s", {SizedOffer("NV12", 64, 48)}), gpu}, "s: s\nt: t\ns -> t\n");
  c.input.domains["vulkan"] = {
      .views = kViewShm, .base_multiple = 4096, .size_multiple = 4096, .offset_multiple = 16};
  const Plan plan = c.Succeed();
  EXPECT_EQ(plan.nets[0].alignment.base, 4096u);
  EXPECT_EQ(plan.nets[0].alignment.size, 4096u);
  EXPECT_EQ(plan.nets[0].alignment.offset, 16u);
}

TEST(NegotiateMemoryTest, ADeviceThatCannotImportSharedMemoryIsServedByACountedTransfer) {
  NodeType gpu = OnDevice(Sink("t", {CpuOffer("NV12", kViewShm)}));
  Case c({Source("s", {SizedOffer("NV12", 64, 48)}), gpu}, "s: s\nt: t\ns -> t\n");
  c.input.domains["vulkan"] = {.device_name = "Test GPU", .views = kViewShm};
  EXPECT_TRUE(c.Succeed().copies.empty());
  c.input.domains["vulkan"].views = kViewDmabuf;
  const Plan plan = c.Succeed();
  ASSERT_EQ(plan.copies.size(), 1u);
  EXPECT_EQ(plan.copies[0].where, "t.in");
  EXPECT_EQ(plan.copies[0].edge, 0u);
  EXPECT_EQ(plan.copies[0].bytes_per_frame, 64u * 48 * 3 / 2);
  EXPECT_EQ(plan.copies[0].reason, "Test GPU cannot import shm: transferred");
}

TEST(NegotiateMemoryTest, RequireZeroCopyRefusesATransferAndNamesTheDevice) {
  NodeType gpu = OnDevice(Sink("t", {CpuOffer("NV12", kViewShm)}));
  Case c({Source("s", {SizedOffer("NV12", 64, 48)}), gpu}, "s: s\nt: t\ns -> t require\n");
  c.input.domains["vulkan"] = {.device_name = "Test GPU"};
  const std::string refusal = c.Refusal();
  EXPECT_TRUE(Has(refusal, "zero-copy is required")) << refusal;
  EXPECT_TRUE(Has(refusal, "t.in takes: a transfer: Test GPU cannot import shm")) << refusal;
}

TEST(NegotiateMemoryTest, ADmaBufThatADeviceCannotImportIsOutOfItsReach) {
  Offer camera = SizedOffer("NV12", 64, 48);
  camera.views = camera.allocates = kViewDmabuf;
  Case c({Source("s", {camera}), OnDevice(Sink("t", {CpuOffer("NV12", kViewShm | kViewDmabuf)}))},
         "s: s\nt: t\ns -> t\n");
  EXPECT_TRUE(c.Run());
  c.input.domains["vulkan"] = {.views = kViewShm};
  EXPECT_TRUE(Has(c.Refusal(), "no memory that all can reach"));
}

// --- Pass-through --------------------------------------------------------------

TEST(NegotiateMemoryTest, PassThroughPortsShareTheirInputsPool) {
  Case c(StandardTypes(),
         "c: test.clip file=a\ns: test.select\nf: test.file file=b\nc -> s -> f\n");
  const Plan plan = c.Succeed();
  ASSERT_EQ(plan.nets.size(), 1u);
  EXPECT_EQ(FourccOf(plan, "c.out"), "YU12");
  EXPECT_EQ(plan.nets[0].edges.size(), 2u);
  EXPECT_EQ(plan.nets[0].depth, 7u);  // writing 1 + twice (queue 2 + running 1)
  EXPECT_EQ(plan.edges[1].consumer_view, kViewShm);
}

// --- Depth ---------------------------------------------------------------------

TEST(NegotiateMemoryTest, DepthAddsUpAllItsTerms) {
  Offer camera = SizedOffer("NV12", 64, 48), display = CpuOffer("NV12");
  camera.buffers_min = 3;
  camera.retains = 1;
  display.hold_max = 2;
  NodeType sink = Sink("t", {display});
  sink.in_flight = 1;
  Case c({Source("s", {camera}), sink, Sink("u", {CpuOffer("NV12")})},
         "s: s\nt: t\nu: u\ns -> t queue=4\ns -> u\n");
  const Plan plan = c.Succeed();
  // writing 1, minimum 3, retains 1; t: queue 4, running 1, hold 2, in flight 1; u: queue 2,
  // running 1
  EXPECT_EQ(plan.nets[0].depth, 16u);
  uint32_t sum = 0;
  for (const DepthTerm& term : plan.nets[0].depth_terms) sum += term.frames;
  EXPECT_EQ(sum, plan.nets[0].depth);
}

TEST(NegotiateMemoryTest, DynamicPortsReserveTheirWorstCase) {
  Offer decoder = SizedOffer("NV12", 64, 48);
  decoder.dynamic_reserve = 11;
  NodeType source = Source("s", {decoder});
  source.ports[0].acquisition = Acquisition::kDynamic;
  Case c({source, Sink("t", {CpuOffer("NV12")})}, "s: s\nt: t\ns -> t\n");
  const Plan plan = c.Succeed();
  EXPECT_EQ(plan.nets[0].depth, 14u);
  EXPECT_EQ(plan.nets[0].dynamic_reserve, 11u);
}

TEST(NegotiateMemoryTest, SampledInputsNeedOneFrameMore) {
  Case c(StandardTypes(),
         "c: test.clip file=a\nd: test.clip file=b\nm: test.mix sync=latest\nn: test.null\n"
         "c -> m.a\nd -> m.b\nm -> n\n");
  const Plan plan = c.Succeed();
  EXPECT_EQ(NetOf(plan, "c.out").depth, 4u);
  EXPECT_EQ(NetOf(plan, "d.out").depth, 5u);
  EXPECT_TRUE(plan.edges[1].sampled);
  EXPECT_FALSE(plan.edges[0].sampled);
}

TEST(NegotiateMemoryTest, ConsumersMinimumRaisesThePool) {
  Offer encoder = CpuOffer("NV12");
  encoder.buffers_min = 9;
  Case c({Source("s", {SizedOffer("NV12", 64, 48)}), Sink("t", {encoder})}, "s: s\nt: t\ns -> t\n");
  EXPECT_EQ(c.Succeed().nets[0].depth, 9u);
}

TEST(NegotiateMemoryTest, AQueueThatTheTextLeavesOpenShrinksToFit) {
  Offer camera = SizedOffer("NV12", 64, 48);
  camera.buffers_max = 3;
  Case c({Source("s", {camera}), Sink("t", {CpuOffer("NV12")})}, "s: s\nt: t\ns -> t\n");
  const Plan plan = c.Succeed();
  EXPECT_EQ(plan.nets[0].depth, 3u);
  EXPECT_EQ(plan.edges[0].queue.depth, 1u);
}

TEST(NegotiateMemoryTest, APoolBeyondAPortsMaximumIsRefusedWithItsTerms) {
  Offer camera = SizedOffer("NV12", 64, 48);
  camera.buffers_max = 4;
  Case c({Source("s", {camera}), Sink("t", {CpuOffer("NV12")})}, "s: s\nt: t\ns -> t queue=4\n");
  Result<Plan> plan = c.Run();
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, Code::kResourceExhausted);
  EXPECT_EQ(plan.error().message,
            "s.out: the pool needs 6 buffers, but s.out takes at most 4\n"
            "  terms: writing s.out 1 + queue t.in 4 + running t.in 1\n"
            "  help: smaller queues on its edges");
}

// --- Sync ----------------------------------------------------------------------

TEST(NegotiateMemoryTest, TheBridgeFollowsWhatBothEndsCanDo) {
  auto bridge = [](Syncs from, Syncs to, Access access = Access::kDevice) {
    Offer a = SizedOffer("NV12", 64, 48), b = CpuOffer("NV12");
    a.sync = from;
    b.sync = to;
    NodeType source = OnDevice(Source("s", {a})), sink = OnDevice(Sink("t", {b}));
    sink.domain = "other";
    sink.ports[0].access = access;
    return Case({source, sink}, "s: s\nt: t\ns -> t\n").Succeed().edges.at(0).bridge;
  };
  EXPECT_EQ(bridge(kSyncCpuDone, kSyncSyncFile), SyncBridge::kNone);
  EXPECT_EQ(bridge(kSyncSyncFile, kSyncSyncFile | kSyncImplicit), SyncBridge::kSyncFile);
  EXPECT_EQ(bridge(kSyncSyncFile | kSyncSyncobj, kSyncSyncFile | kSyncSyncobj),
            SyncBridge::kSyncobj);
  EXPECT_EQ(bridge(kSyncImplicit, kSyncImplicit), SyncBridge::kImplicit);
  EXPECT_EQ(bridge(kSyncSyncFile, kSyncImplicit), SyncBridge::kImport);
  EXPECT_EQ(bridge(kSyncImplicit, kSyncSyncFile), SyncBridge::kExport);
  EXPECT_EQ(bridge(kSyncTimeline, kSyncTimeline), SyncBridge::kHostSignal);  // of two domains
  EXPECT_EQ(bridge(kSyncSyncFile, kSyncSyncFile, Access::kCpu), SyncBridge::kHostSignal);
}

TEST(NegotiateMemoryTest, AnArmThatCanStarveOthersIsWarnedAboutInRealTime) {
  Case c(StandardTypes(), "c: test.clip file=a\nn: test.null\nm: test.null\nc -> n\nc -> m drop\n",
         {.clock = ClockMode::kRealtime});
  const Plan plan = c.Succeed();
  ASSERT_EQ(plan.warnings.size(), 1u);
  EXPECT_TRUE(Has(plan.warnings[0], "c.out -> n.in blocks"));
}

}  // namespace
}  // namespace sluice::graph
