#include "nodes/pipewire/formats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::pipewire {
namespace {

using testing::ElementsAre;

VideoFormat Fixed(uint32_t fourcc) {
  VideoFormat format;
  format.entry = FindDrm(fourcc);
  format.size = format.size_min = format.size_max = {640, 360};
  format.rate = format.rate_min = format.rate_max = {30000, 1001};
  return format;
}

TEST(FormatsTest, EveryFormatIsFoundByBothOfItsNames) {
  for (const FormatEntry& entry : AllFormats()) {
    EXPECT_EQ(FindDrm(entry.drm), &entry) << FourccName(entry.drm);
    EXPECT_EQ(FindSpa(entry.media_subtype, entry.spa), &entry) << FourccName(entry.drm);
  }
  EXPECT_EQ(FindDrm(SLUICE_FOURCC('n', 'o', 'n', 'e')), nullptr);
  EXPECT_EQ(FindSpa(SPA_MEDIA_SUBTYPE_raw, SPA_VIDEO_FORMAT_v210), nullptr);
}

TEST(FormatsTest, AFixedFormatIsReadAsItWasBuilt) {
  for (const FormatEntry& entry : AllFormats()) {
    VideoFormat format = Fixed(entry.drm);
    format.color = {SLUICE_PRIMARIES_BT709, SLUICE_TRANSFER_SRGB, SLUICE_MATRIX_BT601,
                    SLUICE_RANGE_LIMITED,   SLUICE_SITING_LEFT,   {}};
    PodBuilder builder;
    const auto read = ParseFormat(BuildFormat(builder, format, SPA_PARAM_Format));
    ASSERT_TRUE(read.ok()) << FourccName(entry.drm) << ": " << read.status().message();
    EXPECT_EQ(read->entry, &entry);
    EXPECT_EQ(read->size, format.size);
    EXPECT_EQ(read->rate.numerator, 30000u);
    EXPECT_EQ(read->rate.denominator, 1001u);
    EXPECT_FALSE(read->dmabuf());
    EXPECT_EQ(read->color.matrix, SLUICE_MATRIX_BT601);
    EXPECT_EQ(read->color.range, SLUICE_RANGE_LIMITED);
    EXPECT_EQ(read->color.transfer, SLUICE_TRANSFER_SRGB);
    EXPECT_EQ(read->color.primaries, SLUICE_PRIMARIES_BT709);
    EXPECT_EQ(read->color.siting, SLUICE_SITING_LEFT);
  }
}

TEST(FormatsTest, AListOfModifiersStaysOpenUntilTheProducerPicksOne) {
  VideoFormat format = Fixed(SLUICE_FORMAT_XR24);
  format.modifiers = {0x0100000000000002, SLUICE_MODIFIER_LINEAR};
  format.modifiers_open = true;
  PodBuilder builder;
  const auto open = ParseFormat(BuildFormat(builder, format));
  ASSERT_TRUE(open.ok());
  EXPECT_TRUE(open->modifiers_open);
  EXPECT_THAT(open->modifiers, ElementsAre(0x0100000000000002, SLUICE_MODIFIER_LINEAR));

  format.modifiers = {SLUICE_MODIFIER_LINEAR};
  format.modifiers_open = false;
  PodBuilder second;
  const auto picked = ParseFormat(BuildFormat(second, format));
  ASSERT_TRUE(picked.ok());
  EXPECT_FALSE(picked->modifiers_open);
  EXPECT_THAT(picked->modifiers, ElementsAre(SLUICE_MODIFIER_LINEAR));
}

TEST(FormatsTest, AFormatMayBeLargerThanTheMemoryThatABuilderBeginsWith) {
  VideoFormat format = Fixed(SLUICE_FORMAT_XR24);
  for (uint64_t i = 0; i < 1000; ++i) format.modifiers.push_back(i);
  format.modifiers_open = true;
  PodBuilder builder;
  const auto read = ParseFormat(BuildFormat(builder, format));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->modifiers, format.modifiers);
}

TEST(FormatsTest, BoundsAreReadAsBounds) {
  VideoFormat format = Fixed(SLUICE_FORMAT_YUYV);
  format.size_min = {16, 16};
  format.size_max = {1920, 1080};
  format.rate_min = {0, 1};
  format.rate_max = {60, 1};
  PodBuilder builder;
  const auto read = ParseFormat(BuildFormat(builder, format));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->size, (Size{640, 360}));
  EXPECT_EQ(read->size_min, (Size{16, 16}));
  EXPECT_EQ(read->size_max, (Size{1920, 1080}));
  EXPECT_EQ(read->rate_max.numerator, 60u);
}

// Of a peer whose values are smaller than their type says, or fewer than none.
TEST(FormatsTest, SizesThatDoNotHoldTheirTypeAreNotRead) {
  for (const uint32_t body : {0u, 8u, 15u, 17u}) {
    PodBuilder builder;
    spa_pod_frame object;
    spa_pod_builder_push_object(builder.get(), &object, SPA_TYPE_OBJECT_Format,
                                SPA_PARAM_EnumFormat);
    spa_pod_builder_add(builder.get(), SPA_FORMAT_mediaType, SPA_POD_Id(SPA_MEDIA_TYPE_video),
                        SPA_FORMAT_mediaSubtype, SPA_POD_Id(SPA_MEDIA_SUBTYPE_raw),
                        SPA_FORMAT_VIDEO_format, SPA_POD_Id(SPA_VIDEO_FORMAT_RGBA), 0);
    struct {
      spa_pod pod;
      spa_pod_choice_body body;
      uint64_t rest;
    } choice{{body, SPA_TYPE_Choice}, {SPA_CHOICE_Enum, 0, {1, SPA_TYPE_Long}}, 0};
    spa_pod_builder_prop(builder.get(), SPA_FORMAT_VIDEO_modifier, 0);
    spa_pod_builder_raw_padded(builder.get(), &choice, sizeof(spa_pod) + body);
    const auto read =
        ParseFormat(static_cast<const spa_pod*>(spa_pod_builder_pop(builder.get(), &object)));
    ASSERT_TRUE(read.ok()) << read.status().message();
    EXPECT_FALSE(read->dmabuf()) << body;
  }
}

TEST(FormatsTest, WhatIsNoVideoIsRefused) {
  PodBuilder builder;
  const auto* audio = static_cast<const spa_pod*>(
      spa_pod_builder_add_object(builder.get(), SPA_TYPE_OBJECT_Format, SPA_PARAM_EnumFormat,
                                 SPA_FORMAT_mediaType, SPA_POD_Id(SPA_MEDIA_TYPE_audio),
                                 SPA_FORMAT_mediaSubtype, SPA_POD_Id(SPA_MEDIA_SUBTYPE_raw)));
  EXPECT_EQ(ParseFormat(audio).status().code(), SLUICE_E_UNSUPPORTED);
  EXPECT_EQ(ParseFormat(nullptr).status().code(), SLUICE_E_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace sluice::pipewire
