#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/graph/offer.h"

namespace sluice::graph {

/// What two ranges have in common; nothing if that is empty.
std::optional<Extent> Intersect(const Extent& a, const Extent& b);
/// The smallest range without steps that holds both.
Extent Hull(const Extent& a, const Extent& b);
bool Contains(const Extent& extent, uint32_t value);
bool IsSubset(const Extent& inner, const Extent& outer);
/// "1920", "640..1920", "any".
std::string ToString(const Extent& extent);

/// min..max; 0/0 = no bound.
struct RateRange {
  media::Rate min;
  media::Rate max;
  friend auto operator<=>(const RateRange&, const RateRange&) = default;
};
inline RateRange RateRangeOf(const Offer& offer) { return {offer.rate_min, offer.rate_max}; }
std::optional<RateRange> Intersect(const RateRange& a, const RateRange& b);
bool IsSubset(const RateRange& inner, const RateRange& outer);
std::string ToString(const RateRange& range);

/// Field by field, unspecified gives way; nothing if a field differs.
std::optional<media::Color> Intersect(const media::Color& a, const media::Color& b);
/// `color` with the terms of `from` for those that it leaves open.
media::Color Filled(const media::Color& color, const media::Color& from);

/// The size that a range stands for when nothing fixes it: 1920 x 1080 if it
/// is possible, else the largest bounded, else the smallest.
uint32_t PickWidth(const Extent& extent);
uint32_t PickHeight(const Extent& extent);
/// The fastest; 0/0 for no bounds.
media::Rate PickRate(const RateRange& range);

}  // namespace sluice::graph
