#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <sluice/sdk.hpp>

#include "nodes/core/pattern.h"

namespace sluice::core {

/// Emits test pictures. A still picture is painted once into each buffer; only its counter changes
/// from then on, because nobody but the producer writes to a pool's buffers.
class TestSource : public sdk::Node<TestSource> {
 public:
  static constexpr const char* kType = "core.testsrc";

  /// Errors: INVALID_ARGUMENT.
  static sdk::Expected<std::unique_ptr<TestSource>> Create(sdk::NodeContext context,
                                                           const sdk::Params& params);

  struct Options {
    Pattern pattern = Pattern::kBars;
    sdk::Size size;
    sluice_rate rate{30, 1};
    std::optional<uint32_t> fourcc;
    uint64_t frames = 0;  ///< 0 = without end
    uint64_t seed = 1;
    bool counter = true;
  };
  TestSource(sdk::NodeContext context, const Options& options) : Node(context), options_(options) {}

  sdk::Status Configure(const sdk::Configuration& configuration);
  sdk::Status Reconfigure(const sdk::Configuration& configuration);
  sdk::Status Start();
  sdk::Expected<sdk::Process> Process(sdk::Invocation& invocation);

 private:
  /// A byte of the painted picture outside the counter, to notice a buffer that somebody wrote to.
  struct Sample {
    uint32_t plane;
    uint64_t offset;
    uint8_t value;
  };

  /// True when it is too early; then process() will be called again.
  bool WaitForDueTime();
  sdk::Status Paint(const sdk::FrameRef& frame);
  void TakeSamples(const sdk::Mapping& mapping);
  bool SamplesHold(const sdk::Mapping& mapping) const;
  void Stamp(sluice_frame_info& info) const;
  int64_t PtsNs(uint64_t sequence) const;

  const Options options_;
  Painter painter_;
  sluice_format format_{};
  bool realtime_ = false;
  sdk::Pace pace_;
  uint64_t sequence_ = 0;
  std::vector<uint8_t> painted_;  ///< for each buffer of the epoch
  std::vector<Sample> samples_;
};

}  // namespace sluice::core
