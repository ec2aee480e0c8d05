#include "nodes/core/part_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace sluice::core {
namespace {

sdk::Status FromErrno(const char* what, const std::string& path) {
  const int error = errno;
  return sdk::Status::Error(error == EEXIST ? SLUICE_E_ALREADY_EXISTS : SLUICE_E_IO, "%s %s: %s",
                            what, path.c_str(), std::strerror(error));
}

}  // namespace

sdk::Status PartFile::Open(std::string path, bool overwrite) {
  Discard();
  path_ = std::move(path);
  part_path_ = path_ + ".part";
  overwrite_ = overwrite;
  filled_ = 0;
  // Early, so that nobody waits for a result that cannot be kept; Commit() asks again.
  if (!overwrite && access(path_.c_str(), F_OK) == 0) {
    return sdk::Status::Error(SLUICE_E_ALREADY_EXISTS, "%s exists (overwrite: true replaces it)",
                              path_.c_str());
  }
  fd_ = open(part_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd_ < 0) return FromErrno("create", part_path_);
  return {};
}

sdk::Status PartFile::Append(std::string_view text) {
  while (!text.empty()) {
    if (filled_ == buffer_.size()) {
      if (sdk::Status status = Flush(); !status.ok()) return status;
    }
    const std::size_t size = std::min(text.size(), buffer_.size() - filled_);
    std::memcpy(buffer_.data() + filled_, text.data(), size);
    filled_ += size;
    text.remove_prefix(size);
  }
  return {};
}

sdk::Status PartFile::Flush() {
  const char* next = buffer_.data();
  while (filled_ > 0) {
    const ssize_t written = write(fd_, next, filled_);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FromErrno("write", part_path_);
    next += written;
    filled_ -= static_cast<std::size_t>(written);
  }
  return {};
}

sdk::Status PartFile::Commit() {
  sdk::Status status = Flush();
  if (close(std::exchange(fd_, -1)) != 0 && status.ok()) status = FromErrno("close", part_path_);
  if (status.ok()) {
    const unsigned flags = overwrite_ ? 0 : RENAME_NOREPLACE;
    if (renameat2(AT_FDCWD, part_path_.c_str(), AT_FDCWD, path_.c_str(), flags) == 0) return {};
    // Not every file system knows the flag; Open() has looked already.
    if (errno == EINVAL && rename(part_path_.c_str(), path_.c_str()) == 0) return {};
    status = FromErrno("rename to", path_);
  }
  unlink(part_path_.c_str());
  return status;
}

void PartFile::Discard() {
  if (fd_ < 0) return;
  close(std::exchange(fd_, -1));
  unlink(part_path_.c_str());
}

}  // namespace sluice::core
