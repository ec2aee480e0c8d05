#ifndef SLUICE_NODES_VULKAN_FILTERS_FILTER_SPEC_H_
#define SLUICE_NODES_VULKAN_FILTERS_FILTER_SPEC_H_

#include <sluice/node.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <sluice/params.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nodes/vulkan/filter_node.h"
#include "nodes/vulkan/filters/cube.h"

namespace sluice::vulkan {

/// A parameter that changes while the graph runs, as numbers that the shader gets.
/// docs/filters.md and the manifest say the same of it.
struct FilterParam {
  enum class Kind {
    kNumber,
    kWhole,       ///< a number without fraction
    kBool,        ///< 0 or 1
    kChoice,      ///< the index into `choices`
    kColor,       ///< #rrggbb: three numbers in 0..1
    kColorAlpha,  ///< #rrggbb or #rrggbbaa: four
  };
  std::string name;
  Kind kind = Kind::kNumber;
  double minimum = 0;
  double maximum = 1;
  double fallback = 0;  ///< a colour's is 0xRRGGBB, opaque
  std::vector<std::string_view> choices = {};

  uint32_t numbers() const { return kind == Kind::kColor ? 3 : kind == Kind::kColorAlpha ? 4 : 1; }
};

/// What is fixed when a node is made.
struct FilterChoices {
  std::optional<sdk::Size> size;
  std::string choice;  ///< scale: filter; rotate: angle
  bool linear = false;
  CubeLut lut;
};

/// A type of filter. What differs between filters is here; Filter is the rest.
struct FilterSpec {
  /// Ports in the order of the manifest; the output is `out`.
  std::vector<std::string> inputs = {"in"};
  uint32_t required = UINT32_MAX;  ///< of `inputs`, the first ones: those that have an edge
  std::vector<FilterParam> params = {};
  /// Reads what is fixed. Null: nothing is.
  Result<FilterChoices> (*choose)(const sdk::Params& params) = nullptr;
  /// Errors: InvalidArgument for ports that the filter cannot do.
  Result<std::vector<Stage>> (*stages)(const FilterPorts& ports,
                                       const FilterChoices& choices) = nullptr;
  /// The shader's numbers from those of `params`, `numbers` of them. Null: they are the same.
  void (*derive)(std::span<const float> values, std::span<float> out) = nullptr;
  uint32_t numbers = 0;
  std::vector<float> (*table)(const FilterChoices& choices) = nullptr;
  /// What travels with a frame from the first input to the output. What it returns is the shader's
  /// last number, where `numbers` says that there is one more than `params` have. Null: all stays.
  float (*info)(const FilterChoices& choices, const sluice_format& in, const sluice_format& out,
                sluice_frame_info& info) = nullptr;

  uint32_t value_count() const;
  /// Where the values of `params[param]` begin.
  uint32_t ValueAt(size_t param) const;
};

/// Checks `given` against `param` and writes its values. Errors: InvalidArgument, naming parameter,
/// value and range.
Status SetFilterParam(const FilterParam& param, const sluice_param& given, std::span<float> values);

/// The defaults, then what `set` gives of `spec.params`. Errors: as SetFilterParam.
Result<std::vector<float>> FilterValues(const FilterSpec& spec, const sdk::Params& set);

const FilterSpec& ScaleSpec();
const FilterSpec& CropSpec();
const FilterSpec& RotateSpec();
const FilterSpec& FlipSpec();
const FilterSpec& ComposeSpec();
const FilterSpec& BlurSpec();
const FilterSpec& BoxBlurSpec();
const FilterSpec& SharpenSpec();
const FilterSpec& LutSpec();
const FilterSpec& ChromaKeySpec();
const FilterSpec& AdjustSpec();
const FilterSpec& MaskSpec();

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_FILTERS_FILTER_SPEC_H_
