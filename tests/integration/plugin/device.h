#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <sluice/sdk.hpp>

namespace sluice::probe {

/// A source with a device's queue: memory of its own, filled by a thread in the
/// order in which buffers are queued, told of by an fd.
class Camera : public sdk::Node<Camera> {
 public:
  static constexpr const char* kType = "probe.camera";
  Camera(sdk::NodeContext context, const sdk::Params& params);
  ~Camera();

  sdk::Status Probe(sdk::OfferSink& sink);
  sdk::Status Configure(const sdk::Configuration& configuration);
  sdk::Status Allocate(int32_t direction, uint32_t port, const sluice_pool_request& request,
                       sdk::PoolSink& sink);
  void ReleasePool(uint32_t pool, uint32_t epoch);
  sdk::Status TestImport(int32_t direction, uint32_t port, sdk::FrameRef frame);
  void ForgetPool(uint32_t, uint32_t) {}
  sdk::Status Start();
  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation);
  void Stop(int64_t deadline_ns, bool completed);

 private:
  struct Buffer {
    int fd = -1;
    uint8_t* base = nullptr;
    uint64_t size = 0;
  };
  void Fill();
  void Unmap();
  sdk::Status Know(uint32_t index, sdk::FrameRef frame);

  const int64_t frames_;
  const int64_t lose_at_;
  const int64_t lose_times_;
  const std::string fault_;
  const std::string key_;
  const sdk::Size size_;
  int ready_ = -1;  // eventfd
  std::vector<Buffer> buffers_;
  std::map<uint32_t, sdk::Frame> queued_;  // by buffer index
  int64_t next_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<uint32_t> empty_;   // guarded by mutex_, as all below
  std::deque<uint32_t> filled_;
  uint8_t stamp_ = 0;
  bool streaming_ = false;
  bool ending_ = false;
  std::thread thread_;
};

/// A sink that takes fds, refuses what it is told to refuse, and frees a frame
/// when the next one comes.
class Screen : public sdk::Node<Screen> {
 public:
  static constexpr const char* kType = "probe.screen";
  Screen(sdk::NodeContext context, const sdk::Params& params);
  sdk::Status TestImport(int32_t direction, uint32_t port, sdk::FrameRef frame);
  void ForgetPool(uint32_t pool, uint32_t epoch);
  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation);
  void Stop(int64_t deadline_ns, bool completed);

 private:
  const std::string refuse_;
  sdk::Frame shown_;
  uint8_t expected_ = 0;
};

}  // namespace sluice::probe
