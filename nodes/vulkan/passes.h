#ifndef SLUICE_NODES_VULKAN_PASSES_H_
#define SLUICE_NODES_VULKAN_PASSES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nodes/vulkan/result.h"
#include "nodes/vulkan/shape.h"
#include "nodes/vulkan/stage.h"

namespace sluice::vulkan {

/// A connected group of filters, as data: what passes are made from.
struct Network {
  /// Where an input's pixels come from.
  struct Source {
    enum class Kind { kNone, kBorder, kNode } kind = Kind::kNone;
    uint32_t index = 0;  ///< into `inputs` or `nodes`
  };
  struct Node {
    std::string name;
    std::vector<Stage> stages;    ///< none: the pixels go through as they are
    std::vector<Source> sources;  ///< by input port
  };
  std::vector<Node> nodes;             ///< in an order that respects the sources
  std::vector<Shape> inputs;           ///< frames that come in
  std::vector<Shape> outputs;          ///< frames that go out
  std::vector<uint32_t> output_nodes;  ///< whose result each output is
};

struct PassOptions {
  bool fuse = true;          ///< false: each stage is a pass of its own, half-float between
  uint64_t alignment = 256;  ///< bytes, of memory between passes
};

struct StageRef {
  uint32_t node = 0;
  uint32_t stage = 0;
  friend bool operator==(const StageRef&, const StageRef&) = default;
};

/// One dispatch.
struct Pass {
  /// A frame at the border, or memory of the island's own.
  struct Place {
    enum class Kind { kNone, kInput, kInner, kOutput } kind = Kind::kNone;
    uint32_t index = 0;  ///< into Network::inputs, PassPlan::inner or Network::outputs
    friend bool operator==(const Place&, const Place&) = default;
  };
  /// A stage whose result is no picture in memory.
  struct Step {
    StageRef stage;
    uint32_t width = 0;  ///< of the result, pixels
    uint32_t height = 0;
  };
  struct Input {
    Place place;
    Shape shape;
    /// Done with each pixel that the sampling stage reads, in order. One that samples has the
    /// result of those before it as its one input.
    std::vector<Step> chain;
  };
  std::vector<Input> inputs;
  /// Reads where it likes; its inputs are `sample_inputs`, indices into `inputs`. Nothing: the
  /// pixels of input 0.
  std::optional<StageRef> sample;
  std::vector<uint32_t> sample_inputs;
  std::vector<StageRef> tail;  ///< pointwise, in order
  Place to;
  Shape result;
  std::string apart;  ///< why it is not one with the pass before

  uint64_t bytes_read() const;
  uint64_t bytes_written() const { return result.FrameBytes(); }
};

/// Memory between passes: half-float R'G'B'A at `offset` bytes of one allocation. Those whose lives
/// do not meet share bytes.
struct InnerImage {
  Shape shape;
  uint64_t offset = 0;
};

struct PassPlan {
  std::vector<Pass> passes;
  std::vector<InnerImage> inner;
  uint64_t inner_bytes = 0;

  /// The names of the stages of a pass: "warm + fade".
  std::string Label(const Network& network, const Pass& pass) const;
  /// The nodes that have a stage in the pass, ascending.
  std::vector<uint32_t> NodesOf(const Network& network, const Pass& pass) const;
};

/// Puts the stages into as few passes as their kinds allow. Errors: InvalidArgument when the stages
/// do not fit together, and when sizes overflow.
Result<PassPlan> PlanPasses(const Network& network, const PassOptions& options);

}  // namespace sluice::vulkan

#endif  // SLUICE_NODES_VULKAN_PASSES_H_
