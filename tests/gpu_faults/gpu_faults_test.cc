// What the real binary does when the GPU fails it, when there are several, and when there is none.
// The faults are made by a Vulkan layer below the real loader (rules.h), on software Vulkan.

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/cli/command.h"

namespace sluice::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

constexpr int kFrames = 100;

class GpuFaultTest : public CommandTest {
 protected:
  /// A source, a look and checksums of each frame that arrives.
  std::string Chain(const std::string& look = "", const std::string& settings = "") {
    return Write("graph.yaml", "sluice: 1\nname: chain\n" + settings + R"(
nodes:
  source: { type: core.testsrc, size: 64x48, pattern: noise, frames: )" +
                                   std::to_string(kFrames) + R"( }
  look: { type: vulkan.look, look: noir)" +
                                   look + R"( }
  sums: { type: core.checksum, path: sums.txt }
edges: [ source -> look -> sums ]
)");
  }

  Invocation With(std::vector<std::string> arguments, const std::string& faults) const {
    Invocation invocation{.arguments = std::move(arguments)};
    invocation.environment = {
        "VK_LAYER_PATH=" +
            fs::path(Runfile("tests/gpu_faults/VkLayer_sluice_faults.json")).parent_path().string(),
        "VK_INSTANCE_LAYERS=VK_LAYER_SLUICE_faults", "SLUICE_VULKAN_FAULTS=" + faults};
    return invocation;
  }
  Outcome RunWith(const std::string& graph, const std::string& faults) {
    return Sluice(With({"run", "--json", "--force", graph}, faults));
  }

  /// Two devices that are both software Vulkan: two drivers by name, of one library.
  std::string TwoDrivers() const {
    std::string list;
    for (const char* name : {"first.json", "second.json"}) {
      fs::copy_file("/usr/share/vulkan/icd.d/lvp_icd.json", folder_ + "/" + name,
                    fs::copy_options::overwrite_existing);
      list += (list.empty() ? "" : ":") + folder_ + "/" + name;
    }
    return "VK_ICD_FILENAMES=" + list;
  }

  /// The checksum of each frame by its timestamp.
  std::map<int64_t, std::string> Sums() const {
    std::map<int64_t, std::string> sums;
    std::istringstream text(Read("sums.txt"));
    int64_t pts = 0;
    std::string sequence, sum;
    while (text >> sequence >> pts >> sum) sums[pts] = sum;
    return sums;
  }
  /// Those of a run without a fault.
  std::map<int64_t, std::string> WantedSums() {
    EXPECT_EQ(RunWith(Chain(), "").exit_code, 0);
    std::map<int64_t, std::string> sums = Sums();
    EXPECT_EQ(sums.size(), static_cast<size_t>(kFrames));
    return sums;
  }

  static void ExpectAllHome(const Json& report) {
    for (const Json& pool : report["pools"]) EXPECT_EQ(pool["outstanding"], 0) << pool;
  }
};

Json Parse(const Outcome& outcome) {
  Json json = Json::parse(outcome.out, nullptr, false);
  EXPECT_TRUE(json.is_object()) << outcome.out << outcome.err;
  return json.is_object() ? json : Json::object();
}

uint64_t FramesIn(const Json& report, const std::string& node) {
  for (const Json& entry : report["nodes"]) {
    if (entry["name"] == node) return entry["frames_in"];
  }
  return 0;
}

// ---- the layer itself

TEST_F(GpuFaultTest, TheLayerIsBetweenAndWithoutAnOrderItChangesNothing) {
  ASSERT_EQ(Sluice({"run", "--force", Chain()}).exit_code, 0);
  const auto bare = Sums();
  EXPECT_EQ(bare.size(), static_cast<size_t>(kFrames));
  EXPECT_EQ(WantedSums(), bare);
  const Outcome doctor = Sluice(With({"doctor"}, "gpu0.name=A Faulty GPU"));
  EXPECT_THAT(doctor.out, HasSubstr("A Faulty GPU"));
}

// ---- lost

struct Loss {
  const char* name;
  const char* faults;
};
void PrintTo(const Loss& loss, std::ostream* out) { *out << loss.name; }

class DeviceLostTest : public GpuFaultTest, public ::testing::WithParamInterface<Loss> {};

TEST_P(DeviceLostTest, EndsTheRunWithAnErrorThatNamesDeviceAndNode) {
  const Outcome outcome = RunWith(Chain(), GetParam().faults);
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("vulkan faults: "));  // it happened
  EXPECT_THAT(outcome.err, HasSubstr("llvmpipe"));
  const Json report = Parse(outcome);
  EXPECT_EQ(report["result"], "failed");
  ASSERT_FALSE(report["errors"].empty());
  EXPECT_THAT(std::string(report["errors"][0]),
              AllOf(HasSubstr("node 'look'"), HasSubstr("llvmpipe"),
                    AnyOf(HasSubstr("lost"), HasSubstr("VK_ERROR_DEVICE_LOST"))));
  EXPECT_EQ(report["errors"].size(), 1U) << report["errors"];
  // No deadline was needed to find out.
  EXPECT_LT(double(report["seconds"]), 8.0);
  EXPECT_LT(FramesIn(report, "sums"), static_cast<uint64_t>(kFrames));
  ExpectAllHome(report);
}

TEST_P(DeviceLostTest, WithRestartTheGraphGoesOnWithADeviceMadeAnew) {
  const auto wanted = WantedSums();
  const Outcome outcome = RunWith(Chain(", on_error: restart"), GetParam().faults);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("vulkan faults: "));
  const Json report = Parse(outcome);
  EXPECT_EQ(report["restarts"], 1) << outcome.err;
  EXPECT_EQ(report["epochs"], 2);
  ExpectAllHome(report);
  // What was under way is lost, and nothing else; what came is right, also afterwards.
  const auto got = Sums();
  EXPECT_EQ(got.size(), FramesIn(report, "sums"));
  EXPECT_GT(got.size(), static_cast<size_t>(kFrames / 2));
  EXPECT_LT(got.size(), static_cast<size_t>(kFrames));
  for (const auto& [pts, sum] : got) EXPECT_EQ(sum, wanted.at(pts)) << pts;
  EXPECT_TRUE(got.contains(wanted.rbegin()->first)) << "the last frame came after the restart";
}

INSTANTIATE_TEST_SUITE_P(
    All, DeviceLostTest,
    ::testing::Values(Loss{"InASubmission", "vkQueueSubmit2@30=VK_ERROR_DEVICE_LOST"},
                      Loss{"InTheWaiter", "vkWaitSemaphores@20=VK_ERROR_DEVICE_LOST"},
                      Loss{"InACounter", "vkGetSemaphoreCounterValue@40=VK_ERROR_DEVICE_LOST"},
                      Loss{"ByTheDriversReset", "vkQueueSubmit2@20=HANG:300"}),
    [](const auto& instance) { return std::string(instance.param.name); });

TEST_F(GpuFaultTest, ADeviceThatComesBackLateIsWaitedFor) {
  const Outcome outcome = RunWith(
      Chain(", on_error: { action: restart, attempts: 5, backoff: 20ms }"),
      "vkQueueSubmit2@30=VK_ERROR_DEVICE_LOST;vkCreateDevice@2=VK_ERROR_INITIALIZATION_FAILED;"
      "vkCreateDevice@3=VK_ERROR_DEVICE_LOST");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(Parse(outcome)["restarts"], 3) << outcome.err;
}

TEST_F(GpuFaultTest, ADeviceThatDoesNotComeBackEndsTheRunAfterTheAttempts) {
  const Outcome outcome = RunWith(
      Chain(", on_error: { action: restart, attempts: 3, backoff: 20ms }"),
      "vkQueueSubmit2@30=VK_ERROR_DEVICE_LOST;vkCreateDevice@2+=VK_ERROR_INITIALIZATION_FAILED");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("node 'look'"), HasSubstr("llvmpipe"),
                                 HasSubstr("is lost"), HasSubstr("VK_ERROR_INITIALIZATION_FAILED"),
                                 HasSubstr("given up after 3 restarts")));
  ExpectAllHome(Parse(outcome));
}

TEST_F(GpuFaultTest, ADeviceThatIsLostAgainAndAgainIsMadeAnewEachTime) {
  const auto wanted = WantedSums();
  // Each time far enough behind the last for the attempts to be counted anew.
  const Outcome outcome =
      RunWith(Chain(", on_error: { action: restart, attempts: 1, backoff: 20ms }"),
              "vkQueueSubmit2@20=VK_ERROR_DEVICE_LOST;vkQueueSubmit2@40=VK_ERROR_DEVICE_LOST;"
              "vkQueueSubmit2@60=VK_ERROR_DEVICE_LOST");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json report = Parse(outcome);
  EXPECT_EQ(report["restarts"], 3) << outcome.err;
  ExpectAllHome(report);
  for (const auto& [pts, sum] : Sums()) EXPECT_EQ(sum, wanted.at(pts)) << pts;
}

TEST_F(GpuFaultTest, ADeviceThatIsLostBeforeTheFirstFrameIsAnErrorOfTheStart) {
  const Outcome outcome = RunWith(Chain(), "vkQueueSubmit2@1=VK_ERROR_DEVICE_LOST");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("node 'look'"), HasSubstr("llvmpipe"),
                                 HasSubstr("VK_ERROR_DEVICE_LOST")));
}

// ---- a shader that does not end, and a driver that does nothing about it

TEST_F(GpuFaultTest, ASubmissionThatNeverEndsHasADeadlineAndTheDeviceIsNamed) {
  const auto begun = std::chrono::steady_clock::now();
  const Outcome outcome = RunWith(Chain(", on_error: restart"), "vkQueueSubmit2@20=HANG");
  const auto took = std::chrono::steady_clock::now() - begun;
  EXPECT_EQ(outcome.exit_code, 1);
  const Json report = Parse(outcome);
  ASSERT_FALSE(report["errors"].empty());
  EXPECT_THAT(std::string(report["errors"][0]),
              AllOf(HasSubstr("'sums'"), HasSubstr("llvmpipe"), HasSubstr("has not signalled")));
  EXPECT_GE(took, std::chrono::seconds(10));
  EXPECT_LT(took, std::chrono::seconds(60));
}

// ---- out of memory

TEST_F(GpuFaultTest, NoMemoryForAnIslandSaysHowMuchAndForWhat) {
  const Outcome outcome = RunWith(Chain(), "vkAllocateMemory@1+=VK_ERROR_OUT_OF_DEVICE_MEMORY");
  EXPECT_EQ(outcome.exit_code, 1);
  const Json report = Parse(outcome);
  ASSERT_FALSE(report["errors"].empty());
  EXPECT_THAT(std::string(report["errors"][0]),
              AllOf(HasSubstr("node 'look'"), HasSubstr("llvmpipe"), HasSubstr("memory "),
                    HasSubstr(" bytes"), HasSubstr("VK_ERROR_OUT_OF_DEVICE_MEMORY")));
}

TEST_F(GpuFaultTest, NoMemoryForAFrameSaysHowMuchAndForWhichPort) {
  // The second buffer that is imported.
  const Outcome outcome = RunWith(Chain(), "vkAllocateMemory@4+=VK_ERROR_OUT_OF_DEVICE_MEMORY");
  EXPECT_EQ(outcome.exit_code, 1);
  const Json report = Parse(outcome);
  ASSERT_FALSE(report["errors"].empty());
  EXPECT_THAT(std::string(report["errors"][0]),
              AllOf(HasSubstr("node 'look'"), HasSubstr("llvmpipe"),
                    AnyOf(HasSubstr(": in: "), HasSubstr(": out: ")), HasSubstr(" bytes"),
                    HasSubstr("VK_ERROR_OUT_OF_DEVICE_MEMORY")));
  ExpectAllHome(report);
}

TEST_F(GpuFaultTest, NoMemoryForASubmissionEndsTheRunOrIsTriedAgain) {
  const std::string faults = "vkQueueSubmit2@30=VK_ERROR_OUT_OF_DEVICE_MEMORY";
  Outcome outcome = RunWith(Chain(), faults);
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("node 'look'"), HasSubstr("llvmpipe"),
                                 HasSubstr("VK_ERROR_OUT_OF_DEVICE_MEMORY")));
  ExpectAllHome(Parse(outcome));
  outcome = RunWith(Chain(", on_error: restart"), faults);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json report = Parse(outcome);
  // The device is well: nothing is made anew, and one frame is lost.
  EXPECT_EQ(report["restarts"], 1);
  EXPECT_EQ(report["epochs"], 1);
  EXPECT_EQ(FramesIn(report, "sums"), static_cast<uint64_t>(kFrames - 1));
}

TEST_F(GpuFaultTest, AWaitThatFindsNoMemoryIsMadeAgain) {
  const auto wanted = WantedSums();
  const Outcome outcome = RunWith(Chain(), "vkWaitSemaphores@20=VK_ERROR_OUT_OF_HOST_MEMORY");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(Sums(), wanted);
  ExpectAllHome(Parse(outcome));
}

TEST_F(GpuFaultTest, APipelineThatTheDriverCannotMakeIsAnErrorOfTheStart) {
  const Outcome outcome =
      RunWith(Chain(), "vkCreateComputePipelines@1=VK_ERROR_OUT_OF_HOST_MEMORY");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("node 'look'"), HasSubstr("vkCreateComputePipelines"),
                                 HasSubstr("VK_ERROR_OUT_OF_HOST_MEMORY")));
}

// ---- several devices

class TwoDevicesTest : public GpuFaultTest {
 protected:
  Outcome Two(std::vector<std::string> arguments, const std::string& faults) {
    Invocation invocation = With(std::move(arguments), faults);
    invocation.environment.insert(invocation.environment.begin(), TwoDrivers());
    return Sluice(invocation);
  }
  static constexpr char kOldAndNew[] =
      "gpu0.name=Old Card;gpu0.type=discrete;gpu0.api=1.2;gpu1.name=New Card;gpu1.type=integrated";
};

TEST_F(TwoDevicesTest, DoctorSaysOfTheOneThatIsNamedWhatItLacks) {
  const Outcome old = Two({"doctor", "--gpu", "old"}, kOldAndNew);
  EXPECT_THAT(old.out, AllOf(HasSubstr("Old Card"), HasSubstr("lacks Vulkan 1.3")));
  const Outcome fresh = Two({"doctor", "--gpu", "new"}, kOldAndNew);
  EXPECT_THAT(fresh.out, AllOf(HasSubstr("New Card"), Not(HasSubstr("lacks"))));
}

// A lost device is named: so it shows which one was taken.
constexpr char kLost[] = ";vkQueueSubmit2@3=VK_ERROR_DEVICE_LOST";

TEST_F(TwoDevicesTest, TheBestThatHasWhatIsNeededIsTakenByItself) {
  const Outcome outcome = Two({"run", "--force", Chain()}, std::string(kOldAndNew) + kLost);
  EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("New Card"), Not(HasSubstr("Old Card"))));
  const Outcome both = Two({"run", "--force", Chain()},
                           std::string("gpu0.name=Slow Card;gpu0.type=integrated;gpu1.name=Fast "
                                       "Card;gpu1.type=discrete") +
                               kLost);
  EXPECT_THAT(both.err, AllOf(HasSubstr("Fast Card"), Not(HasSubstr("Slow Card"))));
}

TEST_F(TwoDevicesTest, TheGraphMayNameOneByAPartOfItsName) {
  const Outcome outcome =
      Two({"run", "--force", Chain("", "settings: { gpu: slow }\n")},
          std::string("gpu0.name=Slow Card;gpu1.name=Fast Card;gpu1.type=discrete") + kLost);
  EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("Slow Card"), Not(HasSubstr("Fast Card"))));
}

TEST_F(TwoDevicesTest, OneThatLacksSomethingIsRefusedByNameAndSaysWhat) {
  const Outcome outcome = Two({"run", Chain("", "settings: { gpu: old }\n")}, kOldAndNew);
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("node 'look'"), HasSubstr("Old Card"),
                                 HasSubstr("lacks Vulkan 1.3 (it has 1.2)")));
}

TEST_F(TwoDevicesTest, ANameThatNoneHasIsRefusedWithThoseThereAre) {
  const Outcome outcome = Two({"run", Chain("", "settings: { gpu: geforce }\n")}, kOldAndNew);
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("\"geforce\""), HasSubstr("0: Old Card"), HasSubstr("1: New Card")));
}

TEST_F(TwoDevicesTest, OneThatCannotImportMemoryCopiesAndCountsIt) {
  const auto wanted = WantedSums();
  const std::string faults =
      "gpu0.name=Plain Card;gpu0.without=VK_EXT_external_memory_host;"
      "gpu0.without=VK_EXT_external_memory_dma_buf;gpu1.name=Able Card";
  const Outcome plain =
      Two({"run", "--json", "--force", Chain("", "settings: { gpu: plain }\n")}, faults);
  EXPECT_EQ(plain.exit_code, 0) << plain.err;
  EXPECT_EQ(Sums(), wanted);
  EXPECT_GT(uint64_t(Parse(plain)["bytes_copied"]), 0U) << plain.out;
  const Outcome able =
      Two({"run", "--json", "--force", Chain("", "settings: { gpu: able }\n")}, faults);
  EXPECT_EQ(able.exit_code, 0) << able.err;
  EXPECT_EQ(Sums(), wanted);
  EXPECT_EQ(uint64_t(Parse(able)["bytes_copied"]), 0U) << able.out;
}

// ---- a card with a queue that only copies

class CardTest : public GpuFaultTest {
 protected:
  /// A wide stage: host memory is copied to the device for it.
  std::string Blur(const std::string& blur = "") {
    return Write("blur.yaml", R"(sluice: 1
name: chain
nodes:
  source: { type: core.testsrc, size: 64x48, pattern: noise, frames: )" +
                                  std::to_string(kFrames) + R"( }
  blur: { type: vulkan.blur)" + blur +
                                  R"( }
  sums: { type: core.checksum, path: sums.txt }
edges: [ source -> blur -> sums ]
)");
  }
  Outcome OnCard(std::vector<std::string> arguments, const std::string& faults = "",
                 std::vector<std::string> environment = {}) {
    Invocation invocation =
        With(std::move(arguments), "gpu0.type=discrete;gpu0.copies=2;gpu0.timestamps=64" + faults);
    invocation.environment.insert(invocation.environment.end(), environment.begin(),
                                  environment.end());
    return Sluice(invocation);
  }
  static constexpr char kStaging[] = "SLUICE_VULKAN_FORCE_STAGING=1";
};

TEST_F(CardTest, ThePlanSaysWhatTheTransferQueueBringsOver) {
  const Outcome with = OnCard({"plan", Blur()});
  EXPECT_THAT(with.out, AllOf(HasSubstr("the transfer queue brings host memory over first"),
                              HasSubstr("copies: none")));
  const Outcome without = OnCard({"plan", Blur()}, "", {"SLUICE_VULKAN_TRANSFER=0"});
  EXPECT_THAT(without.out, AllOf(HasSubstr("host memory is brought over first"),
                                 Not(HasSubstr("transfer queue"))));
}

TEST_F(CardTest, TheReportHasTheStepsOfThePlanWithTheTimeOfTheCopy) {
  const Json planned = Parse(OnCard({"plan", "--json", Blur()}))["islands"][0]["passes"];
  const Outcome run = OnCard({"run", "--json", "--force", Blur()});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const Json measured = Parse(run)["passes"];
  ASSERT_EQ(measured.size(), planned.size()) << run.out;
  for (size_t i = 0; i < planned.size(); ++i) EXPECT_EQ(measured[i]["label"], planned[i]["label"]);
  const Json copy = measured[0];
  EXPECT_EQ(copy["label"], "copy in: blur.in");
  EXPECT_EQ(copy["nodes"], Json({"blur"}));
  EXPECT_GT(uint64_t(copy["frames"]), 0U);
  EXPECT_GT(double(copy["min_us"]), 0.0);
  // YU12, and the padding of its rows.
  EXPECT_GE(uint64_t(planned[0]["bytes_read"]), 64U * 48 * 3 / 2);
  EXPECT_EQ(planned[0]["bytes_read"], planned[0]["bytes_written"]);
}

TEST_F(CardTest, PicturesAreTheSameWhicheverWayTheyCross) {
  ASSERT_EQ(RunWith(Blur(), "").exit_code, 0);
  const auto wanted = Sums();
  EXPECT_EQ(wanted.size(), static_cast<size_t>(kFrames));
  for (const std::vector<std::string>& environment :
       {std::vector<std::string>{}, {kStaging}, {"SLUICE_VULKAN_TRANSFER=0"}}) {
    const Outcome outcome = OnCard({"run", "--json", "--force", Blur()}, "", environment);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(Sums(), wanted);
    const bool copied = !environment.empty() && environment[0] == kStaging;
    EXPECT_EQ(uint64_t(Parse(outcome)["bytes_copied"]) > 0, copied) << outcome.out;
  }
}

// A staged frame is three submissions: in, kernels, out.
class CardLostTest : public CardTest, public ::testing::WithParamInterface<int> {};

TEST_P(CardLostTest, TheGraphGoesOnWithADeviceMadeAnew) {
  ASSERT_EQ(RunWith(Blur(), "").exit_code, 0);
  const auto wanted = Sums();
  const Outcome outcome =
      OnCard({"run", "--json", "--force", Blur(", on_error: restart")},
             ";vkQueueSubmit2@" + std::to_string(GetParam()) + "=VK_ERROR_DEVICE_LOST", {kStaging});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("the device is lost"));
  const Json report = Parse(outcome);
  EXPECT_EQ(report["restarts"], 1) << outcome.err;
  ExpectAllHome(report);
  for (const auto& [pts, sum] : Sums()) EXPECT_EQ(sum, wanted.at(pts)) << pts;
  EXPECT_GT(Sums().size(), static_cast<size_t>(kFrames / 2));
}

INSTANTIATE_TEST_SUITE_P(InKernelsACopyOutOrACopyIn, CardLostTest, ::testing::Values(59, 60, 61));

TEST_F(CardTest, ATransferThatNeverEndsHasADeadlineAndTheDeviceIsNamed) {
  const Outcome outcome =
      OnCard({"run", "--json", "--force", Blur()}, ";vkQueueSubmit2@60=HANG", {kStaging});
  EXPECT_EQ(outcome.exit_code, 1);
  const Json report = Parse(outcome);
  ASSERT_FALSE(report["errors"].empty());
  EXPECT_THAT(std::string(report["errors"][0]),
              AllOf(HasSubstr("'sums'"), HasSubstr("llvmpipe"), HasSubstr("has not signalled")));
  EXPECT_LT(double(report["seconds"]), 60.0);
}

// ---- none

class NoDeviceTest : public GpuFaultTest {
 protected:
  Outcome Bare(std::vector<std::string> arguments) {
    return Sluice({.arguments = std::move(arguments),
                   .environment = {"VK_ICD_FILENAMES=/nonexistent.json",
                                   "VK_DRIVER_FILES=/nonexistent.json"}});
  }
};

TEST_F(NoDeviceTest, RunAndPlanSayWhatToInstall) {
  for (const char* command : {"run", "plan"}) {
    const Outcome outcome = Bare({command, Chain()});
    EXPECT_EQ(outcome.exit_code, 3);
    EXPECT_THAT(outcome.err, AllOf(HasSubstr("node 'look'"), HasSubstr("no Vulkan driver found"),
                                   HasSubstr("apt-get install mesa-vulkan-drivers")));
  }
}

TEST_F(NoDeviceTest, DoctorSaysWhatToInstall) {
  const Outcome outcome = Bare({"doctor"});
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("no Vulkan driver found"),
                                 HasSubstr("apt-get install mesa-vulkan-drivers")));
}

TEST_F(NoDeviceTest, AGraphIsStillChecked) { EXPECT_EQ(Bare({"check", Chain()}).exit_code, 0); }

TEST_F(NoDeviceTest, AGraphWithoutGpuNodesRuns) {
  const Outcome outcome = Bare({"run", Write("graph.yaml",
                                             "sluice: 1\nnodes:\n"
                                             "  a: { type: core.testsrc, size: 64x36, frames: 3 }\n"
                                             "  b: { type: core.null }\nedges: [ a -> b ]\n")});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

TEST_F(NoDeviceTest, ALoaderWithoutDevicesIsTheSame) {
  const Outcome outcome =
      RunWith(Chain(), "vkEnumeratePhysicalDevices@1+=VK_ERROR_INITIALIZATION_FAILED");
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_THAT(outcome.err, HasSubstr("no Vulkan device found"));
}

// ---- what is kept between runs

TEST_F(GpuFaultTest, DamagedCachesCostTimeAndNothingElse) {
  const std::string cache = Path("cache");
  const std::string graph = Chain();
  const auto run = [&] {
    Invocation invocation{.arguments = {"run", "--json", "--force", graph}};
    invocation.environment = {"SLUICE_CACHE_DIR=" + cache};
    const Outcome outcome = Sluice(invocation);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.err.find("error"), std::string::npos) << outcome.err;
    return Sums();
  };
  const auto wanted = run();
  ASSERT_EQ(wanted.size(), static_cast<size_t>(kFrames));
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(cache)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  ASSERT_GE(files.size(), 2U) << "a shader and the driver's pipelines";
  for (const auto& file : files) {
    const auto size = fs::file_size(file);
    {
      std::fstream damage(file, std::ios::in | std::ios::out | std::ios::binary);
      damage.seekp(static_cast<std::streamoff>(size / 2));
      damage << "not what it was";
    }
    EXPECT_EQ(run(), wanted) << file;
    fs::resize_file(file, size / 3);
    EXPECT_EQ(run(), wanted) << file;
    // Whole again, as good as the first: nothing has to be compiled any more.
    EXPECT_EQ(fs::file_size(file), size) << file;
  }
}

TEST_F(GpuFaultTest, ACacheThatCannotBeWrittenIsNobodysError) {
  Invocation invocation{.arguments = {"run", "--force", Chain()}};
  invocation.environment = {"SLUICE_CACHE_DIR=/proc/self/fdinfo"};
  const Outcome outcome = Sluice(invocation);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

}  // namespace
}  // namespace sluice::testing
