#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <xf86drmMode.h>
#include <sluice/sdk.hpp>

namespace sluice::drm {

/// What the parameter `mode` asks for.
struct ModeRequest {
  sdk::Size size;            ///< 0x0: any
  uint32_t refresh_mhz = 0;  ///< millihertz; 0: any
  bool automatic() const { return size.width == 0; }
};

/// Reads "auto", "1280x720", "1280x720@60" or "1280x720@59.94".
/// Errors: INVALID_ARGUMENT.
sdk::Expected<ModeRequest> ParseMode(std::string_view text);

/// Pictures a second, in millihertz; 0 for a mode that states no timing.
uint32_t RefreshMillihertz(const drmModeModeInfo& mode);

/// The index of the mode that suits best, or nothing where none does.
///
/// With a size in the request, only modes of that size (and of a refresh within 0.5 Hz, where one
/// is asked for). Automatically: the one of the picture's size; else the smallest that holds the
/// picture; else the preferred one; else the first. A progressive mode wins over an interlaced one,
/// then the preferred one, then the faster one. `picture` 0x0: not known.
std::optional<std::size_t> ChooseMode(std::span<const drmModeModeInfo> modes,
                                      const ModeRequest& request, sdk::Size picture);

/// The sizes of the modes, each once: the preferred mode's first, then the larger ones. At most
/// `most`.
std::vector<sdk::Size> SizesOf(std::span<const drmModeModeInfo> modes, std::size_t most = 16);

/// "1280x720@59.94".
std::string ModeName(const drmModeModeInfo& mode);

/// "HDMI-A-1".
std::string ConnectorName(uint32_t type, uint32_t type_id);

}  // namespace sluice::drm
