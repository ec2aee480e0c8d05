#ifndef SLUICE_NODES_VULKAN_PASS_TEXT_H_
#define SLUICE_NODES_VULKAN_PASS_TEXT_H_

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nodes/vulkan/passes.h"

namespace sluice::vulkan {

/// Which numbers of which stage lie where among a pass's: `floats` from index `at`.
struct ParamSlice {
  StageRef stage;
  uint32_t at = 0;
};

/// A number of a node that is a constant in the body of a pass for which all of them hold.
struct SettledNumber {
  uint32_t node = 0;
  uint32_t number = 0;  ///< as FilterNode::CopyParams counts
  float value = 0;
};

/// Whether all of them hold. `numbers`: by node.
bool AreSettled(std::span<const SettledNumber> settled,
                std::span<const std::vector<float>> numbers);

/// A pass as a compute shader. What depends on pixel formats is left to specialisation constants,
/// so that the same stages have the same text.
struct PassText {
  std::string glsl;
  std::vector<ParamSlice> params;
  uint32_t floats = 0;  ///< numbers of all stages and the flag, a multiple of 4
  /// The kernel has two bodies behind one branch, which all threads of a frame take alike: in the
  /// first these are constants. Which ones is chosen when the text is made; a number that leaves
  /// its value costs time, and compiles nothing. Empty: there is one body.
  std::vector<SettledNumber> settled;
  uint32_t settled_at = 0;  ///< which of `floats` is the flag: 1 while AreSettled, else 0
  /// Width and height of pictures that are only on the way: of the steps that sample, in order.
  std::vector<std::array<uint32_t, 2>> sizes;
  uint32_t inputs = 1;         ///< at least one, there or not
  uint32_t pixels_across = 0;  ///< what one workgroup does
  uint32_t pixels_down = 0;
};

/// `table_at`: for each node, where its table begins among the island's, in vec4. `numbers`: those
/// of each node as they are now; none: nothing is settled.
PassText MakePassText(const Network& network, const Pass& pass,
                      const std::vector<uint32_t>& table_at,
                      std::span<const std::vector<float>> numbers);

/// A user's name, marked: it is then none of GLSL's own, nor of the text around.
std::string OwnName(std::string_view name);

/// The compiler's message without what OwnName and MakePassText have added to names.
std::string PlainMessage(std::string message);

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_PASS_TEXT_H_
