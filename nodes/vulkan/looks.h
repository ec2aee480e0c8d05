#ifndef SLUICE_NODES_VULKAN_LOOKS_H_
#define SLUICE_NODES_VULKAN_LOOKS_H_

#include <sluice/node.h>

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "nodes/vulkan/result.h"
#include "nodes/vulkan/stage.h"

namespace sluice::vulkan {

/// The numbers of a look or of a user's shader.
constexpr size_t kParamCount = 18;
using Params = std::array<float, kParamCount>;

/// One number or colour of a look. docs/looks.md lists them all.
struct LookParam {
  std::string_view name;
  uint32_t index;  ///< Into Params; a colour takes three.
  double minimum;
  double maximum;
  double fallback;  ///< When the graph says nothing; a colour's is 0xRRGGBB.
  bool is_color = false;
};

struct Look {
  std::string_view name;
  uint32_t id;         ///< kLook in shaders/looks.glsl.
  bool neighbourhood;  ///< Reads pixels other than its own.
  std::vector<LookParam> params;
};

/// All looks, in the order of their ids from 1.
const std::vector<Look>& Looks();

/// Errors: NotFound, with the names there are.
Result<const Look*> FindLook(std::string_view name);

/// The look as one stage; its numbers are Params.
Stage LookStage(const Look& look);

/// The look's numbers: its defaults, then what `set` gives. A parameter of `set` that this look
/// does not have is an error if the graph gave it; "look" itself is not looked at. Errors:
/// InvalidArgument, naming parameter, value and range.
Result<Params> LookParams(const Look& look, const sluice_param_set& set);

/// "#rrggbb" to 0xRRGGBB. Errors: InvalidArgument.
Result<uint32_t> ParseColor(std::string_view text);

/// Puts one value into `params`; false when the look has no such parameter.
Result<bool> SetLookParam(const Look& look, const sluice_param& param, Params& params);

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_LOOKS_H_
