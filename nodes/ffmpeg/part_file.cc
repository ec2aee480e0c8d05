#include "nodes/ffmpeg/part_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <random>
#include <set>

namespace sluice::ffmpeg {
namespace {

constexpr size_t kIoBytes = 1 << 18;
constexpr int kMaxDigits = 18;
/// NAME_MAX less the dot and the suffix.
constexpr size_t kMaxName = 255 - 20;

int32_t CodeOf(int error) {
  switch (error) {
    case EEXIST:
      return SLUICE_E_ALREADY_EXISTS;
    case ENOENT:
      return SLUICE_E_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
      return SLUICE_E_PERMISSION_DENIED;
    default:
      return SLUICE_E_IO;
  }
}

std::string FolderOf(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

struct Claims {
  std::mutex mutex;
  std::set<std::string> keys;
};
Claims& AllClaims() {
  static auto* claims = new Claims;
  return *claims;
}

}  // namespace

sdk::Expected<IndexPattern> IndexPattern::Parse(const std::string& path) {
  IndexPattern pattern;
  for (size_t i = 0; i < path.size(); ++i) {
    std::string& part = pattern.many_ ? pattern.after_ : pattern.before_;
    if (path[i] != '%') {
      part += path[i];
      continue;
    }
    if (++i < path.size() && path[i] == '%') {
      part += '%';
      continue;
    }
    int digits = 0;
    while (i < path.size() && path[i] >= '0' && path[i] <= '9' && digits <= kMaxDigits) {
      digits = digits * 10 + (path[i++] - '0');
    }
    if (i >= path.size() || path[i] != 'd' || digits > kMaxDigits || pattern.many_) {
      return sdk::Status::Error(
          SLUICE_E_INVALID_ARGUMENT,
          "%s: one number is allowed in a name, as %%d or %%05d (and %%%% for "
          "a percent sign)",
          path.c_str());
    }
    pattern.digits_ = digits;
    pattern.many_ = true;
  }
  return pattern;
}

std::string IndexPattern::At(uint64_t index) const {
  if (!many_) return before_;
  std::string number = std::to_string(index);
  if (number.size() < static_cast<size_t>(digits_)) {
    number.insert(0, static_cast<size_t>(digits_) - number.size(), '0');
  }
  return before_ + number + after_;
}

std::string IndexPattern::FindExisting() const {
  std::error_code error;
  if (!many_) return std::filesystem::exists(before_, error) ? before_ : "";
  const std::string prefix = std::filesystem::path(before_).filename().string();
  if (after_.find('/') != std::string::npos) return "";
  for (const auto& entry : std::filesystem::directory_iterator(FolderOf(before_), error)) {
    const std::string name = entry.path().filename().string();
    if (name.size() <= prefix.size() + after_.size() || !name.starts_with(prefix) ||
        !name.ends_with(after_)) {
      continue;
    }
    const std::string number =
        name.substr(prefix.size(), name.size() - prefix.size() - after_.size());
    if (number.find_first_not_of("0123456789") == std::string::npos) return entry.path().string();
  }
  return "";
}

sdk::Expected<DestinationClaim> DestinationClaim::Take(const std::string& path) {
  const std::string folder = FolderOf(path);
  struct stat status {};
  if (stat(folder.c_str(), &status) != 0) {
    return sdk::Status::Error(CodeOf(errno), "%s: folder %s: %s", path.c_str(), folder.c_str(),
                              std::strerror(errno));
  }
  DestinationClaim claim;
  claim.key_ = sdk::Format("%llu:%llu/", static_cast<unsigned long long>(status.st_dev),
                           static_cast<unsigned long long>(status.st_ino)) +
               std::filesystem::path(path).filename().string();
  Claims& claims = AllClaims();
  const std::lock_guard lock(claims.mutex);
  if (!claims.keys.insert(claim.key_).second) {
    claim.key_.clear();
    return sdk::Status::Error(SLUICE_E_ALREADY_EXISTS, "%s: another node writes this file",
                              path.c_str());
  }
  return claim;
}

DestinationClaim::~DestinationClaim() {
  if (key_.empty()) return;
  Claims& claims = AllClaims();
  const std::lock_guard lock(claims.mutex);
  claims.keys.erase(key_);
}

sdk::Expected<std::unique_ptr<PartFile>> PartFile::Create(const std::string& path) {
  std::unique_ptr<PartFile> file(new PartFile(path));
  const std::string folder = FolderOf(path);
  const std::string name = std::filesystem::path(path).filename().string().substr(0, kMaxName);
  std::random_device random;
  do {
    const std::string part = folder + "/." + name + sdk::Format(".part-%08x", random());
    // Not mkstemp: the file is to have the mode that any other new file has.
    file->fd_ = open(part.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file->fd_ >= 0) file->part_path_ = part;
  } while (file->fd_ < 0 && errno == EEXIST);
  if (file->fd_ < 0) return file->Error(errno);
  auto* buffer = static_cast<uint8_t*>(av_malloc(kIoBytes));
  if (buffer == nullptr) return sdk::Status::Error(SLUICE_E_RESOURCE_EXHAUSTED, "out of memory");
  file->io_.reset(avio_alloc_context(buffer, kIoBytes, 1, file.get(), nullptr, &PartFile::OnWrite,
                                     &PartFile::OnSeek));
  if (file->io_ == nullptr) {
    av_free(buffer);
    return sdk::Status::Error(SLUICE_E_RESOURCE_EXHAUSTED, "out of memory");
  }
  return file;
}

PartFile::~PartFile() {
  if (fd_ >= 0) close(fd_);
  if (!part_path_.empty()) unlink(part_path_.c_str());
}

sdk::Status PartFile::Error(int error) const {
  return sdk::Status::Error(CodeOf(error), "%s: %s", path_.c_str(), std::strerror(error));
}

sdk::Status PartFile::error() const { return errno_ == 0 ? sdk::Status() : Error(errno_); }

int PartFile::WriteAll(const uint8_t* data, size_t size) {
  while (size > 0) {
    const ssize_t written = write(fd_, data, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      if (errno_ == 0) errno_ = errno;
      return AVERROR(errno);
    }
    data += written;
    size -= static_cast<size_t>(written);
  }
  return 0;
}

#if LIBAVFORMAT_VERSION_MAJOR >= 61
int PartFile::OnWrite(void* self, const uint8_t* data, int size) {
#else
int PartFile::OnWrite(void* self, uint8_t* data, int size) {
#endif
  const int result = static_cast<PartFile*>(self)->WriteAll(data, static_cast<size_t>(size));
  return result < 0 ? result : size;
}

int64_t PartFile::OnSeek(void* self, int64_t offset, int whence) {
  const auto* file = static_cast<const PartFile*>(self);
  if ((whence & AVSEEK_SIZE) != 0) {
    struct stat status {};
    return fstat(file->fd_, &status) == 0 ? status.st_size : AVERROR(errno);
  }
  const off_t position = lseek(file->fd_, offset, whence & ~AVSEEK_FORCE);
  return position < 0 ? AVERROR(errno) : position;
}

sdk::Status PartFile::Write(const uint8_t* data, size_t size) {
  WriteAll(data, size);
  return error();
}

sdk::Status PartFile::Commit(bool durable, bool replace) {
  avio_flush(io_.get());
  if (errno_ == 0 && durable && fsync(fd_) != 0) errno_ = errno;
  // Some file systems say only here that the disk is full.
  if (close(std::exchange(fd_, -1)) != 0 && errno_ == 0) errno_ = errno;
  if (errno_ != 0) return error();
  int result =
      replace ? rename(part_path_.c_str(), path_.c_str())
              : renameat2(AT_FDCWD, part_path_.c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE);
  if (result != 0 && !replace && (errno == EINVAL || errno == ENOSYS)) {
    // A file system without the flag: a hard link does not replace either.
    result = link(part_path_.c_str(), path_.c_str());
    if (result == 0) unlink(part_path_.c_str());
  }
  if (result != 0) {
    errno_ = errno;
    return error();
  }
  part_path_.clear();
  return {};
}

}  // namespace sluice::ffmpeg
