// What pipewire.capture makes of what a peer says: buffers, formats, stamps.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "nodes/pipewire/capture_offers.h"
#include "nodes/pipewire/peer_buffers.h"
#include "nodes/pipewire/source_clock.h"

namespace sluice::pipewire {
namespace {

constexpr uint32_t kBytes = 64 * 48 * 4;

sdk::UniqueFd MakeMemfd(uint64_t size, bool seal = true) {
  sdk::UniqueFd fd(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(ftruncate(fd.get(), static_cast<off_t>(size)), 0);
  EXPECT_TRUE(!seal || fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK) == 0);
  return fd;
}

/// A buffer as a peer would describe it.
struct Claim {
  std::vector<spa_data> datas;
  std::vector<spa_chunk> chunks;
  spa_buffer buffer{};

  Claim& Add(uint32_t type, int64_t fd, uint32_t offset, uint32_t size, void* data = nullptr) {
    spa_data one{};
    one.type = type;
    one.fd = fd;
    one.mapoffset = offset;
    one.maxsize = size;
    one.data = data;
    datas.push_back(one);
    return *this;
  }
  int32_t Check() {
    buffer.n_datas = static_cast<uint32_t>(datas.size());
    buffer.datas = datas.data();
    auto checked = CheckBuffer(buffer, nullptr);
    return checked.ok() ? SLUICE_OK : checked.status().code();
  }
};

size_t CountFds() {
  size_t count = 0;
  for (int fd = 0; fd < 256; ++fd) count += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
  return count;
}

TEST(CheckBufferTest, TakesSharedMemoryThatHoldsWhatItClaims) {
  const sdk::UniqueFd fd = MakeMemfd(kBytes);
  EXPECT_EQ(Claim().Add(SPA_DATA_MemFd, fd.get(), 0, kBytes).Check(), SLUICE_OK);
}

TEST(CheckBufferTest, RefusesMoreBytesThanThereAre) {
  const sdk::UniqueFd fd = MakeMemfd(kBytes);
  EXPECT_LT(Claim().Add(SPA_DATA_MemFd, fd.get(), 0, kBytes + 1).Check(), 0);
  EXPECT_LT(Claim().Add(SPA_DATA_MemFd, fd.get(), 1, kBytes).Check(), 0);
  EXPECT_LT(Claim().Add(SPA_DATA_MemFd, fd.get(), UINT32_MAX, UINT32_MAX).Check(), 0);
  EXPECT_LT(Claim().Add(SPA_DATA_MemFd, fd.get(), 0, 0).Check(), 0);
}

TEST(CheckBufferTest, RefusesADmabufThatIsNone) {
  const sdk::UniqueFd fd = MakeMemfd(kBytes);
  EXPECT_LT(Claim().Add(SPA_DATA_DmaBuf, fd.get(), 0, kBytes).Check(), 0);
}

TEST(CheckBufferTest, RefusesFdsThatAreNoneOrNoMemory) {
  EXPECT_LT(Claim().Add(SPA_DATA_MemFd, -1, 0, kBytes).Check(), 0);
  EXPECT_LT(Claim().Add(SPA_DATA_MemFd, INT64_MAX, 0, kBytes).Check(), 0);
  EXPECT_LT(Claim().Add(SPA_DATA_MemFd, 999, 0, kBytes).Check(), 0);
  int pipe_fds[2];
  ASSERT_EQ(pipe(pipe_fds), 0);
  const sdk::UniqueFd in(pipe_fds[0]), out(pipe_fds[1]);
  EXPECT_LT(Claim().Add(SPA_DATA_MemFd, in.get(), 0, kBytes).Check(), 0);
}

TEST(CheckBufferTest, RefusesPointersThatPipeWireDoesNotKnow) {
  uint8_t here[16];
  EXPECT_LT(Claim().Add(SPA_DATA_MemPtr, -1, 0, sizeof(here), here).Check(), 0);
  EXPECT_LT(Claim().Add(SPA_DATA_MemPtr, -1, 0, 16, nullptr).Check(), 0);
}

TEST(CheckBufferTest, RefusesNoBlocksTooManyAndMixedOnes) {
  const sdk::UniqueFd fd = MakeMemfd(kBytes);
  EXPECT_LT(Claim().Check(), 0);
  Claim many;
  for (int i = 0; i < 5; ++i) many.Add(SPA_DATA_MemFd, fd.get(), 0, kBytes);
  EXPECT_LT(many.Check(), 0);
  EXPECT_LT(Claim().Add(12345, fd.get(), 0, kBytes).Check(), 0);
#if PW_CHECK_VERSION(1, 2, 0)
  EXPECT_LT(Claim().Add(SPA_DATA_MemFd, fd.get(), 0, kBytes).Add(SPA_DATA_SyncObj, 3, 0, 0).Check(),
            0);
#endif
}

TEST(CheckBufferTest, KeepsNoFdOfWhatItRefuses) {
  const sdk::UniqueFd fd = MakeMemfd(kBytes);
  const size_t before = CountFds();
  Claim().Add(SPA_DATA_MemFd, fd.get(), 0, kBytes).Add(SPA_DATA_DmaBuf, fd.get(), 0, 1).Check();
  EXPECT_EQ(CountFds(), before);
}

TEST(CheckBufferTest, KnowsMemoryThatMayShrink) {
  const sdk::UniqueFd fd = MakeMemfd(kBytes, false);
  Claim claim;
  ASSERT_EQ(claim.Add(SPA_DATA_MemFd, fd.get(), 0, kBytes).Check(), SLUICE_OK);
  EXPECT_FALSE(CheckBuffer(claim.buffer, nullptr)->blocks[0].sealed);
}

sdk::Expected<sluice_layout> Lay(uint32_t drm, Size size, uint32_t offset, uint32_t maxsize,
                                 Geometry geometry) {
  const sdk::UniqueFd fd = MakeMemfd(1 << 20);
  Claim claim;
  EXPECT_EQ(claim.Add(SPA_DATA_MemFd, fd.get(), offset, maxsize).Check(), SLUICE_OK);
  return LayoutOf(*FindDrm(drm), size, *CheckBuffer(claim.buffer, nullptr), geometry);
}

TEST(LayoutOfTest, FollowsThePeersOffsetsAndStride) {
  auto layout = Lay(SLUICE_FORMAT_NV12, {64, 48}, 4096, 65536, {{{16, 80}}});
  ASSERT_TRUE(layout.ok()) << layout.status().c_message();
  EXPECT_EQ(layout->planes[0].offset, 4096u + 16);
  EXPECT_EQ(layout->planes[0].stride, 80u);
  EXPECT_EQ(layout->planes[1].offset, 4096u + 16 + 80 * 48);
  EXPECT_EQ(layout->planes[1].stride, 80u);
  EXPECT_EQ(layout->planes[1].size, 80u * 24);
}

TEST(LayoutOfTest, TakesRowsWithoutGapsWhereThePeerSaysNothing) {
  auto layout = Lay(SLUICE_FORMAT_YU12, {64, 48}, 0, 65536, {});
  ASSERT_TRUE(layout.ok());
  EXPECT_EQ(layout->planes[0].stride, 64u);
  EXPECT_EQ(layout->planes[2].offset, 64u * 48 * 5 / 4);
  EXPECT_EQ(layout->planes[2].stride, 32u);
}

TEST(LayoutOfTest, RefusesPicturesThatDoNotFit) {
  EXPECT_FALSE(Lay(SLUICE_FORMAT_AB24, {64, 48}, 0, kBytes - 1, {}).ok());
  EXPECT_FALSE(Lay(SLUICE_FORMAT_AB24, {64, 48}, 0, kBytes, {{{1, 0}}}).ok());
  EXPECT_FALSE(Lay(SLUICE_FORMAT_AB24, {64, 48}, 0, kBytes, {{{UINT32_MAX, 0}}}).ok());
  EXPECT_FALSE(Lay(SLUICE_FORMAT_AB24, {64, 48}, 0, kBytes, {{{0, 255}}}).ok());
  EXPECT_FALSE(Lay(SLUICE_FORMAT_AB24, {64, 48}, 0, kBytes, {{{0, -256}}}).ok());
  EXPECT_FALSE(Lay(SLUICE_FORMAT_AB24, {64, 48}, 0, kBytes, {{{0, INT32_MAX}}}).ok());
}

// --- Offers --------------------------------------------------------------------------------------

VideoFormat Format(uint32_t drm, Size size, sluice_rate rate) {
  VideoFormat format;
  format.entry = FindDrm(drm);
  format.size = format.size_min = format.size_max = size;
  format.rate = format.rate_min = format.rate_max = rate;
  return format;
}

TEST(MakeGroupsTest, PrefersPixelsAndFluentMovementAndCommonSizes) {
  const auto groups = MakeGroups({Format(SLUICE_FORMAT_MJPG, {1920, 1080}, {30, 1}),
                                  Format(SLUICE_FORMAT_YUYV, {1920, 1080}, {5, 1}),
                                  Format(SLUICE_FORMAT_YUYV, {640, 480}, {30, 1})},
                                 {}, false);
  ASSERT_EQ(groups.size(), 3u);
  EXPECT_EQ(groups[0].max, (Size{640, 480}));
  EXPECT_EQ(groups[2].fourccs[0], uint32_t{SLUICE_FORMAT_MJPG});
}

TEST(MakeGroupsTest, KeepsToTheWish) {
  CaptureWish wish;
  wish.size = {640, 480};
  wish.rate = {15, 1};
  VideoFormat format = Format(SLUICE_FORMAT_YUYV, {1280, 720}, {30, 1});
  EXPECT_TRUE(MakeGroups({format}, wish, false).empty());
  format.size_min = {1, 1};
  format.rate_min = {0, 1};
  const auto groups = MakeGroups({format}, wish, false);
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_EQ(groups[0].min, (Size{640, 480}));
  EXPECT_EQ(groups[0].rate_max.numerator, 15u);
}

TEST(MakeGroupsTest, OffersDmabufsWithTheModifiersThatAreKnown) {
  VideoFormat format = Format(SLUICE_FORMAT_XR24, {640, 480}, {0, 1});
  EXPECT_TRUE(MakeGroups({format}, {}, false)[0].modifiers.empty());
  EXPECT_EQ(MakeGroups({format}, {}, true)[0].modifiers, std::vector<uint64_t>{0});
  format.modifiers = {0x7777777777777777, 0};
  EXPECT_EQ(MakeGroups({format}, {}, false)[0].modifiers, std::vector<uint64_t>{0});
}

TEST(MakeGroupsTest, SaysWhichColoursWereGuessed) {
  VideoFormat format = Format(SLUICE_FORMAT_NV12, {1280, 720}, {30, 1});
  format.color.matrix = SLUICE_MATRIX_BT601;
  const auto groups = MakeGroups({format}, {}, false);
  EXPECT_EQ(groups[0].color.matrix, SLUICE_MATRIX_BT601);
  EXPECT_EQ(groups[0].color_assumed & SLUICE_COLOR_FIELD_MATRIX, 0u);
  EXPECT_NE(groups[0].color_assumed & SLUICE_COLOR_FIELD_RANGE, 0u);
}

// --- Stamps --------------------------------------------------------------------------------------

Delivery At(int64_t received_ns, int64_t pts_ns, uint64_t sequence) {
  Delivery delivery;
  delivery.received_ns = received_ns;
  delivery.pts_ns = pts_ns;
  delivery.counted = true;
  delivery.sequence = sequence;
  return delivery;
}

TEST(SourceClockTest, CountsWhatTheSourceLost) {
  SourceClock clock;
  EXPECT_EQ(clock.Next(At(1000, 900, 7)).lost, 0u);
  const SourceClock::Stamp stamp = clock.Next(At(2000, 1900, 10));
  EXPECT_EQ(stamp.lost, 2u);
  EXPECT_EQ(stamp.sequence, 3u);
  EXPECT_EQ(stamp.pts_ns, 1000);
  EXPECT_EQ(stamp.captured_ns, 1900);
}

TEST(SourceClockTest, GoesByArrivalWhereStampsStandStillOrGoBack) {
  SourceClock clock;
  clock.Next(At(1000, 0, 0));
  EXPECT_EQ(clock.Next(At(2000, 0, 0)).pts_ns, 1000);
  EXPECT_EQ(clock.Next(At(3000, 5, 0)).pts_ns, 2000);
  SourceClock back;
  back.Next(At(1000, 900, 1));
  EXPECT_EQ(back.Next(At(2000, 1900, 2)).pts_ns, 1000);
  EXPECT_GT(back.Next(At(2000, 100, 3)).pts_ns, 1000);
}

TEST(SourceClockTest, TakesNoStampOfAnotherClockForTheTimeOfCapture) {
  SourceClock clock;
  EXPECT_EQ(clock.Next(At(1'000'000'000'000, 5, 0)).captured_ns, 0);
  EXPECT_EQ(clock.Next(At(1'000'000'000'000, INT64_MAX, 1)).captured_ns, 0);
}

TEST(SourceClockTest, ASourceThatCountsAnewHasLostNothing) {
  SourceClock clock;
  clock.Next(At(1000, 1, 500));
  EXPECT_EQ(clock.Next(At(2000, 2, 0)).lost, 0u);
  EXPECT_EQ(clock.Next(At(3000, 3, UINT64_MAX)).lost, 0u);
}

}  // namespace
}  // namespace sluice::pipewire
