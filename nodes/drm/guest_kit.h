#pragma once

#include <fcntl.h>
#include <linux/dma-buf.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>

#include <xf86drm.h>
#include <xf86drmMode.h>
#include <sluice/testing/node_runner.hpp>
#include <sluice/unique_fd.hpp>

#include "nodes/drm/kms.h"

/// What the tests in the guest share.
namespace sluice::drm::guest {

/// /dev/dri/cardN of a driver; empty where there is none.
inline std::string CardOf(const std::string& driver) {
  for (int i = 0; i < 8; ++i) {
    const std::string path = "/dev/dri/card" + std::to_string(i);
    const sdk::UniqueFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd) continue;
    drmVersion* version = drmGetVersion(fd.get());
    const bool same = version != nullptr && driver == version->name;
    drmFreeVersion(version);
    // Who opens it first becomes its master, and must not stay it.
    drmDropMaster(fd.get());
    if (same) return path;
  }
  return {};
}

inline int CountFds() {
  const std::filesystem::directory_iterator fds("/proc/self/fd");
  return static_cast<int>(std::distance(begin(fds), end(fds)));
}

/// Framebuffers that the kernel has for a card.
inline int CountFramebuffers(const std::string& card) {
  const std::string number = card.substr(card.find_last_not_of("0123456789") + 1);
  std::ifstream file("/sys/kernel/debug/dri/" + number + "/framebuffer");
  int count = 0;
  for (std::string line; std::getline(file, line);) {
    count += line.rfind("framebuffer[", 0) == 0 ? 1 : 0;
  }
  return count;
}

/// A timeline of fences that the test signals: drivers/dma-buf/sw_sync.c.
class SwSync {
 public:
  SwSync() : fd_(open("/sys/kernel/debug/sync/sw_sync", O_RDWR | O_CLOEXEC)) {}
  explicit operator bool() const { return static_cast<bool>(fd_); }
  sdk::UniqueFd MakeFence(uint32_t point) {
    struct {
      uint32_t value;
      char name[32];
      int32_t fence;
    } request{point, "sluice", -1};
    if (ioctl(fd_.get(), _IOWR('W', 0, decltype(request)), &request) != 0) return sdk::UniqueFd();
    return sdk::UniqueFd(request.fence);
  }
  void Signal(uint32_t points = 1) { ioctl(fd_.get(), _IOW('W', 1, uint32_t), &points); }
  /// Its pending fences fail with ENOENT.
  void Close() { fd_.reset(); }

 private:
  sdk::UniqueFd fd_;
};

/// A fence that the kernel answers for (after 10 s it signals by itself), and that the test
/// signals: drivers/gpu/drm/vgem/vgem_fence.c.
class VgemFence {
 public:
  explicit VgemFence(const std::string& card) : fd_(open(card.c_str(), O_RDWR | O_CLOEXEC)) {
    drm_mode_create_dumb dumb{};
    dumb.width = dumb.height = 64;
    dumb.bpp = 32;
    if (drmIoctl(fd_.get(), DRM_IOCTL_MODE_CREATE_DUMB, &dumb) != 0) return;
    Attach attach{dumb.handle, 1, 0, 0};
    if (drmIoctl(fd_.get(), DRM_IOWR(DRM_COMMAND_BASE + 1, Attach), &attach) != 0) return;
    number_ = attach.out_fence;
    int dmabuf = -1;
    drmPrimeHandleToFD(fd_.get(), dumb.handle, DRM_CLOEXEC | DRM_RDWR, &dmabuf);
    const sdk::UniqueFd owned(dmabuf);
    dma_buf_export_sync_file request{DMA_BUF_SYNC_READ, -1};
    if (ioctl(dmabuf, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &request) == 0) fence_.reset(request.fd);
  }
  int get() const { return fence_.get(); }
  void Signal() {
    struct {
      uint32_t fence, flags;
    } signal{number_, 0};
    drmIoctl(fd_.get(), DRM_IOWR(DRM_COMMAND_BASE + 2, decltype(signal)), &signal);
  }

 private:
  struct Attach {
    uint32_t handle, flags, out_fence, pad;
  };
  sdk::UniqueFd fd_;
  sdk::UniqueFd fence_;
  uint32_t number_ = 0;
};

/// What every CRTC, plane and connector of a card shows, as text. The ids of blobs and what the
/// kernel counts by itself are left out; of a mode its bytes are taken.
inline std::string StateOf(const std::string& card) {
  const sdk::UniqueFd fd(open(card.c_str(), O_RDWR | O_CLOEXEC));
  drmDropMaster(fd.get());
  drmSetClientCap(fd.get(), DRM_CLIENT_CAP_UNIVERSAL_PLANES, 1);
  drmSetClientCap(fd.get(), DRM_CLIENT_CAP_ATOMIC, 1);
  std::string text;
  const auto add = [&](uint32_t id, uint32_t type, std::initializer_list<const char*> names) {
    const Properties properties = Properties::Read(fd.get(), id, type);
    for (const char* name : names) {
      text += std::to_string(id) + " " + name + " " + std::to_string(properties.Value(name)) + "\n";
    }
    for (const std::byte byte :
         ReadBlob(fd.get(), static_cast<uint32_t>(properties.Value("MODE_ID")))) {
      text += "0123456789abcdef"[static_cast<int>(byte) >> 4];
      text += "0123456789abcdef"[static_cast<int>(byte) & 15];
    }
  };
  const ResourcesPtr resources(drmModeGetResources(fd.get()));
  for (int i = 0; i < resources->count_crtcs; ++i) {
    add(resources->crtcs[i], DRM_MODE_OBJECT_CRTC, {"ACTIVE"});
  }
  for (int i = 0; i < resources->count_connectors; ++i) {
    add(resources->connectors[i], DRM_MODE_OBJECT_CONNECTOR, {"CRTC_ID"});
  }
  const PlanesPtr planes(drmModeGetPlaneResources(fd.get()));
  for (uint32_t i = 0; i < planes->count_planes; ++i) {
    add(planes->planes[i], DRM_MODE_OBJECT_PLANE,
        {"FB_ID", "CRTC_ID", "SRC_X", "SRC_Y", "SRC_W", "SRC_H", "CRTC_X", "CRTC_Y", "CRTC_W",
         "CRTC_H"});
  }
  return text;
}

/// Bytes that differ from frame to frame and from row to row.
inline void Paint(uint8_t* base, uint64_t stride, const sluice_format& format, uint32_t seed) {
  for (uint32_t y = 0; y < format.height; ++y) {
    auto* row = reinterpret_cast<uint32_t*>(base + y * stride);
    uint32_t value = (seed * 2654435761u) ^ (y * 40503u);
    for (uint32_t x = 0; x < format.width; ++x) row[x] = value += 0x010307;
  }
}
inline void Paint(const sdk::testing::HeldFrame& frame, uint32_t seed) {
  Paint(frame.Row(0, 0), frame.stride(0), frame.Format(), seed);
}

/// Pixels of 32 bits that differ in their colours.
inline uint64_t Differences(const sdk::testing::HeldFrame& one,
                            const sdk::testing::HeldFrame& two) {
  uint64_t count = 0;
  for (uint32_t y = 0; y < one.Format().height; ++y) {
    const auto* a = reinterpret_cast<const uint32_t*>(one.Row(0, y));
    const auto* b = reinterpret_cast<const uint32_t*>(two.Row(0, y));
    for (uint32_t x = 0; x < one.Format().width; ++x) count += ((a[x] ^ b[x]) & 0xffffff) != 0;
  }
  return count;
}

}  // namespace sluice::drm::guest
