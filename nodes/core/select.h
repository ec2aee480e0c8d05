#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include <sluice/sdk.hpp>

#include "nodes/core/frame_ranges.h"

namespace sluice::core {

/// Passes the frames on that meet every given condition, and ends when none can follow.
class Select : public sdk::Node<Select> {
 public:
  static constexpr const char* kType = "core.select";

  struct Conditions {
    std::optional<FrameRanges> frames;
    uint64_t every = 1;
    std::optional<int64_t> from_ns;
    std::optional<int64_t> to_ns;
  };
  /// Errors: INVALID_ARGUMENT.
  static sdk::Expected<std::unique_ptr<Select>> Create(sdk::NodeContext context,
                                                       const sdk::Params& params);
  Select(sdk::NodeContext context, Conditions conditions)
      : Node(context), conditions_(std::move(conditions)) {}

  sdk::Status Start();
  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation);

 private:
  bool Wanted(uint64_t index, int64_t pts_ns);
  bool NothingFollows(uint64_t index, int64_t pts_ns) const;

  const Conditions conditions_;
  uint64_t next_index_ = 0;
  uint64_t met_ = 0;  ///< frames that met the other conditions, for `every`
};

}  // namespace sluice::core
