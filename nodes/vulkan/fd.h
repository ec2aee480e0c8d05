#ifndef SLUICE_NODES_VULKAN_FD_H_
#define SLUICE_NODES_VULKAN_FD_H_

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace sluice::vulkan {

/// Owns one file descriptor. Move-only.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  /// Another descriptor of what `fd` (borrowed) is, closed on exec; empty, with errno, when there
  /// is none to be had.
  static UniqueFd Dup(int fd) { return UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 0)); }
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~UniqueFd() {
    if (fd_ >= 0) close(fd_);
  }

  bool IsValid() const { return fd_ >= 0; }
  int get() const { return fd_; }
  /// Gives the descriptor up; the caller owns it.
  [[nodiscard]] int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_FD_H_
