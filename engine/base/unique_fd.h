#pragma once

#include <utility>

#include "engine/base/result.h"

namespace sluice {

/// The one owner of a file descriptor. Everything else borrows the `int`.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) Reset(other.Release());
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { Reset(); }

  bool valid() const { return fd_ >= 0; }
  /// Borrows; -1 when empty.
  int get() const { return fd_; }
  /// The caller owns the result.
  [[nodiscard]] int Release() noexcept { return std::exchange(fd_, -1); }
  void Reset(int fd = -1) noexcept;

  /// A duplicate with O_CLOEXEC. Errors: ResourceExhausted, Io.
  static Result<UniqueFd> Duplicate(int borrowed_fd);

 private:
  int fd_ = -1;
};

}  // namespace sluice
