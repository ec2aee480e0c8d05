#pragma once

#include <sluice/doctor.hpp>

namespace sluice::drm {

/// What `sluice doctor` says of the machine's displays.
struct Doctor {
  static void Examine(sdk::Findings& findings);
};

}  // namespace sluice::drm
