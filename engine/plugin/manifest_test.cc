#include "engine/plugin/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "engine/media/format.h"

namespace sluice::plugin {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kWhole = R"(sluice_manifest: 1
plugin: { name: demo, version: 1.2.3, description: A demo., license: Apache-2.0 }
nodes:
  demo.blend:
    summary: Mixes two pictures.
    doc: |
      The second one lies on top.
    status: alpha
    domain: vulkan
    cost: heavy
    async: true
    live: true
    parallel: 2
    in_flight: 3
    sync: latest
    trigger: a
    ports:
      a:
        direction: input
        doc: Below.
        access: device
        offers:
          - formats: [NV12, AB24, R8]
            modifiers: [linear, invalid, 0x0100000000000001]
            views: [dma-buf, device]
            allocates: [dma-buf]
            sync: [implicit, timeline]
            size: { min: 16x8, max: 4096x2160, step: 2x4 }
            rate: { min: 1, max: 30000/1001 }
            color: { primaries: bt709, transfer: srgb, matrix: rgb, range: full, siting: left }
            align: { width: 2, height: 4, stride: 64, offset: 128, base: 4096, size: 8192 }
            tail: 63
            buffers: { min: 2, max: 8 }
            hold: { min: 1, max: 2 }
      b: { direction: input, required: false, raw_fds: true,
           offers: [ { formats: any, size: 640x480, rate: 25 } ] }
      out:
        direction: output
        acquire: dynamic
        offers:
          - formats: [AB24]
            retains: 2
            dynamic_reserve: 4
            copies: the codec cannot write into other memory
            size_param: size
            rate_param: rate
            format_param: format
      raw: { direction: output, required: false, passthrough: b }
    ties: [ out.size == a.size, "out.rate==a.rate", out.size == turned b.size when format is NV12 ]
    params:
      size: { type: size, default: 640x360, doc: Of the picture. }
      rate: { type: rate }
      format: { type: enum, choices: [AB24, NV12] }
      path: { type: path, required: true }
      gain: { type: float, unit: dB, min: -6, max: 6 dB, default: 1.5, change: running }
      wait: { type: duration, min: 10 ms, max: 2s, default: 100ms, change: renegotiate }
      options: { type: map }
  demo.to_rgb:
    doc: Converts.
    ports:
      in: { direction: input, offers: [ { formats: [NV12] } ] }
      out: { direction: output, offers: [ { formats: [AB24] } ] }
    converter: { cost: 2.5, copies: true }
domains:
  demo: { summary: A device., params: { device: { type: string } } }
)";

Manifest Parsed(std::string_view text) {
  auto manifest = ParseManifest(text, "demo.sluice.yaml");
  EXPECT_TRUE(manifest) << manifest.error().message;
  return manifest ? std::move(*manifest) : Manifest{};
}

std::vector<std::string> Findings(std::string_view text) {
  DiagnosticList list;
  const auto manifest = ParseManifest(text, "m.yaml", &list);
  EXPECT_EQ(manifest.has_value(), !list.has_errors());
  std::vector<std::string> lines;
  for (const Diagnostic& finding : list.items()) lines.push_back(finding.Headline());
  return lines;
}

/// A manifest with one node type whose port `in` is fine, plus lines at the node's level.
std::string Node(std::string_view lines) {
  return "sluice_manifest: 1\nplugin: {name: p, version: 1}\nnodes:\n  p.n:\n    doc: Text.\n"
         "    ports: {in: {direction: input, offers: [{}]}}\n" +
         std::string(lines);
}

/// One input port with one offer of these keys.
std::string Offer(std::string_view offer) {
  return "sluice_manifest: 1\nplugin: {name: p, version: 1}\nnodes:\n  p.n:\n    doc: Text.\n"
         "    ports: {in: {direction: input, offers: [{" +
         std::string(offer) + "}]}}\n";
}

/// Ports in and out with one tie, and these parameters.
std::string Tied(std::string_view params, std::string_view tie) {
  return "sluice_manifest: 1\nplugin: {name: p, version: 1}\nnodes:\n  p.n:\n    doc: Text.\n"
         "    ports: {in: {direction: input, offers: [{}]}, out: {direction: output, offers: "
         "[{}]}}\n    params: " +
         std::string(params) + "\n    ties: [" + std::string(tie) + "]\n";
}

TEST(ManifestTest, ReadsWhatThePluginSaysOfItself) {
  const Manifest manifest = Parsed(kWhole);
  EXPECT_EQ(manifest.name, "demo");
  EXPECT_EQ(manifest.version, "1.2.3");
  EXPECT_EQ(manifest.description, "A demo.");
  EXPECT_EQ(manifest.license, "Apache-2.0");
  ASSERT_EQ(manifest.nodes.size(), 2u);
  ASSERT_EQ(manifest.domains.size(), 1u);
  EXPECT_EQ(manifest.domains[0].id, "demo");
  EXPECT_EQ(manifest.domains[0].params[0].name, "device");
}

TEST(ManifestTest, ReadsHowANodeRuns) {
  const Manifest manifest = Parsed(kWhole);
  const graph::NodeType& type = manifest.nodes[0].type;
  EXPECT_EQ(type.id, "demo.blend");
  EXPECT_EQ(type.plugin, "demo");
  EXPECT_EQ(manifest.nodes[0].summary, "Mixes two pictures.");
  EXPECT_EQ(type.doc, "Mixes two pictures.\n\nThe second one lies on top.");
  EXPECT_EQ(type.status, "alpha");
  EXPECT_EQ(type.domain, "vulkan");
  EXPECT_TRUE(type.heavy);
  EXPECT_TRUE(type.async);
  EXPECT_TRUE(type.live);
  EXPECT_EQ(type.parallel, 2u);
  EXPECT_EQ(type.in_flight, 3u);
  EXPECT_EQ(type.sync, graph::SyncPolicy::kLatest);
  EXPECT_EQ(type.trigger, "a");
  EXPECT_FALSE(type.converter);
  ASSERT_EQ(type.ties.size(), 3u);
  EXPECT_EQ(type.ties[1].left_port, "out");
  EXPECT_EQ(type.ties[1].field, graph::TieField::kRate);
  EXPECT_TRUE(type.ties[2].turned);
  EXPECT_EQ(type.ties[2].when_param, "format");
}

TEST(ManifestTest, ReadsPortsAndEveryFieldOfAnOffer) {
  const Manifest manifest = Parsed(kWhole);
  const graph::NodeType& type = manifest.nodes[0].type;
  ASSERT_EQ(type.ports.size(), 4u);
  const graph::PortDesc& a = type.ports[0];
  EXPECT_EQ(a.name, "a");
  EXPECT_EQ(a.doc, "Below.");
  EXPECT_EQ(a.access, graph::Access::kDevice);
  EXPECT_TRUE(a.required);
  const graph::Offer& offer = a.offers[0];
  EXPECT_THAT(offer.fourccs, ElementsAre(media::kNv12, media::kAb24, media::kR8));
  EXPECT_THAT(offer.modifiers, ElementsAre(0, media::kModifierInvalid, 0x0100000000000001u));
  EXPECT_EQ(offer.views, graph::kViewDmabuf | graph::kViewDevice);
  EXPECT_EQ(offer.allocates, graph::kViewDmabuf);
  EXPECT_EQ(offer.sync, graph::kSyncImplicit | graph::kSyncTimeline);
  EXPECT_EQ(offer.width, (graph::Extent{16, 4096, 2}));
  EXPECT_EQ(offer.height, (graph::Extent{8, 2160, 4}));
  EXPECT_EQ(offer.rate_min, (media::Rate{1, 1}));
  EXPECT_EQ(offer.rate_max, (media::Rate{30000, 1001}));
  EXPECT_EQ(offer.color,
            (media::Color{media::Primaries::kBt709, media::Transfer::kSrgb, media::Matrix::kRgb,
                          media::Range::kFull, media::Siting::kLeft}));
  EXPECT_EQ(offer.alignment, (media::Alignment{2, 4, 64, 128, 4096, 8192, 63}));
  EXPECT_EQ(offer.buffers_min, 2u);
  EXPECT_EQ(offer.buffers_max, 8u);
  EXPECT_EQ(offer.hold_min, 1u);
  EXPECT_EQ(offer.hold_max, 2u);

  const graph::PortDesc& b = type.ports[1];
  EXPECT_FALSE(b.required);
  EXPECT_TRUE(b.raw_fds);
  EXPECT_TRUE(b.offers[0].fourccs.empty());
  EXPECT_EQ(b.offers[0].width, (graph::Extent{640, 640, 1}));
  EXPECT_EQ(b.offers[0].rate_max, (media::Rate{25, 1}));

  const graph::PortDesc& out = type.ports[2];
  EXPECT_EQ(out.acquisition, graph::Acquisition::kDynamic);
  EXPECT_EQ(out.offers[0].retains, 2u);
  EXPECT_EQ(out.offers[0].dynamic_reserve, 4u);
  EXPECT_EQ(out.offers[0].copies, "the codec cannot write into other memory");
  EXPECT_EQ(out.offers[0].size_param, "size");
  EXPECT_EQ(out.offers[0].rate_param, "rate");
  EXPECT_EQ(out.offers[0].fourcc_param, "format");
  EXPECT_EQ(type.ports[3].passthrough, "b");
}

TEST(ManifestTest, AStringMayHaveTheFormOfAColour) {
  const Manifest manifest =
      Parsed(Node("    params: {key: {type: string, form: color, default: \"#00ff00\"}, "
                  "under: {type: string, form: color-alpha}, name: {type: string}}\n"));
  const graph::NodeType& type = manifest.nodes[0].type;
  const auto takes = [&type](const char* param, const char* text) {
    std::string problem;
    return graph::ParseParamValue(*type.FindParam(param), text, &problem) ? "" : problem;
  };
  EXPECT_EQ(takes("key", "#00FF7f"), "");
  EXPECT_EQ(takes("under", "#00ff00"), "");
  EXPECT_EQ(takes("under", "#00ff0080"), "");
  EXPECT_EQ(takes("name", "green"), "");
  for (const char* bad : {"", "green", "00ff00", "#00ff0", "#00ff0g", "#00ff0080"}) {
    EXPECT_EQ(takes("key", bad), "is not a colour: expected #rrggbb") << bad;
  }
  EXPECT_EQ(takes("under", "#00ff008"), "is not a colour: expected #rrggbb or #rrggbbaa");
}

TEST(ManifestTest, ReadsParametersWithTheirBounds) {
  const Manifest manifest = Parsed(kWhole);
  const graph::NodeType& type = manifest.nodes[0].type;
  EXPECT_EQ(type.FindParam("size")->default_value->size, (graph::Size{640, 360}));
  EXPECT_THAT(type.FindParam("format")->choices, ElementsAre("AB24", "NV12"));
  EXPECT_TRUE(type.FindParam("path")->required);
  const graph::ParamDesc* gain = type.FindParam("gain");
  EXPECT_EQ(gain->unit, "dB");
  EXPECT_EQ(gain->min, -6.0);
  EXPECT_EQ(gain->max, 6.0);
  EXPECT_EQ(gain->default_value->f, 1.5);
  EXPECT_EQ(gain->changeable, graph::Changeable::kRunning);
  const graph::ParamDesc* wait = type.FindParam("wait");
  EXPECT_EQ(wait->min, 0.01);
  EXPECT_EQ(wait->max, 2.0);
  EXPECT_EQ(wait->default_value->i, 100'000'000);
  EXPECT_EQ(wait->changeable, graph::Changeable::kRenegotiate);
}

TEST(ManifestTest, ReadsConverters) {
  const Manifest manifest = Parsed(kWhole);
  const graph::NodeType& type = manifest.nodes[1].type;
  EXPECT_TRUE(type.converter);
  EXPECT_EQ(type.converter_cost, 2.5);
  EXPECT_TRUE(type.copies);
}

TEST(ManifestTest, TheFirstLineOfTheDocIsTheSummaryWhereNoneIsGiven) {
  EXPECT_EQ(Parsed(Node("")).nodes[0].summary, "Text.");
}

TEST(ManifestTest, ReadsImplementationsWithoutCode) {
  const Manifest manifest =
      Parsed(Node("    implementation: {vulkan.shader: shaders/gain.comp}\n"));
  EXPECT_EQ(manifest.nodes[0].implementation.type_id, "vulkan.shader");
  EXPECT_EQ(manifest.nodes[0].implementation.file, "shaders/gain.comp");
}

TEST(ManifestTest, FindsEverythingThatIsWrongInOnePassWithItsPlace) {
  EXPECT_THAT(
      Findings("sluice_manifest: 1\n"
               "plugin: { name: Demo, versoin: 1 }\n"
               "nodes:\n"
               "  blend:\n"
               "    doc: Text.\n"
               "    cost: huge\n"
               "    ports:\n"
               "      in: { direction: inptu, offers: [ { formats: [NV123] } ] }\n"),
      ElementsAre(
          "m.yaml:2:9: error: 'plugin' needs the key 'version' [SLU-M003]",
          "m.yaml:2:17: error: 'Demo' is not a name for a plugin [SLU-M006]",
          "m.yaml:2:23: error: unknown key 'versoin' in 'plugin' [SLU-M002]",
          "m.yaml:4:3: error: 'blend' is not an id for a node type: names with a dot between, "
          "like core.null [SLU-M006]",
          "m.yaml:6:11: error: 'cost' of node type 'blend' must be one of light, heavy, not 'huge' "
          "[SLU-M005]",
          "m.yaml:8:24: error: 'direction' of port 'in' of node type 'blend' must be one of input, "
          "output, not 'inptu' [SLU-M005]",
          "m.yaml:8:53: error: 'formats' of offer 1 of port 'in' of node type 'blend' must be a "
          "fourcc of one to four characters, not 'NV123' [SLU-M005]"));
}

TEST(ManifestTest, TheErrorQuotesTheLineAndSuggestsTheNearestName) {
  const auto manifest = ParseManifest(Node("    converer: true\n"), "x.so(.sluice.manifest)");
  ASSERT_FALSE(manifest);
  EXPECT_EQ(manifest.error().code, Code::kInvalidArgument);
  EXPECT_THAT(manifest.error().message,
              HasSubstr("x.so(.sluice.manifest):7:5: error: unknown key 'converer'"));
  EXPECT_THAT(manifest.error().message, HasSubstr("converer: true"));
  EXPECT_THAT(manifest.error().message, HasSubstr("did you mean 'converter'?"));
}

TEST(ManifestTest, RefusesOtherVersionsAndReadsNothingElseOfThem) {
  EXPECT_THAT(Findings("sluice_manifest: 2\nfuture: yes\n"),
              ElementsAre("m.yaml:1:18: error: the manifest is written in version '2', and this "
                          "engine reads version 1 "
                          "[SLU-M001]"));
  EXPECT_THAT(Findings("nodes: {}\n"),
              ElementsAre(HasSubstr("the key 'sluice_manifest' is missing")));
  EXPECT_THAT(Findings("- a\n"), ElementsAre(HasSubstr("[SLU-M001]")));
}

TEST(ManifestTest, RefusesSyntaxErrorsAndDuplicateKeys) {
  EXPECT_THAT(Findings("sluice_manifest: [1\n"), ElementsAre(HasSubstr("[SLU-E001]")));
  EXPECT_THAT(Findings(Node("    doc: Again.\n")), ElementsAre(HasSubstr("[SLU-E002]")));
  EXPECT_FALSE(ParseManifest("", "m.yaml"));
  EXPECT_FALSE(ParseManifest(std::string_view("\0\x7f"
                                              "ELF",
                                              5),
                             "m.yaml"));
}

TEST(ManifestTest, RefusesAManifestThatDeclaresNothing) {
  EXPECT_THAT(Findings("sluice_manifest: 1\nplugin: {name: p, version: 1}\n"),
              ElementsAre(HasSubstr("declares neither nodes nor domains")));
}

struct BadCase {
  const char* what;
  std::string text;
  const char* message;
};
void PrintTo(const BadCase& bad, std::ostream* out) { *out << bad.what; }

class BadManifestTest : public ::testing::TestWithParam<BadCase> {};

TEST_P(BadManifestTest, IsRefusedWithOneFinding) {
  EXPECT_THAT(Findings(GetParam().text), ElementsAre(HasSubstr(GetParam().message)));
}

INSTANTIATE_TEST_SUITE_P(
    Values, BadManifestTest,
    ::testing::Values(
        BadCase{"ReversedSize", Offer("size: {min: 64x64, max: 32x128}"),
                "has a minimum above its maximum"},
        BadCase{"BadSize", Offer("size: 64"), "must be a size like 1280x720"},
        BadCase{"ReversedRate", Offer("rate: {min: 60, max: 30}"),
                "has a minimum above its maximum"},
        BadCase{"OpenRate", Offer("rate: {min: 60}"), "needs the key 'max'"},
        BadCase{"UnknownView", Offer("views: [gpu]"),
                "must be dma-buf, shm, device or cpu, not 'gpu'"},
        BadCase{"UnknownSync", Offer("sync: [fence]"), "must be cpu-done, implicit"},
        BadCase{"AllocatesForeignViews", Offer("views: [cpu], allocates: [shm]"),
                "allocates shm, but its views are cpu"},
        BadCase{"BadModifier", Offer("modifiers: [tiled]"), "must be linear, invalid or a number"},
        BadCase{"HugeModifier", Offer("modifiers: [0x11112222333344445]"),
                "must be linear, invalid or a number"},
        BadCase{"BadMatrix", Offer("color: {matrix: bt708}"), "'bt708' is no matrix"},
        BadCase{"ZeroAlignment", Offer("align: {stride: 0}"),
                "must be an integer from 1 to 16777216, not '0'"},
        BadCase{"NegativeTail", Offer("tail: -1"), "must be an integer from 0"},
        BadCase{"HugeBuffers", Offer("buffers: {min: 99999999999999999999}"),
                "must be an integer from 0 to 1024"},
        BadCase{"ReversedBuffers", Offer("buffers: {min: 4, max: 2}"),
                "has a minimum above its maximum"},
        BadCase{"RetainsOnInput", Offer("retains: 1"), "counts on outputs only"},
        BadCase{"ReserveWithoutDynamic", Offer("dynamic_reserve: 1"), "needs `acquire: dynamic`"},
        BadCase{"FormatTwice", Offer("formats: [NV12, NV12]"), "has NV12 twice"},
        BadCase{"NoFormats", Offer("formats: []"), "must be a list of fourccs"},
        BadCase{"OfferParamMissing", Offer("size_param: extent"),
                "names 'extent', which is not a parameter"},
        BadCase{"TrueAsText", Node("    async: 'true'\n"), "must be true or false"},
        BadCase{"UnknownTriggerPort", Node("    trigger: inn\n"),
                "triggered by 'inn', which is not an input"},
        BadCase{"BadTie", Node("    ties: [in.size = in.size]\n"),
                "is not like out.size == in.size"},
        BadCase{"TieToNowhere", Node("    ties: [in.size == out.size]\n"),
                "has no port 'out' to tie"},
        BadCase{"TieOfNoParameter", Tied("{size: {type: size}}", "in.size == out.size unless sise"),
                "names 'sise', which is not a parameter of it"},
        BadCase{"TieOfNoValue",
                Tied("{angle: {type: enum, choices: [a, b]}}",
                     "in.size == out.size when angle is a or c"),
                "names the value 'c' of 'angle', which it cannot have"},
        BadCase{"ConverterWithoutOutput", Node("    converter: true\n"),
                "one input and one output"},
        BadCase{"BadDomainName", Node("    domain: Vulkan 1\n"), "is not a name: 'Vulkan 1'"},
        BadCase{"ImplementationOutside", Node("    implementation: {vulkan.shader: ../x.comp}\n"),
                "must be the name of a file in the plugin's folder"},
        BadCase{"ImplementationAbsolute", Node("    implementation: {vulkan.shader: /x.comp}\n"),
                "must be the name of a file in the plugin's folder"},
        BadCase{"ImplementationTwice", Node("    implementation: {a.b: x, a.c: y}\n"),
                "two implementations"},
        BadCase{"ReservedParam", Node("    params: {type: {type: int}}\n"),
                "has a meaning of its own in graphs"},
        BadCase{"ParamWithoutType", Node("    params: {x: {}}\n"), "needs the key 'type'"},
        BadCase{"UnknownParamType", Node("    params: {x: {type: integer}}\n"),
                "must be one of string, int"},
        BadCase{"DefaultOfWrongType", Node("    params: {x: {type: int, default: many}}\n"),
                "'many', is not a whole number"},
        BadCase{"DefaultOutOfRange", Node("    params: {x: {type: int, max: 3, default: 4}}\n"),
                "is out of range"},
        BadCase{"DefaultNoChoice",
                Node("    params: {x: {type: enum, choices: [a, b], default: c}}\n"),
                "is none of: a, b"},
        BadCase{"EnumWithoutChoices", Node("    params: {x: {type: enum}}\n"),
                "needs the key 'choices'"},
        BadCase{"ColourOfAnInt", Node("    params: {x: {type: int, form: color}}\n"),
                "'form' of parameter 'x' of node type 'p.n' is for strings"},
        BadCase{"DefaultIsNoColour",
                Node("    params: {x: {type: string, form: color, default: green}}\n"),
                "'green', is not a colour"},
        BadCase{"ChoicesOfAnInt", Node("    params: {x: {type: int, choices: [1]}}\n"),
                "is for enums"},
        BadCase{"RequiredWithDefault",
                Node("    params: {x: {type: int, required: true, default: 1}}\n"),
                "makes no sense for a required parameter"},
        BadCase{"ReversedBounds", Node("    params: {x: {type: int, min: 3, max: 1}}\n"),
                "is above 'max'"},
        BadCase{"BoundsOfAText", Node("    params: {x: {type: string, min: 3}}\n"),
                "is for int, float, rate and duration"},
        BadCase{"DurationWithoutUnit", Node("    params: {x: {type: duration, default: 3}}\n"),
                "has no unit"},
        BadCase{"NodesAsList",
                "sluice_manifest: 1\nplugin: {name: p, version: 1}\ndomains: {d: {doc: "
                "D.}}\nnodes: [a]\n",
                "'nodes' of the manifest must be a mapping, not a list"},
        BadCase{"CpuDomain", Node("domains: {cpu: {doc: D.}}\n"),
                "the domain 'cpu' is the engine's own"}),
    [](const auto& bad) { return bad.param.what; });

TEST(ManifestTest, AnyOtherTextIsRefusedOrReadButNeverMore) {
  // Each round damages a good manifest: cut, changed bytes, exchanged pieces. Sanitizers watch.
  std::mt19937 random(7);
  int refused = 0;
  constexpr int kRounds = 1500;
  for (int round = 0; round < kRounds; ++round) {
    std::string text(kWhole);
    switch (round % 3) {
      case 0:
        text.resize(random() % text.size());
        break;
      case 1:
        for (int i = 0; i < 6; ++i) text[random() % text.size()] = static_cast<char>(random());
        break;
      default: {
        const size_t from = random() % text.size();
        text.insert(random() % text.size(), text.substr(from, random() % 200));
      }
    }
    const auto manifest = ParseManifest(text, "m.yaml");
    if (!manifest) {
      ++refused;
      EXPECT_EQ(manifest.error().code, Code::kInvalidArgument);
      EXPECT_FALSE(manifest.error().message.empty());
    }
  }
  EXPECT_GT(refused, kRounds / 2);
}

TEST(ManifestTest, KnowsNamesAndIds) {
  EXPECT_TRUE(IsManifestName("in"));
  EXPECT_TRUE(IsManifestName("y4m-read_2"));
  for (const char* bad : {"", "2in", "In", "a b", "a.b", "-a", "\xc3\xa4"})
    EXPECT_FALSE(IsManifestName(bad)) << bad;
  EXPECT_FALSE(IsManifestName(std::string(65, 'a')));
  EXPECT_TRUE(IsTypeId("core.null"));
  EXPECT_TRUE(IsTypeId("org.example.node"));
  for (const char* bad : {"", "core", "core.", ".null", "core..null", "core.Null"})
    EXPECT_FALSE(IsTypeId(bad)) << bad;
}

}  // namespace
}  // namespace sluice::plugin
