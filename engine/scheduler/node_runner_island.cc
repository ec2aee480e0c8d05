// How a runner fires the nodes of an island: by their domain, all at once.

#include <algorithm>
#include <utility>

#include "engine/scheduler/node_runner.h"

namespace sluice::scheduler {

/// Every source inside is asked once for each firing. False: not now, or no more.
bool NodeRunner::AskSources(Fired* outcome) {
  for (size_t i = 0; i < sources_.size(); ++i) {
    if (!options_.members[i].is_source || sources_[i].asked) continue;
    const int32_t result = AskSource(i);
    if (result == SLUICE_PROCESS_DONE) {
      sources_[i].asked = true;
      continue;
    }
    ReturnReserved();
    *outcome = Fired::kYes;
    if (result == SLUICE_PROCESS_NEED_MORE) {
      needs_wake_ = true;
      *outcome = NotFired(Waiting::kWake, 0);
    } else if (result == SLUICE_PROCESS_END) {
      *outcome = StartDrain();
    } else {
      HandleError(static_cast<Code>(result < 0 ? result : SLUICE_E_INTERNAL), "process() failed");
    }
    return false;
  }
  for (SourceState& source : sources_) source.asked = false;
  return true;
}

int32_t NodeRunner::AskSource(size_t index) {
  const Member& member = options_.members[index];
  SourceState& source = sources_[index];
  source.info = {};
  source.info.sequence = stats_.fired.value();
  if (!member.instance->HasProcess()) return SLUICE_PROCESS_DONE;
  // Some reserved frame, to write its info into: each output gets its own in the end.
  media::Frame* frame = nullptr;
  for (media::Frame* reserved : output_frames_) {
    if (frame == nullptr) frame = reserved;
  }
  if (frame != nullptr) frame->info = source.info;
  std::fill(source.outputs.begin(), source.outputs.end(), frame);
  invocation_.store(invocation_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  sluice_invocation invocation{};
  invocation.id = invocation_.load(std::memory_order_relaxed);
  invocation.output_count = static_cast<uint32_t>(source.outputs.size());
  invocation.outputs = reinterpret_cast<sluice_frame* const*>(source.outputs.data());
  const int32_t result = member.instance->Process(invocation);
  if (frame != nullptr) source.info = frame->info;
  return result;
}

/// The outputs' frames are of the time of what drives them.
void NodeRunner::SetInfos() {
  born_ns_ = 0;
  for (size_t i = 0; i < input_frames_.size(); ++i) {
    if (input_frames_[i] == nullptr || options_.inputs[i].sampled) continue;
    born_ns_ = input_frames_[i]->born_ns();
    break;
  }
  for (size_t i = 0; i < output_frames_.size(); ++i) {
    if (output_frames_[i] == nullptr) continue;
    const Output& output = options_.outputs[i];
    if (output.info_from_source) {
      output_frames_[i]->info = sources_[output.info_from].info;
    } else if (input_frames_[output.info_from] != nullptr) {
      output_frames_[i]->info = input_frames_[output.info_from]->info;
    }
  }
}

/// What the nodes inside did, whose frames nobody sees.
void NodeRunner::CountIsland() {
  for (const Member& member : options_.members) {
    NodeStats& stats = member.context->stats;
    if (&stats != &stats_) stats.fired.Add(1);
    stats.rate.Tick();
    if (member.inner_inputs != 0) stats.frames_in.Add(member.inner_inputs);
    if (member.inner_outputs != 0) stats.frames_out.Add(member.inner_outputs);
    if (member.is_sink && born_ns_ != 0) {
      stats.latency_ns.Record(Clock::Real().Now() - born_ns_);
    }
  }
}

NodeRunner::Fired NodeRunner::FireIsland() {
  SetInfos();
  bool sample = until_sample_-- == 0;
  MonotonicNs begin = sample ? Clock::Real().Now() : 0;
  if (source() && sample) born_ns_ = begin;
  sync::Fence inputs_read;
  Status submitted = options_.island->Submit(input_frames_, output_frames_, output_fences_,
                                             &inputs_read);
  if (sample) {
    until_sample_ = NextSample();
    stats_.process_ns.Record(Clock::Real().Now() - begin);
  }
  for (media::Frame*& frame : input_frames_) {
    if (frame != nullptr) std::exchange(frame, nullptr)->Release(inputs_read);
  }
  if (!submitted) {
    ReturnReserved();
    HandleError(submitted.error().code, submitted.error().message);
    return Fired::kYes;
  }
  CountIsland();
  for (size_t i = 0; i < output_frames_.size(); ++i) {
    media::Frame* frame = std::exchange(output_frames_[i], nullptr);
    if (frame == nullptr) continue;
    frame->Publish(std::move(output_fences_[i]), born_ns_);
    output_fences_[i] = {};
    Send(options_.outputs[i], frame);
  }
  return Fired::kYes;
}

}  // namespace sluice::scheduler
