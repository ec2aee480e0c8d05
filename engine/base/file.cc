#include "engine/base/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>

#include "engine/base/unique_fd.h"

namespace sluice {
namespace {

namespace fs = std::filesystem;

Status WriteAll(int fd, const std::string& path, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FailErrno(path, errno);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  // Before the name: a crash must not leave an empty file under it.
  if (fsync(fd) != 0) return FailErrno(path, errno);
  return {};
}

}  // namespace

std::string CacheFolder() {
  const auto from = [](const char* name) -> fs::path {
    const char* value = std::getenv(name);
    return value != nullptr && value[0] == '/' ? value : "";
  };
  if (auto path = from("SLUICE_CACHE_DIR"); !path.empty()) return path.string();
  if (auto path = from("XDG_CACHE_HOME"); !path.empty()) return (path / "sluice").string();
  if (auto path = from("HOME"); !path.empty()) return (path / ".cache" / "sluice").string();
  return {};
}

Status WriteWhole(const std::string& path, std::string_view bytes) {
  std::error_code error;
  const fs::path folder = fs::path(path).parent_path();
  if (!folder.empty()) fs::create_directories(folder, error);
  if (error) return FailErrno(folder.string(), error.value());
  // A name that nobody has: what a killed process left must not be in the way of the next one.
  constexpr std::string_view kSuffix = ".part";
  std::string part = fmt::format("{}.XXXXXX{}", path, kSuffix);
  UniqueFd fd(mkostemps(part.data(), static_cast<int>(kSuffix.size()), O_CLOEXEC));
  if (!fd.valid()) return FailErrno(part, errno);
  Status written = WriteAll(fd.get(), part, bytes);
  if (written && rename(part.c_str(), path.c_str()) != 0) written = FailErrno(path, errno);
  if (!written) unlink(part.c_str());
  return written;
}

}  // namespace sluice
