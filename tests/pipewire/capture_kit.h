#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/pipewire/client.h"
#include "tests/pipewire/daemon.h"
#include "tests/pipewire/peers.h"
#include "tests/pipewire/process.h"

namespace sluice::testing {

using Json = nlohmann::json;

/// The pictures of a test's camera in these tests.
inline constexpr uint32_t kWidth = 64;
inline constexpr uint32_t kHeight = 48;

/// CRC-32, as core.checksum writes it.
uint32_t Crc32(const std::vector<uint8_t>& bytes);
/// The sequence of each picture of a test's camera, by its checksum.
const std::map<std::string, uint64_t>& Pictures();
/// What a report says of one node; null of one that is not there.
const Json& NodeOf(const Json& report, const std::string& name);

/// pipewire.capture in a `sluice run` of its own, and cameras of other programs.
class CaptureTest : public DaemonTest {
 protected:
  CaptureTest() = default;
  explicit CaptureTest(Daemon::Options options) : DaemonTest(std::move(options)) {}

  void SetUp() override;

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }

  /// `sluice run` of a graph.
  void Run(const std::string& graph, const std::vector<std::string>& options = {});
  /// Captures, with `parameters` of the node, into checksums.
  void Capture(const std::string& parameters, const std::string& sink = "core.checksum",
               const std::vector<std::string>& options = {});
  Json Report() const;
  /// Until it has ended by itself; what it reports.
  Json Ended(int expected = 0);
  Json Interrupted();
  /// Of the pictures that were captured.
  std::vector<std::string> Sums() const;
  /// Each picture is one of the camera's, whole, each later than the last; what is missing between
  /// them the report says.
  void ExpectPictures(size_t count, const Json& report) const;

  Peer StartSource(std::vector<std::string> more = {});
  size_t CountFdsOfSluice() const;
  /// How often its threads have gone to sleep.
  uint64_t SleepsOfSluice() const;

  std::unique_ptr<Client> client_;
  Process sluice_;
  std::string folder_;
};

}  // namespace sluice::testing
