// What `sluice doctor` learns from PipeWire.

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "nodes/pipewire/doctor.h"
#include "tests/pipewire/daemon.h"

namespace sluice::testing {
namespace {

struct Told {
  std::string section, name, detail, advice, device;
  int32_t health;
};

std::vector<Told> Examine() {
  struct Sink {
    sluice_finding_sink abi;
    std::vector<Told> told;
  } sink{};
  sink.abi.add = [](sluice_finding_sink* me, const sluice_finding* finding) {
    const auto text = [](const char* value) { return std::string(value ? value : ""); };
    reinterpret_cast<Sink*>(me)->told.push_back({text(finding->section), text(finding->name),
                                                 text(finding->detail), text(finding->advice),
                                                 text(finding->device), finding->health});
  };
  sdk::Findings findings(&sink.abi);
  pipewire::Doctor::Examine(findings);
  return sink.told;
}

/// Empty where nothing has this name.
Told Find(const std::vector<Told>& told, const std::string& name) {
  for (const Told& one : told) {
    if (one.name == name) return one;
  }
  return {"", "", "", "", "", -1};
}

bool Says(const Told& told, const std::string& what) {
  return told.detail.find(what) != std::string::npos;
}

class DoctorTest : public DaemonTest {
 protected:
  DoctorTest() : DaemonTest({.test_camera = true}) {}
};

TEST_F(DoctorTest, TellsTheVersionsOfDaemonAndLibrary) {
  const auto told = Examine();
  EXPECT_TRUE(Says(Find(told, "PipeWire"), "answers (pipewire-0)")) << Find(told, "PipeWire").detail;
  EXPECT_NE(Find(told, "PipeWire's library").detail, "");
}

TEST_F(DoctorTest, ListsACameraWithFormatsSizesRatesAndMemory) {
  const Told camera = Find(Examine(), "test-camera");
  EXPECT_EQ(camera.section, "video");
  EXPECT_EQ(camera.health, SLUICE_HEALTH_OK);
  EXPECT_TRUE(Says(camera, "Test camera")) << camera.detail;
  EXPECT_TRUE(Says(camera, "BG24 UYVY 1x1..")) << camera.detail;
  EXPECT_TRUE(Says(camera, "@0..")) << camera.detail;
  EXPECT_TRUE(Says(camera, "shared memory")) << camera.detail;
  EXPECT_FALSE(Says(camera, "dma-buf")) << camera.detail;
  EXPECT_EQ(camera.device, "") << "it is no device of this machine";
}

TEST_F(DoctorTest, SaysThatNoSessionManagerRuns) {
  const auto told = Examine();
  EXPECT_EQ(Find(told, "session manager").health, SLUICE_HEALTH_LIMITED);
  EXPECT_NE(Find(told, "session manager").advice.find("wireplumber"), std::string::npos);
  EXPECT_TRUE(Says(Find(told, "default camera"), "test-camera, the first"));
}

class NoCameraTest : public DaemonTest {};

TEST_F(NoCameraTest, SaysThatThereIsNoCamera) {
  EXPECT_EQ(Find(Examine(), "PipeWire's cameras").health, SLUICE_HEALTH_MISSING);
}

class SessionManagerTest : public DaemonTest {
 protected:
  SessionManagerTest() : DaemonTest({.session_manager = true, .test_camera = true}) {}
};

TEST_F(SessionManagerTest, NamesTheSessionManagerAndItsDefaultCamera) {
  const auto told = Examine();
  EXPECT_TRUE(Says(Find(told, "session manager"), "WirePlumber runs"));
  EXPECT_TRUE(Says(Find(told, "test-camera"), "the default camera"))
      << Find(told, "test-camera").detail;
}

TEST_F(DoctorTest, SaysWhatToDoWhenTheDaemonIsGone) {
  ASSERT_TRUE(daemon().Kill());
  const auto told = Examine();
  EXPECT_EQ(Find(told, "PipeWire").health, SLUICE_HEALTH_MISSING);
  EXPECT_NE(Find(told, "PipeWire").advice.find("systemctl --user start pipewire"),
            std::string::npos);
  EXPECT_EQ(Find(told, "test-camera").health, -1);
}

TEST_F(DoctorTest, GivesUpOnADaemonThatDoesNotAnswer) {
  ASSERT_TRUE(daemon().Kill());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = daemon().folder() + "/pipewire-0";
  std::filesystem::remove(path);
  ASSERT_LT(path.size(), sizeof address.sun_path);
  std::strcpy(address.sun_path, path.c_str());
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(listener, 4), 0);
  const Told daemon = Find(Examine(), "PipeWire");
  close(listener);
  EXPECT_EQ(daemon.health, SLUICE_HEALTH_MISSING);
  EXPECT_TRUE(Says(daemon, "has not answered")) << daemon.detail;
}

}  // namespace
}  // namespace sluice::testing
