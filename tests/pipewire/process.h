#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace sluice::testing {

/// What a wait allows before it fails: a limit for machines under load and
/// sanitizers, never the usual duration.
inline constexpr std::chrono::milliseconds kPatience{60'000};

/// A program that a test has started. It is killed with the object, and with
/// the thread that started it. Its stderr is the test's own. Not thread-safe.
class Process {
 public:
  Process() = default;
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  ~Process();

  /// `arguments[0]` is a path, or a name to be found in PATH; the environment
  /// is the caller's. Errors: Io.
  static Result<Process> Start(const std::vector<std::string>& arguments);

  pid_t pid() const { return pid_; }
  bool running();

  /// The next line of its stdout, without the line's end. Errors: Timeout;
  /// Cancelled at the end of its output.
  Result<std::string> ReadLine(std::chrono::milliseconds patience = kPatience);
  /// Everything from here to the end of its output. Errors: Timeout.
  Result<std::string> ReadAll(std::chrono::milliseconds patience = kPatience);
  /// Puts `line` and a line's end into its stdin. Errors: Io.
  Status WriteLine(const std::string& line);
  void CloseInput() { input_.Reset(); }

  /// Sends `number` if it runs still.
  void Signal(int number);
  /// kill -9, and waits until it is gone.
  void Kill();
  /// Its exit status, or 128 + N where signal N ended it. Errors: Timeout.
  Result<int> Wait(std::chrono::milliseconds patience = kPatience);

 private:
  void Reap(int flags);

  pid_t pid_ = -1;
  int status_ = -1;  // Set once it has ended.
  UniqueFd input_;
  UniqueFd output_;
  UniqueFd ended_;  // A pidfd.
  std::string buffered_;
};

}  // namespace sluice::testing
