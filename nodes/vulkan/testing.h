#ifndef SLUICE_NODES_VULKAN_TESTING_H_
#define SLUICE_NODES_VULKAN_TESTING_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "nodes/vulkan/device.h"
#include "nodes/vulkan/looks.h"
#include "nodes/vulkan/memory.h"
#include "nodes/vulkan/program.h"
#include "nodes/vulkan/queue.h"
#include "nodes/vulkan/shape.h"

namespace sluice::vulkan::testing {

/// A memfd mapping of whole pages. Move-only.
class SharedMapping {
 public:
  explicit SharedMapping(uint64_t bytes);
  ~SharedMapping();
  SharedMapping(SharedMapping&& other) noexcept { *this = std::move(other); }
  SharedMapping& operator=(SharedMapping&& other) noexcept;
  uint8_t* data() const { return data_; }
  uint64_t size() const { return size_; }

 private:
  uint8_t* data_ = nullptr;
  uint64_t size_ = 0;
};

/// A picture in shared memory, laid out as the kernels want it; padding holds 0xA5.
class Picture {
 public:
  explicit Picture(const sluice_format& format);
  const sluice_format& format() const { return format_; }
  const sluice_layout& layout() const { return layout_; }
  Shape shape() const;
  uint8_t* plane(uint32_t index) const { return memory_.data() + layout_.planes[index].offset; }
  uint64_t stride(uint32_t index) const { return layout_.planes[index].stride; }
  uint8_t* base() const { return memory_.data(); }
  uint64_t bytes() const { return memory_.size(); }
  uint32_t width() const { return format_.width; }
  uint32_t height() const { return format_.height; }

 private:
  sluice_format format_;
  sluice_layout layout_{};
  SharedMapping memory_{0};
};

sluice_format MakeFormat(uint32_t fourcc, uint32_t width, uint32_t height,
                         uint8_t matrix = SLUICE_MATRIX_BT709, uint8_t range = SLUICE_RANGE_LIMITED,
                         uint8_t siting = SLUICE_SITING_LEFT);
bool IsYuv(uint32_t fourcc);
/// Whether chroma has half as many rows as the picture.
bool SubsampledV(uint32_t fourcc);
/// AB4H, XB4H.
bool IsHalf(uint32_t fourcc);
/// IEEE 754 binary16; to the nearest, ties to even.
double DoubleOfHalf(uint16_t half);
uint16_t HalfOfDouble(double value);
std::string FourccName(uint32_t fourcc);

/// One filter of a network under test: its stages, and what it is given.
struct TestFilter {
  std::vector<Stage> stages;
  std::vector<Network::Source> sources = {{Network::Source::Kind::kBorder, 0}};
  std::vector<float> params;
  std::vector<float> table;
  std::vector<float> made_with = {};  ///< numbers when the program is made; empty: `params`
};
/// A filter of one input: the frame `input`, or the result of the filter `node`.
inline Network::Source FromInput(uint32_t input) { return {Network::Source::Kind::kBorder, input}; }
inline Network::Source FromFilter(uint32_t node) { return {Network::Source::Kind::kNode, node}; }

/// A device, its queue and its kernels; one submission at a time. Fails the test on
/// validation messages.
class Bench {
 public:
  /// Null where there is no Vulkan driver; `why` says so.
  static std::unique_ptr<Bench> Create(std::string* why);
  ~Bench();
  const Device& device() const { return *device_; }
  /// What the validation layer has said; then it is no failure any more.
  uint32_t TakeValidationMessages() {
    expected_messages_ = device_->validation_messages();
    return expected_messages_;
  }
  Queue& queue() { return *queue_; }
  KernelLibrary& kernels() { return *kernels_; }

  /// Imports all, runs the filters once (each of `outputs` is what the filter of the same place in
  /// `output_filters` makes), waits. Fails the test on any error.
  void RunFilters(const std::vector<TestFilter>& filters, const std::vector<const Picture*>& inputs,
                  const std::vector<const Picture*>& outputs,
                  const std::vector<uint32_t>& output_filters,
                  const Program::Options& options = {});
  /// The same with one output, of the last filter.
  void RunChain(const std::vector<TestFilter>& filters, const std::vector<const Picture*>& inputs,
                const Picture& output, const Program::Options& options = {});
  /// One look, or a conversion for 0.
  void Run(const Picture& src, const Picture& dst, uint32_t look, const Params& params);
  /// Median milliseconds of `rounds` runs of the same.
  double TimeMs(const Picture& src, const Picture& dst, uint32_t look, const Params& params,
                int rounds);

 private:
  Bench() = default;
  double TimeFilters(const std::vector<TestFilter>& filters,
                     const std::vector<const Picture*>& inputs,
                     const std::vector<const Picture*>& outputs,
                     const std::vector<uint32_t>& output_filters, const Program::Options& options,
                     int rounds);
  std::unique_ptr<Device> device_;
  std::unique_ptr<Queue> queue_;
  std::unique_ptr<KernelLibrary> kernels_;
  uint32_t expected_messages_ = 0;
};

/// Base of tests that need a device; skips with the reason where there is none. One device for a
/// suite: its pipelines take most of the time, and hold no state.
class DeviceTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite();
  static void TearDownTestSuite();
  void SetUp() override;
  static std::unique_ptr<Bench> bench_;
  static std::string why_;
};

/// Deterministic content. Values of Y'CbCr frames keep to colours that exist; noise takes all
/// codes, all bits below the ten of P010, and half floats from -0.5 to 1.5.
enum class Pattern { kGradients, kBars, kNoise, kZonePlate };
std::string PatternName(Pattern pattern);
void Fill(Picture& picture, Pattern pattern);

/// A picture with R'G'B' `rgb(x, y)` in 0..255 in any format, by a plain conversion in double
/// precision.
void FillRgb(Picture& picture, const std::vector<uint8_t>& rgb);

/// Differences of one component.
struct Difference {
  double psnr = 0;   ///< dB; 200 when equal
  double worst = 0;  ///< code values; of half floats 1/1024
};

/// By component (Y', Cb, Cr or R, G, B); both must have the same format.
std::vector<Difference> Compare(const Picture& a, const Picture& b);
/// Components as planes without padding: luma or R, then the others at their size. Code values;
/// half floats times 1024.
std::vector<std::vector<double>> Components(const Picture& picture);
std::string ToString(const std::vector<Difference>& differences);

/// The decoded still or first frame of a file as R'G'B' bytes. Empty when the file is not
/// installed.
std::vector<uint8_t> LoadRgb(const std::string& path, uint32_t* width, uint32_t* height);
constexpr char kPhoto[] =
    "/usr/share/forensics-samples/original-files/pic2/IMG_20200124_231153.jpg";
constexpr char kClip[] =
    "/usr/share/forensics-samples/original-files/movie1/VID_20191220_170832.mp4";

/// swscale's conversion: bilinear, accurate rounding, full chroma interpolation, and the sitings,
/// ranges and matrices of both formats. Odd sizes are widened to even by repeating the last column
/// and row, and cut afterwards: swscale would stretch the chroma plane instead. `full_input`:
/// SWS_FULL_CHR_H_INP as well.
void Swscale(const Picture& src, Picture& dst, bool full_input);

/// The same from Y'CbCr to R'G'B' in two steps, up-sampling and then the matrix.
void SwscaleVia444(const Picture& src, Picture& dst);

}  // namespace sluice::vulkan::testing

#endif  // SLUICE_NODES_VULKAN_TESTING_H_
