#ifndef SLUICE_SDK_DOCTOR_HPP_
#define SLUICE_SDK_DOCTOR_HPP_

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <sluice/doctor.h>
#include <sluice/format.h>
#include <sluice/status.hpp>

namespace sluice::sdk {

/// Where a doctor class puts what it found. Valid for the call.
///
/// `device` says which device a finding is about: the path of its node, links resolved. What
/// several plugins say about one device is shown as one.
class Findings {
 public:
  explicit Findings(sluice_finding_sink* sink) : sink_(sink) {}

  void Ok(const char* section, const std::string& name, const std::string& detail,
          const std::string& device = {}) {
    Add(SLUICE_HEALTH_OK, section, name, detail, nullptr, device);
  }
  void Limited(const char* section, const std::string& name, const std::string& detail,
               const std::string& advice, const std::string& device = {}) {
    Add(SLUICE_HEALTH_LIMITED, section, name, detail, advice.c_str(), device);
  }
  void Missing(const char* section, const std::string& name, const std::string& detail,
               const std::string& advice, const std::string& device = {}) {
    Add(SLUICE_HEALTH_MISSING, section, name, detail, advice.c_str(), device);
  }

 private:
  void Add(int32_t health, const char* section, const std::string& name, const std::string& detail,
           const char* advice, const std::string& device) {
    const sluice_finding finding{section,
                                 name.c_str(),
                                 detail.c_str(),
                                 advice,
                                 health,
                                 0,
                                 device.empty() ? nullptr : device.c_str()};
    sink_->add(sink_, &finding);
  }

  sluice_finding_sink* sink_;
};

/// A format of a camera with a size, or a range of sizes, and its rates.
struct CameraMode {
  std::string format;                                                     ///< a DRM fourcc
  uint32_t width_min = 0, height_min = 0, width_max = 0, height_max = 0;  ///< pixels
  sluice_rate rate_min{0, 0}, rate_max{0, 0};  ///< frames a second; 0/0: not known
};

namespace internal {

inline std::string RateText(sluice_rate rate) {
  if (rate.denominator == 0) return "0";
  std::string text = Format("%.2f", static_cast<double>(rate.numerator) / rate.denominator);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

/// "@5..30"; nothing where no rate is known.
inline std::string RatesText(sluice_rate min, sluice_rate max) {
  if (max.numerator == 0 || max.denominator == 0) return "";
  constexpr uint32_t kAny = 65536;
  if (max.numerator / max.denominator >= kAny) return " at any rate";
  const std::string slowest = RateText(min);
  const std::string fastest = RateText(max);
  return "@" + (slowest == fastest ? "" : slowest + "..") + fastest;
}

inline std::string SizeText(const CameraMode& mode) {
  // Beyond what any picture has: a bound that is none.
  constexpr uint32_t kAny = 65536;
  if (mode.width_max >= kAny && mode.height_max >= kAny) return "any size";
  std::string text = Format("%ux%u", mode.width_max, mode.height_max);
  if (mode.width_min != mode.width_max || mode.height_min != mode.height_max) {
    text = Format("%ux%u..", mode.width_min, mode.height_min) + text;
  }
  return text;
}

}  // namespace internal

/// "NV12 YUYV 1280x720@5..30 640x480@30; MJPG 1920x1080@30": formats with the same sizes together,
/// rates after the @. Takes modes in order of preference; a long list is cut, and says so.
inline std::string DescribeModes(const std::vector<CameraMode>& modes) {
  constexpr std::size_t kMaxSizes = 6;
  struct Sized {
    std::string size;
    sluice_rate min, max;
  };
  const auto less = [](sluice_rate a, sluice_rate b) {
    return uint64_t{a.numerator} * b.denominator < uint64_t{b.numerator} * a.denominator;
  };
  std::vector<std::pair<std::string, std::vector<Sized>>> formats;
  for (const CameraMode& mode : modes) {
    auto format = std::find_if(formats.begin(), formats.end(),
                               [&](const auto& one) { return one.first == mode.format; });
    if (format == formats.end()) format = formats.insert(format, {mode.format, {}});
    const std::string size = internal::SizeText(mode);
    auto sized = std::find_if(format->second.begin(), format->second.end(),
                              [&](const Sized& one) { return one.size == size; });
    if (sized == format->second.end()) {
      format->second.push_back({size, mode.rate_min, mode.rate_max});
    } else {
      if (less(mode.rate_min, sized->min)) sized->min = mode.rate_min;
      if (less(sized->max, mode.rate_max)) sized->max = mode.rate_max;
    }
  }
  std::vector<std::pair<std::string, std::string>> lines;  // formats, sizes
  for (const auto& [format, sizes] : formats) {
    std::string text;
    for (std::size_t i = 0; i < std::min(sizes.size(), kMaxSizes); ++i) {
      text += " " + sizes[i].size + internal::RatesText(sizes[i].min, sizes[i].max);
    }
    if (sizes.size() > kMaxSizes) text += Format(" and %zu more", sizes.size() - kMaxSizes);
    const auto same = std::find_if(lines.begin(), lines.end(),
                                   [&](const auto& line) { return line.second == text; });
    if (same == lines.end()) {
      lines.emplace_back(format, text);
    } else {
      same->first += " " + format;
    }
  }
  std::string text;
  for (const auto& [names, sizes] : lines) text += (text.empty() ? "" : "; ") + names + sizes;
  return text;
}

}  // namespace sluice::sdk

#endif  // SLUICE_SDK_DOCTOR_HPP_
