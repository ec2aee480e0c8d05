// Frames that cross the link by a transfer queue, on a device that has neither: a layer
// (//tests/gpu_faults) makes software Vulkan look like a card with a queue that only copies. The
// validation layer is above it, and sees two families.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "nodes/vulkan/copy_times.h"
#include "nodes/vulkan/domain.h"
#include "nodes/vulkan/island_testing.h"
#include "nodes/vulkan/transfer.h"

namespace sluice::vulkan::testing {
namespace {

constexpr char kCard[] = "gpu0.type=discrete;";
const sluice_format kRgb = MakeFormat(SLUICE_FORMAT_AB24, 96, 40);
const sluice_format kYuv = MakeFormat(SLUICE_FORMAT_NV12, 96, 40);

/// What a domain is to find.
struct Card {
  std::string faults = {};  ///< tests/gpu_faults/rules.h
  bool staging = false;     ///< nothing can be imported
  bool transfer = true;     ///< SLUICE_VULKAN_TRANSFER
  int queues = 2;           ///< that only copy
  int timestamps = 64;      ///< bits of theirs; 0: they have none
};

/// The environment of a domain that is about to be opened.
class CardEnvironment {
 public:
  explicit CardEnvironment(const Card& card) {
    const std::string ours = std::filesystem::absolute("tests/gpu_faults").string();
    // The first is next to the application: of the folders for older loaders, of the names for
    // newer ones.
    Set("VK_LAYER_PATH", "/usr/share/vulkan/explicit_layer.d:" + ours);
    Set("VK_INSTANCE_LAYERS", "VK_LAYER_KHRONOS_validation:VK_LAYER_SLUICE_faults");
    Set("SLUICE_VULKAN_FAULTS", kCard + ("gpu0.copies=" + std::to_string(card.queues)) +
                                    ";gpu0.timestamps=" + std::to_string(card.timestamps) + ";" +
                                    card.faults);
    // The layer takes a submission that failed for one that was made.
    if (!card.faults.empty()) {
      Set("SLUICE_VULKAN_VALIDATION", "0");
      Set("VK_INSTANCE_LAYERS", "VK_LAYER_SLUICE_faults");
    }
    if (card.staging) Set("SLUICE_VULKAN_FORCE_STAGING", "1");
    if (!card.transfer) Set("SLUICE_VULKAN_TRANSFER", "0");
  }
  ~CardEnvironment() {
    for (const auto& [name, value] : before_) {
      if (value) {
        setenv(name.c_str(), value->c_str(), 1);
      } else {
        unsetenv(name.c_str());
      }
    }
  }

 private:
  void Set(const std::string& name, const std::string& value) {
    const char* const had = getenv(name.c_str());
    before_.emplace(name, had != nullptr ? std::optional<std::string>(had) : std::nullopt);
    setenv(name.c_str(), value.c_str(), 1);
  }
  std::map<std::string, std::optional<std::string>> before_;
};

/// A node and its parameters.
struct Step {
  const char* type;
  std::vector<sluice_param> params = {};
};
using Chain = std::vector<Step>;

Chain Blur() { return {{"vulkan.blur"}}; }
Chain Negative() { return {{"vulkan.look", {Text("look", "negative")}}}; }
Chain Passes() {
  return {{"vulkan.look", {Text("look", "sepia")}},
          {"vulkan.blur"},
          {"vulkan.look", {Text("look", "negative")}},
          {"vulkan.sharpen"}};
}

/// A step of an island, as it is predicted or measured.
struct Row {
  std::string label;
  std::vector<uint32_t> nodes;
  friend bool operator==(const Row&, const Row&) = default;
};
void PrintTo(const Row& row, std::ostream* out) {
  *out << row.label << ::testing::PrintToString(row.nodes);
}
struct Predicted {
  Row row;
  std::string apart;
  uint64_t bytes_read;
  uint64_t bytes_written;
};
struct Measured {
  Row row;
  sluice_pass_time time;
};
template <typename T>
std::vector<Row> RowsOf(const std::vector<T>& steps) {
  std::vector<Row> rows;
  for (const T& step : steps) rows.push_back(step.row);
  return rows;
}
bool IsCopy(const Row& row) { return row.label.starts_with("copy "); }
const Row kCopyIn{"copy in: node.in", {0}};
const Row kCopyOut{"copy out: node.out", {0}};

/// A picture that tells one from the next.
Picture Numbered(const sluice_format& format, int number) {
  Picture picture(format);
  Fill(picture, Pattern::kNoise);
  for (uint32_t y = 8; y < 24; ++y) {
    for (uint32_t x = 0; x < 32; ++x)
      picture.plane(0)[y * picture.stride(0) + x] = static_cast<uint8_t>(number * 16);
  }
  return picture;
}

class TransferTest : public IslandTest {
 protected:
  void SetUp() override {
    // Compiling takes software Vulkan longer than all the rest.
    setenv("SLUICE_CACHE_DIR", (::testing::TempDir() + "/cache").c_str(), 0);
    ASSERT_EQ(sluice_plugin.init(host_.c()), SLUICE_OK);
  }
  void TearDown() override {
    Close();
    IslandTest::TearDown();
  }

  void OpenCard(const Card& card = {}) {
    const CardEnvironment environment(card);
    OpenDomain();
  }
  void Close() {
    if (island_ != nullptr) domain_.destroy_island(domain_.self, island_);
    island_ = nullptr;
    nodes_.clear();
    formats_.clear();
    if (domain_.self != nullptr) domain_.destroy(domain_.self);
    domain_ = {};
  }
  VulkanDomain& domain() { return *sdk::DomainCast<VulkanDomain>(domain_.self); }
  int32_t BuildChain(const Chain& chain, const sluice_format& format, uint32_t buffers = 3) {
    for (const Step& step : chain) Add(step.type, step.params, format, format);
    return Build(buffers);
  }
  /// What the chain makes of the picture on the device that is open; then nothing is.
  Picture RunAlone(const Chain& chain, const Picture& picture) {
    EXPECT_EQ(BuildChain(chain, picture.format()), SLUICE_OK);
    Picture result = RunOnce(picture);
    Close();
    return result;
  }
  static const sluice_passes& Api() {
    return *static_cast<const sluice_passes*>(sluice_plugin.get_factory(SLUICE_PASSES_ID));
  }
  /// Of the chain that was added, whose frames all have one format.
  std::vector<Predicted> Predict() {
    const ChainDescription island = Describe();
    std::vector<Predicted> steps;
    const sluice_pass_sink sink{&steps, [](void* self, const sluice_pass* pass) {
                                  static_cast<std::vector<Predicted>*>(self)->push_back(
                                      {{pass->label, {pass->nodes, pass->nodes + pass->node_count}},
                                       pass->apart,
                                       pass->bytes_read,
                                       pass->bytes_written});
                                }};
    uint64_t inner = 0;
    EXPECT_EQ(Api().predict(domain_.self, island.c(), &from_, &from_, &sink, &inner), SLUICE_OK);
    return steps;
  }
  std::vector<Measured> Measure() {
    std::vector<Measured> steps;
    const sluice_pass_time_sink sink{
        &steps, [](void* self, const sluice_pass_time* time) {
          static_cast<std::vector<Measured>*>(self)->push_back(
              {{time->label, {time->nodes, time->nodes + time->node_count}}, *time});
        }};
    EXPECT_EQ(Api().measured(domain_.self, island_, &sink), SLUICE_OK);
    return steps;
  }
  std::vector<Measured> MeasureCopies() {
    std::vector<Measured> steps = Measure();
    std::erase_if(steps, [](const Measured& step) { return !IsCopy(step.row); });
    return steps;
  }
  /// Each of so many samples, none of which took longer than all of them may.
  static void ExpectTimes(const std::vector<Measured>& copies, uint64_t frames, int64_t limit_ns) {
    for (const auto& [row, time] : copies) {
      SCOPED_TRACE(row.label);
      EXPECT_EQ(time.frames, frames);
      EXPECT_GT(time.min_ns, 0U);
      EXPECT_LE(time.min_ns, time.max_ns);
      EXPECT_LE(time.min_ns * frames, time.total_ns);
      EXPECT_GE(time.max_ns * frames, time.total_ns);
      EXPECT_LT(time.total_ns, static_cast<uint64_t>(limit_ns));
    }
  }
  int32_t StatusOf(const sluice_fence& fence) {
    return host_.host().timelines()->status(fence.timeline, fence.point);
  }

  struct Firing {
    FakeFrame* in;
    FakeFrame* out;
    sluice_fence fences[2];
    int32_t code;
  };
  Firing Fire(const Picture& picture) {
    Firing firing{Lease(*in_pool_), Lease(*out_pool_), {}, 0};
    Write(firing.in, picture);
    firing.code = Submit(firing.in, firing.out, firing.fences);
    return firing;
  }
  void Finish(const Firing& firing, const Picture& want) {
    EXPECT_EQ(firing.code, SLUICE_OK);
    Picture got(want.format());
    Read(firing.out, got);
    ExpectWithin(0, got, want);
    End(firing);
  }
  void End(const Firing& firing) {
    Return(firing.in);
    Return(firing.out);
  }
  void Forget(FakePool& pool) {
    FakeFrame* frame = Lease(pool);
    const sluice_buffer_id id = frame->buffer->id;
    Return(frame);
    domain_.forget_pool(domain_.self, id.pool, id.epoch);
  }
};

TEST_F(TransferTest, TheLayerMakesACardWithAQueueThatOnlyCopies) {
  OpenCard();
  if (domain_.self == nullptr) return;
  EXPECT_TRUE(domain().device().has_link());
  EXPECT_TRUE(domain().device().validating());
  ASSERT_NE(domain().device().transfer().queue, nullptr);
  EXPECT_NE(domain().device().transfer().queue, domain().device().queue());
  EXPECT_NE(domain().device().transfer().queue, domain().device().transfer().second);
  EXPECT_NE(domain().device().transfer().family, domain().device().queue_family());
}

TEST_F(TransferTest, TheValidationLayerSeesThatItOnlyCopies) {
  const CardEnvironment environment({});
  DeviceOptions options = DeviceOptionsFromEnvironment();
  options.transfer_queue = true;
  const auto device = Device::Create(options);
  if (!device) GTEST_SKIP() << device.error().message;
  const VolkDeviceTable& vk = (*device)->vk();
  const VkCommandPoolCreateInfo create{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO, nullptr, 0,
                                       (*device)->transfer().family};
  VkCommandPool pool = VK_NULL_HANDLE;
  ASSERT_EQ(vk.vkCreateCommandPool((*device)->handle(), &create, nullptr, &pool), VK_SUCCESS);
  const VkCommandBufferAllocateInfo allocate{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                             nullptr, pool, VK_COMMAND_BUFFER_LEVEL_PRIMARY, 1};
  VkCommandBuffer commands = VK_NULL_HANDLE;
  ASSERT_EQ(vk.vkAllocateCommandBuffers((*device)->handle(), &allocate, &commands), VK_SUCCESS);
  const VkCommandBufferBeginInfo begin{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  ASSERT_EQ(vk.vkBeginCommandBuffer(commands, &begin), VK_SUCCESS);
  EXPECT_EQ((*device)->validation_messages(), 0U);
  VkMemoryBarrier2 barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER_2};
  barrier.srcStageMask = barrier.dstStageMask = VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT;
  const VkDependencyInfo info{VK_STRUCTURE_TYPE_DEPENDENCY_INFO, nullptr, 0, 1, &barrier};
  vk.vkCmdPipelineBarrier2(commands, &info);
  EXPECT_GT((*device)->validation_messages(), 0U);
  vk.vkDestroyCommandPool((*device)->handle(), pool, nullptr);
}

/// How a chain's frames cross.
struct Way {
  std::string name;
  Chain chain;
  sluice_format format;
  bool staging;
  uint64_t transfers;  ///< of one firing
};
void PrintTo(const Way& way, std::ostream* out) { *out << way.name; }

class WaysTest : public TransferTest, public ::testing::WithParamInterface<Way> {};

TEST_P(WaysTest, APictureIsThatOfKernelsOverTheLinkAndOfSoftwareVulkan) {
  const Way& way = GetParam();
  const Picture picture = Numbered(way.format, 3);
  OpenDomain();
  if (domain_.self == nullptr) return;
  EXPECT_EQ(domain().transfers(), 0U);
  const Picture software = RunAlone(way.chain, picture);
  OpenCard({.staging = way.staging, .transfer = false});
  const Picture direct = RunAlone(way.chain, picture);
  OpenCard({.staging = way.staging});
  ASSERT_EQ(BuildChain(way.chain, way.format), SLUICE_OK);
  const Picture crossed = RunOnce(picture);
  EXPECT_EQ(domain().transfers(), way.transfers);
  ExpectWithin(0, crossed, software);
  // A wide stage reads half floats there, which a kernel has made of the frame.
  ExpectWithin(1, crossed, direct);
  ASSERT_EQ(nodes_.front()->copies.size(), way.staging ? 1U + (nodes_.size() == 1 ? 1 : 0) : 0U);
  if (way.staging) {
    EXPECT_EQ(nodes_.front()->copies[0].port, "in");
    EXPECT_NE(nodes_.front()->copies[0].reason.find("staging"), std::string::npos);
    EXPECT_EQ(nodes_.back()->copies.back().port, "out");
  }
}

INSTANTIATE_TEST_SUITE_P(, WaysTest,
                         ::testing::Values(Way{"WideStageImported", Blur(), kRgb, false, 1},
                                           Way{"WideStageImportedSubsampled", Blur(), kYuv, false,
                                               1},
                                           Way{"WideStageStaged", Blur(), kRgb, true, 2},
                                           Way{"OnePassImported", Negative(), kRgb, false, 0},
                                           Way{"OnePassStaged", Negative(), kYuv, true, 2},
                                           Way{"PassesImported", Passes(), kYuv, false, 0},
                                           Way{"PassesStaged", Passes(), kYuv, true, 2}),
                         [](const auto& instance) { return instance.param.name; });

struct Crossing {
  const char* name;
  Card card;
};
void PrintTo(const Crossing& crossing, std::ostream* out) { *out << crossing.name; }

class InFlightTest : public TransferTest, public ::testing::WithParamInterface<Crossing> {};

TEST_P(InFlightTest, MoreFramesThanSlotsAreUnderWayAndEachIsRight) {
  constexpr int kFrames = 8;
  OpenCard(GetParam().card);
  if (domain_.self == nullptr) return;
  ASSERT_EQ(BuildChain(Blur(), kRgb, kFrames), SLUICE_OK);
  std::vector<Picture> pictures, wants;
  for (int i = 0; i < kFrames; ++i) {
    pictures.push_back(Numbered(kRgb, i));
    wants.push_back(RunOnce(pictures.back()));
  }
  const int64_t began = sdk_now_ns();
  for (int round = 0; round < 20; ++round) {
    std::vector<Firing> firings;
    for (const Picture& picture : pictures) firings.push_back(Fire(picture));
    ASSERT_EQ(WaitIdle(), SLUICE_OK);
    for (int i = 0; i < kFrames; ++i) Finish(firings[i], wants[i]);
  }
  const std::vector<Measured> copies = MeasureCopies();
  EXPECT_EQ(copies.size(), GetParam().card.staging ? 2U : 1U);
  ExpectTimes(copies, 1 + 20 * kFrames / CopyTimes::kTimedOneIn, sdk_now_ns() - began);
}

TEST_P(InFlightTest, PoolsAreForgottenWhileTheirFramesAreUnderWay) {
  OpenCard(GetParam().card);
  if (domain_.self == nullptr) return;
  ASSERT_EQ(BuildChain(Blur(), kRgb, 3), SLUICE_OK);
  const Picture a = Numbered(kRgb, 1), b = Numbered(kRgb, 2);
  const Picture want_a = RunOnce(a), want_b = RunOnce(b);
  for (int round = 0; round < 10; ++round) {
    const Firing first = Fire(a);
    const Firing second = Fire(b);
    Forget(*in_pool_);
    Forget(*out_pool_);
    const Firing third = Fire(a);
    ASSERT_EQ(WaitIdle(), SLUICE_OK);
    Finish(first, want_a);
    Finish(second, want_b);
    Finish(third, want_a);
  }
  Forget(*in_pool_);
  Forget(*out_pool_);
  EXPECT_EQ(domain().imports(), 0U);
}

TEST_P(InFlightTest, AnIslandIsStoppedInMidStreamAndAnotherGoesOn) {
  OpenCard(GetParam().card);
  if (domain_.self == nullptr) return;
  ASSERT_EQ(BuildChain(Blur(), kRgb, 4), SLUICE_OK);
  const Picture picture = Numbered(kRgb, 5);
  const Picture want = RunOnce(picture);
  std::vector<Firing> firings;
  for (int i = 0; i < 4; ++i) firings.push_back(Fire(picture));
  ASSERT_EQ(WaitIdle(), SLUICE_OK);
  domain_.destroy_island(domain_.self, island_);
  island_ = nullptr;
  for (const Firing& firing : firings) Finish(firing, want);
  ASSERT_EQ(Build(4), SLUICE_OK);
  for (int i = 0; i < 4; ++i) ExpectWithin(0, RunOnce(picture), want);
}

INSTANTIATE_TEST_SUITE_P(
    , InFlightTest,
    ::testing::Values(Crossing{"Imported", {}}, Crossing{"Staged", {.staging = true}},
                      Crossing{"StagedByOneQueue", {.staging = true, .queues = 1}}),
    [](const auto& instance) { return std::string(instance.param.name); });

TEST_F(TransferTest, InTheSteadyStateNothingIsMade) {
  OpenCard();
  if (domain_.self == nullptr) return;
  ASSERT_EQ(BuildChain(Blur(), kRgb, 4), SLUICE_OK);
  const Picture picture = Numbered(kRgb, 1);
  const Picture want = RunOnce(picture);
  const auto round = [&] {
    std::vector<Firing> firings;
    for (int i = 0; i < 4; ++i) firings.push_back(Fire(picture));
    ASSERT_EQ(WaitIdle(), SLUICE_OK);
    for (const Firing& firing : firings) Finish(firing, want);
  };
  // Until each slot has met each output.
  for (int i = 0; i < 12; ++i) round();
  const DeviceCounters& counters = domain().device().counters();
  const uint64_t allocated = counters.allocations.load(), recorded = counters.recordings.load(),
                 pipelines = counters.pipelines.load(), transfers = domain().transfers();
  for (int i = 0; i < 30; ++i) round();
  EXPECT_EQ(counters.allocations.load(), allocated);
  EXPECT_EQ(counters.recordings.load(), recorded);
  EXPECT_EQ(counters.pipelines.load(), pipelines);
  EXPECT_EQ(domain().transfers(), transfers + 120);
}

TEST_F(TransferTest, StagedFramesTakeMemoryForWhatIsInFlightAndNoMore) {
  OpenCard({.staging = true});
  if (domain_.self == nullptr) return;
  ASSERT_EQ(BuildChain(Blur(), kRgb, 4), SLUICE_OK);
  const Picture picture = Numbered(kRgb, 1);
  const uint64_t before = domain().device().counters().allocations.load();
  for (int i = 0; i < 40; ++i) {
    std::vector<Firing> firings;
    for (int k = 0; k < 4; ++k) firings.push_back(Fire(picture));
    ASSERT_EQ(WaitIdle(), SLUICE_OK);
    for (const Firing& firing : firings) End(firing);
  }
  // Staging for four firings, and the ring's, of which the inputs were there.
  EXPECT_LE(domain().device().counters().allocations.load(), before + 8 + TransferRing::kDepth);
}

TEST_F(TransferTest, WhatAnIslandWritesIsCopiedForTheNextWithoutAWait) {
  OpenCard();
  if (domain_.self == nullptr) return;
  ASSERT_EQ(BuildChain(Blur(), kRgb), SLUICE_OK);
  const Picture picture = Numbered(kRgb, 7);
  const Picture want = RunOnce(RunOnce(picture));
  for (int i = 0; i < 20; ++i) {
    ExpectWithin(0, RunThereAndBack(picture), want);
  }
}

// ---- the plan and the report

struct Report {
  const char* name;
  Chain chain;
  Card card;
  std::vector<Row> copies;
};
void PrintTo(const Report& report, std::ostream* out) { *out << report.name; }

class ReportTest : public TransferTest, public ::testing::WithParamInterface<Report> {};

TEST_P(ReportTest, OneFiringOfSixteenIsTimedAndNoneIsLost) {
  OpenCard(GetParam().card);
  if (domain_.self == nullptr) return;
  ASSERT_EQ(BuildChain(GetParam().chain, kRgb), SLUICE_OK);
  EXPECT_TRUE(MeasureCopies().empty());
  const Picture picture = Numbered(kRgb, 4);
  const int64_t began = sdk_now_ns();
  for (uint64_t firings = 1; firings <= 2 * CopyTimes::kTimedOneIn + 1; ++firings) {
    (void)RunOnce(picture);
    if (firings % 8 != 1) continue;
    const std::vector<Measured> copies = MeasureCopies();
    EXPECT_EQ(RowsOf(copies), GetParam().copies);
    ExpectTimes(copies, 1 + (firings - 1) / CopyTimes::kTimedOneIn, sdk_now_ns() - began);
  }
}

const Row kLastCopyOut{"copy out: node.out", {3}};
INSTANTIATE_TEST_SUITE_P(
    , ReportTest,
    ::testing::Values(
        Report{"Imported", Blur(), {}, {kCopyIn}},
        Report{"Staged", Blur(), {.staging = true}, {kCopyIn, kCopyOut}},
        Report{"StagedByOneQueue", Blur(), {.staging = true, .queues = 1}, {kCopyIn, kCopyOut}},
        Report{"StagedChain", Passes(), {.staging = true}, {kCopyIn, kLastCopyOut}},
        Report{"LeftWhereItLies", Negative(), {}, {}},
        Report{"WithoutTheQueue", Blur(), {.transfer = false}, {}},
        Report{"WithoutTimestamps", Blur(), {.staging = true, .timestamps = 0}, {}}),
    [](const auto& instance) { return std::string(instance.param.name); });

TEST_F(TransferTest, OfATimestampOnlyTheBitsCountThatTheFamilyHas) {
  OpenCard({.staging = true, .timestamps = 8});
  if (domain_.self == nullptr) return;
  ASSERT_EQ(BuildChain(Blur(), kRgb), SLUICE_OK);
  for (int i = 0; i < 8 * static_cast<int>(CopyTimes::kTimedOneIn); ++i)
    (void)RunOnce(Numbered(kRgb, i % 8));
  const std::vector<Measured> copies = MeasureCopies();
  EXPECT_EQ(RowsOf(copies), (std::vector<Row>{kCopyIn, kCopyOut}));
  for (const Measured& copy : copies) {
    EXPECT_EQ(copy.time.frames, 8U);
    EXPECT_LE(static_cast<double>(copy.time.max_ns),
              255 * domain().device().transfer().timestamp_ns);
  }
}

/// A transfer queue alone, whose first copy can be held back.
TEST_F(TransferTest, ACopyThatIsNotOverWhenItIsTheNextOnesTurnKeepsItsTime) {
  const CardEnvironment environment({});
  DeviceOptions options = DeviceOptionsFromEnvironment();
  options.transfer_queue = true;
  const auto device = Device::Create(options);
  if (!device) GTEST_SKIP() << device.error().message;
  auto queue = TransferQueue::Create(**device, (*device)->transfer().queue);
  ASSERT_TRUE(queue);
  const auto from = Memory::AllocateForTransfers(**device, 4096);
  const auto to = Memory::AllocateForTransfers(**device, 4096);
  ASSERT_TRUE(from && to);
  TimelineSemaphore gate(**device);
  ASSERT_TRUE(gate.Create());
  CopyTimes times(**device);
  ASSERT_TRUE(times.Create(2));
  const auto submit = [&](uint32_t border, const TimelinePoint& after) {
    const TransferQueue::Copy copy{from->buffer(), to->buffer(), 4096, border};
    EXPECT_TRUE(times.Submit(**queue, {.copies = {&copy, 1}, .after = after}));
  };
  using Frames = std::vector<uint64_t>;
  const auto frames = [&] {
    times.Collect(**queue);
    return Frames{times.times()[0].frames, times.times()[1].frames};
  };
  submit(0, gate.At(1));
  EXPECT_EQ(frames(), (Frames{0, 0}));
  for (uint64_t i = 0; i < CopyTimes::kTimedOneIn; ++i)
    submit(1, (*queue)->At((*queue)->submitted()));
  const VkSemaphoreSignalInfo open{VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO, nullptr, gate.handle(),
                                   1};
  ASSERT_EQ((*device)->vk().vkSignalSemaphore((*device)->handle(), &open), VK_SUCCESS);
  const auto finish = [&] {
    return (*queue)->WaitFor((*queue)->submitted(),
                             std::chrono::steady_clock::now() + std::chrono::seconds(20));
  };
  ASSERT_TRUE(finish());
  EXPECT_EQ(frames(), (Frames{1, 0}));
  for (uint64_t i = 0; i < CopyTimes::kTimedOneIn; ++i)
    submit(1, (*queue)->At((*queue)->submitted()));
  ASSERT_TRUE(finish());
  EXPECT_EQ(frames(), (Frames{1, 1}));
  EXPECT_EQ((*device)->validation_messages(), 0U);
  // As the domain's end does.
  (void)(*device)->vk().vkDeviceWaitIdle((*device)->handle());
}

TEST_F(TransferTest, ThePlanHasTheCopyWithItsBytesInFrontOfThePassesAndTheReportHasTheSame) {
  OpenCard();
  if (domain_.self == nullptr) return;
  ASSERT_EQ(BuildChain(Blur(), kRgb), SLUICE_OK);
  const std::vector<Predicted> plan = Predict();
  ASSERT_GE(plan.size(), 2U);
  EXPECT_EQ(plan[0].row, kCopyIn);
  EXPECT_EQ(plan[0].apart, "");
  EXPECT_EQ(plan[0].bytes_read, 96U * 40 * 4);
  EXPECT_EQ(plan[0].bytes_written, 96U * 40 * 4);
  EXPECT_EQ(plan[1].apart, "the transfer queue brings host memory over first");
  for (size_t i = 1; i < plan.size(); ++i) EXPECT_FALSE(IsCopy(plan[i].row));
  (void)RunOnce(Numbered(kRgb, 1));
  EXPECT_EQ(RowsOf(Measure()), RowsOf(plan));
}

TEST_F(TransferTest, ThePlanHasNoCopyOfWhatIsLeftWhereItLies) {
  for (const bool transfer : {true, false}) {
    OpenCard({.transfer = transfer});
    if (domain_.self == nullptr) return;
    ASSERT_EQ(BuildChain(transfer ? Negative() : Blur(), kRgb), SLUICE_OK);
    for (const Predicted& step : Predict()) EXPECT_FALSE(IsCopy(step.row)) << step.row.label;
    Close();
  }
}

/// Of a staged firing, the 1st submission copies in, the 2nd has the kernels, the 3rd copies out.
class RefusalTest : public TransferTest {
 protected:
  /// A firing that is well, one whose `submission` the device refuses, and five that are well
  /// again.
  void Refuse(int submission, const std::function<void(const Firing&)>& check) {
    constexpr int kOfAFiring = 3;
    OpenCard({"vkQueueSubmit2@" + std::to_string(kOfAFiring + submission) +
                  "=VK_ERROR_OUT_OF_DEVICE_MEMORY",
              true});
    if (domain_.self == nullptr) return;
    ASSERT_EQ(BuildChain(Blur(), kRgb), SLUICE_OK);
    const Picture picture = Numbered(kRgb, 2);
    const Picture want = RunOnce(picture);
    check(Fire(Numbered(kRgb, 9)));
    for (int i = 0; i < 5; ++i) ExpectWithin(0, RunOnce(picture), want);
  }
};

TEST_F(RefusalTest, ACopyInThatIsRefusedFailsTheFiringAndTheNextIsWell) {
  Refuse(1, [&](const Firing& refused) {
    EXPECT_EQ(refused.code, SLUICE_E_RESOURCE_EXHAUSTED);
    EXPECT_NE(nodes_.front()->error.find("transfer"), std::string::npos) << nodes_.front()->error;
    End(refused);
  });
}

TEST_F(RefusalTest, KernelsThatAreRefusedBehindTheirCopyFailTheFiringAndTheNextIsWell) {
  Refuse(2, [&](const Firing& refused) {
    EXPECT_EQ(refused.code, SLUICE_E_RESOURCE_EXHAUSTED);
    End(refused);
    // It waits for nothing any more.
    Forget(*in_pool_);
    Forget(*out_pool_);
    EXPECT_EQ(domain().imports(), 0U);
  });
}

TEST_F(RefusalTest, ACopyOutThatIsRefusedFailsTheFrameAndTheNextIsWell) {
  Refuse(3, [&](const Firing& failed) {
    EXPECT_EQ(failed.code, SLUICE_OK);
    ASSERT_EQ(WaitIdle(), SLUICE_OK);
    EXPECT_EQ(StatusOf(failed.fences[1]), SLUICE_E_RESOURCE_EXHAUSTED);
    End(failed);
  });
}

TEST_F(TransferTest, ACopyThatIsRefusedWhenItIsItsTurnHasNoTimeAndTheNextHas) {
  constexpr int kOfAFiring = 3;
  constexpr int kTimed = static_cast<int>(CopyTimes::kTimedOneIn);
  OpenCard({"vkQueueSubmit2@" + std::to_string(kOfAFiring * kTimed + 1) +
                "=VK_ERROR_OUT_OF_DEVICE_MEMORY",
            true});
  if (domain_.self == nullptr) return;
  ASSERT_EQ(BuildChain(Blur(), kRgb), SLUICE_OK);
  const Picture picture = Numbered(kRgb, 2);
  const int64_t began = sdk_now_ns();
  for (int i = 0; i < kTimed; ++i) (void)RunOnce(picture);
  const Firing refused = Fire(picture);
  EXPECT_EQ(refused.code, SLUICE_E_RESOURCE_EXHAUSTED);
  End(refused);
  ExpectTimes(MeasureCopies(), 1, sdk_now_ns() - began);
  for (int i = 0; i < kTimed; ++i) (void)RunOnce(picture);
  ASSERT_EQ(MeasureCopies().size(), 2U);
  ExpectTimes(MeasureCopies(), 2, sdk_now_ns() - began);
}

TEST_F(TransferTest, WithoutQueriesFramesCrossAndAreNotTimed) {
  // Those of the passes are the 3rd.
  for (const char* call : {"1", "2"}) {
    OpenCard({std::string("vkCreateQueryPool@") + call + "=VK_ERROR_OUT_OF_DEVICE_MEMORY", true});
    if (domain_.self == nullptr) return;
    ASSERT_EQ(BuildChain(Blur(), kRgb), SLUICE_OK);
    (void)RunOnce(Numbered(kRgb, 1));
    EXPECT_EQ(domain().transfers(), 2U);
    EXPECT_EQ(RowsOf(MeasureCopies()),
              call[0] == '1' ? std::vector<Row>{} : std::vector<Row>{kCopyIn});
    Close();
  }
}

TEST_F(TransferTest, WithoutMemoryForTheRingFramesGoOverTheLink) {
  OpenCard({.transfer = false});
  if (domain_.self == nullptr) return;
  const uint64_t before = domain().device().counters().allocations.load();
  const Picture picture = Numbered(kRgb, 5);
  const Picture want = RunAlone(Blur(), picture);
  // The ring's first.
  OpenCard({"vkAllocateMemory@" + std::to_string(before + 1) + "=VK_ERROR_OUT_OF_DEVICE_MEMORY"});
  ASSERT_EQ(BuildChain(Blur(), kRgb), SLUICE_OK);
  ExpectWithin(0, RunOnce(picture), want);
  EXPECT_EQ(domain().transfers(), 0U);
}

class LossTest : public TransferTest, public ::testing::WithParamInterface<int> {};

TEST_P(LossTest, AFrameIsRightOrFailsAndNothingWaitsForALostDevice) {
  const int64_t opened = sdk_now_ns();
  OpenCard({"vkQueueSubmit2@" + std::to_string(GetParam()) + "=VK_ERROR_DEVICE_LOST", true});
  if (domain_.self == nullptr) return;
  ASSERT_EQ(BuildChain(Blur(), kRgb, 8), SLUICE_OK);
  const Picture picture = Numbered(kRgb, 2);
  const Picture want = RunOnce(picture);
  std::vector<Firing> firings;
  for (int i = 0; i < 8; ++i) firings.push_back(Fire(picture));
  const int64_t began = sdk_now_ns();
  (void)WaitIdle();
  EXPECT_LT(sdk_now_ns() - began, 1'500'000'000);
  size_t failed = 0;
  for (const Firing& firing : firings) {
    if (firing.code == SLUICE_OK && StatusOf(firing.fences[1]) == 1) {
      Finish(firing, want);
      continue;
    }
    ++failed;
    EXPECT_TRUE(firing.code < 0 || StatusOf(firing.fences[1]) == SLUICE_E_DEVICE_LOST);
    End(firing);
  }
  EXPECT_GT(failed, 0U);
  for (const auto& [row, time] : MeasureCopies())
    EXPECT_LT(time.total_ns, static_cast<uint64_t>(sdk_now_ns() - opened)) << row.label;
}

INSTANTIATE_TEST_SUITE_P(InACopyInKernelsOrACopyOut, LossTest, ::testing::Range(10, 16));

// ---- what is brought over, without a device

Stage MakeStage(const char* label, bool wide) {
  Stage stage;
  stage.label = label;
  stage.kind = wide ? Stage::Kind::kSample : Stage::Kind::kPointwise;
  stage.wide = wide;
  return stage;
}

Network OneNode(Stage stage, const sluice_format& format) {
  Shape shape = Picture(format).shape();
  shape.far = true;
  Network network;
  network.nodes = {{"n", {std::move(stage)}, {{Network::Source::Kind::kBorder, 0}}}};
  network.inputs = {shape};
  network.outputs = {shape};
  network.output_nodes = {0};
  return network;
}

TEST(BringOverTest, WhatAWideStageReadsIsAndWhatOnePassReadsIsNot) {
  for (const sluice_format& format : {kRgb, kYuv}) {
    Network wide = OneNode(MakeStage("blur", true), format);
    EXPECT_EQ(BringOver({false}, {}, wide), std::vector<bool>{false});
    EXPECT_TRUE(wide.inputs[0].far);
    EXPECT_EQ(BringOver({true}, {}, wide), std::vector<bool>{true});
    EXPECT_FALSE(wide.inputs[0].far);
    Network pointwise = OneNode(MakeStage("a", false), format);
    EXPECT_EQ(BringOver({true}, {}, pointwise), std::vector<bool>{false});
  }
}

TEST(BringOverTest, WhatTwoPassesReadIs) {
  Network network = OneNode(MakeStage("a", false), kRgb);
  network.nodes.push_back({"m", {MakeStage("b", false)}, {{Network::Source::Kind::kBorder, 0}}});
  network.outputs.push_back(network.outputs[0]);
  network.output_nodes = {0, 1};
  EXPECT_EQ(BringOver({true}, {}, network), std::vector<bool>{true});
}

TEST(BringOverTest, ThePlanSaysSoAndHasNoPassForIt) {
  Network network = OneNode(MakeStage("blur", true), kRgb);
  const std::vector<bool> brought = BringOver({true}, {}, network);
  PassPlan plan = PlanPasses(network, {}).value();
  ASSERT_EQ(plan.passes.size(), 1U);
  const uint64_t inner = plan.inner_bytes;
  ExplainBrought(brought, network, plan);
  EXPECT_EQ(plan.passes[0].apart, "the transfer queue brings host memory over first");
  EXPECT_EQ(plan.inner_bytes, inner + TransferRing::kDepth * network.inputs[0].bytes);
}

}  // namespace
}  // namespace sluice::vulkan::testing
