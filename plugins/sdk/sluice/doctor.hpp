#ifndef SLUICE_SDK_DOCTOR_HPP_
#define SLUICE_SDK_DOCTOR_HPP_

#include <string>

#include <sluice/doctor.h>

namespace sluice::sdk {

/// Where a doctor class puts what it found. Valid for the call.
class Findings {
 public:
  explicit Findings(sluice_finding_sink* sink) : sink_(sink) {}

  void Ok(const char* section, const std::string& name, const std::string& detail) {
    Add({section, name.c_str(), detail.c_str(), nullptr, SLUICE_HEALTH_OK, 0});
  }
  void Limited(const char* section, const std::string& name, const std::string& detail,
               const std::string& advice) {
    Add({section, name.c_str(), detail.c_str(), advice.c_str(), SLUICE_HEALTH_LIMITED, 0});
  }
  void Missing(const char* section, const std::string& name, const std::string& detail,
               const std::string& advice) {
    Add({section, name.c_str(), detail.c_str(), advice.c_str(), SLUICE_HEALTH_MISSING, 0});
  }

 private:
  void Add(const sluice_finding& finding) { sink_->add(sink_, &finding); }

  sluice_finding_sink* sink_;
};

}  // namespace sluice::sdk

#endif  // SLUICE_SDK_DOCTOR_HPP_
