#include "engine/media/layout.h"

#include <algorithm>

#include <fmt/format.h>

namespace sluice::media {

bool Meets(const Layout& layout, const Alignment& alignment) {
  if (layout.coded_width % alignment.width != 0 || layout.coded_height % alignment.height != 0 ||
      layout.size % alignment.size != 0) {
    return false;
  }
  uint64_t end = 0;  // of the furthest plane; parts lie one behind the other in `size`
  for (uint32_t i = 0; i < layout.plane_count; ++i) {
    const Plane& plane = layout.planes[i];
    if (plane.stride % alignment.stride != 0 || plane.offset % alignment.offset != 0) return false;
    end = layout.part_count > 1 ? end + plane.offset + plane.size
                                : std::max(end, plane.offset + plane.size);
  }
  return end + alignment.tail <= layout.size;
}

std::string ToString(const Layout& layout) {
  std::string text = fmt::format("{}x{}", layout.coded_width, layout.coded_height);
  for (uint32_t i = 0; i < layout.plane_count; ++i) {
    const Plane& plane = layout.planes[i];
    text += fmt::format("{} stride {} offset {} size {}", i == 0 ? "," : ";", plane.stride,
                        plane.offset, plane.size);
    if (layout.part_count > 1) text += fmt::format(" in part {}", plane.part);
  }
  return text;
}

std::string ToString(const Alignment& alignment) {
  std::string text;
  auto add = [&text](const char* what, uint32_t multiple, uint32_t nothing) {
    if (multiple != nothing) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", what, multiple);
  };
  add("width", alignment.width, 1);
  add("height", alignment.height, 1);
  add("stride", alignment.stride, 1);
  add("offset", alignment.offset, 1);
  add("base", alignment.base, 1);
  add("size", alignment.size, 1);
  add("tail", alignment.tail, 0);
  return text.empty() ? "anything" : text;
}

}  // namespace sluice::media
