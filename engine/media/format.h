#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace sluice::media {

// The numbers equal those of plugins/abi/sluice/format.h (engine/plugin asserts
// it). 0 is "unspecified" everywhere.

constexpr uint32_t Fourcc(char a, char b, char c, char d) {
  return static_cast<uint32_t>(static_cast<unsigned char>(a)) |
         static_cast<uint32_t>(static_cast<unsigned char>(b)) << 8 |
         static_cast<uint32_t>(static_cast<unsigned char>(c)) << 16 |
         static_cast<uint32_t>(static_cast<unsigned char>(d)) << 24;
}

inline constexpr uint32_t kYu12 = Fourcc('Y', 'U', '1', '2');
inline constexpr uint32_t kNv12 = Fourcc('N', 'V', '1', '2');
inline constexpr uint32_t kYuyv = Fourcc('Y', 'U', 'Y', 'V');
inline constexpr uint32_t kAb24 = Fourcc('A', 'B', '2', '4');
inline constexpr uint32_t kXb24 = Fourcc('X', 'B', '2', '4');
inline constexpr uint32_t kAr24 = Fourcc('A', 'R', '2', '4');
inline constexpr uint32_t kXr24 = Fourcc('X', 'R', '2', '4');
inline constexpr uint32_t kR8 = Fourcc('R', '8', ' ', ' ');
inline constexpr uint32_t kP010 = Fourcc('P', '0', '1', '0');
inline constexpr uint32_t kAb4h = Fourcc('A', 'B', '4', 'H');
inline constexpr uint32_t kXb4h = Fourcc('X', 'B', '4', 'H');
inline constexpr uint32_t kUyvy = Fourcc('U', 'Y', 'V', 'Y');
inline constexpr uint32_t kNv21 = Fourcc('N', 'V', '2', '1');
inline constexpr uint32_t kNv16 = Fourcc('N', 'V', '1', '6');
inline constexpr uint32_t kBg24 = Fourcc('B', 'G', '2', '4');
inline constexpr uint32_t kRg24 = Fourcc('R', 'G', '2', '4');
inline constexpr uint32_t kRg16 = Fourcc('R', 'G', '1', '6');
inline constexpr uint32_t kMjpg = Fourcc('M', 'J', 'P', 'G');
inline constexpr uint32_t kH264 = Fourcc('H', '2', '6', '4');
inline constexpr uint32_t kHevc = Fourcc('H', 'E', 'V', 'C');

inline constexpr uint64_t kModifierLinear = 0;
inline constexpr uint64_t kModifierInvalid = (uint64_t{1} << 56) - 1;

/// "YU12"; bytes that do not print become "0x...".
std::string FourccName(uint32_t fourcc);
/// The inverse; spaces may be left out at the end ("R8"). Errors: InvalidArgument.
Result<uint32_t> ParseFourcc(std::string_view name);

enum class Matrix : uint8_t { kUnspecified, kBt709, kBt601, kBt2020, kRgb };
enum class Range : uint8_t { kUnspecified, kLimited, kFull };
enum class Primaries : uint8_t { kUnspecified, kBt709, kBt601_525, kBt601_625, kBt2020 };
enum class Transfer : uint8_t { kUnspecified, kBt709, kSrgb, kLinear, kPq, kHlg, kGamma22, kGamma28 };
enum class Siting : uint8_t { kUnspecified, kLeft, kCenter, kTopLeft };

std::string_view Name(Matrix);
std::string_view Name(Range);
std::string_view Name(Primaries);
std::string_view Name(Transfer);
std::string_view Name(Siting);
Result<Matrix> ParseMatrix(std::string_view);
Result<Range> ParseRange(std::string_view);
Result<Primaries> ParsePrimaries(std::string_view);
Result<Transfer> ParseTransfer(std::string_view);
Result<Siting> ParseSiting(std::string_view);

struct Color {
  Primaries primaries{};
  Transfer transfer{};
  Matrix matrix{};
  Range range{};
  Siting siting{};
  friend auto operator<=>(const Color&, const Color&) = default;
};
/// "bt709/bt709/bt709 limited left"; unspecified terms read "-".
std::string ToString(const Color& color);

/// Frames a second; 0/0 = unknown or variable.
struct Rate {
  uint32_t numerator = 0;
  uint32_t denominator = 0;
  friend auto operator<=>(const Rate&, const Rate&) = default;
};

struct Format {
  uint32_t fourcc = 0;
  uint32_t width = 0;   ///< Visible, pixels.
  uint32_t height = 0;
  uint64_t modifier = kModifierLinear;
  Rate rate;
  Color color;
  friend auto operator<=>(const Format&, const Format&) = default;
};
/// "YU12 1920x1080 27 fps bt709 ..." for tables and messages.
std::string ToString(const Format& format);

/// How one plane of a linear format lies: samples are
/// ceil(width / horizontal) x ceil(height / vertical), `bytes` each.
struct PlaneInfo {
  uint8_t horizontal;
  uint8_t vertical;
  uint8_t bytes;
};
struct FormatInfo {
  uint32_t fourcc;
  bool rgb;
  uint8_t plane_count;
  std::array<PlaneInfo, 4> planes;  ///< Of compressed formats nothing is known.
  bool compressed = false;
};
/// Null for a fourcc that the engine does not lay out.
const FormatInfo* FindFormatInfo(uint32_t fourcc);
std::span<const FormatInfo> AllFormats();

inline constexpr uint32_t kMaxPlanes = 4;
/// No picture is wider or higher; keeps all layout arithmetic far from overflow.
inline constexpr uint32_t kMaxDimension = 1u << 16;

/// Whether a frame of it is one plane of one row, of which FrameInfo::bytes_used are there.
bool IsCompressed(uint32_t fourcc);
/// Room for one compressed picture, bytes: 2 for each pixel, which is more than its pixels take
/// uncompressed as 4:2:0, at least 64 KiB, in whole pages. A picture that needs more is its
/// writer's error. Width and height up to kMaxDimension.
uint64_t CompressedBound(uint32_t width, uint32_t height);

/// What the users of a buffer demand of its layout. Multiples are >= 1.
struct Alignment {
  uint32_t width = 1;  ///< Of the coded size, pixels.
  uint32_t height = 1;
  uint32_t stride = 1;  ///< Bytes, as all below.
  uint32_t offset = 1;
  uint32_t base = 1;
  uint32_t size = 1;
  uint32_t tail = 0;  ///< Slack behind the last plane.
  friend auto operator<=>(const Alignment&, const Alignment&) = default;
};
/// Least common multiples (and the larger tail). Errors: ResourceExhausted when
/// a multiple exceeds 2^24.
Result<Alignment> Merge(const Alignment& a, const Alignment& b);

struct Plane {
  uint32_t part = 0;    ///< Which fd of the buffer it lies in, < Layout::part_count.
  uint64_t offset = 0;  ///< Bytes from the start of its part.
  uint64_t stride = 0;
  uint64_t size = 0;  ///< stride x rows.
  friend auto operator<=>(const Plane&, const Plane&) = default;
};

struct Layout {
  uint32_t coded_width = 0;
  uint32_t coded_height = 0;
  uint32_t plane_count = 0;
  uint32_t part_count = 1;  ///< fds of one buffer: 1, or up to one for each plane.
  std::array<Plane, kMaxPlanes> planes{};
  uint64_t size = 0;  ///< Of all parts, tail and rounding included.
  friend auto operator<=>(const Layout&, const Layout&) = default;
};

/// Lays out a linear `format`; a compressed one as one row of CompressedBound() bytes.
/// Errors: Unsupported fourcc or modifier, InvalidArgument size, ResourceExhausted.
Result<Layout> ComputeLayout(const Format& format, const Alignment& alignment);

/// Checks a description from outside against the real size of its memory: coded
/// size, plane count, offsets, strides and sizes, all overflow-safe. Planes hold the
/// coded rows; the one plane of a compressed format is one row of any length, stride == size.
/// The error names the plane and the numbers.
Status CheckLayout(const Layout& layout, const Format& format, uint64_t allocation_size);
/// The same for memory of several parts: their real sizes, one for each of layout.part_count.
Status CheckLayout(const Layout& layout, const Format& format,
                   std::span<const uint64_t> part_sizes);

/// Visible bytes of one frame (what a copy of it moves); of a compressed one the most that it may
/// have.
uint64_t VisibleBytes(const Format& format);

/// a * b and a + b, or nothing on overflow.
bool CheckedMultiply(uint64_t a, uint64_t b, uint64_t* result);
bool CheckedAdd(uint64_t a, uint64_t b, uint64_t* result);

/// Ways to reach a buffer (bits).
enum View : uint32_t { kViewDmabuf = 1, kViewShm = 2, kViewDevice = 4, kViewCpu = 8 };
/// "shm+cpu".
std::string ViewNames(uint32_t views);

}  // namespace sluice::media
