#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "engine/graph/negotiate.h"
#include "engine/graph/testing/types.h"

namespace sluice::graph::testing {

/// Types, a graph of them and the input of a negotiation, kept together.
struct Case {
  Case(std::vector<NodeType> list, const std::string& text, const Settings& settings = {})
      : types(std::move(list)), graph(MakeGraph(text, types, settings)) {
    input.graph = &graph;
    for (const std::string& name : types.Names()) {
      if (types.Find(name)->converter) input.converters.push_back(types.Find(name));
    }
  }
  Result<Plan> Run() const { return Negotiate(input); }
  Plan Succeed() const {
    Result<Plan> plan = Run();
    EXPECT_TRUE(plan) << plan.error().message;
    return plan ? *plan : Plan();
  }
  std::string Refusal() const {
    Result<Plan> plan = Run();
    EXPECT_FALSE(plan);
    return plan ? "" : plan.error().message;
  }

  TypeList types;
  Graph graph;
  NegotiationInput input;
};

inline const PlanNet& NetOf(const Plan& plan, const std::string& producer) {
  for (const PlanNet& net : plan.nets) {
    if (plan.PortName(net.producer) == producer) return net;
  }
  ADD_FAILURE() << "no net " << producer;
  static const PlanNet none;
  return none;
}
inline std::string FourccOf(const Plan& plan, const std::string& producer) {
  return media::FourccName(NetOf(plan, producer).format.fourcc);
}
inline bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

inline Offer DeviceOffer(const std::string& fourccs, uint8_t device) {
  Offer offer = CpuOffer(fourccs, kViewDevice);
  offer.allocates = kViewDevice;
  offer.device_uuid[0] = device;
  offer.sync = kSyncTimeline | kSyncCpuDone;
  return offer;
}
inline NodeType OnDevice(NodeType type) {
  type.domain = "vulkan";
  for (PortDesc& port : type.ports) port.access = Access::kDevice;
  return type;
}

}  // namespace sluice::graph::testing
