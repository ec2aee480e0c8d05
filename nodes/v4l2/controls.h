#ifndef NODES_V4L2_CONTROLS_H_
#define NODES_V4L2_CONTROLS_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <sluice/status.hpp>

#include "nodes/v4l2/device.h"

namespace sluice::v4l2 {

/// A value that the graph gives to a control.
using ControlValue = std::variant<int64_t, std::string>;
using ControlMap = std::map<std::string, ControlValue>;

/// The name of a control as v4l2-ctl prints it: "White Balance, Auto" is white_balance_auto.
std::string ControlName(std::string_view text);

/// JSON object text to controls; true and false are 1 and 0.
/// Errors: INVALID_ARGUMENT.
sdk::Expected<ControlMap> ParseControls(const std::string& json);

/// What VIDIOC_QUERY_EXT_CTRL says of one control.
struct Control {
  std::string name;
  uint32_t id = 0;
  uint32_t type = 0;   ///< V4L2_CTRL_TYPE_*
  uint32_t flags = 0;  ///< V4L2_CTRL_FLAG_*
  int64_t minimum = 0;
  int64_t maximum = 0;
  uint64_t step = 1;
  std::map<std::string, int64_t> menu;  ///< items by their name
};

/// Controls that a program can set: whole numbers, switches, menus, buttons and texts.
std::vector<Control> ListControls(const Device& device);

/// The number that `value` is for `control`. A menu takes its items' names, too.
/// Errors: INVALID_ARGUMENT, with the range or the items; PERMISSION_DENIED (read-only).
sdk::Expected<int64_t> NumberFor(const Control& control, const ControlValue& value);

/// Sets all of `values`, in their order, and checks each against what the device says of it.
/// Errors: INVALID_ARGUMENT; NOT_FOUND (no such control: names those that there are); DEVICE_LOST.
sdk::Status SetControls(const Device& device, const ControlMap& values);

/// The value of a control, or `fallback` where there is none.
int64_t GetControl(const Device& device, uint32_t id, int64_t fallback);

}  // namespace sluice::v4l2

#endif  // NODES_V4L2_CONTROLS_H_
