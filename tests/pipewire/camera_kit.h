#pragma once

#include <sluice/sdk.hpp>
#include <sluice/testing/node_runner.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/pipewire/band.h"

extern "C" const sluice_entry sluice_plugin;

namespace sluice::testing {

/// pipewire.camera in the test's own process, fed with pictures that know whether they are whole.
class FedCamera {
 public:
  struct Options {
    std::string name = "sluice-camera";
    std::string memory = "shm";
    uint32_t width = 320;
    uint32_t height = 240;
    uint32_t buffers = 8;
    uint32_t rate = 500;  ///< frames a second
    int64_t timeout_ns = 2'000'000'000;
    uint32_t fourcc = SLUICE_FORMAT_XR24;
  };

  explicit FedCamera(const Options& options);
  ~FedCamera() { Stop(); }

  /// Through its verbs up to start(). The code of the one that failed, else SLUICE_OK.
  int32_t Start();
  void Stop();
  /// The next epoch, with another pool. The code of the verb that failed, else SLUICE_OK.
  int32_t NextEpoch();

  /// Shows the next picture: waits for a free buffer, paints, and hands it in; then until it was
  /// published. False when `patience` is over; a picture that was handed in is then waited for by
  /// the next call.
  bool Feed(std::chrono::milliseconds patience = std::chrono::seconds(30));
  /// Shows `count` pictures.
  bool FeedMany(int count);
  /// On a thread of its own until Rest().
  void FeedOn();
  void Rest();

  sdk::testing::NodeRunner& node() { return *runner_; }
  /// Of the pool's buffers.
  std::set<uint64_t> Inodes();
  uint64_t fed() const { return sequence_; }
  int32_t result() const { return result_; }
  /// A note or log line with this in it.
  bool Said(const std::string& text) const;

 private:
  int32_t ShowBuffers();
  sdk::testing::HeldFrame FreeFrame(std::chrono::steady_clock::time_point until);

  const Options options_;
  std::unique_ptr<sdk::testing::NodeRunner> runner_;
  bool started_ = false;
  bool pending_ = false;
  std::atomic<uint64_t> sequence_{0};
  std::atomic<int32_t> result_{SLUICE_OK};
  std::thread feeder_;
  std::atomic<bool> resting_{false};
};

}  // namespace sluice::testing
