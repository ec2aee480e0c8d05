#include "engine/cli/line_reader.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace sluice::cli {
namespace {

/// A line that is longer than this is no line of ours.
constexpr size_t kMaxLine = 64 * 1024;

/// Waits until `fd` can be read. False: `stop` was rung.
bool WaitReadable(int fd, int stop) {
  pollfd entries[2] = {{fd, POLLIN, 0}, {stop, POLLIN, 0}};
  while (poll(entries, 2, -1) < 0) {
    if (errno != EINTR) return false;
  }
  return entries[1].revents == 0;
}

void ReadLines(int fd, int stop, const std::function<void(const std::string&)>& line) {
  std::string text;
  std::array<char, 4096> block;
  while (WaitReadable(fd, stop)) {
    const ssize_t got = read(fd, block.data(), block.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) break;
    text.append(block.data(), static_cast<size_t>(got));
    for (size_t end; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1)) {
      if (end > 0) line(text.substr(0, end));
    }
    if (text.size() > kMaxLine) text.clear();
  }
  if (!text.empty()) line(text);  // the last one without its end
}

}  // namespace

Result<LineReader> LineReader::Open(const std::string& path,
                                    std::function<void(const std::string&)> line) {
  // Read-write: a FIFO does not end with its first writer, and opening it does not wait for one.
  UniqueFd fd(path == "-" ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                          : open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid() && path != "-") fd = UniqueFd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return FailErrno(path, errno);
  struct stat info = {};
  if (fstat(fd.get(), &info) != 0) return FailErrno(path, errno);
  if (S_ISDIR(info.st_mode)) return Fail(Code::kInvalidArgument, path + ": is a folder");
  UniqueFd stop(eventfd(0, EFD_CLOEXEC));
  if (!stop.valid()) return FailErrno("eventfd", errno);
  std::thread thread([fd = std::move(fd), bell = stop.get(), line = std::move(line)] {
    ReadLines(fd.get(), bell, line);
  });
  return LineReader(std::move(stop), std::move(thread));
}

LineReader::~LineReader() {
  if (!thread_.joinable()) return;  // moved from
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t rung = write(stop_.get(), &one, sizeof one);
  thread_.join();
}

}  // namespace sluice::cli
