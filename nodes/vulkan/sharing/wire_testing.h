#ifndef SLUICE_NODES_VULKAN_SHARING_WIRE_TESTING_H_
#define SLUICE_NODES_VULKAN_SHARING_WIRE_TESTING_H_

#include "nodes/vulkan/sharing/wire.h"

namespace sluice::vulkan::testing {

/// A pool that a hello may offer.
inline SharedPool AnyPool() {
  SharedPool pool;
  pool.device_uuid[0] = 1;
  pool.driver_uuid[15] = 2;
  pool.device_name = "a device";
  pool.format.fourcc = SLUICE_FORMAT_AB24;
  pool.format.width = 64;
  pool.format.height = 32;
  pool.format.rate = {25, 1};
  pool.format.color = {
      SLUICE_PRIMARIES_BT709, SLUICE_TRANSFER_SRGB, SLUICE_MATRIX_RGB, SLUICE_RANGE_FULL, 0, {}};
  pool.layout.coded_width = 64;
  pool.layout.coded_height = 32;
  pool.layout.plane_count = pool.layout.part_count = 1;
  pool.layout.planes[0] = {0, 0, 0, 256, 256 * 32};
  pool.layout.size = 8192;
  pool.buffers = 3;
  pool.memory = {8192, 12288, 1, false, kBufferUsage};
  return pool;
}

}  // namespace sluice::vulkan::testing

#endif  // SLUICE_NODES_VULKAN_SHARING_WIRE_TESTING_H_
