#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <map>
#include <memory>
#include <string>

#include "engine/base/result.h"
#include "tests/pipewire/process.h"

namespace sluice::testing {

/// A PipeWire daemon of the test's own, by tests/pipewire/with_daemon. While
/// it lives, this process's environment names it: clients in this process and
/// in those that it starts meet there. One at a time in a process; any number
/// beside each other on a machine. Whatever becomes of the test, the daemon
/// ends with it. Not thread-safe; made and destroyed where no other thread
/// reads the environment.
class Daemon {
 public:
  struct Options {
    bool session_manager = false;  ///< WirePlumber and a session bus, too.
    bool test_camera = false;      ///< PipeWire's videotestsrc, node "test-camera".
    std::string conf;              ///< A fragment of pipewire.conf.
    std::string session_conf;      ///< A fragment of wireplumber.conf.
    std::string preload;           ///< A library for the daemon and its session manager alone.
  };

  /// Returns when clients can connect, and the session manager is ready.
  /// Errors: Unsupported where PipeWire is not installed; Io.
  static Result<std::unique_ptr<Daemon>> Start(const Options& options);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  /// kill -9; returns when it is gone. Its clients see the connection end.
  Status Kill() { return Command("kill"); }
  /// The same by SIGTERM.
  Status Stop() { return Command("stop"); }
  /// A new daemon at the same place, after Kill, Stop, or instead of the one
  /// that runs; with a new session manager where there was one.
  Status StartAgain() { return Command("start"); }

  Status KillSessionManager() { return Command("kill wireplumber"); }
  Status StartSessionManager() { return Command("start wireplumber"); }

  /// Of the daemon; -1 while there is none.
  pid_t pid() const;
  /// XDG_RUNTIME_DIR; the logs (pipewire.log, wireplumber.log) are in it.
  const std::string& folder() const { return folder_; }
  /// What its log says so far.
  std::string Log(const std::string& program = "pipewire") const;

 private:
  Daemon() = default;
  Status Command(const std::string& command);
  Status Read();
  void SetEnvironment(const std::string& name, const char* value);

  Process keeper_;
  std::string folder_;
  std::map<std::string, pid_t> pids_;
  std::map<std::string, std::string> before_;  // Of the environment: "=VALUE", or "" if unset.
};

/// A test with a daemon of its own; skipped, with the reason, where PipeWire
/// is not installed. A derived fixture chooses options in its constructor.
class DaemonTest : public ::testing::Test {
 protected:
  DaemonTest() = default;
  explicit DaemonTest(Daemon::Options options) : options_(std::move(options)) {}
  void SetUp() override;

  Daemon& daemon() { return *daemon_; }

 private:
  Daemon::Options options_;
  std::unique_ptr<Daemon> daemon_;
};

}  // namespace sluice::testing
