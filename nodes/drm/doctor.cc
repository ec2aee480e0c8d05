#include <sluice/unique_fd.hpp>

#include "nodes/drm/doctor.h"

#include <fcntl.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace sluice::drm {
namespace {

constexpr char kSection[] = "display";

struct FreeResources {
  void operator()(drmModeRes* resources) const { drmModeFreeResources(resources); }
  void operator()(drmModeConnector* connector) const { drmModeFreeConnector(connector); }
  void operator()(drmVersion* version) const { drmFreeVersion(version); }
};
template <typename T>
using Owned = std::unique_ptr<T, FreeResources>;

bool Has(int fd, uint64_t capability) {
  uint64_t value = 0;
  return drmGetCap(fd, capability, &value) == 0 && value != 0;
}

/// "imports and exports dma-bufs, modifiers, syncobj timelines".
std::string Abilities(int fd) {
  uint64_t prime = 0;
  drmGetCap(fd, DRM_CAP_PRIME, &prime);
  const bool imports = (prime & DRM_PRIME_CAP_IMPORT) != 0;
  const bool exports = (prime & DRM_PRIME_CAP_EXPORT) != 0;
  std::string text = imports && exports ? "imports and exports dma-bufs"
                     : imports          ? "imports dma-bufs"
                     : exports          ? "exports dma-bufs"
                                        : "no dma-bufs";
  if (Has(fd, DRM_CAP_DUMB_BUFFER)) text += ", dumb buffers";
  if (Has(fd, DRM_CAP_ADDFB2_MODIFIERS)) text += ", modifiers";
  if (Has(fd, DRM_CAP_SYNCOBJ_TIMELINE)) text += ", syncobj timelines";
  return text;
}

/// "HDMI-A-1 1920x1080 (12 modes)" for each connector with a screen.
std::string Screens(int fd, const drmModeRes& resources, bool* writeback) {
  std::string text;
  for (int i = 0; i < resources.count_connectors; ++i) {
    const Owned<drmModeConnector> connector(drmModeGetConnector(fd, resources.connectors[i]));
    if (!connector) continue;
    if (connector->connector_type == DRM_MODE_CONNECTOR_WRITEBACK) {
      *writeback = true;
      continue;
    }
    if (connector->connection != DRM_MODE_CONNECTED || connector->count_modes == 0) continue;
    const char* type = drmModeGetConnectorTypeName(connector->connector_type);
    const drmModeModeInfo& mode = connector->modes[0];
    text += (text.empty() ? "" : ", ") + std::string(type != nullptr ? type : "connector") + "-" +
            std::to_string(connector->connector_type_id) + " " + std::to_string(mode.hdisplay) +
            "x" + std::to_string(mode.vdisplay) + " (" + std::to_string(connector->count_modes) +
            " modes)";
  }
  return text;
}

void ExamineCard(const std::string& path, sdk::Findings& findings) {
  const sdk::UniqueFd card(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!card) {
    findings.Missing(kSection, path, std::strerror(errno),
                     "add yourself to the group that owns it (usually video), or run where no "
                     "desktop has the screen");
    return;
  }
  const bool master = drmIsMaster(card.get()) != 0;
  // Opening made us master if nobody else was; a doctor takes nothing.
  if (master) drmDropMaster(card.get());
  const Owned<drmVersion> version(drmGetVersion(card.get()));
  const std::string driver = version ? std::string(version->name) : "unknown driver";
  drmSetClientCap(card.get(), DRM_CLIENT_CAP_UNIVERSAL_PLANES, 1);
  const bool atomic = drmSetClientCap(card.get(), DRM_CLIENT_CAP_ATOMIC, 1) == 0;
  drmSetClientCap(card.get(), DRM_CLIENT_CAP_WRITEBACK_CONNECTORS, 1);
  const Owned<drmModeRes> resources(drmModeGetResources(card.get()));
  std::string detail = driver + ": " + Abilities(card.get());
  if (!resources || resources->count_crtcs == 0) {
    findings.Ok(kSection, path, detail + "; no screen can be driven by it");
    return;
  }
  bool writeback = false;
  const std::string screens = Screens(card.get(), *resources, &writeback);
  detail += screens.empty() ? "; no screen is connected" : "; " + screens;
  if (writeback) detail += "; writeback";
  if (!atomic) {
    findings.Limited(kSection, path, detail,
                     "drm.display needs atomic modesetting, which this driver lacks");
  } else if (screens.empty()) {
    findings.Limited(kSection, path, detail, "connect a screen");
  } else if (!master) {
    findings.Limited(kSection, path, detail,
                     "another program (a desktop) has it: switch to a text console to show on it");
  } else {
    findings.Ok(kSection, path, detail);
  }
}

}  // namespace

void Doctor::Examine(sdk::Findings& findings) {
  std::set<std::string> cards;
  std::error_code error;
  for (std::filesystem::directory_iterator entry("/dev/dri", error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with("card")) cards.insert(entry->path().string());
  }
  for (const std::string& card : cards) ExamineCard(card, findings);
  if (cards.empty()) {
    findings.Missing(kSection, "KMS", "no /dev/dri/card*: no display that can be driven directly",
                     "load the GPU's kernel driver, or sudo modprobe virtio-gpu in a guest");
  }
}

}  // namespace sluice::drm
