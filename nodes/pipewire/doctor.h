#ifndef NODES_PIPEWIRE_DOCTOR_H_
#define NODES_PIPEWIRE_DOCTOR_H_

#include <sluice/doctor.hpp>

namespace sluice::pipewire {

/// The library, the daemon, the session manager, and the cameras: which there are, what they send
/// and in which memory. Takes less than a second, also where a daemon does not answer.
struct Doctor {
  static void Examine(sdk::Findings& findings);
};

}  // namespace sluice::pipewire

#endif  // NODES_PIPEWIRE_DOCTOR_H_
