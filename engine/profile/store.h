#pragma once

#include <string>

#include "engine/base/result.h"
#include "engine/profile/record.h"

namespace sluice::profile {

/// Where a machine's profile is kept: `profiles/ID.json` in SLUICE_CACHE_DIR, or `sluice` in
/// XDG_CACHE_HOME or ~/.cache. "": nowhere.
std::string DefaultPath(const Machine& machine);

/// Errors: NotFound; InvalidArgument as Parse; Io. The message begins with the path.
Result<Record> Read(const std::string& path);

/// Whole or not at all: a part file beside it gets the name. Makes folders that are missing.
/// Errors: what the file system says, with the path.
Status Write(const std::string& path, const Record& record);

/// The profile that plans are made with.
struct Choice {
  graph::Profile profile;
  std::string warning;  ///< "" = none
};

/// `wanted`: "" is this machine's own, where there is one; "none" the defaults; else a file.
/// Of its own, one that is damaged, or that another machine's name is in, is left alone, with a
/// warning. A file that was asked for counts also for another machine, with a warning.
/// Errors: as Read, for a file that was asked for.
Result<Choice> Choose(const std::string& wanted, const Machine& machine);

}  // namespace sluice::profile
