#ifndef SLUICE_TESTS_BENCHMARK_GPU_RIG_H_
#define SLUICE_TESTS_BENCHMARK_GPU_RIG_H_

#include <sluice/abi.h>
#include <sluice/domain.h>
#include <sluice/memory.h>
#include <sluice/node.h>
#include <sluice/passes.h>

#include <cstdint>
#include <map>
#include <memory>
#include <sluice/testing/fake_host.hpp>
#include <string>
#include <vector>

#include "tests/benchmark/gpu/gpu.h"

/// The plugin `vulkan`, loaded as the engine loads it, on a host that does nothing but submit.
namespace sluice::benchmark {

/// A node of an island, with its parameters.
struct NodeSpec {
  std::string type;
  std::map<std::string, std::string> texts;
  std::map<std::string, double> numbers;
};

/// The plugin of a shared object. Outlives what is made of it.
class Plugin {
 public:
  /// Throws Failure.
  explicit Plugin(const std::string& path);
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;
  const sluice_entry& entry() const { return *entry_; }

 private:
  const sluice_entry* entry_ = nullptr;
};

class RigNode;

/// The host, and one domain.
class Rig {
 public:
  Rig(const Plugin& plugin, const std::string& device);
  ~Rig();
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  const Plugin& plugin() const { return plugin_; }
  sdk::testing::FakeHost& host() { return host_; }
  const sluice_domain& domain() const { return domain_; }
  /// Of the plugin's thread that tells timelines; of one rig at a time.
  static Pace& TimelinePace();
  std::string device_name() const;
  std::string driver() const;
  /// Warnings that the plugin logged, e.g. why a frame is copied.
  std::vector<std::string> logs() const { return host_.logs(); }

 private:
  const Plugin& plugin_;
  sdk::testing::FakeHost host_;
  sluice_timeline_api timelines_;
  sluice_frame_api frames_;
  sluice_domain domain_{};
};

/// Where a pool's bytes are.
enum class Place {
  kMemfd,   ///< shared memory of the host
  kDevice,  ///< memory that only the device knows
};

/// The frames at a border of islands.
class Frames {
 public:
  /// Throws Failure where the plugin cannot make them.
  Frames(Rig& rig, const sluice_format& format, uint32_t count, Place place);
  ~Frames();
  Frames(const Frames&) = delete;
  Frames& operator=(const Frames&) = delete;

  const sluice_format& format() const { return pool_->format(); }
  Place place() const { return place_; }
  uint32_t count() const { return static_cast<uint32_t>(frames_.size()); }
  sdk::testing::FakeFrame* at(uint64_t index) const { return frames_[index % frames_.size()]; }
  /// Of frames in memfds.
  uint8_t* bytes(uint32_t index) const { return frames_[index]->buffer->base; }
  uint64_t stride() const { return pool_->layout().planes[0].stride; }

 private:
  void AllocateOnDevice();

  Rig& rig_;
  Place place_;
  sdk::testing::FakePool* pool_ = nullptr;
  std::vector<sdk::testing::FakeFrame*> frames_;
  std::unique_ptr<RigNode> maker_;
};

/// A chain of nodes as one island, between frames.
class IslandRig {
 public:
  /// Throws Failure with what the node or the domain says. Borrows the frames.
  IslandRig(Rig& rig, const std::vector<NodeSpec>& nodes, const Frames& in, const Frames& out);
  ~IslandRig();
  IslandRig(const IslandRig&) = delete;
  IslandRig& operator=(const IslandRig&) = delete;

  /// For the frames that follow. Throws Failure with what the node says.
  void SetNumber(size_t node, const char* name, double value);
  /// Submits the next pair of frames. Where `in_flight` are pending, waits for half of them first.
  void Submit(uint32_t in_flight);
  /// Until all have been done. Throws Failure after ten seconds.
  void Finish();

  uint64_t submitted() const { return submitted_; }
  /// Seconds of this thread's processor time within submit() alone.
  double submit_cpu_s() const { return submit_cpu_s_; }
  uint64_t bytes_copied() const;

  struct Pass {
    std::string label;
    uint64_t frames = 0;
    uint64_t total_ns = 0;
    uint64_t min_ns = 0;
  };
  /// As the plugin measures them. Empty where it does not.
  std::vector<Pass> Passes() const;

 private:
  void Await(const sluice_fence& fence);

  Rig& rig_;
  const Frames& in_;
  const Frames& out_;
  std::vector<std::unique_ptr<RigNode>> nodes_;
  sluice_island* island_ = nullptr;
  std::vector<sluice_fence> fences_;  // of the last submissions, by their number
  uint64_t submitted_ = 0;
  uint64_t awaited_ = 0;
  double submit_cpu_s_ = 0;
};

/// Copies frames on the device: all of `out`, each from the next of `in`.
void Carry(Rig& rig, const Frames& in, const Frames& out);

/// Linear, full range R'G'B'.
sluice_format MakeRgbFormat(uint32_t fourcc, uint32_t width, uint32_t height);

}  // namespace sluice::benchmark

#endif  // SLUICE_TESTS_BENCHMARK_GPU_RIG_H_
