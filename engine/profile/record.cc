#include "engine/profile/record.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <sluice/profile.h>
#include <nlohmann/json.hpp>

namespace sluice::profile {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kVersionKey[] = "sluice_profile";
constexpr int kVersion = 1;

Json FiguresJson(const std::vector<Figure>& figures) {
  Json out = Json::array();
  for (const Figure& figure : figures) {
    Json entry = {{"name", figure.name}, {"unit", figure.unit}, {"value", figure.value}};
    if (!figure.note.empty()) entry["note"] = figure.note;
    out.push_back(std::move(entry));
  }
  return out;
}

/// Reads one value tree; the first thing that is wrong stays.
class Reader {
 public:
  std::string Text(const Json& from, const char* key, bool required = true) {
    const auto found = from.is_object() ? from.find(key) : from.end();
    if (from.is_object() && found != from.end() && found->is_string()) {
      return found->get<std::string>();
    }
    if (required) Complain(fmt::format("'{}' is missing or no text", key));
    return {};
  }

  const Json& List(const Json& from, const char* key) {
    static const Json none = Json::array();
    const auto found = from.is_object() ? from.find(key) : from.end();
    if (from.is_object() && found != from.end() && found->is_array()) return *found;
    Complain(fmt::format("'{}' is missing or no list", key));
    return none;
  }

  std::vector<Figure> Figures(const Json& from) {
    std::vector<Figure> out;
    for (const Json& entry : List(from, "figures")) {
      Figure figure{Text(entry, "name"), Text(entry, "unit"), 0, Text(entry, "note", false)};
      figure.value = Value(entry, figure);
      out.push_back(std::move(figure));
    }
    return out;
  }

  std::string Date(const Json& from) {
    std::string date = Text(from, "measured");
    // "2026-11-30T02:40:17Z": what is shown and compared is its first ten characters.
    constexpr std::string_view kShape = "dddd-dd-ddTdd:dd:ddZ";
    const bool fits = date.size() == kShape.size() &&
                      std::equal(kShape.begin(), kShape.end(), date.begin(), [](char want, char c) {
                        return want == 'd' ? c >= '0' && c <= '9' : c == want;
                      });
    if (!fits) Complain(fmt::format("'{}' is no time", date));
    return date;
  }

  std::string Uuid(const Json& from) {
    std::string uuid = Text(from, "uuid");
    const bool fits =
        uuid.size() == 32 && uuid.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!fits) Complain(fmt::format("'{}' is no UUID", uuid));
    return uuid;
  }

  void Complain(std::string what) {
    if (problem_.empty()) problem_ = std::move(what);
  }
  const std::string& problem() const { return problem_; }

 private:
  /// Bounds that no machine is near: beyond them the file is damaged.
  double Value(const Json& entry, const Figure& figure) {
    const auto found = entry.is_object() ? entry.find("value") : entry.end();
    if (!entry.is_object() || found == entry.end() || !found->is_number()) {
      Complain(fmt::format("'value' of {} is missing or no number", figure.name));
      return 0;
    }
    const double value = found->get<double>();
    double least = 0, most = 1e300;
    if (figure.unit == SLUICE_UNIT_BYTES_PER_SECOND) least = 1e5, most = 1e15;
    if (figure.unit == SLUICE_UNIT_NANOSECONDS) least = 1, most = 1e10;
    if (!std::isfinite(value) || (value != 0 && (value < least || value > most))) {
      Complain(fmt::format("{} of {} {} is not possible", figure.name, value, figure.unit));
      return 0;
    }
    return value;
  }

  std::string problem_;
};

/// Replaces `*to` by the figure, if it was measured in that unit.
bool Take(const std::vector<Figure>& figures, std::string_view name, std::string_view unit,
          double* to) {
  for (const Figure& figure : figures) {
    if (figure.name != name || figure.unit != unit || figure.value <= 0) continue;
    *to = figure.value;
    return true;
  }
  return false;
}

/// A copy reads what it is about and writes cached memory: what is left of its time is the reading.
/// Where that is about the time of cached memory, it is cached memory.
double ReadingOf(double copied_per_second, double cpu_bandwidth) {
  constexpr double kChance = 1.25;
  const double reading = 1 / copied_per_second - 1 / cpu_bandwidth;
  return reading <= kChance / cpu_bandwidth ? cpu_bandwidth : 1 / reading;
}

graph::DeviceSpeeds SpeedsOf(const DeviceRecord& device, const graph::Profile& profile) {
  graph::DeviceSpeeds speeds = device.is_software ? profile.software_device : profile.device;
  const auto take = [&](const char* name, double* to) {
    return Take(device.figures, name, SLUICE_UNIT_BYTES_PER_SECOND, to);
  };
  take(SLUICE_FIGURE_MEMORY, &speeds.memory);
  take(SLUICE_FIGURE_HOST_READ, &speeds.host_read);
  take(SLUICE_FIGURE_HOST_WRITE, &speeds.host_write);
  double copied = 0;
  if (take(SLUICE_FIGURE_CPU_COPY, &copied)) {
    speeds.cpu_read = ReadingOf(copied, profile.cpu_bandwidth);
  }
  double submission_ns = 0;
  if (Take(device.figures, SLUICE_FIGURE_SUBMISSION, SLUICE_UNIT_NANOSECONDS, &submission_ns)) {
    speeds.submission_us = submission_ns / 1e3;
  }
  return speeds;
}

std::string Day(const std::string& time) { return time.substr(0, 10); }

}  // namespace

void Record::Put(DeviceRecord device) {
  const auto same = std::find_if(devices.begin(), devices.end(), [&](const DeviceRecord& other) {
    return other.domain == device.domain && other.uuid == device.uuid;
  });
  if (same != devices.end()) {
    *same = std::move(device);
  } else {
    devices.push_back(std::move(device));
  }
}

Json ToJson(const Record& record) {
  Json out = {{kVersionKey, kVersion},
              {"machine", {{"id", record.machine.id}, {"name", record.machine.name}}},
              {"measured", record.measured},
              {"figures", FiguresJson(record.figures)}};
  out["devices"] = Json::array();
  for (const DeviceRecord& device : record.devices) {
    out["devices"].push_back({{"domain", device.domain},
                              {"name", device.name},
                              {"driver", device.driver},
                              {"uuid", device.uuid},
                              {"software", device.is_software},
                              {"measured", device.measured},
                              {"figures", FiguresJson(device.figures)}});
  }
  return out;
}

std::string ToText(const Record& record) {
  return ToJson(record).dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<Record> Parse(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  const auto version = json.is_object() ? json.find(kVersionKey) : json.end();
  if (!json.is_object() || version == json.end()) {
    return Fail(Code::kInvalidArgument, "is no profile");
  }
  if (*version != kVersion) {
    return Fail(Code::kInvalidArgument, fmt::format("is a profile of version {}; this one reads {}",
                                                    version->dump(), kVersion));
  }
  Reader reader;
  Record record;
  const auto machine = json.find("machine");
  const Json none;
  record.machine.id = reader.Text(machine != json.end() ? *machine : none, "id");
  record.machine.name = reader.Text(machine != json.end() ? *machine : none, "name");
  record.measured = reader.Date(json);
  record.figures = reader.Figures(json);
  for (const Json& entry : reader.List(json, "devices")) {
    DeviceRecord device{.domain = reader.Text(entry, "domain"),
                        .name = reader.Text(entry, "name"),
                        .driver = reader.Text(entry, "driver"),
                        .uuid = reader.Uuid(entry)};
    const auto software = entry.is_object() ? entry.find("software") : entry.end();
    device.is_software = entry.is_object() && software != entry.end() && *software == true;
    device.measured = reader.Date(entry);
    device.figures = reader.Figures(entry);
    record.devices.push_back(std::move(device));
  }
  if (!reader.problem().empty()) {
    return Fail(Code::kInvalidArgument, fmt::format("is damaged: {}", reader.problem()));
  }
  return record;
}

graph::Profile ToProfile(const Record& record) {
  graph::Profile profile;
  profile.processor = record.machine.name;
  if (Take(record.figures, SLUICE_FIGURE_MEMORY, SLUICE_UNIT_BYTES_PER_SECOND,
           &profile.cpu_bandwidth)) {
    profile.date = Day(record.measured);
  }
  for (const Figure& figure : record.figures) {
    if (!figure.name.starts_with(kCopyFrom) || figure.value <= 0) continue;
    const double reading = ReadingOf(figure.value, profile.cpu_bandwidth);
    if (reading < profile.cpu_bandwidth) {
      profile.allocator_read[figure.name.substr(kCopyFrom.size())] = reading;
    }
  }
  for (const DeviceRecord& device : record.devices) {
    profile.devices[device.uuid] = {device.name, device.driver, Day(device.measured),
                                    SpeedsOf(device, profile)};
  }
  return profile;
}

std::string FormatFigure(const Figure& figure) {
  if (figure.value == 0) return fmt::format("not measured: {}", figure.note);
  std::string text;
  if (figure.unit == SLUICE_UNIT_BYTES_PER_SECOND) {
    text = figure.value >= 1e12 ? fmt::format("{:.2f} TB/s", figure.value / 1e12)
                                : fmt::format("{:.1f} GB/s", figure.value / 1e9);
  } else if (figure.unit == SLUICE_UNIT_NANOSECONDS) {
    text = fmt::format("{:.1f} us", figure.value / 1e3);
  } else {
    text = fmt::format("{:g} {}", figure.value, figure.unit);
  }
  return figure.note.empty() ? text : fmt::format("{}, {}", text, figure.note);
}

}  // namespace sluice::profile
