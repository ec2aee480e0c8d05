#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <sluice/sdk.hpp>

namespace sluice::probe {

/// An image of bytes in somebody's memory.
struct Image {
  uint8_t* base = nullptr;
  uint64_t stride = 0;
};

/// What a node of the domain "probe" does with one firing's images.
class Step {
 public:
  static constexpr const char* kId = "probe.step/1";
  struct Work {
    std::vector<Image> inputs;  ///< by port; null where not connected
    Image output;
    uint32_t width = 0;
    uint32_t height = 0;
    int64_t value = 0;  ///< as value() was when it was submitted
  };

  virtual ~Step() = default;
  virtual int64_t value() const { return 0; }
  virtual void Run(const Work& work) const = 0;
  /// [process-thread] Before a firing.
  virtual sdk::Status Begin() { return {}; }
  /// Whether it goes into the pass of what comes before it.
  virtual bool fuses() const { return false; }
};

/// The domain "probe": a device with one queue that a thread works off. All of an
/// island runs over memory of its own.
class Array {
 public:
  static constexpr const char* kDomain = "probe";

  class Island {
   public:
    struct Pass {
      std::string label;
      std::string apart;
      std::vector<uint32_t> nodes;
      uint64_t bytes_read = 0;
      uint64_t bytes_written = 0;
      mutable std::mutex mutex;
      uint64_t frames = 0, total_ns = 0, min_ns = 0, max_ns = 0;  // guarded by mutex
    };
    struct Place {
      enum class Kind { kNone, kInput, kOutput, kInner } kind = Kind::kNone;
      uint32_t index = 0;
    };
    struct Node {
      Step* step = nullptr;
      std::vector<Place> inputs;
      std::vector<Place> outputs;  ///< the border's, or the one inside; all get the same
      uint32_t pass = 0;
    };
    std::string name;
    std::vector<Node> nodes;
    std::vector<std::vector<uint8_t>> inner;
    std::vector<std::unique_ptr<Pass>> passes;
    uint32_t width = 0, height = 0;  ///< [process-thread] of the images, once known
  };

  Array(const sdk::Host& host, std::string device);
  ~Array();
  static sdk::Expected<std::unique_ptr<Array>> Create(const sdk::Host& host,
                                                      const sdk::Params& params);
  sdk::Status Describe(sluice_domain_info& info);
  sdk::Expected<std::unique_ptr<Island>> CreateIsland(const sluice_island_desc& desc);
  sdk::Status Submit(Island& island, const sluice_batch& batch, std::span<sluice_fence> fences);
  void ForgetPool(uint32_t, uint32_t) {}
  sdk::Status WaitIdle(int64_t deadline_ns);
  sdk::Expected<uint64_t> Predict(const sluice_island_desc& desc,
                                  std::span<const sluice_format> inputs,
                                  std::span<const sluice_format> outputs, sdk::PassSink& sink);
  sdk::Status Measured(const Island& island, sdk::PassTimeSink& sink);

 private:
  struct Job {
    uint64_t point = 0;
    Island* island = nullptr;
    std::vector<Image> inputs, outputs;
    std::vector<int64_t> values;
    uint32_t width = 0, height = 0;
  };
  void Run();
  void Execute(const Job& job);
  sdk::Expected<Image> ImageOf(sluice_frame* frame, Island& island) const;

  const sdk::Host host_;
  const std::string device_;
  sdk::Timeline timeline_;
  std::mutex submit_mutex_;  // islands have threads of their own; the queue has one order
  uint64_t next_ = 0;        // guarded by submit_mutex_
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;  // guarded by mutex_, as all below
  uint64_t done_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

class Add final : public sdk::Node<Add>, public Step {
 public:
  static constexpr const char* kType = "probe.add";
  Add(sdk::NodeContext context, const sdk::Params& params);
  sdk::Status Reconfigure(const sdk::Configuration&) { return {}; }
  sdk::Status SetParam(const sluice_param& param);
  const void* GetExtension(const char* id);
  int64_t value() const override { return value_; }
  void Run(const Work& work) const override;
  sdk::Status Begin() override;
  bool fuses() const override { return true; }

 private:
  std::atomic<int64_t> value_;
  const int64_t fail_at_, renegotiate_at_;
  const bool accuse_;
  int64_t fail_times_;
  int64_t firing_ = 0;
};

class Mix final : public sdk::Node<Mix>, public Step {
 public:
  static constexpr const char* kType = "probe.mix";
  Mix(sdk::NodeContext context, const sdk::Params&) : Node(context) {}
  const void* GetExtension(const char* id);
  void Run(const Work& work) const override;
};

class Paint final : public sdk::Node<Paint>, public Step {
 public:
  static constexpr const char* kType = "probe.paint";
  Paint(sdk::NodeContext context, const sdk::Params& params);
  sdk::Status Probe(sdk::OfferSink& sink);
  const void* GetExtension(const char* id);
  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation);
  int64_t value() const override { return value_; }
  void Run(const Work& work) const override;

 private:
  const int64_t value_, frames_;
  const sdk::Size size_;
  const bool pause_;
  bool paused_ = false;
  int64_t next_ = 0;
};

class Swallow final : public sdk::Node<Swallow>, public Step {
 public:
  static constexpr const char* kType = "probe.swallow";
  Swallow(sdk::NodeContext context, const sdk::Params& params)
      : Node(context), value_(params.Int("value")) {}
  const void* GetExtension(const char* id);
  int64_t value() const override { return value_; }
  void Run(const Work& work) const override;
  sdk::Status Begin() override;

 private:
  const int64_t value_;
  mutable std::atomic<bool> wrong_{false};
};

/// A sink of the CPU's.
class Expect final : public sdk::Node<Expect> {
 public:
  static constexpr const char* kType = "probe.expect";
  Expect(sdk::NodeContext context, const sdk::Params& params);
  sdk::Status Configure(const sdk::Configuration& configuration);
  sdk::Status Reconfigure(const sdk::Configuration& configuration) {
    return Configure(configuration);
  }
  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation);

 private:
  /// Empty: every byte is as it should be.
  std::string Problem(sdk::Frame& frame) const;

  const int64_t plus_, times_, settles_;
  const bool stamped_;
  int64_t right_ = 0;
  uint32_t width_ = 0, height_ = 0;
};

}  // namespace sluice::probe
