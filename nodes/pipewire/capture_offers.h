#ifndef NODES_PIPEWIRE_CAPTURE_OFFERS_H_
#define NODES_PIPEWIRE_CAPTURE_OFFERS_H_

#include <cstdint>
#include <vector>

#include <sluice/offer.hpp>
#include <sluice/params.hpp>

#include "nodes/pipewire/find_target.h"
#include "nodes/pipewire/formats.h"

namespace sluice::pipewire {

/// What the graph wants of a source.
struct CaptureWish {
  enum class Memory { kAny, kDmabuf, kShm };

  const FormatEntry* entry = nullptr;  ///< null: any
  Size size;                           ///< 0x0: any
  sluice_rate rate{0, 0};              ///< 0/0: any
  Memory memory = Memory::kAny;
};

/// The parameters `format`, `size`, `rate` and `memory`. Errors: INVALID_ARGUMENT.
sdk::Expected<CaptureWish> CaptureWishOf(const sdk::Params& params);

/// One alternative. Both rates 0/0: not known, or variable.
struct CaptureGroup {
  std::vector<uint32_t> fourccs;
  std::vector<uint64_t> modifiers;  ///< empty: no dma-bufs
  Size min, max;
  sluice_rate rate_min{0, 0}, rate_max{0, 0};
  sluice_color color{};
  uint32_t color_assumed = 0;
};

/// Alternatives in order of preference: pixels before compressed pictures; 24 frames a second or
/// more before slower; sizes up to 1920x1080 before larger ones, but what the source prefers before
/// all others.
std::vector<CaptureGroup> MakeGroups(const std::vector<VideoFormat>& formats,
                                     const CaptureWish& wish, bool plain_dmabufs);

/// Each group in each kind of memory: dma-bufs, shared memory, memory mapped by us, a copy; of a
/// source that lends nothing, a copy alone.
sdk::Status AddOffers(const std::vector<CaptureGroup>& groups, CaptureWish::Memory memory,
                      bool lends, uint32_t dynamic_reserve, sdk::OfferSink& sink);

}  // namespace sluice::pipewire

#endif  // NODES_PIPEWIRE_CAPTURE_OFFERS_H_
