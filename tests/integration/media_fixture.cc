#include "tests/integration/media_fixture.h"

#include <stdlib.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>
#include <sstream>

namespace sluice::testing {

namespace fs = std::filesystem;

std::string Shell(const std::string& command) {
  std::string output;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return output;
  char buffer[4096];
  while (const size_t count = fread(buffer, 1, sizeof buffer, pipe)) output.append(buffer, count);
  EXPECT_EQ(pclose(pipe), 0) << command << "\n" << output;
  return output;
}

std::string StreamEntry(const std::string& file, const std::string& entry) {
  std::istringstream lines(Shell("ffprobe -v error -select_streams v:0 -show_entries stream=" +
                                 entry + " -of default=nw=1:nk=1 '" + file + "'"));
  std::string line;
  std::getline(lines, line);
  return line;
}

std::vector<std::string> FrameTimes(const std::string& file) {
  long long num = 0, den = 1;
  sscanf(StreamEntry(file, "time_base").c_str(), "%lld/%lld", &num, &den);
  std::istringstream lines(
      Shell("ffprobe -v error -select_streams v:0 -show_entries frame=pts -of default=nw=1:nk=1 '" +
            file + "'"));
  std::vector<std::string> times;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    if (line == "N/A") {
      times.push_back(line);
      continue;
    }
    const long long ticks = std::stoll(line) * num;
    const long long common = std::max(1LL, std::gcd(ticks, den));
    times.push_back(std::to_string(ticks / common) + "/" + std::to_string(den / common));
  }
  return times;
}

void MediaTest::SetUp() {
  std::string pattern = ::testing::TempDir() + "/media_XXXXXX";
  ASSERT_NE(mkdtemp(pattern.data()), nullptr);
  folder_ = fs::absolute(pattern).string();
}

void MediaTest::TearDown() { fs::remove_all(folder_); }

std::string MediaTest::Fixture(const std::string& file) {
  Shell("bash tests/media/make_fixtures.sh '" + folder_ + "' " + file.substr(0, file.find('.')));
  fixtures_.push_back(file);
  return Path(file);
}

std::string MediaTest::Read(const std::string& name) const {
  std::ifstream file(Path(name), std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

size_t MediaTest::Lines(const std::string& name) const {
  const std::string text = Read(name);
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

bool MediaTest::Exists(const std::string& name) const { return fs::exists(Path(name)); }

std::vector<std::string> MediaTest::Outputs() const {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    std::string name = entry.path().filename().string();
    if (std::find(fixtures_.begin(), fixtures_.end(), name) == fixtures_.end()) {
      names.push_back(std::move(name));
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace sluice::testing
