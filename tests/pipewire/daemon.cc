#include "tests/pipewire/daemon.h"

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace sluice::testing {
namespace {

constexpr int kExitSkip = 77;

// Bazel's temporary folder; its paths may be long: they name files, never sockets.
Result<std::string> WriteFragment(const std::string& name, const std::string& text) {
  static int number = 0;
  const std::string path =
      ::testing::TempDir() + "/" + std::to_string(getpid()) + "-" + std::to_string(number++) + name;
  std::ofstream file(path);
  file << text << "\n";
  if (!file.flush()) return Fail(Code::kIo, "cannot write " + path);
  return path;
}

Result<std::vector<std::string>> Arguments(const Daemon::Options& options) {
  std::vector<std::string> arguments{"tests/pipewire/with_daemon", "--serve"};
  if (options.session_manager) arguments.push_back("--session-manager");
  if (options.test_camera) arguments.push_back("--test-camera");
  if (!options.preload.empty()) {
    arguments.insert(arguments.end(), {"--preload", options.preload});
  }
  for (const auto& [option, text] :
       {std::pair{"--conf", options.conf}, std::pair{"--session-conf", options.session_conf}}) {
    if (text.empty()) continue;
    auto path = WriteFragment(std::string(option + 1) + ".conf", text);
    if (!path) return tl::unexpected(path.error());
    arguments.insert(arguments.end(), {option, *path});
  }
  return arguments;
}

}  // namespace

Result<std::unique_ptr<Daemon>> Daemon::Start(const Options& options) {
  auto arguments = Arguments(options);
  if (!arguments) return tl::unexpected(arguments.error());
  auto keeper = Process::Start(*arguments);
  if (!keeper) return tl::unexpected(keeper.error());
  std::unique_ptr<Daemon> daemon(new Daemon);
  daemon->keeper_ = std::move(*keeper);
  if (Status status = daemon->Read(); !status) {
    auto exit = daemon->keeper_.Wait();
    if (exit && *exit == kExitSkip) return Fail(Code::kUnsupported, "PipeWire is not installed");
    return tl::unexpected(status.error());
  }
  return daemon;
}

Daemon::~Daemon() {
  keeper_.CloseInput();
  if (!keeper_.Wait()) keeper_.Kill();
  for (const auto& [name, value] : before_) {
    if (value.empty()) {
      unsetenv(name.c_str());
    } else {
      setenv(name.c_str(), value.c_str() + 1, 1);
    }
  }
}

Status Daemon::Command(const std::string& command) {
  SLUICE_RETURN_IF_ERROR(keeper_.WriteLine(command));
  return Read();
}

Status Daemon::Read() {
  auto line = keeper_.ReadLine(2 * kPatience);
  if (!line) return Fail(line.error().code, "no daemon: " + line.error().message);
  const auto answer = nlohmann::json::parse(*line, nullptr, false);
  if (!answer.is_object()) return Fail(Code::kIo, "with_daemon said " + *line);
  if (answer.contains("error")) return Fail(Code::kIo, answer["error"].get<std::string>());
  folder_ = answer["folder"].get<std::string>();
  pids_ = answer["pids"].get<std::map<std::string, pid_t>>();
  if (!before_.empty()) return {};
  for (const auto& [name, value] : answer["environment"].items()) {
    SetEnvironment(name, value.is_null() ? nullptr : value.get<std::string>().c_str());
  }
  return {};
}

void Daemon::SetEnvironment(const std::string& name, const char* value) {
  const char* before = std::getenv(name.c_str());
  before_[name] = before ? std::string("=") + before : "";
  if (value) {
    setenv(name.c_str(), value, 1);
  } else {
    unsetenv(name.c_str());
  }
}

pid_t Daemon::pid() const {
  const auto found = pids_.find("pipewire");
  return found == pids_.end() ? -1 : found->second;
}

std::string Daemon::Log(const std::string& program) const {
  std::ifstream file(folder_ + "/" + program + ".log");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void DaemonTest::SetUp() {
  auto daemon = Daemon::Start(options_);
  if (!daemon && daemon.error().code == Code::kUnsupported) GTEST_SKIP() << daemon.error().message;
  ASSERT_TRUE(daemon) << daemon.error().ToString();
  daemon_ = std::move(*daemon);
}

}  // namespace sluice::testing
