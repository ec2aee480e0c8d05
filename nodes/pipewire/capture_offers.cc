#include "nodes/pipewire/capture_offers.h"

#include <algorithm>
#include <iterator>
#include <tuple>

namespace sluice::pipewire {
namespace {

constexpr const char* kOut = "out";
constexpr size_t kMaxGroups = 40;
constexpr uint32_t kMaxSide = 16384;
constexpr uint32_t kMaxBuffers = 32;

/// The manifest's list: a refined offer may name no others.
constexpr uint64_t kModifiers[] = {
    0,
    0x0100000000000001,
    0x0100000000000002,
    0x0100000000000003,
    0x0100000000000009,
    0x0700000000000001,
    0x0600000000000001,
    0x0600000000000002,
};

bool Known(sluice_rate rate) { return rate.numerator != 0 && rate.denominator != 0; }

/// -1, 0, 1 as a < b, a == b, a > b.
int Compare(sluice_rate a, sluice_rate b) {
  const uint64_t left = uint64_t{a.numerator} * b.denominator;
  const uint64_t right = uint64_t{b.numerator} * a.denominator;
  return left < right ? -1 : left > right ? 1 : 0;
}

Size Clamp(Size size) {
  return {std::clamp(size.width, 1u, kMaxSide), std::clamp(size.height, 1u, kMaxSide)};
}

uint64_t Area(Size size) { return uint64_t{size.width} * size.height; }

/// Terms that the source does not say, by what is usual.
void Complete(const FormatEntry& entry, Size size, CaptureGroup* group) {
  const bool jpeg = entry.drm == SLUICE_FORMAT_MJPG;
  const bool large = size.height >= 720;
  sluice_color usual{};
  usual.primaries = SLUICE_PRIMARIES_BT709;
  usual.transfer = entry.rgb || jpeg ? SLUICE_TRANSFER_SRGB : SLUICE_TRANSFER_BT709;
  usual.matrix = entry.rgb                       ? SLUICE_MATRIX_RGB
                 : entry.drm == SLUICE_FORMAT_R8 ? 0
                 : large && !jpeg                ? SLUICE_MATRIX_BT709
                                                 : SLUICE_MATRIX_BT601;
  usual.range =
      entry.rgb || jpeg || entry.drm == SLUICE_FORMAT_R8 ? SLUICE_RANGE_FULL : SLUICE_RANGE_LIMITED;
  if (!entry.rgb && !entry.compressed() && entry.drm != SLUICE_FORMAT_R8) {
    usual.siting = SLUICE_SITING_LEFT;
  }
  struct Term {
    uint8_t sluice_color::*field;
    uint32_t bit;
  };
  constexpr Term kTerms[] = {{&sluice_color::primaries, SLUICE_COLOR_FIELD_PRIMARIES},
                             {&sluice_color::transfer, SLUICE_COLOR_FIELD_TRANSFER},
                             {&sluice_color::matrix, SLUICE_COLOR_FIELD_MATRIX},
                             {&sluice_color::range, SLUICE_COLOR_FIELD_RANGE},
                             {&sluice_color::siting, SLUICE_COLOR_FIELD_SITING}};
  for (const Term& term : kTerms) {
    uint8_t& value = group->color.*term.field;
    if (value != 0 || usual.*term.field == 0) continue;
    value = usual.*term.field;
    group->color_assumed |= term.bit;
  }
}

struct Rates {
  sluice_rate min{0, 0}, max{0, 0};
};

/// The rates of a format as ranges, the preferred one first.
std::vector<Rates> RatesOf(const VideoFormat& format, sluice_rate wish) {
  std::vector<Rates> rates;
  const auto add = [&](sluice_rate min, sluice_rate max) {
    const bool listed = std::any_of(rates.begin(), rates.end(), [&](const Rates& other) {
      return Compare(other.min, min) == 0 && Compare(other.max, max) == 0;
    });
    if (!listed) rates.push_back({min, max});
  };
  const bool range = Known(format.rate_max) && Compare(format.rate_min, format.rate_max) < 0;
  // A source of variable rate sends when it has something.
  const bool variable = !Known(format.rate) && !range && format.rates.empty();
  if (Known(wish)) {
    const bool within = range && Compare(wish, format.rate_max) <= 0 &&
                        (!Known(format.rate_min) || Compare(wish, format.rate_min) >= 0);
    const bool listed =
        (Known(format.rate) && Compare(format.rate, wish) == 0) ||
        std::any_of(format.rates.begin(), format.rates.end(),
                    [&](sluice_rate rate) { return Known(rate) && Compare(rate, wish) == 0; });
    if (variable || within || listed) add(wish, wish);
    return rates;
  }
  if (Known(format.rate)) add(format.rate, format.rate);
  std::vector<sluice_rate> listed;
  std::copy_if(format.rates.begin(), format.rates.end(), std::back_inserter(listed), Known);
  std::sort(listed.begin(), listed.end(),
            [](sluice_rate a, sluice_rate b) { return Compare(a, b) > 0; });
  for (const sluice_rate rate : listed) add(rate, rate);
  if (range) add(Known(format.rate_min) ? format.rate_min : sluice_rate{1, 1}, format.rate_max);
  if (rates.empty()) rates.push_back({});
  return rates;
}

struct Sizes {
  Size min, max;
  bool preferred = false;
};

std::vector<Sizes> SizesOf(const VideoFormat& format, Size wish) {
  std::vector<Sizes> sizes;
  const bool range = !(format.size_min == format.size_max);
  const Size min = Clamp(format.size_min), max = Clamp(format.size_max);
  const auto listed = [&](Size size) {
    return std::find(format.sizes.begin(), format.sizes.end(), size) != format.sizes.end();
  };
  if (wish.width != 0) {
    const bool within = range && wish.width >= min.width && wish.width <= max.width &&
                        wish.height >= min.height && wish.height <= max.height;
    if (wish == format.size || within || listed(wish)) sizes.push_back({wish, wish, true});
    return sizes;
  }
  if (format.size.width != 0 && format.size.height != 0) {
    sizes.push_back({Clamp(format.size), Clamp(format.size), format.sizes.empty()});
  }
  for (const Size& size : format.sizes) {
    if (size.width == 0 || size.height == 0 || Clamp(size) == sizes[0].max) continue;
    sizes.push_back({Clamp(size), Clamp(size), false});
  }
  if (range) sizes.push_back({min, max, false});
  return sizes;
}

std::vector<uint64_t> KnownModifiers(const VideoFormat& format, bool plain_dmabufs) {
  if (!format.dmabuf() && plain_dmabufs) return {0};
  std::vector<uint64_t> known;
  for (const uint64_t modifier : format.modifiers) {
    if (std::find(std::begin(kModifiers), std::end(kModifiers), modifier) != std::end(kModifiers)) {
      known.push_back(modifier);
    }
  }
  return known;
}

/// A group and what it is sorted by; the smaller is the better one.
struct Ranked {
  CaptureGroup group;
  std::tuple<bool, bool, bool, bool, uint64_t> rank;
};

bool Same(const CaptureGroup& a, const CaptureGroup& b) {
  const auto terms = [](const sluice_color& color) {
    return std::tuple(color.primaries, color.transfer, color.matrix, color.range, color.siting);
  };
  return a.modifiers == b.modifiers && a.min == b.min && a.max == b.max &&
         Compare(a.rate_min, b.rate_min) == 0 && Compare(a.rate_max, b.rate_max) == 0 &&
         terms(a.color) == terms(b.color) && a.color_assumed == b.color_assumed;
}

}  // namespace

sdk::Expected<CaptureWish> CaptureWishOf(const sdk::Params& params) {
  CaptureWish wish;
  const std::string format = params.String("format");
  if (!format.empty()) {
    std::string padded = format;
    padded.resize(4, ' ');
    wish.entry = FindDrm(SLUICE_FOURCC(padded[0], padded[1], padded[2], padded[3]));
    if (wish.entry == nullptr || format.size() > 4) {
      return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT,
                                "format %s is none that PipeWire and Sluice both know",
                                format.c_str());
    }
  }
  const sdk::Size size = params.Size("size");
  wish.size = {size.width, size.height};
  wish.rate = params.Rate("rate");
  const std::string memory = params.String("memory", "auto");
  if (memory == "dma-buf") wish.memory = CaptureWish::Memory::kDmabuf;
  if (memory == "shm") wish.memory = CaptureWish::Memory::kShm;
  return wish;
}

std::vector<CaptureGroup> MakeGroups(const std::vector<VideoFormat>& formats,
                                     const CaptureWish& wish, bool plain_dmabufs) {
  std::vector<Ranked> all;
  for (const VideoFormat& format : formats) {
    if (wish.entry != nullptr && format.entry != wish.entry) continue;
    bool first_rate = true;
    for (const Rates& rate : RatesOf(format, wish.rate)) {
      for (const Sizes& size : SizesOf(format, wish.size)) {
        CaptureGroup group;
        group.fourccs = {format.entry->drm};
        group.modifiers = KnownModifiers(format, plain_dmabufs);
        group.min = size.min;
        group.max = size.max;
        group.rate_min = rate.min;
        group.rate_max = rate.max;
        group.color = format.color;
        Complete(*format.entry, size.max, &group);
        const bool slow = Known(rate.max) && Compare(rate.max, {24, 1}) < 0;
        const bool large = size.max.width > 1920 || size.max.height > 1080;
        const bool open = !(size.min == size.max);
        all.push_back({std::move(group),
                       {format.entry->compressed(), slow, open || (large && !size.preferred),
                        !first_rate, size.preferred ? 0 : UINT64_MAX - Area(size.max)}});
      }
      first_rate = false;
    }
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Ranked& a, const Ranked& b) { return a.rank < b.rank; });
  std::vector<CaptureGroup> groups;
  for (Ranked& one : all) {
    const uint32_t fourcc = one.group.fourccs[0];
    const auto same = std::find_if(groups.begin(), groups.end(), [&](const CaptureGroup& group) {
      return Same(group, one.group);
    });
    if (same == groups.end()) {
      if (groups.size() < kMaxGroups) groups.push_back(std::move(one.group));
    } else if (std::find(same->fourccs.begin(), same->fourccs.end(), fourcc) ==
               same->fourccs.end()) {
      same->fourccs.push_back(fourcc);
    }
  }
  return groups;
}

sdk::Status AddOffers(const std::vector<CaptureGroup>& groups, CaptureWish::Memory memory,
                      bool lends, uint32_t dynamic_reserve, sdk::OfferSink& sink) {
  struct Way {
    uint32_t views;
    uint32_t allocates;
    uint32_t sync;
    const char* copies;
  };
  constexpr Way kWays[] = {
      {SLUICE_VIEW_DMABUF, SLUICE_VIEW_DMABUF | SLUICE_ALLOCATES_ONLY,
       SLUICE_SYNC_CPU_DONE | SLUICE_SYNC_IMPLICIT | SLUICE_SYNC_SYNC_FILE, nullptr},
      {SLUICE_VIEW_SHM, SLUICE_VIEW_SHM | SLUICE_ALLOCATES_ONLY, SLUICE_SYNC_CPU_DONE, nullptr},
      {SLUICE_VIEW_CPU, SLUICE_VIEW_CPU | SLUICE_ALLOCATES_ONLY, SLUICE_SYNC_CPU_DONE, nullptr},
      {SLUICE_VIEW_CPU, 0, SLUICE_SYNC_CPU_DONE, "the source's memory cannot be lent"},
  };
  size_t count = 0;
  for (const CaptureGroup& group : groups) {
    for (const Way& way : kWays) {
      const bool dmabuf = way.views == SLUICE_VIEW_DMABUF;
      if (dmabuf && (group.modifiers.empty() || memory == CaptureWish::Memory::kShm)) continue;
      if (!dmabuf && memory == CaptureWish::Memory::kDmabuf) continue;
      if (!lends && way.copies == nullptr) continue;
      sdk::OfferBuilder offer;
      for (const uint32_t fourcc : group.fourccs) offer.Format(fourcc);
      if (dmabuf) {
        for (const uint64_t modifier : group.modifiers) offer.Modifiers({modifier});
      }
      offer.Views(way.views)
          .Allocates(way.allocates)
          .Sync(way.sync)
          .Width(group.min.width, group.max.width, 1)
          .Height(group.min.height, group.max.height, 1)
          .Rate(group.rate_min, group.rate_max)
          .Color(group.color, group.color_assumed)
          .Buffers(0, kMaxBuffers)
          .DynamicReserve(dynamic_reserve);
      if (way.copies != nullptr) offer.Copies(way.copies);
      if (sdk::Status status = sink.Add(kOut, offer); !status.ok()) return status;
      ++count;
    }
  }
  if (count != 0) return {};
  return sdk::Status::Error(SLUICE_E_UNSUPPORTED,
                            "the source has no memory of the kind that is wished for");
}

}  // namespace sluice::pipewire
