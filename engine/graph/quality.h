#pragma once

#include <cstdint>
#include <vector>

#include "engine/graph/node_type.h"

namespace sluice::graph {

/// What a pixel format can tell of a picture.
struct Quality {
  uint32_t bits = 0;    ///< of a sample
  uint32_t chroma = 0;  ///< samples of it for four pixels; 0 = grey
  bool alpha = false;
};

/// Of formats that the engine does not know: 8 bits, full chroma, no alpha.
Quality QualityOf(uint32_t fourcc);
/// The most that these offers can tell, each term by itself. An offer of any format bounds nothing.
Quality BestOf(const std::vector<Offer>& offers);
/// Term by term.
Quality Least(const Quality& a, const Quality& b);
Quality Most(const Quality& a, const Quality& b);

/// Y'CbCr, compressed or not: its codes need a matrix.
bool IsYcc(uint32_t fourcc);

/// Sources and decoders: no other node has the pixels before them.
bool MakesPixels(const NodeType& type);

}  // namespace sluice::graph
