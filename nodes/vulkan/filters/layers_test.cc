// Filters of several inputs against docs/filters.md in double precision: compose, mask.
#include <gtest/gtest.h>

#include "nodes/vulkan/filters/filter_testing.h"

namespace sluice::vulkan::testing {
namespace {

using LayersTest = FilterTest;

Picture Of(const Image& image, uint32_t fourcc) {
  return ToPicture(image, MakeFormat(fourcc, static_cast<uint32_t>(image.width()),
                                     static_cast<uint32_t>(image.height())));
}

TEST_F(LayersTest, LayersLieOverEachOtherByOrderPositionSizeAndOpacity) {
  const Picture a = Of(WithAlpha(PatternImage(Pattern::kGradients, 97, 61)), SLUICE_FORMAT_AB24);
  const Picture b = Of(WithAlpha(PatternImage(Pattern::kZonePlate, 64, 48)), SLUICE_FORMAT_AR24);
  const Picture c = Of(PatternImage(Pattern::kBars, 33, 21), SLUICE_FORMAT_AB24);
  const Image ia = ToImage(a), ib = ToImage(b), ic = ToImage(c);
  const std::vector<Layer> layers = {
      {&ia, 0, 0, 0, 0, 1, 0}, {&ib, 20.5, 10.25, 40, 30, 0.7, 5}, {&ic, -5, 40, 0, 0, 0.5, 2}};
  for (const uint32_t fourcc : {SLUICE_FORMAT_AB24, SLUICE_FORMAT_XR24, SLUICE_FORMAT_AB4H}) {
    if (!Carried(fourcc)) continue;
    const Picture out(MakeFormat(fourcc, 97, 61));
    // Port 1 has no edge: numbers stay with their ports.
    Run({ComposeSpec(),
         {Number("x2", 20.5), Number("y2", 10.25), Number("width2", 40), Number("height2", 30),
          Number("opacity2", 0.7), Number("order2", 5), Number("x3", -5), Number("y3", 40),
          Number("opacity3", 0.5), Number("order3", 2), Text("background", "#10203040")},
         {},
         {&a, nullptr, &b, &c, nullptr, nullptr, nullptr, nullptr}},
        out);
    const Image want = Compose(97, 61, {16 / 255.0, 32 / 255.0, 48 / 255.0, 64 / 255.0}, layers);
    ExpectNear(out, want, 1, "compose of three " + FourccName(fourcc));
  }
}

TEST_F(LayersTest, ALayerOfItsOwnSizeAtWholePixelsIsCopied) {
  const Image source = PatternImage(Pattern::kNoise, 32, 16);
  const Picture base = Of(Image(80, 50, {0, 0, 1, 1}), SLUICE_FORMAT_AB24);
  const Picture layer = Of(source, SLUICE_FORMAT_AB24);
  const Picture out(MakeFormat(SLUICE_FORMAT_AB24, 80, 50));
  Run({ComposeSpec(), {Number("x1", 40), Number("y1", 30)}, {}, {&base, &layer}}, out);
  const Image got = ToImage(out);
  for (int y = 0; y < 50; ++y) {
    for (int x = 0; x < 80; ++x) {
      const bool inside = x >= 40 && x < 72 && y >= 30 && y < 46;
      const Rgba want = inside ? source.at(x - 40, y - 30) : Rgba{0, 0, 1, 1};
      ASSERT_EQ(got.at(x, y), want) << x << "," << y;
    }
  }
}

TEST_F(LayersTest, EightLayersOfDifferentFormatsAreComposed) {
  // Few of Y'CbCr: software Vulkan compiles seconds at each.
  const uint32_t formats[] = {SLUICE_FORMAT_NV12, SLUICE_FORMAT_AB24, SLUICE_FORMAT_YUYV,
                              SLUICE_FORMAT_XR24, SLUICE_FORMAT_AB24, SLUICE_FORMAT_AR24,
                              SLUICE_FORMAT_XB24, SLUICE_FORMAT_XR24};
  std::vector<Picture> pictures;
  for (const uint32_t fourcc : formats)
    pictures.push_back(Of(PatternImage(Pattern::kGradients, 40, 30), fourcc));
  std::vector<Image> images;
  for (const Picture& p : pictures) images.push_back(ToImage(p));
  std::vector<sluice_param> params;
  std::vector<Layer> layers;
  std::vector<const Picture*> inputs;
  std::vector<std::string> names(16);
  for (size_t i = 0; i < 8; ++i) {
    const double x = 15.0 * static_cast<double>(i), y = 8.0 * static_cast<double>(i);
    names[2 * i] = "x" + std::to_string(i);
    names[2 * i + 1] = "y" + std::to_string(i);
    params.push_back(Number(names[2 * i].c_str(), x));
    params.push_back(Number(names[2 * i + 1].c_str(), y));
    layers.push_back({&images[i], x, y, 0, 0, 1, static_cast<int>(i)});
    inputs.push_back(&pictures[i]);
  }
  const Picture out(MakeFormat(SLUICE_FORMAT_AB24, 150, 90));
  Run({ComposeSpec(), params, {}, inputs}, out);
  ExpectNear(out, Compose(150, 90, {0, 0, 0, 1}, layers), 1, "compose of eight");
}

TEST_F(LayersTest, AVideoIsComposedInItsOwnFormat) {
  const Picture a = Of(PatternImage(Pattern::kGradients, 96, 64), SLUICE_FORMAT_NV12);
  const Picture b = Of(PatternImage(Pattern::kGradients, 48, 32), SLUICE_FORMAT_NV12);
  const Image ia = ToImage(a), ib = ToImage(b);
  const Picture out(MakeFormat(SLUICE_FORMAT_NV12, 96, 64));
  Run({ComposeSpec(), {Number("x1", 11), Number("y1", 7)}, {}, {&a, &b}}, out);
  ExpectNear(out,
             Compose(96, 64, {0, 0, 0, 1}, {{&ia, 0, 0, 0, 0, 1, 0}, {&ib, 11, 7, 0, 0, 1, 1}}), 2,
             "compose NV12");
}

TEST_F(LayersTest, AMaskSaysWhereTheOverlayIsSeen) {
  const Picture base = Of(WithAlpha(PatternImage(Pattern::kGradients, 97, 61)), SLUICE_FORMAT_AB24);
  const Picture overlay = Of(WithAlpha(PatternImage(Pattern::kBars, 97, 61)), SLUICE_FORMAT_AB24);
  for (const auto& [w, h] : {std::pair(97, 61), std::pair(30, 17)}) {
    const Picture mask = Of(WithAlpha(PatternImage(Pattern::kZonePlate, w, h)), SLUICE_FORMAT_AB24);
    for (const bool alpha : {false, true}) {
      for (const bool invert : {false, true}) {
        const Picture out(MakeFormat(SLUICE_FORMAT_AB24, 97, 61));
        Run({MaskSpec(),
             {Text("channel", alpha ? "alpha" : "luma"), Flag("invert", invert),
              Number("opacity", 0.8)},
             {},
             {&base, &overlay, &mask}},
            out);
        ExpectNear(
            out, MaskBlend(ToImage(base), ToImage(overlay), ToImage(mask), {}, alpha, invert, 0.8),
            1, std::string("mask ") + (alpha ? "alpha" : "luma"));
      }
    }
  }
}

TEST_F(LayersTest, AVideoIsMaskedInItsOwnFormat) {
  const Image photo = Photo(128, 96);
  const Picture base =
      Of(photo.width() != 0 ? photo : PatternImage(Pattern::kBars, 128, 96), SLUICE_FORMAT_NV12);
  const Picture overlay = Of(PatternImage(Pattern::kGradients, 128, 96), SLUICE_FORMAT_YU12);
  const Picture mask = Of(PatternImage(Pattern::kGradients, 64, 64), SLUICE_FORMAT_XB24);
  const Picture out(MakeFormat(SLUICE_FORMAT_NV12, 128, 96));
  Run({MaskSpec(), {}, {}, {&base, &overlay, &mask}}, out);
  ExpectNear(out, MaskBlend(ToImage(base), ToImage(overlay), ToImage(mask), {}, false, false, 1), 2,
             "mask NV12");
}

}  // namespace
}  // namespace sluice::vulkan::testing
