#ifndef SLUICE_NODES_VULKAN_REFERENCE_H_
#define SLUICE_NODES_VULKAN_REFERENCE_H_

#include <map>
#include <string>

#include "nodes/vulkan/testing.h"

namespace sluice::vulkan::testing {

/// Numbers of a look by name; colours as `shadow.r` and so on in 0..1.
using ReferenceParams = std::map<std::string, double>;

/// docs/looks.md and docs/colour.md in double precision, written from them and not from the
/// shaders: one pixel at a time, no blocks. `look` may be empty (convert).
void Reference(const Picture& src, Picture& dst, const std::string& look,
               const ReferenceParams& params);

}  // namespace sluice::vulkan::testing

#endif  // SLUICE_NODES_VULKAN_REFERENCE_H_
