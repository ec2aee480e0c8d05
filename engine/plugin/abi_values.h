#pragma once

#include <cstdint>

#include "engine/base/result.h"
#include "sluice/abi.h"

namespace sluice::plugin {

/// The engine's code for a negative result of a plugin. A value that the ABI
/// does not define is the plugin's mistake: Internal.
Code CodeFromAbi(int32_t result);

/// The result for a plugin: 0 or the negative code.
inline int32_t ToAbi(const Status& status) {
  return status ? SLUICE_OK : static_cast<int32_t>(status.error().code);
}

}  // namespace sluice::plugin
