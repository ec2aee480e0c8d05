#pragma once

#include <spa/param/video/format-utils.h>
#include <spa/pod/builder.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/pipewire/band.h"

namespace sluice::testing {

/// One of the formats that the peers know.
struct PeerFormat {
  const char* name;
  spa_video_format id;
  uint32_t pixel_bytes;  ///< Of the first plane.
  bool half_plane;       ///< A second plane of half the rows follows.
};

const std::vector<PeerFormat>& PeerFormats();
/// Null if there is none of that name.
const PeerFormat* FindFormat(const std::string& name);
const PeerFormat* FindFormat(spa_video_format id);

/// Bytes of a frame with no padding, all planes in one block.
uint32_t FrameBytes(const PeerFormat& format, uint32_t width, uint32_t height);
/// Of block `index` of `blocks`; all planes are in the one block if there is
/// but one.
BandLayout LayoutOf(const PeerFormat& format, uint32_t width, uint32_t height, uint32_t stride,
                    uint32_t index, uint32_t blocks);

/// What an EnumFormat or Format offers.
struct Offer {
  std::vector<const PeerFormat*> formats;
  uint32_t width = 0;
  uint32_t height = 0;
  bool any_size = false;
  double fps = 0;                   ///< 0: any.
  std::vector<uint64_t> modifiers;  ///< None: the property is left out.
  bool fixed = false;               ///< The choice among the modifiers is made.
};

const spa_pod* BuildOffer(spa_pod_builder& builder, const Offer& offer);

/// A format that was agreed upon.
struct Agreed {
  const PeerFormat* format = nullptr;
  uint32_t width = 0;
  uint32_t height = 0;
  bool has_modifier = false;
  bool modifier_open = false;       ///< The producer is still to choose.
  std::vector<uint64_t> modifiers;  ///< The one, or those to choose from.
};

/// False if it is not a raw video format that the peers know.
bool ParseAgreed(const spa_pod* pod, Agreed& agreed);

}  // namespace sluice::testing
