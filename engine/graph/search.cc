#include "engine/graph/search.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <set>
#include <utility>

namespace sluice::graph {
namespace {

/// What nets agree on, one by one; each is its own index.
constexpr TieField kFields[] = {TieField::kFourcc, TieField::kSize, TieField::kRate,
                                TieField::kColorSpace, TieField::kColorEncoding};
constexpr size_t kFieldCount = std::size(kFields);

/// How a net's size lies to that of its class's leader.
struct Turn {
  bool turned = false;  ///< width and height change places
  bool square = false;  ///< by its ties the class is tied to itself, turned
};

/// Sets of nets that must agree.
class Classes {
 public:
  explicit Classes(size_t count) : parent_(count), turned_(count), square_(count) {
    std::iota(parent_.begin(), parent_.end(), 0u);
  }
  uint32_t Find(uint32_t net) {
    uint32_t root = net;
    bool turned = false;
    for (; parent_[root] != root; root = parent_[root]) turned = turned != turned_[root];
    while (parent_[net] != net) {
      const bool step = turned_[net];
      turned_[net] = turned;
      turned = turned != step;
      net = std::exchange(parent_[net], root);
    }
    return root;
  }
  Turn TurnOf(uint32_t net) {
    const uint32_t root = Find(net);
    return {turned_[net], square_[root]};
  }
  /// The smaller index leads, so that classes do not depend on the order of ties.
  void Join(uint32_t a, uint32_t b, bool turned = false) {
    const uint32_t root_a = Find(a), root_b = Find(b);
    const bool between = (turned_[a] != turned_[b]) != turned;
    if (root_a == root_b) {
      if (between) square_[root_a] = true;
      return;
    }
    const uint32_t leader = std::min(root_a, root_b), other = std::max(root_a, root_b);
    parent_[other] = leader;
    turned_[other] = between;
    if (square_[other]) square_[leader] = true;
  }

 private:
  std::vector<uint32_t> parent_;
  std::vector<bool> turned_;  ///< against the parent; false for a leader
  std::vector<bool> square_;  ///< of leaders
};

struct TieClasses {
  std::vector<Classes> fields;
  Classes components;

  explicit TieClasses(const Model& model)
      : fields(kFieldCount, Classes(model.nets.size())), components(model.nets.size()) {
    for (uint32_t node = 0; node < model.nodes.size(); ++node) {
      for (const Tie& tie : model.nodes[node].ties) {
        auto left = NetOf(model, node, tie.left_port);
        auto right = NetOf(model, node, tie.right_port);
        if (!left || !right) continue;
        for (TieField field : kFields) {
          if (Covers(tie.field, field))
            fields[static_cast<size_t>(field)].Join(*left, *right, tie.turned);
        }
        components.Join(*left, *right);
      }
    }
  }

  static std::optional<uint32_t> NetOf(const Model& model, uint32_t node, const std::string& port) {
    const std::vector<ModelPort>& ports = model.nodes[node].ports;
    for (uint32_t i = 0; i < ports.size(); ++i) {
      if (ports[i].desc->name == port) return model.NetOf({node, i});
    }
    return std::nullopt;
  }
};

/// What the members of a class have agreed on so far.
struct Agreement {
  uint32_t fourcc = 0;
  Extent width;
  Extent height;
  RateRange rate;
  media::Color color;
};

/// Narrows the leader's size by a member's; false if nothing is left.
bool AgreeOnSize(Extent width, Extent height, Turn turn, Agreement* agreement) {
  if (turn.turned) std::swap(width, height);
  if (turn.square) {
    const auto side = Intersect(width, height);
    if (!side) return false;
    width = height = *side;
  }
  const auto both_widths = Intersect(agreement->width, width);
  const auto both_heights = Intersect(agreement->height, height);
  if (!both_widths || !both_heights) return false;
  agreement->width = *both_widths;
  agreement->height = *both_heights;
  return true;
}

/// What is picked of a class's size for a member.
Size PickSize(const Agreement& agreement, Turn turn) {
  Size size{PickWidth(agreement.width), PickHeight(agreement.height)};
  if (turn.square) size.width = size.height;
  if (turn.turned) std::swap(size.width, size.height);
  return size;
}

media::Color SpaceOf(const media::Color& color) {
  return {color.primaries, color.transfer, {}, {}, {}};
}
media::Color EncodingOf(const media::Color& color) {
  return {{}, {}, color.matrix, color.range, color.siting};
}

bool AgreeOnColor(const media::Color& part, Agreement* agreement) {
  const auto both = Intersect(agreement->color, part);
  if (!both) return false;
  agreement->color = *both;
  return true;
}

/// Narrows `agreement` by one field of a candidate; false if nothing is left.
bool Agree(TieField field, const Candidate& candidate, Turn turn, Agreement* agreement) {
  switch (field) {
    case TieField::kFourcc:
      if (agreement->fourcc != 0 && agreement->fourcc != candidate.fourcc) return false;
      agreement->fourcc = candidate.fourcc;
      return true;
    case TieField::kSize:
      return AgreeOnSize(candidate.width, candidate.height, turn, agreement);
    case TieField::kRate: {
      auto rate = Intersect(agreement->rate, candidate.rate);
      if (!rate) return false;
      agreement->rate = *rate;
      return true;
    }
    case TieField::kColorSpace:
      return AgreeOnColor(SpaceOf(candidate.color), agreement);
    case TieField::kColorEncoding:
      return AgreeOnColor(EncodingOf(candidate.color), agreement);
    case TieField::kColor:
      break;
  }
  return false;
}

/// What a converter makes where nobody asks for a colour: what it does not convert, and the
/// encoding as it came; of R'G'B' the one that unspecified terms mean (docs/colour.md).
media::Color ConvertedColor(const media::Color& asked, uint32_t fourcc, const media::Color& in,
                            uint32_t in_fourcc) {
  const media::Color kept = Filled(asked, SpaceOf(in));
  if (!IsYcc(fourcc)) return kept;
  if (IsYcc(in_fourcc)) return Filled(kept, in);
  const bool wide = kept.primaries == media::Primaries::kBt2020;
  const media::Matrix matrix = wide ? media::Matrix::kBt2020 : media::Matrix::kBt709;
  return Filled(kept, {{}, {}, matrix, media::Range::kLimited, media::Siting::kLeft});
}

class Solver {
 public:
  explicit Solver(const Model& model) : model_(model), classes_(model) {}

  Solution Run() {
    nominal_ = NominalSizes(model_);
    for (size_t i = 0; i < model_.nets.size(); ++i) {
      CandidateSet set = MakeCandidates(model_, model_.nets[i], nominal_[i]);
      if (set.truncated) solution_.optimal = false;
      if (set.items.empty()) Fail(static_cast<uint32_t>(i), {}, std::nullopt);
      candidates_.push_back(std::move(set.items));
    }
    // Faults elsewhere are found all the same: a refusal names them all, and a
    // repair is measured by how many are left.
    MakeConsistent();
    chosen_.resize(model_.nets.size());
    for (const std::vector<uint32_t>& component : Components()) {
      if (!HasEmpty(component)) SearchComponent(component);
    }
    if (solution_.failed.empty()) {
      CarryColors();
      Settle();
    }
    return std::move(solution_);
  }

 private:
  void Fail(uint32_t net, std::vector<uint32_t> tied_to, std::optional<TieField> field) {
    solution_.failed.push_back({net, std::move(tied_to), field, nominal_[net]});
  }

  std::vector<uint32_t> ClassOf(TieField field, uint32_t net) {
    Classes& classes = classes_.fields[static_cast<size_t>(field)];
    std::vector<uint32_t> members;
    for (uint32_t i = 0; i < model_.nets.size(); ++i) {
      if (classes.Find(i) == classes.Find(net)) members.push_back(i);
    }
    return members;
  }

  std::vector<std::vector<uint32_t>> ClassesOf(TieField field) {
    Classes& classes = classes_.fields[static_cast<size_t>(field)];
    return Group([&classes](uint32_t net) { return classes.Find(net); });
  }
  std::vector<std::vector<uint32_t>> Components() {
    return Group([this](uint32_t net) { return classes_.components.Find(net); });
  }

  template <typename F>
  std::vector<std::vector<uint32_t>> Group(F find) {
    std::vector<std::vector<uint32_t>> groups(model_.nets.size());
    for (uint32_t i = 0; i < model_.nets.size(); ++i) groups[find(i)].push_back(i);
    std::erase_if(groups, [](const auto& group) { return group.empty(); });
    return groups;
  }

  bool HasEmpty(const std::vector<uint32_t>& nets) const {
    return std::any_of(nets.begin(), nets.end(),
                       [this](uint32_t net) { return candidates_[net].empty(); });
  }

  /// Arc consistency: removes candidates that no candidate of a tied net agrees with.
  void MakeConsistent() {
    for (bool changed = true; changed;) {
      changed = false;
      for (TieField field : kFields) {
        for (const std::vector<uint32_t>& members : ClassesOf(field)) {
          if (members.size() < 2 || HasEmpty(members)) continue;
          for (size_t i = 0; i + 1 < members.size(); ++i) {
            changed = Revise(field, members[i], members[i + 1]) || changed;
          }
          for (size_t i = members.size() - 1; i > 0; --i) {
            changed = Revise(field, members[i], members[i - 1]) || changed;
          }
        }
      }
    }
  }

  /// Removes from `net` what has no partner in `other`.
  bool Revise(TieField field, uint32_t other, uint32_t net) {
    if (candidates_[other].empty() || candidates_[net].empty()) return false;
    Classes& classes = classes_.fields[static_cast<size_t>(field)];
    const Turn partners = classes.TurnOf(other), own = classes.TurnOf(net);
    const size_t removed = std::erase_if(candidates_[net], [&](const Candidate& candidate) {
      return std::none_of(candidates_[other].begin(), candidates_[other].end(),
                          [&](const Candidate& partner) {
                            Agreement agreement;
                            return Agree(field, partner, partners, &agreement) &&
                                   Agree(field, candidate, own, &agreement);
                          });
    });
    if (candidates_[net].empty()) {
      std::vector<uint32_t> tied = ClassOf(field, net);
      std::erase(tied, net);
      Fail(net, std::move(tied), field);
    }
    return removed != 0;
  }

  using Agreements = std::array<Agreement, kFieldCount>;

  /// One level of the search: a net, and where it is in its candidates.
  struct Level {
    uint32_t net = 0;
    size_t next = 0;
    Cost cost;          ///< of the levels above
    Agreements before;  ///< of this net's classes, before it chose
    bool assigned = false;
  };

  bool Assign(uint32_t net, const Candidate& candidate, Agreements* before) {
    Agreements after;
    for (TieField field : kFields) {
      const auto f = static_cast<size_t>(field);
      const Agreement& current = agreements_[f][classes_.fields[f].Find(net)];
      (*before)[f] = current;
      after[f] = current;
      if (!Agree(field, candidate, classes_.fields[f].TurnOf(net), &after[f])) return false;
    }
    for (size_t f = 0; f < kFieldCount; ++f)
      agreements_[f][classes_.fields[f].Find(net)] = after[f];
    return true;
  }

  void Undo(uint32_t net, const Agreements& before) {
    for (size_t f = 0; f < kFieldCount; ++f)
      agreements_[f][classes_.fields[f].Find(net)] = before[f];
  }

  /// Branch and bound with a stack of its own: a chain of thousands of nodes is
  /// one component. The first of equally cheap solutions is kept.
  void SearchComponent(const std::vector<uint32_t>& nets) {
    for (auto& field : agreements_) field.resize(model_.nets.size());
    std::vector<Cost> rest(nets.size() + 1);  // the least that nets from here on can cost
    for (size_t i = nets.size(); i-- > 0;)
      rest[i] = rest[i + 1] + candidates_[nets[i]].front().cost;

    std::optional<Cost> best;
    std::vector<size_t> best_choice(nets.size()), choice(nets.size());
    std::vector<Level> stack(nets.size());
    size_t depth = 0;
    stack[0] = {nets[0], 0, {}, {}, false};
    uint32_t steps = 0;
    for (;;) {
      Level& level = stack[depth];
      if (level.assigned) {
        Undo(level.net, level.before);
        level.assigned = false;
      }
      const std::vector<Candidate>& candidates = candidates_[level.net];
      bool descended = false;
      while (level.next < candidates.size()) {
        const size_t index = level.next++;
        const Cost cost = level.cost + candidates[index].cost;
        // Sorted by cost: what comes after cannot be better either.
        if (best && cost + rest[depth + 1] >= *best) {
          level.next = candidates.size();
          break;
        }
        ++steps;
        if (!Assign(level.net, candidates[index], &level.before)) continue;
        level.assigned = true;
        choice[depth] = index;
        if (depth + 1 == nets.size()) {
          best = cost;
          best_choice = choice;
          Undo(level.net, level.before);
          level.assigned = false;
          continue;
        }
        stack[depth + 1] = {nets[depth + 1], 0, cost, {}, false};
        ++depth;
        descended = true;
        break;
      }
      const bool cut_off = steps >= model_.input->limits.max_steps + nets.size();
      if (cut_off) {
        solution_.optimal = false;
        break;
      }
      if (descended) continue;
      if (depth == 0) break;
      --depth;
    }
    for (size_t i = depth + 1; i-- > 0;) {
      if (stack[i].assigned) Undo(stack[i].net, stack[i].before);
    }
    if (!best) {
      std::vector<uint32_t> tied(nets.begin() + 1, nets.end());
      Fail(nets[0], std::move(tied), std::nullopt);
      return;
    }
    solution_.cost += *best;
    Agreements ignored;
    for (size_t i = 0; i < nets.size(); ++i) {
      chosen_[nets[i]] = candidates_[nets[i]][best_choice[i]];
      SLUICE_CHECK(Assign(nets[i], chosen_[nets[i]], &ignored));
    }
  }

  /// What the net's class has agreed on.
  Agreement& Agreed(TieField field, uint32_t net) {
    const auto f = static_cast<size_t>(field);
    return agreements_[f][classes_.fields[f].Find(net)];
  }

  media::Color ColorOf(uint32_t net) {
    return Filled(Agreed(TieField::kColorSpace, net).color,
                  Agreed(TieField::kColorEncoding, net).color);
  }
  void SetColor(uint32_t net, const media::Color& color) {
    Agreed(TieField::kColorSpace, net).color = SpaceOf(color);
    Agreed(TieField::kColorEncoding, net).color = EncodingOf(color);
  }

  /// The net that a converter makes `net` of; nothing of other nets.
  std::optional<uint32_t> ConvertedFrom(uint32_t net) const {
    const uint32_t producer = model_.nets[net].producer.node;
    const ModelNode& node = model_.nodes[producer];
    if (!node.type->converter) return std::nullopt;
    for (uint32_t port = 0; port < node.ports.size(); ++port) {
      if (node.ports[port].desc->direction == Direction::kInput)
        return model_.NetOf({producer, port});
    }
    return std::nullopt;
  }

  // Nets are in the order of their producers, so that what is carried goes on.
  void CarryColors() {
    for (uint32_t net = 0; net < model_.nets.size(); ++net) {
      const auto from = ConvertedFrom(net);
      if (!from) continue;
      SetColor(net, ConvertedColor(ColorOf(net), chosen_[net].fourcc, ColorOf(*from),
                                   chosen_[*from].fourcc));
    }
  }

  void Settle() {
    for (uint32_t net = 0; net < model_.nets.size(); ++net) {
      Choice choice;
      choice.candidate = std::move(chosen_[net]);
      const Agreement& size = Agreed(TieField::kSize, net);
      choice.size =
          PickSize(size, classes_.fields[static_cast<size_t>(TieField::kSize)].TurnOf(net));
      choice.size_assumed = !size.width.fixed() || !size.height.fixed();
      choice.rate = PickRate(Agreed(TieField::kRate, net).rate);
      choice.color = ColorOf(net);
      solution_.choices.push_back(std::move(choice));
    }
  }

  const Model& model_;
  TieClasses classes_;
  std::vector<Size> nominal_;
  std::vector<std::vector<Candidate>> candidates_;
  std::vector<Candidate> chosen_;
  std::array<std::vector<Agreement>, kFieldCount> agreements_;
  Solution solution_;
};

}  // namespace

Solution Search(const Model& model) { return Solver(model).Run(); }

std::vector<Size> NominalSizes(const Model& model) {
  std::vector<Agreement> hulls(model.nets.size());
  for (size_t i = 0; i < model.nets.size(); ++i) {
    const ModelNet& net = model.nets[i];
    for (size_t p = 0; p <= net.edges.size(); ++p) {
      const std::vector<Offer>& offers = model.Port(model.Participant(net, p)).offers;
      if (offers.empty()) continue;
      Extent width = offers[0].width, height = offers[0].height;
      for (const Offer& offer : offers) {
        width = Hull(width, offer.width);
        height = Hull(height, offer.height);
      }
      // Where the intersection is empty the net fails later, with an explanation.
      if (auto both = Intersect(hulls[i].width, width)) hulls[i].width = *both;
      if (auto both = Intersect(hulls[i].height, height)) hulls[i].height = *both;
    }
  }
  TieClasses classes(model);
  Classes& sizes = classes.fields[static_cast<size_t>(TieField::kSize)];
  for (uint32_t i = 0; i < model.nets.size(); ++i) {
    // Where nothing is left the nets fail later, too.
    Agreement narrowed = hulls[sizes.Find(i)];
    if (AgreeOnSize(hulls[i].width, hulls[i].height, sizes.TurnOf(i), &narrowed)) {
      hulls[sizes.Find(i)] = narrowed;
    }
  }
  std::vector<Size> out;
  for (uint32_t i = 0; i < model.nets.size(); ++i) {
    out.push_back(PickSize(hulls[sizes.Find(i)], sizes.TurnOf(i)));
  }
  return out;
}

}  // namespace sluice::graph
