#include "engine/graph/candidates.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace sluice::graph {
namespace {

/// What is lost of what the producer could give. Without this the cheapest format
/// would win, and a grey picture is cheaper than a coloured one.
uint64_t Loss(const ModelNet& net, uint32_t first, uint32_t fourcc) {
  const Quality want = first != 0 ? QualityOf(first) : Quality{}, have = QualityOf(fourcc);
  const uint32_t bits = std::max(want.bits, net.arriving.bits);
  uint64_t loss = bits > have.bits ? bits - have.bits : 0;
  if (want.chroma > 0 && have.chroma == 0) loss += 100;
  if (net.arriving.chroma > have.chroma) loss += net.arriving.chroma - have.chroma;
  if (net.arriving.alpha && !have.alpha) loss += 20;
  // What takes both takes the pixels: a compressed picture has to be decoded somewhere.
  if (media::IsCompressed(fourcc) && first != 0 && !media::IsCompressed(first)) loss += 50;
  return loss;
}

/// The cheapest first: ties between equally fast views go this way.
constexpr Views kViewOrder[] = {kViewDevice, kViewDmabuf, kViewShm, kViewCpu};

/// Of a participant: bytes that it reads or writes in a second.
double Bandwidth(const Model& model, const ModelNode& node, Access access, Views view,
                 const Allocation& allocation, bool writes) {
  const Profile& profile = model.input->profile;
  if (access == Access::kDevice) {
    const DeviceSpeeds& speeds = model.SpeedsOf(node.device);
    if (view == kViewDevice) return speeds.memory;
    return writes ? speeds.host_write : speeds.host_read;
  }
  // Memory that a device allocated is not cached for the CPU.
  if ((allocation.views & kViewDevice) != 0 && (allocation.views & kViewShm) == 0) {
    return model.SpeedsOf(allocation.device).cpu_read;
  }
  if (allocation.kind == AllocatorKind::kEngine && !writes) {
    const auto measured = profile.allocator_read.find(allocation.name);
    if (measured != profile.allocator_read.end()) return measured->second;
  }
  return profile.cpu_bandwidth;
}

uint64_t Nanoseconds(double bytes, double bandwidth) {
  return static_cast<uint64_t>(bytes / std::max(bandwidth, 1.0) * 1e9);
}

/// A port that can allocate would rather: less than a step from one offer to the next.
constexpr uint64_t kForeignMemory = 8;

using StateKey = std::tuple<Extent, Extent, RateRange, media::Color>;
struct State {
  Cost cost;
  std::vector<uint32_t> offers;
  std::vector<Views> views;
};
using States = std::map<StateKey, State>;

class Enumerator {
 public:
  Enumerator(const Model& model, const ModelNet& net, Size nominal, uint32_t constraints)
      : model_(model),
        input_(*model.input),
        net_(net),
        nominal_(nominal),
        constraints_(constraints) {
    for (size_t i = 0; i <= net.edges.size(); ++i) {
      const PortRef ref = model.Participant(net, i);
      ports_.push_back(&model.Port(ref));
      nodes_.push_back(&model.nodes[ref.node]);
    }
  }

  CandidateSet Run() {
    const std::vector<Allocation> allocations = ListAllocations();
    for (uint32_t fourcc : ListFourccs()) {
      for (uint64_t modifier : ListModifiers()) {
        for (const Allocation& allocation : allocations) Extend(fourcc, modifier, allocation);
      }
    }
    std::stable_sort(set_.items.begin(), set_.items.end(),
                     [](const Candidate& a, const Candidate& b) { return a.cost < b.cost; });
    RemoveDominated();
    return std::move(set_);
  }

 private:
  bool On(Constraint constraint) const { return (constraints_ & constraint) != 0; }

  /// In the order of the producer's preference, then of the consumers'.
  std::vector<uint32_t> ListFourccs() const {
    std::vector<uint32_t> out;
    for (const ModelPort* port : ports_) {
      for (const Offer& offer : port->offers) {
        for (uint32_t fourcc : offer.fourccs) {
          if (std::find(out.begin(), out.end(), fourcc) == out.end()) out.push_back(fourcc);
        }
      }
    }
    return out;
  }

  std::vector<uint64_t> ListModifiers() const {
    std::vector<uint64_t> out;
    auto add = [&out](uint64_t modifier) {
      if (std::find(out.begin(), out.end(), modifier) == out.end()) out.push_back(modifier);
    };
    for (const Offer& offer : ports_[0]->offers) {
      if (offer.modifiers.empty()) add(media::kModifierLinear);
      for (uint64_t modifier : offer.modifiers) add(modifier);
    }
    return out;
  }

  std::vector<Allocation> ListAllocations() const {
    std::vector<Allocation> out;
    if (!On(kOnMemory)) {
      Allocation any;
      any.views = ~Views{0};
      return {any};
    }
    for (const EngineAllocator& engine : input_.allocators) {
      Allocation allocation;
      allocation.name = engine.name;
      allocation.views = engine.views;
      allocation.max_buffers = engine.max_buffers;
      allocation.reluctance = engine.reluctance;
      out.push_back(allocation);
    }
    for (size_t i = 0; i < ports_.size(); ++i) {
      for (size_t j = 0; j < ports_[i]->offers.size(); ++j) {
        const Offer& offer = ports_[i]->offers[j];
        if (offer.allocates == 0) continue;
        out.push_back({AllocatorKind::kPort, ports_[i]->name, i, j, offer.allocates,
                       model_.DeviceOf(*nodes_[i], offer), offer.buffers_max, 0});
      }
    }
    // Sealed shared memory is cached memory that can be mapped.
    for (Allocation& allocation : out) {
      if ((allocation.views & kViewShm) != 0) allocation.views |= kViewCpu;
      // So can a port's dma-bufs: whoever reads them by the CPU takes them linear.
      const bool by_port = allocation.kind == AllocatorKind::kPort;
      if (by_port && (allocation.views & kViewDmabuf) != 0) allocation.views |= kViewCpu;
    }
    return out;
  }

  static bool IsOwn(const Allocation& allocation, size_t participant) {
    return allocation.kind == AllocatorKind::kPort && allocation.participant == participant;
  }

  bool IsExcluded(size_t participant, uint32_t fourcc, uint64_t modifier,
                  const Allocation& allocation, Views view) const {
    if (!On(kOnExclusions)) return false;
    for (const Exclusion& e : input_.exclusions) {
      const bool named =
          e.consumer.empty() ? participant == 0 : e.consumer == ports_[participant]->name;
      if (!named || (!e.producer.empty() && e.producer != ports_[0]->name)) continue;
      if (e.fourcc != 0 && e.fourcc != fourcc) continue;
      if (e.modifier && *e.modifier != modifier) continue;
      if (e.view != 0 && e.view != view) continue;
      if (!e.allocator.empty() && e.allocator != allocation.name) continue;
      if (e.size.width != 0 && !(e.size == nominal_)) continue;
      return true;
    }
    return false;
  }

  /// The fastest view by which a participant reaches the buffers; 0 if there is none.
  Views ChooseView(size_t participant, const Offer& offer, uint32_t fourcc, uint64_t modifier,
                   const Allocation& allocation, uint64_t* time_ns) const {
    const ModelNode& node = *nodes_[participant];
    const double bytes = static_cast<double>(FrameBytes(fourcc, modifier));
    Views best = 0;
    for (Views view : kViewOrder) {
      if ((offer.views & allocation.views & view) == 0 && On(kOnMemory)) continue;
      if (view == kViewDevice && On(kOnMemory) && !SameDevice(node, offer, allocation)) continue;
      if (IsExcluded(participant, fourcc, modifier, allocation, view)) continue;
      const Access access = ports_[participant]->desc->access;
      const bool transfers = On(kOnMemory) && node.Transfers(access, view);
      if (transfers && net_.zero_copy && On(kOnCopies)) continue;
      uint64_t time = TouchNs(model_, node, access, view, allocation, participant == 0, bytes);
      if (best != 0 && time >= *time_ns) continue;
      best = view;
      *time_ns = time;
    }
    return best;
  }

  /// A CPU node that lists the device view without naming a device takes any: it
  /// passes frames on or lets them go.
  bool SameDevice(const ModelNode& node, const Offer& offer, const Allocation& allocation) const {
    const std::string device = model_.DeviceOf(node, offer);
    return device.empty() || device == allocation.device;
  }

  uint64_t FrameBytes(uint32_t fourcc, uint64_t modifier) const {
    media::Format format;
    format.fourcc = fourcc;
    format.modifier = modifier;
    format.width = nominal_.width;
    format.height = nominal_.height;
    const uint64_t bytes = media::VisibleBytes(format);
    return bytes != 0 ? bytes : uint64_t{nominal_.width} * nominal_.height * 4;
  }

  bool Fits(const Offer& offer, uint32_t fourcc, uint64_t modifier) const {
    if (On(kOnFourcc) && !offer.fourccs.empty() &&
        std::find(offer.fourccs.begin(), offer.fourccs.end(), fourcc) == offer.fourccs.end()) {
      return false;
    }
    if (On(kOnModifier)) {
      const bool fits = offer.modifiers.empty()
                            ? modifier == media::kModifierLinear
                            : std::find(offer.modifiers.begin(), offer.modifiers.end(), modifier) !=
                                  offer.modifiers.end();
      if (!fits) return false;
    }
    return !(On(kOnCopies) && net_.zero_copy && !offer.copies.empty());
  }

  Cost OfferCost(size_t participant, size_t index, uint32_t fourcc, uint64_t time_ns,
                 uint64_t bytes) const {
    const ModelPort& port = *ports_[participant];
    const Offer& offer = port.offers[index];
    Cost cost;
    cost.time_ns = time_ns;
    cost.preference = index * 16;
    for (size_t i = 0; i < offer.fourccs.size(); ++i) {
      if (offer.fourccs[i] == fourcc) cost.preference += std::min<size_t>(i, 15);
    }
    if (!offer.copies.empty()) {
      cost.time_ns += 2 * Nanoseconds(static_cast<double>(bytes), input_.profile.cpu_bandwidth);
    }
    if (participant == 0) {
      const std::vector<uint32_t>& preferred = port.offers[0].fourccs;
      cost.loss = Loss(net_, preferred.empty() ? 0 : preferred[0], fourcc);
    }
    return cost;
  }

  bool Merge(const StateKey& key, const Offer& offer, StateKey* merged) const {
    *merged = key;
    if (On(kOnSize)) {
      auto width = Intersect(std::get<0>(key), offer.width);
      auto height = Intersect(std::get<1>(key), offer.height);
      if (!width || !height) return false;
      std::get<0>(*merged) = *width;
      std::get<1>(*merged) = *height;
    }
    if (On(kOnRate)) {
      auto rate = Intersect(std::get<2>(key), RateRangeOf(offer));
      if (!rate) return false;
      std::get<2>(*merged) = *rate;
    }
    if (On(kOnColor)) {
      auto color = Intersect(std::get<3>(key), offer.color);
      if (!color) return false;
      std::get<3>(*merged) = *color;
    }
    return true;
  }

  /// Adds participant after participant; states that agree in all that others
  /// can see are one, the cheapest, so fan-out costs a sum and not a product.
  void Extend(uint32_t fourcc, uint64_t modifier, const Allocation& allocation) {
    const uint64_t bytes = FrameBytes(fourcc, modifier);
    States states;
    states[{}] = {};
    for (size_t i = 0; i < ports_.size(); ++i) {
      States next;
      for (size_t j = 0; j < ports_[i]->offers.size(); ++j) {
        const Offer& offer = ports_[i]->offers[j];
        if (!Fits(offer, fourcc, modifier)) continue;
        if (allocation.kind == AllocatorKind::kPort && allocation.participant == i &&
            allocation.offer != j) {
          continue;
        }
        if (offer.own_memory_only && On(kOnMemory) && !IsOwn(allocation, i)) continue;
        uint64_t time_ns = 0;
        const Views view = ChooseView(i, offer, fourcc, modifier, allocation, &time_ns);
        if (view == 0) continue;
        Cost cost = OfferCost(i, j, fourcc, time_ns, bytes);
        if (offer.allocates != 0 && !IsOwn(allocation, i)) cost.preference += kForeignMemory;
        for (const auto& [key, state] : states) {
          StateKey merged;
          if (!Merge(key, offer, &merged)) continue;
          Keep(merged, state, cost, static_cast<uint32_t>(j), view, &next);
        }
      }
      states = std::move(next);
      if (states.size() > input_.limits.max_candidates) {
        states.erase(std::next(states.begin(), input_.limits.max_candidates), states.end());
        set_.truncated = true;
      }
    }
    for (auto& [key, state] : states) {
      if (set_.items.size() >= input_.limits.max_candidates) {
        set_.truncated = true;
        return;
      }
      state.cost.memory += bytes;
      state.cost.preference += allocation.reluctance;
      set_.items.push_back({fourcc, modifier, std::get<0>(key), std::get<1>(key), std::get<2>(key),
                            std::get<3>(key), allocation, std::move(state.offers),
                            std::move(state.views), state.cost});
    }
  }

  static void Keep(const StateKey& key, const State& from, const Cost& cost, uint32_t offer,
                   Views view, States* next) {
    const Cost total = from.cost + cost;
    auto [found, inserted] = next->try_emplace(key);
    if (!inserted && found->second.cost <= total) return;
    found->second = from;
    found->second.cost = total;
    found->second.offers.push_back(offer);
    found->second.views.push_back(view);
  }

  /// Sorted by cost, so the first of equals is the one to keep.
  void RemoveDominated() {
    std::map<std::tuple<uint32_t, StateKey>, bool> seen;
    std::erase_if(set_.items, [&seen](const Candidate& c) {
      return !seen.try_emplace({c.fourcc, {c.width, c.height, c.rate, c.color}}, true).second;
    });
  }

  const Model& model_;
  const NegotiationInput& input_;
  const ModelNet& net_;
  const Size nominal_;
  const uint32_t constraints_;
  std::vector<const ModelPort*> ports_;
  std::vector<const ModelNode*> nodes_;
  CandidateSet set_;
};

}  // namespace

Cost& Cost::operator+=(const Cost& other) {
  loss += other.loss;
  time_ns += other.time_ns;
  memory += other.memory;
  preference += other.preference;
  return *this;
}

uint64_t TouchNs(const Model& model, const ModelNode& node, Access access, Views view,
                 const Allocation& allocation, bool writes, double bytes) {
  uint64_t time = Nanoseconds(bytes, Bandwidth(model, node, access, view, allocation, writes));
  if (node.Transfers(access, view)) {
    time += Nanoseconds(2 * bytes, model.input->profile.cpu_bandwidth);
  }
  return time;
}

CandidateSet MakeCandidates(const Model& model, const ModelNet& net, Size nominal,
                            uint32_t constraints) {
  return Enumerator(model, net, nominal, constraints).Run();
}

std::vector<std::string> ExclusionReasons(const Model& model, const ModelNet& net) {
  std::vector<std::string> reasons;
  const std::string& producer = model.Port(net.producer).name;
  for (const Exclusion& e : model.input->exclusions) {
    bool concerns = e.producer == producer || (e.producer.empty() && e.consumer.empty());
    for (uint32_t edge : net.edges) {
      const bool same_producer = e.producer.empty() || e.producer == producer;
      concerns = concerns || (same_producer && e.consumer == model.Port(model.edges[edge].to).name);
    }
    if (concerns) reasons.push_back(e.reason);
  }
  return reasons;
}

}  // namespace sluice::graph
