#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "tests/benchmark/gpu/arms.h"

namespace sluice::benchmark {
namespace {

using nlohmann::json;

/// Buffers of one format of frames.
struct Rings {
  Rings(Gpu& gpu, const Options& options, Format format)
      : in(MakeRing(gpu, options.ring, options.size, format)),
        out(MakeRing(gpu, options.ring, options.size, format)),
        source(gpu, in[0]->bytes(), Buffer::Place::kReadBack),
        result(gpu, in[0]->bytes(), Buffer::Place::kReadBack) {}
  Buffers in;
  Buffers out;
  Buffer source;  ///< where the CPU sees one frame of each
  Buffer result;
};

std::vector<Variant> Shapes(bool search) {
  std::vector<Variant> all;
  for (const auto& [x, y, rows] : std::vector<std::array<uint32_t, 3>>{{32, 8, 1},
                                                                       {32, 4, 1},
                                                                       {32, 4, 2},
                                                                       {32, 8, 2},
                                                                       {64, 4, 1},
                                                                       {64, 2, 2},
                                                                       {32, 2, 4},
                                                                       {32, 16, 1},
                                                                       {192, 1, 1}}) {
    Variant variant;
    variant.group_x = x;
    variant.group_y = y;
    variant.rows = rows;
    all.push_back(variant);
    if (!search && all.size() == 2) break;
  }
  return all;
}

/// The kernel does what the reference does; throws Failure where it does not.
void Check(Gpu& gpu, const Options& options, const std::vector<Filter>& chain, Format format,
           const std::vector<const ChainKernel*>& kernels, const Rings& rings,
           const std::vector<const Buffer*>& places, const std::string& what, double allowed) {
  Commands commands(gpu);
  commands.Begin();
  commands.Copy(*rings.in[0], rings.source);
  const Buffer* from = rings.in[0].get();
  for (size_t i = 0; i < kernels.size(); ++i) {
    commands.Barrier();
    kernels[i]->Record(commands, *from, *places[i]);
    from = places[i];
  }
  commands.Barrier();
  commands.Copy(*from, rings.result);
  commands.End();
  gpu.Run(commands.handle());
  CheckDifference(WorstDifference(rings.source.mapped(), rings.result.mapped(), options.size,
                                  format, format, chain),
                  allowed, what);
}

Best FindBest(Gpu& gpu, const Options& options, const Rings& rings,
              const std::vector<Filter>& chain, Format format,
              const std::vector<Variant>& variants) {
  std::vector<std::pair<double, Variant>> found;
  for (const Variant& variant : variants) {
    const ChainKernel kernel(gpu, chain, options.size, format, format, variant);
    Check(gpu, options, chain, format, {&kernel}, rings, {rings.out[0].get()}, variant.ToString(),
          1.01);
    const GpuTime time = MeasureGpu(gpu, options.ring, 2, [&](Commands& commands, uint32_t i) {
      kernel.Record(commands, *rings.in[i], *rings.out[i]);
    });
    found.emplace_back(time.alone_ns, variant);
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  // Again, with more rounds, those that were near.
  Best best;
  best.tried = static_cast<uint32_t>(variants.size());
  best.time.alone_ns = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < std::min<size_t>(3, found.size()); ++i) {
    const ChainKernel kernel(gpu, chain, options.size, format, format, found[i].second);
    const GpuTime time =
        MeasureGpu(gpu, options.ring, options.rounds, [&](Commands& commands, uint32_t k) {
          kernel.Record(commands, *rings.in[k], *rings.out[k]);
        });
    if (time.alone_ns < best.time.alone_ns) {
      best.time = time;
      best.variant = found[i].second;
    }
  }
  return best;
}

json Row(const char* what, const Options& options, Format format, size_t filters,
         const GpuTime& time, uint64_t bytes) {
  return {{"arm", "limits"},
          {"what", what},
          {"format", ToString(format)},
          {"size", std::to_string(options.size.width) + "x" + std::to_string(options.size.height)},
          {"filters", filters},
          {"gpu_us", time.alone_ns / 1e3},
          {"streamed_us", time.streamed_ns / 1e3},
          {"submitted_us", time.submitted_ns / 1e3},
          {"gb_s", static_cast<double>(bytes) / time.alone_ns}};
}

void EmitBest(const char* what, const Options& options, Format format, size_t filters,
              const Best& best, const Emit& emit) {
  const uint64_t bytes = 2 * options.size.pixels() * BytesPerPixel(format);
  json row = Row(what, options, format, filters, best.time, bytes);
  row["variant"] = best.variant.ToString();
  row["tried"] = best.tried;
  emit(row);
}

std::vector<Variant> With(std::vector<Variant> shapes, Variant::Params params, bool magic,
                          bool full) {
  for (Variant& variant : shapes) {
    variant.params = params;
    variant.magic = magic;
    variant.full = full;
  }
  return shapes;
}

/// One kernel for the whole chain.
void Fused(Gpu& gpu, const Options& options, const Rings& rings, uint32_t filters, Format format,
           const Emit& emit) {
  const std::vector<Filter> chain = MakeChain(filters);
  const std::vector<Variant> shapes = Shapes(options.search);
  const auto measure = [&](const char* what, const std::vector<Variant>& variants) {
    Best best{variants[0], {}, 0};
    try {
      best = FindBest(gpu, options, rings, chain, format, variants);
      EmitBest(what, options, format, filters, best, emit);
    } catch (const Failure& failure) {
      emit({{"arm", "limits"},
            {"what", what},
            {"format", ToString(format)},
            {"filters", filters},
            {"error", failure.what()}});
    }
    return best;
  };
  const Best constants =
      measure("one kernel, constants", With(shapes, Variant::Params::kConstant, true, false));
  std::vector<Variant> live;
  for (const Variant::Params params : {Variant::Params::kPushed, Variant::Params::kUniform}) {
    const std::vector<Variant> some = With(shapes, params, true, false);
    live.insert(live.end(), some.begin(), some.end());
  }
  measure("one kernel, live parameters", live);
  // What the choices are worth, with the best shape.
  const std::vector<Variant> one = {constants.variant};
  measure("one kernel, live parameters in a storage buffer",
          With(one, Variant::Params::kStored, true, false));
  measure("one kernel, live parameters, all of vulkan.adjust",
          With(one, Variant::Params::kUniform, true, true));
  if (format == Format::kRgba8) {
    measure("one kernel, constants, unpackUnorm4x8",
            With(one, Variant::Params::kConstant, false, false));
  }
}

/// A dispatch for each filter, with a barrier between.
void Unfused(Gpu& gpu, const Options& options, const Rings& rings, uint32_t filters, Format format,
             Format between, const Emit& emit) {
  const std::vector<Filter> chain = MakeChain(filters);
  const Buffers inner = MakeRing(gpu, 2, options.size, between);
  GpuTime best{std::numeric_limits<double>::infinity(), 0};
  Variant best_variant;
  for (const Variant& variant : With(Shapes(false), Variant::Params::kUniform, true, false)) {
    std::vector<std::unique_ptr<ChainKernel>> kernels;
    std::vector<const ChainKernel*> borrowed;
    std::vector<const Buffer*> places;
    for (uint32_t i = 0; i < filters; ++i) {
      kernels.push_back(std::make_unique<ChainKernel>(
          gpu, std::vector<Filter>{chain[i]}, options.size, i == 0 ? format : between,
          i + 1 == filters ? format : between, variant));
      borrowed.push_back(kernels.back().get());
      places.push_back(i + 1 == filters ? rings.out[0].get() : inner[i % 2].get());
    }
    // Every step rounds 8-bit intermediates, and what follows may widen that.
    Check(gpu, options, chain, format, borrowed, rings, places, "one dispatch a filter",
          between == Format::kRgba8 ? 12 : 1.51);
    const GpuTime time =
        MeasureGpu(gpu, options.ring, options.rounds, [&](Commands& commands, uint32_t frame) {
          for (uint32_t i = 0; i < filters; ++i) {
            if (i > 0) commands.Barrier();
            kernels[i]->Record(commands, i == 0 ? *rings.in[frame] : *inner[(i - 1) % 2],
                               i + 1 == filters ? *rings.out[frame] : *inner[i % 2]);
          }
          // The next frame uses the same intermediates.
          commands.Barrier();
        });
    if (time.alone_ns < best.alone_ns) {
      best = time;
      best_variant = variant;
    }
  }
  const uint64_t ends = 2 * options.size.pixels() * BytesPerPixel(format);
  const uint64_t bytes = ends + 2 * (filters - 1) * options.size.pixels() * BytesPerPixel(between);
  json row = Row(between == Format::kRgba8 ? "a dispatch a filter, 8 bit between"
                                           : "a dispatch a filter, half float between",
                 options, format, filters, best, bytes);
  row["variant"] = best_variant.ToString();
  emit(row);
}

}  // namespace

/// Until the device's clocks are up. One that was idle takes a second or more of work, one that
/// waited while a kernel was compiled some more, and what is measured before is several times
/// slower. A time that only looks steady is no proof: the lower clocks are steady too. `busy`: work
/// of many frames, so that the device hardly waits between two submissions.
static void WarmUp(Gpu& gpu, const Commands& busy) {
  if (gpu.is_software()) return;
  static bool first = true;
  const double least = first ? 3 : 0.4;
  first = false;
  for (const double begin = WallSeconds(); WallSeconds() - begin < least;) gpu.Run(busy.handle());
}

/// As an engine does it: each frame is a submission of its own, recorded once, eight are under way,
/// and one of four frames is timed.
static double MeasureSubmitted(Gpu& gpu, uint32_t ring, uint32_t rounds,
                               const std::function<void(Commands&, uint32_t)>& record) {
  constexpr uint64_t kInFlight = 8;
  constexpr uint32_t kTimedOneIn = 4;
  std::vector<std::unique_ptr<Commands>> frames;
  for (uint32_t i = 0; i < ring; ++i) {
    const bool timed = i % kTimedOneIn == 0;
    frames.push_back(std::make_unique<Commands>(gpu, timed ? 2 : 0));
    frames.back()->Begin();
    frames.back()->Barrier();
    if (timed) frames.back()->Timestamp(0);
    record(*frames.back(), i);
    if (timed) frames.back()->Timestamp(1);
    frames.back()->End();
  }
  InFlight submissions(gpu, kInFlight);
  std::vector<double> times;
  for (uint32_t round = 0; round < rounds * kTimedOneIn; ++round) {
    for (const auto& frame : frames) {
      submissions.MakeRoom();
      submissions.Submit(*frame);
    }
    submissions.Finish();
    if (round == 0) continue;  // it comes after a pause
    for (uint32_t i = 0; i < ring; i += kTimedOneIn)
      times.push_back(frames[i]->ReadTimestamps()[1]);
  }
  return Median(times);
}

Buffers MakeRing(Gpu& gpu, uint32_t count, Size size, Format format) {
  const uint64_t bytes = size.pixels() * BytesPerPixel(format);
  Buffer upload(gpu, bytes, Buffer::Place::kUpload);
  FillFrame(upload.mapped(), size, format);
  Buffers ring;
  for (uint32_t i = 0; i < count; ++i) {
    ring.push_back(std::make_unique<Buffer>(gpu, bytes, Buffer::Place::kDevice));
    Commands commands(gpu);
    commands.Begin();
    commands.Copy(upload, *ring.back());
    commands.End();
    gpu.Run(commands.handle());
  }
  return ring;
}

GpuTime MeasureGpu(Gpu& gpu, uint32_t ring, uint32_t rounds,
                   const std::function<void(Commands&, uint32_t)>& record) {
  Commands alone(gpu, 2 * ring);
  alone.Begin();
  for (uint32_t i = 0; i < ring; ++i) {
    alone.Barrier();
    alone.Timestamp(2 * i);
    record(alone, i);
    alone.Timestamp(2 * i + 1);
  }
  alone.End();
  Commands streamed(gpu, 2);
  streamed.Begin();
  streamed.Barrier();
  streamed.Timestamp(0);
  for (uint32_t i = 0; i < ring; ++i) record(streamed, i);
  streamed.Timestamp(1);
  streamed.End();

  constexpr uint32_t kBusyRings = 16;
  Commands busy(gpu, 2);
  busy.Begin();
  for (uint32_t k = 0; k < (gpu.is_software() ? 1 : kBusyRings); ++k) {
    for (uint32_t i = 0; i < ring; ++i) record(busy, i);
  }
  busy.End();

  WarmUp(gpu, busy);
  std::vector<double> frames;
  std::vector<double> rings;
  for (uint32_t round = 0; round < rounds; ++round) {
    gpu.Run(alone.handle());
    const std::vector<double> times = alone.ReadTimestamps();
    for (uint32_t i = 0; i < ring; ++i) frames.push_back(times[2 * i + 1] - times[2 * i]);
    gpu.Run(streamed.handle());
    rings.push_back(streamed.ReadTimestamps()[1] / ring);
  }
  return {Median(frames), Median(rings), MeasureSubmitted(gpu, ring, rounds, record)};
}

void RunLimits(Gpu& gpu, const Options& options, const Emit& emit) {
  for (const Format format : {Format::kRgba8, Format::kRgba16f}) {
    const Rings rings(gpu, options, format);
    const Best copy = FindBest(gpu, options, rings, {}, format, Shapes(options.search));
    EmitBest("a compute copy", options, format, 0, copy, emit);
    for (const uint32_t filters : options.filters) {
      Fused(gpu, options, rings, filters, format, emit);
      if (format == Format::kRgba8) {
        Unfused(gpu, options, rings, filters, format, Format::kRgba8, emit);
      }
      Unfused(gpu, options, rings, filters, format, Format::kRgba16f, emit);
    }
  }
}

}  // namespace sluice::benchmark
