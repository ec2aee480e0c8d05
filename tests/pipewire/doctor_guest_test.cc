// In the guest: a camera of the kernel is listed once, by whichever way it is reached.

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/pipewire/client.h"
#include "tests/pipewire/daemon.h"
#include "tests/pipewire/process.h"

namespace sluice::testing {
namespace {

using Json = nlohmann::json;

constexpr char kCamera[] = "v4l2_input.platform-vivid.0";

class GuestDoctorTest : public DaemonTest {
 protected:
  GuestDoctorTest()
      : DaemonTest({.session_manager = true, .preload = "tests/pipewire/libscalar_controls.so"}) {}
};

TEST_F(GuestDoctorTest, ACameraOfV4l2AndOfPipewireIsListedOnce) {
  auto client = Client::Connect();
  ASSERT_TRUE(client) << client.error().ToString();
  ASSERT_TRUE((*client)->WaitForNode(kCamera)) << daemon().Log("wireplumber");
  auto doctor = Process::Start({"engine/cli/sluice", "doctor", "--json"});
  ASSERT_TRUE(doctor) << doctor.error().ToString();
  auto said = doctor->ReadAll();
  ASSERT_TRUE(said) << said.error().ToString();
  const Json all = Json::parse(*said, nullptr, false);
  ASSERT_TRUE(all.contains("checks")) << *said;

  std::vector<Json> cameras;
  for (const Json& check : all["checks"]) {
    if (check["detail"].get<std::string>().find(kCamera) != std::string::npos ||
        check["name"] == kCamera) {
      cameras.push_back(check);
    }
  }
  ASSERT_EQ(cameras.size(), 1u) << all["checks"].dump(1);
  const Json& camera = cameras[0];
  EXPECT_EQ(camera["name"], camera["device"]) << camera;
  EXPECT_EQ(camera["health"], "ok") << camera;
  const std::string detail = camera["detail"];
  for (const char* what : {"vivid", "captures", "offers dma-bufs", "YUYV", "1280x720@",
                           "dma-bufs of its driver", "sends"}) {
    EXPECT_NE(detail.find(what), std::string::npos) << what << " in " << detail;
  }
}

}  // namespace
}  // namespace sluice::testing
