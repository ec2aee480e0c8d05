#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/media/format.h"

namespace sluice::graph {

/// How a buffer can be reached: a set of media::View bits.
using Views = uint32_t;
using media::kViewCpu;
using media::kViewDevice;
using media::kViewDmabuf;
using media::kViewShm;

/// How an edge may be synchronised: a set of bits. Values equal SLUICE_SYNC_*.
using Syncs = uint32_t;
inline constexpr Syncs kSyncCpuDone = 1;   ///< complete when it arrives
inline constexpr Syncs kSyncImplicit = 2;  ///< fences inside the dma-buf
inline constexpr Syncs kSyncSyncFile = 4;
inline constexpr Syncs kSyncSyncobj = 8;
inline constexpr Syncs kSyncTimeline = 16;  ///< the domain's own timelines

/// Bits for the fields of media::Color, as SLUICE_COLOR_FIELD_*.
inline constexpr uint32_t kColorFieldPrimaries = 1;
inline constexpr uint32_t kColorFieldTransfer = 2;
inline constexpr uint32_t kColorFieldMatrix = 4;
inline constexpr uint32_t kColorFieldRange = 8;
inline constexpr uint32_t kColorFieldSiting = 16;

/// min..max in steps from min; max 0 = no bound. min == max = fixed.
struct Extent {
  uint32_t min = 0;
  uint32_t max = 0;
  uint32_t step = 1;
  bool fixed() const { return min != 0 && min == max; }
  friend auto operator<=>(const Extent&, const Extent&) = default;
};

/// One thing that a port can do. Several offers of a port are alternatives, in
/// order of preference. The static ones stand in the manifest; an opened node
/// replaces them by refined ones, each a subset of a declared one.
struct Offer {
  std::vector<uint32_t> fourccs;    ///< empty = any (a port that does not look at pixels)
  std::vector<uint64_t> modifiers;  ///< empty = linear only
  Views views = kViewCpu;           ///< views the port can use
  Views allocates = 0;              ///< views of memory that it can allocate itself; 0 = cannot
  bool own_memory_only = false;     ///< works in no other memory than what it allocates
  std::array<uint8_t, 16> device_uuid{};  ///< of kViewDevice; zero = the node's domain's device
  Syncs sync = kSyncCpuDone;
  Extent width;
  Extent height;
  media::Rate rate_min;  ///< both 0/0 = any
  media::Rate rate_max;
  media::Color color;          ///< a field of 0 = any
  uint32_t color_assumed = 0;  ///< kColorField*: guessed, not read (warned about in the plan)
  media::Alignment alignment;  ///< what this port asks of the memory's shape
  uint32_t buffers_min = 0;    ///< a driver's minimum
  uint32_t buffers_max = 0;    ///< 0 = no bound
  uint32_t hold_min = 0;       ///< inputs: frames kept after the work is done
  uint32_t hold_max = 0;
  uint32_t retains = 0;  ///< outputs: frames still read after emit
  uint32_t dynamic_reserve =
      0;  ///< outputs with dynamic acquisition: the most the node holds at once
  /// Not empty: taking this offer makes the node copy each frame, for this
  /// reason ("yuv422p10 is converted by swscale"). Counted, and refused where
  /// zero-copy is required.
  std::string copies;

  /// Names of the node's parameters that narrow this offer when they are set: a
  /// size, a rate, an enum or string with a fourcc. Empty = none. So a plan is
  /// possible before any device is opened.
  std::string size_param;
  std::string rate_param;
  std::string fourcc_param;
};

/// A field that a node keeps equal on two of its ports (`out.size == in.size`).
enum class TieField {
  kFourcc,
  kSize,
  kRate,
  kColorSpace,     ///< primaries and transfer
  kColorEncoding,  ///< matrix, range and siting
  kColor,          ///< both of these
};
inline constexpr TieField kTieFields[] = {TieField::kFourcc,        TieField::kSize,
                                          TieField::kRate,          TieField::kColorSpace,
                                          TieField::kColorEncoding, TieField::kColor};
/// Whether a tie of `field` keeps `part` equal.
constexpr bool Covers(TieField field, TieField part) {
  return field == part || (field == TieField::kColor && (part == TieField::kColorSpace ||
                                                         part == TieField::kColorEncoding));
}

struct Tie {
  std::string left_port;
  std::string right_port;
  TieField field = TieField::kSize;
  /// Of sizes: the width of the one is the height of the other.
  bool turned = false;
  /// Holds only where this parameter of the node has one of these values; "" = always.
  std::string when_param = {};
  std::vector<std::string> when_values = {};
  /// Holds only where this parameter is not set; "" = always.
  std::string unless_param = {};
};

/// Parses "out.size == in.size"; the fields are fourcc, size, rate, color_space,
/// color_encoding, color. Of sizes also "out.size == turned in.size". Conditions may follow, in this order: "when PARAM is VALUE or
/// VALUE ...", "unless PARAM".
std::optional<Tie> ParseTie(std::string_view text);
/// As ParseTie reads it.
std::string ToString(const Tie& tie);
std::string_view TieFieldName(TieField field);

/// "dma-buf", "shm", "device", "cpu" <-> bit; 0 if unknown.
Views ParseView(std::string_view name);
/// "dma-buf|shm"; "none" if empty.
std::string ViewsToString(Views views);
/// "cpu-done", "implicit", "sync_file", "syncobj", "timeline" <-> bit; 0 if unknown.
Syncs ParseSync(std::string_view name);
std::string SyncsToString(Syncs syncs);
/// "LINEAR", "INVALID" or 0x%016x.
std::string ModifierToString(uint64_t modifier);
/// "1920x1080"; accepts only positive sizes up to 65536.
bool ParseSize(std::string_view text, uint32_t* width, uint32_t* height);
/// "30", "29.97" (as 2997/100), "30000/1001".
bool ParseRate(std::string_view text, media::Rate* rate);
std::string RateToString(media::Rate rate);

}  // namespace sluice::graph
