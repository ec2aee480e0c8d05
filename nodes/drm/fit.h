#pragma once

#include <cstdint>

#include <sluice/sdk.hpp>

namespace sluice::drm {

/// What a plane can do beside showing a picture of the mode's size, as TEST_ONLY commits said.
struct PlaneAbility {
  bool positions = false;  ///< it may be smaller than the mode, anywhere
  bool scales = false;
};

enum class Fit {
  kAuto,   ///< scaled where the plane can, else as kNone
  kNone,   ///< pixel for pixel: centred, cropped where the picture is larger
  kScale,  ///< scaled, or refused
};

/// Pixels.
struct Rect {
  uint32_t x = 0, y = 0, width = 0, height = 0;
  friend bool operator==(const Rect&, const Rect&) = default;
};

/// Which part of a picture is shown, and where.
struct Placement {
  Rect source;
  Rect target;
  bool cropped = false;
  bool scaled = false;
  friend bool operator==(const Placement&, const Placement&) = default;
};

/// A picture as it is to be seen. `aspect` is that of one pixel; 0/0 = square.
struct Picture {
  Rect visible;
  uint32_t aspect_num = 0, aspect_den = 0;
};

/// Puts the picture onto a mode of this size. Scaling keeps the shape, with black beside or above.
/// Requires: a picture and a mode of at least one pixel.
/// Errors: UNSUPPORTED where the plane cannot do it, with sizes.
sdk::Expected<Placement> Place(const Picture& picture, sdk::Size mode, const PlaneAbility& ability,
                               Fit fit);

}  // namespace sluice::drm
