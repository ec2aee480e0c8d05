#include "nodes/v4l2/doctor.h"

#include <set>
#include <string>

#include "nodes/v4l2/find_device.h"
#include "nodes/v4l2/formats.h"
#include "nodes/v4l2/queue.h"

namespace sluice::v4l2 {
namespace {

constexpr const char* kSection = "video";
constexpr uint32_t kMaxRecords = 128;

std::string FormatsOf(const Device& device) {
  std::set<std::string> known;
  int unknown = 0;
  for (uint32_t i = 0; i < kMaxRecords; ++i) {
    v4l2_fmtdesc record{};
    record.index = i;
    record.type = device.type();
    if (device.Ioctl(VIDIOC_ENUM_FMT, &record) != 0) break;
    if (const FormatEntry* entry = FindV4l2(record.pixelformat)) {
      known.insert(FourccText(entry->drm));
    } else {
      ++unknown;
    }
  }
  std::string text;
  for (const std::string& name : known) text += (text.empty() ? "" : " ") + name;
  if (unknown > 0) text += sdk::Format(" and %d that are not carried", unknown);
  return text;
}

std::string MemoryOf(const Device& device) {
  if (Queue::InUse(device)) return "in use";
  const bool mmap = Queue::Supports(device, MemoryKind::kMmap);
  const bool dmabuf = Queue::Supports(device, MemoryKind::kDmabuf);
  const bool userptr = Queue::Supports(device, MemoryKind::kUserptr);
  std::string text;
  const auto add = [&](bool has, const char* what) {
    if (has) text += (text.empty() ? "" : ", ") + std::string(what);
  };
  add(mmap, "buffers of its own");
  add(dmabuf, "imports dma-bufs");
  add(userptr, "takes shared memory");
  return text;
}

/// False when the device is not of this direction.
bool Describe(const std::string& path, Direction direction, sdk::Findings& findings) {
  const auto device = Device::Open(path, direction);
  if (device.ok()) {
    const Identity& identity = (*device)->identity();
    const std::string detail = sdk::Format("%s (%s, %s) %s %s; %s", identity.card.c_str(),
                                           identity.driver.c_str(), identity.bus_info.c_str(),
                                           direction == Direction::kCapture ? "captures" : "sends",
                                           FormatsOf(**device).c_str(), MemoryOf(**device).c_str());
    findings.Ok(kSection, path, detail);
    return true;
  }
  if (device.status().code() != SLUICE_E_PERMISSION_DENIED) return false;
  findings.Missing(
      kSection, path, "may not be opened",
      "add yourself to the group video: sudo usermod -aG video $USER, then log in anew");
  return true;
}

}  // namespace

void Doctor::Examine(sdk::Findings& findings) {
  bool any = false;
  for (const std::string& path : DeviceNodes()) {
    any = Describe(path, Direction::kCapture, findings) ||
          Describe(path, Direction::kOutput, findings) || any;
  }
  if (any) return;
  findings.Missing(kSection, "/dev/video*", "no camera, grabber or video output",
                   "connect one; for a test without hardware: sudo modprobe vivid");
}

}  // namespace sluice::v4l2
