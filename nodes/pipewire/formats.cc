#include "nodes/pipewire/formats.h"

#include <algorithm>
#include <iterator>

#include <spa/pod/parser.h>

namespace sluice::pipewire {
namespace {

constexpr uint32_t kRaw = SPA_MEDIA_SUBTYPE_raw;

// SPA names a format by its bytes in memory, DRM by a little-endian word: SPA's RGB is DRM's BG24.
constexpr FormatEntry kFormats[] = {
    {kRaw, SPA_VIDEO_FORMAT_YUY2, SLUICE_FORMAT_YUYV, false, 1},
    {kRaw, SPA_VIDEO_FORMAT_UYVY, SLUICE_FORMAT_UYVY, false, 1},
    {kRaw, SPA_VIDEO_FORMAT_NV12, SLUICE_FORMAT_NV12, false, 2},
    {kRaw, SPA_VIDEO_FORMAT_NV21, SLUICE_FORMAT_NV21, false, 2},
    {kRaw, SPA_VIDEO_FORMAT_NV16, SLUICE_FORMAT_NV16, false, 2},
    {kRaw, SPA_VIDEO_FORMAT_I420, SLUICE_FORMAT_YU12, false, 3},
    {kRaw, SPA_VIDEO_FORMAT_GRAY8, SLUICE_FORMAT_R8, false, 1},
    {kRaw, SPA_VIDEO_FORMAT_RGBA, SLUICE_FORMAT_AB24, true, 1},
    {kRaw, SPA_VIDEO_FORMAT_RGBx, SLUICE_FORMAT_XB24, true, 1},
    {kRaw, SPA_VIDEO_FORMAT_BGRA, SLUICE_FORMAT_AR24, true, 1},
    {kRaw, SPA_VIDEO_FORMAT_BGRx, SLUICE_FORMAT_XR24, true, 1},
    {kRaw, SPA_VIDEO_FORMAT_RGB, SLUICE_FORMAT_BG24, true, 1},
    {kRaw, SPA_VIDEO_FORMAT_BGR, SLUICE_FORMAT_RG24, true, 1},
    {kRaw, SPA_VIDEO_FORMAT_RGB16, SLUICE_FORMAT_RG16, true, 1},
    {SPA_MEDIA_SUBTYPE_mjpg, 0, SLUICE_FORMAT_MJPG, false, 1},
    {SPA_MEDIA_SUBTYPE_h264, 0, SLUICE_FORMAT_H264, false, 1},
};

/// Words of SPA and of Sluice for one thing.
struct Term {
  uint32_t spa;
  uint8_t sluice;
};

constexpr Term kRanges[] = {{SPA_VIDEO_COLOR_RANGE_0_255, SLUICE_RANGE_FULL},
                            {SPA_VIDEO_COLOR_RANGE_16_235, SLUICE_RANGE_LIMITED}};
constexpr Term kMatrices[] = {{SPA_VIDEO_COLOR_MATRIX_RGB, SLUICE_MATRIX_RGB},
                              {SPA_VIDEO_COLOR_MATRIX_BT709, SLUICE_MATRIX_BT709},
                              {SPA_VIDEO_COLOR_MATRIX_BT601, SLUICE_MATRIX_BT601},
                              {SPA_VIDEO_COLOR_MATRIX_BT2020, SLUICE_MATRIX_BT2020}};
constexpr Term kTransfers[] = {{SPA_VIDEO_TRANSFER_BT709, SLUICE_TRANSFER_BT709},
                               {SPA_VIDEO_TRANSFER_SRGB, SLUICE_TRANSFER_SRGB},
                               {SPA_VIDEO_TRANSFER_GAMMA10, SLUICE_TRANSFER_LINEAR},
                               {SPA_VIDEO_TRANSFER_GAMMA22, SLUICE_TRANSFER_GAMMA22},
                               {SPA_VIDEO_TRANSFER_GAMMA28, SLUICE_TRANSFER_GAMMA28}};
constexpr Term kPrimaries[] = {{SPA_VIDEO_COLOR_PRIMARIES_BT709, SLUICE_PRIMARIES_BT709},
                               {SPA_VIDEO_COLOR_PRIMARIES_SMPTE170M, SLUICE_PRIMARIES_BT601_525},
                               {SPA_VIDEO_COLOR_PRIMARIES_BT470BG, SLUICE_PRIMARIES_BT601_625},
                               {SPA_VIDEO_COLOR_PRIMARIES_BT2020, SLUICE_PRIMARIES_BT2020}};
constexpr Term kSitings[] = {{SPA_VIDEO_CHROMA_SITE_MPEG2, SLUICE_SITING_LEFT},
                             {SPA_VIDEO_CHROMA_SITE_JPEG, SLUICE_SITING_CENTER},
                             {SPA_VIDEO_CHROMA_SITE_COSITED, SLUICE_SITING_TOP_LEFT}};

/// Where the colour's terms are in a format's pod.
struct ColorKey {
  uint32_t key;
  std::span<const Term> terms;
  uint8_t sluice_color::*field;
};
constexpr ColorKey kColorKeys[] = {
    {SPA_FORMAT_VIDEO_colorRange, kRanges, &sluice_color::range},
    {SPA_FORMAT_VIDEO_colorMatrix, kMatrices, &sluice_color::matrix},
    {SPA_FORMAT_VIDEO_transferFunction, kTransfers, &sluice_color::transfer},
    {SPA_FORMAT_VIDEO_colorPrimaries, kPrimaries, &sluice_color::primaries},
    {SPA_FORMAT_VIDEO_chromaSite, kSitings, &sluice_color::siting},
};

// --- Building ------------------------------------------------------------------------------------

void BuildModifiers(spa_pod_builder* b, const VideoFormat& format) {
  if (!format.dmabuf()) return;
  const uint32_t open = format.modifiers_open ? SPA_POD_PROP_FLAG_DONT_FIXATE : 0;
  spa_pod_builder_prop(b, SPA_FORMAT_VIDEO_modifier, SPA_POD_PROP_FLAG_MANDATORY | open);
  if (!format.modifiers_open && format.modifiers.size() == 1) {
    spa_pod_builder_long(b, static_cast<int64_t>(format.modifiers[0]));
    return;
  }
  spa_pod_frame choice;
  spa_pod_builder_push_choice(b, &choice, SPA_CHOICE_Enum, 0);
  // The first value of an enumeration is the default, and is then listed again.
  spa_pod_builder_long(b, static_cast<int64_t>(format.modifiers[0]));
  for (uint64_t modifier : format.modifiers) {
    spa_pod_builder_long(b, static_cast<int64_t>(modifier));
  }
  spa_pod_builder_pop(b, &choice);
}

spa_rectangle Rectangle(Size size) { return SPA_RECTANGLE(size.width, size.height); }
spa_fraction Fraction(sluice_rate rate) {
  return SPA_FRACTION(rate.numerator, rate.denominator == 0 ? 1 : rate.denominator);
}

void BuildSize(spa_pod_builder* b, const VideoFormat& format) {
  const spa_rectangle size = Rectangle(format.size);
  spa_pod_builder_prop(b, SPA_FORMAT_VIDEO_size, 0);
  if (format.size_min == format.size_max) {
    spa_pod_builder_rectangle(b, size.width, size.height);
    return;
  }
  spa_pod_frame choice;
  spa_pod_builder_push_choice(b, &choice, SPA_CHOICE_Range, 0);
  for (Size value : {format.size, format.size_min, format.size_max}) {
    spa_pod_builder_rectangle(b, value.width, value.height);
  }
  spa_pod_builder_pop(b, &choice);
}

bool Same(sluice_rate a, sluice_rate b) {
  return uint64_t{a.numerator} * b.denominator == uint64_t{b.numerator} * a.denominator;
}

void BuildRate(spa_pod_builder* b, const VideoFormat& format) {
  const spa_fraction rate = Fraction(format.rate);
  spa_pod_builder_prop(b, SPA_FORMAT_VIDEO_framerate, 0);
  if (Same(format.rate_min, format.rate_max)) {
    spa_pod_builder_fraction(b, rate.num, rate.denom);
    return;
  }
  spa_pod_frame choice;
  spa_pod_builder_push_choice(b, &choice, SPA_CHOICE_Range, 0);
  for (sluice_rate value : {format.rate, format.rate_min, format.rate_max}) {
    spa_pod_builder_fraction(b, Fraction(value).num, Fraction(value).denom);
  }
  spa_pod_builder_pop(b, &choice);
}

void BuildColor(spa_pod_builder* b, const sluice_color& color) {
  for (const ColorKey& key : kColorKeys) {
    const uint8_t wanted = color.*key.field;
    const auto term = std::find_if(key.terms.begin(), key.terms.end(),
                                   [&](const Term& one) { return one.sluice == wanted; });
    if (wanted == 0 || term == key.terms.end()) continue;
    spa_pod_builder_prop(b, key.key, 0);
    spa_pod_builder_id(b, term->spa);
  }
}

// --- Reading -------------------------------------------------------------------------------------

/// The values of a property and how they are meant.
template <class T>
struct Values {
  std::span<const T> all;
  uint32_t choice = SPA_CHOICE_None;
  uint32_t flags = 0;
};

/// Nothing where the property is missing, or is not made of whole values of `type`: what a peer
/// says of its sizes is not checked on the way.
template <class T>
Values<T> ValuesOf(const spa_pod* pod, uint32_t key, uint32_t type) {
  const spa_pod_prop* property = spa_pod_find_prop(pod, nullptr, key);
  if (property == nullptr) return {};
  const bool listed = property->value.type == SPA_TYPE_Choice;
  if (listed && property->value.size < sizeof(spa_pod_choice_body)) return {};
  Values<T> values;
  uint32_t count = 0;
  // With one size for all of them the division in there is a number that fits the property.
  const spa_pod& child = listed ? *SPA_POD_CHOICE_CHILD(&property->value) : property->value;
  if (child.type != type || child.size != sizeof(T)) return {};
  const spa_pod* first = spa_pod_get_values(&property->value, &count, &values.choice);
  values.all = {static_cast<const T*>(SPA_POD_BODY_CONST(first)), count};
  values.flags = property->flags;
  return values;
}

void ReadModifiers(const spa_pod* pod, VideoFormat* format) {
  const auto values = ValuesOf<int64_t>(pod, SPA_FORMAT_VIDEO_modifier, SPA_TYPE_Long);
  for (int64_t value : values.all) {
    const auto modifier = static_cast<uint64_t>(value);
    // An enumeration's default comes twice.
    if (std::find(format->modifiers.begin(), format->modifiers.end(), modifier) ==
        format->modifiers.end()) {
      format->modifiers.push_back(modifier);
    }
  }
  format->modifiers_open = (values.flags & SPA_POD_PROP_FLAG_DONT_FIXATE) != 0;
}

Size SizeOf(const spa_rectangle& from) { return {from.width, from.height}; }
sluice_rate RateOf(const spa_fraction& from) { return {from.num, from.denom}; }

void ReadSize(const spa_pod* pod, VideoFormat* format) {
  const auto values = ValuesOf<spa_rectangle>(pod, SPA_FORMAT_VIDEO_size, SPA_TYPE_Rectangle);
  const auto all = values.all;
  if (all.empty()) return;
  format->size = format->size_min = format->size_max = SizeOf(all[0]);
  if ((values.choice == SPA_CHOICE_Range || values.choice == SPA_CHOICE_Step) && all.size() >= 3) {
    format->size_min = SizeOf(all[1]);
    format->size_max = SizeOf(all[2]);
  } else if (values.choice == SPA_CHOICE_Enum) {
    for (const spa_rectangle& one : all.subspan(1)) format->sizes.push_back(SizeOf(one));
  }
}

void ReadRate(const spa_pod* pod, VideoFormat* format) {
  const auto values = ValuesOf<spa_fraction>(pod, SPA_FORMAT_VIDEO_framerate, SPA_TYPE_Fraction);
  const auto all = values.all;
  if (all.empty()) return;
  format->rate = format->rate_min = format->rate_max = RateOf(all[0]);
  if ((values.choice == SPA_CHOICE_Range || values.choice == SPA_CHOICE_Step) && all.size() >= 3) {
    format->rate_min = RateOf(all[1]);
    format->rate_max = RateOf(all[2]);
  } else if (values.choice == SPA_CHOICE_Enum) {
    for (const spa_fraction& one : all.subspan(1)) format->rates.push_back(RateOf(one));
  }
}

void ReadColor(const spa_pod* pod, VideoFormat* format) {
  for (const ColorKey& key : kColorKeys) {
    const auto values = ValuesOf<uint32_t>(pod, key.key, SPA_TYPE_Id).all;
    if (values.empty()) continue;
    for (const Term& term : key.terms) {
      if (term.spa == values[0]) format->color.*key.field = term.sluice;
    }
  }
}

}  // namespace

std::span<const FormatEntry> AllFormats() { return kFormats; }

const FormatEntry* FindDrm(uint32_t drm) {
  const auto found = std::find_if(std::begin(kFormats), std::end(kFormats),
                                  [&](const FormatEntry& entry) { return entry.drm == drm; });
  return found == std::end(kFormats) ? nullptr : found;
}

const FormatEntry* FindSpa(uint32_t media_subtype, uint32_t spa) {
  const auto found =
      std::find_if(std::begin(kFormats), std::end(kFormats), [&](const FormatEntry& entry) {
        return entry.media_subtype == media_subtype && (entry.compressed() || entry.spa == spa);
      });
  return found == std::end(kFormats) ? nullptr : found;
}

std::string FourccName(uint32_t fourcc) {
  std::string name;
  for (int shift = 0; shift < 32; shift += 8) {
    const char c = static_cast<char>(fourcc >> shift & 0xff);
    if (c != ' ') name.push_back(c >= ' ' && c <= '~' ? c : '?');
  }
  return name;
}

// Not spa_pod_dynamic_builder: the one of PipeWire 0.3.65 is not C++.
PodBuilder::PodBuilder() : memory_(1024) {
  static constexpr spa_pod_builder_callbacks kCallbacks = {
      SPA_VERSION_POD_BUILDER_CALLBACKS, [](void* data, uint32_t size) {
        auto* me = static_cast<PodBuilder*>(data);
        me->memory_.resize(std::max<size_t>(size, me->memory_.size() * 2));
        me->builder_.data = me->memory_.data();
        me->builder_.size = static_cast<uint32_t>(me->memory_.size());
        return 0;
      }};
  spa_pod_builder_init(&builder_, memory_.data(), static_cast<uint32_t>(memory_.size()));
  spa_pod_builder_set_callbacks(&builder_, &kCallbacks, this);
}

const spa_pod* BuildFormat(PodBuilder& builder, const VideoFormat& format, uint32_t id) {
  spa_pod_builder* b = builder.get();
  spa_pod_frame object;
  spa_pod_builder_push_object(b, &object, SPA_TYPE_OBJECT_Format, id);
  spa_pod_builder_prop(b, SPA_FORMAT_mediaType, 0);
  spa_pod_builder_id(b, SPA_MEDIA_TYPE_video);
  spa_pod_builder_prop(b, SPA_FORMAT_mediaSubtype, 0);
  spa_pod_builder_id(b, format.entry->media_subtype);
  if (!format.entry->compressed()) {
    spa_pod_builder_prop(b, SPA_FORMAT_VIDEO_format, 0);
    spa_pod_builder_id(b, format.entry->spa);
  }
  BuildModifiers(b, format);
  BuildSize(b, format);
  BuildRate(b, format);
  BuildColor(b, format.color);
  return static_cast<const spa_pod*>(spa_pod_builder_pop(b, &object));
}

sdk::Expected<std::vector<VideoFormat>> ParseFormats(const spa_pod* pod) {
  uint32_t media_type = 0;
  uint32_t media_subtype = 0;
  if (pod == nullptr || spa_format_parse(pod, &media_type, &media_subtype) < 0) {
    return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT, "a format that cannot be read");
  }
  if (media_type != SPA_MEDIA_TYPE_video) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "not a video format");
  }
  VideoFormat common;
  ReadModifiers(pod, &common);
  ReadSize(pod, &common);
  ReadRate(pod, &common);
  ReadColor(pod, &common);

  std::vector<uint32_t> tokens;
  if (media_subtype == SPA_MEDIA_SUBTYPE_raw) {
    const auto all = ValuesOf<uint32_t>(pod, SPA_FORMAT_VIDEO_format, SPA_TYPE_Id).all;
    tokens.assign(all.begin(), all.end());
  } else {
    tokens.push_back(0);
  }
  std::vector<VideoFormat> formats;
  for (uint32_t token : tokens) {
    const FormatEntry* entry = FindSpa(media_subtype, token);
    const bool listed = std::any_of(formats.begin(), formats.end(),
                                    [&](const VideoFormat& other) { return other.entry == entry; });
    if (entry == nullptr || listed) continue;
    formats.push_back(common);
    formats.back().entry = entry;
  }
  if (formats.empty()) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "none of its pixel formats is known");
  }
  return formats;
}

sdk::Expected<VideoFormat> ParseFormat(const spa_pod* pod) {
  auto formats = ParseFormats(pod);
  if (!formats.ok()) return formats.status();
  return std::move((*formats)[0]);
}

}  // namespace sluice::pipewire
