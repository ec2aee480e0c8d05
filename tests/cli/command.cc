#include "tests/cli/command.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <ostream>
#include <utility>

namespace sluice::testing {
namespace {

namespace fs = std::filesystem;

constexpr char kBinary[] = "engine/cli/sluice";

struct Pipe {
  int read = -1;
  int write = -1;
};

Pipe MakePipe() {
  int ends[2];
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  return {ends[0], ends[1]};
}

/// A terminal, written to by the command and read from by the test.
Pipe MakeTerminal() {
  Pipe terminal;
  EXPECT_EQ(openpty(&terminal.read, &terminal.write, nullptr, nullptr, nullptr), 0);
  for (int fd : {terminal.read, terminal.write}) fcntl(fd, F_SETFD, FD_CLOEXEC);
  return terminal;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> Environment(const std::vector<std::string>& more) {
  // HOME is none: plugins of whoever runs the test must not be found.
  // First, because the first of two counts.
  std::vector<std::string> environment = more;
  environment.insert(environment.end(), {"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"});
  for (const char* name : {"TEST_SRCDIR", "RUNFILES_DIR", "VK_ICD_FILENAMES",
                           "VK_LOADER_LAYERS_DISABLE", "SLUICE_CACHE_DIR", "MESA_SHADER_CACHE_DIR",
                           "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS"}) {
    if (const char* value = getenv(name)) environment.push_back(std::string(name) + "=" + value);
  }
  return environment;
}

pid_t Spawn(const std::string& folder, std::vector<std::string> arguments,
            std::vector<std::string> environment, posix_spawn_file_actions_t* actions) {
  arguments.insert(arguments.begin(), Runfile(kBinary));
  posix_spawn_file_actions_addchdir_np(actions, folder.c_str());
  // A test runner may ignore or block signals; the command shall not inherit that.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, defaults;
  sigemptyset(&none);
  sigemptyset(&defaults);
  for (int signal : {SIGINT, SIGTERM, SIGPIPE}) sigaddset(&defaults, signal);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = -1;
  const std::string binary = arguments[0];
  const int error = posix_spawn(&pid, binary.c_str(), actions, &attributes,
                                Pointers(arguments).data(), Pointers(environment).data());
  posix_spawnattr_destroy(&attributes);
  EXPECT_EQ(error, 0) << binary;
  return error == 0 ? pid : -1;
}

/// Appends what is there; false at the end.
bool ReadSome(int fd, std::string* text) {
  char block[4096];
  const ssize_t got = read(fd, block, sizeof block);
  if (got > 0) text->append(block, static_cast<size_t>(got));
  return got > 0 || (got < 0 && errno == EINTR);
}

/// Reads both to their ends at once, so that neither can fill up and block the command.
void ReadBoth(int out, std::string* out_text, int err, std::string* err_text) {
  pollfd fds[2] = {{out, POLLIN, 0}, {err, POLLIN, 0}};
  std::string* const texts[2] = {out_text, err_text};
  while (fds[0].fd >= 0 || fds[1].fd >= 0) {
    if (poll(fds, 2, -1) < 0 && errno != EINTR) return;
    for (int i = 0; i < 2; ++i) {
      if (fds[i].fd < 0 || fds[i].revents == 0) continue;
      if (!ReadSome(fds[i].fd, texts[i])) fds[i].fd = -1;
    }
  }
}

void Reap(pid_t pid, Outcome* outcome) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status)) outcome->exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome->signal = WTERMSIG(status);
}

/// An unlinked file with `text`, at its start.
int FileWith(const std::string& text) {
  std::string path = ::testing::TempDir() + "/stdin_XXXXXX";
  const int fd = mkostemp(path.data(), O_CLOEXEC);
  unlink(path.c_str());
  EXPECT_EQ(write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  lseek(fd, 0, SEEK_SET);
  return fd;
}

}  // namespace

std::string Runfile(const std::string& path) {
  const char* tree = getenv("TEST_SRCDIR");
  return fs::absolute(fs::path(tree != nullptr ? tree : "..") / "sluice" / path).string();
}

void PrintTo(Stdout stdout_kind, std::ostream* out) {
  switch (stdout_kind) {
    case Stdout::kCaptured:
      *out << "captured";
      break;
    case Stdout::kClosed:
      *out << "closed";
      break;
    case Stdout::kNoReader:
      *out << "no reader";
      break;
    case Stdout::kFullDevice:
      *out << "/dev/full";
      break;
  }
}

Outcome RunIn(const std::string& folder, const Invocation& invocation) {
  const Pipe out = MakePipe();
  const Pipe err = invocation.stderr_is_terminal ? MakeTerminal() : MakePipe();
  const int in = FileWith(invocation.stdin_text);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in, 0);
  switch (invocation.to) {
    case Stdout::kClosed:
      posix_spawn_file_actions_addclose(&actions, 1);
      break;
    case Stdout::kFullDevice:
      posix_spawn_file_actions_addopen(&actions, 1, "/dev/full", O_WRONLY, 0);
      break;
    case Stdout::kCaptured:
    case Stdout::kNoReader:
      posix_spawn_file_actions_adddup2(&actions, out.write, 1);
      break;
  }
  posix_spawn_file_actions_adddup2(&actions, err.write, 2);
  if (invocation.close_stderr) posix_spawn_file_actions_addclose(&actions, 2);
  if (invocation.to == Stdout::kNoReader) close(out.read);
  const pid_t pid =
      Spawn(folder, invocation.arguments, Environment(invocation.environment), &actions);
  posix_spawn_file_actions_destroy(&actions);
  close(in);
  close(out.write);
  close(err.write);
  Outcome outcome;
  ReadBoth(invocation.to == Stdout::kNoReader ? -1 : out.read, &outcome.out, err.read,
           &outcome.err);
  if (invocation.to != Stdout::kNoReader) close(out.read);
  close(err.read);
  if (pid > 0) Reap(pid, &outcome);
  return outcome;
}

Running::Running(const std::string& folder, const std::vector<std::string>& arguments,
                 const std::vector<std::string>& environment) {
  const Pipe out = MakePipe();
  const Pipe err = MakePipe();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out.write, 1);
  posix_spawn_file_actions_adddup2(&actions, err.write, 2);
  pid_ = Spawn(folder, arguments, Environment(environment), &actions);
  posix_spawn_file_actions_destroy(&actions);
  close(out.write);
  close(err.write);
  out_ = out.read;
  err_ = err.read;
}

Running::~Running() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    Reap(pid_, &outcome_);
  }
  if (out_ >= 0) close(out_);
  if (err_ >= 0) close(err_);
}

bool Running::WaitForStderr(const std::string& text) {
  while (outcome_.err.find(text) == std::string::npos) {
    if (!ReadSome(err_, &outcome_.err)) return false;
  }
  return true;
}

void Running::Signal(int signal) { kill(pid_, signal); }

Outcome Running::Wait() {
  ReadBoth(out_, &outcome_.out, err_, &outcome_.err);
  if (pid_ > 0) Reap(std::exchange(pid_, -1), &outcome_);
  return outcome_;
}

void CommandTest::SetUp() {
  std::string pattern = ::testing::TempDir() + "/cli_XXXXXX";
  ASSERT_NE(mkdtemp(pattern.data()), nullptr);
  folder_ = fs::absolute(pattern).string();
}

void CommandTest::TearDown() { fs::remove_all(folder_); }

std::string CommandTest::Write(const std::string& name, const std::string& text) {
  std::ofstream(Path(name), std::ios::binary) << text;
  return name;
}

bool CommandTest::Exists(const std::string& name) const { return fs::exists(Path(name)); }

std::string CommandTest::Read(const std::string& name) const {
  std::ifstream file(Path(name), std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<std::string> CommandTest::Files() const {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder_))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace sluice::testing
