#include "engine/graph/profile.h"

#include <algorithm>

#include <fmt/format.h>

namespace sluice::graph {

ProfiledDevice FindDevice(const Profile& profile, const std::string& uuid, const std::string& name,
                          const std::string& driver, bool is_software) {
  ProfiledDevice out{name, is_software ? profile.software_device : profile.device, nullptr, {}};
  const auto found = profile.devices.find(uuid);
  if (found == profile.devices.end()) return out;
  const MeasuredDevice& device = found->second;
  if (device.driver != driver) {
    out.warning = fmt::format(
        "the profile has {} as it was with the driver {}; this is {}: defaults are used; measure "
        "again",
        device.name, device.driver, driver);
    return out;
  }
  out.measured = &device;
  out.speeds = device.speeds;
  // Its memory is the host's: a difference between the two would be chance, and turn plans about.
  if (is_software) out.speeds.host_read = out.speeds.host_write = out.speeds.memory;
  return out;
}

std::string DescribeProfile(const Profile& profile, const std::vector<ProfiledDevice>& devices) {
  if (profile.date.empty() && profile.devices.empty()) return "defaults";
  // The oldest figure is the one to know of.
  std::string date = profile.date;
  std::vector<std::string> measured, defaults;
  for (const ProfiledDevice& device : devices) {
    (device.measured != nullptr ? measured : defaults).push_back(device.name);
    if (device.measured != nullptr)
      date = std::min(date.empty() ? device.measured->date : date, device.measured->date);
  }
  if (date.empty()) return "defaults";
  if (measured.empty()) measured.push_back(profile.processor);
  std::string text = fmt::format("measured {} ({})", date, fmt::join(measured, ", "));
  if (!defaults.empty()) text += fmt::format("; defaults for {}", fmt::join(defaults, ", "));
  return text;
}

}  // namespace sluice::graph
