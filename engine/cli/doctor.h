#pragma once

#include <string>
#include <vector>

#include "engine/cli/session.h"
#include "engine/domain/domain.h"
#include "engine/profile/record.h"

namespace sluice::cli {

enum class Health {
  kOk,
  kLimited,  ///< works in part
  kMissing,  ///< not there, or not allowed
};

/// One thing that was looked at.
struct Finding {
  std::string section;  ///< "memory"
  std::string name;     ///< "udmabuf"
  Health health = Health::kOk;
  std::string detail;     ///< what was seen
  std::string advice;     ///< how to get what is missing; may be empty
  bool required = false;  ///< the engine cannot work without it
  std::string device;     ///< which device it is about, as its node's path; may be empty
};
using Findings = std::vector<Finding>;

// The probes. Each appends what it found; none fails, and none changes anything on the machine.
// Threads: [main-thread].

void ProbeKernel(Findings* findings);
void ProbeMemory(Findings* findings);
/// Copies for about a tenth of a second.
void ProbeBandwidth(Findings* findings);
/// Render nodes; other devices are the plugins' to know.
void ProbeDevices(Findings* findings);
/// Opens every domain that plugins offer; `selector` chooses the device. Returns what was opened.
std::vector<domain::DomainInfo> ProbeDomains(Session& session, const std::string& selector,
                                             Findings* findings);
/// Why no domain opened a device, in the words of each that was asked.
std::string WhyNoDevice(const Findings& findings);
/// What is known of the machine's speeds: whether there is a profile at `path`, how old it is, and
/// whether it has the devices that were opened, with their drivers.
void ProbeProfile(const std::string& path, const std::vector<domain::DomainInfo>& devices,
                  Findings* findings);

/// What to measure.
struct MeasureOptions {
  std::string path;    ///< where the profile is kept
  std::string gpu;     ///< one device; "" = all
  uint64_t bytes = 0;  ///< that a measurement goes over; 0 = enough
};
/// Measures the machine, adds each figure to `findings`, and keeps all in a file, with the devices
/// that it has and that were not measured now. Takes seconds. Errors: the file cannot be written.
Result<profile::Record> Measure(Session& session, const MeasureOptions& options,
                                Findings* findings);
void ProbePlugins(Session& session, Findings* findings);
/// What plugins know about their devices. What several say about one device is one finding.
void AskPlugins(Session& session, Findings* findings);
/// Adds `finding`, or, where there is one about the same device, what it says to that one.
void AddOrMerge(Finding finding, Findings* findings);

/// How to be allowed to open `path`, which exists: the group that may.
std::string AccessAdvice(const std::string& path);
/// Names in `folder` that begin with `prefix`, sorted; empty if there is no such folder.
std::vector<std::string> NamesIn(const std::string& folder, const std::string& prefix);
/// The first line of a small file of /sys or /proc; "" if it cannot be read.
std::string FirstLine(const std::string& path);

}  // namespace sluice::cli
