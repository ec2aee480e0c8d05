#ifndef SLUICE_SDK_PROFILE_HPP_
#define SLUICE_SDK_PROFILE_HPP_

#include <cstdint>
#include <string>
#include <vector>

#include <sluice/profile.h>

namespace sluice::sdk {

/// A device and what was measured of it. Names and units: sluice/profile.h.
struct MeasuredDevice {
  struct Figure {
    std::string name;
    std::string unit;
    double value = 0;  ///< 0: was not measured; `note` says why
    std::string note;
  };
  std::string domain;
  std::string name;
  std::string driver;
  uint8_t uuid[16] = {};
  bool is_software = false;
  std::vector<Figure> figures;
};

/// What a profiler class is asked, and where it puts what it measured. Valid for the call.
class Measurements {
 public:
  Measurements(const sluice_profile_request* request, const sluice_profile_sink* sink)
      : request_(request), sink_(sink) {}

  /// Selects one device; empty: every one.
  std::string device() const { return request_->device != nullptr ? request_->device : ""; }
  /// That one measurement goes over; 0 = as the plugin sees fit.
  uint64_t bytes() const { return request_->bytes; }

  void Add(const MeasuredDevice& device) {
    std::vector<sluice_figure> figures;
    for (const MeasuredDevice::Figure& figure : device.figures) {
      figures.push_back({figure.name.c_str(), figure.unit.c_str(), figure.value,
                         figure.note.empty() ? nullptr : figure.note.c_str()});
    }
    sluice_measured_device out{};
    out.domain = device.domain.c_str();
    out.name = device.name.c_str();
    out.driver = device.driver.c_str();
    for (int i = 0; i < 16; ++i) out.uuid[i] = device.uuid[i];
    out.is_software = device.is_software ? 1 : 0;
    out.figure_count = static_cast<uint32_t>(figures.size());
    out.figures = figures.data();
    sink_->add(sink_->self, &out);
  }
  void Problem(const std::string& message) { sink_->problem(sink_->self, message.c_str()); }

 private:
  const sluice_profile_request* request_;
  const sluice_profile_sink* sink_;
};

}  // namespace sluice::sdk

#endif  // SLUICE_SDK_PROFILE_HPP_
