#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "engine/graph/offer.h"

namespace sluice::cli {

/// "YU12, NV12; linear; shm or cpu; 1x1 to 16384x16384 (as `size`)".
std::string OfferToText(const graph::Offer& offer);
nlohmann::ordered_json OfferToJson(const graph::Offer& offer);

}  // namespace sluice::cli
