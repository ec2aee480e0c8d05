#include "nodes/core/frame_ranges.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

namespace sluice::core {
namespace {

constexpr uint64_t kNoEnd = UINT64_MAX;

std::string_view Trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
}

std::optional<uint64_t> ParseIndex(std::string_view text) {
  text = Trim(text);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

sdk::Expected<FrameRanges> FrameRanges::Parse(std::string_view text) {
  text = Trim(text);
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']') {
    text = text.substr(1, text.size() - 2);
  }
  FrameRanges result;
  for (bool more = true; more;) {
    const std::size_t comma = text.find(',');
    const std::string_view part = Trim(text.substr(0, comma));
    more = comma != std::string_view::npos;
    if (more) text.remove_prefix(comma + 1);

    const std::size_t dash = part.find('-');
    const std::optional<uint64_t> first = ParseIndex(part.substr(0, dash));
    std::optional<uint64_t> last = first;
    if (dash != std::string_view::npos) {
      const std::string_view end = Trim(part.substr(dash + 1));
      last = end.empty() ? kNoEnd : ParseIndex(end);
    }
    if (!first || !last || *last < *first) {
      return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT,
                                "'%s' is not an index like 10 or a range like 10-20",
                                std::string(part).c_str());
    }
    result.ranges_.push_back({*first, *last});
  }
  std::sort(result.ranges_.begin(), result.ranges_.end(),
            [](const Range& a, const Range& b) { return a.first < b.first; });
  std::size_t kept = 0;
  for (std::size_t i = 1; i < result.ranges_.size(); ++i) {
    Range& before = result.ranges_[kept];
    if (result.ranges_[i].first <= before.last) {
      before.last = std::max(before.last, result.ranges_[i].last);
    } else {
      result.ranges_[++kept] = result.ranges_[i];
    }
  }
  result.ranges_.resize(kept + 1);
  return result;
}

bool FrameRanges::Contains(uint64_t index) const {
  const auto after =
      std::upper_bound(ranges_.begin(), ranges_.end(), index,
                       [](uint64_t value, const Range& range) { return value < range.first; });
  return after != ranges_.begin() && index <= std::prev(after)->last;
}

}  // namespace sluice::core
