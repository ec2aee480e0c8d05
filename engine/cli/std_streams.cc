#include "engine/cli/std_streams.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/cli/exit_code.h"

namespace sluice::cli {
namespace {

/// 0, or errno.
int WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      // Somebody who shares the stream made it non-blocking.
      pollfd wait{.fd = fd, .events = POLLOUT, .revents = 0};
      if (poll(&wait, 1, -1) < 0 && errno != EINTR) return errno;
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

int Deliver(std::string_view text, int error) {
  if (error == 0) return kExitDone;
  if (error != EPIPE) {
    ComplainError(
        fmt::format("cannot write {} bytes to stdout: {}", text.size(), std::strerror(error)));
  }
  return kExitFailed;
}

}  // namespace

void PrepareStdStreams() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    // Opened the wrong way round, so that its use is an error as on a closed one. It gets the
    // lowest free number, which is `fd`: those below are open by now.
    const int placeholder = open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
    if (placeholder > 2) close(placeholder);
  }
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a file over the limit is an error (EFBIG), not an end without a word
}

int Deliver(std::string_view text) { return Deliver(text, WriteAll(STDOUT_FILENO, text)); }

int DeliverJson(const nlohmann::ordered_json& json) { return Deliver(ToText(json)); }

std::string ToText(const nlohmann::ordered_json& json) {
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

void WriteErr(std::string_view text) { WriteAll(STDERR_FILENO, text); }

void Complain(std::string_view kind, std::string_view message) {
  while (message.ends_with('\n')) message.remove_suffix(1);
  // Names of files may be in it, and it may go to a terminal.
  std::string printable(message);
  for (char& c : printable) {
    const bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    if (control && c != '\n' && c != '\t') c = '?';
  }
  WriteErr(fmt::format("sluice: {}: {}\n", kind, printable));
}

}  // namespace sluice::cli
