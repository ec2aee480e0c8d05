#include "engine/base/unique_fd.h"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace sluice {

void UniqueFd::Reset(int fd) noexcept {
  if (fd_ >= 0 && fd_ != fd) close(fd_);
  fd_ = fd;
}

Result<UniqueFd> UniqueFd::Duplicate(int borrowed_fd) {
  int fd = fcntl(borrowed_fd, F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return FailErrno("duplicate fd " + std::to_string(borrowed_fd), errno);
  return UniqueFd(fd);
}

}  // namespace sluice
