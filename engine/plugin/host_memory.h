#pragma once

#include <sluice/memory.h>

namespace sluice::plugin {

/// "sluice.memory/1".
const sluice_memory_api* MemoryApi();

}  // namespace sluice::plugin
