#include "engine/graph/quality.h"

#include <algorithm>

#include "engine/media/format.h"

namespace sluice::graph {

Quality QualityOf(uint32_t fourcc) {
  switch (fourcc) {
    case media::kR8:
      return {8, 0, false};
    case media::kYu12:
    case media::kNv12:
    case media::kNv21:
    case media::kMjpg:
    case media::kH264:
    case media::kHevc:
      return {8, 1, false};
    case media::kYuyv:
    case media::kUyvy:
    case media::kNv16:
      return {8, 2, false};
    case media::kP010:
      return {10, 1, false};
    case media::kAb4h:
      return {16, 4, true};
    case media::kXb4h:
      return {16, 4, false};
    case media::kRg16:
      return {5, 4, false};
    case media::kAb24:
    case media::kAr24:
      return {8, 4, true};
    default:
      return {8, 4, false};
  }
}

Quality BestOf(const std::vector<Offer>& offers) {
  constexpr Quality kUnbounded{16, 4, true};
  Quality best;
  for (const Offer& offer : offers) {
    if (offer.fourccs.empty()) return kUnbounded;
    for (uint32_t fourcc : offer.fourccs) best = Most(best, QualityOf(fourcc));
  }
  return best;
}

Quality Least(const Quality& a, const Quality& b) {
  return {std::min(a.bits, b.bits), std::min(a.chroma, b.chroma), a.alpha && b.alpha};
}

Quality Most(const Quality& a, const Quality& b) {
  return {std::max(a.bits, b.bits), std::max(a.chroma, b.chroma), a.alpha || b.alpha};
}

// Each of them that is known has less of chroma than of luma.
bool IsYcc(uint32_t fourcc) {
  const uint32_t chroma = QualityOf(fourcc).chroma;
  return chroma > 0 && chroma < 4;
}

bool MakesPixels(const NodeType& type) {
  for (const PortDesc& port : type.ports) {
    if (port.direction != Direction::kInput) continue;
    for (const Offer& offer : port.offers) {
      if (offer.fourccs.empty()) return false;
      if (!std::all_of(offer.fourccs.begin(), offer.fourccs.end(), media::IsCompressed)) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace sluice::graph
