#include "tests/pipewire/daemon.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "tests/pipewire/client.h"

namespace sluice::testing {
namespace {

bool Exists(const std::string& path) {
  struct stat status;
  return stat(path.c_str(), &status) == 0;
}

std::unique_ptr<Client> Connected() {
  auto client = Client::Connect();
  EXPECT_TRUE(client) << client.error().ToString();
  return client ? std::move(*client) : nullptr;
}

using PipewireDaemonTest = DaemonTest;

TEST_F(PipewireDaemonTest, ClientsOfThisProcessMeetItAlone) {
  auto client = Connected();
  ASSERT_TRUE(client);
  for (const NodeSeen& node : client->nodes()) {
    EXPECT_TRUE(node.name() == "Dummy-Driver" || node.name() == "Freewheel-Driver") << node.name();
  }
  EXPECT_EQ(client->nodes().size(), 2u);
}

TEST_F(PipewireDaemonTest, ProgramsThatAreStartedMeetIt) {
  auto program = Process::Start({"pw-cli", "info", "0"});
  ASSERT_TRUE(program);
  auto said = program->ReadAll();
  ASSERT_TRUE(said);
  EXPECT_NE(said->find("pipewire-0"), std::string::npos) << *said;
}

TEST_F(PipewireDaemonTest, ItsEndIsSeenByItsClients) {
  auto client = Connected();
  ASSERT_TRUE(client);
  ASSERT_TRUE(daemon().Kill());
  EXPECT_EQ(daemon().pid(), -1);
  const Status lost = client->WaitUntil("the end", [] { return false; });
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, Code::kDeviceLost);
}

TEST_F(PipewireDaemonTest, ItComesBackAtTheSamePlace) {
  const pid_t before = daemon().pid();
  ASSERT_TRUE(daemon().Kill());
  EXPECT_FALSE(Client::Connect());
  ASSERT_TRUE(daemon().StartAgain());
  EXPECT_NE(daemon().pid(), before);
  EXPECT_TRUE(Connected());
  ASSERT_TRUE(daemon().Stop());
  ASSERT_TRUE(daemon().StartAgain());
  EXPECT_TRUE(Connected());
}

TEST(PipewireDaemonLifeTest, NothingStaysBehind) {
  const char* outside = std::getenv("XDG_RUNTIME_DIR");
  const std::string before = outside ? outside : "";
  auto daemon = Daemon::Start({});
  if (!daemon && daemon.error().code == Code::kUnsupported) GTEST_SKIP() << daemon.error().message;
  ASSERT_TRUE(daemon) << daemon.error().ToString();
  const std::string folder = (*daemon)->folder();
  const pid_t pid = (*daemon)->pid();
  ASSERT_TRUE(Exists(folder));
  ASSERT_EQ(kill(pid, 0), 0);
  daemon->reset();
  EXPECT_FALSE(Exists(folder));
  EXPECT_NE(kill(pid, 0), 0);
  outside = std::getenv("XDG_RUNTIME_DIR");
  EXPECT_EQ(before, outside ? outside : "");
}

// Whoever holds the daemon for the test was killed itself, as with a whole sandbox: the next one
// cleans up.
TEST(PipewireDaemonLifeTest, NorAfterAKill) {
  auto killed = Process::Start({"tests/pipewire/with_daemon", "--serve"});
  ASSERT_TRUE(killed) << killed.error().ToString();
  auto line = killed->ReadLine();
  if (!line && *killed->Wait() == 77) GTEST_SKIP() << "PipeWire is not installed";
  ASSERT_TRUE(line) << line.error().ToString();
  const auto said = nlohmann::json::parse(*line);
  const std::string folder = said["folder"];
  const UniqueFd pipewire(
      static_cast<int>(syscall(SYS_pidfd_open, said["pids"]["pipewire"].get<pid_t>(), 0)));
  ASSERT_TRUE(pipewire.valid());
  killed->Kill();
  auto next = Daemon::Start({});
  ASSERT_TRUE(next) << next.error().ToString();
  EXPECT_FALSE(Exists(folder));
  pollfd ended{pipewire.get(), POLLIN, 0};
  EXPECT_EQ(poll(&ended, 1, static_cast<int>(kPatience.count())), 1);
}

class TestCameraTest : public DaemonTest {
 protected:
  TestCameraTest() : DaemonTest({.test_camera = true}) {}
};

TEST_F(TestCameraTest, TheTestCameraIsThere) {
  auto client = Connected();
  ASSERT_TRUE(client);
  auto camera = client->WaitForNode("test-camera");
  ASSERT_TRUE(camera) << camera.error().ToString();
  EXPECT_EQ(camera->property("media.class"), "Video/Source");
  EXPECT_EQ(camera->outputs.size(), 1u);
}

class SessionManagerTest : public DaemonTest {
 protected:
  SessionManagerTest() : DaemonTest({.session_manager = true, .test_camera = true}) {}
};

TEST_F(SessionManagerTest, TheSessionManagerKnowsTheCamera) {
  auto program = Process::Start({"wpctl", "status"});
  ASSERT_TRUE(program);
  auto said = program->ReadAll();
  ASSERT_TRUE(said);
  EXPECT_NE(said->find("Test camera"), std::string::npos) << *said << daemon().Log("wireplumber");
}

TEST_F(SessionManagerTest, TheSessionManagerComesBackWithTheDaemon) {
  ASSERT_TRUE(daemon().Kill());
  ASSERT_TRUE(daemon().StartAgain());
  ASSERT_TRUE(daemon().KillSessionManager());
  ASSERT_TRUE(daemon().StartSessionManager());
  EXPECT_TRUE(Connected());
}

}  // namespace
}  // namespace sluice::testing
