#include "nodes/v4l2/enumerate.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <numeric>
#include <string>

namespace sluice::v4l2 {
namespace {

/// A driver that never answers "no more" is not asked for ever.
constexpr uint32_t kMaxRecords = 128;
/// As the engine's own bound.
constexpr uint32_t kMaxDimension = 1u << 16;
/// Below this, motion is seen as steps: a smaller picture that is faster is preferred.
constexpr sluice_rate kFluent{24, 1};

Range MakeRange(uint32_t min, uint32_t max, uint32_t step) {
  return {min, std::min(max, kMaxDimension), std::max(step, 1u)};
}

bool Valid(const Range& range) { return range.min > 0 && range.min <= range.max; }

/// The sizes to ask for the rates of: a range is asked at its largest.
std::vector<RateRange> EnumerateRates(const Device& device, uint32_t pixelformat,
                                      const SizeRange& size) {
  std::vector<RateRange> rates;
  for (uint32_t i = 0; i < kMaxRecords; ++i) {
    v4l2_frmivalenum record{};
    record.index = i;
    record.pixel_format = pixelformat;
    record.width = size.width.max;
    record.height = size.height.max;
    if (device.Ioctl(VIDIOC_ENUM_FRAMEINTERVALS, &record) != 0) break;
    if (auto rate = RatesOf(record)) rates.push_back(*rate);
    if (record.type != V4L2_FRMIVAL_TYPE_DISCRETE) break;
  }
  SortRates(&rates);
  return rates;
}

/// An output takes what is between the least and the largest that it makes of a size.
std::optional<SizeRange> ProbeOutputSizes(const Device& device, const PixFormat& current,
                                          uint32_t pixelformat) {
  PixFormat least = current, largest = current;
  least.pixelformat = largest.pixelformat = pixelformat;
  least.planes = largest.planes = {};
  least.width = least.height = 16;
  largest.width = largest.height = 16384;
  if (!device.TryFormat(&least).ok() || !device.TryFormat(&largest).ok()) return std::nullopt;
  SizeRange size{{least.width, largest.width, 1}, {least.height, largest.height, 1}, {}};
  // Pictures with half as many chroma samples have an even width.
  if (size.width.min < size.width.max) size.width.step = 2;
  if (size.height.min < size.height.max) size.height.step = 2;
  if (!Valid(size.width) || !Valid(size.height)) return std::nullopt;
  return size;
}

std::vector<SizeRange> EnumerateSizes(const Device& device, const PixFormat& current,
                                      uint32_t pixelformat, const Wish& wish) {
  std::vector<SizeRange> sizes;
  for (uint32_t i = 0; i < kMaxRecords; ++i) {
    v4l2_frmsizeenum record{};
    record.index = i;
    record.pixel_format = pixelformat;
    if (device.Ioctl(VIDIOC_ENUM_FRAMESIZES, &record) != 0) break;
    auto size = SizeOf(record);
    const bool wanted = wish.size.width == 0 || (size && size->width.Contains(wish.size.width) &&
                                                 size->height.Contains(wish.size.height));
    if (size && wanted) {
      if (wish.size.width != 0) {
        size->width = {wish.size.width, wish.size.width, 1};
        size->height = {wish.size.height, wish.size.height, 1};
      }
      size->rates = EnumerateRates(device, pixelformat, *size);
      sizes.push_back(*std::move(size));
    }
    if (record.type != V4L2_FRMSIZE_TYPE_DISCRETE) break;
  }
  if (!sizes.empty()) return sizes;
  // A device that lists none (an HDMI input, say) is asked what it makes of a size.
  PixFormat format = current;
  if (device.direction() == Direction::kOutput && wish.size.width == 0) {
    if (auto range = ProbeOutputSizes(device, current, pixelformat)) return {*range};
  }
  format.pixelformat = pixelformat;
  format.planes = {};
  if (wish.size.width != 0) {
    format.width = wish.size.width;
    format.height = wish.size.height;
  }
  if (!device.TryFormat(&format).ok() || format.pixelformat != pixelformat) return {};
  if (wish.size.width != 0 &&
      (format.width != wish.size.width || format.height != wish.size.height)) {
    return {};
  }
  SizeRange only{{format.width, format.width, 1}, {format.height, format.height, 1}, {}};
  only.rates = EnumerateRates(device, pixelformat, only);
  return {only};
}

struct Entry {
  Group group;
  bool compressed;
  bool emulated;
  size_t round;  ///< the how manieth rate of its size
};

bool SameGroup(const Group& a, const Group& b) {
  const auto same_rate = [](sluice_rate x, sluice_rate y) {
    return CompareRates(x, y) == 0 && (x.numerator == 0) == (y.numerator == 0);
  };
  const sluice_color &c = a.color.color, &d = b.color.color;
  return a.width == b.width && a.height == b.height && same_rate(a.rate.min, b.rate.min) &&
         same_rate(a.rate.max, b.rate.max) && c.primaries == d.primaries &&
         c.transfer == d.transfer && c.matrix == d.matrix && c.range == d.range &&
         c.siting == d.siting && a.color.assumed == b.color.assumed &&
         a.stride_multiple == b.stride_multiple;
}

uint64_t Area(const Group& group) { return uint64_t{group.width.max} * group.height.max; }

bool Better(const Entry& a, const Entry& b) {
  if (a.compressed != b.compressed) return b.compressed;
  // A rate that is not known is not held against the size.
  const auto fluent = [](const Entry& entry) {
    return entry.group.rate.max.numerator == 0 || CompareRates(entry.group.rate.max, kFluent) >= 0;
  };
  if (fluent(a) != fluent(b)) return fluent(a);
  constexpr uint64_t kFullHd = 1920 * 1080;
  const bool large_a = Area(a.group) > kFullHd, large_b = Area(b.group) > kFullHd;
  if (large_a != large_b) return large_b;
  if (Area(a.group) != Area(b.group)) {
    return large_a ? Area(a.group) < Area(b.group) : Area(a.group) > Area(b.group);
  }
  const int rates = CompareRates(a.group.rate.max, b.group.rate.max);
  if (rates != 0) return rates > 0;
  return !a.emulated && b.emulated;
}

bool Meets(const RateRange& range, sluice_rate wish) {
  return wish.numerator == 0 || range.max.numerator == 0 || RatesAgree(range.min, wish) ||
         RatesAgree(range.max, wish) ||
         (CompareRates(range.min, wish) <= 0 && CompareRates(wish, range.max) <= 0);
}

void AddEntry(const DeviceFormat& format, const SizeRange& size, const RateRange& rate,
              size_t round, std::vector<Entry>* entries) {
  Entry entry{
      {{format.entry->drm}, size.width, size.height, rate, format.color, format.stride_multiple},
      format.entry->compressed,
      format.emulated,
      round};
  for (Entry& other : *entries) {
    if (other.compressed != entry.compressed || !SameGroup(other.group, entry.group)) continue;
    std::vector<uint32_t>& fourccs = other.group.fourccs;
    if (std::find(fourccs.begin(), fourccs.end(), format.entry->drm) == fourccs.end()) {
      fourccs.push_back(format.entry->drm);
    }
    other.round = std::min(other.round, round);
    return;
  }
  entries->push_back(std::move(entry));
}

}  // namespace

int CompareRates(sluice_rate a, sluice_rate b) {
  const uint64_t left = uint64_t{a.numerator} * std::max(b.denominator, 1u);
  const uint64_t right = uint64_t{b.numerator} * std::max(a.denominator, 1u);
  return left < right ? -1 : left > right ? 1 : 0;
}

bool RatesAgree(sluice_rate a, sluice_rate b) {
  const double left = double{1} * a.numerator * std::max(b.denominator, 1u);
  const double right = double{1} * b.numerator * std::max(a.denominator, 1u);
  return std::abs(left - right) <= 0.0005 * std::max(left, right);
}

uint32_t StrideMultiple(const FormatEntry& entry, uint32_t width, uint32_t bytesperline) {
  const uint64_t least = uint64_t{width} * entry.pixel_bytes;
  if (entry.compressed || bytesperline <= least) return 1;
  // The largest power of two in it; a page is the most that anybody rounds rows to.
  const uint32_t multiple = std::min(bytesperline & (~bytesperline + 1), 4096u);
  return (least + multiple - 1) / multiple * multiple == bytesperline ? multiple : 1;
}

sluice_rate RateOf(const v4l2_fract& interval) {
  if (interval.numerator == 0 || interval.denominator == 0) return {0, 0};
  const uint32_t divisor = std::gcd(interval.numerator, interval.denominator);
  return {interval.denominator / divisor, interval.numerator / divisor};
}

std::optional<SizeRange> SizeOf(const v4l2_frmsizeenum& record) {
  SizeRange size;
  switch (record.type) {
    case V4L2_FRMSIZE_TYPE_DISCRETE:
      size.width = {record.discrete.width, record.discrete.width, 1};
      size.height = {record.discrete.height, record.discrete.height, 1};
      if (size.width.max > kMaxDimension || size.height.max > kMaxDimension) return std::nullopt;
      break;
    case V4L2_FRMSIZE_TYPE_CONTINUOUS:
    case V4L2_FRMSIZE_TYPE_STEPWISE: {
      const v4l2_frmsize_stepwise& s = record.stepwise;
      size.width = MakeRange(s.min_width, s.max_width, s.step_width);
      size.height = MakeRange(s.min_height, s.max_height, s.step_height);
      break;
    }
    default:
      return std::nullopt;
  }
  if (!Valid(size.width) || !Valid(size.height)) return std::nullopt;
  return size;
}

std::optional<RateRange> RatesOf(const v4l2_frmivalenum& record) {
  RateRange range;
  switch (record.type) {
    case V4L2_FRMIVAL_TYPE_DISCRETE:
      range.min = range.max = RateOf(record.discrete);
      break;
    case V4L2_FRMIVAL_TYPE_CONTINUOUS:
    case V4L2_FRMIVAL_TYPE_STEPWISE:
      // The longest interval is the lowest rate.
      range.min = RateOf(record.stepwise.max);
      range.max = RateOf(record.stepwise.min);
      break;
    default:
      return std::nullopt;
  }
  if (range.min.numerator == 0 || range.max.numerator == 0 ||
      CompareRates(range.min, range.max) > 0) {
    return std::nullopt;
  }
  return range;
}

void SortRates(std::vector<RateRange>* rates) {
  std::sort(rates->begin(), rates->end(), [](const RateRange& a, const RateRange& b) {
    const int max = CompareRates(a.max, b.max);
    return max != 0 ? max > 0 : CompareRates(a.min, b.min) > 0;
  });
  const auto last =
      std::unique(rates->begin(), rates->end(), [](const RateRange& a, const RateRange& b) {
        return CompareRates(a.max, b.max) == 0 && CompareRates(a.min, b.min) == 0;
      });
  rates->erase(last, rates->end());
}

sdk::Expected<Wish> WishOf(const sdk::Params& params) {
  Wish wish;
  wish.size = params.Size("size");
  wish.rate = params.Rate("rate");
  const std::string name = params.String("format");
  if (name.empty()) return wish;
  wish.fourcc = DrmFourcc(name);
  if (wish.fourcc != 0) return wish;
  std::string names;
  for (const FormatEntry& entry : AllFormats()) {
    const std::string text = FourccText(entry.drm);
    if (names.find(text) == std::string::npos) names += (names.empty() ? "" : ", ") + text;
  }
  return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT, "format %s is none of %s", name.c_str(),
                            names.c_str());
}

std::vector<Group> MakeGroups(const std::vector<DeviceFormat>& formats, const Wish& wish) {
  std::vector<Entry> entries;
  for (const DeviceFormat& format : formats) {
    if (wish.fourcc != 0 && format.entry->drm != wish.fourcc) continue;
    for (const SizeRange& size : format.sizes) {
      SizeRange narrowed = size;
      if (wish.size.width != 0) {
        if (!size.width.Contains(wish.size.width) || !size.height.Contains(wish.size.height)) {
          continue;
        }
        narrowed.width = {wish.size.width, wish.size.width, 1};
        narrowed.height = {wish.size.height, wish.size.height, 1};
      }
      if (size.rates.empty()) {
        AddEntry(format, narrowed, {wish.rate, wish.rate}, 0, &entries);
        continue;
      }
      size_t round = 0;
      for (RateRange rate : size.rates) {
        if (!Meets(rate, wish.rate)) continue;
        if (wish.rate.numerator != 0) rate = {wish.rate, wish.rate};
        AddEntry(format, narrowed, rate, round++, &entries);
      }
    }
  }
  if (entries.size() > kMaxGroups) {
    std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
      return a.round != b.round ? a.round < b.round : Better(a, b);
    });
    entries.resize(kMaxGroups);
  }
  std::stable_sort(entries.begin(), entries.end(), Better);
  std::vector<Group> groups;
  for (Entry& entry : entries) groups.push_back(std::move(entry.group));
  return groups;
}

sdk::Expected<std::vector<DeviceFormat>> EnumerateFormats(const Device& device, const Wish& wish) {
  PixFormat current;
  if (sdk::Status status = device.GetFormat(&current); !status.ok()) return status;
  std::vector<DeviceFormat> formats;
  std::string unknown;
  for (uint32_t i = 0; i < kMaxRecords; ++i) {
    v4l2_fmtdesc record{};
    record.index = i;
    record.type = device.type();
    if (const int error = device.Ioctl(VIDIOC_ENUM_FMT, &record); error != 0) {
      if (error == ENODEV) return device.Error(error, "VIDIOC_ENUM_FMT");
      break;
    }
    const FormatEntry* entry = FindV4l2(record.pixelformat);
    if (entry == nullptr) {
      unknown += " " + FourccText(record.pixelformat);
      continue;
    }
    if (wish.fourcc != 0 && entry->drm != wish.fourcc) continue;
    DeviceFormat format;
    format.entry = entry;
    format.emulated = (record.flags & V4L2_FMT_FLAG_EMULATED) != 0;
    format.sizes = EnumerateSizes(device, current, record.pixelformat, wish);
    if (format.sizes.empty()) continue;
    PixFormat tried;
    tried.pixelformat = record.pixelformat;
    tried.width = format.sizes[0].width.max;
    tried.height = format.sizes[0].height.max;
    tried.field = V4L2_FIELD_NONE;
    if (!device.TryFormat(&tried).ok() || tried.pixelformat != record.pixelformat) continue;
    format.color = ColorOf(*entry, tried);
    format.stride_multiple = StrideMultiple(*entry, tried.width, tried.planes[0].bytesperline);
    formats.push_back(std::move(format));
  }
  if (!formats.empty()) return formats;
  std::string wanted;
  if (wish.fourcc != 0) wanted = " " + FourccText(wish.fourcc);
  if (wish.size.width != 0) wanted += sdk::Format(" %ux%u", wish.size.width, wish.size.height);
  return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "%s (%s) has no%s format that Sluice carries%s%s",
                            device.path().c_str(), device.identity().card.c_str(), wanted.c_str(),
                            unknown.empty() ? "" : "; it has, among others,", unknown.c_str());
}

}  // namespace sluice::v4l2
