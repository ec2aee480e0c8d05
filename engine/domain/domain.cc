#include "engine/domain/domain.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace sluice::domain {
namespace {

Result<sync::Fence> ToFence(const sluice_fence& fence) {
  if (fence.kind == SLUICE_FENCE_SIGNALLED) return sync::Fence{};
  if (fence.kind != SLUICE_FENCE_TIMELINE || fence.timeline == nullptr) {
    return Fail(Code::kUnsupported, fmt::format("the domain returned a fence of kind {}", fence.kind));
  }
  return sync::Fence{RefPtr<sync::Timeline>(reinterpret_cast<sync::Timeline*>(fence.timeline)),
                     fence.point};
}

std::vector<sluice_island_port> ToAbi(const std::vector<Domain::IslandPort>& ports) {
  std::vector<sluice_island_port> out;
  for (const auto& port : ports) out.push_back({port.node, port.port});
  return out;
}

}  // namespace

Island::~Island() { domain_->domain_.destroy_island(domain_->domain_.self, island_); }

Status Island::Submit(std::span<media::Frame* const> inputs,
                      std::span<media::Frame* const> outputs, std::span<sync::Fence> fences,
                      sync::Fence* inputs_read) {
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
  int32_t result = factory.create(host, domain_id.c_str(), &params, &domain->domain_, message,
                                  sizeof message);
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

Result<std::unique_ptr<Island>> Domain::CreateIsland(const IslandDescription& description) {
  auto inputs = ToAbi(description.inputs);
  auto outputs = ToAbi(description.outputs);
  sluice_island_desc desc{};
  desc.name = description.name.c_str();
  desc.epoch = description.epoch;
  desc.node_count = static_cast<uint32_t>(description.nodes.size());
  desc.nodes = description.nodes.data();
  desc.edge_count = static_cast<uint32_t>(description.edges.size());
  desc.edges = description.edges.data();
  desc.input_count = static_cast<uint32_t>(inputs.size());
  desc.inputs = inputs.data();
  desc.output_count = static_cast<uint32_t>(outputs.size());
  desc.outputs = outputs.data();
  sluice_island* island = nullptr;
  int32_t result = domain_.create_island(domain_.self, &desc, &island);
  if (result < 0) return Fail(static_cast<Code>(result), "prepare " + description.name);
  return std::unique_ptr<Island>(new Island(this, island, outputs.size()));
}

void Domain::ForgetPool(uint32_t pool, uint32_t epoch) {
  domain_.forget_pool(domain_.self, pool, epoch);
}

Status Domain::WaitIdle(MonotonicNs deadline_ns) {
  int32_t result = domain_.wait_idle(domain_.self, deadline_ns);
  if (result < 0) return Fail(static_cast<Code>(result), info_.device_name + " is not idle");
  return {};
}

}  // namespace sluice::domain
