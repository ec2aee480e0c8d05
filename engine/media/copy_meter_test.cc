#include "engine/media/copy_meter.h"

#include <thread>

#include <gtest/gtest.h>

namespace sluice::media {
namespace {

TEST(CopyMeterTest, CountsEachPlaceAndReasonApart) {
  CopyMeter meter;
  EXPECT_TRUE(meter.Rows().empty());
  meter.Count("look.in", "stride", 10);
  meter.Count("look.in", "stride", 5);
  meter.Count("look.in", "upload", 7);
  meter.Count("show.in", "stride", 1);
  auto rows = meter.Rows();
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].place, "look.in");
  EXPECT_EQ(rows[0].reason, "stride");
  EXPECT_EQ(rows[0].frames, 2u);
  EXPECT_EQ(rows[0].bytes, 15u);
  EXPECT_EQ(meter.TotalBytes(), 23u);
}

TEST(CopyMeterTest, LosesNothingBetweenThreads) {
  CopyMeter meter;
  auto count = [&] {
    for (int i = 0; i < 2000; ++i) meter.Count("a.in", i % 2 == 0 ? "even" : "odd", 3);
  };
  std::thread first(count), second(count);
  first.join();
  second.join();
  EXPECT_EQ(meter.TotalBytes(), 12000u);
}

}  // namespace
}  // namespace sluice::media
