#ifndef NODES_CORE_TESTING_H_
#define NODES_CORE_TESTING_H_

#include <cstdint>
#include <vector>

#include <sluice/testing/node_runner.hpp>

namespace sluice::core {

/// Every visible byte of a frame.
inline std::vector<uint8_t> Bytes(const sdk::testing::HeldFrame& frame) {
  std::vector<uint8_t> bytes;
  const auto shapes = sdk::testing::PlanesOf(frame.Format().fourcc);
  for (uint32_t plane = 0; plane < shapes.size(); ++plane) {
    const auto& shape = shapes[plane];
    const uint32_t size =
        (frame.Format().width + shape.horizontal - 1) / shape.horizontal * shape.bytes;
    const uint32_t rows = (frame.Format().height + shape.vertical - 1) / shape.vertical;
    for (uint32_t y = 0; y < rows; ++y) {
      bytes.insert(bytes.end(), frame.Row(plane, y), frame.Row(plane, y) + size);
    }
  }
  return bytes;
}

}  // namespace sluice::core

#endif  // NODES_CORE_TESTING_H_
