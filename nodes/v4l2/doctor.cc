#include "nodes/v4l2/doctor.h"

#include <cerrno>
#include <string>
#include <vector>

#include "nodes/v4l2/enumerate.h"
#include "nodes/v4l2/find_device.h"
#include "nodes/v4l2/formats.h"
#include "nodes/v4l2/queue.h"

namespace sluice::v4l2 {
namespace {

constexpr const char* kSection = "video";
constexpr uint32_t kMaxRecords = 128;

int UnknownFormats(const Device& device) {
  int unknown = 0;
  for (uint32_t i = 0; i < kMaxRecords; ++i) {
    v4l2_fmtdesc record{};
    record.index = i;
    record.type = device.type();
    if (device.Ioctl(VIDIOC_ENUM_FMT, &record) != 0) break;
    if (FindV4l2(record.pixelformat) == nullptr) ++unknown;
  }
  return unknown;
}

void AddModes(const DeviceFormat& format, const SizeRange& size,
              std::vector<sdk::CameraMode>* modes) {
  sdk::CameraMode mode{FourccText(format.entry->drm),
                       size.width.min,
                       size.height.min,
                       size.width.max,
                       size.height.max,
                       {0, 0},
                       {0, 0}};
  for (const RateRange& rate : size.rates) {
    mode.rate_min = rate.min;
    mode.rate_max = rate.max;
    modes->push_back(mode);
  }
  if (size.rates.empty()) modes->push_back(mode);
}

std::string FormatsOf(const Device& device) {
  std::vector<sdk::CameraMode> modes;
  if (const auto formats = EnumerateFormats(device, {}); formats.ok()) {
    for (const DeviceFormat& format : *formats) {
      for (const SizeRange& size : format.sizes) AddModes(format, size, &modes);
    }
  }
  std::string text = sdk::DescribeModes(modes);
  if (text.empty()) text = "no format that is carried";
  if (const int unknown = UnknownFormats(device); unknown > 0) {
    text += sdk::Format(", and %d formats that are not carried", unknown);
  }
  return text;
}

/// Whether a driver that has buffers of its own gives dma-bufs of them; v4l2loopback does not.
/// There are no buffers now, so one that knows the call has other reasons to refuse.
bool Exports(const Device& device) {
  v4l2_exportbuffer request{};
  request.type = device.type();
  return device.Ioctl(VIDIOC_EXPBUF, &request) != ENOTTY;
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
  add(mmap, Exports(device) ? "offers dma-bufs" : "buffers of its own, without dma-bufs");
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
    findings.Ok(kSection, path, detail, path);
    return true;
  }
  if (device.status().code() != SLUICE_E_PERMISSION_DENIED) return false;
  findings.Missing(
      kSection, path, "may not be opened",
      "add yourself to the group video: sudo usermod -aG video $USER, then log in anew", path);
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
