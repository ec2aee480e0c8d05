#include "nodes/vulkan/profiler.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>

#include "nodes/vulkan/meter.h"
#include "nodes/vulkan/testing.h"

namespace sluice::vulkan {
namespace {

constexpr uint64_t kSmall = 1 << 20;

class ProfilerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    DeviceOptions options = DeviceOptionsFromEnvironment();
    options.transfer_queue = true;
    auto device = Device::Create(options);
    ASSERT_TRUE(device) << device.error().message;
    device_ = std::move(*device);
  }
  void TearDown() override { EXPECT_EQ(device_->validation_messages(), 0U); }

  std::unique_ptr<Device> device_;
};

std::map<std::string, sdk::MeasuredDevice::Figure> ByName(const sdk::MeasuredDevice& device) {
  std::map<std::string, sdk::MeasuredDevice::Figure> figures;
  for (const auto& figure : device.figures) figures[figure.name] = figure;
  return figures;
}

TEST_F(ProfilerTest, EveryFigureIsMeasuredOrHasAReason) {
  const auto measured = MeasureDevice(*device_, kSmall);
  ASSERT_TRUE(measured) << measured.error().message;
  EXPECT_EQ(measured->domain, "vulkan");
  EXPECT_EQ(measured->name, device_->info().name);
  EXPECT_EQ(measured->driver, device_->info().driver);
  EXPECT_EQ(std::memcmp(measured->uuid, device_->info().uuid.data(), 16), 0);
  const auto figures = ByName(*measured);
  EXPECT_EQ(figures.size(), measured->figures.size()) << "a name twice";
  for (const char* name : {SLUICE_FIGURE_MEMORY, SLUICE_FIGURE_HOST_READ, SLUICE_FIGURE_HOST_WRITE,
                           "copy-in", "copy-out"}) {
    ASSERT_TRUE(figures.contains(name)) << name;
    EXPECT_EQ(figures.at(name).unit, "B/s") << name;
    EXPECT_GT(figures.at(name).value, 0) << name << ": " << figures.at(name).note;
  }
  for (const char* name : {SLUICE_FIGURE_SUBMISSION, "round-trip"}) {
    ASSERT_TRUE(figures.contains(name)) << name;
    EXPECT_EQ(figures.at(name).unit, "ns") << name;
    EXPECT_GT(figures.at(name).value, 0) << name;
  }
  EXPECT_GE(figures.at("round-trip").value, figures.at(SLUICE_FIGURE_SUBMISSION).value);
  ASSERT_TRUE(figures.contains(SLUICE_FIGURE_CPU_COPY));
  const auto& cpu_copy = figures.at(SLUICE_FIGURE_CPU_COPY);
  if (device_->info().external.export_dmabuf) {
    EXPECT_GT(cpu_copy.value, 0) << cpu_copy.note;
  } else {
    EXPECT_EQ(cpu_copy.value, 0);
    EXPECT_EQ(cpu_copy.note, device_->info().name + " cannot export dma-bufs");
  }
}

TEST_F(ProfilerTest, TheKernelMovesEveryByte) {
  // A kernel that moved less would make figures that are too good.
  constexpr uint64_t kBytes = 1 << 20;
  auto from = Memory::AllocateHostVisible(*device_, kBytes);
  auto to = Memory::AllocateHostVisible(*device_, kBytes);
  ASSERT_TRUE(from && to);
  for (uint64_t i = 0; i < kBytes; ++i) from->mapped()[i] = static_cast<uint8_t>(i * 7 + i / 256);
  std::memset(to->mapped(), 0xA5, kBytes);
  auto meter = Meter::Create(*device_, device_->queue(), device_->queue_family(), true);
  auto kernel = TrafficKernel::Create(*device_, 1);
  ASSERT_TRUE(meter && kernel);
  const auto pair = (*kernel)->Bind(*from, *to);
  ASSERT_TRUE(pair);
  const auto run = [&](Traffic traffic) {
    return (*meter)->Time(
        [&](VkCommandBuffer commands) { (*kernel)->Record(commands, traffic, *pair, kBytes); });
  };
  ASSERT_TRUE(run(Traffic::kRead));
  EXPECT_EQ(std::count(to->mapped(), to->mapped() + kBytes, 0xA5), static_cast<long>(kBytes))
      << "reading writes nothing";
  ASSERT_TRUE(run(Traffic::kCopy));
  EXPECT_EQ(std::memcmp(from->mapped(), to->mapped(), kBytes), 0);
  ASSERT_TRUE(run(Traffic::kWrite));
  const auto* words = reinterpret_cast<const uint32_t*>(to->mapped());
  for (uint32_t i = 0; i < kBytes / 16; ++i) {
    ASSERT_EQ(words[4 * i + 1], i);
    ASSERT_EQ(words[4 * i + 2], ~i);
  }
}

/// What a profiler says, as the engine hears it.
struct Heard {
  std::vector<std::string> devices;
  std::vector<std::string> problems;
};

Heard Ask(const char* selector) {
  Heard heard;
  const sluice_profile_request request{selector, kSmall};
  const sluice_profile_sink sink{&heard,
                                 [](void* self, const sluice_measured_device* device) {
                                   static_cast<Heard*>(self)->devices.emplace_back(device->name);
                                 },
                                 [](void* self, const char* message) {
                                   static_cast<Heard*>(self)->problems.emplace_back(message);
                                 }};
  sdk::Measurements measurements(&request, &sink);
  Profiler::Measure(measurements);
  return heard;
}

TEST(ProfilerOfAllTest, ASelectorThatFitsNothingIsAProblemThatNamesWhatThereIs) {
  const Heard heard = Ask("no such device");
  EXPECT_TRUE(heard.devices.empty());
  ASSERT_EQ(heard.problems.size(), 1U);
  EXPECT_NE(heard.problems[0].find("no Vulkan device matches \"no such device\"; there is 0: "),
            std::string::npos)
      << heard.problems[0];
}

TEST(ProfilerOfAllTest, OneDeviceCanBeChosen) {
  const Heard heard = Ask("0");
  EXPECT_EQ(heard.devices.size(), 1U);
  EXPECT_TRUE(heard.problems.empty());
}

}  // namespace
}  // namespace sluice::vulkan
