#pragma once

#include <utility>

#include <sluice/sdk.hpp>

namespace sluice::core {

/// Releases every frame at once.
class Null : public sdk::Node<Null> {
 public:
  static constexpr const char* kType = "core.null";
  Null(sdk::NodeContext context, const sdk::Params& /*params*/) : Node(context) {}

  // The invocation gives its inputs back by itself.
  sdk::Expected<sdk::Process> Process(sdk::Invocation& /*invocation*/) {
    return sdk::Process::kDone;
  }
};

/// Passes every frame on, untouched: the least that a hop can cost.
class Identity : public sdk::Node<Identity> {
 public:
  static constexpr const char* kType = "core.identity";
  Identity(sdk::NodeContext context, const sdk::Params& /*params*/) : Node(context) {}

  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation) {
    sdk::Frame frame = invocation.TakeInput(0);
    if (!frame) return sdk::Process::kNeedMore;
    if (sdk::Status status = context().Emit(0, std::move(frame)); !status.ok()) return status;
    return sdk::Process::kDone;
  }
};

}  // namespace sluice::core
