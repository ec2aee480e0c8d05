#include "nodes/drm/modes.h"

#include <algorithm>
#include <charconv>
#include <tuple>

#include <xf86drm.h>

namespace sluice::drm {
namespace {

constexpr uint32_t kMaxSide = 65535;
constexpr uint32_t kMaxRefreshHz = 10'000;
constexpr uint32_t kRefreshToleranceMhz = 500;

/// Reads a decimal number at the front of `text` and takes it off.
bool TakeNumber(std::string_view& text, uint32_t* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  if (error != std::errc() || end == text.data()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

bool TakeChar(std::string_view& text, char wanted) {
  if (text.empty() || text.front() != wanted) return false;
  text.remove_prefix(1);
  return true;
}

/// "60" or "59.94", at most three digits behind the point.
bool TakeRefresh(std::string_view& text, uint32_t* mhz) {
  uint32_t whole = 0;
  if (!TakeNumber(text, &whole) || whole == 0 || whole > kMaxRefreshHz) return false;
  uint32_t fraction = 0;
  if (TakeChar(text, '.')) {
    if (text.empty() || text.size() > 3) return false;
    uint32_t scale = 100;
    for (; !text.empty(); text.remove_prefix(1), scale /= 10) {
      if (text.front() < '0' || text.front() > '9') return false;
      fraction += static_cast<uint32_t>(text.front() - '0') * scale;
    }
  }
  *mhz = whole * 1000 + fraction;
  return true;
}

bool Interlaced(const drmModeModeInfo& mode) { return (mode.flags & DRM_MODE_FLAG_INTERLACE) != 0; }
bool Preferred(const drmModeModeInfo& mode) { return (mode.type & DRM_MODE_TYPE_PREFERRED) != 0; }

/// Greater is better.
auto Rank(const drmModeModeInfo& mode) {
  return std::tuple(!Interlaced(mode), Preferred(mode), RefreshMillihertz(mode));
}

/// The best of those that `suits` accepts; the first among equals.
template <class Suits>
std::optional<std::size_t> Best(std::span<const drmModeModeInfo> modes, Suits suits) {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < modes.size(); ++i) {
    if (!suits(modes[i])) continue;
    if (!best || Rank(modes[i]) > Rank(modes[*best])) best = i;
  }
  return best;
}

bool Suits(const drmModeModeInfo& mode, const ModeRequest& request) {
  if (mode.hdisplay != request.size.width || mode.vdisplay != request.size.height) return false;
  if (request.refresh_mhz == 0) return true;
  const uint32_t refresh = RefreshMillihertz(mode);
  const uint32_t difference =
      refresh > request.refresh_mhz ? refresh - request.refresh_mhz : request.refresh_mhz - refresh;
  return difference <= kRefreshToleranceMhz;
}

std::optional<std::size_t> SmallestThatHolds(std::span<const drmModeModeInfo> modes,
                                             sdk::Size picture) {
  std::optional<std::size_t> best;
  const auto area = [](const drmModeModeInfo& m) { return uint32_t{m.hdisplay} * m.vdisplay; };
  for (std::size_t i = 0; i < modes.size(); ++i) {
    const drmModeModeInfo& mode = modes[i];
    if (mode.hdisplay < picture.width || mode.vdisplay < picture.height) continue;
    if (!best || area(mode) < area(modes[*best]) ||
        (area(mode) == area(modes[*best]) && Rank(mode) > Rank(modes[*best]))) {
      best = i;
    }
  }
  return best;
}

}  // namespace

sdk::Expected<ModeRequest> ParseMode(std::string_view text) {
  ModeRequest request;
  if (text == "auto") return request;
  std::string_view rest = text;
  const bool good =
      TakeNumber(rest, &request.size.width) && TakeChar(rest, 'x') &&
      TakeNumber(rest, &request.size.height) && request.size.width > 0 && request.size.height > 0 &&
      request.size.width <= kMaxSide && request.size.height <= kMaxSide &&
      (rest.empty() ||
       (TakeChar(rest, '@') && TakeRefresh(rest, &request.refresh_mhz) && rest.empty()));
  if (good) return request;
  return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT,
                            "mode: '%.*s' is neither auto, nor as 1280x720 or 1280x720@60",
                            static_cast<int>(text.size()), text.data());
}

uint32_t RefreshMillihertz(const drmModeModeInfo& mode) {
  // `vrefresh` is rounded; the pixel clock (kHz) is not. [drm_mode_vrefresh]
  const uint64_t total = uint64_t{mode.htotal} * mode.vtotal;
  if (total == 0) return mode.vrefresh * 1000;
  uint64_t numerator = uint64_t{mode.clock} * 1'000'000;
  uint64_t denominator = total;
  if (Interlaced(mode)) numerator *= 2;
  if ((mode.flags & DRM_MODE_FLAG_DBLSCAN) != 0) denominator *= 2;
  if (mode.vscan > 1) denominator *= mode.vscan;
  const uint64_t mhz = (numerator + denominator / 2) / denominator;
  return mhz > UINT32_MAX ? UINT32_MAX : static_cast<uint32_t>(mhz);
}

std::optional<std::size_t> ChooseMode(std::span<const drmModeModeInfo> modes,
                                      const ModeRequest& request, sdk::Size picture) {
  if (!request.automatic()) {
    return Best(modes, [&](const drmModeModeInfo& mode) { return Suits(mode, request); });
  }
  if (picture.width != 0) {
    if (const auto exact = Best(modes, [&](const drmModeModeInfo& mode) {
          return mode.hdisplay == picture.width && mode.vdisplay == picture.height;
        })) {
      return exact;
    }
    if (const auto holding = SmallestThatHolds(modes, picture)) return holding;
  }
  if (const auto preferred = Best(modes, Preferred)) return preferred;
  if (modes.empty()) return std::nullopt;
  return 0;
}

std::vector<sdk::Size> SizesOf(std::span<const drmModeModeInfo> modes, std::size_t most) {
  std::vector<sdk::Size> sizes;
  const auto at = [&](uint32_t width, uint32_t height) {
    return std::find_if(sizes.begin(), sizes.end(), [&](sdk::Size size) {
      return size.width == width && size.height == height;
    });
  };
  for (const drmModeModeInfo& mode : modes) {
    if (at(mode.hdisplay, mode.vdisplay) == sizes.end()) {
      sizes.push_back({mode.hdisplay, mode.vdisplay});
    }
  }
  std::stable_sort(sizes.begin(), sizes.end(), [](sdk::Size a, sdk::Size b) {
    return uint64_t{a.width} * a.height > uint64_t{b.width} * b.height;
  });
  if (const auto preferred = ChooseMode(modes, {}, {})) {
    const auto first = at(modes[*preferred].hdisplay, modes[*preferred].vdisplay);
    std::rotate(sizes.begin(), first, first + 1);
  }
  if (sizes.size() > most) sizes.resize(most);
  return sizes;
}

std::string ModeName(const drmModeModeInfo& mode) {
  const uint32_t mhz = RefreshMillihertz(mode);
  return sdk::Format("%ux%u%s@%u.%02u", mode.hdisplay, mode.vdisplay, Interlaced(mode) ? "i" : "",
                     mhz / 1000, mhz % 1000 / 10);
}

std::string ConnectorName(uint32_t type, uint32_t type_id) {
  const char* name = drmModeGetConnectorTypeName(type);
  return sdk::Format("%s-%u", name == nullptr ? "Unknown" : name, type_id);
}

}  // namespace sluice::drm
