#include <atomic>
#include <exception>
#include <string>
#include <thread>

#include "tests/benchmark/gpu/arms.h"

namespace sluice::benchmark {
namespace {

constexpr uint32_t kFilters = 4;
constexpr uint32_t kBuffers = 3;

/// One stream: its frames, their recorded work, and a thread.
class Stream {
 public:
  Stream(Gpu& gpu, const ChainKernel& kernel, Size size)
      : gpu_(gpu),
        in_(MakeRing(gpu, kBuffers, size, Format::kRgba8)),
        out_(MakeRing(gpu, kBuffers, size, Format::kRgba8)),
        submissions_(gpu, kBuffers) {
    for (uint32_t i = 0; i < kBuffers; ++i) {
      recorded_.push_back(std::make_unique<Commands>(gpu));
      recorded_.back()->Begin();
      recorded_.back()->Barrier();
      kernel.Record(*recorded_.back(), *in_[i], *out_[i]);
      recorded_.back()->End();
    }
  }
  ~Stream() {
    if (thread_.joinable()) thread_.join();
  }

  void Start(const std::atomic<bool>& over) {
    thread_ = std::thread([this, &over] {
      try {
        Work(over);
      } catch (const std::exception& failure) {
        error_ = failure.what();
      }
    });
  }
  /// Throws what the thread threw.
  void Join() {
    thread_.join();
    if (!error_.empty()) throw Failure(error_);
  }
  uint64_t submitted() const { return submitted_.load(); }

 private:
  void Work(const std::atomic<bool>& over) {
    while (!over.load()) {
      submissions_.MakeRoom();
      submissions_.Submit(*recorded_[submissions_.submitted() % kBuffers]);
      submitted_ = submissions_.submitted();
    }
    submissions_.Finish();
  }

  Gpu& gpu_;
  Buffers in_;
  Buffers out_;
  std::vector<std::unique_ptr<Commands>> recorded_;
  InFlight submissions_;
  std::atomic<uint64_t> submitted_{0};
  std::string error_;
  std::thread thread_;
};

void RunCount(Gpu& gpu, const Options& options, uint32_t count, const Emit& emit) {
  Variant variant;
  variant.params = Variant::Params::kUniform;
  const ChainKernel kernel(gpu, MakeChain(kFilters), options.stream_size, Format::kRgba8,
                           Format::kRgba8, variant);
  std::vector<std::unique_ptr<Stream>> streams;
  for (uint32_t i = 0; i < count; ++i) {
    streams.push_back(std::make_unique<Stream>(gpu, kernel, options.stream_size));
  }
  std::atomic<bool> over{false};
  for (const auto& stream : streams) stream->Start(over);
  const Counted counted = CountFrames(options.seconds, [&] {
    std::vector<uint64_t> frames;
    for (const auto& stream : streams) frames.push_back(stream->submitted());
    return frames;
  });
  const uint64_t memory = gpu.MemoryUsed();
  over = true;
  for (const auto& stream : streams) stream->Join();
  const Size size = options.stream_size;
  emit({{"arm", "streams"},
        {"what", "by hand"},
        {"format", "RGBA8"},
        {"size", std::to_string(size.width) + "x" + std::to_string(size.height)},
        {"filters", kFilters},
        {"streams", count},
        {"fps", counted.fps},
        {"fairness", counted.fairness},
        {"process_cpu_us", 1e6 * counted.process_s},
        {"gpu_memory_bytes", memory}});
}

}  // namespace

void RunStreams(Gpu& gpu, const Options& options, const Emit& emit) {
  for (const uint32_t count : options.streams) RunCount(gpu, options, count, emit);
}

}  // namespace sluice::benchmark
