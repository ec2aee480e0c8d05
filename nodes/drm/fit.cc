#include "nodes/drm/fit.h"

#include <algorithm>

namespace sluice::drm {
namespace {

/// a * b / c, rounded, with a, b and c of 32 bits and c > 0.
uint64_t Scale(uint64_t a, uint64_t b, uint64_t c) { return (a * b + c / 2) / c; }

Rect Centred(uint32_t width, uint32_t height, sdk::Size mode) {
  return {(mode.width - width) / 2, (mode.height - height) / 2, width, height};
}

/// The largest rectangle of the picture's shape, centred.
Rect Inscribed(const Picture& picture, sdk::Size mode) {
  uint64_t width = picture.visible.width;
  const uint64_t height = picture.visible.height;
  if (picture.aspect_num != 0 && picture.aspect_den != 0) {
    width = std::max<uint64_t>(1, Scale(width, picture.aspect_num, picture.aspect_den));
  }
  // A shape beyond 32 bits is a line of pixels in any case.
  width = std::min<uint64_t>(width, UINT32_MAX);
  const uint64_t full_width = Scale(width, mode.height, height);
  if (full_width <= mode.width) {
    return Centred(static_cast<uint32_t>(std::max<uint64_t>(1, full_width)), mode.height, mode);
  }
  const uint64_t full_height = Scale(height, mode.width, width);
  return Centred(mode.width,
                 static_cast<uint32_t>(std::clamp<uint64_t>(full_height, 1, mode.height)), mode);
}

/// Pixel for pixel, from the middle of the picture to the middle of the mode.
Placement Unscaled(const Picture& picture, sdk::Size mode) {
  const Rect& visible = picture.visible;
  const uint32_t width = std::min(visible.width, mode.width);
  const uint32_t height = std::min(visible.height, mode.height);
  Placement placement;
  placement.source = {visible.x + (visible.width - width) / 2,
                      visible.y + (visible.height - height) / 2, width, height};
  placement.target = Centred(width, height, mode);
  placement.cropped = width < visible.width || height < visible.height;
  return placement;
}

bool Covers(const Rect& rect, sdk::Size mode) {
  return rect.width == mode.width && rect.height == mode.height;
}

}  // namespace

sdk::Expected<Placement> Place(const Picture& picture, sdk::Size mode, const PlaneAbility& ability,
                               Fit fit) {
  const Rect& visible = picture.visible;
  if (visible.width == 0 || visible.height == 0 || mode.width == 0 || mode.height == 0) {
    return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT, "an empty picture or mode");
  }
  if (fit == Fit::kScale && !ability.scales && !Covers(visible, mode)) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "fit: the plane does not scale %ux%u to %ux%u",
                              visible.width, visible.height, mode.width, mode.height);
  }
  if (fit != Fit::kNone && ability.scales) {
    Placement placement;
    placement.source = visible;
    placement.target = Inscribed(picture, mode);
    placement.scaled =
        placement.target.width != visible.width || placement.target.height != visible.height;
    if (ability.positions || Covers(placement.target, mode)) return placement;
    // A plane that scales but must cover the mode distorts: pixel for pixel is better, if it can.
  }
  const Placement placement = Unscaled(picture, mode);
  if (ability.positions || Covers(placement.target, mode)) return placement;
  return sdk::Status::Error(
      SLUICE_E_UNSUPPORTED,
      "a picture of %ux%u does not cover the mode %ux%u, and the plane must be covered",
      visible.width, visible.height, mode.width, mode.height);
}

}  // namespace sluice::drm
