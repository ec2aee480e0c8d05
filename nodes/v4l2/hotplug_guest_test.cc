// A camera that is taken away and given back. vivid is unbound from its platform device and bound
// again through sysfs, as a driver is whose hardware goes; its own "disconnect" button plays a USB
// device that is pulled. Runs in the test guest, where nobody else needs the camera.

#include <gtest/gtest.h>

#include <poll.h>

#include <cerrno>
#include <cstring>

#include "nodes/v4l2/camera.h"

namespace sluice::v4l2::testing {
namespace {

constexpr const char* kDriver = "/sys/bus/platform/drivers/vivid/";

::testing::AssertionResult Write(const char* verb) {
  const std::string path = std::string(kDriver) + verb;
  const sdk::UniqueFd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  constexpr char kName[] = "vivid.0";
  if (file && write(file.get(), kName, sizeof(kName) - 1) == sizeof(kName) - 1) {
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure() << path << ": " << std::strerror(errno);
}

bool Appears(const char* path) {
  for (int i = 0; i < 200 && access(path, F_OK) != 0; ++i) poll(nullptr, 0, 10);
  return access(path, F_OK) == 0;
}

sluice_format Small() { return MakeFormat(SLUICE_FORMAT_YUYV, 320, 180, {60, 1}); }

/// Runs until the node fails; its error.
int32_t Fail(Camera& camera) {
  for (int i = 0; i < 50 && camera.result >= 0; ++i) {
    camera.runner.WaitForFd(200);
    camera.result = camera.runner.Step();
    while (camera.runner.Take()) {
    }
  }
  return camera.result;
}

TEST(HotplugTest, ACameraThatIsPulledIsLostAndOneThatIsBackIsFound) {
  {
    Camera camera(Way::kExport, Small());
    ASSERT_EQ(camera.code, SLUICE_OK) << camera.runner.error();
    ASSERT_TRUE(camera.Next()) << camera.runner.error();
    ASSERT_TRUE(Write("unbind"));
    EXPECT_EQ(Fail(camera), SLUICE_E_DEVICE_LOST);
    EXPECT_NE(camera.runner.error().find("vivid"), std::string::npos) << camera.runner.error();
    EXPECT_NE(camera.runner.error().find("gone"), std::string::npos) << camera.runner.error();
    camera.runner.Stop(false);
    EXPECT_EQ(camera.runner.Leaked(), 0u);
  }
  {
    // What a restart finds as long as it is away.
    NodeRunner runner(sluice_plugin, "v4l2.capture", Still());
    ASSERT_EQ(runner.created(), SLUICE_OK);
    EXPECT_EQ(runner.Probe(), SLUICE_E_NOT_FOUND);
    EXPECT_NE(runner.error(), "");
  }
  ASSERT_TRUE(Write("bind"));
  ASSERT_TRUE(Appears("/dev/video0"));
  Camera again(Way::kExport, Small());
  ASSERT_EQ(again.code, SLUICE_OK) << again.runner.error();
  EXPECT_TRUE(again.Next()) << again.runner.error();
}

TEST(HotplugTest, ACameraThatComesBackUnderAnotherNumberIsTheSame) {
  {
    NodeRunner first(sluice_plugin, "v4l2.capture", Still());
    ASSERT_EQ(first.Probe(), SLUICE_OK) << first.error();
  }
  // Who still has it open keeps its number.
  const sdk::UniqueFd holder(open("/dev/video0", O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(Write("unbind"));
  ASSERT_TRUE(Write("bind"));
  ASSERT_TRUE(Appears("/dev/video1"));
  poll(nullptr, 0, 200);
  NodeRunner moved(sluice_plugin, "v4l2.capture", Still());
  EXPECT_EQ(moved.Probe(), SLUICE_OK) << moved.error();
  bool elsewhere = false;
  for (const std::string& note : moved.notes()) {
    elsewhere = elsewhere || (note.find("is vivid") != std::string::npos &&
                              note.find("/dev/video0 ") == std::string::npos);
  }
  EXPECT_TRUE(elsewhere);
}

TEST(HotplugTest, ADeviceThatIsDisconnectedWhileItStreamsIsLost) {
  // vivid's button: every call fails from then on, and only a new binding helps.
  Camera camera(Way::kUserptr, Small(), Parameters().String("device", "vivid"));
  ASSERT_EQ(camera.code, SLUICE_OK) << camera.runner.error();
  ASSERT_TRUE(camera.Next()) << camera.runner.error();
  ASSERT_EQ(camera.runner.SetParam({"controls", SLUICE_VALUE_MAP, 1, 0, 0, R"({"disconnect": 1})"}),
            SLUICE_OK)
      << camera.runner.error();
  EXPECT_EQ(Fail(camera), SLUICE_E_DEVICE_LOST);
  camera.runner.Stop(false);
  EXPECT_EQ(camera.runner.Leaked(), 0u);
}

}  // namespace
}  // namespace sluice::v4l2::testing
