#pragma once

#include <string>
#include <vector>

#include "engine/graph/graph.h"
#include "engine/graph/node_type.h"

namespace sluice::graph::testing {

/// "NV12 YU12" -> fourccs.
std::vector<uint32_t> Fourccs(const std::string& names);

/// A cached-memory offer of these fourccs, any size and rate.
Offer CpuOffer(const std::string& fourccs, Views views = kViewShm | kViewCpu);
/// The same with one size.
Offer SizedOffer(const std::string& fourccs, uint32_t width, uint32_t height);

PortDesc Input(const std::string& name, std::vector<Offer> offers);
PortDesc Output(const std::string& name, std::vector<Offer> offers);
ParamDesc Param(const std::string& name, ParamType type);

NodeType Source(const std::string& id, std::vector<Offer> offers);
NodeType Sink(const std::string& id, std::vector<Offer> offers);
/// Ports `in` and `out`, tied in size, rate, color and, if `same_fourcc`, fourcc.
NodeType Filter(const std::string& id, std::vector<Offer> in, std::vector<Offer> out,
                bool same_fourcc = true);
/// A filter that may be inserted: any of `from` in, any of `to` out, the colour of both free.
NodeType Converter(const std::string& id, const std::string& from, const std::string& to);

/// The types that the language's examples need: test.clip (NV12/YU12, 1920x1080),
/// test.look (NV12/YU12, parameters), test.file (YU12), test.null (anything),
/// test.mix (inputs a and b), test.select (passes through), test.split (outputs a, b).
std::vector<NodeType> StandardTypes();

/// A validated graph from lines of "name: type [param=value]... [sync=latest] [trigger=PORT]
/// [cut] [restart]" and
/// "a -> b.port [queue=N] [drop] [require]". Aborts on a faulty one, saying why.
/// `types` must outlive it.
Graph MakeGraph(const std::string& text, const TypeSource& types, const Settings& settings = {});

}  // namespace sluice::graph::testing
