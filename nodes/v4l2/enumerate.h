#ifndef NODES_V4L2_ENUMERATE_H_
#define NODES_V4L2_ENUMERATE_H_

#include <linux/videodev2.h>

#include <cstdint>
#include <optional>
#include <vector>

#include <sluice/format.h>
#include <sluice/offer.hpp>
#include <sluice/params.hpp>

#include "nodes/v4l2/device.h"
#include "nodes/v4l2/formats.h"

namespace sluice::v4l2 {

/// min..max in steps from min, pixels.
struct Range {
  uint32_t min = 0;
  uint32_t max = 0;
  uint32_t step = 1;
  bool Contains(uint32_t value) const {
    return value >= min && value <= max && (value - min) % (step == 0 ? 1 : step) == 0;
  }
  bool operator==(const Range&) const = default;
};

/// Frames a second, min..max; both 0/0: not known.
struct RateRange {
  sluice_rate min{0, 0};
  sluice_rate max{0, 0};
};

/// Sizes of one format, and the rates that each of them has.
struct SizeRange {
  Range width;
  Range height;
  std::vector<RateRange> rates;  ///< the fastest first; empty: not known
};

/// One format of a device.
struct DeviceFormat {
  const FormatEntry* entry = nullptr;
  ColorInfo color;
  bool emulated = false;         ///< converted in software by a library or the driver
  uint32_t stride_multiple = 1;  ///< bytes; what its own rows are rounded to
  std::vector<SizeRange> sizes;
};

/// -1, 0, 1 as a < b, a == b, a > b; 0/0 counts as 0.
int CompareRates(sluice_rate a, sluice_rate b);
/// Equal to 0.05 %: USB cameras count intervals in 100 ns, so that their 30 is 10000000/333333.
bool RatesAgree(sluice_rate a, sluice_rate b);
/// The reciprocal of a frame interval, in lowest terms; 0/0 for one without length.
sluice_rate RateOf(const v4l2_fract& interval);

/// Records of VIDIOC_ENUM_FRAMESIZES as ranges; a size that is none, or beyond what the engine
/// carries, is left out.
std::optional<SizeRange> SizeOf(const v4l2_frmsizeenum& record);
/// A record of VIDIOC_ENUM_FRAMEINTERVALS; nothing for one without sense.
std::optional<RateRange> RatesOf(const v4l2_frmivalenum& record);
/// Sorts the fastest first and drops doubles.
void SortRates(std::vector<RateRange>* rates);

/// What narrows a device's formats.
struct Wish {
  uint32_t fourcc = 0;     ///< 0: any
  sdk::Size size;          ///< 0x0: any
  sluice_rate rate{0, 0};  ///< 0/0: any
};

/// The parameters `format`, `size` and `rate`. Errors: INVALID_ARGUMENT for a format that has no
/// V4L2 counterpart.
sdk::Expected<Wish> WishOf(const sdk::Params& params);

/// One alternative: formats that agree in size, rate and colour.
struct Group {
  std::vector<uint32_t> fourccs;
  Range width;
  Range height;
  RateRange rate;
  ColorInfo color;
  uint32_t stride_multiple = 1;
};

/// The most alternatives; each becomes one offer for each kind of memory.
inline constexpr size_t kMaxGroups = 40;

/// Alternatives in order of preference: pixels before compressed pictures; 24 frames a second or
/// more before slower; then sizes up to 1920x1080, the largest first. At most kMaxGroups: the
/// slower rates of a size are dropped before any size is.
std::vector<Group> MakeGroups(const std::vector<DeviceFormat>& formats, const Wish& wish);

/// Asks the device. Formats that Sluice does not know are left out.
/// Errors: DEVICE_LOST; UNSUPPORTED (none is known).
sdk::Expected<std::vector<DeviceFormat>> EnumerateFormats(const Device& device, const Wish& wish);

/// What rows of `width` pixels seem to be rounded to, when they have `bytesperline` bytes; 1 when
/// they are as short as they can be, or longer for no reason that a multiple explains.
uint32_t StrideMultiple(const FormatEntry& entry, uint32_t width, uint32_t bytesperline);

}  // namespace sluice::v4l2

#endif  // NODES_V4L2_ENUMERATE_H_
