#include "nodes/vulkan/sharing/offers.h"

#include <algorithm>
#include <utility>

#include "nodes/vulkan/domain.h"
#include "nodes/vulkan/shape.h"

namespace sluice::vulkan {
namespace {

// As the other ports of the manifest have it: a page.
constexpr uint32_t kPageMultiple = 4096;

std::string Describe(const std::string& name, const std::array<uint8_t, VK_UUID_SIZE>& device,
                     const std::array<uint8_t, VK_UUID_SIZE>& driver) {
  return name + " (device " + FormatUuid(device) + ", driver " + FormatUuid(driver) + ")";
}

}  // namespace

sdk::OfferBuilder SharedMemoryOffer(const std::array<uint8_t, VK_UUID_SIZE>& device) {
  uint8_t uuid[VK_UUID_SIZE];
  std::copy(device.begin(), device.end(), uuid);
  sdk::OfferBuilder offer;
  offer.Views(SLUICE_VIEW_DEVICE)
      .Allocates(SLUICE_VIEW_DEVICE | SLUICE_ALLOCATES_ONLY)
      .Sync(SLUICE_SYNC_CPU_DONE)
      .Align(kStrideMultiple, kStrideMultiple, kPageMultiple, kPageMultiple)
      .Device(uuid);
  return offer;
}

Result<DeviceInfo> FindSharingDevice(const std::string& selector) {
  if (selector.empty()) {
    if (const VulkanDomain* open = VulkanDomain::FindOpen(nullptr)) return open->device().info();
  }
  auto devices = ListDevices();
  if (!devices) return tl::unexpected(devices.error());
  const auto chosen = ChooseDevice(*devices, selector);
  if (!chosen) return tl::unexpected(chosen.error());
  return (*devices)[*chosen];
}

Result<DeviceInfo> FindSharedDevice(const std::array<uint8_t, VK_UUID_SIZE>& device,
                                    const std::array<uint8_t, VK_UUID_SIZE>& driver,
                                    const std::string& name) {
  auto devices = ListDevices();
  if (!devices) return tl::unexpected(devices.error());
  std::string list;
  for (DeviceInfo& info : *devices) {
    if (info.uuid == device && info.driver_uuid == driver) return std::move(info);
    list += (list.empty() ? "" : ", ") + Describe(info.name, info.uuid, info.driver_uuid);
  }
  return Fail(SLUICE_E_UNSUPPORTED,
              "the frames are in memory of " + Describe(name, device, driver) +
                  ", which no other device or driver can read; here is " + list);
}

void ForgetPoolOf(const std::array<uint8_t, VK_UUID_SIZE>& device, uint64_t domain, uint32_t pool,
                  uint32_t epoch) {
  VulkanDomain* open = VulkanDomain::FindOpen(device.data());
  // Another domain may have another pool by that number.
  if (open != nullptr && open->serial() == domain) open->ForgetPool(pool, epoch);
}

}  // namespace sluice::vulkan
