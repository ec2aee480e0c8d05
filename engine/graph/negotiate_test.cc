#include "engine/graph/negotiate.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/graph/testing/negotiation_case.h"
#include "engine/graph/testing/types.h"

namespace sluice::graph {
namespace {

using testing::Case;
using testing::Converter;
using testing::CpuOffer;
using testing::DeviceOffer;
using testing::Filter;
using testing::FourccOf;
using testing::Fourccs;
using testing::Has;
using testing::NetOf;
using testing::OnDevice;
using testing::Param;
using testing::Sink;
using testing::SizedOffer;
using testing::Source;
using testing::StandardTypes;

// --- Formats -------------------------------------------------------------------

TEST(NegotiateTest, TakesTheIntersectionInTheProducersOrder) {
  Case c(
      {Source("s", {SizedOffer("AB24 NV12 YU12", 64, 48)}), Sink("t", {CpuOffer("YU12 NV12 R8")})},
      "s: s\nt: t\ns -> t\n");
  Plan plan = c.Succeed();
  EXPECT_EQ(FourccOf(plan, "s.out"), "NV12");
  EXPECT_EQ(NetOf(plan, "s.out").format.width, 64u);
  EXPECT_TRUE(plan.optimal);
}

TEST(NegotiateTest, DoesNotThrowColourAwayBecauseGreyIsCheaper) {
  Case c({Source("s", {SizedOffer("YU12 R8", 64, 48)}), Sink("t", {CpuOffer("")})},
         "s: s\nt: t\ns -> t\n");
  EXPECT_EQ(FourccOf(c.Succeed(), "s.out"), "YU12");
}

TEST(NegotiateTest, TakesPixelsBeforeCompressedPicturesWhereBothAreTaken) {
  const std::vector<Offer> camera = {SizedOffer("YUYV MJPG", 64, 48)};
  Case any({Source("s", camera), Sink("t", {CpuOffer("")})}, "s: s\nt: t\ns -> t\n");
  EXPECT_EQ(FourccOf(any.Succeed(), "s.out"), "YUYV");
  Case decoder({Source("s", camera), Sink("t", {CpuOffer("MJPG")})}, "s: s\nt: t\ns -> t\n");
  EXPECT_EQ(FourccOf(decoder.Succeed(), "s.out"), "MJPG");
}

TEST(NegotiateTest, ADecoderKeepsChromaAsASourceDoes) {
  const std::vector<Offer> pictures = {CpuOffer("YUYV"), CpuOffer("YU12")};
  Case decoder({Source("s", {SizedOffer("MJPG", 64, 48)}),
                Filter("d", {CpuOffer("MJPG H264")}, pictures, false), Sink("t", {CpuOffer("")})},
               "s: s\nd: d\nt: t\ns -> d -> t\n");
  EXPECT_EQ(FourccOf(decoder.Succeed(), "d.out"), "YUYV");
  // Where no more has come the cheaper one is as good.
  Case filter({Source("s", {SizedOffer("NV12", 64, 48)}),
               Filter("f", {CpuOffer("NV12")}, pictures, false), Sink("t", {CpuOffer("")})},
              "s: s\nf: f\nt: t\ns -> f -> t\n");
  EXPECT_EQ(FourccOf(filter.Succeed(), "f.out"), "YU12");
}

TEST(NegotiateTest, ChromaIsKeptBehindAFilterThatCouldAlsoGiveLess) {
  const char* const any = "YU12 YUYV XB24";
  const std::vector<NodeType> types = {
      Source("s", {SizedOffer("XB24", 64, 48)}),
      Filter("f", {CpuOffer(any)}, {CpuOffer(any)}, false),
      Filter("narrow", {CpuOffer("XB24")}, {CpuOffer("YUYV")}, false), Sink("t", {CpuOffer("")})};
  EXPECT_EQ(FourccOf(Case(types, "s: s\nf: f\nt: t\ns -> f -> t\n").Succeed(), "f.out"), "XB24");
  EXPECT_EQ(
      FourccOf(Case(types, "s: s\nn: narrow\nf: f\nt: t\ns -> n -> f -> t\n").Succeed(), "f.out"),
      "YUYV");
}

TEST(NegotiateTest, DepthIsKeptBehindAFilterThatCouldAlsoGiveLess) {
  const char* const any = "NV12 XR24 P010 AB4H";
  const std::vector<NodeType> types = {
      Source("deep", {SizedOffer("P010", 64, 48)}),
      Source("plain", {SizedOffer("NV12", 64, 48)}),
      Filter("f", {CpuOffer(any)}, {CpuOffer(any)}, false),
      Filter("narrow", {CpuOffer("NV12 P010")}, {CpuOffer("NV12")}, false),
      Sink("t", {CpuOffer("XR24 AB4H")}),
      Sink("any", {CpuOffer("")})};
  // A screen that takes eight bits and half floats: the ten bits stay.
  EXPECT_EQ(FourccOf(Case(types, "s: deep\nf: f\nt: t\ns -> f -> t\n").Succeed(), "f.out"), "AB4H");
  EXPECT_EQ(FourccOf(Case(types, "s: plain\nf: f\nt: t\ns -> f -> t\n").Succeed(), "f.out"),
            "XR24");
  // No deeper than what came.
  EXPECT_EQ(FourccOf(Case(types, "s: deep\nf: f\nt: any\ns -> f -> t\n").Succeed(), "f.out"),
            "P010");
  // What has gone on the way is not made up again.
  EXPECT_EQ(FourccOf(Case(types, "s: deep\nn: narrow\nf: f\nt: t\ns -> n -> f -> t\n").Succeed(),
                     "f.out"),
            "XR24");
}

TEST(NegotiateTest, AlphaIsKeptBehindAFilterThatCouldAlsoGiveLess) {
  const std::vector<NodeType> types = {
      Source("clear", {SizedOffer("AB24", 64, 48)}), Source("opaque", {SizedOffer("XB24", 64, 48)}),
      Filter("f", {CpuOffer("")}, {CpuOffer("YU12 XR24 AR24")}, false), Sink("t", {CpuOffer("")})};
  EXPECT_EQ(FourccOf(Case(types, "s: clear\nf: f\nt: t\ns -> f -> t\n").Succeed(), "f.out"),
            "AR24");
  EXPECT_EQ(FourccOf(Case(types, "s: opaque\nf: f\nt: t\ns -> f -> t\n").Succeed(), "f.out"),
            "XR24");
}

TEST(NegotiateTest, AnInsertedConverterKeepsDepthWhereItsConsumerCan) {
  const std::vector<NodeType> types = {Source("s", {SizedOffer("P010", 64, 48)}),
                                       Sink("t", {CpuOffer("XR24 AB4H")}),
                                       Converter("conv", "NV12 P010", "NV12 XR24 AB4H")};
  Case c(types, "s: s\nt: t\ns -> t\n");
  EXPECT_EQ(FourccOf(c.Succeed(), "conv@t.in.out"), "AB4H");
}

/// What "s" makes, of `fourcc` and `color`, behind the converter in front of a sink that takes
/// `to`.
media::Color Converted(const std::string& fourcc, const media::Color& color, Offer to) {
  Offer from = SizedOffer(fourcc, 64, 48);
  from.color = color;
  Case c({Source("s", {from}), Sink("t", {std::move(to)}),
          Converter("conv", "YU12 NV12 P010 XB24", "YU12 NV12 P010 XB24")},
         "s: s\nt: t\ns -> t\n");
  const Plan plan = c.Succeed();
  return NetOf(plan, "conv@t.in.out").format.color;
}

TEST(NegotiateTest, WhatAConverterIsNotAskedForStaysAsItCame) {
  using namespace media;
  const Color hdr{Primaries::kBt2020, Transfer::kPq, Matrix::kBt2020, Range::kLimited,
                  Siting::kTopLeft};
  EXPECT_EQ(Converted("P010", hdr, CpuOffer("NV12")), hdr);
  const Color unknown{};
  EXPECT_EQ(Converted("NV12", unknown, CpuOffer("YU12")), unknown);
  // Of what is asked for, that.
  Offer full = CpuOffer("NV12");
  full.color.range = Range::kFull;
  Color asked = hdr;
  asked.range = Range::kFull;
  EXPECT_EQ(Converted("P010", hdr, full), asked);
}

TEST(NegotiateTest, WhatAConverterMakesOfRgbIsSaid) {
  using namespace media;
  const Color srgb{Primaries::kBt709, Transfer::kSrgb, Matrix::kRgb, Range::kFull, Siting{}};
  EXPECT_EQ(
      Converted("XB24", srgb, CpuOffer("YU12")),
      (Color{Primaries::kBt709, Transfer::kSrgb, Matrix::kBt709, Range::kLimited, Siting::kLeft}));
  const Color wide{Primaries::kBt2020, Transfer::kPq, Matrix::kRgb, Range::kFull, Siting{}};
  EXPECT_EQ(Converted("XB24", wide, CpuOffer("P010")).matrix, Matrix::kBt2020);
  const Color yuv{Primaries::kBt709, Transfer::kBt709, Matrix::kBt709, Range::kLimited,
                  Siting::kLeft};
  EXPECT_EQ(Converted("YU12", yuv, CpuOffer("XB24")),
            (Color{Primaries::kBt709, Transfer::kBt709, Matrix{}, Range{}, Siting{}}));
}

TEST(NegotiateTest, FanOutIntersectsAllConsumers) {
  Case c({Source("s", {SizedOffer("AB24 NV12 YU12", 64, 48)}), Sink("t", {CpuOffer("YU12 NV12")}),
          Sink("u", {CpuOffer("AB24 YU12")})},
         "s: s\nt: t\nu: u\ns -> t\ns -> u\n");
  Plan plan = c.Succeed();
  ASSERT_EQ(plan.nets.size(), 1u);
  EXPECT_EQ(FourccOf(plan, "s.out"), "YU12");
  EXPECT_EQ(plan.nets[0].edges.size(), 2u);
}

TEST(NegotiateTest, TiesCarryADecisionThroughTheGraph) {
  // The source prefers NV12; three nodes later only YU12 is taken.
  std::vector<NodeType> types = StandardTypes();
  Case c(
      types,
      "c: test.clip file=a\nl: test.look\nm: test.look\nf: test.file file=b\nc -> l -> m -> f\n");
  Plan plan = c.Succeed();
  EXPECT_EQ(FourccOf(plan, "c.out"), "YU12");
  EXPECT_EQ(FourccOf(plan, "l.out"), "YU12");
  EXPECT_EQ(NetOf(plan, "m.out").format.height, 1080u);
}

TEST(NegotiateTest, WithoutATieEachNetChoosesForItself) {
  Case c(
      {Source("s", {SizedOffer("NV12", 64, 48)}),
       Filter("f", {CpuOffer("NV12")}, {CpuOffer("AB24")}, false), Sink("t", {CpuOffer("AB24")})},
      "s: s\nf: f\nt: t\ns -> f -> t\n");
  Plan plan = c.Succeed();
  EXPECT_EQ(FourccOf(plan, "f.out"), "AB24");
  EXPECT_EQ(NetOf(plan, "f.out").format.width, 64u);  // the size is tied
}

TEST(NegotiateTest, ColoursTravelThroughTiesAndRatesAreKept) {
  Offer offer = SizedOffer("NV12", 64, 48);
  offer.color = {.matrix = media::Matrix::kBt601, .range = media::Range::kFull};
  offer.rate_min = offer.rate_max = {30000, 1001};
  Case c({Source("s", {offer}), Filter("f", {CpuOffer("NV12")}, {CpuOffer("NV12")}),
          Sink("t", {CpuOffer("")})},
         "s: s\nf: f\nt: t\ns -> f -> t\n");
  Plan plan = c.Succeed();
  EXPECT_EQ(NetOf(plan, "f.out").format.color.range, media::Range::kFull);
  EXPECT_EQ(NetOf(plan, "f.out").format.rate, (media::Rate{30000, 1001}));
}

TEST(NegotiateTest, ParametersNarrowTheOffersThatReferToThem) {
  Offer offer = CpuOffer("YU12 NV12");
  offer.size_param = "size";
  offer.rate_param = "rate";
  offer.fourcc_param = "format";
  NodeType source = Source("s", {offer});
  source.params = {Param("size", ParamType::kSize), Param("rate", ParamType::kRate),
                   Param("format", ParamType::kString)};
  Case c({source, Sink("t", {CpuOffer("")})},
         "s: s size=641x359 rate=25 format=NV12\nt: t\ns -> t\n");
  const Plan plan = c.Succeed();
  const media::Format& format = NetOf(plan, "s.out").format;
  EXPECT_EQ(format.width, 641u);
  EXPECT_EQ(format.height, 359u);
  EXPECT_EQ(format.rate, (media::Rate{25, 1}));
  EXPECT_EQ(media::FourccName(format.fourcc), "NV12");
}

TEST(NegotiateTest, AFormatParameterChoosesTheOfferThatHasTheFormat) {
  Offer yuv = CpuOffer("YU12");
  yuv.fourcc_param = "format";
  yuv.color.range = media::Range::kLimited;
  Offer rgb = CpuOffer("AB24");
  rgb.fourcc_param = "format";
  rgb.color.range = media::Range::kFull;
  NodeType source = Source("s", {yuv, rgb});
  source.params = {Param("format", ParamType::kString)};
  Case c({source, Sink("t", {CpuOffer("")})}, "s: s format=AB24\nt: t\ns -> t\n");
  const Plan plan = c.Succeed();
  EXPECT_EQ(media::FourccName(NetOf(plan, "s.out").format.fourcc), "AB24");
  EXPECT_EQ(NetOf(plan, "s.out").format.color.range, media::Range::kFull);
}

TEST(NegotiateTest, AnAssumedSizeAndAssumedColoursAreWarnedAbout) {
  Offer offer = CpuOffer("YU12");
  offer.color.matrix = media::Matrix::kBt709;
  offer.color_assumed = kColorFieldMatrix;
  Case c({Source("s", {offer}), Sink("t", {CpuOffer("")})}, "s: s\nt: t\ns -> t\n");
  Plan plan = c.Succeed();
  ASSERT_EQ(plan.warnings.size(), 2u);
  EXPECT_EQ(plan.warnings[0], "s.out: colour assumed: matrix bt709");
  EXPECT_TRUE(Has(plan.warnings[1], "size assumed: 1920x1080"));
}

// --- Converters ----------------------------------------------------------------

std::vector<NodeType> Mismatch() {
  return {Source("s", {SizedOffer("NV12", 64, 48)}), Sink("t", {CpuOffer("AB24")}),
          Sink("u", {CpuOffer("NV12")})};
}

TEST(NegotiateTest, AConverterIsInsertedWithItsReason) {
  std::vector<NodeType> types = Mismatch();
  types.push_back(Converter("conv", "NV12 YU12", "AB24 R8"));
  Case c(types, "s: s\nt: t\ns -> t\n");
  const Plan plan = c.Succeed();
  ASSERT_EQ(plan.nodes.size(), 3u);
  EXPECT_EQ(plan.nodes[2].name, "conv@t.in");
  EXPECT_FALSE(plan.nodes[2].graph_node);
  EXPECT_EQ(plan.nodes[2].inserted_reason,
            "no common pixel format: s.out offers NV12, t.in takes AB24");
  EXPECT_EQ(FourccOf(plan, "conv@t.in.out"), "AB24");
  ASSERT_EQ(plan.copies.size(), 1u);
  EXPECT_EQ(plan.copies[0].bytes_per_frame, 64u * 48 * 4);
  EXPECT_EQ(plan.order, (std::vector<uint32_t>{0, 2, 1}));
}

TEST(NegotiateTest, AConverterStandsOnlyWhereItIsNeeded) {
  std::vector<NodeType> types = Mismatch();
  types.push_back(Converter("conv", "NV12", "AB24"));
  Case c(types, "s: s\nt: t\nu: u\ns -> t\ns -> u\n");
  const Plan plan = c.Succeed();
  EXPECT_EQ(plan.nets.size(), 2u);
  EXPECT_EQ(NetOf(plan, "s.out").edges.size(), 2u);
}

TEST(NegotiateTest, TheCheapestConverterWins) {
  std::vector<NodeType> types = Mismatch();
  types.push_back(Converter("a.slow", "NV12", "AB24"));
  types.back().converter_cost = 10;
  types.push_back(Converter("b.fast", "NV12", "AB24"));
  Case c(types, "s: s\nt: t\ns -> t\n");
  EXPECT_EQ(c.Succeed().nodes[2].type->id, "b.fast");
}

TEST(NegotiateTest, ConsumersThatExcludeEachOtherGetOneConverter) {
  std::vector<NodeType> types = {Source("s", {SizedOffer("NV12 AB24", 64, 48)}),
                                 Sink("t", {CpuOffer("AB24")}), Sink("u", {CpuOffer("NV12")}),
                                 Converter("conv", "NV12", "AB24")};
  Case c(types, "s: s\nt: t\nu: u\ns -> t\ns -> u\n");
  const Plan plan = c.Succeed();
  EXPECT_EQ(plan.nodes.size(), 4u);
  EXPECT_EQ(FourccOf(plan, "s.out"), "NV12");
}

TEST(NegotiateTest, SeveralArmsGetAConverterEach) {
  std::vector<NodeType> types = Mismatch();
  types.push_back(Converter("conv", "NV12", "AB24"));
  Case c(types, "s: s\nt: t\nt2: t\nt3: t\nu: u\ns -> t\ns -> t2\ns -> t3\ns -> u\n");
  EXPECT_EQ(c.Succeed().nodes.size(), 8u);
}

TEST(NegotiateTest, AChainOfTwoConvertersIsFoundWhereOneIsNotEnough) {
  // Memory first, format second: neither converter does both.
  Offer vram = DeviceOffer("NV12", 1);
  vram.width = {64, 64, 1};
  vram.height = {48, 48, 1};
  NodeType download =
      OnDevice(Filter("a.download", {CpuOffer("NV12", kViewDevice)}, {CpuOffer("NV12", kViewShm)}));
  download.ports[0].offers[0].device_uuid[0] = 1;
  download.converter = download.copies = true;
  Case c({OnDevice(Source("s", {vram})), Sink("t", {CpuOffer("AB24")}), download,
          Converter("b.conv", "NV12", "AB24")},
         "s: s\nt: t\ns -> t\n");
  const Plan plan = c.Succeed();
  ASSERT_EQ(plan.nodes.size(), 4u);
  EXPECT_EQ(plan.nodes[plan.order[1]].type->id, "a.download");
  EXPECT_EQ(plan.nodes[plan.order[2]].type->id, "b.conv");
  EXPECT_EQ(plan.copies.size(), 2u);
}

TEST(NegotiateTest, TiesThatLeaveNothingAreRepairedByAConverter) {
  // look ties its fourcc; the clip gives NV12 only, the file takes YU12 only.
  std::vector<NodeType> types = {Source("s", {SizedOffer("NV12", 64, 48)}),
                                 Filter("look", {CpuOffer("NV12 YU12")}, {CpuOffer("NV12 YU12")}),
                                 Sink("t", {CpuOffer("YU12")}), Converter("conv", "NV12", "YU12")};
  Case c(types, "s: s\nl: look\nt: t\ns -> l -> t\n");
  const Plan plan = c.Succeed();
  ASSERT_EQ(plan.nodes.size(), 4u);
  EXPECT_FALSE(plan.nodes[3].graph_node);
}

TEST(NegotiateTest, ConvertNeverRefusesAndSaysWhatWouldHelp) {
  std::vector<NodeType> types = Mismatch();
  types.push_back(Converter("conv", "NV12", "AB24"));
  Case c(types, "s: s\nt: t\ns -> t\n", {.convert = Convert::kNever});
  EXPECT_EQ(c.Refusal(),
            "s.out -> t.in: no common pixel format\n"
            "  s.out offers: NV12\n"
            "  t.in takes: AB24\n"
            "  nearest: NV12 and AB24\n"
            "  help: `convert: auto` in settings would allow a converter here");
}

// --- Zero-copy -----------------------------------------------------------------

TEST(NegotiateTest, RequireZeroCopyForbidsConvertersOnItsEdge) {
  std::vector<NodeType> types = Mismatch();
  types.push_back(Converter("conv", "NV12", "AB24"));
  Case edge(types, "s: s\nt: t\ns -> t require\n");
  EXPECT_TRUE(Has(edge.Refusal(), "without `require: zero-copy` a converter may be inserted"));
  Case graph(types, "s: s\nt: t\ns -> t\n", {.zero_copy = ZeroCopy::kRequire});
  EXPECT_TRUE(Has(graph.Refusal(), "no common pixel format"));
}

TEST(NegotiateTest, OffersThatCopyAreTakenLastAndCounted) {
  Offer direct = SizedOffer("YU12", 64, 48), converted = SizedOffer("NV12", 64, 48);
  converted.copies = "yuv420p is converted by swscale";
  std::vector<NodeType> types = {Source("s", {converted, direct}),
                                 Sink("t", {CpuOffer("NV12 YU12")}), Sink("u", {CpuOffer("NV12")})};
  Case free(types, "s: s\nt: t\ns -> t\n");
  EXPECT_EQ(FourccOf(free.Succeed(), "s.out"), "YU12");
  EXPECT_TRUE(free.Succeed().copies.empty());

  Case forced(types, "s: s\nu: u\ns -> u\n");
  const Plan plan = forced.Succeed();
  ASSERT_EQ(plan.copies.size(), 1u);
  EXPECT_EQ(plan.copies[0].where, "s.out");
  EXPECT_EQ(plan.copies[0].bytes_per_frame, 64u * 48 * 3 / 2);
  EXPECT_EQ(plan.copies[0].reason, "yuv420p is converted by swscale");

  Case required(types, "s: s\nu: u\ns -> u require\n");
  EXPECT_TRUE(Has(required.Refusal(), "zero-copy is required, and only offers that copy are left"));
  EXPECT_TRUE(Has(required.Refusal(), "swscale"));
}

// --- Refusals ------------------------------------------------------------------

TEST(NegotiateTest, RefusalsNameTheConstraintThatEmptiedTheSet) {
  auto refuse = [](Offer from, Offer to) {
    return Case({Source("s", {from}), Sink("t", {to})}, "s: s\nt: t\ns -> t\n").Refusal();
  };
  const std::string size = refuse(SizedOffer("NV12", 64, 48), SizedOffer("NV12", 32, 48));
  EXPECT_TRUE(
      Has(size, "s.out -> t.in: no common size\n  s.out offers: 64 x 48\n  t.in takes: 32 x 48"))
      << size;
  EXPECT_TRUE(Has(size, "nearest: NV12")) << size;

  Offer fast = SizedOffer("NV12", 64, 48), slow = CpuOffer("NV12");
  fast.rate_min = fast.rate_max = {60, 1};
  slow.rate_max = {30, 1};
  EXPECT_TRUE(Has(refuse(fast, slow), "no common frame rate"));

  Offer full = SizedOffer("NV12", 64, 48), limited = CpuOffer("NV12");
  full.color.range = media::Range::kFull;
  limited.color.range = media::Range::kLimited;
  EXPECT_TRUE(Has(refuse(full, limited), "no common colour"));

  Offer tiled = SizedOffer("NV12", 64, 48);
  tiled.modifiers = {7};
  const std::string modifier = refuse(tiled, CpuOffer("NV12"));
  EXPECT_TRUE(
      Has(modifier, "no common modifier\n  s.out offers: 0x0000000000000007\n  t.in takes: LINEAR"))
      << modifier;

  const std::string memory = refuse(SizedOffer("NV12", 64, 48), CpuOffer("NV12", kViewDmabuf));
  EXPECT_TRUE(Has(memory, "no memory that all can reach")) << memory;
}

TEST(NegotiateTest, OfSeveralFaultsOfAnEdgeARefusalNamesTheOneThatNoConverterMends) {
  const NodeType source = Source("s", {SizedOffer("NV12", 64, 48)});
  const NodeType sink = Sink("t", {SizedOffer("AB24", 1920, 1080)});
  const std::string text = "s: s\nt: t\ns -> t\n";
  EXPECT_TRUE(Has(Case({source, sink, Converter("c", "NV12", "AB24")}, text).Refusal(),
                  "s.out -> t.in: no common size\n"
                  "  s.out offers: 64 x 48\n"
                  "  t.in takes: 1920 x 1080\n"));
  Settings never;
  never.convert = Convert::kNever;
  EXPECT_TRUE(Has(Case({source, sink, Converter("c", "NV12", "AB24")}, text, never).Refusal(),
                  "no common pixel format"));
}

TEST(NegotiateTest, AllFaultsOfAGraphAreNamedAtOnce) {
  Case c({Source("s", {SizedOffer("NV12", 64, 48)}), Sink("t", {CpuOffer("AB24")})},
         "s: s\nt: t\ns2: s\nt2: t\ns -> t\ns2 -> t2\n");
  const std::string refusal = c.Refusal();
  EXPECT_TRUE(Has(refusal, "s.out -> t.in"));
  EXPECT_TRUE(Has(refusal, "s2.out -> t2.in"));
}

TEST(NegotiateTest, RefusalsByTiesNameTheTieAndWhatEachSideCouldBe) {
  Case c({Source("s", {SizedOffer("NV12", 64, 48)}),
          Filter("f", {CpuOffer("NV12")}, {CpuOffer("NV12")}),
          Sink("t", {SizedOffer("NV12", 32, 32)})},
         "s: s\nf: f\nt: t\ns -> f -> t\n");
  const std::string refusal = c.Refusal();
  EXPECT_TRUE(Has(refusal, "no common size under the ties between ports")) << refusal;
  EXPECT_TRUE(Has(refusal, "f: out.size == in.size")) << refusal;
  EXPECT_TRUE(Has(refusal, "s.out -> f.in can be: 64 x 48")) << refusal;
  EXPECT_TRUE(Has(refusal, "f.out -> t.in can be: 32 x 32")) << refusal;
}

// --- Exclusions and refined offers ---------------------------------------------

TEST(NegotiateTest, ExclusionsMoveThePlanToTheNextBestAndThenEnd) {
  Case c({Source("s", {SizedOffer("NV12 YU12", 64, 48)}), Sink("t", {CpuOffer("")})},
         "s: s\nt: t\ns -> t\n");
  EXPECT_EQ(FourccOf(c.Succeed(), "s.out"), "NV12");
  c.input.exclusions.push_back(
      {.producer = "s.out", .fourcc = media::kNv12, .reason = "import failed: EINVAL"});
  const Plan plan = c.Succeed();
  EXPECT_EQ(FourccOf(plan, "s.out"), "YU12");
  EXPECT_EQ(plan.exclusions.size(), 1u);
  c.input.exclusions.push_back({.producer = "s.out", .reason = "the device is gone"});
  const std::string refusal = c.Refusal();
  EXPECT_TRUE(Has(refusal, "what was left has failed before")) << refusal;
  EXPECT_TRUE(Has(refusal, "failed: the device is gone")) << refusal;
}

TEST(NegotiateTest, AnExcludedViewOfOneConsumerChoosesAnotherView) {
  Case c({Source("s", {SizedOffer("NV12", 64, 48)}), Sink("t", {CpuOffer("NV12")})},
         "s: s\nt: t\ns -> t\n");
  EXPECT_EQ(c.Succeed().edges[0].consumer_view, kViewShm);
  c.input.exclusions.push_back(
      {.producer = "s.out", .consumer = "t.in", .view = kViewShm, .reason = "mmap"});
  EXPECT_EQ(c.Succeed().edges[0].consumer_view, kViewCpu);
}

TEST(NegotiateTest, ARefusalShowsTheFirstOfManySizesAndTheNumberOfTheOthers) {
  std::vector<Offer> modes;
  for (uint32_t i = 0; i < 20; ++i) modes.push_back(SizedOffer("NV12", 640 + 16 * i, 480));
  Case c({Source("s", {SizedOffer("NV12", 64, 48)}), Sink("t", modes)}, "s: s\nt: t\ns -> t\n");
  const std::string refusal = c.Refusal();
  EXPECT_TRUE(Has(refusal, "640 x 480 or 656 x 480")) << refusal;
  EXPECT_TRUE(Has(refusal, "752 x 480, and 12 more")) << refusal;
}

TEST(NegotiateTest, AnExcludedAllocatorIsNotUsedAgain) {
  Offer offer = SizedOffer("NV12", 64, 48);
  offer.allocates = kViewShm;
  Case c({Source("s", {offer}), Sink("t", {CpuOffer("NV12")})}, "s: s\nt: t\ns -> t\n");
  EXPECT_EQ(c.Succeed().nets[0].allocator, "s.out");
  c.input.exclusions.push_back({.producer = "s.out", .allocator = "s.out", .reason = "no memory"});
  EXPECT_EQ(c.Succeed().nets[0].allocator, "memfd");
}

TEST(NegotiateTest, RefinedOffersReplaceDeclaredOnes) {
  Case c(StandardTypes(), "c: test.clip file=a\nn: test.null\nc -> n\n");
  Offer refined = SizedOffer("YU12", 1920, 1080);
  c.input.offers["c.out"] = {refined};
  EXPECT_EQ(FourccOf(c.Succeed(), "c.out"), "YU12");
}

TEST(NegotiateTest, WhatARefinedOfferLeavesOpenStaysAsDeclared) {
  Case c(StandardTypes(), "c: test.clip file=a\nn: test.null\nc -> n\n");
  c.input.offers["c.out"] = {CpuOffer("")};
  const Plan plan = c.Succeed();
  EXPECT_EQ(FourccOf(plan, "c.out"), "NV12");
  EXPECT_EQ(plan.nets[0].format.width, 1920u);
}

TEST(NegotiateTest, RefinedOffersBeyondTheDeclaredOnesAreRefused) {
  Case c(StandardTypes(), "c: test.clip file=a\nn: test.null\nc -> n\n");
  c.input.offers["c.out"] = {SizedOffer("AB24", 1920, 1080)};
  Result<Plan> plan = c.Run();
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, Code::kInvalidArgument);
  EXPECT_TRUE(Has(plan.error().message,
                  "c.out: a refined offer goes beyond what the manifest declares (fourcc)"));
  c.input.offers["c.out"] = {SizedOffer("YU12", 640, 480)};
  EXPECT_TRUE(Has(c.Refusal(), "(size)"));
}

// --- The search itself ---------------------------------------------------------

TEST(NegotiateTest, EqualInputsGiveEqualPlans) {
  const std::string text =
      "c: test.clip file=a\nd: test.clip file=b\nm: test.mix\nn: test.null\nf: test.file file=c\n"
      "c -> m.a\nd -> m.b\nm -> n\nm -> f\n";
  Case a(StandardTypes(), text), b(StandardTypes(), text);
  EXPECT_EQ(a.Succeed().ToJson(), b.Succeed().ToJson());
  const std::string digest = a.Succeed().digest;
  a.input.exclusions.push_back({.producer = "d.out", .fourcc = media::kNv12, .reason = "x"});
  EXPECT_NE(a.Succeed().digest, digest);
}

TEST(NegotiateTest, TheSearchIsExactAgainstBruteForce) {
  // Three nets in a row, each filter with a tie or not; formats whose costs
  // differ. Brute force over all assignments must find nothing cheaper.
  const char* const sets[] = {"NV12 AB24", "AB24 YUYV", "NV12 YUYV AB24", "AB24"};
  for (int mask = 0; mask < 256; ++mask) {
    std::vector<NodeType> types = {Source("s", {SizedOffer(sets[mask & 3], 640, 480)}),
                                   Filter("f", {CpuOffer(sets[(mask >> 2) & 3])},
                                          {CpuOffer(sets[(mask >> 2) & 3])}, (mask & 64) != 0),
                                   Filter("g", {CpuOffer(sets[(mask >> 4) & 3])},
                                          {CpuOffer(sets[(mask >> 4) & 3])}, (mask & 128) != 0),
                                   Sink("t", {CpuOffer("AB24 YUYV")})};
    Case c(types, "s: s\nf: f\ng: g\nt: t\ns -> f -> g -> t\n");
    Result<Plan> plan = c.Run();

    auto listed = [](const Offer& offer, uint32_t fourcc) {
      return std::find(offer.fourccs.begin(), offer.fourccs.end(), fourcc) != offer.fourccs.end();
    };
    // Loss comes before bytes: compare only the bytes of plans with the least loss.
    std::vector<uint32_t> all = Fourccs("NV12 YUYV AB24");
    auto bytes = [](uint32_t f) { return f == media::kAb24 ? 8u : f == media::kYuyv ? 4u : 3u; };
    auto chroma = [](uint32_t f) { return f == media::kAb24 ? 4u : f == media::kYuyv ? 2u : 1u; };
    std::optional<std::pair<uint32_t, uint32_t>> best;
    for (uint32_t x : all)
      for (uint32_t y : all)
        for (uint32_t z : all) {
          const auto& s = types[0].ports[0].offers[0];
          const auto& f = types[1].ports[0].offers[0];
          const auto& g = types[2].ports[0].offers[0];
          const bool fits = listed(s, x) && listed(f, x) && listed(f, y) && listed(g, y) &&
                            listed(g, z) && z != media::kNv12 && (!(mask & 64) || x == y) &&
                            (!(mask & 128) || y == z);
          if (!fits) continue;
          // Chroma and alpha go as far as the ports on their way take them.
          auto most = [&](const Offer& offer) {
            uint32_t best_chroma = 0;
            for (uint32_t fourcc : offer.fourccs)
              best_chroma = std::max(best_chroma, chroma(fourcc));
            return best_chroma;
          };
          const uint32_t first = chroma(s.fourccs[0]);
          const uint32_t second = std::min(first, most(f)), third = std::min(second, most(g));
          const bool in_x = s.fourccs[0] == media::kAb24;
          const bool in_y = in_x && listed(f, media::kAb24);
          const bool in_z = in_y && listed(g, media::kAb24);
          auto lost = [&](uint32_t had, uint32_t fourcc) {
            return had > chroma(fourcc) ? had - chroma(fourcc) : 0;
          };
          uint32_t loss = lost(first, x) + lost(second, y) + lost(third, z);
          if (in_x && x != media::kAb24) loss += 20;
          if (in_y && y != media::kAb24) loss += 20;
          if (in_z && z != media::kAb24) loss += 20;
          const std::pair<uint32_t, uint32_t> cost = {loss, bytes(x) + bytes(y) + bytes(z)};
          if (!best || cost < *best) best = cost;
        }
    ASSERT_EQ(plan.has_value(), best.has_value()) << mask;
    if (!plan) continue;
    uint32_t sum = 0;
    for (const PlanNet& net : plan->nets) sum += bytes(net.format.fourcc);
    EXPECT_EQ(sum, best->second) << mask;
    EXPECT_TRUE(plan->optimal);
  }
}

TEST(NegotiateTest, ALongChainIsSolvedWithoutRecursion) {
  std::string text = "c: test.clip file=a\nf: test.file file=b\n";
  std::string chain = "c";
  for (int i = 0; i < 1000; ++i) {
    text += "l" + std::to_string(i) + ": test.look\n";
    chain += " -> l" + std::to_string(i);
  }
  Case c(StandardTypes(), text + chain + " -> f\n");
  const Plan plan = c.Succeed();
  EXPECT_EQ(plan.nets.size(), 1001u);
  EXPECT_TRUE(plan.optimal);
  for (const PlanNet& net : plan.nets) EXPECT_EQ(net.format.fourcc, media::kYu12);
}

TEST(NegotiateTest, AWideFanOutCostsASumNotAProduct) {
  std::vector<NodeType> types = {
      Source("s", {SizedOffer("NV12 YU12 AB24", 64, 48)}),
      Sink("t", {CpuOffer("NV12"), CpuOffer("YU12 AB24"), CpuOffer("AB24", kViewCpu)})};
  std::string text = "s: s\n";
  for (int i = 0; i < 200; ++i) {
    text += "t" + std::to_string(i) + ": t\ns -> t" + std::to_string(i) + "\n";
  }
  const Plan plan = Case(types, text).Succeed();
  EXPECT_TRUE(plan.optimal);
  EXPECT_EQ(plan.nets[0].edges.size(), 200u);
}

TEST(NegotiateTest, ASearchThatIsCutOffSaysSo) {
  Case c(StandardTypes(), "c: test.clip file=a\nn: test.null\nc -> n\n");
  EXPECT_TRUE(c.Succeed().optimal);
  c.input.limits.max_candidates = 1;
  const Plan plan = c.Succeed();
  EXPECT_FALSE(plan.optimal);
  EXPECT_TRUE(Has(plan.ToTable(), "not proven optimal"));
}

}  // namespace
}  // namespace sluice::graph
