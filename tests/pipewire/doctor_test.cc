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
#include "tests/pipewire/client.h"
#include "tests/pipewire/daemon.h"
#include "tests/pipewire/peers.h"

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

TEST(DescribeModesTest, PutsFormatsOfTheSameSizesTogether) {
  const auto mode = [](const char* format, uint32_t width, uint32_t height, sluice_rate rate) {
    return sdk::CameraMode{format, width, height, width, height, rate, rate};
  };
  EXPECT_EQ(sdk::DescribeModes({mode("YUYV", 640, 480, {30, 1}), mode("YUYV", 640, 480, {15, 1}),
                                mode("MJPG", 1920, 1080, {30000, 1001}),
                                mode("NV12", 640, 480, {30, 1}), mode("NV12", 640, 480, {15, 1})}),
            "YUYV NV12 640x480@15..30; MJPG 1920x1080@29.97");
}

TEST(DescribeModesTest, CutsALongListAndSaysSo) {
  std::vector<sdk::CameraMode> modes;
  for (uint32_t i = 1; i <= 9; ++i) modes.push_back({"R8", i, i, i, i, {0, 0}, {0, 0}});
  EXPECT_EQ(sdk::DescribeModes(modes), "R8 1x1 2x2 3x3 4x4 5x5 6x6 and 3 more");
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
  EXPECT_TRUE(Says(camera, "BG24 UYVY any size at any rate")) << camera.detail;
  EXPECT_TRUE(Says(camera, "shared memory")) << camera.detail;
  EXPECT_FALSE(Says(camera, "dma-buf")) << camera.detail;
  EXPECT_EQ(camera.device, "") << "it is no device of this machine";
}

TEST_F(DoctorTest, SaysThatNoSessionManagerRuns) {
  const auto told = Examine();
  EXPECT_EQ(Find(told, "session manager").health, SLUICE_HEALTH_LIMITED);
  EXPECT_NE(Find(told, "session manager").advice.find("wireplumber"), std::string::npos);
  EXPECT_TRUE(Says(Find(told, "test-camera"), "taken when none is named"));
}

class NoCameraTest : public DaemonTest {};

TEST_F(NoCameraTest, SaysWhichCameraOffersDmabufs) {
  auto client = Client::Connect();
  ASSERT_TRUE(client) << client.error().ToString();
  for (const char* memory : {"dmabuf", "memfd"}) {
    auto peer = Peer::Start({"source", "--name", memory, "--memory", memory});
    ASSERT_TRUE(peer) << peer.error().ToString();
    ASSERT_TRUE((*client)->WaitForNode(memory));
    const Told camera = Find(Examine(), memory);
    EXPECT_TRUE(Says(camera, "AB24 320x240@")) << camera.detail;
    EXPECT_EQ(Says(camera, "dma-bufs (linear)"), std::string(memory) == "dmabuf") << camera.detail;
    EXPECT_EQ(Says(camera, "shared memory"), std::string(memory) == "memfd") << camera.detail;
  }
}

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
  EXPECT_TRUE(Says(Find(told, "test-camera"), "taken when none is named"))
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
