#include "engine/media/testing/ioctl_spy.h"

#include <linux/dma-buf.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>
#include <cstdarg>

namespace sluice::media {

IoctlSpy& IoctlSpy::Get() {
  static IoctlSpy spy;
  return spy;
}

}  // namespace sluice::media

extern "C" int ioctl(int fd, unsigned long request, ...) noexcept {
  va_list arguments;
  va_start(arguments, request);
  void* argument = va_arg(arguments, void*);
  va_end(arguments);
  auto& spy = sluice::media::IoctlSpy::Get();
  if (request != DMA_BUF_IOCTL_SYNC) {
    return static_cast<int>(syscall(SYS_ioctl, fd, request, argument));
  }
  if (spy.fail_next > 0) {
    --spy.fail_next;
    errno = spy.fail_errno;
    return -1;
  }
  const int result = fd == spy.pretend_fd
                         ? 0
                         : static_cast<int>(syscall(SYS_ioctl, fd, request, argument));
  if (result == 0) {
    const auto flags = static_cast<const dma_buf_sync*>(argument)->flags;
    ++((flags & DMA_BUF_SYNC_END) != 0 ? spy.sync_ends : spy.sync_starts);
  }
  return result;
}
