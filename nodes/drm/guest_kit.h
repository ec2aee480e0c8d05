#pragma once

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include <xf86drm.h>
#include <xf86drmMode.h>
#include <sluice/testing/node_runner.hpp>

#include "nodes/drm/unique_fd.h"

/// What the tests in the guest share.
namespace sluice::drm::guest {

/// /dev/dri/cardN of a driver; empty where there is none.
inline std::string CardOf(const std::string& driver) {
  for (int i = 0; i < 8; ++i) {
    const std::string path = "/dev/dri/card" + std::to_string(i);
    const UniqueFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
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
  UniqueFd MakeFence(uint32_t point) {
    struct {
      uint32_t value;
      char name[32];
      int32_t fence;
    } request{point, "sluice", -1};
    if (ioctl(fd_.get(), _IOWR('W', 0, decltype(request)), &request) != 0) return UniqueFd();
    return UniqueFd(request.fence);
  }
  void Signal(uint32_t points = 1) { ioctl(fd_.get(), _IOW('W', 1, uint32_t), &points); }
  /// Its pending fences fail with ENOENT.
  void Close() { fd_.Reset(); }

 private:
  UniqueFd fd_;
};

/// Bytes that differ from frame to frame and from row to row.
inline void Paint(const sdk::testing::HeldFrame& frame, uint32_t seed) {
  const sluice_format& format = frame.Format();
  for (uint32_t y = 0; y < format.height; ++y) {
    auto* row = reinterpret_cast<uint32_t*>(frame.Row(0, y));
    uint32_t value = (seed * 2654435761u) ^ (y * 40503u);
    for (uint32_t x = 0; x < format.width; ++x) row[x] = value += 0x010307;
  }
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
