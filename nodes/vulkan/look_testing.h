#ifndef SLUICE_NODES_VULKAN_LOOK_TESTING_H_
#define SLUICE_NODES_VULKAN_LOOK_TESTING_H_

#include <algorithm>

#include "nodes/vulkan/testing.h"

namespace sluice::vulkan::testing {

/// A look with its default numbers.
inline TestFilter LookFilter(const char* name, Network::Source source = FromInput(0)) {
  const Look& look = *FindLook(name).value();
  const Params params = LookParams(look, sluice_param_set{}).value();
  TestFilter filter;
  filter.stages = {LookStage(look)};
  filter.sources = {source};
  filter.params.assign(params.begin(), params.end());
  return filter;
}

/// The largest difference of any component, in code values.
inline double Worst(const Picture& a, const Picture& b) {
  double worst = 0;
  for (const Difference& d : Compare(a, b)) worst = std::max(worst, d.worst);
  return worst;
}

}  // namespace sluice::vulkan::testing

#endif  // SLUICE_NODES_VULKAN_LOOK_TESTING_H_
