#include "engine/cli/report_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

namespace sluice::cli {
namespace {

tl::unexpected<Error> Exists(const std::string& path) {
  return Fail(Code::kAlreadyExists, path + " exists; --force replaces it");
}

}  // namespace

Result<ReportFile> ReportFile::Create(std::string path, bool overwrite) {
  struct stat info;
  if (!overwrite && lstat(path.c_str(), &info) == 0) return Exists(path);
  std::string part = fmt::format("{}.{}.part", path, getpid());
  UniqueFd fd(open(part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!fd.valid()) return FailErrno(part, errno);
  return ReportFile(std::move(path), std::move(part), overwrite, std::move(fd));
}

ReportFile::~ReportFile() {
  if (fd_.valid()) unlink(part_.c_str());
}

Status ReportFile::Finish(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd_.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FailErrno(part_, errno);
    text.remove_prefix(static_cast<size_t>(written));
  }
  // Somebody may have made the file meanwhile.
  const unsigned flags = overwrite_ ? 0 : RENAME_NOREPLACE;
  int renamed = renameat2(AT_FDCWD, part_.c_str(), AT_FDCWD, path_.c_str(), flags);
  if (renamed != 0 && errno == EINVAL && flags != 0) {
    // A file system without that flag.
    renamed = rename(part_.c_str(), path_.c_str());
  }
  if (renamed != 0) return errno == EEXIST ? Exists(path_) : FailErrno(path_, errno);
  fd_.Reset();
  return {};
}

}  // namespace sluice::cli
