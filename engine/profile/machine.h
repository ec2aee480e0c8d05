#pragma once

#include <string>

namespace sluice::profile {

/// Which machine figures are of.
struct Machine {
  std::string id;    ///< 16 hex digits; tells machines apart, and gives no name of theirs away
  std::string name;  ///< "AMD EPYC 9R14, 2 processors"
};

/// The one that this runs on: made of /etc/machine-id, the processor's model and their number.
Machine ThisMachine();

}  // namespace sluice::profile
