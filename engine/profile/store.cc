#include "engine/profile/store.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

#include "engine/base/file.h"
#include "engine/base/unique_fd.h"

namespace sluice::profile {
namespace {

constexpr size_t kMaxBytes = 1 << 20;

}  // namespace

std::string DefaultPath(const Machine& machine) {
  const std::string folder = CacheFolder();
  return folder.empty() ? "" : fmt::format("{}/profiles/{}.json", folder, machine.id);
}

Result<Record> Read(const std::string& path) {
  // Not blocking: a FIFO under that name must not hold a run up.
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return FailErrno(path, errno);
  std::string text;
  char block[8192];
  for (;;) {
    const ssize_t got = read(fd.get(), block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FailErrno(path, errno);
    if (got == 0) break;
    text.append(block, static_cast<size_t>(got));
    if (text.size() > kMaxBytes) {
      return Fail(Code::kInvalidArgument, fmt::format("{}: is no profile: too long", path));
    }
  }
  auto record = Parse(text);
  if (!record) record.error().message = fmt::format("{} {}", path, record.error().message);
  return record;
}

Status Write(const std::string& path, const Record& record) {
  return WriteWhole(path, ToText(record));
}

Result<Choice> Choose(const std::string& wanted, const Machine& machine) {
  Choice choice;
  if (wanted == "none") return choice;
  const std::string path = wanted.empty() ? DefaultPath(machine) : wanted;
  if (path.empty()) return choice;
  auto record = Read(path);
  if (!record) {
    if (!wanted.empty()) return tl::unexpected(record.error());
    if (record.error().code == Code::kNotFound) return choice;
    choice.warning = fmt::format("{}; defaults are used, `sluice doctor --measure` makes a new one",
                                 record.error().message);
    return choice;
  }
  const bool foreign = record->machine.id != machine.id;
  if (foreign) {
    choice.warning =
        fmt::format("{} was measured on another machine: {}", path, record->machine.name);
    if (wanted.empty()) {
      choice.warning += "; defaults are used, `sluice doctor --measure` makes a new one";
      return choice;
    }
  }
  choice.profile = ToProfile(*record);
  return choice;
}

}  // namespace sluice::profile
