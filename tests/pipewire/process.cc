#include "tests/pipewire/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace sluice::testing {
namespace {

using Clock = std::chrono::steady_clock;

int LeftMs(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return left > 0 ? static_cast<int>(left) : 0;
}

// Until it is readable or the deadline has passed.
bool WaitReadable(int fd, Clock::time_point deadline) {
  for (;;) {
    pollfd entry{fd, POLLIN, 0};
    const int count = poll(&entry, 1, LeftMs(deadline));
    if (count > 0) return true;
    if (count == 0 || errno != EINTR) return false;
  }
}

// Between fork and exec: nothing but system calls.
[[noreturn]] void Become(char* const* arguments, int input, int output, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  dup2(input, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  execvp(arguments[0], arguments);
  _exit(127);
}

}  // namespace

Process::Process(Process&& other) noexcept { *this = std::move(other); }

Process& Process::operator=(Process&& other) noexcept {
  if (this == &other) return *this;
  Kill();
  pid_ = std::exchange(other.pid_, -1);
  status_ = other.status_;
  input_ = std::move(other.input_);
  output_ = std::move(other.output_);
  ended_ = std::move(other.ended_);
  buffered_ = std::move(other.buffered_);
  return *this;
}

Process::~Process() { Kill(); }

Result<Process> Process::Start(const std::vector<std::string>& arguments) {
  int in[2];
  int out[2];
  if (pipe2(in, O_CLOEXEC) != 0) return FailErrno("pipe", errno);
  UniqueFd child_input(in[0]);
  Process process;
  process.input_.Reset(in[1]);
  if (pipe2(out, O_CLOEXEC) != 0) return FailErrno("pipe", errno);
  process.output_.Reset(out[0]);
  UniqueFd child_output(out[1]);
  std::vector<char*> words;
  for (const std::string& argument : arguments)
    words.push_back(const_cast<char*>(argument.c_str()));
  words.push_back(nullptr);
  const pid_t parent = getpid();
  process.pid_ = fork();
  if (process.pid_ < 0) return FailErrno("fork", errno);
  if (process.pid_ == 0) Become(words.data(), child_input.get(), child_output.get(), parent);
  process.ended_.Reset(static_cast<int>(syscall(SYS_pidfd_open, process.pid_, 0)));
  if (!process.ended_.valid()) return FailErrno("pidfd_open", errno);
  return process;
}

void Process::Reap(int flags) {
  if (pid_ < 0 || status_ >= 0) return;
  int status = 0;
  pid_t reaped;
  do {
    reaped = waitpid(pid_, &status, flags);
  } while (reaped < 0 && errno == EINTR);
  if (reaped == pid_) status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

bool Process::running() {
  Reap(WNOHANG);
  return pid_ >= 0 && status_ < 0;
}

Result<std::string> Process::ReadLine(std::chrono::milliseconds patience) {
  const auto deadline = Clock::now() + patience;
  for (;;) {
    const size_t end = buffered_.find('\n');
    if (end != std::string::npos) {
      std::string line = buffered_.substr(0, end);
      buffered_.erase(0, end + 1);
      return line;
    }
    if (!WaitReadable(output_.get(), deadline)) return Fail(Code::kTimeout, "no line came");
    char piece[4096];
    const ssize_t count = read(output_.get(), piece, sizeof(piece));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return Fail(Code::kCancelled, "its output has ended");
    buffered_.append(piece, static_cast<size_t>(count));
  }
}

Result<std::string> Process::ReadAll(std::chrono::milliseconds patience) {
  const auto deadline = Clock::now() + patience;
  std::string all;
  for (;;) {
    auto line = ReadLine(std::chrono::milliseconds(LeftMs(deadline)));
    if (line) {
      all += *line + "\n";
    } else if (line.error().code == Code::kCancelled) {
      return all + std::exchange(buffered_, {});
    } else {
      return line;
    }
  }
}

Status Process::WriteLine(const std::string& line) {
  const std::string text = line + "\n";
  // A reader that is gone is an error to report, not a signal to die of.
  struct sigaction ignore {};
  struct sigaction before {};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &ignore, &before);
  const ssize_t count = write(input_.get(), text.data(), text.size());
  const int error = errno;
  sigaction(SIGPIPE, &before, nullptr);
  if (count < 0) return FailErrno("write", error);
  if (static_cast<size_t>(count) != text.size()) return Fail(Code::kIo, "its input is full");
  return {};
}

void Process::Signal(int number) {
  if (running()) kill(pid_, number);
}

void Process::Kill() {
  Signal(SIGKILL);
  Reap(0);
}

Result<int> Process::Wait(std::chrono::milliseconds patience) {
  if (running() && !WaitReadable(ended_.get(), Clock::now() + patience)) {
    return Fail(Code::kTimeout, "process " + std::to_string(pid_) + " has not ended");
  }
  Reap(0);
  return status_;
}

}  // namespace sluice::testing
