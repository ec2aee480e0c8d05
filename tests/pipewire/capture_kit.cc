#include "tests/pipewire/capture_kit.h"

#include <dirent.h>
#include <signal.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "tests/pipewire/band.h"

namespace sluice::testing {

uint32_t Crc32(const std::vector<uint8_t>& bytes) {
  static const std::array<uint32_t, 256> table = [] {
    std::array<uint32_t, 256> made{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ (value & 1 ? 0xEDB88320u : 0u);
      made[i] = value;
    }
    return made;
  }();
  uint32_t crc = ~0u;
  for (uint8_t byte : bytes) crc = crc >> 8 ^ table[(crc ^ byte) & 0xff];
  return ~crc;
}

const std::map<std::string, uint64_t>& Pictures() {
  static const std::map<std::string, uint64_t> pictures = [] {
    std::map<std::string, uint64_t> made;
    const BandLayout layout{kWidth * 4, kWidth * 4, kHeight};
    std::vector<uint8_t> pixels(kWidth * kHeight * 4);
    for (uint64_t sequence = 0; sequence < 3000; ++sequence) {
      WriteBand(pixels, layout, sequence);
      char text[9];
      std::snprintf(text, sizeof(text), "%08x", Crc32(pixels));
      made[text] = sequence;
    }
    return made;
  }();
  return pictures;
}

const Json& NodeOf(const Json& report, const std::string& name) {
  static const Json none;
  if (!report.is_object()) return none;
  for (const Json& node : report["nodes"]) {
    if (node["name"] == name) return node;
  }
  return none;
}

void CaptureTest::SetUp() {
  DaemonTest::SetUp();
  if (IsSkipped()) return;
  folder_ =
      ::testing::TempDir() + "/" + ::testing::UnitTest::GetInstance()->current_test_info()->name();
  std::filesystem::create_directories(folder_);
  auto client = Client::Connect();
  ASSERT_TRUE(client) << client.error().ToString();
  client_ = std::move(*client);
}

void CaptureTest::Run(const std::string& graph, const std::vector<std::string>& options) {
  std::ofstream(Path("graph.yaml")) << graph;
  std::vector<std::string> arguments{"engine/cli/sluice", "run", "--force", "--report",
                                     Path("report.json")};
  arguments.insert(arguments.end(), options.begin(), options.end());
  arguments.push_back(Path("graph.yaml"));
  auto sluice = Process::Start(arguments);
  ASSERT_TRUE(sluice) << sluice.error().ToString();
  sluice_ = std::move(*sluice);
}

void CaptureTest::Capture(const std::string& parameters, const std::string& sink,
                          const std::vector<std::string>& options) {
  std::string graph = "sluice: 1\nnodes:\n  cam: { type: pipewire.capture, " + parameters +
                      " }\n  out: { type: " + sink;
  if (sink == "core.checksum") graph += ", path: " + Path("sums") + ", overwrite: true";
  Run(graph + " }\nedges:\n  - cam -> out\n", options);
}

Json CaptureTest::Report() const {
  std::ifstream file(Path("report.json"));
  return Json::parse(std::string(std::istreambuf_iterator<char>(file), {}), nullptr, false);
}

Json CaptureTest::Ended(int expected) {
  auto status = sluice_.Wait();
  EXPECT_TRUE(status && *status == expected) << (status ? *status : -1);
  return Report();
}

Json CaptureTest::Interrupted() {
  sluice_.Signal(SIGINT);
  auto status = sluice_.Wait();
  EXPECT_TRUE(status && (*status == 0 || *status == 130)) << (status ? *status : -1);
  return Report();
}

std::vector<std::string> CaptureTest::Sums() const {
  std::ifstream file(Path("sums"));
  std::vector<std::string> sums;
  for (std::string line; std::getline(file, line);) {
    sums.push_back(line.substr(line.rfind(' ') + 1));
  }
  return sums;
}

void CaptureTest::ExpectPictures(size_t count, const Json& report) const {
  const std::vector<std::string> sums = Sums();
  EXPECT_EQ(sums.size(), count);
  uint64_t last = 0, missing = 0;
  for (size_t i = 0; i < sums.size(); ++i) {
    const auto found = Pictures().find(sums[i]);
    ASSERT_NE(found, Pictures().end()) << "frame " << i << " is no picture of the camera";
    EXPECT_TRUE(i == 0 || found->second > last) << "frame " << i << ": " << found->second;
    if (i > 0) missing += found->second - last - 1;
    last = found->second;
  }
  const Json drops = NodeOf(report, "cam")["drops"];
  EXPECT_EQ(drops.value("lost by the source", uint64_t{0}), missing) << report;
  EXPECT_EQ(drops.size(), missing == 0 ? 0u : 1u) << report;
}

Peer CaptureTest::StartSource(std::vector<std::string> more) {
  more.insert(more.begin(), {"source", "--name", "source", "--width", std::to_string(kWidth),
                             "--height", std::to_string(kHeight)});
  auto peer = Peer::Start(std::move(more));
  EXPECT_TRUE(peer) << peer.error().ToString();
  auto seen = client_->WaitForNode("source");
  EXPECT_TRUE(seen) << seen.error().ToString();
  return peer ? std::move(*peer) : Peer();
}

size_t CaptureTest::CountFdsOfSluice() const {
  size_t count = 0;
  const std::string folder = "/proc/" + std::to_string(sluice_.pid()) + "/fd";
  if (DIR* dir = opendir(folder.c_str())) {
    while (readdir(dir) != nullptr) ++count;
    closedir(dir);
  }
  return count;
}

uint64_t CaptureTest::SleepsOfSluice() const {
  uint64_t sum = 0;
  const std::string folder = "/proc/" + std::to_string(sluice_.pid()) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(folder)) {
    std::ifstream status(task.path() / "status");
    uint64_t count = 0;
    for (std::string word; status >> word;) {
      if (word == "voluntary_ctxt_switches:" && status >> count) sum += count;
    }
  }
  return sum;
}

}  // namespace sluice::testing
