#include "engine/graph/testing/types.h"

#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace sluice::graph::testing {

std::vector<uint32_t> Fourccs(const std::string& names) {
  std::vector<uint32_t> out;
  std::istringstream stream(names);
  for (std::string name; stream >> name;) out.push_back(media::ParseFourcc(name).value());
  return out;
}

Offer CpuOffer(const std::string& fourccs, Views views) {
  Offer offer;
  offer.fourccs = Fourccs(fourccs);
  offer.views = views;
  return offer;
}

Offer SizedOffer(const std::string& fourccs, uint32_t width, uint32_t height) {
  Offer offer = CpuOffer(fourccs);
  offer.width = {width, width, 1};
  offer.height = {height, height, 1};
  return offer;
}

PortDesc Input(const std::string& name, std::vector<Offer> offers) {
  PortDesc port;
  port.name = name;
  port.direction = Direction::kInput;
  port.offers = std::move(offers);
  return port;
}

PortDesc Output(const std::string& name, std::vector<Offer> offers) {
  PortDesc port = Input(name, std::move(offers));
  port.direction = Direction::kOutput;
  return port;
}

ParamDesc Param(const std::string& name, ParamType type) {
  ParamDesc desc;
  desc.name = name;
  desc.type = type;
  return desc;
}

NodeType Source(const std::string& id, std::vector<Offer> offers) {
  NodeType type;
  type.id = id;
  type.ports = {Output("out", std::move(offers))};
  return type;
}

NodeType Sink(const std::string& id, std::vector<Offer> offers) {
  NodeType type;
  type.id = id;
  type.ports = {Input("in", std::move(offers))};
  return type;
}

NodeType Filter(const std::string& id, std::vector<Offer> in, std::vector<Offer> out,
                bool same_fourcc) {
  NodeType type;
  type.id = id;
  type.ports = {Input("in", std::move(in)), Output("out", std::move(out))};
  type.ties = {{"out", "in", TieField::kSize},
               {"out", "in", TieField::kRate},
               {"out", "in", TieField::kColor}};
  if (same_fourcc) type.ties.push_back({"out", "in", TieField::kFourcc});
  return type;
}

NodeType Converter(const std::string& id, const std::string& from, const std::string& to) {
  NodeType type = Filter(id, {CpuOffer(from)}, {CpuOffer(to)}, false);
  std::erase_if(type.ties, [](const Tie& tie) { return tie.field == TieField::kColor; });
  type.converter = true;
  return type;
}

std::vector<NodeType> StandardTypes() {
  std::vector<NodeType> types;

  NodeType clip = Source("test.clip", {SizedOffer("NV12 YU12", 1920, 1080)});
  clip.params = {Param("file", ParamType::kPath), Param("loop", ParamType::kBool),
                 Param("rate", ParamType::kRate), Param("start", ParamType::kDuration),
                 Param("size", ParamType::kSize)};
  clip.params[0].required = true;
  clip.params[0].doc = "The file to read.";
  types.push_back(clip);

  NodeType look = Filter("test.look", {CpuOffer("NV12 YU12")}, {CpuOffer("NV12 YU12")});
  look.params = {Param("look", ParamType::kEnum), Param("strength", ParamType::kFloat),
                 Param("radius", ParamType::kInt)};
  look.params[0].choices = {"mono", "noir", "sepia"};
  look.params[0].default_value = ParamValue{.type = ParamType::kEnum, .text = "mono"};
  look.params[1].min = 0;
  look.params[1].max = 1;
  look.params[1].default_value = ParamValue{.type = ParamType::kFloat, .f = 1};
  look.params[2].unit = "px";
  look.params[2].min = 1;
  look.params[2].max = 64;
  types.push_back(look);

  NodeType file = Sink("test.file", {CpuOffer("YU12")});
  file.params = {Param("file", ParamType::kPath), Param("options", ParamType::kMap)};
  types.push_back(file);

  types.push_back(Sink("test.null", {CpuOffer("")}));

  NodeType mix = Filter("test.mix", {CpuOffer("NV12 YU12")}, {CpuOffer("NV12 YU12")});
  mix.ports = {Input("a", {CpuOffer("NV12 YU12")}), Input("b", {CpuOffer("NV12 YU12")}),
               Output("out", {CpuOffer("NV12 YU12")})};
  mix.ties = {{"out", "a", TieField::kSize}, {"out", "a", TieField::kFourcc}};
  types.push_back(mix);

  NodeType select = Filter("test.select", {CpuOffer("")}, {}, false);
  select.ports[1].passthrough = "in";
  select.ties.clear();
  types.push_back(select);

  NodeType split = Sink("test.split", {CpuOffer("NV12 YU12")});
  split.ports.push_back(Output("a", {CpuOffer("NV12 YU12")}));
  split.ports.push_back(Output("b", {CpuOffer("NV12 YU12")}));
  split.ports[2].required = false;
  types.push_back(split);
  return types;
}

namespace {

EndpointConfig Endpoint(const std::string& text) {
  const size_t dot = text.find('.');
  return {text.substr(0, dot), dot == std::string::npos ? "" : text.substr(dot + 1), {}};
}

void ReadEdges(const std::vector<std::string>& words, GraphConfig* config) {
  EdgeConfig edge;
  std::vector<std::string> ends;
  for (const std::string& word : words) {
    if (word == "->") continue;
    if (word.starts_with("queue=")) {
      edge.queue.given = true;
      edge.queue.depth = static_cast<uint32_t>(std::stoul(word.substr(6)));
    } else if (word == "drop") {
      edge.queue.given = true;
      edge.queue.when_full = WhenFull::kDropOldest;
    } else if (word == "require") {
      edge.require_zero_copy = true;
    } else {
      ends.push_back(word);
    }
  }
  for (size_t i = 0; i + 1 < ends.size(); ++i) {
    edge.from = Endpoint(ends[i]);
    edge.to = Endpoint(ends[i + 1]);
    config->edges.push_back(edge);
  }
}

void ReadNode(const std::vector<std::string>& words, GraphConfig* config) {
  NodeConfig node;
  node.name = words[0].substr(0, words[0].size() - 1);
  node.type = words[1];
  for (size_t i = 2; i < words.size(); ++i) {
    const size_t equals = words[i].find('=');
    const std::string name = words[i].substr(0, equals), value = words[i].substr(equals + 1);
    if (name == "sync") {
      node.sync = value == "latest" ? SyncPolicy::kLatest : SyncPolicy::kAll;
    } else if (name == "trigger") {
      node.trigger = value;
    } else if (name == "cut") {
      node.island_cut = true;
    } else if (name == "restart") {
      node.on_error = ErrorPolicy{.action = ErrorAction::kRestart};
    } else {
      ParamConfig param;
      param.name = name;
      param.text = value;
      node.params.push_back(param);
    }
  }
  config->nodes.push_back(node);
}

}  // namespace

Graph MakeGraph(const std::string& text, const TypeSource& types, const Settings& settings) {
  GraphConfig config;
  config.name = "test";
  config.settings = settings;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream stream(line);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(word);
    if (words.empty()) continue;
    if (words[0].ends_with(":")) {
      ReadNode(words, &config);
    } else {
      ReadEdges(words, &config);
    }
  }
  DiagnosticList diagnostics("test");
  std::optional<Graph> graph = Validate(config, types, &diagnostics);
  if (!graph) {
    std::fprintf(stderr, "MakeGraph: %s\n", diagnostics.Format().c_str());
    std::abort();
  }
  return *graph;
}

}  // namespace sluice::graph::testing
