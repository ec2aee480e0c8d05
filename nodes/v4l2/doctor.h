#ifndef NODES_V4L2_DOCTOR_H_
#define NODES_V4L2_DOCTOR_H_

#include <sluice/doctor.hpp>

namespace sluice::v4l2 {

/// Which video devices there are, what they can do, and which kinds of memory they take.
struct Doctor {
  static void Examine(sdk::Findings& findings);
};

}  // namespace sluice::v4l2

#endif  // NODES_V4L2_DOCTOR_H_
