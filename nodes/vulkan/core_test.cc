// The device's choice, imported memory, and the queue's waiter.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <string>
#include <vector>

#include "nodes/vulkan/import_cache.h"
#include "nodes/vulkan/semaphores.h"
#include "nodes/vulkan/testing.h"

namespace sluice::vulkan::testing {
namespace {

DeviceInfo Info(uint32_t index, const char* name, VkPhysicalDeviceType type) {
  DeviceInfo info;
  info.index = index;
  info.name = name;
  info.type = type;
  info.usable = true;
  info.uuid.fill(static_cast<uint8_t>(index + 0xA0));
  return info;
}

const std::vector<DeviceInfo> kDevices = {
    Info(0, "llvmpipe (LLVM 15)", VK_PHYSICAL_DEVICE_TYPE_CPU),
    Info(1, "Intel Graphics", VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU),
    Info(2, "Big One", VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU),
    Info(3, "Big Two", VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU),
};

TEST(ChooseDeviceTest, DiscreteComesFirstThenTheLowestIndex) {
  EXPECT_EQ(ChooseDevice(kDevices, "").value(), 2U);
}

TEST(ChooseDeviceTest, AnUnusableDeviceIsPassedOver) {
  auto devices = kDevices;
  devices[2].usable = devices[3].usable = false;
  EXPECT_EQ(ChooseDevice(devices, "").value(), 1U);
}

TEST(ChooseDeviceTest, ASelectorIsAnIndexAUuidOrAPartOfTheName) {
  EXPECT_EQ(ChooseDevice(kDevices, "0").value(), 0U);
  EXPECT_EQ(ChooseDevice(kDevices, "LLVMpipe").value(), 0U);
  EXPECT_EQ(ChooseDevice(kDevices, "two").value(), 3U);
  EXPECT_EQ(ChooseDevice(kDevices, FormatUuid(kDevices[1].uuid)).value(), 1U);
}

TEST(ChooseDeviceTest, ASelectorThatMatchesNothingIsAnsweredWithWhatThereIs) {
  for (const char* selector : {"7", "radeon"}) {
    const auto chosen = ChooseDevice(kDevices, selector);
    ASSERT_FALSE(chosen.has_value());
    EXPECT_EQ(chosen.error().code, SLUICE_E_NOT_FOUND);
    EXPECT_NE(chosen.error().message.find("2: Big One"), std::string::npos);
  }
}

TEST(ChooseDeviceTest, AskingForAnUnusableDeviceSaysWhatItLacks) {
  auto devices = kDevices;
  devices[1].usable = false;
  devices[1].missing = "Vulkan 1.3 (it has 1.2)";
  const auto chosen = ChooseDevice(devices, "1");
  ASSERT_FALSE(chosen.has_value());
  EXPECT_EQ(chosen.error().code, SLUICE_E_UNSUPPORTED);
  EXPECT_NE(chosen.error().message.find("it has 1.2"), std::string::npos);
}

TEST(ChooseDeviceTest, WithoutAUsableDeviceTheErrorSaysWhatToInstall) {
  const auto chosen = ChooseDevice({}, "");
  ASSERT_FALSE(chosen.has_value());
  EXPECT_EQ(chosen.error().code, SLUICE_E_UNSUPPORTED);
  EXPECT_NE(chosen.error().message.find("mesa-vulkan-drivers"), std::string::npos);
}

/// Sets a variable of the environment until the end of the scope.
class ScopedEnvironment {
 public:
  ScopedEnvironment(const char* name, const char* value) : name_(name) {
    const char* old = std::getenv(name);
    had_ = old != nullptr;
    if (had_) old_ = old;
    setenv(name, value, 1);
  }
  ~ScopedEnvironment() {
    if (had_) {
      setenv(name_, old_.c_str(), 1);
    } else {
      unsetenv(name_);
    }
  }
  ScopedEnvironment(const ScopedEnvironment&) = delete;
  ScopedEnvironment& operator=(const ScopedEnvironment&) = delete;

 private:
  const char* name_;
  bool had_ = false;
  std::string old_;
};

TEST(DeviceCreateTest, WithoutADriverTheErrorSaysWhatToInstall) {
  const ScopedEnvironment old_name("VK_ICD_FILENAMES", "/nonexistent/driver.json");
  const ScopedEnvironment new_name("VK_DRIVER_FILES", "/nonexistent/driver.json");
  const auto device = Device::Create({});
  ASSERT_FALSE(device.has_value());
  EXPECT_EQ(device.error().code, SLUICE_E_UNSUPPORTED);
  EXPECT_NE(device.error().message.find("install"), std::string::npos) << device.error().message;
}

using MemoryTest = DeviceTest;

TEST_F(MemoryTest, ASharedMappingIsImportedWhereItLies) {
  const SharedMapping mapping(1 << 20);
  const auto memory = Memory::ImportHost(bench_->device(), mapping.data(), mapping.size());
  ASSERT_TRUE(memory.has_value()) << memory.error().message;
  EXPECT_EQ(memory->mapped(), mapping.data());
}

TEST_F(MemoryTest, AMisalignedMappingIsRefusedWithTheNumbers) {
  const SharedMapping mapping(1 << 20);
  const auto shifted = Memory::ImportHost(bench_->device(), mapping.data() + 64, 4096);
  ASSERT_FALSE(shifted.has_value());
  EXPECT_EQ(shifted.error().code, SLUICE_E_UNSUPPORTED);
  EXPECT_NE(shifted.error().message.find("off by 64"), std::string::npos)
      << shifted.error().message;
  const auto cut = Memory::ImportHost(bench_->device(), mapping.data(), 5000);
  ASSERT_FALSE(cut.has_value());
  EXPECT_NE(cut.error().message.find("5000"), std::string::npos) << cut.error().message;
}

TEST_F(MemoryTest, ABufferIsImportedOnceUntilItsPoolIsForgotten) {
  const SharedMapping a(4096), b(4096);
  ImportCache cache(bench_->device());
  const Import* first = cache.ImportHost({1, 1, 0}, a.data(), a.size()).value();
  EXPECT_EQ(cache.ImportHost({1, 1, 0}, a.data(), a.size()).value(), first);
  const Import* second = cache.ImportHost({2, 1, 0}, b.data(), b.size()).value();
  EXPECT_NE(second, first);
  EXPECT_EQ(cache.size(), 2U);
  EXPECT_TRUE(cache.TakePool(1, 2).empty());
  EXPECT_EQ(cache.size(), 2U);
  EXPECT_EQ(cache.TakePool(1, 1).size(), 1U);
  EXPECT_EQ(cache.size(), 1U);
  EXPECT_TRUE(cache.ImportHost({1, 1, 0}, b.data(), b.size()).has_value());
  const ImportCache::Taken taken = cache.TakePool(2, 1);
  ASSERT_EQ(taken.size(), 1U);
  EXPECT_EQ(&taken.at(0), second) << "submissions under way point to it";
}

TEST_F(MemoryTest, ABufferThatChangesItsMappingIsAnError) {
  const SharedMapping a(4096), b(4096);
  ImportCache cache(bench_->device());
  ASSERT_TRUE(cache.ImportHost({1, 1, 0}, a.data(), a.size()).has_value());
  EXPECT_FALSE(cache.ImportHost({1, 1, 0}, b.data(), b.size()).has_value());
}

TEST_F(MemoryTest, WhatIsNoDmabufIsRefusedWithTheReason) {
  const auto closed = Memory::ImportDmabuf(bench_->device(), -1, 4096);
  ASSERT_FALSE(closed.has_value());
  EXPECT_EQ(closed.error().code, SLUICE_E_UNSUPPORTED);
}

TEST(SyncFilesTest, AFileIsKeptUntilItsPointIsOver) {
  SyncFiles files;
  const auto make = [] { return sdk::UniqueFd(eventfd(0, EFD_CLOEXEC)); };
  files.Put(1, make());
  files.Put(2, make());
  files.Put(3, sdk::UniqueFd());  // it had signalled
  EXPECT_EQ(files.size(), 2U);
  EXPECT_TRUE(files.Get(1));
  EXPECT_FALSE(files.Get(3));
  files.Completed(1);
  EXPECT_FALSE(files.Get(1));
  EXPECT_TRUE(files.Get(2));
  // The submission was over before its file was there.
  files.Put(1, make());
  EXPECT_EQ(files.size(), 1U);
  files.Completed(2);
  EXPECT_EQ(files.size(), 0U);
}

using SemaphoreTest = DeviceTest;

TEST_F(SemaphoreTest, WithoutSyncFilesARingGivesNothingAndClosesWhatItWasGiven) {
  if (bench_->device().info().external.sync_files()) GTEST_SKIP() << "it has them";
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const sdk::UniqueFd writer(ends[1]);
  SemaphoreRing waits(bench_->device(), SemaphoreRing::Use::kWait);
  const auto imported = waits.Import(sdk::UniqueFd(ends[0]), 0);
  ASSERT_FALSE(imported.has_value());
  EXPECT_EQ(imported.error().code, SLUICE_E_UNSUPPORTED);
  EXPECT_EQ(fcntl(ends[0], F_GETFD), -1);
  SemaphoreRing signals(bench_->device(), SemaphoreRing::Use::kSignal);
  EXPECT_FALSE(signals.Take(0).has_value());
  EXPECT_EQ(signals.size(), 0U);
}

using QueueTest = DeviceTest;

TEST_F(QueueTest, PointsCompleteInOrderAndTheListenerHearsOfAll) {
  std::mutex mutex;
  std::vector<uint64_t> heard;
  auto queue = Queue::Create(bench_->device(), {[&](uint64_t point) {
                                                  std::lock_guard<std::mutex> lock(mutex);
                                                  heard.push_back(point);
                                                },
                                                [](uint64_t, uint64_t, const Error&) {}})
                   .value();
  for (uint64_t i = 1; i <= 50; ++i) {
    // Each waits for the one before.
    const auto point = queue->Submit(VK_NULL_HANDLE, i - 1);
    ASSERT_EQ(point.value(), i);
  }
  ASSERT_TRUE(
      queue->WaitIdle(std::chrono::steady_clock::now() + std::chrono::seconds(20)).has_value());
  std::lock_guard<std::mutex> lock(mutex);
  ASSERT_FALSE(heard.empty());
  EXPECT_TRUE(std::is_sorted(heard.begin(), heard.end()));
  EXPECT_EQ(heard.back(), 50U);
}

TEST_F(QueueTest, AnIdleQueueIsIdleAtOnce) {
  EXPECT_TRUE(bench_->queue().WaitIdle(std::chrono::steady_clock::now()).has_value());
}

TEST_F(QueueTest, APointCanBeWaitedForAlone) {
  Queue& queue = bench_->queue();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  const uint64_t point = queue.Submit(VK_NULL_HANDLE, 0).value();
  ASSERT_TRUE(queue.WaitFor(point, deadline).has_value());
  EXPECT_GE(queue.completed(), point);
}

TEST(WaitAheadTest, NothingIsSleptOverUntilItIsKnownHowLongTheyTake) {
  EXPECT_EQ(WaitAhead().SleepNs(100), 0U);
}

TEST(WaitAheadTest, ShortSubmissionsAreSleptOverTogetherButHalfOfThemAtMost) {
  WaitAhead ahead;
  ahead.Completed(1, 40'000);
  EXPECT_EQ(ahead.SleepNs(3), 40'000U);
  EXPECT_EQ(ahead.SleepNs(8), 160'000U);
  EXPECT_EQ(ahead.SleepNs(100), WaitAhead::kBatchNs);
}

TEST(WaitAheadTest, LongOnesAreWaitedForOneByOne) {
  WaitAhead ahead;
  ahead.Completed(1, 10'000'000);
  EXPECT_EQ(ahead.SleepNs(100), 0U);
}

TEST(WaitAheadTest, SlowerIsBelievedAtOnceAndFasterInTime) {
  WaitAhead ahead;
  ahead.Completed(4, 100'000);
  EXPECT_EQ(ahead.SleepNs(100), 200'000U);
  // None of them came within that time.
  ahead.Completed(0, 2 * WaitAhead::kBatchNs);
  EXPECT_EQ(ahead.SleepNs(100), 0U);
  ahead.Completed(1, 1'000);
  for (int i = 0; i < 20; ++i) ahead.Completed(1, 25'000);
  EXPECT_GT(ahead.SleepNs(100), 4U * 25'000);
}

/// Sleeps over single submissions that take `takes` each; a sleep is longer than asked for by what
/// the kernel takes. Returns how late the news of the last hundred were in the mean, in ns.
double LatenessOfSingles(WaitAhead& ahead, uint64_t takes) {
  constexpr uint64_t kOversleep = 6'000;
  constexpr int kAll = 600, kLast = 100;
  double late = 0;
  for (int i = 0; i < kAll; ++i) {
    uint64_t spent = 0;
    while (spent < takes) {
      const uint64_t sleep = ahead.SleepNs(1);
      const uint64_t elapsed = sleep > 0 ? sleep + kOversleep : takes - spent;
      spent += elapsed;
      ahead.Completed(spent >= takes ? 1 : 0, elapsed);
    }
    if (i >= kAll - kLast) late += static_cast<double>(spent - takes) / kLast;
  }
  return late;
}

TEST(WaitAheadTest, ASingleOneIsSleptOverAndHowLongItTakesIsFollowed) {
  WaitAhead ahead;
  for (const uint64_t takes : {60'000U, 150'000U, 30'000U}) {
    EXPECT_LT(LatenessOfSingles(ahead, takes), 10'000) << takes;
    EXPECT_GT(ahead.SleepNs(1), takes / 2) << "with the driver, or too often";
  }
}

TEST(WaitAheadTest, WhatDoesNotComeIsWaitedForWithTheDriver) {
  WaitAhead ahead;
  ahead.Completed(1, 50'000);
  int looks = 0;
  for (uint64_t sleep = ahead.SleepNs(1); sleep > 0; sleep = ahead.SleepNs(1)) {
    ASSERT_LT(++looks, 30);
    ahead.Completed(0, sleep);
  }
}

/// Two passes, the second reading what the first writes; returns what the validation layer says.
uint32_t MessagesOfTwoPasses(bool barriers) {
  std::string why;
  const auto bench = Bench::Create(&why);
  if (bench == nullptr) return 0;
  const sluice_format format = MakeFormat(SLUICE_FORMAT_AB24, 64, 16);
  const Picture from(format), to(format);
  TestFilter first;
  first.stages = {LookStage(Looks()[9])};
  first.params.assign(kParamCount, 0);
  TestFilter second = first;
  second.sources = {FromFilter(0)};
  Program::Options options;
  options.passes.fuse = false;
  options.barriers = barriers;
  bench->RunChain({first, second}, {&from}, to, options);
  return bench->TakeValidationMessages();
}

TEST_F(QueueTest, AMissingBarrierIsReportedByTheValidationLayer) {
  if (!bench_->device().validating()) GTEST_SKIP() << "needs SLUICE_VULKAN_VALIDATION=1";
  EXPECT_GT(MessagesOfTwoPasses(false), 0U);
  EXPECT_EQ(MessagesOfTwoPasses(true), 0U);
}

using KernelLibraryTest = DeviceTest;

TEST_F(KernelLibraryTest, TextsThatNobodyUsesAnyMoreAreForgottenAndThoseInUseStay) {
  constexpr size_t kMost = 2;
  KernelLibrary kernels(bench_->device(), {}, kMost);
  const auto text = [](int i) {
    return "#version 460\nlayout(local_size_x = 1) in;\nconst int k = " + std::to_string(i) +
           ";\nvoid main() {}\n";
  };
  const auto used = kernels.Get(text(0), 1).value();
  for (int i = 1; i < 6; ++i) {
    ASSERT_TRUE(kernels.Get(text(i), 1).has_value());
    EXPECT_LE(kernels.size(), kMost);
  }
  EXPECT_EQ(kernels.Get(text(0), 1).value(), used);
}

TEST(ShapeTest, ALayoutThatDoesNotHoldThePictureIsRefused) {
  const sluice_format format = MakeFormat(SLUICE_FORMAT_NV12, 641, 359);
  sluice_layout layout = MakeLayout(format).value();
  EXPECT_TRUE(MakeShape(format, layout).has_value());
  auto changed = layout;
  changed.size -= 4096;
  EXPECT_FALSE(MakeShape(format, changed).has_value());
  changed = layout;
  changed.planes[1].offset = UINT64_MAX - 63;
  EXPECT_FALSE(MakeShape(format, changed).has_value());
  changed = layout;
  changed.planes[0].stride = 648;
  EXPECT_FALSE(MakeShape(format, changed).has_value());
  changed = layout;
  changed.plane_count = 1;
  EXPECT_FALSE(MakeShape(format, changed).has_value());
}

TEST(ShapeTest, ALayoutMeetsWhatOthersDemand) {
  const sluice_format format = MakeFormat(SLUICE_FORMAT_NV12, 160, 90);
  const sluice_layout layout = MakeLayout(format, {96, 4096, 65536, 100}).value();
  EXPECT_EQ(layout.planes[0].stride, 192U);  // of 64 and of 96
  EXPECT_EQ(layout.planes[1].offset % 4096, 0U);
  EXPECT_GE(layout.size, layout.planes[1].offset + layout.planes[1].size + 100);
  EXPECT_EQ(layout.size % 65536, 0U);
  EXPECT_TRUE(MakeShape(format, layout).has_value());
  EXPECT_FALSE(MakeLayout(format, {uint64_t{1} << 32}).has_value());
}

TEST(ShapeTest, APlaneBeyondItsPartIsRefusedWithItsNumbers) {
  const sluice_format format = MakeFormat(SLUICE_FORMAT_NV12, 192, 90);
  sluice_layout layout = MakeLayout(format).value();
  layout.part_count = 2;
  layout.planes[1].part = 1;
  layout.planes[1].offset = 0;
  const Shape shape = MakeShape(format, layout).value();
  const uint64_t fits[] = {192 * 90, 192 * 45}, small[] = {192 * 90, 192 * 45 - 1};
  EXPECT_TRUE(CheckParts(shape, fits).has_value());
  const Status refused = CheckParts(shape, small);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("plane 1 reaches byte 8640 of part 1"), std::string::npos)
      << refused.error().message;
  EXPECT_FALSE(CheckParts(shape, std::span(fits).first(1)).has_value());
  layout.planes[1].part = 2;
  EXPECT_FALSE(MakeShape(format, layout).has_value());
}

TEST(ShapeTest, AFormatThatKernelsDoNotKnowIsRefusedByName) {
  sluice_format format = MakeFormat(SLUICE_FORMAT_NV16, 64, 64);
  const auto shape = MakeLayout(format);
  ASSERT_FALSE(shape.has_value());
  EXPECT_EQ(shape.error().code, SLUICE_E_UNSUPPORTED);
  EXPECT_NE(shape.error().message.find("NV16"), std::string::npos);
  format = MakeFormat(SLUICE_FORMAT_YU12, 0, 64);
  EXPECT_FALSE(MakeLayout(format).has_value());
}

}  // namespace
}  // namespace sluice::vulkan::testing
