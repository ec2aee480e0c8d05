#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "tests/integration/harness.h"

namespace sluice::testing {
namespace {

namespace fs = std::filesystem;

constexpr const char* kClip =
    "/usr/share/forensics-samples/original-files/movie1/VID_20191220_170832.mp4";

std::string Output(const std::string& command) {
  std::string text;
  FILE* pipe = popen(command.c_str(), "r");
  char buffer[4096];
  while (size_t n = fread(buffer, 1, sizeof buffer, pipe)) text.append(buffer, n);
  EXPECT_EQ(pclose(pipe), 0) << command;
  return text;
}

std::string Slurp(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

void Replace(std::string* text, const std::string& what, const std::string& with) {
  size_t at = text->find(what);
  ASSERT_NE(at, std::string::npos) << what;
  text->replace(at, what.size(), with);
}

/// graphs/noir.yaml as it stands, with its outputs in the test's own folder.
class NoirTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(kClip)) GTEST_SKIP() << kClip << " is missing: run ./setup";
    dir_ = fs::path(::testing::TempDir()) /
           ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::create_directories(dir_);
    text_ = Slurp("graphs/noir.yaml");
    Replace(&text_, "movie: noir.mp4", "movie: " + Path("noir.mp4"));
    Replace(&text_, "still: noir-10.png", "still: " + Path("noir-10.png"));
  }
  std::string Path(const std::string& name) const { return (dir_ / name).string(); }

  fs::path dir_;
  std::string text_;
};

/// pts of every frame, in seconds as a rational "ticks*num/den".
std::string FramePts(const std::string& file) {
  std::string base = Output("ffprobe -v error -select_streams v:0 -show_entries stream=time_base -of "
                            "csv=p=0 " + file);
  long num = 0, den = 1;
  sscanf(base.c_str(), "%ld/%ld", &num, &den);
  std::istringstream lines(Output(
      "ffprobe -v error -select_streams v:0 -show_entries frame=pts -of csv=p=0 " + file));
  std::string text, line;
  while (std::getline(lines, line)) {
    if (line.empty()) continue;
    // In 1/90000000ths: exact for both time bases that occur.
    long long ticks = std::stoll(line);
    text += std::to_string(ticks * num * (90'000'000 / den)) + "\n";
  }
  return text;
}

TEST_F(NoirTest, KeepsEveryFrameAndTimestampAndCopiesNothing) {
  Ran ran = RunGraph(text_);
  if (ran.problem.find("Vulkan") != std::string::npos) GTEST_SKIP() << ran.problem;
  ASSERT_TRUE(ran.planned) << ran.problem;
  ASSERT_EQ(ran.report.result, "done") << ran.Errors();
  EXPECT_EQ(ran.planned_copy_bytes, 0u) << ran.plan_table;
  EXPECT_EQ(ran.report.bytes_copied, 0u) << ran.report.ToTable();
  for (const auto& pool : ran.report.pools) EXPECT_EQ(pool.outstanding, 0u) << pool.name;

  std::string expected = FramePts(kClip);
  EXPECT_EQ(std::count(expected.begin(), expected.end(), '\n'), 41);
  EXPECT_EQ(FramePts(Path("noir.mp4")), expected);
  EXPECT_GT(fs::file_size(Path("noir-10.png")), 1000u);
  // Nothing but the two outputs: no part file is left.
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_), fs::directory_iterator()), 2);
}

TEST_F(NoirTest, MayBeRunTwice) {
  ASSERT_EQ(RunGraph(text_).report.result, "done");
  Ran again = RunGraph(text_);
  EXPECT_EQ(again.report.result, "done") << again.Errors();
}

TEST_F(NoirTest, AnInputThatCannotBeImportedIsCopiedAndCounted) {
  setenv("SLUICE_VULKAN_FORCE_STAGING", "1", 1);
  Ran ran = RunGraph(text_);
  unsetenv("SLUICE_VULKAN_FORCE_STAGING");
  ASSERT_EQ(ran.report.result, "done") << ran.Errors();
  EXPECT_GT(ran.report.bytes_copied, 41u * 1920 * 1080);
  ASSERT_FALSE(ran.report.copies.empty());
  EXPECT_NE(ran.report.copies[0].place.find("look."), std::string::npos);
}

}  // namespace
}  // namespace sluice::testing
