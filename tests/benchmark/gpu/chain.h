#ifndef SLUICE_TESTS_BENCHMARK_GPU_CHAIN_H_
#define SLUICE_TESTS_BENCHMARK_GPU_CHAIN_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/benchmark/gpu/gpu.h"

/// The chain of pointwise filters that all arms run, written by hand.
namespace sluice::benchmark {

/// One filter of the chain. In GLSL: `c = name(c, P(first), ...)`.
struct Filter {
  std::string name;  ///< brightness, contrast, saturation, warm, fade, vignette, gamma, sepia
  std::vector<float> params;  ///< without `amount`
  bool is_look = false;       ///< has an amount, which is 1
};

/// The first `count` of the eight, which repeat.
std::vector<Filter> MakeChain(uint32_t count);

/// The same in double precision on the CPU, of one pixel.
struct Pixel {
  double r, g, b;
};
Pixel Reference(const std::vector<Filter>& chain, Pixel color, double x, double y, double width,
                double height);

enum class Format { kRgba8, kRgba16f };
inline uint32_t BytesPerPixel(Format format) { return format == Format::kRgba8 ? 4 : 8; }
const char* ToString(Format format);

struct Size {
  uint32_t width = 0;
  uint32_t height = 0;
  uint64_t pixels() const { return uint64_t{width} * height; }
};

/// How a kernel is written. See shaders/chain.comp.
struct Variant {
  enum class Params { kConstant, kPushed, kUniform, kStored };
  Params params = Params::kConstant;
  bool magic = true;
  bool full = false;
  uint32_t rows = 1;
  uint32_t group_x = 32;
  uint32_t group_y = 8;
  std::string ToString() const;
};

/// A kernel for a chain, and the buffer of its parameters.
class ChainKernel {
 public:
  /// An empty chain copies.
  ChainKernel(Gpu& gpu, const std::vector<Filter>& chain, Size size, Format from, Format to,
              const Variant& variant);
  void Record(Commands& commands, const Buffer& src, const Buffer& dst) const;

 private:
  std::vector<float> pushed_;
  uint32_t groups_x_;
  uint32_t groups_y_;
  std::unique_ptr<Kernel> kernel_;
  std::unique_ptr<Buffer> params_;
};

/// Fills a frame with every colour, deterministically.
void FillFrame(void* frame, Size size, Format format);
/// The largest difference of `result` from the reference over a sample of the pixels, in 1/255.
struct Difference {
  double worst = 0;
  std::string where;  ///< the pixel, its source, what came and what should have
};
Difference WorstDifference(const void* source, const void* result, Size size, Format from,
                           Format to, const std::vector<Filter>& chain);
/// Throws Failure, with `what`, where it is more than `allowed`.
void CheckDifference(const Difference& difference, double allowed, const std::string& what);

}  // namespace sluice::benchmark

#endif  // SLUICE_TESTS_BENCHMARK_GPU_CHAIN_H_
