#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/domain/domain.h"
#include "engine/graph/graph.h"
#include "engine/graph/negotiate.h"
#include "engine/graph/plan.h"
#include "engine/media/copy_meter.h"
#include "engine/plugin/loader.h"
#include "engine/plugin/node_instance.h"
#include "engine/scheduler/node_context.h"
#include "engine/scheduler/reactor.h"

namespace sluice::runtime {

/// Why something did not come to be, as far as the exit code is concerned.
enum class Blame {
  kGraph,    ///< The graph, or what it names, is wrong.
  kMachine,  ///< The machine lacks a device, a driver or a plugin.
};
struct Failure {
  Blame blame = Blame::kGraph;
  Error error;
};
template <typename T>
using Outcome = tl::expected<T, Failure>;

/// A node that exists: its context, which outlives restarts, and its instance.
struct LiveNode {
  std::string name;
  const graph::NodeType* type = nullptr;
  std::vector<plugin::ParamArgument> params;
  std::unique_ptr<scheduler::NodeContext> context;
  std::unique_ptr<plugin::NodeInstance> instance;
  domain::Domain* domain = nullptr;
  std::string domain_key;   ///< of NodeSet::domains(); "" on the CPU
  bool codeless = false;    ///< Its type has no code of its own: another's does the work.
  uint64_t generation = 0;  ///< Counts instances: memory that an earlier one made is gone.

  /// What went wrong with it, for the user: what the node itself had to say, or
  /// else `error`, after its name.
  Error Explain(const Error& error) const;
};

/// The domains and nodes of one graph, opened. Threads: [main-thread].
class NodeSet {
 public:
  struct Options {
    const graph::TypeSource* types = nullptr;
    plugin::Loader* loader = nullptr;
    scheduler::Reactor* reactor = nullptr;
    media::CopyMeter* copies = nullptr;
    std::string gpu;  ///< Selector from the command line; wins over the graph's.
    std::vector<graph::EngineAllocator> allocators;  ///< Memory that the engine can make here.
    graph::Profile profile;
  };

  NodeSet(const graph::Graph& graph, Options options) : graph_(graph), options_(options) {}
  ~NodeSet();

  /// Makes and probes every node of the graph.
  tl::expected<void, Failure> Open();
  /// Negotiates with what the nodes offer, makes and probes the nodes that the
  /// plan inserts, until the plan stands. `ended`: nodes that do not run any more.
  Outcome<graph::Plan> Solve(uint32_t epoch, const std::vector<graph::Exclusion>& exclusions,
                             const std::set<std::string>& ended);

  /// Null if there is none.
  LiveNode* Find(std::string_view name);
  /// A domain in the place of the one of `key` whose device is lost, by the same selector, not in
  /// use yet. Errors: those of Domain::Create; while the device is away, say.
  Result<std::unique_ptr<domain::Domain>> OpenAgain(const std::string& key);
  /// Gives `fresh` the place of the domain of `key`, and makes and probes its nodes again. Their
  /// old instances and islands must be gone.
  Status ExchangeDomain(const std::string& key, std::unique_ptr<domain::Domain> fresh);
  /// Makes, probes and adds a node again after a failure. Its old instance must be gone.
  Status Recreate(LiveNode& node);
  /// Asks an active node for new offers.
  Status Probe(LiveNode& node);
  /// From now on the port offers nothing but `format`; `declared` stands where it
  /// was not probed.
  void Pin(const std::string& port_name, const std::vector<graph::Offer>& declared,
           const media::Format& format);

  const std::map<std::string, std::unique_ptr<domain::Domain>>& domains() const { return domains_; }
  const std::vector<std::unique_ptr<LiveNode>>& nodes() const { return nodes_; }

 private:
  /// The key of a domain's instance for a device, opened if it is not yet.
  Outcome<std::string> OpenDomain(const std::string& id, const std::string& selector);
  std::string KeyOf(const domain::Domain& domain, const std::string& id) const;
  /// `domain`: the key of its instance; "" on the CPU.
  Outcome<LiveNode*> Add(const std::string& name, const graph::NodeType& type,
                         const std::vector<graph::NodeParam>& params, const std::string& domain);
  graph::NegotiationInput MakeInput(uint32_t epoch, const std::vector<graph::Exclusion>& exclusions,
                                    const std::set<std::string>& ended) const;
  void PredictPasses(graph::Plan* plan, const graph::Profile& profile);
  Status Create(LiveNode& node);
  std::vector<const graph::NodeType*> Converters() const;
  Outcome<bool> AddInserted(const graph::Plan& plan);

  const graph::Graph& graph_;
  Options options_;
  // Domains outlive the nodes, which may hold their objects.
  // By key: the first instance of a domain has its id, others "id:DEVICE".
  std::map<std::string, std::unique_ptr<domain::Domain>> domains_;
  std::map<std::pair<std::string, std::string>, std::string> keys_;  ///< {id, selector} -> key
  std::map<std::string, std::string> missing_domains_;               ///< id -> why
  std::vector<std::unique_ptr<LiveNode>> nodes_;
  std::map<std::string, std::vector<graph::Offer>> offers_;
};

}  // namespace sluice::runtime
