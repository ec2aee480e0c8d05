#ifndef SLUICE_SDK_UNIQUE_FD_HPP_
#define SLUICE_SDK_UNIQUE_FD_HPP_

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace sluice::sdk {

/// Owns one file descriptor.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  /// Another descriptor of what `fd` (borrowed) is, closed on exec; empty, with errno, when there
  /// is none to be had.
  static UniqueFd Dup(int fd) { return UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 0)); }
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  /// Gives the descriptor up; the caller owns it.
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1) {
    if (fd_ >= 0) close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

}  // namespace sluice::sdk

#endif  // SLUICE_SDK_UNIQUE_FD_HPP_
