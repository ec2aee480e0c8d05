// Command buffers are recorded once for each set of frames and submitted again and again: what they
// refer to must be there whenever they are, and what is not there must never be referred to.
#include <gtest/gtest.h>

#include <cstring>
#include <utility>
#include <vector>

#include "nodes/vulkan/domain.h"
#include "nodes/vulkan/island_testing.h"

namespace sluice::vulkan::testing {
namespace {

const sluice_format kFormat = MakeFormat(SLUICE_FORMAT_AB24, 96, 40);

class RecordingTest : public IslandTest {
 protected:
  /// A chain that is two passes with memory between them.
  void BuildChain(uint32_t buffers = 3) {
    Add("vulkan.look", {Text("look", "negative")}, kFormat, kFormat);
    Add("vulkan.shader",
        {Text("source", "vec4 shade(ivec2 position) { return pixel0(position); }")}, kFormat,
        kFormat);
    ASSERT_EQ(Build(buffers), SLUICE_OK);
  }

  const DeviceCounters& counters() const {
    return sdk::DomainCast<VulkanDomain>(domain_.self)->device().counters();
  }

  static Picture Noise(int seed) {
    Picture picture(kFormat);
    Fill(picture, Pattern::kNoise);
    picture.plane(0)[0] = static_cast<uint8_t>(seed);  // tells one from the next
    return picture;
  }

  /// Leases of one firing that may be in flight.
  struct Firing {
    FakeFrame* in;
    FakeFrame* out;
    Picture want;
  };
  Firing Fire(int seed) {
    Firing firing{Lease(*in_pool_), Lease(*out_pool_), Noise(seed)};
    Write(firing.in, firing.want);
    for (uint64_t y = 0; y < firing.want.height(); ++y) {
      uint8_t* row = firing.want.plane(0) + y * firing.want.stride(0);
      for (uint64_t x = 0; x < firing.want.width(); ++x) {
        for (int c = 0; c < 3; ++c) row[4 * x + c] = static_cast<uint8_t>(255 - row[4 * x + c]);
      }
    }
    sluice_fence fences[2];
    EXPECT_EQ(Submit(firing.in, firing.out, fences), SLUICE_OK);
    return firing;
  }
  void Finish(const Firing& firing) {
    Picture got(kFormat);
    Read(firing.out, got);
    ExpectWithin(1, got, firing.want);
    Return(firing.in);
    Return(firing.out);
  }
  void Forget(const FakePool& pool) {
    const FakeFrame* frame = Lease(const_cast<FakePool&>(pool));
    const sluice_buffer_id id = frame->buffer->id;
    Return(const_cast<FakeFrame*>(frame));
    domain_.forget_pool(domain_.self, id.pool, id.epoch);
  }
};

TEST_F(RecordingTest, SeveralInFlightAreReusedManyTimesWithoutRecordingAnew) {
  BuildChain(4);
  const auto round = [&](int seed) {
    std::vector<Firing> firings;
    for (int i = 0; i < 4; ++i) firings.push_back(Fire(seed + i));
    ASSERT_EQ(WaitIdle(), SLUICE_OK);
    for (const Firing& firing : firings) Finish(firing);
  };
  for (int i = 0; i < 4; ++i) round(4 * i);
  const uint64_t recorded = counters().recordings.load();
  const uint64_t allocated = counters().allocations.load();
  const uint64_t pipelines = counters().pipelines.load();
  for (int i = 0; i < 50; ++i) round(4 * i);
  EXPECT_EQ(counters().recordings.load(), recorded);
  EXPECT_EQ(counters().allocations.load(), allocated);
  EXPECT_EQ(counters().pipelines.load(), pipelines);
}

TEST_F(RecordingTest, AForgottenPoolsRecordingsAreNeverSubmittedAgain) {
  BuildChain();
  for (int i = 0; i < 6; ++i) {
    const Firing firing = Fire(i);
    ASSERT_EQ(WaitIdle(), SLUICE_OK);
    Finish(firing);
  }
  const uint64_t before = counters().recordings.load();
  // The same buffers with the same ids and mappings, imported anew: handles of the driver may come
  // again, and the recordings still hold the destroyed ones.
  for (int round = 0; round < 10; ++round) {
    Forget(round % 2 == 0 ? *in_pool_ : *out_pool_);
    const Firing firing = Fire(round);
    ASSERT_EQ(WaitIdle(), SLUICE_OK);
    Finish(firing);
  }
  EXPECT_GE(counters().recordings.load(), before + 10);
}

TEST_F(RecordingTest, APoolIsForgottenWhileItsFramesAreInFlight) {
  BuildChain();
  for (int round = 0; round < 20; ++round) {
    const Firing a = Fire(round);
    const Firing b = Fire(round + 100);
    Forget(*in_pool_);
    Forget(*out_pool_);
    // Imported anew while the first import is still in use.
    const Firing c = Fire(round + 200);
    ASSERT_EQ(WaitIdle(), SLUICE_OK);
    for (const Firing* firing : {&a, &b, &c}) Finish(*firing);
  }
}

TEST_F(RecordingTest, MorePoolsThanRecordingsAreRememberedInTurn) {
  BuildChain();
  // Beyond what a program remembers: recordings of pools that are gone are recorded over.
  for (int round = 0; round < 80; ++round) {
    in_pool_ = &host_.MakePool(kFormat, 1);
    out_pool_ = &host_.MakePool(kFormat, 1);
    const Firing firing = Fire(round);
    ASSERT_EQ(WaitIdle(), SLUICE_OK);
    Finish(firing);
    Forget(*in_pool_);
    Forget(*out_pool_);
  }
}

TEST_F(RecordingTest, ASecondIslandOfTheSameNodesHasRecordingsOfItsOwn) {
  BuildChain();
  const Firing first = Fire(1);
  ASSERT_EQ(WaitIdle(), SLUICE_OK);
  Finish(first);
  domain_.destroy_island(domain_.self, island_);
  island_ = nullptr;
  ASSERT_EQ(Build(), SLUICE_OK);
  const Firing second = Fire(2);
  ASSERT_EQ(WaitIdle(), SLUICE_OK);
  Finish(second);
}

}  // namespace
}  // namespace sluice::vulkan::testing
