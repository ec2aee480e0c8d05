#include "engine/graph/negotiate.h"

#include <algorithm>
#include <cinttypes>

#include <fmt/format.h>

#include "engine/graph/build_plan.h"
#include "engine/graph/explain.h"
#include "engine/graph/model.h"
#include "engine/graph/ranges.h"
#include "engine/graph/search.h"

namespace sluice::graph {
namespace {

/// FNV-1a over a canonical text of everything that a plan depends on.
class Digest {
 public:
  template <typename... Args>
  void Add(fmt::format_string<Args...> format, Args&&... args) {
    for (char c : fmt::format(format, std::forward<Args>(args)...) + '\n') {
      hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    }
  }
  std::string Text() const { return fmt::format("{:016x}", hash_); }

 private:
  uint64_t hash_ = 0xcbf29ce484222325u;
};

void AddOffer(const Offer& o, Digest* digest) {
  digest->Add("offer {} {} {} {} {} {}", fmt::join(o.fourccs, ","), fmt::join(o.modifiers, ","),
              o.views, o.allocates | (o.own_memory_only ? Views{1} << 31 : 0), o.sync, fmt::join(o.device_uuid, ""));
  digest->Add("{} {} {} {} {} {}", o.width.min, o.width.max, o.width.step, o.height.min,
              o.height.max, o.height.step);
  digest->Add("{} {} {} {} {}", RateToString(o.rate_min), RateToString(o.rate_max),
              media::ToString(o.color), o.color_assumed, o.copies);
  const media::Alignment& a = o.alignment;
  digest->Add("{} {} {} {} {} {} {}", a.width, a.height, a.stride, a.offset, a.base, a.size,
              a.tail);
  digest->Add("{} {} {} {} {} {}", o.buffers_min, o.buffers_max, o.hold_min, o.hold_max, o.retains,
              o.dynamic_reserve);
}

void AddSpeeds(const DeviceSpeeds& s, Digest* digest) {
  digest->Add("{} {} {} {} {}", s.memory, s.host_read, s.host_write, s.cpu_read, s.submission_us);
}

void AddProfile(const Profile& profile, const Model& model, Digest* digest) {
  digest->Add("profile {} {} {} {}", profile.date, profile.processor, profile.cpu_bandwidth,
              profile.edge_us);
  for (const auto& [name, speed] : profile.allocator_read) digest->Add("read {} {}", name, speed);
  AddSpeeds(profile.device, digest);
  for (const auto& [key, device] : model.devices) {
    digest->Add("device {} {} {} {}", key, device.name,
                device.measured != nullptr ? device.measured->date : "", device.warning);
    AddSpeeds(device.speeds, digest);
  }
}

std::string DigestOf(const NegotiationInput& input, const Model& model) {
  Digest digest;
  const Settings& settings = input.graph->settings();
  digest.Add("{} {} {} {}", static_cast<int>(settings.zero_copy), static_cast<int>(settings.clock),
             static_cast<int>(settings.convert), settings.gpu);
  for (const ModelNode& node : model.nodes) {
    const DomainFacts facts = node.facts.value_or(DomainFacts{});
    digest.Add("node {} {} {} {} {} {} {}", node.name, node.type->id, node.device, facts.views,
               facts.base_multiple, facts.size_multiple, facts.offset_multiple);
    for (const NodeParam& param : node.params)
      digest.Add("{}={}", param.name, param.value.ToString());
    for (const ModelPort& port : node.ports) {
      digest.Add("port {}", port.name);
      for (const Offer& offer : port.offers) AddOffer(offer, &digest);
    }
  }
  for (const ModelEdge& edge : model.edges) {
    digest.Add("edge {} {} {} {} {} {}", model.Port(edge.from).name, model.Port(edge.to).name,
               edge.queue.depth, WhenFullName(edge.queue.when_full), edge.queue.given,
               edge.require_zero_copy);
  }
  for (const GraphNode& node : input.graph->nodes()) {
    if (node.type->domain == "cpu") continue;
    const ErrorPolicy& policy = node.on_error;
    digest.Add("island {} {} {} {} {} {}", node.island_cut, input.apart.contains(node.name),
               static_cast<int>(policy.action), policy.attempts, policy.backoff_ns,
               policy.backoff_max_ns);
  }
  for (const Exclusion& e : input.exclusions) {
    digest.Add("excluded {} {} {} {} {} {} {}x{}", e.producer, e.consumer, e.fourcc,
               e.modifier ? ModifierToString(*e.modifier) : "", e.view, e.allocator, e.size.width,
               e.size.height);
  }
  for (const EngineAllocator& a : input.allocators)
    digest.Add("{} {} {} {}", a.name, a.views, a.max_buffers, a.reluctance);
  AddProfile(input.profile, model, &digest);
  return digest.Text();
}

/// One way to put converters in, and how far it is from working.
struct Attempt {
  std::vector<Insertion> insertions;
  Model model;
  Solution solution;
  size_t defects = 0;  ///< 0: it works
  Cost cost;

  bool works() const { return defects == 0; }
};

bool IsUsable(const NodeType& type) {
  return type.Ports(Direction::kInput).size() == 1 && type.Ports(Direction::kOutput).size() == 1;
}

class Negotiator {
 public:
  explicit Negotiator(const NegotiationInput& input) : input_(input) {}

  Result<Plan> Run() {
    auto attempt = Try({});
    if (!attempt) return tl::unexpected(attempt.error());
    Attempt current = std::move(*attempt);
    const bool may_convert = input_.graph->settings().convert == Convert::kAuto;
    while (!current.works() && may_convert) {
      std::optional<Attempt> better = BestInsertion(current);
      if (!better) break;
      current = std::move(*better);
    }
    // A refusal is about the graph as it was written, not about half of a repair.
    if (!current.works()) {
      auto original = Try({});
      return Refuse(*original);
    }
    Result<Plan> plan = BuildPlan(current.model, current.solution);
    if (!plan) return plan;
    plan->digest = DigestOf(input_, current.model);
    AddProfileTo(*plan, current.model);
    return plan;
  }

 private:
  /// What the profile has to do with it.
  void AddProfileTo(Plan& plan, const Model& model) const {
    std::vector<ProfiledDevice> devices;
    for (const auto& [key, device] : model.devices) {
      const bool used = std::any_of(plan.nodes.begin(), plan.nodes.end(),
                                    [&key](const PlanNode& node) { return node.device == key; });
      if (!used) continue;
      devices.push_back(device);
      if (!device.warning.empty()) plan.warnings.push_back(device.warning);
    }
    plan.profile = DescribeProfile(input_.profile, devices);
    for (const PlanIsland& island : plan.islands) {
      plan.cost_us += model.SpeedsOf(island.device).submission_us;
    }
  }

  /// The model must not move once solved: nothing in the solution points into it,
  /// so an attempt may.
  Result<Attempt> Try(std::vector<Insertion> insertions) {
    auto model = BuildModel(input_, insertions);
    if (!model) return tl::unexpected(model.error());
    Attempt attempt;
    attempt.insertions = std::move(insertions);
    attempt.model = std::move(*model);
    attempt.solution = Search(attempt.model);
    attempt.cost = attempt.solution.cost;
    for (const Insertion& insertion : attempt.insertions) {
      attempt.cost.time_ns += static_cast<uint64_t>(input_.profile.edge_us * 1e3);
      attempt.cost.time_ns += ConversionCost(attempt, insertion);
    }
    for (const FailedNet& failed : attempt.solution.failed) {
      attempt.defects += 1;
      if (failed.tied_to.empty()) {
        attempt.defects += BadPairs(attempt.model, failed.net, failed.nominal).size();
      }
    }
    return attempt;
  }

  uint64_t ConversionCost(const Attempt& attempt, const Insertion& insertion) const {
    if (attempt.solution.choices.empty()) return 0;
    for (uint32_t i = 0; i < attempt.model.nodes.size(); ++i) {
      if (attempt.model.nodes[i].name != InsertedName(insertion)) continue;
      for (uint32_t p = 0; p < attempt.model.nodes[i].ports.size(); ++p) {
        if (attempt.model.nodes[i].ports[p].desc->direction != Direction::kOutput) continue;
        const Choice& choice = attempt.solution.choices[*attempt.model.NetOf({i, p})];
        const double bytes = static_cast<double>(choice.size.width) * choice.size.height * 4;
        return static_cast<uint64_t>(bytes * insertion.type->converter_cost /
                                     input_.profile.cpu_bandwidth * 1e9);
      }
    }
    return 0;
  }

  struct Suspect {
    uint32_t edge;
    Constraint constraint;
  };

  /// Tries each converter on each edge that the failures touch, then two in a row
  /// where no single one helps; the cheapest that works, else the one that leaves
  /// the fewest defects, else nothing.
  std::optional<Attempt> BestInsertion(const Attempt& current) {
    std::optional<Attempt> best;
    const std::vector<Suspect> suspects = SuspectEdges(current);
    for (const Suspect& suspect : suspects) {
      for (const NodeType* type : input_.converters) {
        TryInsertion(current, suspect, {type}, &best);
      }
    }
    if (best) return best;
    for (const Suspect& suspect : suspects) {
      for (const NodeType* last : input_.converters) {
        for (const NodeType* first : input_.converters) {
          if (first != last) TryInsertion(current, suspect, {last, first}, &best);
        }
      }
    }
    return best;
  }

  /// `types`: from the consumer backwards.
  void TryInsertion(const Attempt& current, const Suspect& suspect,
                    const std::vector<const NodeType*>& types, std::optional<Attempt>* best) {
    std::vector<Insertion> insertions = current.insertions;
    std::string consumer = current.model.Port(current.model.edges[suspect.edge].to).name;
    for (const NodeType* type : types) {
      // The same name twice would be the same converter in a row.
      if (!IsUsable(*type) || consumer.starts_with(type->id + "@")) return;
      insertions.push_back(
          {consumer, type, InsertionReason(current.model, suspect.edge, suspect.constraint)});
      consumer = InsertedName(insertions.back()) + "." + type->Ports(Direction::kInput)[0]->name;
    }
    if (trials_ >= input_.limits.max_insertions) return;
    ++trials_;
    auto attempt = Try(std::move(insertions));
    if (!attempt || attempt->defects >= current.defects) return;
    const bool is_better = !*best || attempt->defects < (*best)->defects ||
                           (attempt->defects == (*best)->defects && attempt->cost < (*best)->cost);
    if (is_better) *best = std::move(*attempt);
  }

  std::vector<Suspect> SuspectEdges(const Attempt& attempt) const {
    std::vector<Suspect> suspects;
    for (const FailedNet& failed : attempt.solution.failed) {
      const size_t before = suspects.size();
      if (failed.tied_to.empty()) {
        for (const BadPair& pair : BadPairs(attempt.model, failed.net, failed.nominal)) {
          suspects.push_back({pair.edge, pair.constraint});
        }
      }
      if (suspects.size() != before) continue;
      // No single pair is at fault: any edge of the nets concerned may be cut.
      const Constraint constraint =
          failed.tied_to.empty()
              ? EmptyingConstraint(attempt.model, attempt.model.nets[failed.net], failed.nominal)
              : kOnAll;
      std::vector<uint32_t> nets = failed.tied_to;
      nets.push_back(failed.net);
      std::sort(nets.begin(), nets.end());
      for (uint32_t net : nets) {
        for (uint32_t edge : attempt.model.nets[net].edges) suspects.push_back({edge, constraint});
      }
    }
    std::erase_if(suspects, [&attempt](const Suspect& suspect) {
      return attempt.model.edges[suspect.edge].require_zero_copy;
    });
    return suspects;
  }

  Result<Plan> Refuse(const Attempt& attempt) const {
    std::string message;
    for (const FailedNet& failed : attempt.solution.failed) {
      if (!message.empty()) message += "\n";
      message += ExplainFailure(attempt.model, attempt.solution, failed);
    }
    return Fail(Code::kUnsupported, std::move(message));
  }

  const NegotiationInput& input_;
  uint32_t trials_ = 0;
};

}  // namespace

Result<Plan> Negotiate(const NegotiationInput& input) {
  if (input.graph == nullptr) return Fail(Code::kInvalidArgument, "negotiate: no graph");
  return Negotiator(input).Run();
}

}  // namespace sluice::graph
