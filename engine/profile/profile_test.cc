#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/profile/measure.h"
#include "engine/profile/record.h"
#include "engine/profile/store.h"

namespace sluice::profile {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

const Machine kHere{"0123456789abcdef", "Test CPU, 2 processors"};
const Machine kElsewhere{"fedcba9876543210", "Other CPU, 64 processors"};
constexpr char kUuid[] = "00112233445566778899aabbccddeeff";

DeviceRecord TestGpu() {
  return {.domain = "vulkan",
          .name = "Test GPU",
          .driver = "driver 1",
          .uuid = kUuid,
          .measured = "2026-11-30T02:40:17Z",
          .figures = {{"memory", "B/s", 3e12, ""},
                      {"host-read", "B/s", 51e9, ""},
                      {"host-write", "B/s", 52e9, ""},
                      {"cpu-copy", "B/s", 0, "cannot export dma-bufs"},
                      {"submission", "ns", 3000, ""},
                      {"of-its-own", "W", 700, "kept and shown"}}};
}

Record TestRecord() {
  Record record{kHere, "2026-11-29T10:00:00Z", {{"memory", "B/s", 20e9, ""}}, {TestGpu()}};
  return record;
}

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// --- Text ----------------------------------------------------------------------

TEST(RecordTest, WhatIsWrittenIsReadBack) {
  const auto read = Parse(ToText(TestRecord()));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->machine.id, kHere.id);
  EXPECT_EQ(read->machine.name, kHere.name);
  EXPECT_EQ(read->measured, TestRecord().measured);
  EXPECT_EQ(read->figures, TestRecord().figures);
  EXPECT_EQ(read->devices, TestRecord().devices);
}

TEST(RecordTest, EveryDamageIsFoundAndNamed) {
  const struct {
    const char* said;
    std::function<void(Json&)> damage;
  } kDamages[] = {
      {"is no profile", [](Json& json) { json = Json::array(); }},
      {"is no profile", [](Json& json) { json.erase("sluice_profile"); }},
      {"version 2", [](Json& json) { json["sluice_profile"] = 2; }},
      {"'id' is missing", [](Json& json) { json["machine"].erase("id"); }},
      {"'id' is missing", [](Json& json) { json.erase("machine"); }},
      {"'id' is missing", [](Json& json) { json["machine"] = 7; }},
      {"'figures' is missing", [](Json& json) { json["figures"] = nullptr; }},
      {"'devices' is missing", [](Json& json) { json.erase("devices"); }},
      {"is no time", [](Json& json) { json["measured"] = "yesterday"; }},
      {"is no UUID", [](Json& json) { json["devices"][0]["uuid"] = "0011"; }},
      {"'domain' is missing", [](Json& json) { json["devices"][0] = "Test GPU"; }},
      {"'value' of memory is missing", [](Json& json) { json["figures"][0]["value"] = "fast"; }},
      {"memory of -1 B/s is not possible", [](Json& json) { json["figures"][0]["value"] = -1; }},
      {"is not possible", [](Json& json) { json["devices"][0]["figures"][0]["value"] = 1e18; }},
      {"is not possible", [](Json& json) { json["devices"][0]["figures"][0]["value"] = 12; }},
      {"is not possible", [](Json& json) { json["devices"][0]["figures"][4]["value"] = 1e12; }},
  };
  for (const auto& [said, damage] : kDamages) {
    Json json = Json::parse(ToText(TestRecord()));
    damage(json);
    const auto read = Parse(json.dump());
    ASSERT_FALSE(read) << said;
    EXPECT_EQ(read.error().code, Code::kInvalidArgument);
    EXPECT_TRUE(Has(read.error().message, said)) << read.error().message;
  }
}

TEST(RecordTest, NoBeginningOfAFilePassesForTheWhole) {
  const std::string text = ToText(TestRecord());
  // The last two bytes are the closing brace and the end of its line.
  for (size_t length = 0; length + 2 < text.size(); ++length) {
    EXPECT_FALSE(Parse(text.substr(0, length))) << length;
  }
}

TEST(RecordTest, ADeviceMeasuredAgainReplacesWhatAnotherDriverWas) {
  Record record = TestRecord();
  DeviceRecord again = TestGpu(), other = TestGpu();
  again.driver = "driver 2";
  other.uuid[0] = 'f';
  record.Put(again);
  record.Put(other);
  ASSERT_EQ(record.devices.size(), 2u);
  EXPECT_EQ(record.devices[0].driver, "driver 2");
}

// --- What plans are made with -----------------------------------------------------

TEST(RecordTest, FiguresBecomeSpeedsAndWhatWasNotMeasuredKeepsItsDefault) {
  const graph::Profile profile = ToProfile(TestRecord());
  EXPECT_EQ(profile.date, "2026-11-29");
  EXPECT_EQ(profile.processor, kHere.name);
  EXPECT_EQ(profile.cpu_bandwidth, 20e9);
  const graph::MeasuredDevice& gpu = profile.devices.at(kUuid);
  EXPECT_EQ(gpu.date, "2026-11-30");
  EXPECT_EQ(gpu.driver, "driver 1");
  EXPECT_EQ(gpu.speeds.memory, 3e12);
  EXPECT_EQ(gpu.speeds.host_read, 51e9);
  EXPECT_EQ(gpu.speeds.host_write, 52e9);
  EXPECT_EQ(gpu.speeds.submission_us, 3);
  EXPECT_EQ(gpu.speeds.cpu_read, graph::DeviceSpeeds{}.cpu_read);
}

TEST(RecordTest, CopiesFromCachedMemoryAreAsFastAsMemoryAndFromUncachedAsSlowAsReadingIt) {
  Record record = TestRecord();
  // 20 GB/s read and written: a copy within it does 10.
  record.figures.push_back({"copy from udmabuf", "B/s", 9.5e9, ""});
  record.figures.push_back({"copy from dma-heap system", "B/s", 0.25e9, ""});
  record.figures.push_back({"copy from dma-heap cma", "B/s", 0, "Permission denied"});
  record.devices[0].figures[3] = {"cpu-copy", "B/s", 0.1e9, ""};
  const graph::Profile profile = ToProfile(record);
  ASSERT_EQ(profile.allocator_read.size(), 1u);
  // 4 ns a byte, of which the writing is 0.05.
  EXPECT_NEAR(profile.allocator_read.at("dma-heap system"), 1e9 / 3.95, 1e3);
  EXPECT_NEAR(profile.devices.at(kUuid).speeds.cpu_read, 1e9 / 9.95, 1e3);
}

TEST(RecordTest, AFigureInAnotherUnitIsNotTaken) {
  Record record = TestRecord();
  record.devices[0].figures[0].unit = "MB/s";
  EXPECT_EQ(ToProfile(record).devices.at(kUuid).speeds.memory, graph::DeviceSpeeds{}.memory);
}

TEST(RecordTest, FiguresAreShownWithTheirUnitsAndReasons) {
  EXPECT_EQ(FormatFigure({"memory", "B/s", 3.04e12, ""}), "3.04 TB/s");
  EXPECT_EQ(FormatFigure({"memory", "B/s", 24.12e9, "best"}), "24.1 GB/s, best");
  EXPECT_EQ(FormatFigure({"submission", "ns", 3140, ""}), "3.1 us");
  EXPECT_EQ(FormatFigure({"memory", "B/s", 0, "no device"}), "not measured: no device");
}

// --- Files -----------------------------------------------------------------------

class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string folder = ::testing::TempDir() + "profileXXXXXX";
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    setenv("SLUICE_CACHE_DIR", folder_.c_str(), 1);
    path_ = DefaultPath(kHere);
  }
  void TearDown() override {
    unsetenv("SLUICE_CACHE_DIR");
    fs::remove_all(folder_);
  }
  void WriteText(const std::string& text) {
    fs::create_directories(fs::path(path_).parent_path());
    std::ofstream(path_) << text;
  }
  Choice Own() {
    const auto choice = Choose("", kHere);
    EXPECT_TRUE(choice);
    return choice.value_or(Choice{});
  }

  std::string folder_;
  std::string path_;
};

TEST_F(StoreTest, ThePathFollowsTheCachesRule) {
  EXPECT_EQ(path_, folder_ + "/profiles/" + kHere.id + ".json");
  unsetenv("SLUICE_CACHE_DIR");
  setenv("XDG_CACHE_HOME", "/x", 1);
  EXPECT_EQ(DefaultPath(kHere), "/x/sluice/profiles/" + kHere.id + ".json");
  setenv("XDG_CACHE_HOME", "relative", 1);
  setenv("HOME", "/h", 1);
  EXPECT_EQ(DefaultPath(kHere), "/h/.cache/sluice/profiles/" + kHere.id + ".json");
  unsetenv("XDG_CACHE_HOME");
  unsetenv("HOME");
  EXPECT_EQ(DefaultPath(kHere), "");
  EXPECT_EQ(Own().profile.date, "");
}

TEST_F(StoreTest, WithoutAFileThereAreDefaultsAndNoWarning) {
  const Choice choice = Own();
  EXPECT_EQ(choice.warning, "");
  EXPECT_TRUE(choice.profile.devices.empty());
}

TEST_F(StoreTest, AWrittenProfileIsTheMachinesOwn) {
  ASSERT_TRUE(Write(path_, TestRecord()));
  const Choice choice = Own();
  EXPECT_EQ(choice.warning, "");
  EXPECT_EQ(choice.profile.date, "2026-11-29");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_ + "/profiles"), {}), 1)
      << "a part is left";
}

TEST_F(StoreTest, WritingReplacesTheWholeFileOrLeavesTheOldOne) {
  ASSERT_TRUE(Write(path_, TestRecord()));
  Record next = TestRecord();
  next.figures[0].value = 30e9;
  ASSERT_TRUE(Write(path_, next));
  EXPECT_EQ(Own().profile.cpu_bandwidth, 30e9);
  // A name that cannot be given: a folder is in its place.
  const std::string taken = folder_ + "/taken";
  fs::create_directories(taken + "/inside");
  const Status refused = Write(taken, next);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(Has(refused.error().message, taken)) << refused.error().message;
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 2) << "a part is left";
}

TEST_F(StoreTest, ADamagedProfileIsLeftAloneWithAWarning) {
  for (const std::string text : {"", "{", "[1]", "{\"sluice_profile\": 1}"}) {
    WriteText(text);
    const Choice choice = Own();
    EXPECT_EQ(choice.profile.date, "") << text;
    EXPECT_TRUE(Has(choice.warning, path_)) << choice.warning;
    EXPECT_TRUE(Has(choice.warning, "sluice doctor --measure")) << choice.warning;
  }
  WriteText(std::string(2 << 20, ' ') + ToText(TestRecord()));
  EXPECT_TRUE(Has(Own().warning, "too long"));
}

TEST_F(StoreTest, AFifoInItsPlaceHoldsNobodyUp) {
  fs::create_directories(fs::path(path_).parent_path());
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_TRUE(Has(Own().warning, "is no profile"));
}

TEST_F(StoreTest, AnotherMachinesFileUnderOurNameIsNotUsed) {
  Record foreign = TestRecord();
  foreign.machine = kElsewhere;
  WriteText(ToText(foreign));
  const Choice choice = Own();
  EXPECT_EQ(choice.profile.date, "");
  EXPECT_TRUE(Has(choice.warning, "another machine: Other CPU")) << choice.warning;
}

TEST_F(StoreTest, AFileThatIsAskedForCountsForAnyMachine) {
  Record foreign = TestRecord();
  foreign.machine = kElsewhere;
  ASSERT_TRUE(Write(folder_ + "/h200.json", foreign));
  const auto choice = Choose(folder_ + "/h200.json", kHere);
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->profile.date, "2026-11-29");
  EXPECT_TRUE(Has(choice->warning, "another machine")) << choice->warning;
}

TEST_F(StoreTest, AFileThatIsAskedForMustBeThereAndWhole) {
  const auto missing = Choose(folder_ + "/none.json", kHere);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::kNotFound);
  WriteText("{");
  const auto damaged = Choose(path_, kHere);
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, Code::kInvalidArgument);
}

TEST_F(StoreTest, NoneMeansTheDefaults) {
  ASSERT_TRUE(Write(path_, TestRecord()));
  const auto choice = Choose("none", kHere);
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->profile.date, "");
  EXPECT_EQ(choice->profile.cpu_bandwidth, graph::Profile{}.cpu_bandwidth);
}

// --- Measuring -------------------------------------------------------------------

TEST(MeasureTest, MemoryHasASpeedAndEveryDmaBufOneOrAReason) {
  const std::vector<Figure> figures = MeasureMemory(1 << 20);
  ASSERT_GE(figures.size(), 3u);
  EXPECT_EQ(figures[0].name, "memory");
  EXPECT_GT(figures[0].value, 0);
  for (const Figure& figure : figures) {
    EXPECT_EQ(figure.unit, "B/s") << figure.name;
    EXPECT_TRUE(figure.value > 0 || !figure.note.empty()) << figure.name;
  }
  Record record{kHere, TimeNow(), figures, {}};
  EXPECT_TRUE(Parse(ToText(record)));
}

TEST(MeasureTest, AMachineKnowsItselfAgain) {
  const Machine machine = ThisMachine();
  EXPECT_EQ(machine.id.size(), 16u);
  EXPECT_EQ(machine.id, ThisMachine().id);
  EXPECT_TRUE(Has(machine.name, "processor")) << machine.name;
}

}  // namespace
}  // namespace sluice::profile
