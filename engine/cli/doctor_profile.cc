#include <algorithm>
#include <array>
#include <ctime>
#include <string>

#include <fmt/format.h>

#include "engine/cli/doctor.h"
#include "engine/profile/measure.h"
#include "engine/profile/store.h"

namespace sluice::cli {
namespace {

constexpr char kSection[] = "profile";
constexpr char kAdvice[] = "sluice doctor --measure";

std::string UuidText(const std::array<uint8_t, 16>& uuid) {
  std::string text;
  for (uint8_t byte : uuid) text += fmt::format("{:02x}", byte);
  return text;
}

/// "today", "1 day ago", "12 days ago".
std::string Age(const std::string& measured) {
  std::tm parts{};
  if (strptime(measured.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts) == nullptr) return measured;
  const auto days = static_cast<long>(std::difftime(std::time(nullptr), timegm(&parts)) / 86400);
  if (days <= 0) return "today";
  return days == 1 ? "1 day ago" : fmt::format("{} days ago", days);
}

Finding OfDevice(const profile::Record& record, const domain::DomainInfo& info) {
  Finding finding{
      .section = kSection, .name = info.device_name, .health = Health::kLimited, .advice = kAdvice};
  const auto device =
      std::find_if(record.devices.begin(), record.devices.end(),
                   [uuid = UuidText(info.device_uuid)](const profile::DeviceRecord& each) {
                     return each.uuid == uuid;
                   });
  if (device == record.devices.end()) {
    finding.detail = "not measured: plans are made with defaults";
  } else if (device->driver != info.driver) {
    finding.detail = fmt::format("measured {} with the driver {}; this is {}: defaults are used",
                                 Age(device->measured), device->driver, info.driver);
  } else {
    finding.health = Health::kOk;
    finding.detail = fmt::format("measured {}, driver {}", Age(device->measured), device->driver);
    finding.advice.clear();
  }
  return finding;
}

void AddFigures(const std::string& of, const std::vector<profile::Figure>& figures,
                Findings* findings) {
  for (const profile::Figure& figure : figures) {
    findings->push_back({.section = kSection,
                         .name = fmt::format("{}: {}", of, figure.name),
                         .health = figure.value > 0 ? Health::kOk : Health::kMissing,
                         .detail = FormatFigure(figure)});
  }
}

/// What is known already, to be added to; a damaged file is replaced.
profile::Record Known(const std::string& path, const profile::Machine& machine) {
  auto known = profile::Read(path);
  if (known && known->machine.id == machine.id) return std::move(*known);
  profile::Record fresh;
  fresh.machine = machine;
  return fresh;
}

}  // namespace

void ProbeProfile(const std::string& path, const std::vector<domain::DomainInfo>& devices,
                  Findings* findings) {
  Finding finding{
      .section = kSection, .name = "processor", .health = Health::kLimited, .advice = kAdvice};
  if (path.empty()) {
    finding.detail = "nowhere to keep one: plans are made with defaults";
    finding.advice = "set HOME, XDG_CACHE_HOME or SLUICE_CACHE_DIR";
    findings->push_back(std::move(finding));
    return;
  }
  const auto record = profile::Read(path);
  const profile::Machine machine = profile::ThisMachine();
  if (!record) {
    finding.detail = record.error().code == Code::kNotFound
                         ? "not measured: plans are made with defaults"
                         : record.error().message;
  } else if (record->machine.id != machine.id) {
    finding.detail = fmt::format("{} is of another machine: {}", path, record->machine.name);
  } else {
    finding.health = Health::kOk;
    finding.detail = fmt::format("measured {}: {}; {}", Age(record->measured), machine.name, path);
    finding.advice.clear();
  }
  const bool usable = finding.health == Health::kOk;
  findings->push_back(std::move(finding));
  if (!usable) return;
  for (const domain::DomainInfo& info : devices) findings->push_back(OfDevice(*record, info));
}

Result<profile::Record> Measure(Session& session, const MeasureOptions& options,
                                Findings* findings) {
  if (options.path.empty()) {
    return Fail(Code::kNotFound,
                "there is no folder for it: set HOME, XDG_CACHE_HOME or "
                "SLUICE_CACHE_DIR, or give --profile FILE");
  }
  const profile::Machine machine = profile::ThisMachine();
  profile::Record record = Known(options.path, machine);
  record.measured = profile::TimeNow();
  record.figures = profile::MeasureMemory(options.bytes);
  AddFigures("processor", record.figures, findings);
  profile::Devices devices = profile::MeasureDevices(session.loader(), options.gpu, options.bytes);
  for (profile::DeviceRecord& device : devices.devices) {
    AddFigures(device.name, device.figures, findings);
    record.Put(std::move(device));
  }
  for (const std::string& problem : devices.problems) {
    findings->push_back({.section = kSection,
                         .name = "not measured",
                         .health = Health::kMissing,
                         .detail = problem});
  }
  SLUICE_RETURN_IF_ERROR(profile::Write(options.path, record));
  findings->push_back({.section = kSection, .name = "kept in", .detail = options.path});
  return record;
}

}  // namespace sluice::cli
