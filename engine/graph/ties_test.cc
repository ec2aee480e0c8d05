// Ties of sizes that are turned, and ties that hold for some parameters only.
#include <gtest/gtest.h>

#include "engine/graph/testing/negotiation_case.h"
#include "engine/graph/testing/types.h"

namespace sluice::graph {
namespace {

using testing::Case;
using testing::CpuOffer;
using testing::Filter;
using testing::Has;
using testing::Input;
using testing::NetOf;
using testing::Output;
using testing::Param;
using testing::Sink;
using testing::SizedOffer;
using testing::Source;

/// A filter whose output is the input, turned or not, or of a size of its own.
NodeType Turner() {
  Offer sized = CpuOffer("NV12");
  sized.size_param = "size";
  NodeType type = Filter("turn", {CpuOffer("NV12")}, {sized});
  type.params = {Param("angle", ParamType::kEnum), Param("size", ParamType::kSize)};
  type.params[0].choices = {"0", "90", "180", "270"};
  type.params[0].default_value = ParamValue{.type = ParamType::kEnum, .text = "90"};
  type.ties = {*ParseTie("out.size == in.size when angle is 0 or 180 unless size"),
               *ParseTie("out.size == turned in.size when angle is 90 or 270 unless size")};
  return type;
}

std::vector<NodeType> Types() {
  NodeType pair;
  pair.id = "pair";
  pair.ports = {Input("a", {CpuOffer("NV12")}), Input("b", {CpuOffer("NV12")}),
                Output("out", {CpuOffer("NV12")})};
  pair.ties = {*ParseTie("out.size == a.size"), *ParseTie("b.size == a.size")};
  return {Turner(),
          pair,
          Source("wide", {SizedOffer("NV12", 64, 48)}),
          Source("square", {SizedOffer("NV12", 48, 48)}),
          Source("any", {CpuOffer("NV12")}),
          Sink("sink", {CpuOffer("NV12")}),
          Sink("tall", {SizedOffer("NV12", 48, 64)})};
}

Size SizeOf(const Plan& plan, const std::string& producer) {
  const media::Format& format = NetOf(plan, producer).format;
  return {format.width, format.height};
}

TEST(TiesTest, AreWrittenAsTheyAreRead) {
  for (const char* text :
       {"out.size == in.size", "out.size == turned in.size", "out.rate == in.rate unless rate",
        "out.color == in.color", "out.color_space == in.color_space",
        "out.color_encoding == in.color_encoding",
        "out.size == turned in.size when angle is 90 or 270 unless size"}) {
    const auto tie = ParseTie(text);
    ASSERT_TRUE(tie) << text;
    EXPECT_EQ(ToString(*tie), text);
  }
}

TEST(TiesTest, WhatIsNoConditionIsRefused) {
  for (const char* text :
       {"out.rate == turned in.rate", "out.size == turned", "out.size == in.size when",
        "out.size == in.size when angle", "out.size == in.size when angle is",
        "out.size == in.size when angle is 0 or", "out.size == in.size unless",
        "out.size == in.size unless size now", "out.size == in.size if angle"}) {
    EXPECT_FALSE(ParseTie(text)) << text;
  }
}

TEST(TiesTest, ATurnedSizeHasItsWidthAndHeightExchanged) {
  const Case c(Types(), "s: wide\nf: turn\nt: sink\ns -> f -> t\n");
  EXPECT_EQ(SizeOf(c.Succeed(), "f.out"), (Size{48, 64}));
}

TEST(TiesTest, TwoTurnsGiveTheSizeBack) {
  const Case c(Types(), "s: wide\nf: turn\ng: turn angle=270\nt: sink\ns -> f -> g -> t\n");
  const Plan plan = c.Succeed();
  EXPECT_EQ(SizeOf(plan, "f.out"), (Size{48, 64}));
  EXPECT_EQ(SizeOf(plan, "g.out"), (Size{64, 48}));
}

TEST(TiesTest, ASizeBehindATurnSettlesTheOneBefore) {
  const Case c(Types(), "s: any\nf: turn\nt: tall\ns -> f -> t\n");
  EXPECT_EQ(SizeOf(c.Succeed(), "s.out"), (Size{64, 48}));
}

TEST(TiesTest, ASizeThatNobodyFixesIsTurnedToo) {
  const Case c(Types(), "s: any\nf: turn\nt: sink\ns -> f -> t\n");
  const Plan plan = c.Succeed();
  EXPECT_EQ(SizeOf(plan, "s.out"), (Size{1920, 1080}));
  EXPECT_EQ(SizeOf(plan, "f.out"), (Size{1080, 1920}));
}

TEST(TiesTest, AParameterSaysWhichTieHolds) {
  const Case straight(Types(), "s: wide\nf: turn angle=180\nt: sink\ns -> f -> t\n");
  EXPECT_EQ(SizeOf(straight.Succeed(), "f.out"), (Size{64, 48}));
  const Case none(Types(), "s: wide\nf: turn size=100x30\nt: sink\ns -> f -> t\n");
  EXPECT_EQ(SizeOf(none.Succeed(), "f.out"), (Size{100, 30}));
}

TEST(TiesTest, ARefusalNamesTheTurnedTie) {
  const Case c(Types(), "s: square\nf: turn\nt: tall\ns -> f -> t\n");
  const std::string refusal = c.Refusal();
  EXPECT_TRUE(Has(refusal, "no common size under the ties between ports")) << refusal;
  EXPECT_TRUE(Has(refusal, "f: out.size == turned in.size when angle is 90 or 270")) << refusal;
}

/// One arm turned, one not, and both of one size at the end.
TEST(TiesTest, APictureThatMustHaveTheSizeOfItsOwnTurnIsSquare) {
  const std::string diamond = "f: turn\np: pair\nt: sink\ns -> f -> p.a\ns -> p.b\np -> t\n";
  const Case square(Types(), "s: square\n" + diamond);
  EXPECT_EQ(SizeOf(square.Succeed(), "f.out"), (Size{48, 48}));
  const Case open(Types(), "s: any\n" + diamond);
  EXPECT_EQ(SizeOf(open.Succeed(), "s.out"), (Size{1080, 1080}));
  const Case wide(Types(), "s: wide\n" + diamond);
  EXPECT_TRUE(Has(wide.Refusal(), "no common size under the ties"));
}

/// A filter whose colours are tied by nothing but `tie`.
NodeType TiedBy(const std::string& tie, Offer in, Offer out) {
  NodeType type = Filter("tied", {std::move(in)}, {std::move(out)}, false);
  std::erase_if(type.ties, [](const Tie& t) { return t.field == TieField::kColor; });
  type.ties.push_back(*ParseTie(tie));
  return type;
}

/// What a filter with this tie makes of a picture with the colour `from`.
media::Color ColorBehind(const std::string& tie, const media::Color& from) {
  Offer offer = SizedOffer("NV12", 64, 48);
  offer.color = from;
  const Case c({Source("s", {offer}), TiedBy(tie, CpuOffer("NV12"), CpuOffer("AB24")),
                Sink("t", {CpuOffer("AB24")})},
               "s: s\nf: tied\nt: t\ns -> f -> t\n");
  return NetOf(c.Succeed(), "f.out").format.color;
}

TEST(TiesTest, AColourIsTiedAsAWholeOrByItsSpaceOrItsEncoding) {
  const media::Color space{.primaries = media::Primaries::kBt2020, .transfer = media::Transfer::kPq};
  const media::Color encoding{.matrix = media::Matrix::kBt2020, .range = media::Range::kLimited};
  media::Color both = space;
  both.matrix = encoding.matrix;
  both.range = encoding.range;
  EXPECT_EQ(ColorBehind("out.color == in.color", both), both);
  EXPECT_EQ(ColorBehind("out.color_space == in.color_space", both), space);
  EXPECT_EQ(ColorBehind("out.color_encoding == in.color_encoding", both), encoding);
}

TEST(TiesTest, ARefusalNamesTheTieOfTheColoursSpace) {
  Offer wide = SizedOffer("NV12", 64, 48), narrow = CpuOffer("NV12");
  wide.color = {.primaries = media::Primaries::kBt2020, .range = media::Range::kLimited};
  narrow.color = {.primaries = media::Primaries::kBt709, .range = media::Range::kFull};
  const std::string tie = "out.color_space == in.color_space";
  const Case c({Source("s", {wide}), TiedBy(tie, CpuOffer("NV12"), CpuOffer("NV12")),
                Sink("t", {narrow})},
               "s: s\nf: tied\nt: t\ns -> f -> t\n");
  const std::string refusal = c.Refusal();
  EXPECT_TRUE(Has(refusal, "no common colour under the ties between ports")) << refusal;
  EXPECT_TRUE(Has(refusal, "f: " + tie)) << refusal;
}

/// The order of joining must not matter: a long chain of turns, listed from its end.
TEST(TiesTest, ALongChainOfTurnsIsSettled) {
  std::string nodes, edges = "s -> f0\n";
  for (int i = 200; i >= 0; --i) nodes += "f" + std::to_string(i) + ": turn\n";
  for (int i = 0; i < 200; ++i) {
    edges += "f" + std::to_string(i) + " -> f" + std::to_string(i + 1) + "\n";
  }
  const Case c(Types(), "s: wide\nt: sink\n" + nodes + edges + "f200 -> t\n");
  const Plan plan = c.Succeed();
  EXPECT_EQ(SizeOf(plan, "f199.out"), (Size{64, 48}));
  EXPECT_EQ(SizeOf(plan, "f200.out"), (Size{48, 64}));
}

}  // namespace
}  // namespace sluice::graph
