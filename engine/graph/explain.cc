#include "engine/graph/explain.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace sluice::graph {
namespace {

/// In the order in which a person would check.
constexpr Constraint kConstraints[] = {kOnFourcc, kOnModifier, kOnSize,   kOnRate,
                                       kOnColor,  kOnMemory,   kOnCopies, kOnExclusions};

ModelNet OnlyEdge(const Model& model, const ModelNet& net, uint32_t edge) {
  ModelNet pair = net;
  pair.edges = {edge};
  pair.zero_copy = model.edges[edge].require_zero_copy;
  return pair;
}

std::string FourccList(const std::vector<Offer>& offers) {
  std::vector<std::string> names;
  for (const Offer& offer : offers) {
    if (offer.fourccs.empty()) return "any format";
    for (uint32_t fourcc : offer.fourccs) {
      std::string name = media::FourccName(fourcc);
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

template <typename F>
std::string Distinct(const std::vector<Offer>& offers, F text) {
  std::vector<std::string> parts;
  for (const Offer& offer : offers) {
    std::string part = text(offer);
    if (std::find(parts.begin(), parts.end(), part) == parts.end())
      parts.push_back(std::move(part));
  }
  // A display may have fifty modes: who reads on after eight looks them up.
  constexpr size_t kShown = 8;
  const size_t more = parts.size() > kShown ? parts.size() - kShown : 0;
  parts.resize(parts.size() - more);
  std::string list = fmt::format("{}", fmt::join(parts, " or "));
  return more == 0 ? list : fmt::format("{}, and {} more", list, more);
}

std::string ModifierList(const Offer& offer) {
  if (offer.modifiers.empty()) return "LINEAR";
  std::vector<std::string> names;
  for (uint64_t modifier : offer.modifiers) names.push_back(ModifierToString(modifier));
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string MemoryText(const Model& model, PortRef ref, const Offer& offer) {
  std::string text = ViewsToString(offer.views);
  if ((offer.views & kViewDevice) != 0) {
    const std::string device = model.DeviceOf(model.nodes[ref.node], offer);
    text += device.empty() ? " of any device" : fmt::format(" of {}", device);
  }
  if (offer.allocates != 0)
    text += fmt::format(" (can allocate {})", ViewsToString(offer.allocates));
  return text;
}

std::string CopyText(const Model& model, PortRef ref, const Offer& offer) {
  const ModelNode& node = model.nodes[ref.node];
  if (!offer.copies.empty()) return "a copy: " + offer.copies;
  if (node.Transfers(model.Port(ref).desc->access, offer.views)) {
    return fmt::format("a transfer: {} cannot import {}", node.facts->device_name,
                       ViewsToString(offer.views));
  }
  return "no copy";
}

/// What a port offers as far as `constraint` is concerned.
std::string OfferText(const Model& model, PortRef ref, Constraint constraint) {
  const std::vector<Offer>& offers = model.Port(ref).offers;
  switch (constraint) {
    case kOnFourcc:
      return FourccList(offers);
    case kOnModifier:
      return Distinct(offers, ModifierList);
    case kOnSize:
      return Distinct(
          offers, [](const Offer& o) { return ToString(o.width) + " x " + ToString(o.height); });
    case kOnRate:
      return Distinct(offers, [](const Offer& o) { return ToString(RateRangeOf(o)) + " fps"; });
    case kOnColor:
      return Distinct(offers, [](const Offer& o) { return media::ToString(o.color); });
    case kOnCopies:
      return Distinct(offers, [&](const Offer& o) { return CopyText(model, ref, o); });
    default:
      return Distinct(offers, [&](const Offer& o) {
        return (o.fourccs.empty() ? "any format" : FourccList({o})) + " in " +
               MemoryText(model, ref, o);
      });
  }
}

std::string_view ConstraintText(Constraint constraint) {
  switch (constraint) {
    case kOnFourcc:
      return "no common pixel format";
    case kOnModifier:
      return "no common modifier";
    case kOnSize:
      return "no common size";
    case kOnRate:
      return "no common frame rate";
    case kOnColor:
      return "no common colour";
    case kOnCopies:
      return "zero-copy is required, and only offers that copy are left";
    case kOnMemory:
      return "no memory that all can reach";
    case kOnExclusions:
      return "what was left has failed before";
    default:
      return "no combination of offers fits";
  }
}

/// How unlike two formats are, as far as pictures go.
uint32_t Distance(uint32_t a, uint32_t b) {
  const media::FormatInfo* first = media::FindFormatInfo(a);
  const media::FormatInfo* second = media::FindFormatInfo(b);
  if (first == nullptr || second == nullptr || first->compressed != second->compressed) return 100;
  const auto apart = [](uint32_t x, uint32_t y) { return x > y ? x - y : y - x; };
  uint32_t distance = first->rgb == second->rgb ? 0 : 10;
  distance += apart(first->plane_count, second->plane_count);
  distance += 4 * apart(first->planes[0].bytes, second->planes[0].bytes);
  return distance;
}

/// The two formats of an edge's ends that are most alike.
std::string NearestFourccs(const Model& model, const ModelNet& net) {
  if (net.edges.size() != 1) return {};
  const ModelPort& from = model.Port(net.producer);
  const ModelPort& to = model.Port(model.edges[net.edges[0]].to);
  std::string nearest;
  uint32_t least = 100;
  for (const Offer& offered : from.offers) {
    for (const Offer& taken : to.offers) {
      for (uint32_t a : offered.fourccs) {
        for (uint32_t b : taken.fourccs) {
          if (Distance(a, b) >= least) continue;
          least = Distance(a, b);
          nearest = fmt::format("nearest: {} and {}", media::FourccName(a), media::FourccName(b));
        }
      }
    }
  }
  return nearest;
}

/// The best candidate that dropping the constraint would leave.
std::string NearestMiss(const Model& model, const ModelNet& net, Size nominal,
                        Constraint constraint) {
  if (constraint == kOnFourcc) return NearestFourccs(model, net);
  const uint32_t left = constraint == kOnAll ? kOnFourcc | kOnSize : kOnAll & ~uint32_t{constraint};
  CandidateSet set = MakeCandidates(model, net, nominal, left);
  if (set.items.empty()) return {};
  const Candidate& near = set.items.front();
  return fmt::format("nearest: {} {} x {}, but for this", media::FourccName(near.fourcc),
                     ToString(near.width), ToString(near.height));
}

std::string ConverterNames(const Model& model) {
  std::vector<std::string> names;
  for (const NodeType* type : model.input->converters) names.push_back(type->id);
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string Help(const Model& model, const ModelNet& net, Constraint constraint) {
  if (constraint == kOnCopies)
    return "help: drop `require: zero-copy`, or choose another input format";
  if (constraint == kOnExclusions) return "help: another device or node, or an explicit converter";
  if (model.input->graph->settings().convert == Convert::kNever) {
    return "help: `convert: auto` in settings would allow a converter here";
  }
  if (net.zero_copy) return "help: without `require: zero-copy` a converter may be inserted here";
  if (model.input->converters.empty()) {
    return "help: no installed plugin offers a converter; put a node between them that takes the "
           "one "
           "and gives the other";
  }
  return fmt::format("help: none of the converters fits here either ({}); put a node between them",
                     ConverterNames(model));
}

std::string Enumerate(const Model& model, const ModelNet& net, Constraint constraint) {
  std::string out;
  for (size_t i = 0; i <= net.edges.size(); ++i) {
    const PortRef ref = model.Participant(net, i);
    out += fmt::format("\n  {} {}: {}", model.Port(ref).name, i == 0 ? "offers" : "takes",
                       OfferText(model, ref, constraint));
  }
  if (constraint == kOnMemory) {
    for (const EngineAllocator& allocator : model.input->allocators) {
      out += fmt::format("\n  the engine can allocate {}: {}", allocator.name,
                         ViewsToString(allocator.views));
    }
  }
  if (constraint == kOnExclusions) {
    for (const std::string& reason : ExclusionReasons(model, net)) out += "\n  failed: " + reason;
  }
  return out;
}

std::optional<TieField> FieldOf(Constraint constraint) {
  switch (constraint) {
    case kOnFourcc:
      return TieField::kFourcc;
    case kOnSize:
      return TieField::kSize;
    case kOnRate:
      return TieField::kRate;
    case kOnColor:
      return TieField::kColor;
    default:
      return std::nullopt;
  }
}

/// No converter gives another value of the field than it takes.
bool AllConvertersKeep(const Model& model, TieField field) {
  const auto& types = model.input->converters;
  return std::all_of(types.begin(), types.end(), [field](const NodeType* type) {
    return std::any_of(type->ties.begin(), type->ties.end(), [field](const Tie& tie) {
      return tie.field == field && tie.when_param.empty() && tie.unless_param.empty();
    });
  });
}

/// Of several constraints that fail each by itself, one that no converter would have met; to mend
/// the others would be of no use.
Constraint ConstraintToName(const Model& model, const ModelNet& net, Size nominal) {
  const bool may_convert = !net.zero_copy && !model.input->converters.empty() &&
                           model.input->graph->settings().convert != Convert::kNever;
  for (Constraint constraint : kConstraints) {
    const std::optional<TieField> field = FieldOf(constraint);
    if (!may_convert || !field || !AllConvertersKeep(model, *field)) continue;
    if (MakeCandidates(model, net, nominal, constraint).items.empty()) return constraint;
  }
  return EmptyingConstraint(model, net, nominal);
}

std::string ExplainNet(const Model& model, const ModelNet& net, Size nominal) {
  const Constraint constraint = ConstraintToName(model, net, nominal);
  std::string out;
  if (net.edges.size() == 1) {
    out = fmt::format("{}: {}", model.EdgeName(net.edges[0]), ConstraintText(constraint));
  } else {
    out = fmt::format("{} and its {} consumers together: {}", model.Port(net.producer).name,
                      net.edges.size(), ConstraintText(constraint));
  }
  out += Enumerate(model, net, constraint);
  if (std::string near = NearestMiss(model, net, nominal, constraint); !near.empty()) {
    out += "\n  " + near;
  }
  return out + "\n  " + Help(model, net, constraint);
}

/// The tie of `field` between two nets' ports, "look: out.size == in.size".
std::vector<std::string> TieTexts(const Model& model, const FailedNet& failed) {
  std::set<std::string> texts;
  for (uint32_t i = 0; i < model.nodes.size(); ++i) {
    const ModelNode& node = model.nodes[i];
    for (const Tie& tie : node.ties) {
      if (failed.field && !Covers(tie.field, *failed.field)) continue;
      for (uint32_t p = 0; p < node.ports.size(); ++p) {
        if (node.ports[p].desc->name != tie.left_port && node.ports[p].desc->name != tie.right_port)
          continue;
        auto net = model.NetOf({i, p});
        const bool concerned =
            net && (*net == failed.net || std::find(failed.tied_to.begin(), failed.tied_to.end(),
                                                    *net) != failed.tied_to.end());
        if (concerned) {
          texts.insert(fmt::format("{}: {}", node.name, ToString(tie)));
        }
      }
    }
  }
  return {texts.begin(), texts.end()};
}

Constraint ConstraintOf(std::optional<TieField> field) {
  if (!field) return kOnAll;
  switch (*field) {
    case TieField::kFourcc:
      return kOnFourcc;
    case TieField::kSize:
      return kOnSize;
    case TieField::kRate:
      return kOnRate;
    case TieField::kColorSpace:
    case TieField::kColorEncoding:
    case TieField::kColor:
      return kOnColor;
  }
  return kOnAll;
}

/// What a net could be on its own, as far as the field is concerned.
std::string NetText(const Model& model, uint32_t index, Size nominal, Constraint constraint) {
  const ModelNet& net = model.nets[index];
  std::vector<std::string> parts;
  for (const Candidate& c : MakeCandidates(model, net, nominal).items) {
    std::string part;
    switch (constraint) {
      case kOnSize:
        part = ToString(c.width) + " x " + ToString(c.height);
        break;
      case kOnRate:
        part = ToString(c.rate) + " fps";
        break;
      case kOnColor:
        part = media::ToString(c.color);
        break;
      default:
        part = media::FourccName(c.fourcc);
        break;
    }
    if (std::find(parts.begin(), parts.end(), part) == parts.end()) parts.push_back(part);
  }
  std::vector<std::string> consumers;
  for (uint32_t edge : net.edges) consumers.push_back(model.Port(model.edges[edge].to).name);
  return fmt::format("{} -> {} can be: {}", model.Port(net.producer).name,
                     fmt::join(consumers, ", "), fmt::join(parts, " or "));
}

std::string ExplainTies(const Model& model, const Solution& solution, const FailedNet& failed) {
  if (!failed.field && !solution.optimal) {
    return "the search for a common format was cut off at its bound before it found one; "
           "fix formats or sizes by parameters to narrow it";
  }
  const Constraint constraint = ConstraintOf(failed.field);
  std::string out =
      fmt::format("{}: {} under the ties between ports",
                  model.Port(model.nets[failed.net].producer).name, ConstraintText(constraint));
  constexpr size_t kMaxLines = 8;
  std::vector<std::string> ties = TieTexts(model, failed);
  if (ties.size() > kMaxLines) ties.resize(kMaxLines);
  for (const std::string& tie : ties) out += "\n  " + tie;
  std::vector<uint32_t> nets = failed.tied_to;
  nets.push_back(failed.net);
  std::sort(nets.begin(), nets.end());
  if (nets.size() > kMaxLines) nets.resize(kMaxLines);
  for (uint32_t net : nets) out += "\n  " + NetText(model, net, failed.nominal, constraint);
  return out + "\n  " + Help(model, model.nets[failed.net], constraint);
}

}  // namespace

Constraint EmptyingConstraint(const Model& model, const ModelNet& net, Size nominal) {
  uint32_t on = 0;
  for (Constraint constraint : kConstraints) {
    on |= constraint;
    if (MakeCandidates(model, net, nominal, on).items.empty()) return constraint;
  }
  return kOnAll;
}

std::vector<BadPair> BadPairs(const Model& model, uint32_t net, Size nominal) {
  std::vector<BadPair> bad;
  for (uint32_t edge : model.nets[net].edges) {
    const ModelNet pair = OnlyEdge(model, model.nets[net], edge);
    if (!MakeCandidates(model, pair, nominal).items.empty()) continue;
    bad.push_back({net, edge, EmptyingConstraint(model, pair, nominal)});
  }
  return bad;
}

std::string InsertionReason(const Model& model, uint32_t edge, Constraint constraint) {
  const ModelEdge& e = model.edges[edge];
  const PortRef producer = model.nets[e.net].producer;
  std::string_view what =
      constraint == kOnAll ? "the ties between ports leave nothing" : ConstraintText(constraint);
  if (constraint == kOnAll || constraint == kOnExclusions) return std::string(what);
  return fmt::format("{}: {} offers {}, {} takes {}", what, model.Port(producer).name,
                     OfferText(model, producer, constraint), model.Port(e.to).name,
                     OfferText(model, e.to, constraint));
}

std::string ExplainFailure(const Model& model, const Solution& solution, const FailedNet& failed) {
  if (failed.field || !failed.tied_to.empty()) return ExplainTies(model, solution, failed);
  const ModelNet& net = model.nets[failed.net];
  const std::vector<BadPair> bad = BadPairs(model, failed.net, failed.nominal);
  if (bad.empty()) return ExplainNet(model, net, failed.nominal);
  std::string out;
  for (const BadPair& pair : bad) {
    if (!out.empty()) out += "\n";
    out += ExplainNet(model, OnlyEdge(model, net, pair.edge), failed.nominal);
  }
  return out;
}

}  // namespace sluice::graph
