#pragma once

#include <atomic>
#include <cstdint>

namespace sluice::media {

/// What a test program that links the spy asks of the kernel: it stands before the C
/// library's ioctl(). Threads: [thread-safe].
struct IoctlSpy {
  /// DMA_BUF_IOCTL_SYNC with START and with END, as they succeeded.
  std::atomic<uint64_t> sync_starts{0};
  std::atomic<uint64_t> sync_ends{0};
  /// So many of the next DMA_BUF_IOCTL_SYNC fail with `fail_errno` before one goes through.
  std::atomic<int> fail_next{0};
  std::atomic<int> fail_errno{0};
  /// A fd on which DMA_BUF_IOCTL_SYNC succeeds without asking the kernel; -1 = none.
  std::atomic<int> pretend_fd{-1};

  static IoctlSpy& Get();
};

}  // namespace sluice::media
