#include "nodes/v4l2/controls.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>

#include <nlohmann/json.hpp>

namespace sluice::v4l2 {
namespace {

constexpr int kMaxControls = 1024;

bool IsSettable(uint32_t type) {
  switch (type) {
    case V4L2_CTRL_TYPE_INTEGER:
    case V4L2_CTRL_TYPE_INTEGER64:
    case V4L2_CTRL_TYPE_BOOLEAN:
    case V4L2_CTRL_TYPE_MENU:
    case V4L2_CTRL_TYPE_INTEGER_MENU:
    case V4L2_CTRL_TYPE_BITMASK:
    case V4L2_CTRL_TYPE_BUTTON:
    case V4L2_CTRL_TYPE_STRING:
      return true;
    default:
      return false;
  }
}

bool IsMenu(uint32_t type) {
  return type == V4L2_CTRL_TYPE_MENU || type == V4L2_CTRL_TYPE_INTEGER_MENU;
}

/// Calls `visit` with each record until it answers true.
template <class Visit>
void ForEachControl(const Device& device, Visit&& visit) {
  constexpr uint32_t kNext = V4L2_CTRL_FLAG_NEXT_CTRL | V4L2_CTRL_FLAG_NEXT_COMPOUND;
  v4l2_query_ext_ctrl query{};
  query.id = kNext;
  for (int i = 0; i < kMaxControls; ++i) {
    if (device.Ioctl(VIDIOC_QUERY_EXT_CTRL, &query) != 0) return;
    const uint32_t id = query.id;
    if (visit(query)) return;
    query = {};
    query.id = id | kNext;
  }
}

Control Describe(const Device& device, const v4l2_query_ext_ctrl& query) {
  Control control;
  control.name = ControlName(std::string_view(query.name, strnlen(query.name, sizeof(query.name))));
  control.id = query.id;
  control.type = query.type;
  control.flags = query.flags;
  control.minimum = query.minimum;
  control.maximum = query.maximum;
  control.step = query.step;
  if (!IsMenu(query.type)) return control;
  const int64_t last = std::min<int64_t>(query.maximum, query.minimum + kMaxControls);
  for (int64_t index = std::max<int64_t>(query.minimum, 0); index <= last; ++index) {
    v4l2_querymenu item{};
    item.id = query.id;
    item.index = static_cast<__u32>(index);
    if (device.Ioctl(VIDIOC_QUERYMENU, &item) != 0) continue;  // items may be left out
    const char* text = reinterpret_cast<const char*>(item.name);
    control.menu[query.type == V4L2_CTRL_TYPE_INTEGER_MENU
                     ? std::to_string(item.value)
                     : std::string(text, strnlen(text, sizeof(item.name)))] = index;
  }
  return control;
}

bool IsUsable(const v4l2_query_ext_ctrl& query) {
  return IsSettable(query.type) &&
         (query.flags & (V4L2_CTRL_FLAG_DISABLED | V4L2_CTRL_FLAG_HAS_PAYLOAD)) == 0;
}

/// A text control has a payload by nature.
bool IsText(const v4l2_query_ext_ctrl& query) {
  return query.type == V4L2_CTRL_TYPE_STRING && (query.flags & V4L2_CTRL_FLAG_DISABLED) == 0;
}

sdk::Status SetOne(const Device& device, const Control& control, const ControlValue& value) {
  v4l2_ext_control one{};
  one.id = control.id;
  std::string text;
  if (control.type == V4L2_CTRL_TYPE_STRING) {
    text = std::holds_alternative<std::string>(value) ? std::get<std::string>(value)
                                                      : std::to_string(std::get<int64_t>(value));
    if (static_cast<int64_t>(text.size()) > control.maximum) {
      return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT, "control %s: at most %lld characters",
                                control.name.c_str(), static_cast<long long>(control.maximum));
    }
    one.size = static_cast<__u32>(control.maximum + 1);
    text.resize(one.size);
    one.string = text.data();
  } else {
    const sdk::Expected<int64_t> number = NumberFor(control, value);
    if (!number.ok()) return number.status();
    if (control.type == V4L2_CTRL_TYPE_INTEGER64) {
      one.value64 = *number;
    } else {
      one.value = static_cast<__s32>(*number);
    }
  }
  v4l2_ext_controls all{};
  all.which = V4L2_CTRL_WHICH_CUR_VAL;
  all.count = 1;
  all.controls = &one;
  if (const int error = device.Ioctl(VIDIOC_S_EXT_CTRLS, &all); error != 0) {
    return device.Error(error, ("control " + control.name).c_str());
  }
  return {};
}

sdk::Status Unknown(const Device& device, const std::string& name,
                    const std::vector<Control>& controls) {
  std::string names;
  for (const Control& control : controls) names += (names.empty() ? "" : ", ") + control.name;
  return sdk::Status::Error(SLUICE_E_NOT_FOUND, "%s (%s) has no control %s; it has %s",
                            device.path().c_str(), device.identity().card.c_str(), name.c_str(),
                            names.empty() ? "none" : names.c_str());
}

}  // namespace

std::string ControlName(std::string_view text) {
  std::string name;
  bool gap = false;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) {
      gap = !name.empty();
      continue;
    }
    if (gap) name.push_back('_');
    gap = false;
    name.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
  }
  return name;
}

sdk::Expected<ControlMap> ParseControls(const std::string& json) {
  ControlMap values;
  if (json.empty()) return values;
  const auto document = nlohmann::json::parse(json, nullptr, false);
  if (!document.is_object()) {
    return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT, "controls is not a mapping");
  }
  for (const auto& [name, value] : document.items()) {
    if (value.is_boolean()) {
      values[name] = int64_t{value.get<bool>() ? 1 : 0};
    } else if (value.is_number_integer()) {
      values[name] = value.get<int64_t>();
    } else if (value.is_string()) {
      values[name] = value.get<std::string>();
    } else {
      return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT,
                                "controls: %s is no whole number, switch or text", name.c_str());
    }
  }
  return values;
}

std::vector<Control> ListControls(const Device& device) {
  std::vector<Control> controls;
  ForEachControl(device, [&](const v4l2_query_ext_ctrl& query) {
    if (IsUsable(query) || IsText(query)) controls.push_back(Describe(device, query));
    return false;
  });
  return controls;
}

sdk::Expected<int64_t> NumberFor(const Control& control, const ControlValue& value) {
  if ((control.flags & V4L2_CTRL_FLAG_READ_ONLY) != 0) {
    return sdk::Status::Error(SLUICE_E_PERMISSION_DENIED, "control %s can only be read",
                              control.name.c_str());
  }
  if (const std::string* text = std::get_if<std::string>(&value)) {
    if (const auto item = control.menu.find(*text); item != control.menu.end()) return item->second;
    std::string items;
    for (const auto& [name, index] : control.menu) {
      items += (items.empty() ? ": one of " : ", ") + name;
    }
    return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT, "control %s does not take '%s'%s",
                              control.name.c_str(), text->c_str(), items.c_str());
  }
  const int64_t number = std::get<int64_t>(value);
  // The limits of a bitmask are bits, and a button has none.
  if (control.type == V4L2_CTRL_TYPE_BUTTON) return number;
  if (control.type == V4L2_CTRL_TYPE_BITMASK) {
    if ((number & ~control.maximum) == 0) return number;
  } else if (number >= control.minimum && number <= control.maximum) {
    const uint64_t distance =
        static_cast<uint64_t>(number) - static_cast<uint64_t>(control.minimum);
    if (control.step <= 1 || distance % control.step == 0) return number;
  }
  return sdk::Status::Error(
      SLUICE_E_INVALID_ARGUMENT, "control %s does not take %lld: %lld to %lld in steps of %llu",
      control.name.c_str(), static_cast<long long>(number), static_cast<long long>(control.minimum),
      static_cast<long long>(control.maximum),
      static_cast<unsigned long long>(std::max<uint64_t>(control.step, 1)));
}

sdk::Status SetControls(const Device& device, const ControlMap& values) {
  if (values.empty()) return {};
  const std::vector<Control> controls = ListControls(device);
  for (const auto& [name, value] : values) {
    const auto found =
        std::find_if(controls.begin(), controls.end(),
                     [&name = name](const Control& control) { return control.name == name; });
    if (found == controls.end()) return Unknown(device, name, controls);
    if (sdk::Status status = SetOne(device, *found, value); !status.ok()) return status;
  }
  return {};
}

int64_t GetControl(const Device& device, uint32_t id, int64_t fallback) {
  v4l2_control control{};
  control.id = id;
  return device.Ioctl(VIDIOC_G_CTRL, &control) == 0 ? control.value : fallback;
}

}  // namespace sluice::v4l2
