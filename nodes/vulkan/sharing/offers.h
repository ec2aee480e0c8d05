#ifndef SLUICE_NODES_VULKAN_SHARING_OFFERS_H_
#define SLUICE_NODES_VULKAN_SHARING_OFFERS_H_

#include <array>
#include <initializer_list>
#include <string>

#include <sluice/offer.hpp>

#include "nodes/vulkan/device.h"

namespace sluice::vulkan {

/// The most buffers of a pool that has those of a sender, and some that nobody fills.
inline constexpr uint32_t kMostPool = 64;

/// What kernels read and write, as in the manifest.
inline constexpr std::initializer_list<uint32_t> kSharedFormats = {
    SLUICE_FORMAT_YU12, SLUICE_FORMAT_NV12, SLUICE_FORMAT_YUYV, SLUICE_FORMAT_AB24,
    SLUICE_FORMAT_AR24, SLUICE_FORMAT_XB24, SLUICE_FORMAT_XR24, SLUICE_FORMAT_P010,
    SLUICE_FORMAT_AB4H, SLUICE_FORMAT_XB4H};

/// A port's offer of memory of this device that the port alone can make, with finished frames.
sdk::OfferBuilder SharedMemoryOffer(const std::array<uint8_t, VK_UUID_SIZE>& device);

/// The device of a node that shares its memory: by `selector`, or, if that is empty, the one that
/// this process has open, or the one that it would open. Errors: as ChooseDevice and ListDevices.
/// [main-thread]
Result<DeviceInfo> FindSharingDevice(const std::string& selector);

/// The device of a sender, by its UUIDs. Errors: Unsupported, naming it and what there is.
/// [main-thread]
Result<DeviceInfo> FindSharedDevice(const std::array<uint8_t, VK_UUID_SIZE>& device,
                                    const std::array<uint8_t, VK_UUID_SIZE>& driver,
                                    const std::string& name);

/// Takes a pool that may have failed half-way out of the domain with VulkanDomain::serial()
/// `domain` on `device`, if there is one; a pool that it does not have is none of its.
/// [main-thread]
void ForgetPoolOf(const std::array<uint8_t, VK_UUID_SIZE>& device, uint64_t domain, uint32_t pool,
                  uint32_t epoch);

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_SHARING_OFFERS_H_
