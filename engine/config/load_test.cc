#include "engine/config/load.h"

#include <algorithm>
#include <fstream>

#include <gtest/gtest.h>

#include "engine/graph/codes.h"
#include "engine/graph/testing/types.h"

namespace sluice::config {
namespace {

using graph::Graph;

const graph::TypeList& Types() {
  static const graph::TypeList types(graph::testing::StandardTypes());
  return types;
}

struct Loaded {
  std::optional<Graph> graph;
  DiagnosticList list;

  /// "E121 3:12" for every finding, in order.
  std::string Codes() const {
    std::string out;
    for (const Diagnostic& d : list.items()) {
      if (!out.empty()) out += ", ";
      out += d.code.substr(4) + " " + std::to_string(d.mark.line) + ":" +
             std::to_string(d.mark.column);
    }
    return out;
  }
  std::string Text() const { return list.Format(); }
};

Loaded Load(const std::string& text, const Overrides& overrides = {}) {
  Loaded loaded;
  loaded.graph = LoadGraph(text, "g.yaml", overrides, Types(), &loaded.list);
  return loaded;
}

constexpr char kNoir[] = R"(sluice: 1
name: noir
params:   { input: clip.mp4, look: noir }
settings: { zero_copy: prefer, clock: free-run }
nodes:
  clip: { type: test.clip, file: "${input}", rate: 30000/1001 }
  look: { type: test.look, look: "${look}" }
  out:  { type: test.file, file: "out-${look}.mp4" }
edges:
  - clip -> look -> out
)";

TEST(LoadTest, ReadsTheNoirGraph) {
  Loaded loaded = Load(kNoir);
  ASSERT_TRUE(loaded.graph) << loaded.Text();
  const Graph& graph = *loaded.graph;
  EXPECT_EQ(graph.name(), "noir");
  ASSERT_EQ(graph.nodes().size(), 3u);
  EXPECT_EQ(graph.nodes()[0].FindParam("file")->text, "clip.mp4");
  EXPECT_EQ(graph.nodes()[0].FindParam("rate")->rate, (media::Rate{30000, 1001}));
  EXPECT_EQ(graph.nodes()[1].FindParam("look")->text, "noir");
  EXPECT_EQ(graph.nodes()[2].FindParam("file")->text, "out-noir.mp4");
  ASSERT_EQ(graph.edges().size(), 2u);
  EXPECT_EQ(graph.PortName(graph.edges()[1].from), "look.out");
  EXPECT_EQ(graph.topological_order(), (std::vector<uint32_t>{0, 1, 2}));
}

TEST(LoadTest, SetOverridesAParameter) {
  Loaded loaded = Load(kNoir, {{"look", "sepia"}});
  ASSERT_TRUE(loaded.graph) << loaded.Text();
  EXPECT_EQ(loaded.graph->nodes()[1].FindParam("look")->text, "sepia");
}

TEST(LoadTest, DefaultsAreFilledInAndMarked) {
  Loaded loaded = Load(kNoir);
  const graph::GraphNode& look = loaded.graph->nodes()[1];
  ASSERT_EQ(look.params.size(), 2u);
  EXPECT_TRUE(look.params[0].given);
  EXPECT_EQ(look.params[1].name, "strength");
  EXPECT_FALSE(look.params[1].given);
  EXPECT_EQ(look.params[1].value.f, 1.0);
}

TEST(LoadTest, AnUnknownSetNamesTheNearest) {
  Loaded loaded = Load(kNoir, {{"lok", "sepia"}});
  EXPECT_FALSE(loaded.graph);
  EXPECT_EQ(loaded.Codes(), "E107 0:0");
  EXPECT_NE(loaded.Text().find("did you mean 'look'?"), std::string::npos);
}

TEST(LoadTest, AllErrorsComeAtOnceSortedByPlace) {
  Loaded loaded = Load(R"(sluice: 1
setings: {}
nodes:
  clip: { type: test.clp, file: a }
  look: { type: test.look, look: noire, strenght: 1 }
  out:  { type: test.file }
edges:
  - clip -> look -> owt
)");
  EXPECT_EQ(loaded.Codes(), "E103 2:1, E121 4:17, E123 5:34, E122 5:41, E129 6:3, E120 8:21");
}

TEST(LoadTest, FindingsShowTheLineAndTheNearestName) {
  Loaded loaded = Load("sluice: 1\nnodes: { c: { type: test.clp, file: a } }\n");
  EXPECT_EQ(loaded.Text(),
            "g.yaml:2:21: error: node 'c': unknown type 'test.clp' [SLU-E121]\n"
            "    2 | nodes: { c: { type: test.clp, file: a } }\n"
            "      |                     ^\n"
            "      = did you mean 'test.clip'?\n");
}

TEST(LoadTest, MalformedTextIsOneFinding) {
  Loaded loaded = Load("sluice: 1\nnodes: { a: [ }\n");
  EXPECT_FALSE(loaded.graph);
  ASSERT_EQ(loaded.list.items().size(), 1u);
  EXPECT_EQ(loaded.list.items()[0].code, "SLU-E001");
}

TEST(LoadTest, DuplicateKeysAreFoundBesideOtherErrors) {
  Loaded loaded = Load(R"(sluice: 1
nodes:
  a: { type: test.clip, file: x, file: y }
  a: { type: test.null }
  b: { type: test.nul }
edges: [ a -> b ]
)");
  EXPECT_EQ(loaded.Codes(), "E002 3:34, E002 4:3, E121 5:14");
}

TEST(LoadTest, BombsAndSelfAliasesEnd) {
  EXPECT_EQ(Load("sluice: 1\nnodes: &s [*s]\n").Codes(), "E006 2:12");
  std::string deep = "sluice: 1\nnodes: " + std::string(200, '[') + std::string(200, ']');
  EXPECT_EQ(Load(deep).list.items()[0].code, "SLU-E004");
}

TEST(LoadTest, TheVersionIsRequiredAndKnown) {
  EXPECT_EQ(Load("nodes: {}").Codes(), "E102 1:1");
  EXPECT_EQ(Load("sluice: 2\nnodes: {}").Codes(), "E102 1:9");
  EXPECT_EQ(Load("").Codes(), "E101 0:0");
  EXPECT_EQ(Load("- a").Codes(), "E101 1:1");
}

TEST(LoadTest, AGraphWithoutNodesIsAnError) {
  EXPECT_EQ(Load("sluice: 1").Codes(), "E104 1:1");
  EXPECT_EQ(Load("sluice: 1\nnodes: {}").Codes(), "E132 1:1");
}

/// A graph whose clip node has `params`; findings are in line 2.
Loaded LoadClip(const std::string& params) {
  return Load("sluice: 1\nnodes: { c: { type: test.clip, file: f, " + params +
              " }, n: { type: test.null } }\nedges: [ c -> n ]\n");
}
Loaded LoadLook(const std::string& params) {
  return Load("sluice: 1\nnodes: { c: { type: test.clip, file: f }, l: { type: test.look, " +
              params + " }, n: { type: test.null } }\nedges: [ c -> l -> n ]\n");
}

TEST(LoadTest, ParametersAreHeldToTypeRangeAndUnit) {
  EXPECT_TRUE(LoadLook("strength: 0.5").graph);
  EXPECT_NE(LoadLook("strength: 1.5").Text().find("out of range: expected 0..1"),
            std::string::npos);
  EXPECT_NE(LoadLook("strength: much").Text().find("is not a number"), std::string::npos);
  EXPECT_TRUE(LoadLook("radius: 5 px").graph);
  EXPECT_TRUE(LoadLook("radius: 5").graph);
  EXPECT_NE(LoadLook("radius: 5 cm").Text().find("has unit 'cm', but takes 'px'"),
            std::string::npos);
  EXPECT_NE(LoadLook("radius: 2.5").Text().find("is not a whole number"), std::string::npos);
  EXPECT_NE(LoadLook("radius: 65").Text().find("out of range: expected 1..64 px"),
            std::string::npos);
  EXPECT_NE(LoadLook("radius: 99999999999999999999").Text().find("is not a whole number"),
            std::string::npos);
  EXPECT_NE(LoadLook("strength: nan").Text().find("is not a number"), std::string::npos);
  EXPECT_NE(LoadLook("strength: 1 px").Text().find("takes none"), std::string::npos);
  EXPECT_NE(LoadLook("look: [noir]").Text().find("must be a value, not a list"), std::string::npos);
  EXPECT_NE(LoadLook("look: {a: b}").Text().find("is a mapping, expected enum"), std::string::npos);
}

TEST(LoadTest, DurationsNeedAUnit) {
  Loaded loaded = LoadClip("start: 1500ms");
  ASSERT_TRUE(loaded.graph) << loaded.Text();
  EXPECT_EQ(loaded.graph->nodes()[0].FindParam("start")->i, 1'500'000'000);
  EXPECT_TRUE(LoadClip("start: 0").graph);
  EXPECT_NE(LoadClip("start: 5").Text().find("has no unit"), std::string::npos);
  EXPECT_NE(LoadClip("start: 5 px").Text().find("has unit 'px'"), std::string::npos);
  EXPECT_NE(LoadClip("start: 1e300 s").Text().find("out of range"), std::string::npos);
}

TEST(LoadTest, SizesAndRatesAreParsed) {
  EXPECT_EQ(LoadClip("size: 641x359").graph->nodes()[0].FindParam("size")->size,
            (graph::Size{641, 359}));
  EXPECT_NE(LoadClip("size: 0x5").Text().find("is not a size"), std::string::npos);
  EXPECT_NE(LoadClip("size: 1920").Text().find("is not a size"), std::string::npos);
  EXPECT_EQ(LoadClip("rate: 29.97").graph->nodes()[0].FindParam("rate")->rate,
            (media::Rate{2997, 100}));
  EXPECT_NE(LoadClip("rate: 0").Text().find("is not a rate"), std::string::npos);
  EXPECT_NE(LoadClip("loop: maybe").Text().find("neither true nor false"), std::string::npos);
}

TEST(LoadTest, MissingRequiredParametersAreNamed) {
  Loaded loaded =
      Load("sluice: 1\nnodes: { c: { type: test.clip }, n: { type: test.null } }\nedges: [c -> n]");
  EXPECT_EQ(loaded.Codes(), "E124 2:10");
  EXPECT_NE(loaded.Text().find("node 'c' (test.clip) needs 'file' (path)"), std::string::npos);
}

TEST(LoadTest, MappingsBecomeJsonWithTheirTypes) {
  Loaded loaded = Load(R"(sluice: 1
params: { opts: { crf: 18, preset: "fast", tune: "1", f: true } }
nodes:
  c: { type: test.clip, file: f }
  l: { type: test.look }
  o: { type: test.file, options: "${opts}" }
edges: [ c -> l -> o ]
)");
  ASSERT_TRUE(loaded.graph) << loaded.Text();
  EXPECT_EQ(loaded.graph->nodes()[2].FindParam("options")->text,
            R"({"crf":18,"preset":"fast","tune":"1","f":true})");
}

TEST(LoadTest, SubstitutionFindingsAreAtTheScalar) {
  EXPECT_EQ(LoadClip("start: \"${st}\"").Codes(), "E106 2:48");
  EXPECT_NE(LoadClip("start: \"${st\"").Text().find("without '}'"), std::string::npos);
  Loaded unset = Load(
      "sluice: 1\nparams: { f: ~ }\nnodes: { c: { type: test.clip, file: \"${f}\" }, n: { type: "
      "test.null } }\nedges: [c -> n]");
  EXPECT_NE(unset.Text().find("give one: --set f=VALUE"), std::string::npos);
}

TEST(LoadTest, ADoubledDollarIsLiteral) {
  Loaded loaded = Load(
      "sluice: 1\nnodes: { c: { type: test.clip, file: \"a$${b}\" }, n: { type: test.null } "
      "}\nedges: [c -> n]");
  ASSERT_TRUE(loaded.graph) << loaded.Text();
  EXPECT_EQ(loaded.graph->nodes()[0].FindParam("file")->text, "a${b}");
}

TEST(LoadTest, UnusedParametersAreOnlyWarnedAbout) {
  Loaded loaded = Load(
      "sluice: 1\nparams: { x: 1 }\nnodes: { c: { type: test.clip, file: f }, n: { type: test.null "
      "} }\nedges: [c -> n]");
  EXPECT_TRUE(loaded.graph);
  EXPECT_EQ(loaded.Codes(), "W101 2:11");
}

Loaded LoadEdges(const std::string& edges) {
  return Load(R"(sluice: 1
nodes:
  c: { type: test.clip, file: f }
  d: { type: test.clip, file: f }
  m: { type: test.mix }
  l: { type: test.look }
  n: { type: test.null }
edges:
)" + edges);
}

TEST(LoadTest, PortsAreNamedWhereThereAreSeveral) {
  Loaded loaded = LoadEdges(
      "  - c -> m.a\n  - { from: d, to: m.b, queue: 4, require: zero-copy }\n  - m -> l -> n\n");
  ASSERT_TRUE(loaded.graph) << loaded.Text();
  const graph::GraphEdge& edge = loaded.graph->edges()[1];
  EXPECT_EQ(loaded.graph->PortName(edge.to), "m.b");
  EXPECT_EQ(edge.queue.depth, 4u);
  EXPECT_TRUE(edge.require_zero_copy);
}

TEST(LoadTest, EdgeFaultsAreFound) {
  const std::string rest = "  - d -> m.b\n  - m -> l -> n\n";
  EXPECT_EQ(LoadEdges("  - c -> m\n" + rest).Codes(), "E126 9:10");
  EXPECT_EQ(LoadEdges("  - c -> m.x\n" + rest).Codes(), "E125 9:10");
  EXPECT_EQ(LoadEdges("  - c -> m.out\n" + rest).Codes(), "E127 9:10");
  EXPECT_EQ(LoadEdges("  - c -> m.b\n" + rest).Codes(), "E129 5:3, E128 10:10");
  EXPECT_EQ(LoadEdges("  - c\n  - c -> m.a\n" + rest).Codes(), "E109 9:5");
  EXPECT_EQ(LoadEdges("  - c -> \n  - c -> m.a\n" + rest).Codes(), "E109 9:9");
  EXPECT_EQ(LoadEdges("  - [c, m]\n  - c -> m.a\n" + rest).Codes(), "E101 9:5");
  EXPECT_EQ(LoadEdges("  - { from: c, too: m.a }\n  - c -> m.a\n" + rest).Codes(),
            "E104 9:5, E103 9:16");
  EXPECT_EQ(LoadEdges("  - { from: c, to: m.a, queue: { depth: 0 } }\n" + rest).Codes(),
            "E105 9:41");
  EXPECT_EQ(LoadEdges("  - { from: c, to: m.a, queue: { when_full: drop } }\n" + rest).Codes(),
            "E105 9:45");
  EXPECT_EQ(LoadEdges("  - c -> m.a -> l -> n\n  - d -> m.b\n").Codes(), "E109 9:10");
}

TEST(LoadTest, UnconnectedRequiredPortsAreNamed) {
  Loaded loaded = LoadEdges("  - c -> m.a\n  - m -> l -> n\n");
  EXPECT_EQ(loaded.Codes(), "E129 4:3, E129 5:3");
  EXPECT_NE(loaded.Text().find("input 'm.b' has no edge"), std::string::npos);
}

TEST(LoadTest, ACycleIsRefusedByName) {
  Loaded loaded = Load(R"(sluice: 1
nodes:
  c: { type: test.clip, file: f }
  m: { type: test.mix }
  l: { type: test.look }
  s: { type: test.split }
  n: { type: test.null }
edges:
  - c -> m.a
  - m -> l -> s
  - s.a -> m.b
  - s.b -> n
)");
  ASSERT_EQ(loaded.list.items().size(), 1u) << loaded.Text();
  EXPECT_EQ(loaded.list.items()[0].code, "SLU-E130");
  const std::string& message = loaded.list.items()[0].message;
  const bool named = message.ends_with("m -> l -> s -> m") ||
                     message.ends_with("l -> s -> m -> l") || message.ends_with("s -> m -> l -> s");
  EXPECT_TRUE(named) << message;
}

TEST(LoadTest, ANodeMayNotFeedItself) {
  Loaded loaded = Load("sluice: 1\nnodes: { l: { type: test.look } }\nedges: [ l -> l ]");
  EXPECT_EQ(loaded.Codes(), "E130 3:10");
  EXPECT_NE(loaded.Text().find("l -> l"), std::string::npos);
}

TEST(LoadTest, ATriggerThatHasNoEdgeIsRefused) {
  const Loaded loaded = Load(
      "sluice: 1\nnodes: { c: { type: test.clip, file: f }, m: { type: test.mix, sync: { policy: "
      "latest, trigger: b } }, n: { type: test.null } }\nedges: [ c -> m.a, m -> n ]");
  EXPECT_FALSE(loaded.graph);
  EXPECT_NE(loaded.Text().find("its trigger 'b' has no edge"), std::string::npos) << loaded.Text();
}

TEST(LoadTest, LatestNeedsInputsAndAKnownTrigger) {
  auto load = [](const std::string& sync) {
    return Load(
        "sluice: 1\nnodes: { c: { type: test.clip, file: f }, d: { type: test.clip, file: f }, m: "
        "{ type: test.mix, sync: " +
        sync + " }, n: { type: test.null } }\nedges: [ c -> m.a, d -> m.b, m -> n ]");
  };
  Loaded loaded = load("{ policy: latest, trigger: b }");
  ASSERT_TRUE(loaded.graph) << loaded.Text();
  EXPECT_EQ(loaded.graph->FindNode("m")->sync, graph::SyncPolicy::kLatest);
  EXPECT_EQ(loaded.graph->FindNode("m")->trigger, 1u);
  EXPECT_EQ(load("latest").graph->FindNode("m")->trigger, 0u);
  EXPECT_EQ(load("{ policy: latest, trigger: c }").list.items()[0].code, "SLU-E131");
  EXPECT_EQ(load("{ policy: all, trigger: a }").list.items()[0].code, "SLU-E131");
  EXPECT_EQ(load("newest").list.items()[0].code, "SLU-E105");
  EXPECT_EQ(LoadLook("sync: latest").list.items()[0].code, "SLU-E131");
}

TEST(LoadTest, RestartTakesABackOff) {
  Loaded loaded =
      LoadClip("on_error: { action: restart, attempts: 3, backoff: 50ms, max_backoff: 1s }");
  ASSERT_TRUE(loaded.graph) << loaded.Text();
  const graph::ErrorPolicy& policy = loaded.graph->nodes()[0].on_error;
  EXPECT_EQ(policy.action, graph::ErrorAction::kRestart);
  EXPECT_EQ(policy.attempts, 3u);
  EXPECT_EQ(policy.backoff_ns, 50'000'000);
  EXPECT_EQ(policy.backoff_max_ns, 1'000'000'000);
  EXPECT_EQ(LoadClip("on_error: explode").list.items()[0].code, "SLU-E105");
  EXPECT_EQ(LoadClip("on_error: { action: restart, backof: 1s }").list.items()[0].code, "SLU-E103");
}

TEST(LoadTest, ASizeThatNoOfferOfAPortHoldsIsOutOfRange) {
  graph::Offer offer = graph::testing::CpuOffer("NV12");
  offer.width = {1, 16384, 1};
  offer.height = {1, 16384, 1};
  offer.size_param = "size";
  graph::NodeType source = graph::testing::Source("test.source", {offer});
  source.params = {graph::testing::Param("size", graph::ParamType::kSize)};
  const graph::TypeList types(
      {source, graph::testing::Sink("test.sink", {graph::testing::CpuOffer("NV12")})});
  const auto said = [&types](const std::string& size) {
    DiagnosticList list;
    LoadGraph("sluice: 1\nnodes: { s: { type: test.source, size: " + size +
                  " }, t: { type: test.sink } }\nedges: [s -> t]\n",
              "graph.yaml", {}, types, &list);
    return list.items().empty() ? "" : list.items()[0].Headline();
  };
  EXPECT_EQ(said("16384x16384"), "");
  EXPECT_EQ(said("20000x36"),
            "graph.yaml:2:40: error: s.size: '20000x36' is out of range: 'out' has "
            "1..16384 x 1..16384 [SLU-E123]");
}

TEST(LoadTest, SettingsAreChecked) {
  auto load = [](const std::string& settings) {
    return Load(
        "sluice: 1\nsettings: " + settings +
        "\nnodes: { c: { type: test.clip, file: f }, n: { type: test.null } }\nedges: [c -> n]");
  };
  Loaded loaded = load("{ zero_copy: require, clock: realtime, convert: never, gpu: llvmpipe }");
  ASSERT_TRUE(loaded.graph) << loaded.Text();
  EXPECT_EQ(loaded.graph->settings().zero_copy, graph::ZeroCopy::kRequire);
  EXPECT_EQ(loaded.graph->settings().clock, graph::ClockMode::kRealtime);
  EXPECT_EQ(loaded.graph->settings().convert, graph::Convert::kNever);
  EXPECT_EQ(loaded.graph->settings().gpu, "llvmpipe");
  EXPECT_EQ(load("{ zero_copy: always }").Codes(), "E105 2:24");
  EXPECT_EQ(load("{ zerocopy: prefer }").Codes(), "E103 2:13");
  EXPECT_EQ(load("[]").Codes(), "E101 2:11");
}

TEST(LoadTest, NamesAreChecked) {
  EXPECT_EQ(Load("sluice: 1\nnodes: { 1c: { type: test.null } }").list.items()[0].code, "SLU-E108");
  EXPECT_EQ(Load("sluice: 1\nnodes: { a.b: { type: test.null } }").list.items()[0].code,
            "SLU-E108");
  EXPECT_EQ(Load("sluice: 1\nnodes: { c: { tpe: test.null } }").Codes(), "E104 2:10");
}

TEST(LoadTest, EveryMutilatedGraphEndsInAGraphOrInFindings) {
  const std::string text = kNoir;
  for (size_t at = 0; at < text.size(); ++at) {
    for (const char* replacement : {"", ":", "{", "\"", "&a", "*a", "\n", "-"}) {
      std::string mutilated = text;
      mutilated.replace(at, 1, replacement);
      Loaded loaded = Load(mutilated);
      EXPECT_NE(loaded.graph.has_value(), loaded.list.has_errors()) << mutilated;
      EXPECT_FALSE(loaded.list.has_errors() && loaded.Text().empty());
    }
  }
}

TEST(OverridesTest, NeedANameAndAnEqualsSign) {
  Overrides overrides;
  EXPECT_TRUE(AddOverride("a=b=c", &overrides));
  EXPECT_EQ(overrides["a"], "b=c");
  EXPECT_TRUE(AddOverride("e=", &overrides));
  EXPECT_FALSE(AddOverride("a", &overrides));
  EXPECT_FALSE(AddOverride("=a", &overrides));
}

Change Parsed(const std::string& line) {
  const auto change = ParseChange(line);
  EXPECT_TRUE(change && *change) << line;
  return change && *change ? **change : Change();
}

TEST(ChangeTest, IsANodeAParameterAndAValueAsInAGraph) {
  const Change number = Parsed("look.amount: 0.5");
  EXPECT_EQ(number.node, "look");
  EXPECT_EQ(number.param, "amount");
  EXPECT_EQ(number.text, "0.5");
  EXPECT_FALSE(number.is_map);
  const Change map = Parsed("camera.controls: {brightness: 12, power line: off}");
  EXPECT_TRUE(map.is_map);
  EXPECT_EQ(map.text, R"({"brightness":12,"power line":"off"})");
  for (const char* bad : {"look", "look: 1", "look.: 1", ".amount: 1", "a.b: [1]",
                          "a.b:", "a.b: 1\nc.d: 2", "a.b: {", "- a", "a.b: {c: \xc0}", "~"}) {
    EXPECT_FALSE(ParseChange(bad)) << bad;
  }
}

TEST(ChangeTest, CommentsAreSkippedAsInAGraph) {
  for (const char* nothing : {"", "  ", "# warmer", "\t # warmer", "#look.amount: 0.5"}) {
    const auto change = ParseChange(nothing);
    ASSERT_TRUE(change) << nothing;
    EXPECT_FALSE(*change) << nothing;
  }
  EXPECT_EQ(Parsed("look.amount: 0.5  # half").text, "0.5");
  EXPECT_EQ(Parsed("key.color: '#00ff00' # green").text, "#00ff00");
}

TEST(ChangeTest, AColourWithoutQuotesIsRefusedWithTheWayToWriteIt) {
  for (const char* line : {"key.color: #00ff00", "key.options: {color: #00ff00}"}) {
    const auto change = ParseChange(line);
    ASSERT_FALSE(change) << line;
    EXPECT_EQ(change.error().code, Code::kInvalidArgument);
    EXPECT_NE(change.error().message.find("a colour needs quotes: \"#00ff00\""), std::string::npos)
        << change.error().message;
  }
  EXPECT_EQ(ParseChange("nonsense").error().message, "'nonsense': expected NODE.PARAM: VALUE");
}

TEST(ReadGraphFileTest, SaysWhatIsWrongWithTheFile) {
  const std::string folder = ::testing::TempDir();
  EXPECT_EQ(ReadGraphFile(folder + "/no-such-graph.yaml").error().code, Code::kNotFound);
  EXPECT_EQ(ReadGraphFile(folder).error().code, Code::kInvalidArgument);
  std::ofstream(folder + "/large.yaml") << std::string((1 << 20) + 1, ' ');
  EXPECT_EQ(ReadGraphFile(folder + "/large.yaml").error().code, Code::kResourceExhausted);
  std::ofstream(folder + "/small.yaml") << "sluice: 1";
  EXPECT_EQ(ReadGraphFile(folder + "/small.yaml").value(), "sluice: 1");
}

}  // namespace
}  // namespace sluice::config
