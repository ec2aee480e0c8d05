#ifndef SLUICE_NODES_VULKAN_FILTERS_CUBE_H_
#define SLUICE_NODES_VULKAN_FILTERS_CUBE_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "nodes/vulkan/result.h"

namespace sluice::vulkan {

/// A colour table. docs/filters.md ("vulkan.lut") says what a file may hold.
struct CubeLut {
  uint32_t dimensions = 3;  ///< 1 or 3
  uint32_t size = 0;        ///< entries of an axis
  std::array<float, 3> domain_min{0, 0, 0};
  std::array<float, 3> domain_max{1, 1, 1};
  /// size, or size^3 with red changing fastest.
  std::vector<std::array<float, 3>> entries;
};

constexpr uint32_t kMaxCube1dSize = 65536;
constexpr uint32_t kMaxCube3dSize = 128;
constexpr uint64_t kMaxCubeFileBytes = uint64_t{128} << 20;

/// Parses the text of a .cube file. `name` is the file's, for messages.
/// Errors: InvalidArgument, as "NAME:LINE: what is wrong"; Unsupported for a file that is in order
/// but too large, or has both kinds of table.
Result<CubeLut> ParseCube(std::string_view text, const std::string& name);

/// Reads a file. Errors: as ParseCube; NotFound, Io.
Result<CubeLut> LoadCube(const std::string& path);

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_FILTERS_CUBE_H_
