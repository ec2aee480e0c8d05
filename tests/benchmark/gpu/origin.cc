#include <cstring>
#include <string>

#include "tests/benchmark/gpu/arms.h"

namespace sluice::benchmark {
namespace {

using nlohmann::json;

constexpr uint32_t kFilters = 8;
constexpr uint32_t kInFlight = 3;

/// A frame's work, recorded once.
using Recorded = std::vector<std::unique_ptr<Commands>>;

struct Rate {
  double wall_s = 0;     ///< a frame
  double thread_s = 0;   ///< of processor time, of the thread that submits and waits
  double process_s = 0;  ///< of all threads: the driver's too
  double submit_s = 0;   ///< of the thread's, within submissions
};

/// Runs `frame(i)` for i = 0, 1, ... until the time is over, ends with `finish`.
Rate Count(double seconds, const std::function<void(uint64_t)>& frame,
           const std::function<void()>& finish) {
  for (uint64_t i = 0; i < 3; ++i) frame(i);
  finish();
  const double begin = WallSeconds();
  const double thread = ThreadSeconds();
  const double process = ProcessSeconds();
  uint64_t frames = 0;
  while (frames < 10 || WallSeconds() - begin < seconds) frame(frames++);
  finish();
  const auto count = static_cast<double>(frames);
  return {(WallSeconds() - begin) / count, (ThreadSeconds() - thread) / count,
          (ProcessSeconds() - process) / count, 0};
}

json Row(const char* what, const Options& options, const Rate& rate) {
  return {{"arm", "origin"},
          {"what", what},
          {"format", "RGBA8"},
          {"size", std::to_string(options.size.width) + "x" + std::to_string(options.size.height)},
          {"filters", kFilters},
          {"ms", rate.wall_s * 1e3},
          {"fps", 1 / rate.wall_s},
          {"thread_cpu_us", rate.thread_s * 1e6},
          {"submit_cpu_us", rate.submit_s * 1e6},
          {"process_cpu_us", rate.process_s * 1e6}};
}

/// Submits recorded frames, at most `in_flight` at a time.
Rate CountSubmissions(Gpu& gpu, const Options& options, const Recorded& recorded,
                      uint32_t in_flight) {
  InFlight submissions(gpu, in_flight);
  double in_submissions = 0;
  Rate rate = Count(
      options.seconds,
      [&](uint64_t i) {
        submissions.MakeRoom();
        const double before = ThreadSeconds();
        submissions.Submit(*recorded[i % recorded.size()]);
        in_submissions += ThreadSeconds() - before;
      },
      [&] { submissions.Finish(); });
  rate.submit_s = in_submissions / static_cast<double>(submissions.submitted());
  return rate;
}

Recorded RecordAll(Gpu& gpu, const ChainKernel& kernel, const Buffers& in, const Buffers& out) {
  Recorded recorded;
  for (size_t i = 0; i < in.size(); ++i) {
    auto commands = std::make_unique<Commands>(gpu);
    commands->Begin();
    commands->Barrier();
    kernel.Record(*commands, *in[i], *out[i]);
    commands->End();
    recorded.push_back(std::move(commands));
  }
  return recorded;
}

/// Copy in, upload, filter, read back, copy out; each frame waited for.
Rate Origin(Gpu& gpu, const Options& options, const ChainKernel& kernel,
            const std::vector<std::unique_ptr<SharedPages>>& in,
            const std::vector<std::unique_ptr<SharedPages>>& out) {
  const uint64_t bytes = options.size.pixels() * BytesPerPixel(Format::kRgba8);
  Buffer upload(gpu, bytes, Buffer::Place::kUpload);
  Buffer read_back(gpu, bytes, Buffer::Place::kReadBack);
  Buffer source(gpu, bytes, Buffer::Place::kDevice);
  Buffer result(gpu, bytes, Buffer::Place::kDevice);
  Commands commands(gpu);
  commands.Begin();
  commands.Barrier();
  commands.Copy(upload, source);
  commands.Barrier();
  kernel.Record(commands, source, result);
  commands.Barrier();
  commands.Copy(result, read_back);
  commands.End();
  TimelineSemaphore done(gpu);
  uint64_t submitted = 0;
  return Count(
      options.seconds,
      [&](uint64_t i) {
        std::memcpy(upload.mapped(), in[i % in.size()]->data(), bytes);
        done.SubmitAndSignal(commands.handle(), ++submitted);
        done.Wait(submitted);
        std::memcpy(out[i % out.size()]->data(), read_back.mapped(), bytes);
      },
      [] {});
}

void CheckPages(const Options& options, const SharedPages& in, const SharedPages& out,
                const char* what) {
  CheckDifference(WorstDifference(in.data(), out.data(), options.size, Format::kRgba8,
                                  Format::kRgba8, MakeChain(kFilters)),
                  1.01, what);
}

void HostPointers(Gpu& gpu, const Options& options, const ChainKernel& kernel,
                  const std::vector<std::unique_ptr<SharedPages>>& in,
                  const std::vector<std::unique_ptr<SharedPages>>& out, const Emit& emit) {
  if (!gpu.imports_host_pointers()) {
    emit({{"arm", "origin"},
          {"what", "memfd to memfd"},
          {"error", "the device has no VK_EXT_external_memory_host"}});
    return;
  }
  Buffers in_buffers;
  Buffers out_buffers;
  for (size_t i = 0; i < in.size(); ++i) {
    in_buffers.push_back(std::make_unique<Buffer>(gpu, in[i]->data(), in[i]->bytes()));
    out_buffers.push_back(std::make_unique<Buffer>(gpu, out[i]->data(), out[i]->bytes()));
    std::memset(out[i]->data(), 0, out[i]->bytes());
  }
  const GpuTime time = MeasureGpu(gpu, static_cast<uint32_t>(in.size()), options.rounds,
                                  [&](Commands& commands, uint32_t i) {
                                    kernel.Record(commands, *in_buffers[i], *out_buffers[i]);
                                  });
  CheckPages(options, *in[0], *out[0], "memfd to memfd");
  const Recorded recorded = RecordAll(gpu, kernel, in_buffers, out_buffers);
  for (const uint32_t in_flight : {1U, kInFlight}) {
    json row = Row("memfd to memfd, one dispatch", options,
                   CountSubmissions(gpu, options, recorded, in_flight));
    row["in_flight"] = in_flight;
    row["gpu_us"] = time.alone_ns / 1e3;
    emit(row);
  }
}

}  // namespace

void RunOrigin(Gpu& gpu, const Options& options, const Emit& emit) {
  Variant variant;
  variant.params = Variant::Params::kUniform;
  const ChainKernel kernel(gpu, MakeChain(kFilters), options.size, Format::kRgba8, Format::kRgba8,
                           variant);
  const uint64_t bytes = options.size.pixels() * BytesPerPixel(Format::kRgba8);
  // Fewer than the device's ring: the pages of each are pinned.
  const uint32_t count = std::min(options.ring, 8U);
  std::vector<std::unique_ptr<SharedPages>> in;
  std::vector<std::unique_ptr<SharedPages>> out;
  for (uint32_t i = 0; i < count; ++i) {
    in.push_back(std::make_unique<SharedPages>(bytes));
    out.push_back(std::make_unique<SharedPages>(bytes));
    FillFrame(in.back()->data(), options.size, Format::kRgba8);
    std::memset(out.back()->data(), 0, bytes);
  }
  const Rate origin = Origin(gpu, options, kernel, in, out);
  CheckPages(options, *in[0], *out[0], "the origin's way");
  json row = Row("the origin's way: copied in, uploaded, filtered, read back, copied out", options,
                 origin);
  row["in_flight"] = 1;
  emit(row);
  HostPointers(gpu, options, kernel, in, out, emit);

  const Buffers device_in = MakeRing(gpu, options.ring, options.size, Format::kRgba8);
  const Buffers device_out = MakeRing(gpu, options.ring, options.size, Format::kRgba8);
  const Recorded recorded = RecordAll(gpu, kernel, device_in, device_out);
  const GpuTime time =
      MeasureGpu(gpu, options.ring, options.rounds, [&](Commands& commands, uint32_t i) {
        kernel.Record(commands, *device_in[i], *device_out[i]);
      });
  for (const uint32_t in_flight : {1U, kInFlight, 8U}) {
    json device = Row("device memory to device memory, a submission a frame", options,
                      CountSubmissions(gpu, options, recorded, in_flight));
    device["in_flight"] = in_flight;
    device["gpu_us"] = time.alone_ns / 1e3;
    emit(device);
  }
}

}  // namespace sluice::benchmark
