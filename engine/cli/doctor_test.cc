#include "engine/cli/doctor.h"

#include <gtest/gtest.h>

namespace sluice::cli {
namespace {

Finding OfCamera(const std::string& name, Health health, const std::string& detail) {
  return {.section = "video",
          .name = name,
          .health = health,
          .detail = detail,
          .advice = health == Health::kOk ? "" : "help " + name,
          .device = "/dev/video0"};
}

TEST(DoctorTest, WhatTwoPluginsSayOfOneDeviceIsOneFinding) {
  Findings findings;
  AddOrMerge(OfCamera("/dev/video0", Health::kOk, "a webcam"), &findings);
  AddOrMerge(OfCamera("v4l2_input.usb", Health::kOk, "the default"), &findings);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].name, "/dev/video0");
  EXPECT_EQ(findings[0].detail, "a webcam; v4l2_input.usb: the default");
  EXPECT_EQ(findings[0].health, Health::kOk);
}

TEST(DoctorTest, TheDevicesOwnNameLeadsWhoeverSpokeFirst) {
  Findings findings;
  AddOrMerge(OfCamera("v4l2_input.usb", Health::kOk, "the default"), &findings);
  AddOrMerge(OfCamera("/dev/video0", Health::kOk, "a webcam"), &findings);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].name, "/dev/video0");
  EXPECT_EQ(findings[0].detail, "a webcam; v4l2_input.usb: the default");
}

TEST(DoctorTest, ADeviceThatIsReachedOneWayOnlyIsLimitedAndKeepsTheAdvice) {
  Findings findings;
  AddOrMerge(OfCamera("/dev/video0", Health::kMissing, "may not be opened"), &findings);
  AddOrMerge(OfCamera("v4l2_input.usb", Health::kOk, "the default"), &findings);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].health, Health::kLimited);
  EXPECT_EQ(findings[0].advice, "help /dev/video0");
}

TEST(DoctorTest, FindingsWithoutADeviceStayApart) {
  Findings findings;
  AddOrMerge({.section = "desktop", .name = "PipeWire", .detail = "answers"}, &findings);
  AddOrMerge({.section = "desktop", .name = "PipeWire", .detail = "answers"}, &findings);
  EXPECT_EQ(findings.size(), 2u);
}

TEST(DoctorTest, WhyThereIsNoDeviceIsSaidInTheWordsOfEveryDomainThatHasNone) {
  const Findings findings = {
      {.section = "domains", .name = "cpu"},
      {.section = "domains", .name = "a", .health = Health::kMissing, .detail = "there is 0: x"},
      {.section = "domains", .name = "b", .health = Health::kMissing, .detail = "no driver"},
      {.section = "video", .name = "c", .health = Health::kMissing, .detail = "no camera"}};
  EXPECT_EQ(WhyNoDevice(findings), "a: there is 0: x; b: no driver");
  EXPECT_EQ(WhyNoDevice({}), "no plugin offers devices");
}

}  // namespace
}  // namespace sluice::cli
