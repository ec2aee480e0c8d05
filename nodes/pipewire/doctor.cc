#include "nodes/pipewire/doctor.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "nodes/pipewire/doctor_cameras.h"
#include "nodes/pipewire/find_target.h"

namespace sluice::pipewire {
namespace {

constexpr const char* kDesktop = "desktop";
constexpr const char* kVideo = "video";
constexpr int64_t kConnectNs = 400'000'000;
constexpr int64_t kAskNs = 400'000'000;

/// Whether a version has SyncTimeline and syncobjs in its buffers.
bool HasExplicitSync(const std::string& version) {
  int major = 0;
  int minor = 0;
  if (std::sscanf(version.c_str(), "%d.%d", &major, &minor) != 2) return false;
  return major > 1 || (major == 1 && minor >= 2);
}

void TellLibrary(sdk::Findings& findings) {
  const std::string version = Connection::LibraryVersion();
#if PW_CHECK_VERSION(1, 2, 0)
  constexpr bool kBuiltWithIt = true;
#else
  constexpr bool kBuiltWithIt = false;
#endif
  if (kBuiltWithIt && HasExplicitSync(version)) {
    findings.Ok(kDesktop, "PipeWire's library", version + ", with explicit sync");
    return;
  }
  findings.Limited(kDesktop, "PipeWire's library",
                   version + (kBuiltWithIt ? "" : ", and this build is for one before 1.2") +
                       ": no explicit sync; a frame is handed over when it is finished",
                   "PipeWire 1.2 or newer has it; on Debian 12: bookworm-backports");
}

const Global* FindClient(const Connection& connection, std::initializer_list<const char*> names) {
  for (const auto& [_, global] : connection.globals()) {
    if (global.type != PW_TYPE_INTERFACE_Client) continue;
    for (const char* name : names) {
      if (global.Property(PW_KEY_APP_NAME) == name) return &global;
    }
  }
  return nullptr;
}

void TellDaemon(const Connection& connection, sdk::Findings& findings) {
  const Connection::Lock lock(connection);
  findings.Ok(kDesktop, "PipeWire",
              connection.daemon_version() + " answers (" + connection.daemon_name() + ")");
  const Global* manager =
      FindClient(connection, {"WirePlumber", "wireplumber", "pipewire-media-session"});
  if (manager != nullptr) {
    findings.Ok(kDesktop, "session manager", manager->Property(PW_KEY_APP_NAME) + " runs");
    return;
  }
  findings.Limited(kDesktop, "session manager",
                   "none: cameras are not made nodes, and nothing is linked but by hand (pw-link)",
                   "apt install wireplumber, then systemctl --user start wireplumber");
}

sdk::CameraMode ModeOf(const VideoFormat& format, Size min, Size max) {
  sdk::CameraMode mode{FourccName(format.entry->drm),
                       min.width,
                       min.height,
                       max.width,
                       max.height,
                       format.rate_min,
                       format.rate_max};
  const auto slower = [](sluice_rate a, sluice_rate b) {
    return uint64_t{a.numerator} * b.denominator < uint64_t{b.numerator} * a.denominator;
  };
  if (!format.rates.empty()) {
    const auto [slowest, fastest] =
        std::minmax_element(format.rates.begin(), format.rates.end(), slower);
    mode.rate_min = *slowest;
    mode.rate_max = *fastest;
  }
  return mode;
}

std::string MemoryOf(const CameraSeen& camera) {
  bool linear = false, tiled = false, shared = false;
  for (const VideoFormat& format : camera.formats) {
    shared = shared || !format.dmabuf();
    for (uint64_t modifier : format.modifiers) (modifier == 0 ? linear : tiled) = true;
  }
  if (!linear && !tiled) {
    return camera.DriverBuffers() ? "dma-bufs of its driver, or shared memory" : "shared memory";
  }
  std::string text = "dma-bufs (";
  if (linear) text += tiled ? "linear and with modifiers" : "linear";
  if (!linear) text += "with modifiers";
  return text + ")" + (shared ? " or shared memory" : "");
}

std::string Tell(const CameraSeen& camera) {
  std::vector<sdk::CameraMode> modes;
  for (const VideoFormat& format : camera.formats) {
    for (Size size : format.sizes) modes.push_back(ModeOf(format, size, size));
    if (format.sizes.empty()) modes.push_back(ModeOf(format, format.size_min, format.size_max));
  }
  std::string text = camera.Property(PW_KEY_NODE_DESCRIPTION);
  if (!text.empty()) text += " ";
  text += sdk::Format("(node %u) sends ", camera.id);
  text += modes.empty() ? "nothing that is carried" : sdk::DescribeModes(modes);
  if (!modes.empty() && camera.unknown_formats) text += ", and formats that are not carried";
  return text + "; " + MemoryOf(camera);
}

/// The one that pipewire.capture takes when none is named.
uint32_t DefaultCamera(Connection& connection, int64_t deadline_ns) {
  const Connection::Lock lock(connection);
  const auto target = FindTarget(connection, lock, "", deadline_ns);
  return target.ok() ? target->id : PW_ID_ANY;
}

void TellCameras(Connection& connection, sdk::Findings& findings) {
  const int64_t deadline_ns = NowNs() + kAskNs;
  const std::vector<CameraSeen> cameras = FindCameras(connection, deadline_ns);
  const uint32_t preferred = DefaultCamera(connection, deadline_ns);
  for (const CameraSeen& camera : cameras) {
    const std::string& name = camera.Property(PW_KEY_NODE_NAME);
    findings.Ok(kVideo, name.empty() ? sdk::Format("node %u", camera.id) : name,
                Tell(camera) + (camera.id == preferred ? "; taken when none is named" : ""),
                camera.Device());
  }
  if (!cameras.empty()) return;
  findings.Missing(kVideo, "PipeWire's cameras", "none",
                   "connect one; a session manager makes it a node of PipeWire");
}

}  // namespace

void Doctor::Examine(sdk::Findings& findings) {
  TellLibrary(findings);
  auto connection = Connection::Open("", kConnectNs);
  if (!connection.ok()) {
    findings.Missing(kDesktop, "PipeWire", connection.status().message(),
                     "apt install pipewire wireplumber, then systemctl --user start pipewire "
                     "wireplumber; $PIPEWIRE_REMOTE and $XDG_RUNTIME_DIR say where it listens");
    return;
  }
  TellDaemon(**connection, findings);
  TellCameras(**connection, findings);
}

}  // namespace sluice::pipewire
