#include "tests/pipewire/camera_kit.h"

#include <sys/stat.h>

#include <span>
#include <utility>

namespace sluice::testing {
namespace {

using sdk::testing::HeldFrame;
using sdk::testing::NodeRunner;
using sdk::testing::PortSpec;
using Clock = std::chrono::steady_clock;

}  // namespace

FedCamera::FedCamera(const Options& options) : options_(options) {
  sdk::testing::Parameters params;
  params.String("name", options.name.c_str())
      .String("description", "a camera of the test")
      .String("remote", "")
      .Enum("memory", options.memory.c_str())
      .Int("buffers", 4)
      .DurationNs("timeout", options.timeout_ns);
  runner_ = std::make_unique<NodeRunner>(sluice_plugin, "pipewire.camera", std::move(params));
}

int32_t FedCamera::Start() {
  PortSpec spec;
  spec.format.fourcc = options_.fourcc;
  spec.format.width = options_.width;
  spec.format.height = options_.height;
  spec.format.rate = {options_.rate, 1};
  spec.buffers = options_.buffers;
  spec.device_access = true;
  spec.views = SLUICE_VIEW_SHM;
  if (options_.memory != "shm") spec.views |= SLUICE_VIEW_DMABUF;
  runner_->Input("in", spec);
  runner_->set_realtime(false);
  if (const int32_t code = runner_->created(); code < 0) return code;
  if (const int32_t code = runner_->Probe(); code < 0) return code;
  if (const int32_t code = runner_->Configure(); code < 0) return code;
  if (const int32_t code = ShowBuffers(); code < 0) return code;
  const int32_t code = runner_->Start();
  started_ = code >= 0;
  return code;
}

int32_t FedCamera::NextEpoch() {
  if (const int32_t code = runner_->Reconfigure(); code < 0) return code;
  return ShowBuffers();
}

/// All buffers of the pool, as before anything runs.
int32_t FedCamera::ShowBuffers() {
  const auto* importer = static_cast<const sluice_importer*>(
      runner_->node().get_extension(runner_->node().self, SLUICE_IMPORTER_ID));
  std::vector<HeldFrame> all;
  while (HeldFrame frame = runner_->NewFrame()) {
    if (const int32_t code =
            importer->test(runner_->node().self, SLUICE_PORT_INPUT, 0, frame.frame()->c());
        code < 0) {
      return code;
    }
    all.push_back(std::move(frame));
  }
  return SLUICE_OK;
}

void FedCamera::Stop() {
  Rest();
  if (std::exchange(started_, false)) runner_->Stop(false);
}

HeldFrame FedCamera::FreeFrame(Clock::time_point until) {
  for (;;) {
    HeldFrame frame = runner_->NewFrame();
    if (frame || Clock::now() >= until || resting_) return frame;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

bool FedCamera::Feed(std::chrono::milliseconds patience) {
  const Clock::time_point until = Clock::now() + patience;
  const auto left = [&] {
    return std::max(std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()),
                    std::chrono::milliseconds(0));
  };
  if (!pending_) {
    HeldFrame frame = FreeFrame(until);
    if (!frame) return false;
    const BandLayout layout{options_.width * 4, static_cast<uint32_t>(frame.stride(0)),
                            options_.height};
    WriteBand(std::span(frame.Row(0, 0), layout.stride * std::size_t{layout.rows}), layout,
              sequence_);
    frame.Info().sequence = sequence_;
    frame.Info().pts_ns = static_cast<int64_t>(sequence_ * 1'000'000'000 / options_.rate);
    ++sequence_;
    result_ = runner_->Push(std::move(frame));
    pending_ = result_ == SLUICE_PROCESS_ASYNC;
    if (!pending_) return result_ >= 0;
  }
  const int32_t result = runner_->WaitComplete(left());
  if (result == SLUICE_E_TIMEOUT) return false;
  pending_ = false;
  result_ = result;
  return result >= 0;
}

bool FedCamera::FeedMany(int count) {
  for (int i = 0; i < count; ++i) {
    if (!Feed()) return false;
  }
  return true;
}

void FedCamera::FeedOn() {
  Rest();
  feeder_ = std::thread([this] {
    while (!resting_ && result_ >= 0) Feed(std::chrono::milliseconds(50));
  });
}

void FedCamera::Rest() {
  resting_ = true;
  if (feeder_.joinable()) feeder_.join();
  resting_ = false;
}

std::set<uint64_t> FedCamera::Inodes() {
  std::set<uint64_t> inodes;
  std::vector<HeldFrame> all;
  while (HeldFrame frame = runner_->NewFrame()) {
    sluice_memory memory{};
    struct stat status {};
    if (runner_->host().host().memory()->fds(frame.frame()->c(), SLUICE_VIEW_SHM, &memory) >= 0 &&
        fstat(memory.parts[0].fd, &status) == 0) {
      inodes.insert(status.st_ino);
    }
    all.push_back(std::move(frame));
  }
  return inodes;
}

bool FedCamera::Said(const std::string& text) const {
  for (const std::string& note : runner_->notes()) {
    if (note.find(text) != std::string::npos) return true;
  }
  return false;
}

}  // namespace sluice::testing
