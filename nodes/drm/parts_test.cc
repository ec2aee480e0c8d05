// What drm.display decides and reads without a card: modes, places, formats, events, times.

#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <drm_fourcc.h>
#include <gtest/gtest.h>

#include "nodes/drm/fit.h"
#include "nodes/drm/formats.h"
#include "nodes/drm/in_formats.h"
#include "nodes/drm/kms.h"
#include "nodes/drm/modes.h"
#include "nodes/drm/pacer.h"

namespace sluice::drm {
namespace {

drmModeModeInfo Mode(uint16_t width, uint16_t height, uint32_t hz, uint32_t type = 0,
                     uint32_t flags = 0) {
  drmModeModeInfo mode{};
  mode.hdisplay = width;
  mode.vdisplay = height;
  mode.htotal = 1000;
  mode.vtotal = 1000;
  mode.clock = hz * 1000;  // kHz of 10^6 pixels
  mode.type = type;
  mode.flags = flags;
  return mode;
}

std::string Chosen(const std::vector<drmModeModeInfo>& modes, const char* request,
                   sdk::Size picture) {
  const auto parsed = ParseMode(request);
  EXPECT_TRUE(parsed.ok()) << request;
  const auto index = ChooseMode(modes, *parsed, picture);
  return index ? ModeName(modes[*index]) : "none";
}

const std::vector<drmModeModeInfo> kModes = {Mode(1024, 768, 60),
                                             Mode(1920, 1080, 50),
                                             Mode(1920, 1080, 60, DRM_MODE_TYPE_PREFERRED),
                                             Mode(1920, 1080, 120, 0, DRM_MODE_FLAG_INTERLACE),
                                             Mode(1280, 720, 60),
                                             Mode(1280, 720, 75)};

// ---- CRTCs

TEST(CrtcTest, TakesTheOneOfTheConnectorOverAnotherThatIsDark) {
  EXPECT_EQ(ChooseCrtc(std::vector<CrtcUse>{{true, false, false}, {true, false, true}}), 1u);
}

TEST(CrtcTest, LeavesTheOneThatAnotherConnectorShowsFrom) {
  EXPECT_EQ(ChooseCrtc(std::vector<CrtcUse>{{true, true, false}, {true, false, false}}), 1u);
  EXPECT_EQ(ChooseCrtc(std::vector<CrtcUse>{{true, true, true}, {true, false, false}}), 1u);
}

TEST(CrtcTest, TakesALitOneWhereThereIsNoOther) {
  EXPECT_EQ(ChooseCrtc(std::vector<CrtcUse>{{false, false, false}, {true, true, false}}), 1u);
}

TEST(CrtcTest, TakesNoneThatIsNotPossible) {
  EXPECT_EQ(ChooseCrtc(std::vector<CrtcUse>{{false, false, true}}), std::nullopt);
}

// ---- modes

TEST(ModesTest, ReadsWhatAModeIsWrittenAs) {
  EXPECT_TRUE(ParseMode("auto")->automatic());
  EXPECT_EQ(ParseMode("1280x720")->size.width, 1280u);
  EXPECT_EQ(ParseMode("1280x720@60")->refresh_mhz, 60'000u);
  EXPECT_EQ(ParseMode("1280x720@59.94")->refresh_mhz, 59'940u);
  EXPECT_EQ(ParseMode("1280x720@23.976")->refresh_mhz, 23'976u);
}

TEST(ModesTest, RefusesWhatIsNoMode) {
  for (const char* text : {"", "1280", "1280x", "x720", "0x720", "1280x720@", "1280x720@0",
                           "1280x720@60.", "1280x720@60.1234", "1280x720@x", "1280x720 ",
                           "70000x720", "99999999999x720", "-1x720", "1280x720@60Hz"}) {
    EXPECT_FALSE(ParseMode(text).ok()) << text;
  }
}

TEST(ModesTest, ThePicturesOwnSizeIsBest) {
  EXPECT_EQ(Chosen(kModes, "auto", {1280, 720}), "1280x720@75.00");
  EXPECT_EQ(Chosen(kModes, "auto", {1024, 768}), "1024x768@60.00");
}

TEST(ModesTest, ElseTheSmallestThatHoldsThePictureIsTaken) {
  EXPECT_EQ(Chosen(kModes, "auto", {640, 360}), "1024x768@60.00");
  EXPECT_EQ(Chosen(kModes, "auto", {1100, 500}), "1280x720@75.00");
}

TEST(ModesTest, APictureThatNothingHoldsAndAnUnknownOneGetThePreferredMode) {
  EXPECT_EQ(Chosen(kModes, "auto", {3840, 2160}), "1920x1080@60.00");
  EXPECT_EQ(Chosen(kModes, "auto", {}), "1920x1080@60.00");
}

TEST(ModesTest, ANamedModeIsTakenOrNothing) {
  EXPECT_EQ(Chosen(kModes, "1920x1080@50", {1280, 720}), "1920x1080@50.00");
  EXPECT_EQ(Chosen(kModes, "1280x720@59.94", {}), "1280x720@60.00");
  EXPECT_EQ(Chosen(kModes, "1280x720@30", {}), "none");
  EXPECT_EQ(Chosen(kModes, "800x600", {}), "none");
}

TEST(ModesTest, AProgressiveModeWinsOverAFasterInterlacedOne) {
  EXPECT_EQ(Chosen(kModes, "1920x1080", {}), "1920x1080@60.00");
}

TEST(ModesTest, NoModesMeansNone) { EXPECT_EQ(Chosen({}, "auto", {640, 480}), "none"); }

TEST(ModesTest, TheRefreshComesFromThePixelClock) {
  drmModeModeInfo mode{};
  mode.clock = 25175;
  mode.htotal = 800;
  mode.vtotal = 525;
  mode.vrefresh = 60;
  EXPECT_EQ(RefreshMillihertz(mode), 59'940u);
  mode.htotal = 0;
  EXPECT_EQ(RefreshMillihertz(mode), 60'000u) << "no timing: the rounded number is all there is";
}

TEST(ModesTest, SizesAreListedOnceWithThePreferredOneFirst) {
  const std::vector<sdk::Size> sizes = SizesOf(kModes);
  ASSERT_EQ(sizes.size(), 3u);
  EXPECT_EQ(sizes[0].width, 1920u);
  EXPECT_EQ(sizes[1].width, 1280u);
  EXPECT_EQ(sizes[2].width, 1024u);
  EXPECT_EQ(SizesOf(kModes, 2).size(), 2u);
  EXPECT_TRUE(SizesOf({}).empty());
}

// ---- places

constexpr PlaneAbility kNothing{};
constexpr PlaneAbility kPositions{true, false};
constexpr PlaneAbility kBoth{true, true};
constexpr sdk::Size kHd{1920, 1080};

Picture Whole(uint32_t width, uint32_t height) { return {{0, 0, width, height}, 0, 0}; }

TEST(FitTest, APictureOfTheModesSizeIsShownAsItIs) {
  for (const PlaneAbility& ability : {kNothing, kPositions, kBoth}) {
    for (const Fit fit : {Fit::kAuto, Fit::kNone, Fit::kScale}) {
      const auto placement = Place(Whole(1920, 1080), kHd, ability, fit);
      ASSERT_TRUE(placement.ok());
      EXPECT_EQ(placement->source, (Rect{0, 0, 1920, 1080}));
      EXPECT_EQ(placement->target, (Rect{0, 0, 1920, 1080}));
      EXPECT_FALSE(placement->scaled || placement->cropped);
    }
  }
}

TEST(FitTest, ASmallerOneIsCentredWhereThePlaneCannotScale) {
  const auto placement = Place(Whole(640, 360), kHd, kPositions, Fit::kAuto);
  ASSERT_TRUE(placement.ok());
  EXPECT_EQ(placement->target, (Rect{640, 360, 640, 360}));
  EXPECT_EQ(placement->source, (Rect{0, 0, 640, 360}));
}

TEST(FitTest, ALargerOneIsCroppedToItsMiddle) {
  const auto placement = Place(Whole(2000, 1200), kHd, kNothing, Fit::kAuto);
  ASSERT_TRUE(placement.ok());
  EXPECT_EQ(placement->source, (Rect{40, 60, 1920, 1080}));
  EXPECT_TRUE(placement->cropped);
}

TEST(FitTest, ScalingKeepsTheShape) {
  const auto wide = Place(Whole(1920, 800), {1280, 720}, kBoth, Fit::kAuto);
  ASSERT_TRUE(wide.ok());
  EXPECT_EQ(wide->target, (Rect{0, 93, 1280, 533}));
  const auto narrow = Place(Whole(640, 480), kHd, kBoth, Fit::kScale);
  ASSERT_TRUE(narrow.ok());
  EXPECT_EQ(narrow->target, (Rect{240, 0, 1440, 1080}));
  EXPECT_TRUE(narrow->scaled);
}

TEST(FitTest, ThePixelsShapeCounts) {
  Picture picture = Whole(720, 576);
  picture.aspect_num = 64;
  picture.aspect_den = 45;  // 16:9
  const auto placement = Place(picture, kHd, kBoth, Fit::kAuto);
  ASSERT_TRUE(placement.ok());
  EXPECT_EQ(placement->target, (Rect{0, 0, 1920, 1080}));
}

TEST(FitTest, OnlyTheVisibleRectangleIsShown) {
  const auto placement = Place({{8, 4, 640, 360}, 0, 0}, kHd, kPositions, Fit::kNone);
  ASSERT_TRUE(placement.ok());
  EXPECT_EQ(placement->source, (Rect{8, 4, 640, 360}));
}

TEST(FitTest, WhatThePlaneCannotDoIsRefusedWithNumbers) {
  const auto small = Place(Whole(640, 360), kHd, kNothing, Fit::kAuto);
  ASSERT_FALSE(small.ok());
  EXPECT_EQ(small.status().code(), SLUICE_E_UNSUPPORTED);
  EXPECT_NE(small.status().message().find("640x360"), std::string::npos);
  EXPECT_FALSE(Place(Whole(640, 360), kHd, kPositions, Fit::kScale).ok());
  EXPECT_FALSE(Place(Whole(0, 360), kHd, kBoth, Fit::kAuto).ok());
}

TEST(FitTest, ExtremeShapesStayOnTheScreen) {
  for (const auto& [width, height] : {std::pair{65535u, 1u}, std::pair{1u, 65535u}}) {
    Picture picture = Whole(width, height);
    picture.aspect_num = UINT32_MAX;
    picture.aspect_den = 1;
    const auto placement = Place(picture, kHd, kBoth, Fit::kAuto);
    ASSERT_TRUE(placement.ok());
    EXPECT_GE(placement->target.width, 1u);
    EXPECT_GE(placement->target.height, 1u);
    EXPECT_LE(placement->target.x + placement->target.width, 1920u);
    EXPECT_LE(placement->target.y + placement->target.height, 1080u);
  }
}

// ---- IN_FORMATS

struct BlobParts {
  drm_format_modifier_blob head{FORMAT_BLOB_CURRENT, 0, 0, 0, 0, 0};
  std::vector<uint32_t> formats;
  std::vector<drm_format_modifier> modifiers;
};

std::vector<std::byte> Pack(BlobParts parts) {
  parts.head.count_formats = static_cast<uint32_t>(parts.formats.size());
  parts.head.formats_offset = sizeof(parts.head);
  const std::size_t formats = parts.formats.size() * 4;
  // The kernel aligns the second array to eight.
  parts.head.modifiers_offset = static_cast<uint32_t>((sizeof(parts.head) + formats + 7) / 8 * 8);
  parts.head.count_modifiers = static_cast<uint32_t>(parts.modifiers.size());
  const std::size_t modifiers = parts.modifiers.size() * sizeof(drm_format_modifier);
  std::vector<std::byte> bytes(parts.head.modifiers_offset + modifiers);
  std::memcpy(bytes.data(), &parts.head, sizeof(parts.head));
  if (formats > 0) std::memcpy(bytes.data() + sizeof(parts.head), parts.formats.data(), formats);
  if (modifiers > 0) {
    std::memcpy(bytes.data() + parts.head.modifiers_offset, parts.modifiers.data(), modifiers);
  }
  return bytes;
}

BlobParts TwoFormats() {
  BlobParts parts;
  parts.formats = {DRM_FORMAT_XRGB8888, DRM_FORMAT_NV12};
  parts.modifiers = {{3, 0, 0, DRM_FORMAT_MOD_LINEAR}, {1, 0, 0, I915_FORMAT_MOD_X_TILED}};
  return parts;
}

TEST(InFormatsTest, ReadsFormatsWithTheirModifiers) {
  const auto formats = ParseInFormats(Pack(TwoFormats()));
  ASSERT_TRUE(formats.ok()) << formats.status().message();
  ASSERT_EQ(formats->size(), 2u);
  EXPECT_TRUE(Takes(*formats, DRM_FORMAT_XRGB8888, I915_FORMAT_MOD_X_TILED));
  EXPECT_TRUE(Takes(*formats, DRM_FORMAT_NV12, DRM_FORMAT_MOD_LINEAR));
  EXPECT_FALSE(Takes(*formats, DRM_FORMAT_NV12, I915_FORMAT_MOD_X_TILED));
  EXPECT_FALSE(Takes(*formats, DRM_FORMAT_YUYV, DRM_FORMAT_MOD_LINEAR));
}

// What vkms of Linux 6.12 gives for its primary plane.
TEST(InFormatsTest, ReadsARecordedBlob) {
  constexpr unsigned char kVkms[] = {
      1,   0,   0,   0,   0,   0,   0,   0,   5,   0,   0,   0,   24,   0,   0,   0,   1,   0,
      0,   0,   48,  0,   0,   0,   'A', 'R', '2', '4', 'X', 'R', '2',  '4', 'X', 'R', '4', '8',
      'A', 'R', '4', '8', 'R', 'G', '1', '6', 0,   0,   0,   0,   0x1f, 0,   0,   0,   0,   0,
      0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,    0,   0,   0,   0,   0};
  const auto formats = ParseInFormats(std::as_bytes(std::span(kVkms)));
  ASSERT_TRUE(formats.ok()) << formats.status().message();
  EXPECT_EQ(formats->size(), 5u);
  const std::vector<FormatGroup> groups = GroupFormats(*formats);
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_EQ(groups[0].fourccs,
            (std::vector<uint32_t>{SLUICE_FORMAT_XR24, SLUICE_FORMAT_AR24, SLUICE_FORMAT_RG16}));
  EXPECT_EQ(groups[0].modifiers, std::vector<uint64_t>{SLUICE_MODIFIER_LINEAR});
}

TEST(InFormatsTest, EveryShortenedBlobIsRefused) {
  const std::vector<std::byte> whole = Pack(TwoFormats());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    // A copy of exactly this size, so that a sanitizer sees a read beyond it.
    const std::vector<std::byte> cut(whole.begin(), whole.begin() + static_cast<long>(size));
    EXPECT_FALSE(ParseInFormats(cut).ok()) << size;
  }
}

TEST(InFormatsTest, NumbersBeyondTheBlobAreRefused) {
  const std::vector<std::byte> good = Pack(TwoFormats());
  for (std::size_t field = 0; field < sizeof(drm_format_modifier_blob) / 4; ++field) {
    if (field == 1) continue;  // flags
    for (const uint32_t value : {UINT32_MAX, 0x7fffffffu, 0x40000001u, 5000u}) {
      std::vector<std::byte> bad = good;
      std::memcpy(bad.data() + field * 4, &value, 4);
      EXPECT_FALSE(ParseInFormats(bad).ok()) << "field " << field << " = " << value;
    }
  }
}

TEST(InFormatsTest, AModifierOfAFormatThatIsNotThereIsRefused) {
  BlobParts parts = TwoFormats();
  parts.modifiers[0].formats = 1ull << 63;
  EXPECT_FALSE(ParseInFormats(Pack(parts)).ok());
  parts = TwoFormats();
  parts.modifiers[0].offset = UINT32_MAX;
  EXPECT_FALSE(ParseInFormats(Pack(parts)).ok());
}

TEST(InFormatsTest, AFormatWithoutAModifierIsLeftOut) {
  BlobParts parts = TwoFormats();
  parts.modifiers = {{2, 0, 0, DRM_FORMAT_MOD_LINEAR}};
  const auto formats = ParseInFormats(Pack(parts));
  ASSERT_TRUE(formats.ok());
  ASSERT_EQ(formats->size(), 1u);
  EXPECT_EQ((*formats)[0].fourcc, DRM_FORMAT_NV12);
}

// ---- formats

TEST(FormatsTest, APicturesAlphaIsLeftOutWhereThePlaneCan) {
  const auto both = LinearFormats(std::vector<uint32_t>{DRM_FORMAT_ARGB8888, DRM_FORMAT_XRGB8888});
  EXPECT_EQ(ShownAs(both, SLUICE_FORMAT_AR24, SLUICE_MODIFIER_LINEAR), SLUICE_FORMAT_XR24);
  const auto alpha = LinearFormats(std::vector<uint32_t>{DRM_FORMAT_ARGB8888});
  EXPECT_EQ(ShownAs(alpha, SLUICE_FORMAT_AR24, SLUICE_MODIFIER_LINEAR), SLUICE_FORMAT_AR24);
  EXPECT_EQ(ShownAs(alpha, SLUICE_FORMAT_XR24, SLUICE_MODIFIER_LINEAR), 0u);
  EXPECT_EQ(ShownAs(both, SLUICE_FORMAT_AR24, I915_FORMAT_MOD_X_TILED), 0u);
}

TEST(FormatsTest, FormatsWithTheSameModifiersAreOneOffer) {
  const std::vector<PlaneFormat> plane = {
      {DRM_FORMAT_NV12, {DRM_FORMAT_MOD_LINEAR}},
      {DRM_FORMAT_XRGB8888, {DRM_FORMAT_MOD_LINEAR, I915_FORMAT_MOD_X_TILED}},
      {DRM_FORMAT_YUYV, {DRM_FORMAT_MOD_LINEAR}},
      {DRM_FORMAT_BGRX8888, {DRM_FORMAT_MOD_LINEAR}},  // not in the manifest
      {DRM_FORMAT_UYVY, {0x0800000000000001ull}}};     // nor is this modifier
  const std::vector<FormatGroup> groups = GroupFormats(plane);
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0].fourccs, (std::vector<uint32_t>{SLUICE_FORMAT_XR24, SLUICE_FORMAT_AR24}));
  EXPECT_EQ(groups[1].fourccs, (std::vector<uint32_t>{SLUICE_FORMAT_NV12, SLUICE_FORMAT_YUYV}));
}

TEST(FormatsTest, ADumbBufferIsLaidOutByItsStride) {
  const sluice_layout rgb = DumbLayout(SLUICE_FORMAT_XR24, 100, 50, 512, 28672);
  EXPECT_EQ(rgb.plane_count, 1u);
  EXPECT_EQ(rgb.planes[0].stride, 512u);
  EXPECT_EQ(rgb.planes[0].size, 25600u);
  const sluice_layout nv12 = DumbLayout(SLUICE_FORMAT_NV12, 100, 51, 128, 12288);
  ASSERT_EQ(nv12.plane_count, 2u);
  EXPECT_EQ(nv12.planes[1].offset, 128u * 51);
  EXPECT_EQ(nv12.planes[1].size, 128u * 26);
}

TEST(FormatsTest, ADumbBufferThatIsTooSmallHasNoLayout) {
  EXPECT_EQ(DumbLayout(SLUICE_FORMAT_XR24, 100, 50, 399, 1 << 20).plane_count, 0u);
  EXPECT_EQ(DumbLayout(SLUICE_FORMAT_XR24, 100, 50, 400, 19999).plane_count, 0u);
  EXPECT_EQ(DumbLayout(SLUICE_FORMAT_NV12, 100, 50, 100, 7499).plane_count, 0u);
}

// ---- events

std::vector<std::byte> Event(uint32_t type, uint32_t length, uint64_t user_data) {
  drm_event_vblank event{};
  event.base = {type, length};
  event.user_data = user_data;
  event.tv_sec = 7;
  event.tv_usec = 5;
  event.sequence = 9;
  const auto* bytes = reinterpret_cast<const std::byte*>(&event);
  return {bytes, bytes + sizeof(event)};
}

TEST(EventsTest, FlipsAreReadAndOthersSkipped) {
  std::vector<std::byte> bytes = Event(DRM_EVENT_VBLANK, sizeof(drm_event_vblank), 1);
  const auto flip = Event(DRM_EVENT_FLIP_COMPLETE, sizeof(drm_event_vblank), 2);
  bytes.insert(bytes.end(), flip.begin(), flip.end());
  const std::vector<FlipEvent> flips = ParseEvents(bytes);
  ASSERT_EQ(flips.size(), 1u);
  EXPECT_EQ(flips[0].user_data, 2u);
  EXPECT_EQ(flips[0].time_ns, 7'000'005'000);
  EXPECT_EQ(flips[0].sequence, 9u);
}

TEST(EventsTest, LengthsThatLieEndTheList) {
  for (const uint32_t length : {0u, 7u, 1000u, UINT32_MAX}) {
    EXPECT_TRUE(ParseEvents(Event(DRM_EVENT_FLIP_COMPLETE, length, 1)).empty()) << length;
  }
  EXPECT_TRUE(ParseEvents(Event(DRM_EVENT_FLIP_COMPLETE, 12, 1)).empty()) << "too short for one";
  std::vector<std::byte> cut = Event(DRM_EVENT_FLIP_COMPLETE, sizeof(drm_event_vblank), 1);
  cut.resize(20);
  EXPECT_TRUE(ParseEvents(cut).empty());
  EXPECT_TRUE(ParseEvents({}).empty());
}

// ---- real time

constexpr int64_t kRefresh = 16'666'667;

sluice_frame_info At(int64_t pts_ns, uint32_t flags = 0) {
  sluice_frame_info info{};
  info.pts_ns = pts_ns;
  info.flags = flags;
  return info;
}

TEST(PacerTest, TheFirstPictureSetsTheClockAndIsNotLate) {
  Pacer pacer(kRefresh);
  EXPECT_EQ(pacer.NotBefore(At(5'000)), 0);
  EXPECT_FALSE(pacer.Shown(At(5'000), 1'000'000'000));
  // 33 ms later; half a refresh before that.
  EXPECT_EQ(pacer.NotBefore(At(33'005'000)), 1'033'000'000 - kRefresh / 2);
}

TEST(PacerTest, APictureIsLateWhenItMissesItsVblank) {
  Pacer pacer(kRefresh);
  pacer.Shown(At(0), 1'000'000'000);
  EXPECT_FALSE(pacer.Shown(At(33'000'000), 1'033'000'000 + kRefresh));
  EXPECT_TRUE(pacer.Shown(At(66'000'000), 1'066'000'000 + 2 * kRefresh));
  EXPECT_FALSE(pacer.Shown(At(99'000'000), 1'099'000'000)) << "the clock is still the first's";
}

TEST(PacerTest, AfterALongGapTheClockStartsAnew) {
  Pacer pacer(kRefresh);
  pacer.Shown(At(0), 1'000'000'000);
  EXPECT_TRUE(pacer.Shown(At(33'000'000), 3'000'000'000));
  EXPECT_FALSE(pacer.Shown(At(66'000'000), 3'033'000'000));
}

TEST(PacerTest, ADiscontinuityStartsTheClockAnew) {
  Pacer pacer(kRefresh);
  pacer.Shown(At(0), 1'000'000'000);
  EXPECT_EQ(pacer.NotBefore(At(900'000'000'000, SLUICE_FRAME_DISCONTINUITY)), 0);
  EXPECT_FALSE(pacer.Shown(At(900'000'000'000, SLUICE_FRAME_DISCONTINUITY), 1'033'000'000));
  EXPECT_EQ(pacer.NotBefore(At(900'033'000'000)), 1'066'000'000 - kRefresh / 2);
}

TEST(PacerTest, PicturesWithoutOrWithAbsurdTimesAreShownAtOnce) {
  Pacer pacer(kRefresh);
  pacer.Shown(At(0), 1'000'000'000);
  EXPECT_EQ(pacer.NotBefore(At(SLUICE_PTS_NONE)), 0);
  EXPECT_FALSE(pacer.Shown(At(SLUICE_PTS_NONE), 1'016'000'000));
  pacer.Shown(At(0), 1'000'000'000);
  EXPECT_EQ(pacer.NotBefore(At(INT64_MAX)), 0);
  EXPECT_FALSE(pacer.Shown(At(INT64_MAX), 1'033'000'000));
}

}  // namespace
}  // namespace sluice::drm
