#include "engine/graph/ranges.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

namespace sluice::graph {
namespace {

uint32_t Low(const Extent& extent) { return std::max(extent.min, 1u); }
uint32_t High(const Extent& extent) { return extent.max == 0 ? media::kMaxDimension : extent.max; }
uint32_t Step(const Extent& extent) { return std::max(extent.step, 1u); }

bool Known(media::Rate rate) { return rate.numerator != 0 && rate.denominator != 0; }
bool Less(media::Rate a, media::Rate b) {
  return uint64_t{a.numerator} * b.denominator < uint64_t{b.numerator} * a.denominator;
}

/// Merges one colour term into `out`; false if both are specified and differ.
template <typename E>
bool MergeTerm(E other, E* out) {
  if (other == E{}) return true;
  if (*out == E{}) *out = other;
  return *out == other;
}

uint32_t Pick(const Extent& extent, uint32_t usual) {
  if (Contains(extent, usual)) return usual;
  if (extent.max == 0) return Low(extent);
  return Low(extent) + (High(extent) - Low(extent)) / Step(extent) * Step(extent);
}

}  // namespace

bool Contains(const Extent& extent, uint32_t value) {
  return value >= Low(extent) && value <= High(extent) && (value - Low(extent)) % Step(extent) == 0;
}

std::optional<Extent> Intersect(const Extent& a, const Extent& b) {
  const uint32_t high = std::min(High(a), High(b));
  const uint32_t step = Step(a);
  // The first value of a's series at or above both minima that is in b's series;
  // the series meet within Step(b) tries or never.
  uint64_t value = Low(a);
  if (value < Low(b)) value += (uint64_t{Low(b)} - value + step - 1) / step * step;
  for (uint32_t tries = 0; tries < Step(b) && value <= high; ++tries, value += step) {
    if ((value - Low(b)) % Step(b) != 0) continue;
    Extent out;
    out.min = static_cast<uint32_t>(value);
    const uint64_t both = std::lcm(uint64_t{step}, uint64_t{Step(b)});
    out.step = static_cast<uint32_t>(std::min<uint64_t>(both, media::kMaxDimension));
    out.max = a.max == 0 && b.max == 0 ? 0 : high - (high - out.min) % out.step;
    return out;
  }
  return std::nullopt;
}

Extent Hull(const Extent& a, const Extent& b) {
  return {std::min(Low(a), Low(b)), a.max == 0 || b.max == 0 ? 0 : std::max(a.max, b.max), 1};
}

bool IsSubset(const Extent& inner, const Extent& outer) {
  if (Low(inner) < Low(outer) || High(inner) > High(outer)) return false;
  if (!Contains(outer, Low(inner))) return false;
  return inner.fixed() || Step(inner) % Step(outer) == 0;
}

std::string ToString(const Extent& extent) {
  if (extent.fixed()) return fmt::format("{}", extent.min);
  if (extent.min <= 1 && extent.max == 0 && Step(extent) == 1) return "any";
  std::string text =
      fmt::format("{}..{}", Low(extent), extent.max == 0 ? "" : fmt::to_string(extent.max));
  if (Step(extent) != 1) text += fmt::format(" by {}", extent.step);
  return text;
}

std::optional<RateRange> Intersect(const RateRange& a, const RateRange& b) {
  RateRange out = a;
  if (Known(b.min) && (!Known(out.min) || Less(out.min, b.min))) out.min = b.min;
  if (Known(b.max) && (!Known(out.max) || Less(b.max, out.max))) out.max = b.max;
  if (Known(out.min) && Known(out.max) && Less(out.max, out.min)) return std::nullopt;
  return out;
}

bool IsSubset(const RateRange& inner, const RateRange& outer) {
  // A rate that is unknown until the first frame is within any range.
  if (Known(outer.min) && Known(inner.min) && Less(inner.min, outer.min)) return false;
  return !(Known(outer.max) && Known(inner.max) && Less(outer.max, inner.max));
}

std::string ToString(const RateRange& range) {
  if (!Known(range.min) && !Known(range.max)) return "any";
  if (range.min == range.max) return RateToString(range.min);
  return fmt::format("{}..{}", Known(range.min) ? RateToString(range.min) : "",
                     Known(range.max) ? RateToString(range.max) : "");
}

std::optional<media::Color> Intersect(const media::Color& a, const media::Color& b) {
  media::Color out = a;
  const bool fits = MergeTerm(b.primaries, &out.primaries) &&
                    MergeTerm(b.transfer, &out.transfer) && MergeTerm(b.matrix, &out.matrix) &&
                    MergeTerm(b.range, &out.range) && MergeTerm(b.siting, &out.siting);
  if (!fits) return std::nullopt;
  return out;
}

media::Color Filled(const media::Color& color, const media::Color& from) {
  media::Color out = color;
  (void)MergeTerm(from.primaries, &out.primaries);
  (void)MergeTerm(from.transfer, &out.transfer);
  (void)MergeTerm(from.matrix, &out.matrix);
  (void)MergeTerm(from.range, &out.range);
  (void)MergeTerm(from.siting, &out.siting);
  return out;
}

uint32_t PickWidth(const Extent& extent) { return Pick(extent, 1920); }
uint32_t PickHeight(const Extent& extent) { return Pick(extent, 1080); }

media::Rate PickRate(const RateRange& range) { return Known(range.max) ? range.max : range.min; }

}  // namespace sluice::graph
