#ifndef NODES_V4L2_SOURCE_INPUT_H_
#define NODES_V4L2_SOURCE_INPUT_H_

#include <cstdint>
#include <string>

#include <sluice/status.hpp>

#include "nodes/v4l2/device.h"

namespace sluice::v4l2 {

/// What there is to know of a capture device's selected input.
struct InputState {
  uint32_t index = 0;
  std::string name;
  bool has_timings = false;  ///< HDMI, DVI: the sender decides on the size
  bool has_standard = false;
  bool sixty_hertz = false;  ///< of its video standard
  bool has_signal = true;
  uint32_t width = 0;  ///< of the sender's picture, where it has timings
  uint32_t height = 0;
};

/// Selects the input that `wanted` names (its name, or its number; empty: the one that is
/// selected), and takes over the timings that the sender has now. No buffer may be allocated.
/// Errors: NOT_FOUND (names those that there are); RESOURCE_EXHAUSTED (in use).
sdk::Expected<InputState> SelectInput(const Device& device, const std::string& wanted);

/// The same for an output's connector; nothing is changed for an empty name.
sdk::Status SelectOutput(const Device& device, const std::string& wanted);

/// Whether the sender's timings are others than those that are set.
bool TimingsChanged(const Device& device, const InputState& input);

/// Has the device say when its source changes. Not all do.
bool SubscribeSourceChange(const Device& device, uint32_t input);
/// Takes the waiting events; whether one says that the resolution changed.
bool TakeSourceChange(const Device& device);

/// Sets the rate where the device has one to set, and says which it has now; 0/0 = not known.
/// Errors: UNSUPPORTED when it is another one.
sdk::Expected<sluice_rate> SetRate(const Device& device, sluice_rate rate);

}  // namespace sluice::v4l2

#endif  // NODES_V4L2_SOURCE_INPUT_H_
