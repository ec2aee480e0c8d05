#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sluice::graph {

/// What one device does in a second, in bytes read plus bytes written.
struct DeviceSpeeds {
  double memory = 300e9;    ///< its kernels, in its own memory
  double host_read = 12e9;  ///< its kernels, in host memory (shm, dma-buf)
  double host_write = 12e9;
  double cpu_read = 1e9;     ///< the CPU reading memory that the device made, mapped
  double submission_us = 5;  ///< the CPU's time for one submission

  friend bool operator==(const DeviceSpeeds&, const DeviceSpeeds&) = default;
};

/// A device as it was measured. Its figures count for the same device with the same driver.
struct MeasuredDevice {
  std::string name;
  std::string driver;
  std::string date;  ///< "2026-11-30"
  DeviceSpeeds speeds;
};

/// Speeds of the machine: what a plan's cost is made of. Without measurements, figures of the
/// right order for a desktop. Plain data, an input like any other: equal profiles give equal plans.
struct Profile {
  double cpu_bandwidth =
      10e9;             ///< the CPU, in cached memory; bytes read plus bytes written a second
  double edge_us = 1;   ///< fixed cost of an inserted node
  DeviceSpeeds device;  ///< of one that was not measured
  /// Of one that was not measured and whose device is the CPU.
  DeviceSpeeds software_device = {4e9, 4e9, 4e9, 10e9, 20};
  /// The CPU reading the mapped buffers of an engine's allocator that was measured, by its name
  /// ("dma-heap system"); of any other: cpu_bandwidth.
  std::map<std::string, double> allocator_read;
  std::map<std::string, MeasuredDevice> devices;  ///< by UUID, in 32 hex digits
  std::string processor;                          ///< for people
  std::string date;                               ///< of the CPU's figures; "" = defaults
};

/// What the profile has to say about the device that a domain opened.
struct ProfiledDevice {
  std::string name;
  DeviceSpeeds speeds;
  const MeasuredDevice* measured = nullptr;  ///< borrowed; null: defaults
  std::string warning;                       ///< why not, where there are figures of it
};

/// `uuid`: 32 hex digits.
ProfiledDevice FindDevice(const Profile& profile, const std::string& uuid, const std::string& name,
                          const std::string& driver, bool is_software);

/// "measured 2026-11-30 (NVIDIA H200)", or "defaults". `devices`: those of the plan.
std::string DescribeProfile(const Profile& profile, const std::vector<ProfiledDevice>& devices);

}  // namespace sluice::graph
