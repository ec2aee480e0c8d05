#include "nodes/vulkan/passes.h"

#include <algorithm>
#include <set>
#include <string_view>

namespace sluice::vulkan {
namespace {

/// What a stage makes, or what comes in: read by any number of stages.
struct Value {
  Pass::Place place;
  Shape shape;
  uint32_t uses = 0;
  std::optional<uint32_t> pass;  ///< that makes it and may still grow
};

constexpr std::string_view kSeveral = "its source is read by several";
constexpr std::string_view kSamples = "reads pixels other than its own";
constexpr std::string_view kAround = "its source reads several pixels for one";
constexpr std::string_view kNotOne = "its source is not made of one picture";
constexpr std::string_view kUnfused = "fusion is switched off";

class Planner {
 public:
  Planner(const Network& network, const PassOptions& options)
      : network_(network), options_(options) {}

  Result<PassPlan> Run() {
    CountUses();
    for (const Shape& shape : network_.inputs) {
      const auto index = static_cast<uint32_t>(values_.size());
      values_.push_back({{Pass::Place::Kind::kInput, index}, shape, 0, std::nullopt});
    }
    for (uint32_t n = 0; n < network_.nodes.size(); ++n) {
      if (Status s = AddNode(n); !s) return tl::unexpected(s.error());
    }
    for (uint32_t o = 0; o < network_.outputs.size(); ++o) {
      if (Status s = AddOutput(o); !s) return tl::unexpected(s.error());
    }
    if (Status s = PlaceInner(); !s) return tl::unexpected(s.error());
    return std::move(plan_);
  }

 private:
  void CountUses() {
    node_uses_.assign(network_.nodes.size(), 0);
    for (const Network::Node& node : network_.nodes) {
      for (const Network::Source& source : node.sources) {
        if (source.kind == Network::Source::Kind::kNode) ++node_uses_[source.index];
      }
    }
    for (const uint32_t node : network_.output_nodes) ++node_uses_[node];
  }

  std::string Name(uint32_t node) const { return network_.nodes[node].name; }

  Status AddNode(uint32_t n) {
    const Network::Node& node = network_.nodes[n];
    std::vector<std::optional<uint32_t>> ports;
    for (const Network::Source& source : node.sources) {
      if (source.kind == Network::Source::Kind::kNone) {
        ports.emplace_back(std::nullopt);
      } else if (source.kind == Network::Source::Kind::kBorder) {
        ports.emplace_back(source.index);
      } else if (source.index < n) {
        ports.emplace_back(results_[source.index]);
      } else {
        return Fail(SLUICE_E_INVALID_ARGUMENT, Name(n) + ": reads a node that comes later");
      }
    }
    std::optional<uint32_t> previous;
    if (node.stages.empty()) {
      if (ports.empty() || !ports[0])
        return Fail(SLUICE_E_INVALID_ARGUMENT, Name(n) + ": has nothing to work on");
      // As it is: the same value under another name, with its uses.
      results_.push_back(*ports[0]);
      values_[*ports[0]].uses += node_uses_[n];
      // The use by this node is none.
      if (values_[*ports[0]].uses > 0) --values_[*ports[0]].uses;
      return {};
    }
    for (uint32_t s = 0; s < node.stages.size(); ++s) {
      std::vector<std::optional<uint32_t>> sources;
      for (const uint32_t input : node.stages[s].inputs) {
        if (input == Stage::kPrevious) {
          if (!previous) return Fail(SLUICE_E_INTERNAL, Name(n) + ": no stage before the first");
          sources.push_back(previous);
        } else {
          sources.push_back(input < ports.size() ? ports[input] : std::nullopt);
        }
      }
      const uint32_t uses = s + 1 == node.stages.size() ? node_uses_[n] : UsesOfStage(node, s);
      auto value = AddStage({n, s}, node.stages[s], sources, uses);
      if (!value) return tl::unexpected(value.error());
      previous = *value;
    }
    results_.push_back(*previous);
    return {};
  }

  /// A stage in the middle of a node is read by the next one alone.
  static uint32_t UsesOfStage(const Network::Node& node, uint32_t stage) {
    const auto& inputs = node.stages[stage + 1].inputs;
    return static_cast<uint32_t>(std::count(inputs.begin(), inputs.end(), Stage::kPrevious));
  }

  Result<uint32_t> AddStage(StageRef ref, const Stage& stage,
                            const std::vector<std::optional<uint32_t>>& sources, uint32_t uses) {
    if (sources.empty()) return AddSample(ref, stage, sources, uses);
    if (stage.kind == Stage::Kind::kPointwise) {
      if (!sources[0])
        return Fail(SLUICE_E_INVALID_ARGUMENT, Name(ref.node) + ": has nothing to work on");
      return AddPointwise(ref, stage, *sources[0], uses);
    }
    return AddSample(ref, stage, sources, uses);
  }

  /// Why a pointwise stage cannot go into the pass that makes its source; "" if it can.
  std::string WhyApart(const Value& source, const Stage& stage) const {
    if (!source.pass) return "";
    if (!options_.fuse) return std::string(kUnfused);
    if (stage.samples) return std::string(kSamples);
    if (source.uses > 1) return std::string(kSeveral);
    return "";
  }

  Result<uint32_t> AddPointwise(StageRef ref, const Stage& stage, uint32_t source, uint32_t uses) {
    const std::string apart = WhyApart(values_[source], stage);
    if (values_[source].pass && apart.empty()) {
      const uint32_t pass = *values_[source].pass;
      plan_.passes[pass].tail.push_back(ref);
      values_[source].pass.reset();
      return AddValue(values_[source].shape, uses, pass, values_[source].place);
    }
    Pass pass;
    if (Status s = AddInput(source, pass); !s) return tl::unexpected(s.error());
    pass.tail.push_back(ref);
    pass.apart = apart;
    return Open(std::move(pass), values_[source].shape.width, values_[source].shape.height, uses);
  }

  Result<uint32_t> AddSample(StageRef ref, const Stage& stage,
                             const std::vector<std::optional<uint32_t>>& sources, uint32_t uses) {
    Pass pass;
    pass.sample = ref;
    uint32_t width = stage.width, height = stage.height;
    for (size_t i = 0; i < sources.size(); ++i) {
      pass.sample_inputs.push_back(static_cast<uint32_t>(pass.inputs.size()));
      if (!sources[i]) {
        pass.inputs.emplace_back();
        continue;
      }
      if (width == 0) width = values_[*sources[i]].shape.width;
      if (height == 0) height = values_[*sources[i]].shape.height;
      if (Status s = AddSampled(*sources[i], stage, pass); !s) return tl::unexpected(s.error());
    }
    if (width == 0 || height == 0)
      return Fail(SLUICE_E_INVALID_ARGUMENT, Name(ref.node) + ": has no size");
    return Open(std::move(pass), width, height, uses);
  }

  /// Why the pass that makes `source` cannot be done on the way into `stage`, which samples; "" if
  /// it can.
  std::string_view WhyNotOnTheWay(const Value& source, const Stage& stage) const {
    if (!options_.fuse) return kUnfused;
    if (!stage.reads_once) return kSamples;
    if (source.uses > 1) return kSeveral;
    const Pass& before = plan_.passes[*source.pass];
    if (before.inputs.size() != 1) return kNotOne;
    return ReadsAround(before) ? kAround : "";
  }

  /// An input of a sampling stage.
  Status AddSampled(uint32_t source, const Stage& stage, Pass& pass) {
    const Value& value = values_[source];
    if (value.pass) {
      const std::string_view apart = WhyNotOnTheWay(value, stage);
      if (apart.empty()) {
        AddOnTheWay(*value.pass, pass);
        return {};
      }
      pass.apart = apart;
    }
    if (stage.wide && (value.shape.is_yuv() || value.shape.far)) {
      // Unpacked or brought over once instead of at each of many reads.
      const Shape shape = value.shape;
      Pass unpack;
      if (Status s = AddInput(source, unpack); !s) return s;
      auto inner = Open(std::move(unpack), shape.width, shape.height, 1);
      if (!inner) return tl::unexpected(inner.error());
      pass.apart =
          shape.far ? "host memory is brought over first" : "subsampled pixels are unpacked first";
      return AddInput(*inner, pass);
    }
    return AddInput(source, pass);
  }

  const Stage& StageOf(const StageRef& ref) const {
    return network_.nodes[ref.node].stages[ref.stage];
  }

  /// Whether the pass reads several pixels for one of its result.
  bool ReadsAround(const Pass& pass) const {
    if (pass.sample && !StageOf(*pass.sample).reads_once) return true;
    return std::any_of(pass.tail.begin(), pass.tail.end(),
                       [&](const StageRef& ref) { return StageOf(ref).samples; });
  }

  /// The pass `done` is done by `pass`, for each pixel that it reads of its result.
  void AddOnTheWay(uint32_t done, Pass& pass) {
    const Pass& before = plan_.passes[done];
    Pass::Input input = before.inputs[0];
    const auto add = [&](const StageRef& ref) {
      input.chain.push_back({ref, before.result.width, before.result.height});
    };
    if (before.sample) add(*before.sample);
    std::for_each(before.tail.begin(), before.tail.end(), add);
    if (!before.apart.empty()) pass.apart = before.apart;
    pass.inputs.push_back(std::move(input));
    discarded_.insert(done);
  }

  Status AddInput(uint32_t source, Pass& pass) {
    values_[source].pass.reset();  // read by another: it does not grow any more
    pass.inputs.push_back({values_[source].place, values_[source].shape, {}});
    return {};
  }

  Result<uint32_t> Open(Pass pass, uint32_t width, uint32_t height, uint32_t uses) {
    auto shape = HalfFloatShape(width, height);
    if (!shape) return tl::unexpected(shape.error());
    const Pass::Place place{Pass::Place::Kind::kInner, static_cast<uint32_t>(plan_.inner.size())};
    plan_.inner.push_back({*shape, 0});
    pass.to = place;
    pass.result = *shape;
    plan_.passes.push_back(std::move(pass));
    return AddValue(*shape, uses, static_cast<uint32_t>(plan_.passes.size() - 1), place);
  }

  uint32_t AddValue(const Shape& shape, uint32_t uses, uint32_t pass, Pass::Place place) {
    values_.push_back({place, shape, uses, pass});
    return static_cast<uint32_t>(values_.size() - 1);
  }

  Status AddOutput(uint32_t o) {
    const Shape& shape = network_.outputs[o];
    const uint32_t source = results_[network_.output_nodes[o]];
    Value& value = values_[source];
    if (value.shape.width != shape.width || value.shape.height != shape.height) {
      return Fail(SLUICE_E_INVALID_ARGUMENT,
                  Name(network_.output_nodes[o]) + ": makes " + std::to_string(value.shape.width) +
                      "x" + std::to_string(value.shape.height) + ", not " +
                      std::to_string(shape.width) + "x" + std::to_string(shape.height));
    }
    const Pass::Place to{Pass::Place::Kind::kOutput, o};
    if (value.pass && value.uses <= 1) {
      plan_.passes[*value.pass].to = to;
      plan_.passes[*value.pass].result = shape;
      value.pass.reset();
      return {};
    }
    Pass pass;
    pass.apart = value.place.kind == Pass::Place::Kind::kInner ? std::string(kSeveral) : "";
    if (Status s = AddInput(source, pass); !s) return s;
    pass.to = to;
    pass.result = shape;
    plan_.passes.push_back(std::move(pass));
    return {};
  }

  /// Drops passes that others do, and gives the memory between passes its places.
  Status PlaceInner() {
    std::vector<Pass> passes;
    for (uint32_t p = 0; p < plan_.passes.size(); ++p) {
      if (discarded_.count(p) == 0) passes.push_back(std::move(plan_.passes[p]));
    }
    plan_.passes = std::move(passes);
    if (!plan_.passes.empty()) plan_.passes.front().apart.clear();
    struct Life {
      uint32_t image, first, last;
    };
    std::vector<Life> lives;
    for (uint32_t i = 0; i < plan_.inner.size(); ++i) {
      std::optional<uint32_t> first;
      uint32_t last = 0;
      for (uint32_t p = 0; p < plan_.passes.size(); ++p) {
        const Pass& pass = plan_.passes[p];
        const bool read =
            std::any_of(pass.inputs.begin(), pass.inputs.end(), [&](const Pass::Input& input) {
              return input.place.kind == Pass::Place::Kind::kInner && input.place.index == i;
            });
        const bool written = pass.to.kind == Pass::Place::Kind::kInner && pass.to.index == i;
        if (!read && !written) continue;
        if (!first) first = p;
        last = p;
      }
      if (first) lives.push_back({i, *first, last});
    }
    for (size_t l = 0; l < lives.size(); ++l) {
      InnerImage& image = plan_.inner[lives[l].image];
      // The lowest place that is free while it lives.
      uint64_t offset = 0;
      for (bool moved = true; moved;) {
        moved = false;
        for (size_t k = 0; k < l; ++k) {
          if (lives[k].last < lives[l].first || lives[k].first > lives[l].last) continue;
          const InnerImage& other = plan_.inner[lives[k].image];
          if (offset >= other.offset + Size(other) || offset + Size(image) <= other.offset)
            continue;
          offset = other.offset + Size(other);
          moved = true;
        }
      }
      image.offset = offset;
      plan_.inner_bytes = std::max(plan_.inner_bytes, offset + Size(image));
    }
    return {};
  }

  uint64_t Size(const InnerImage& image) const {
    return (image.shape.bytes + options_.alignment - 1) / options_.alignment * options_.alignment;
  }

  const Network& network_;
  const PassOptions& options_;
  PassPlan plan_;
  std::vector<Value> values_;
  std::vector<uint32_t> results_;  // of nodes, into values_
  std::vector<uint32_t> node_uses_;
  std::set<uint32_t> discarded_;
};

void AddRefs(const Pass& pass, std::vector<StageRef>& refs) {
  for (const Pass::Input& input : pass.inputs) {
    for (const Pass::Step& step : input.chain) refs.push_back(step.stage);
  }
  if (pass.sample) refs.push_back(*pass.sample);
  refs.insert(refs.end(), pass.tail.begin(), pass.tail.end());
}

}  // namespace

uint64_t Pass::bytes_read() const {
  uint64_t bytes = 0;
  for (const Input& input : inputs) {
    if (input.place.kind != Place::Kind::kNone) bytes += input.shape.FrameBytes();
  }
  return bytes;
}

std::string PassPlan::Label(const Network& network, const Pass& pass) const {
  std::vector<StageRef> refs;
  AddRefs(pass, refs);
  std::string label;
  for (const StageRef& ref : refs) {
    if (!label.empty()) label += " + ";
    label += network.nodes[ref.node].stages[ref.stage].label;
  }
  if (!label.empty()) return label;
  return pass.to.kind == Pass::Place::Kind::kInner ? "unpack" : "convert";
}

std::vector<uint32_t> PassPlan::NodesOf(const Network& network, const Pass& pass) const {
  std::vector<StageRef> refs;
  AddRefs(pass, refs);
  std::set<uint32_t> nodes;
  for (const StageRef& ref : refs) nodes.insert(ref.node);
  if (nodes.empty() && pass.to.kind == Pass::Place::Kind::kOutput)
    nodes.insert(network.output_nodes[pass.to.index]);
  return {nodes.begin(), nodes.end()};
}

Result<PassPlan> PlanPasses(const Network& network, const PassOptions& options) {
  return Planner(network, options).Run();
}

}  // namespace sluice::vulkan
