#pragma once

#include <cstdint>
#include <string>

#include <sluice/sdk.hpp>

#include "nodes/core/part_file.h"

namespace sluice::core {

/// Sums the visible pixels of every frame; a sink, or a hop when `out` is connected.
class Checksum : public sdk::Node<Checksum> {
 public:
  static constexpr const char* kType = "core.checksum";
  Checksum(sdk::NodeContext context, const sdk::Params& params)
      : Node(context), path_(params.String("path")), overwrite_(params.Bool("overwrite", false)) {}

  sdk::Status Configure(const sdk::Configuration& configuration);
  sdk::Status Reconfigure(const sdk::Configuration& configuration);
  sdk::Status Start();
  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation);
  sdk::Status Drain() { return {}; }
  void Stop(int64_t deadline_ns, bool completed);

 private:
  sdk::Status Write(const sdk::FrameRef& frame);
  sdk::Status Finish();

  const std::string path_;
  const bool overwrite_;
  bool replace_ = false;  ///< overwrite, or `run --force`
  bool passes_on_ = false;
  bool finished_ = false;
  uint64_t frames_ = 0;
  uint32_t total_ = 0;  ///< sum over the frames' sums
  PartFile file_;
};

}  // namespace sluice::core
