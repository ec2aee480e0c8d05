// Islands: from nodes to a program, and what others are told of its passes.
#include <algorithm>
#include <chrono>
#include <utility>

#include "nodes/vulkan/domain.h"

namespace sluice::vulkan {
namespace {

constexpr uint32_t kFileSyncs = SLUICE_SYNC_SYNC_FILE | SLUICE_SYNC_SYNCOBJ | SLUICE_SYNC_IMPLICIT;
constexpr std::chrono::seconds kWarmUpLimit{60};

sdk::Status ToStatus(const Error& error) { return sdk::Status(error.code, error.message); }

std::vector<Program::NodeData> DataOf(std::span<const FilterNode* const> nodes) {
  std::vector<Program::NodeData> data;
  for (const FilterNode* node : nodes) {
    std::vector<float> numbers(node->param_count());
    node->CopyParams(numbers);
    data.push_back({std::move(numbers), node->Table()});
  }
  return data;
}

/// The copies of what is brought over: a pass reads it, so its port is one of its node's.
void AddCopies(const std::vector<bool>& brought, const sluice_island_desc& desc,
               std::span<const FilterNode* const> nodes, const Network& network,
               sdk::PassSink& sink) {
  for (uint32_t i = 0; i < brought.size(); ++i) {
    if (!brought[i]) continue;
    const sluice_island_port& at = desc.inputs[i];
    const std::string label =
        CopyLabel(true, network.nodes[at.node].name, nodes[at.node]->input_names()[at.port]);
    const uint64_t bytes = network.inputs[i].bytes;
    sink.Add({label.c_str(), "", &at.node, 1, 0, bytes, bytes});
  }
}

}  // namespace

VulkanDomain::Island::Island(VulkanDomain& owner)
    : domain(owner), gpu(std::make_unique<Resources>(owner.device())) {}

VulkanDomain::Island::~Island() {
  domain.reloader_.Cancel(this);
  if (!domain.IsOver(last_point, last_copies)) (void)gpu.release();
}

uint64_t VulkanDomain::Island::Generation() const {
  uint64_t sum = 0;
  for (const FilterNode* node : nodes) sum += node->generation();
  return sum;
}

Status VulkanDomain::AddBorders(const sluice_island_desc& desc, Island& island) {
  std::vector<sluice_format> inputs, outputs;
  const auto add = [&](const sluice_island_port& port, bool is_input) -> Status {
    if (port.node >= island.nodes.size())
      return Fail(SLUICE_E_INVALID_ARGUMENT, "a border of no node");
    const FilterNode& node = *island.nodes[port.node];
    if (is_input && port.port >= node.inputs().size())
      return Fail(SLUICE_E_INVALID_ARGUMENT, "a border of no port");
    Border border;
    border.node = &node;
    border.index = port.node;
    border.port = is_input ? node.inputs()[port.port] : node.output();
    auto shape = MakeShape(border.port.format, border.port.layout);
    if (!shape) return tl::unexpected(shape.error());
    border.shape = *shape;
    border.shape.far = device_->has_link() && (border.port.views & SLUICE_VIEW_DEVICE) == 0;
    (is_input ? island.input_borders : island.output_borders).push_back(border);
    (is_input ? inputs : outputs).push_back(border.port.format);
    return {};
  };
  for (uint32_t i = 0; i < desc.input_count; ++i) {
    if (Status s = add(desc.inputs[i], true); !s) return s;
  }
  for (uint32_t i = 0; i < desc.output_count; ++i) {
    if (Status s = add(desc.outputs[i], false); !s) return s;
  }
  auto network = MakeNetwork(desc, island.nodes, inputs, outputs);
  if (!network) return tl::unexpected(network.error());
  island.network = std::move(*network);
  // The layouts as they are, not as they would be.
  for (size_t i = 0; i < island.input_borders.size(); ++i)
    island.network.inputs[i] = island.input_borders[i].shape;
  for (size_t i = 0; i < island.output_borders.size(); ++i)
    island.network.outputs[i] = island.output_borders[i].shape;
  ChooseBrought(island);
  OpenCopyTimes(island);
  return {};
}

PassOptions VulkanDomain::Passes() const {
  PassOptions options;
  options.fuse = fuse_;
  return options;
}

Result<std::shared_ptr<Program>> VulkanDomain::MakeProgram(const Island& island, Network network) {
  Program::Options options;
  options.passes = Passes();
  options.settle = settle_;
  auto program =
      Program::Create(*device_, *kernels_, std::move(network), DataOf(island.nodes), options);
  if (!program) return tl::unexpected(program.error());
  return std::shared_ptr<Program>(std::move(*program));
}

Status VulkanDomain::WarmUp(Island& island, Program& program) {
  if (!device_->is_software()) return {};
  auto recording = program.PrepareWarmUp(queue_->completed());
  if (!recording) return tl::unexpected(recording.error());
  auto point = queue_->Submit(Program::Commands(**recording), 0);
  if (!point) return tl::unexpected(point.error());
  program.Submitted(**recording, *point);
  island.last_point = *point;
  // Late: then the first frame waits for it.
  (void)queue_->WaitIdle(std::chrono::steady_clock::now() + kWarmUpLimit);
  return {};
}

Status VulkanDomain::CheckSync(const Island& island) const {
  uint32_t sync = 0;
  for (const auto* borders : {&island.input_borders, &island.output_borders}) {
    for (const Border& border : *borders) sync |= border.port.sync;
  }
  if ((sync & kFileSyncs) == 0 || device_->info().external.sync_files()) return {};
  return Fail(SLUICE_E_UNSUPPORTED, device_->info().name + " has no sync_files (SYNC_FD)");
}

sdk::Expected<std::unique_ptr<VulkanDomain::Island>> VulkanDomain::CreateIsland(
    const sluice_island_desc& desc) {
  auto island = std::make_unique<Island>(*this);
  island->name = desc.name;
  const auto fail = [&](const Error& error) {
    const sdk::Status status(error.code, device_->info().name + ": " + error.message);
    // To a node as well: a result alone reaches the user as a code.
    if (!island->nodes.empty()) island->nodes.front()->host_context().Fail(status);
    return status;
  };
  auto nodes = FilterNodesOf(desc);
  if (!nodes) return fail(nodes.error());
  island->nodes = std::move(*nodes);
  // Before the stages are asked for: what changes after this is seen.
  island->generation = island->Generation();
  if (Status s = AddBorders(desc, *island); !s) return fail(s.error());
  for (const Border& border : island->input_borders)
    island->implicit |= (border.port.sync & SLUICE_SYNC_IMPLICIT) != 0;
  for (const Border& border : island->output_borders) {
    island->implicit |= (border.port.sync & SLUICE_SYNC_IMPLICIT) != 0;
    island->shows_files |= (border.port.sync & kFileSyncs) != 0;
  }
  island->shows_files |= island->implicit;
  if (Status s = CheckSync(*island); !s) return fail(s.error());
  auto program = MakeProgram(*island, island->network);
  if (!program) return fail(program.error());
  island->gpu->program = std::move(*program);
  island->infos.resize(desc.node_count);
  island->inputs.resize(desc.input_count);
  island->outputs.resize(desc.output_count);
  island->input_frames.resize(desc.input_count);
  island->output_frames.resize(desc.output_count);
  if (Status s = WarmUp(*island, *island->gpu->program); !s) return fail(s.error());
  return island;
}

// On the reloader's thread: the island goes on with the program it has.
void VulkanDomain::Rebuild(Island& island) {
  const auto made = [&]() -> Result<std::shared_ptr<Program>> {
    Network network = island.network;
    for (uint32_t n = 0; n < island.nodes.size(); ++n) {
      auto stages = island.nodes[n]->Stages(island.nodes[n]->ports());
      if (!stages) return tl::unexpected(stages.error());
      network.nodes[n].stages = std::move(*stages);
    }
    return MakeProgram(island, std::move(network));
  };
  auto program = made();
  if (!program) {
    host_.Log(SLUICE_LOG_ERROR, kDomain, "%s: stays as it is: %s", island.name.c_str(),
              program.error().message.c_str());
    return;
  }
  std::lock_guard<std::mutex> lock(island.next_mutex);
  island.next = std::move(*program);
}

void VulkanDomain::FollowChanges(Island& island) {
  const uint64_t changes = Changes::count();
  const uint64_t generation =
      changes == island.changes_seen ? island.generation : island.Generation();
  island.changes_seen = changes;
  if (generation != island.generation) {
    island.generation = generation;
    if (Status s = reloader_.Post(&island, [this, &island] { Rebuild(island); }); !s) {
      host_.Log(SLUICE_LOG_ERROR, kDomain, "%s: stays as it is: %s", island.name.c_str(),
                s.error().message.c_str());
    }
  }
  Island::Resources& gpu = *island.gpu;
  {
    std::unique_lock<std::mutex> lock(island.next_mutex, std::try_to_lock);
    if (lock.owns_lock() && island.next != nullptr) {
      gpu.former.emplace_back(island.last_point, std::move(gpu.program));
      gpu.program = std::move(island.next);
      island.next = nullptr;
    }
  }
  if (!gpu.former.empty()) {
    const uint64_t completed = queue_->completed();
    std::erase_if(gpu.former, [&](const auto& old) { return old.first <= completed; });
  }
}

sdk::Expected<uint64_t> VulkanDomain::Predict(const sluice_island_desc& desc,
                                              std::span<const sluice_format> inputs,
                                              std::span<const sluice_format> outputs,
                                              sdk::PassSink& sink) {
  auto nodes = FilterNodesOf(desc);
  if (!nodes) return ToStatus(nodes.error());
  auto network = MakeNetwork(desc, *nodes, inputs, outputs);
  if (!network) return ToStatus(network.error());
  for (Shape& shape : network->inputs) shape.far = device_->has_link();
  PassOptions options = Passes();
  std::vector<bool> brought(network->inputs.size());
  if (transfer_in_ != nullptr)
    brought = BringOver(std::vector<bool>(brought.size(), true), options, *network);
  options.alignment = std::max<uint64_t>(options.alignment, device_->info().binding_alignment);
  auto plan = PlanPasses(*network, options);
  if (!plan) return ToStatus(plan.error());
  ExplainBrought(brought, *network, *plan);
  AddCopies(brought, desc, *nodes, *network, sink);
  for (const Pass& pass : plan->passes) {
    const std::string label = plan->Label(*network, pass);
    const std::vector<uint32_t> of = plan->NodesOf(*network, pass);
    const sluice_pass out{
        label.c_str(),     pass.apart.c_str(),  of.data(), static_cast<uint32_t>(of.size()), 0,
        pass.bytes_read(), pass.bytes_written()};
    sink.Add(out);
  }
  return plan->inner_bytes;
}

sdk::Status VulkanDomain::Measured(const Island& island, sdk::PassTimeSink& sink) {
  const bool times_passes = device_->info().timestamp_ns > 0;
  const bool times_copies = transfer_in_ != nullptr && device_->transfer().timestamp_ns > 0;
  if (!times_passes && !times_copies)
    return sdk::Status(SLUICE_E_UNSUPPORTED, "no queue has timestamps");
  AddCopyTimes(island, true, sink);
  Program& program = *island.gpu->program;
  program.CollectTimes(queue_->completed());
  for (size_t p = 0; times_passes && p < program.plan().passes.size(); ++p) {
    const Pass& pass = program.plan().passes[p];
    const PassTime& time = program.times()[p];
    const std::string label = program.plan().Label(program.network(), pass);
    const std::vector<uint32_t> of = program.plan().NodesOf(program.network(), pass);
    const sluice_pass_time out{
        label.c_str(), of.data(),     static_cast<uint32_t>(of.size()),  0,
        time.frames,   time.total_ns, time.frames > 0 ? time.min_ns : 0, time.max_ns};
    sink.Add(out);
  }
  AddCopyTimes(island, false, sink);
  return {};
}

}  // namespace sluice::vulkan
