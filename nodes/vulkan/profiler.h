#ifndef SLUICE_NODES_VULKAN_PROFILER_H_
#define SLUICE_NODES_VULKAN_PROFILER_H_

#include <sluice/profile.hpp>

#include "nodes/vulkan/device.h"

namespace sluice::vulkan {

/// How fast `device` is. `bytes`: memory that one measurement goes over; 0: more than caches hold.
/// What this device cannot do has its reason as a note. Errors: those of the device as a whole, as
/// DeviceLost and Timeout; the device must then be left alone for good, and none of it be
/// destroyed.
Result<sdk::MeasuredDevice> MeasureDevice(const Device& device, uint64_t bytes);

/// Measures the devices that are there, each by itself.
struct Profiler {
  static void Measure(sdk::Measurements& measurements);
};

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_PROFILER_H_
