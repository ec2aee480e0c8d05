#ifndef SLUICE_TESTS_BENCHMARK_GPU_ARMS_H_
#define SLUICE_TESTS_BENCHMARK_GPU_ARMS_H_

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/benchmark/gpu/chain.h"

namespace sluice::benchmark {

struct Options {
  Size size;  ///< of all arms but the streams
  Size stream_size;
  uint32_t ring = 16;             ///< frames; their bytes should be several times the L2
  uint32_t rounds = 7;            ///< of a ring, for a median
  bool search = true;             ///< tries all ways of writing a kernel, not a few
  double seconds = 1;             ///< of an arm that counts frames
  std::vector<uint32_t> filters;  ///< lengths of chains
  std::vector<uint32_t> streams;  ///< how many at a time
};

/// One line of the output: an object with `arm` and what was measured.
using Emit = std::function<void(const nlohmann::json&)>;

/// A compute copy, chains as one kernel, and chains as one dispatch for each filter.
void RunLimits(Gpu& gpu, const Options& options, const Emit& emit);
/// Eight filters on frames in memfds: copied to the device and back and waited for; where they lie;
/// and on frames that are the device's.
void RunOrigin(Gpu& gpu, const Options& options, const Emit& emit);
/// Several streams with a thread each, four filters in one dispatch, frames of the device.
void RunStreams(Gpu& gpu, const Options& options, const Emit& emit);

/// Nanoseconds of the device.
struct GpuTime {
  double alone_ns = 0;      ///< a frame from barrier to barrier in one submission of a ring, median
  double streamed_ns = 0;   ///< a frame of a ring without barriers between its frames, median
  double submitted_ns = 0;  ///< from barrier to barrier, each frame a submission, eight under way
};
/// `record` records the work of frame `i` of `ring`.
GpuTime MeasureGpu(Gpu& gpu, uint32_t ring, uint32_t rounds,
                   const std::function<void(Commands&, uint32_t)>& record);

/// The best way to write a kernel for the chain, of those in question; checked against the
/// reference before it is timed.
struct Best {
  Variant variant;
  GpuTime time;
  uint32_t tried = 0;
};

/// Device buffers with frames, filled.
Buffers MakeRing(Gpu& gpu, uint32_t count, Size size, Format format);

}  // namespace sluice::benchmark

#endif  // SLUICE_TESTS_BENCHMARK_GPU_ARMS_H_
