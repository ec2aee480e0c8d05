#include "nodes/v4l2/source_input.h"

#include <cerrno>
#include <cstring>

#include "nodes/v4l2/enumerate.h"

namespace sluice::v4l2 {
namespace {

/// A driver that never answers "no more" is not asked for ever.
constexpr uint32_t kMaxRecords = 64;

std::string NameIn(const __u8 (&field)[32]) {
  const char* text = reinterpret_cast<const char*>(field);
  return std::string(text, strnlen(text, sizeof(field)));
}

/// v4l2_input and v4l2_output alike.
template <class Record>
sdk::Status Select(const Device& device, const std::string& wanted, unsigned long enumerate,
                   unsigned long set, const char* what) {
  std::string names;
  for (uint32_t i = 0; i < kMaxRecords; ++i) {
    Record record{};
    record.index = i;
    if (device.Ioctl(enumerate, &record) != 0) break;
    const std::string name = NameIn(record.name);
    names += (names.empty() ? "" : ", ") + name;
    if (name != wanted && std::to_string(i) != wanted) continue;
    int index = static_cast<int>(i);
    if (const int error = device.Ioctl(set, &index); error != 0) {
      return device.Error(error, sdk::Format("%s %s", what, wanted.c_str()).c_str());
    }
    return {};
  }
  return sdk::Status::Error(SLUICE_E_NOT_FOUND, "%s (%s) has no %s %s; it has %s",
                            device.path().c_str(), device.identity().card.c_str(), what,
                            wanted.c_str(), names.empty() ? "none" : names.c_str());
}

bool SameTimings(const v4l2_dv_timings& a, const v4l2_dv_timings& b) {
  return a.bt.width == b.bt.width && a.bt.height == b.bt.height &&
         a.bt.interlaced == b.bt.interlaced && a.bt.pixelclock == b.bt.pixelclock;
}

}  // namespace

sdk::Expected<InputState> SelectInput(const Device& device, const std::string& wanted) {
  if (!wanted.empty()) {
    if (sdk::Status status =
            Select<v4l2_input>(device, wanted, VIDIOC_ENUMINPUT, VIDIOC_S_INPUT, "input");
        !status.ok()) {
      return status;
    }
  }
  InputState state;
  int selected = 0;
  if (device.Ioctl(VIDIOC_G_INPUT, &selected) != 0) return state;  // cameras need not have inputs
  v4l2_input input{};
  input.index = static_cast<__u32>(selected);
  if (device.Ioctl(VIDIOC_ENUMINPUT, &input) != 0) return state;
  state.index = input.index;
  state.name = NameIn(input.name);
  state.has_timings = (input.capabilities & V4L2_IN_CAP_DV_TIMINGS) != 0;
  state.has_standard = (input.capabilities & V4L2_IN_CAP_STD) != 0;
  if (state.has_standard) {
    v4l2_std_id standard = 0;
    state.sixty_hertz =
        device.Ioctl(VIDIOC_G_STD, &standard) == 0 && (standard & V4L2_STD_525_60) != 0;
  }
  if (state.has_timings) {
    v4l2_dv_timings there{}, set{};
    state.has_signal = device.Ioctl(VIDIOC_QUERY_DV_TIMINGS, &there) == 0;
    const bool known = device.Ioctl(VIDIOC_G_DV_TIMINGS, &set) == 0;
    if (state.has_signal && !(known && SameTimings(there, set))) {
      if (const int error = device.Ioctl(VIDIOC_S_DV_TIMINGS, &there); error != 0) {
        return device.Error(error, "the sender's timings (VIDIOC_S_DV_TIMINGS)");
      }
    }
    if (device.Ioctl(VIDIOC_G_DV_TIMINGS, &set) == 0) {
      state.width = set.bt.width;
      state.height = set.bt.height;
    }
  }
  return state;
}

sdk::Status SelectOutput(const Device& device, const std::string& wanted) {
  if (wanted.empty()) return {};
  return Select<v4l2_output>(device, wanted, VIDIOC_ENUMOUTPUT, VIDIOC_S_OUTPUT, "output");
}

bool TimingsChanged(const Device& device, const InputState& input) {
  if (!input.has_timings) return false;
  v4l2_dv_timings there{}, set{};
  if (device.Ioctl(VIDIOC_QUERY_DV_TIMINGS, &there) != 0) return false;  // no signal: no new size
  return device.Ioctl(VIDIOC_G_DV_TIMINGS, &set) != 0 || !SameTimings(there, set);
}

bool SubscribeSourceChange(const Device& device, uint32_t input) {
  v4l2_event_subscription subscription{};
  subscription.type = V4L2_EVENT_SOURCE_CHANGE;
  subscription.id = input;
  return device.Ioctl(VIDIOC_SUBSCRIBE_EVENT, &subscription) == 0;
}

bool TakeSourceChange(const Device& device) {
  bool changed = false;
  for (uint32_t i = 0; i < kMaxRecords; ++i) {
    v4l2_event event{};
    if (device.Ioctl(VIDIOC_DQEVENT, &event) != 0) break;
    changed = changed || (event.type == V4L2_EVENT_SOURCE_CHANGE &&
                          (event.u.src_change.changes & V4L2_EVENT_SRC_CH_RESOLUTION) != 0);
  }
  return changed;
}

sdk::Expected<sluice_rate> SetRate(const Device& device, sluice_rate rate) {
  v4l2_streamparm parameters{};
  parameters.type = device.type();
  if (device.Ioctl(VIDIOC_G_PARM, &parameters) != 0) return sluice_rate{0, 0};
  // captureparm and outputparm begin alike; the kernel's own code relies on it.
  v4l2_captureparm& capture = parameters.parm.capture;
  if ((capture.capability & V4L2_CAP_TIMEPERFRAME) == 0) return RateOf(capture.timeperframe);
  if (rate.numerator != 0 && rate.denominator != 0) {
    capture.timeperframe = {rate.denominator, rate.numerator};
    if (const int error = device.Ioctl(VIDIOC_S_PARM, &parameters); error != 0) {
      return device.Error(error, "its rate (VIDIOC_S_PARM)");
    }
  }
  const sluice_rate now = RateOf(capture.timeperframe);
  if (rate.numerator != 0 && now.numerator != 0 && !RatesAgree(now, rate)) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED,
                              "%s (%s) was asked for %u/%u frames a second and gives %u/%u",
                              device.path().c_str(), device.identity().card.c_str(), rate.numerator,
                              rate.denominator, now.numerator, now.denominator);
  }
  return now;
}

}  // namespace sluice::v4l2
