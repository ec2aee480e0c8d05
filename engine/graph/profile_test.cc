#include "engine/graph/profile.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/graph/testing/negotiation_case.h"
#include "engine/graph/testing/types.h"

namespace sluice::graph {
namespace {

using testing::Case;
using testing::CpuOffer;
using testing::DeviceOffer;
using testing::Has;
using testing::OnDevice;
using testing::Sink;
using testing::Source;

constexpr char kUuid[] = "01000000000000000000000000000000";

DomainFacts Gpu() {
  DomainFacts facts;
  facts.device_uuid[0] = 1;
  facts.device_name = "Test GPU";
  facts.driver = "driver 1";
  facts.views = kViewDevice | kViewShm | kViewDmabuf;
  return facts;
}

Profile Measured(const DeviceSpeeds& speeds) {
  Profile profile;
  profile.date = "2026-11-30";
  profile.processor = "Test CPU";
  profile.devices[kUuid] = {"Test GPU", "driver 1", "2026-11-29", speeds};
  return profile;
}

/// Two nodes of one device that could share its memory or the host's.
Case OnOneDevice() {
  Offer offer = DeviceOffer("NV12", 1);
  offer.views |= kViewShm;
  Case c({OnDevice(Source("s", {offer})), OnDevice(Sink("t", {offer}))},
         "s: s\nt: t cut\ns -> t\n");
  c.input.domains["vulkan"] = Gpu();
  return c;
}

/// Frames that a device makes and the CPU reads.
Case FromDeviceToCpu() {
  Offer out = DeviceOffer("NV12", 1);
  out.views |= kViewShm | kViewDmabuf;
  out.allocates = kViewDevice | kViewDmabuf;
  Case c({OnDevice(Source("s", {out})), Sink("t", {CpuOffer("NV12", kViewShm | kViewDmabuf)})},
         "s: s\nt: t\ns -> t\n");
  c.input.domains["vulkan"] = Gpu();
  return c;
}

TEST(ProfileTest, MeasuredSpeedsDecideInWhichMemoryADeviceWorks) {
  Case c = OnOneDevice();
  EXPECT_EQ(c.Succeed().nets[0].views, kViewDevice);
  c.input.profile = Measured({.memory = 5e9, .host_read = 50e9, .host_write = 50e9});
  EXPECT_EQ(c.Succeed().nets[0].allocator, "memfd");
  c.input.profile = Measured({.memory = 3e12, .host_read = 50e9, .host_write = 50e9});
  EXPECT_EQ(c.Succeed().nets[0].views, kViewDevice);
}

TEST(ProfileTest, ReadingAndWritingHostMemoryCountApart) {
  Case c = OnOneDevice();
  const DeviceSpeeds even{.memory = 20e9, .host_read = 20e9, .host_write = 20e9};
  DeviceSpeeds slow_reads = even, slow_writes = even;
  slow_reads.host_read = 1e9;
  slow_writes.host_write = 2e9;
  c.input.profile = Measured(slow_reads);
  c.input.profile.devices[kUuid].speeds.memory = 1e9;  // so that host memory is taken
  const double reads = c.Succeed().cost_us;
  c.input.profile = Measured(slow_writes);
  c.input.profile.devices[kUuid].speeds.memory = 1e9;
  const double writes = c.Succeed().cost_us;
  const double bytes = 1920.0 * 1080 * 3 / 2;
  EXPECT_NEAR(reads, bytes / 1e9 * 1e6 + bytes / 20e9 * 1e6 + 2 * even.submission_us, 1);
  EXPECT_NEAR(writes, bytes / 2e9 * 1e6 + bytes / 20e9 * 1e6 + 2 * even.submission_us, 1);
}

TEST(ProfileTest, AnEdgeInsideAnIslandCostsWhatTheDevicesMemoryCosts) {
  Offer shared = CpuOffer("NV12", kViewShm);
  shared.sync = kSyncTimeline;
  Case c({OnDevice(Source("s", {shared})), OnDevice(Sink("t", {shared}))}, "s: s\nt: t\ns -> t\n");
  c.input.domains["vulkan"] = Gpu();
  c.input.profile =
      Measured({.memory = 100e9, .host_read = 1e9, .host_write = 1e9, .submission_us = 7});
  const Plan plan = c.Succeed();
  ASSERT_TRUE(plan.nets[0].inner);
  EXPECT_NEAR(plan.cost_us, 2 * 1920.0 * 1080 * 3 / 2 / 100e9 * 1e6 + 7, 1);
}

TEST(ProfileTest, DeviceMemoryThatTheCpuReadsFastNeedNotBeHostMemory) {
  Case c = FromDeviceToCpu();
  EXPECT_EQ(c.Succeed().nets[0].allocator, "memfd");
  c.input.profile = Measured({.cpu_read = 40e9});
  EXPECT_EQ(c.Succeed().nets[0].allocator, "s.out");
}

TEST(ProfileTest, AnAllocatorWhoseBuffersAreSlowToReadIsPassedOver) {
  Offer camera = CpuOffer("NV12", kViewDmabuf);
  Case c({Source("s", {camera}), Sink("t", {camera})}, "s: s\nt: t\ns -> t\n");
  c.input.allocators = {{.name = "dma-heap", .views = kViewDmabuf | kViewCpu},
                        {.name = "udmabuf", .views = kViewDmabuf | kViewShm | kViewCpu}};
  EXPECT_EQ(c.Succeed().nets[0].allocator, "dma-heap");
  c.input.profile.allocator_read["dma-heap"] = 0.2e9;
  EXPECT_EQ(c.Succeed().nets[0].allocator, "udmabuf");
}

TEST(ProfileTest, FiguresOfAnotherDriverAreNotUsedAndThePlanSaysSo) {
  Case c = OnOneDevice();
  c.input.profile = Measured({.memory = 5e9, .host_read = 50e9, .host_write = 50e9});
  c.input.profile.devices[kUuid].driver = "driver 0";
  const Plan plan = c.Succeed();
  EXPECT_EQ(plan.nets[0].views, kViewDevice);
  EXPECT_EQ(plan.profile, "measured 2026-11-30 (Test CPU); defaults for Test GPU");
  ASSERT_EQ(plan.warnings.size(), 2u);  // and the size that nothing fixes
  EXPECT_TRUE(Has(plan.warnings[1], "driver 0; this is driver 1")) << plan.warnings[1];
}

TEST(ProfileTest, ThePlanSaysWhoseFiguresItsCostIsOf) {
  Case c = OnOneDevice();
  Plan plan = c.Succeed();
  EXPECT_TRUE(Has(plan.ToTable(), "\nprofile: defaults\n")) << plan.ToTable();
  c.input.profile = Measured({});
  plan = c.Succeed();
  EXPECT_TRUE(Has(plan.ToTable(), "\nprofile: measured 2026-11-29 (Test GPU)\n")) << plan.ToTable();
  EXPECT_EQ(nlohmann::json::parse(plan.ToJson())["profile"], "measured 2026-11-29 (Test GPU)");
}

TEST(ProfileTest, AGraphWithoutADeviceNamesTheProcessor) {
  Case c({Source("s", {CpuOffer("NV12")}), Sink("t", {CpuOffer("NV12")})}, "s: s\nt: t\ns -> t\n");
  c.input.profile = Measured({});
  EXPECT_EQ(c.Succeed().profile, "measured 2026-11-30 (Test CPU)");
}

TEST(ProfileTest, EqualProfilesGiveEqualPlansAndOthersAnotherDigest) {
  Case c = OnOneDevice();
  c.input.profile = Measured({.memory = 2e12});
  const Plan first = c.Succeed();
  EXPECT_EQ(c.Succeed().ToJson(), first.ToJson());
  c.input.profile.devices[kUuid].speeds.host_read *= 2;
  EXPECT_NE(c.Succeed().digest, first.digest);
  c.input.profile = Measured({.memory = 2e12});
  c.input.profile.cpu_bandwidth *= 2;
  EXPECT_NE(c.Succeed().digest, first.digest);
}

TEST(ProfileTest, ADeviceThatIsTheProcessorHasOneMemory) {
  Profile profile = Measured({.memory = 8e9, .host_read = 4e9, .host_write = 16e9});
  const ProfiledDevice device = FindDevice(profile, kUuid, "Test GPU", "driver 1", true);
  EXPECT_EQ(device.speeds.host_read, 8e9);
  EXPECT_EQ(device.speeds.host_write, 8e9);
}

TEST(ProfileTest, ADeviceThatWasNotMeasuredHasTheDefaultsOfItsKind) {
  const Profile profile;
  EXPECT_EQ(FindDevice(profile, kUuid, "a", "b", true).speeds, profile.software_device);
  const ProfiledDevice gpu = FindDevice(profile, kUuid, "a", "b", false);
  EXPECT_EQ(gpu.speeds, profile.device);
  EXPECT_EQ(gpu.measured, nullptr);
  EXPECT_EQ(gpu.warning, "");
}

}  // namespace
}  // namespace sluice::graph
