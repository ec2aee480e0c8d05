#pragma once

#include <sys/types.h>

#include <iosfwd>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace sluice::testing {

/// How the command ended and what it said.
struct Outcome {
  int exit_code = -1;  ///< -1: killed by `signal`
  int signal = 0;
  std::string out;
  std::string err;
};

/// How stdout is handed to the command.
enum class Stdout {
  kCaptured,
  kClosed,      ///< as with >&-
  kNoReader,    ///< a pipe whose reader has gone
  kFullDevice,  ///< /dev/full
};

void PrintTo(Stdout stdout_kind, std::ostream* out);

struct Invocation {
  std::vector<std::string> arguments;
  std::string stdin_text;
  Stdout to = Stdout::kCaptured;
  std::vector<std::string> environment;  ///< "NAME=value", added to a minimal one
  bool close_stderr = false;
  bool stderr_is_terminal = false;
};

/// Runs the real binary in `folder` and waits for it. A hang is the test runner's timeout.
Outcome RunIn(const std::string& folder, const Invocation& invocation);

/// A running command, for tests that send signals.
class Running {
 public:
  /// `environment`: as Invocation::environment.
  Running(const std::string& folder, const std::vector<std::string>& arguments,
          const std::vector<std::string>& environment = {});
  ~Running();
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  /// Returns when stderr has said `text`, or false when it ended without.
  bool WaitForStderr(const std::string& text);
  void Signal(int signal);
  pid_t pid() const { return pid_; }
  /// Reads the rest and waits.
  Outcome Wait();

 private:
  pid_t pid_ = -1;
  int out_ = -1;
  int err_ = -1;
  Outcome outcome_;
};

/// A test with an empty folder of its own, in which the command runs.
class CommandTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  Outcome Sluice(std::vector<std::string> arguments) {
    return RunIn(folder_, {.arguments = std::move(arguments)});
  }
  Outcome Sluice(const Invocation& invocation) { return RunIn(folder_, invocation); }
  /// Writes `text` to a file of the folder and returns its name.
  std::string Write(const std::string& name, const std::string& text);
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  bool Exists(const std::string& name) const;
  std::string Read(const std::string& name) const;
  std::vector<std::string> Files() const;

  std::string folder_;
};

/// Absolute path of a file of the test's runfiles.
std::string Runfile(const std::string& path);

}  // namespace sluice::testing
