#include "engine/domain/domain.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace sluice::domain {
namespace {

Result<sync::Fence> ToFence(const sluice_fence& fence) {
  if (fence.kind == SLUICE_FENCE_SIGNALLED) return sync::Fence{};
  if (fence.kind != SLUICE_FENCE_TIMELINE || fence.timeline == nullptr) {
    return Fail(Code::kUnsupported,
                fmt::format("the domain returned a fence of kind {}", fence.kind));
  }
  return sync::Fence{RefPtr<sync::Timeline>(reinterpret_cast<sync::Timeline*>(fence.timeline)),
                     fence.point};
}

std::vector<sluice_island_port> ToAbi(const std::vector<Domain::IslandPort>& ports) {
  std::vector<sluice_island_port> out;
  for (const auto& port : ports) out.push_back({port.node, port.port});
  return out;
}

std::string Text(const char* text) { return text == nullptr ? "" : text; }

/// Those that exist: what a plugin says of its nodes is used as an index.
std::vector<uint32_t> Nodes(const uint32_t* nodes, uint32_t count, size_t known) {
  std::vector<uint32_t> out;
  for (uint32_t i = 0; i < count; ++i) {
    if (nodes[i] < known) out.push_back(nodes[i]);
  }
  return out;
}

/// The table of an island; borrows the description.
struct AbiIsland {
  explicit AbiIsland(const Domain::IslandDescription& from)
      : inputs(ToAbi(from.inputs)), outputs(ToAbi(from.outputs)) {
    desc.name = from.name.c_str();
    desc.epoch = from.epoch;
    desc.node_count = static_cast<uint32_t>(from.nodes.size());
    desc.nodes = from.nodes.data();
    desc.edge_count = static_cast<uint32_t>(from.edges.size());
    desc.edges = from.edges.data();
    desc.input_count = static_cast<uint32_t>(inputs.size());
    desc.inputs = inputs.data();
    desc.output_count = static_cast<uint32_t>(outputs.size());
    desc.outputs = outputs.data();
  }
  std::vector<sluice_island_port> inputs;
  std::vector<sluice_island_port> outputs;
  sluice_island_desc desc{};
};

struct PassCollector {
  std::vector<Pass> passes;
  size_t nodes = 0;
  static void Add(void* self, const sluice_pass* pass) {
    auto& me = *static_cast<PassCollector*>(self);
    me.passes.push_back({Text(pass->label), Text(pass->apart),
                         Nodes(pass->nodes, pass->node_count, me.nodes), pass->bytes_read,
                         pass->bytes_written});
  }
};

struct TimeCollector {
  std::vector<PassTime> times;
  size_t nodes = 0;
  static void Add(void* self, const sluice_pass_time* time) {
    auto& me = *static_cast<TimeCollector*>(self);
    me.times.push_back({Text(time->label), Nodes(time->nodes, time->node_count, me.nodes),
                        time->frames, time->total_ns, time->min_ns, time->max_ns});
  }
};

}  // namespace

std::vector<PassTime> Island::Measured() const {
  if (domain_->passes_ == nullptr || domain_->passes_->measured == nullptr) return {};
  TimeCollector collector{{}, nodes_};
  const sluice_pass_time_sink sink{&collector, &TimeCollector::Add};
  if (domain_->passes_->measured(domain_->domain_.self, island_, &sink) < 0) return {};
  return std::move(collector.times);
}

Island::~Island() { domain_->domain_.destroy_island(domain_->domain_.self, island_); }

Status Island::Submit(std::span<media::Frame* const> inputs, std::span<media::Frame* const> outputs,
                      std::span<sync::Fence> fences, sync::Fence* inputs_read) {
  SLUICE_CHECK(fences.size() == outputs.size() && fences_.size() == outputs.size() + 1);
  sluice_batch batch{};
  batch.sequence = sequence_++;
  batch.input_count = static_cast<uint32_t>(inputs.size());
  batch.output_count = static_cast<uint32_t>(outputs.size());
  batch.inputs = reinterpret_cast<sluice_frame* const*>(inputs.data());
  batch.outputs = reinterpret_cast<sluice_frame* const*>(outputs.data());
  const sluice_domain& abi = domain_->domain_;
  std::fill(fences_.begin(), fences_.end(), sluice_fence{SLUICE_FENCE_SIGNALLED, -1, nullptr, 0});
  int32_t result = abi.submit(abi.self, island_, &batch, fences_.data());
  if (result < 0) {
    return Fail(static_cast<Code>(result),
                fmt::format("{} refused a submission", domain_->info_.device_name));
  }
  for (size_t i = 0; i < fences_.size(); ++i) {
    auto fence = ToFence(fences_[i]);
    if (!fence) {
      // It was submitted, and nobody can tell when it is done: wait, this once.
      abi.wait_idle(abi.self, Clock::Real().Now() + 5'000'000'000);
      return tl::unexpected(fence.error());
    }
    (i < fences.size() ? fences[i] : *inputs_read) = std::move(*fence);
  }
  return {};
}

Result<std::unique_ptr<Domain>> Domain::Create(const sluice_host* host,
                                               const sluice_domain_factory& factory,
                                               const sluice_passes* passes,
                                               const std::string& domain_id,
                                               const std::string& selector) {
  sluice_param param{};
  param.name = "device";
  param.type = SLUICE_VALUE_STRING;
  param.given = 1;
  param.s = selector.c_str();
  sluice_param_set params{selector.empty() ? 0u : 1u, 0, &param};
  char message[1024] = "";
  std::unique_ptr<Domain> domain(new Domain);
  domain->passes_ = passes;
  int32_t result =
      factory.create(host, domain_id.c_str(), &params, &domain->domain_, message, sizeof message);
  if (result < 0) {
    domain->domain_ = {};
    return Fail(static_cast<Code>(result),
                message[0] != '\0' ? message : "no device for domain " + domain_id);
  }
  sluice_domain_info info{};
  result = domain->domain_.describe(domain->domain_.self, &info);
  if (result < 0) return Fail(static_cast<Code>(result), "describe the device");
  info.device_name[sizeof info.device_name - 1] = '\0';
  info.driver[sizeof info.driver - 1] = '\0';
  DomainInfo& out = domain->info_;
  out.id = domain_id;
  out.device_name = info.device_name;
  out.driver = info.driver;
  std::memcpy(out.device_uuid.data(), info.device_uuid, out.device_uuid.size());
  out.views = info.views;
  out.base_multiple = std::max(info.base_multiple, 1u);
  out.size_multiple = std::max(info.size_multiple, 1u);
  out.offset_multiple = std::max(info.offset_multiple, 1u);
  out.is_software = info.is_software != 0;
  return domain;
}

Domain::~Domain() {
  if (domain_.destroy != nullptr) domain_.destroy(domain_.self);
}

std::optional<Domain::Prediction> Domain::Predict(const IslandDescription& description) {
  if (passes_ == nullptr || passes_->predict == nullptr) return std::nullopt;
  const AbiIsland abi(description);
  PassCollector collector{{}, description.nodes.size()};
  const sluice_pass_sink sink{&collector, &PassCollector::Add};
  Prediction prediction;
  const int32_t result =
      passes_->predict(domain_.self, &abi.desc, description.input_formats.data(),
                       description.output_formats.data(), &sink, &prediction.inner_bytes);
  if (result < 0) return std::nullopt;
  prediction.passes = std::move(collector.passes);
  return prediction;
}

Result<std::unique_ptr<Island>> Domain::CreateIsland(const IslandDescription& description) {
  const AbiIsland abi(description);
  sluice_island* island = nullptr;
  int32_t result = domain_.create_island(domain_.self, &abi.desc, &island);
  if (result < 0) return Fail(static_cast<Code>(result), "prepare " + description.name);
  return std::unique_ptr<Island>(
      new Island(this, island, description.outputs.size(), description.nodes.size()));
}

void Domain::ForgetPool(uint32_t pool, uint32_t epoch) {
  domain_.forget_pool(domain_.self, pool, epoch);
}

Status Domain::WaitIdle(MonotonicNs deadline_ns) {
  // Asked once: a plugin says in the log what it answers.
  int32_t result = lost_ ? SLUICE_E_DEVICE_LOST : domain_.wait_idle(domain_.self, deadline_ns);
  if (result == SLUICE_E_DEVICE_LOST) {
    lost_ = true;
    return Fail(Code::kDeviceLost, info_.device_name + ": the device is lost");
  }
  if (result < 0) return Fail(static_cast<Code>(result), info_.device_name + " is not idle");
  return {};
}

bool Domain::IsLost() {
  Status idle = WaitIdle(Clock::Real().Now());
  return !idle && idle.error().code == Code::kDeviceLost;
}

}  // namespace sluice::domain
