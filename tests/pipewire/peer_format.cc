#include "tests/pipewire/peer_format.h"

#include <cmath>
#include <cstring>

namespace sluice::testing {

const std::vector<PeerFormat>& PeerFormats() {
  static const std::vector<PeerFormat> formats{
      {"RGBA", SPA_VIDEO_FORMAT_RGBA, 4, false}, {"BGRA", SPA_VIDEO_FORMAT_BGRA, 4, false},
      {"RGBx", SPA_VIDEO_FORMAT_RGBx, 4, false}, {"BGRx", SPA_VIDEO_FORMAT_BGRx, 4, false},
      {"YUY2", SPA_VIDEO_FORMAT_YUY2, 2, false}, {"UYVY", SPA_VIDEO_FORMAT_UYVY, 2, false},
      {"RGB", SPA_VIDEO_FORMAT_RGB, 3, false},   {"NV12", SPA_VIDEO_FORMAT_NV12, 1, true},
  };
  return formats;
}

const PeerFormat* FindFormat(const std::string& name) {
  for (const PeerFormat& format : PeerFormats()) {
    if (name == format.name) return &format;
  }
  return nullptr;
}

const PeerFormat* FindFormat(spa_video_format id) {
  for (const PeerFormat& format : PeerFormats()) {
    if (id == format.id) return &format;
  }
  return nullptr;
}

uint32_t FrameBytes(const PeerFormat& format, uint32_t width, uint32_t height) {
  const uint32_t first = width * height * format.pixel_bytes;
  return format.half_plane ? first + first / 2 : first;
}

BandLayout LayoutOf(const PeerFormat& format, uint32_t width, uint32_t height, uint32_t stride,
                    uint32_t index, uint32_t blocks) {
  BandLayout layout;
  layout.row_bytes = width * format.pixel_bytes;
  layout.stride = stride ? stride : layout.row_bytes;
  layout.rows = height;
  if (format.half_plane && blocks == 1) layout.rows = height + height / 2;
  if (format.half_plane && index == 1) layout.rows = height / 2;
  return layout;
}

const spa_pod* BuildOffer(spa_pod_builder& builder, const Offer& offer) {
  spa_pod_builder* b = &builder;
  spa_pod_frame object;
  spa_pod_frame choice;
  spa_pod_builder_push_object(b, &object, SPA_TYPE_OBJECT_Format, SPA_PARAM_EnumFormat);
  spa_pod_builder_add(b, SPA_FORMAT_mediaType, SPA_POD_Id(SPA_MEDIA_TYPE_video),
                      SPA_FORMAT_mediaSubtype, SPA_POD_Id(SPA_MEDIA_SUBTYPE_raw), 0);
  spa_pod_builder_prop(b, SPA_FORMAT_VIDEO_format, 0);
  if (offer.formats.size() == 1) {
    spa_pod_builder_id(b, offer.formats.front()->id);
  } else {
    spa_pod_builder_push_choice(b, &choice, SPA_CHOICE_Enum, 0);
    spa_pod_builder_id(b, offer.formats.front()->id);
    for (const PeerFormat* format : offer.formats) spa_pod_builder_id(b, format->id);
    spa_pod_builder_pop(b, &choice);
  }
  if (!offer.modifiers.empty()) {
    // Mandatory: without it the memory is not to be read.
    const uint32_t open = offer.fixed ? 0u : uint32_t{SPA_POD_PROP_FLAG_DONT_FIXATE};
    spa_pod_builder_prop(b, SPA_FORMAT_VIDEO_modifier, SPA_POD_PROP_FLAG_MANDATORY | open);
    if (offer.fixed) {
      spa_pod_builder_long(b, static_cast<int64_t>(offer.modifiers.front()));
    } else {
      spa_pod_builder_push_choice(b, &choice, SPA_CHOICE_Enum, 0);
      spa_pod_builder_long(b, static_cast<int64_t>(offer.modifiers.front()));
      for (const uint64_t modifier : offer.modifiers) {
        spa_pod_builder_long(b, static_cast<int64_t>(modifier));
      }
      spa_pod_builder_pop(b, &choice);
    }
  }
  const spa_rectangle size = SPA_RECTANGLE(offer.width, offer.height);
  const spa_rectangle smallest = SPA_RECTANGLE(1, 1);
  const spa_rectangle largest = SPA_RECTANGLE(8192, 8192);
  if (offer.any_size) {
    spa_pod_builder_add(b, SPA_FORMAT_VIDEO_size,
                        SPA_POD_CHOICE_RANGE_Rectangle(&size, &smallest, &largest), 0);
  } else {
    spa_pod_builder_add(b, SPA_FORMAT_VIDEO_size, SPA_POD_Rectangle(&size), 0);
  }
  const spa_fraction slowest = SPA_FRACTION(0, 1);
  const spa_fraction fastest = SPA_FRACTION(1000, 1);
  const spa_fraction usual = SPA_FRACTION(30, 1);
  if (offer.fps > 0) {
    const bool whole = offer.fps == std::floor(offer.fps);
    const uint32_t parts = whole ? 1 : 1000;
    const spa_fraction rate =
        SPA_FRACTION(static_cast<uint32_t>(std::lround(offer.fps * parts)), parts);
    spa_pod_builder_add(b, SPA_FORMAT_VIDEO_framerate, SPA_POD_Fraction(&rate), 0);
  } else {
    spa_pod_builder_add(b, SPA_FORMAT_VIDEO_framerate,
                        SPA_POD_CHOICE_RANGE_Fraction(&usual, &slowest, &fastest), 0);
  }
  return static_cast<const spa_pod*>(spa_pod_builder_pop(b, &object));
}

bool ParseAgreed(const spa_pod* pod, Agreed& agreed) {
  agreed = {};
  uint32_t type = 0;
  uint32_t subtype = 0;
  if (spa_format_parse(pod, &type, &subtype) < 0 || type != SPA_MEDIA_TYPE_video ||
      subtype != SPA_MEDIA_SUBTYPE_raw) {
    return false;
  }
  spa_video_info_raw raw{};
  if (spa_format_video_raw_parse(pod, &raw) < 0) return false;
  agreed.format = FindFormat(raw.format);
  agreed.width = raw.size.width;
  agreed.height = raw.size.height;
  const spa_pod_prop* modifier = spa_pod_find_prop(pod, nullptr, SPA_FORMAT_VIDEO_modifier);
  if (modifier) {
    agreed.has_modifier = true;
    agreed.modifier_open = (modifier->flags & SPA_POD_PROP_FLAG_DONT_FIXATE) != 0;
    uint32_t count = 0;
    uint32_t kind = SPA_CHOICE_None;
    const spa_pod* values = spa_pod_get_values(&modifier->value, &count, &kind);
    std::vector<uint64_t> all(count);
    std::memcpy(all.data(), SPA_POD_BODY_CONST(values), count * sizeof(uint64_t));
    // The first of a choice is its default, which is among the others as well.
    agreed.modifiers.assign(all.begin() + (kind == SPA_CHOICE_Enum && count > 1 ? 1 : 0),
                            all.end());
  }
  return agreed.format != nullptr;
}

}  // namespace sluice::testing
