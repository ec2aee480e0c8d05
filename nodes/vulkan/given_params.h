#ifndef SLUICE_NODES_VULKAN_GIVEN_PARAMS_H_
#define SLUICE_NODES_VULKAN_GIVEN_PARAMS_H_

#include <sluice/node.h>

/// Parameters as a graph gives them, for tests.
namespace sluice::vulkan::testing {

inline sluice_param Given(const char* name, int32_t type) {
  sluice_param p{};
  p.name = name;
  p.type = type;
  p.given = 1;
  return p;
}

/// `value` is borrowed. `type`: SLUICE_VALUE_STRING, or another that comes as text.
inline sluice_param Text(const char* name, const char* value, int32_t type = SLUICE_VALUE_STRING) {
  sluice_param p = Given(name, type);
  p.s = value;
  return p;
}

inline sluice_param Flag(const char* name, bool value) {
  sluice_param p = Given(name, SLUICE_VALUE_BOOL);
  p.i = value ? 1 : 0;
  return p;
}

inline sluice_param Number(const char* name, double value) {
  sluice_param p = Given(name, SLUICE_VALUE_FLOAT);
  p.f = value;
  return p;
}

}  // namespace sluice::vulkan::testing

#endif  // SLUICE_NODES_VULKAN_GIVEN_PARAMS_H_
