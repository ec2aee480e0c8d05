#ifndef NODES_PIPEWIRE_DOCTOR_CAMERAS_H_
#define NODES_PIPEWIRE_DOCTOR_CAMERAS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "nodes/pipewire/connection.h"
#include "nodes/pipewire/formats.h"

namespace sluice::pipewire {

/// A Video/Source node with what it said of itself.
struct CameraSeen {
  uint32_t id = 0;
  std::map<std::string, std::string> properties;
  std::vector<VideoFormat> formats;
  bool unknown_formats = false;  ///< it has others, which are not carried

  const std::string& Property(const char* key) const;
  /// "/dev/video0", links resolved; empty where it is no V4L2 device of this machine.
  std::string Device() const;
  /// SPA's V4L2 source lends the driver's buffers as dma-bufs without naming a modifier.
  bool DriverBuffers() const;
};

/// All video sources, by their ids. Those that have not answered by `deadline_ns` (CLOCK_MONOTONIC)
/// have no formats.
std::vector<CameraSeen> FindCameras(Connection& connection, int64_t deadline_ns);

}  // namespace sluice::pipewire

#endif  // NODES_PIPEWIRE_DOCTOR_CAMERAS_H_
