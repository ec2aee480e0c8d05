#pragma once

#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace sluice {

/// Where what can be made again is kept between runs: SLUICE_CACHE_DIR, or `sluice` in
/// XDG_CACHE_HOME or ~/.cache. "": nowhere. The plugins' caches follow the same rule.
std::string CacheFolder();

/// Writes the file whole or not at all: a part file beside it gets the name. Makes folders that are
/// missing. Errors: what the file system says, with the path.
Status WriteWhole(const std::string& path, std::string_view bytes);

}  // namespace sluice
