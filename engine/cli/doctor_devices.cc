#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include <fmt/format.h>

#include "engine/base/unique_fd.h"
#include "engine/cli/doctor.h"

namespace sluice::cli {
namespace {

namespace fs = std::filesystem;

/// "i915": the kernel driver of a device of a class, "" if it has none.
std::string DriverOf(const std::string& class_folder, const std::string& name) {
  std::error_code error;
  const fs::path link = fs::read_symlink(class_folder + "/" + name + "/device/driver", error);
  return error ? "" : link.filename().string();
}

Finding RenderNode(const std::string& name) {
  const std::string path = "/dev/dri/" + name;
  Finding finding{.section = "graphics", .name = path};
  const std::string driver = DriverOf("/sys/class/drm", name);
  const UniqueFd device(open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (device.valid()) {
    finding.detail = driver.empty() ? "can be opened" : fmt::format("driver {}", driver);
    return finding;
  }
  finding.health = Health::kMissing;
  finding.detail = std::strerror(errno);
  finding.advice = AccessAdvice(path);
  return finding;
}

}  // namespace

std::string AccessAdvice(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return {};
  if (access(path.c_str(), R_OK | W_OK) == 0) return {};
  const group* owner = getgrgid(info.st_gid);
  const bool group_may = (info.st_mode & S_IRGRP) != 0 && (info.st_mode & S_IWGRP) != 0;
  if (!group_may || owner == nullptr || info.st_gid == 0) {
    return fmt::format("only its owner may open it: a udev rule can give it to a group, see {}",
                       path);
  }
  return fmt::format("sudo usermod -aG {} $USER, then log in again", owner->gr_name);
}

std::vector<std::string> NamesIn(const std::string& folder, const std::string& prefix) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::string name = entry->path().filename().string();
    if (name.starts_with(prefix)) names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

void ProbeDevices(Findings* findings) {
  const auto nodes = NamesIn("/dev/dri", "renderD");
  for (const std::string& node : nodes) findings->push_back(RenderNode(node));
  if (nodes.empty()) {
    findings->push_back(
        {.section = "graphics",
         .name = "render node",
         .health = Health::kMissing,
         .detail = "no /dev/dri/renderD*: no GPU with a kernel driver, so no dma-buf with one",
         .advice = "load the GPU's kernel driver (i915, amdgpu, nvidia-drm, ...); in a container, "
                   "pass /dev/dri in"});
  }
}

}  // namespace sluice::cli
