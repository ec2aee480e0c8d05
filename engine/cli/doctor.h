#pragma once

#include <string>
#include <vector>

#include "engine/cli/session.h"

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
/// Opens every domain that plugins offer; `selector` chooses the device.
void ProbeDomains(Session& session, const std::string& selector, Findings* findings);
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
