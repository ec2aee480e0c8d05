#ifndef SLUICE_NODES_VULKAN_PASS_TEXT_H_
#define SLUICE_NODES_VULKAN_PASS_TEXT_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "nodes/vulkan/passes.h"

namespace sluice::vulkan {

/// Which numbers of which stage lie where among a pass's: `floats` from index `at`.
struct ParamSlice {
  StageRef stage;
  uint32_t at = 0;
};

/// A pass as a compute shader. What depends on pixel formats is left to specialisation constants,
/// so that the same stages have the same text.
struct PassText {
  std::string glsl;
  std::vector<ParamSlice> params;
  uint32_t floats = 0;  ///< numbers of all stages, a multiple of 4
  /// Width and height of pictures that are only on the way: of the steps that sample, in order.
  std::vector<std::array<uint32_t, 2>> sizes;
  uint32_t inputs = 1;         ///< at least one, there or not
  uint32_t pixels_across = 0;  ///< what one workgroup does
  uint32_t pixels_down = 0;
};

/// `table_at`: for each node, where its table begins among the island's, in vec4.
PassText MakePassText(const Network& network, const Pass& pass,
                      const std::vector<uint32_t>& table_at);

/// The compiler's message without what MakePassText has added to names.
std::string PlainMessage(std::string message);

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_PASS_TEXT_H_
