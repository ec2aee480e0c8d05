#ifndef SLUICE_NODES_VULKAN_FILTERS_FILTER_TESTING_H_
#define SLUICE_NODES_VULKAN_FILTERS_FILTER_TESTING_H_

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "nodes/vulkan/filters/filter_reference.h"
#include "nodes/vulkan/filters/filter_spec.h"
#include "nodes/vulkan/given_params.h"
#include "nodes/vulkan/testing.h"

/// Filters on the device beside their reference.
namespace sluice::vulkan::testing {

/// The picture as the reference takes it: R'G'B' as docs/colour.md makes it of Y'CbCr.
Image ToImage(const Picture& picture);
/// The nearest picture of this format.
Picture ToPicture(const Image& image, const sluice_format& format);

/// Whether the plugin carries this format. What it does not carry is left out of the tests.
bool Carried(uint32_t fourcc);

/// A photo of forensics-samples, its middle at an eighth of its size. Empty when it is not
/// installed.
Image Photo(int width, int height);
/// A pattern with alpha from 0 to 1 and back, in steps and slopes.
Image WithAlpha(Image image);
Image PatternImage(Pattern pattern, int width, int height);

struct FilterRun {
  const FilterSpec& spec;
  std::vector<sluice_param> params = {};
  /// Of the shader beyond those of the spec.
  std::vector<float> numbers = {};
  /// Ports; null: no edge.
  std::vector<const Picture*> inputs = {};
};

/// One filter of a chain: from the picture before it into one of this size.
struct Link {
  const FilterSpec& spec;
  std::vector<sluice_param> params = {};
  int width = 0;
  int height = 0;
  std::function<Image(const Image&)> reference = {};
};

class FilterTest : public DeviceTest {
 protected:
  /// The filters of a chain, from a frame of `format` on. Fails the test on any error.
  static std::vector<TestFilter> Filters(const std::vector<Link>& chain, sluice_format format);
  /// Fails the test on any error.
  void Run(const FilterRun& run, const Picture& out);

  /// Runs a filter of one input on `source` in `format`, compares with `reference` of the very
  /// pixels that the frame has, and prints how near they are. `worst`: code values of 255.
  struct Check {
    std::string name;
    const FilterSpec& spec;
    std::vector<sluice_param> params = {};
    std::vector<float> numbers = {};
    std::function<Image(const Image&)> reference = {};
    double worst = 1;
    /// What a photo in 4:2:0 may differ by beyond that: in a chain of pixel stages each chroma
    /// sample serves its own pixels (docs/colour.md), and the reference interpolates between them.
    double own_chroma = 0;
    /// So steep that the reference's bytes of R'G'B' on the way from Y'CbCr would show.
    bool steep = false;
  };
  void Expect(const Check& check, const Image& source, uint32_t fourcc, const std::string& content);
  /// The same in all formats, on patterns and a photo, of even and odd sizes.
  void ExpectEverywhere(const Check& check);
};

/// Prints PSNR and the greatest difference of any component, and holds it to `worst`.
void ExpectNear(const Picture& got, const Image& want, double worst, const std::string& what);

}  // namespace sluice::vulkan::testing

#endif  // SLUICE_NODES_VULKAN_FILTERS_FILTER_TESTING_H_
