#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include <sluice/sdk.hpp>

namespace sluice::probe {

/// A device that works on what is submitted, in order, on a thread of its own, and
/// signals a timeline of the host or of the kernel (sw_sync).
class Device {
 public:
  enum class Fences { kHost, kKernel };
  /// `lag`: submissions that are under way at once; the oldest ends when the next comes.
  Device(const sdk::Host& host, const char* name, Fences fences, uint32_t lag = 0);
  /// What is still under way ends.
  ~Device();

  /// False: this machine has no sw_sync.
  bool works() const { return fences_ == Fences::kHost || sw_sync_ >= 0; }

  /// The fence of new work which ends as `how` says: "fail", "never", "gate:NAME" (when
  /// OpenGate(NAME) was called), else when it is its turn. `check` runs just before it ends.
  /// The fence is valid until the next call.
  sdk::Fence Submit(const std::string& how, std::function<bool()> check = {});
  /// Whether a check has failed.
  bool torn() const;

 private:
  struct Work {
    uint64_t point;
    std::string how;
    std::function<bool()> check;
  };
  void Run();
  void End(const Work& work);
  sdk::Fence KernelFence(uint64_t point, const std::string& how);

  const Fences fences_;
  const uint32_t lag_;
  sdk::Timeline timeline_;
  int sw_sync_ = -1;
  int fence_ = -1;  // the latest, until the next call
  uint64_t next_ = 0;
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Work> work_;  // guarded by mutex_, as all below
  bool torn_ = false;
  std::thread thread_;
};

/// Lets go of whatever waits at a gate, now and later.
void OpenGate(const std::string& name);
bool IsOpen(const std::string& name);

}  // namespace sluice::probe
