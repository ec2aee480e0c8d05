#include "nodes/core/select.h"

#include <string>
#include <utility>

namespace sluice::core {

sdk::Expected<std::unique_ptr<Select>> Select::Create(sdk::NodeContext context,
                                                      const sdk::Params& params) {
  Conditions conditions;
  if (params.Has("frames")) {
    sdk::Expected<FrameRanges> ranges = FrameRanges::Parse(params.String("frames"));
    if (!ranges.ok()) {
      return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT, "frames: %s",
                                ranges.status().message().c_str());
    }
    conditions.frames = *std::move(ranges);
  }
  const int64_t every = params.Int("every", 1);
  if (every < 1) return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT, "every must be at least 1");
  conditions.every = static_cast<uint64_t>(every);
  if (params.Has("from")) conditions.from_ns = params.DurationNs("from");
  if (params.Has("to")) conditions.to_ns = params.DurationNs("to");
  return std::make_unique<Select>(context, std::move(conditions));
}

sdk::Status Select::Start() {
  next_index_ = 0;
  met_ = 0;
  return {};
}

bool Select::Wanted(uint64_t index, int64_t pts_ns) {
  if (conditions_.frames && !conditions_.frames->Contains(index)) return false;
  const bool timed = conditions_.from_ns || conditions_.to_ns;
  // A frame of unknown time lies in no span of time.
  if (timed && pts_ns == SLUICE_PTS_NONE) return false;
  if (conditions_.from_ns && pts_ns < *conditions_.from_ns) return false;
  if (conditions_.to_ns && pts_ns >= *conditions_.to_ns) return false;
  return met_++ % conditions_.every == 0;
}

bool Select::NothingFollows(uint64_t index, int64_t pts_ns) const {
  if (conditions_.frames && conditions_.frames->EndsAt(index)) return true;
  return conditions_.to_ns && pts_ns != SLUICE_PTS_NONE && pts_ns >= *conditions_.to_ns;
}

sdk::Expected<sdk::Process> Select::Process(sdk::Invocation& invocation) {
  sdk::Frame frame = invocation.TakeInput(0);
  if (!frame) return sdk::Process::kNeedMore;
  const uint64_t index = next_index_++;
  const int64_t pts_ns = frame.Info().pts_ns;
  if (Wanted(index, pts_ns)) {
    if (sdk::Status status = context().Emit(0, std::move(frame)); !status.ok()) return status;
  }
  return NothingFollows(index, pts_ns) ? sdk::Process::kEnd : sdk::Process::kDone;
}

}  // namespace sluice::core
