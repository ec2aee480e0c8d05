#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/plugin/loader.h"
#include "engine/profile/record.h"

namespace sluice::profile {

/// Copies within cached memory, and out of the dma-bufs that can be made here; `bytes`: memory that
/// one copy goes over, 0 = more than caches hold. What cannot be measured has the reason in its
/// note. Threads: [main-thread]. Takes about a second.
std::vector<Figure> MeasureMemory(uint64_t bytes);

/// What plugins measured of their devices.
struct Devices {
  std::vector<DeviceRecord> devices;
  std::vector<std::string> problems;
};

/// `selector`: one device, as --gpu names it; "" = all. `bytes`: as above, for the plugins to know.
/// Threads: [main-thread].
Devices MeasureDevices(plugin::Loader& loader, const std::string& selector, uint64_t bytes);

/// "2026-11-30T02:40:17Z", now.
std::string TimeNow();

}  // namespace sluice::profile
