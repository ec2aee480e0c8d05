#pragma once

#include <string>

#include "engine/media/format.h"

namespace sluice::media {

/// Whether a layout that somebody else made has what its users demand: strides,
/// offsets, sizes and slack. `base` is not a layout's to give.
bool Meets(const Layout& layout, const Alignment& alignment);

/// "1280x720, stride 5120 offset 0 size 3686400" with each plane, for messages.
std::string ToString(const Layout& layout);
/// "stride 64, offset 256, size 4096"; what asks for nothing is left out.
std::string ToString(const Alignment& alignment);

}  // namespace sluice::media
