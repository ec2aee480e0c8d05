#ifndef NODES_V4L2_FIND_DEVICE_H_
#define NODES_V4L2_FIND_DEVICE_H_

#include <memory>
#include <string>
#include <vector>

#include <sluice/status.hpp>

#include "nodes/v4l2/device.h"

namespace sluice::v4l2 {

/// /dev/video0, /dev/video1, ... in the order of their numbers.
std::vector<std::string> DeviceNodes();

/// Opens the device that `wanted` names: a path (/dev/video0, /dev/v4l/by-id/...), a node's name
/// (video0), the card's name, the bus ("usb-0000:00:14.0-1"), or a name in /dev/v4l/by-id or
/// by-path. Empty: the first one of this direction.
///
/// A number may change when a device is taken away and given back. So a path is held to the device
/// that it named first in this process: when another one is there, or none, the device with the
/// same card and bus is taken where it is now.
/// Errors: NOT_FOUND (names what there is); else those of Device::Open.
sdk::Expected<std::unique_ptr<Device>> FindDevice(const std::string& wanted, Direction direction);

}  // namespace sluice::v4l2

#endif  // NODES_V4L2_FIND_DEVICE_H_
