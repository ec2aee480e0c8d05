#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include <sluice/status.hpp>

namespace sluice::core {

/// A text file that appears under its name only when it is whole: written as NAME.part, then
/// renamed. Threads: one at a time.
class PartFile {
 public:
  PartFile() = default;
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;
  /// Discards what was not committed.
  ~PartFile() { Discard(); }

  /// Errors: ALREADY_EXISTS when `path` exists and may not be replaced; IO.
  sdk::Status Open(std::string path, bool overwrite);
  bool is_open() const { return fd_ >= 0; }
  /// Errors: IO.
  sdk::Status Append(std::string_view text);
  /// Gives it its name. Errors: ALREADY_EXISTS; IO. Nothing is left behind then.
  sdk::Status Commit();
  void Discard();

 private:
  sdk::Status Flush();

  std::string path_;
  std::string part_path_;
  bool overwrite_ = false;
  int fd_ = -1;
  std::size_t filled_ = 0;
  std::array<char, 16384> buffer_;
};

}  // namespace sluice::core
