#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <string>

#include <gtest/gtest.h>

#include "engine/base/text.h"
#include "engine/cli/line_reader.h"
#include "engine/cli/progress.h"
#include "engine/cli/report_file.h"
#include "engine/cli/stop_timer.h"
#include "engine/cli/wrap.h"

namespace sluice::cli {
namespace {

namespace fs = std::filesystem;

TEST(FormatTableTest, AlignsColumnsByCharactersNotBytes) {
  EXPECT_EQ(FormatTable({{"ä", "b"}, {"ccc", "d"}}, 1), " ä    b\n ccc  d\n");
}

TEST(WrapTest, BreaksBetweenWordsAndKeepsTheTextsOwnLines) {
  EXPECT_EQ(Wrap("one two three\nfour\n", 2, 9), "  one two\n  three\n  four\n");
}

TEST(WrapDocTest, JoinsLinesThatOnlyContinue) {
  EXPECT_EQ(WrapDoc("one\ntwo\n\nthree\n- four\n", 1), " one two\n\n three\n - four\n");
}

TEST(WrapTest, LeavesAWordThatIsTooLongWhole) {
  EXPECT_EQ(Wrap("abcdefgh i", 0, 4), "abcdefgh\ni\n");
}

TEST(FormatProgressTest, NamesTheTotalOnlyWhenItIsKnown) {
  EXPECT_EQ(FormatProgress({.seconds = 61, .frames = 7, .fps = 24.75}), "frame 7  24.8 fps  1:01");
  EXPECT_EQ(FormatProgress({.seconds = 1, .frames = 7, .fps = 2, .done = 31, .total = 41}),
            "frame 31 of 41 (76%)  2.0 fps  0:01");
}

TEST(ParseDurationTest, TakesUnitsAndReadsABareNumberAsSeconds) {
  EXPECT_EQ(ParseDuration("90"), 90'000'000'000);
  EXPECT_EQ(ParseDuration("1.5s"), 1'500'000'000);
  EXPECT_EQ(ParseDuration("500ms"), 500'000'000);
  EXPECT_EQ(ParseDuration("2m"), 120'000'000'000);
  EXPECT_EQ(ParseDuration("1h"), 3600'000'000'000);
}

TEST(ParseDurationTest, RefusesWhatIsNoTimeThatPasses) {
  for (const char* text : {"", "s", "0", "-1s", "1 s", "1x", "nan", "inf", "1e300h", "1sm"}) {
    EXPECT_FALSE(ParseDuration(text)) << text;
  }
}

TEST(StopTimerTest, CallsWhenTheTimeHasCome) {
  std::promise<void> called;
  StopTimer timer(1, [&] { called.set_value(); });
  called.get_future().wait();
  EXPECT_TRUE(timer.fired());
}

TEST(StopTimerTest, DoesNotCallOnceItIsGone) {
  bool called = false;
  {
    StopTimer timer(3600'000'000'000, [&] { called = true; });
  }
  EXPECT_FALSE(called);
}

TEST(LineReaderTest, RefusesAFolder) {
  const std::string folder = testing::TempDir();
  const auto reader = LineReader::Open(folder, [](const std::string&) {});
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().code, Code::kInvalidArgument);
  EXPECT_EQ(reader.error().message, folder + ": is a folder");
}

class ReportFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/report_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string Path() const { return (folder_ / "report.json").string(); }
  size_t FilesInFolder() const {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  std::string Content() const {
    std::ifstream file(Path());
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  fs::path folder_;
};

TEST_F(ReportFileTest, AppearsUnderItsNameOnlyWhenFinished) {
  auto file = ReportFile::Create(Path(), false);
  ASSERT_TRUE(file);
  EXPECT_FALSE(fs::exists(Path()));
  ASSERT_TRUE(file->Finish("{}\n"));
  EXPECT_EQ(Content(), "{}\n");
  EXPECT_EQ(FilesInFolder(), 1u);
}

TEST_F(ReportFileTest, LeavesNothingBehindWhenItIsNotFinished) {
  { auto file = ReportFile::Create(Path(), false); }
  EXPECT_EQ(FilesInFolder(), 0u);
}

TEST_F(ReportFileTest, RefusesAnExistingFileBeforeTheWorkStarts) {
  std::ofstream(Path()) << "mine";
  auto file = ReportFile::Create(Path(), false);
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, Code::kAlreadyExists);
  EXPECT_EQ(Content(), "mine");
}

TEST_F(ReportFileTest, DoesNotReplaceAFileThatCameMeanwhile) {
  auto file = ReportFile::Create(Path(), false);
  ASSERT_TRUE(file);
  std::ofstream(Path()) << "mine";
  const Status finished = file->Finish("{}");
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().code, Code::kAlreadyExists);
  EXPECT_EQ(Content(), "mine");
}

TEST_F(ReportFileTest, ReplacesAnExistingFileWhenAsked) {
  std::ofstream(Path()) << "old";
  auto file = ReportFile::Create(Path(), true);
  ASSERT_TRUE(file);
  ASSERT_TRUE(file->Finish("new"));
  EXPECT_EQ(Content(), "new");
}

TEST_F(ReportFileTest, SaysWhyItCannotBeMade) {
  auto file = ReportFile::Create((folder_ / "no/such/report.json").string(), false);
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, Code::kNotFound);
}

}  // namespace
}  // namespace sluice::cli
