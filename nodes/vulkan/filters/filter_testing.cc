#include "nodes/vulkan/filters/filter_testing.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "nodes/vulkan/reference.h"

namespace sluice::vulkan::testing {
namespace {

bool HasAlpha(uint32_t fourcc) {
  return fourcc == SLUICE_FORMAT_AB24 || fourcc == SLUICE_FORMAT_AR24 ||
         fourcc == SLUICE_FORMAT_AB4H;
}

/// IEEE 754 binary16, by its definition.
double FromHalf(uint16_t half) {
  const int exponent = (half >> 10) & 31, fraction = half & 1023;
  const double magnitude = exponent == 0    ? std::ldexp(fraction, -24)
                           : exponent == 31 ? INFINITY
                                            : std::ldexp(1024 + fraction, exponent - 25);
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

uint16_t ToHalf(double v) {
  const uint16_t sign = std::signbit(v) ? 0x8000 : 0;
  v = std::abs(v);
  if (v == 0) return sign;
  const int exponent = std::max(std::ilogb(v), -14);
  const long fraction = std::lrint(std::ldexp(v, 10 - exponent));  // 1024..2048 of a normal one
  return static_cast<uint16_t>(sign + ((exponent + 14) << 10) + fraction);
}

const uint16_t* Halves(const Picture& p, int x, int y) {
  return reinterpret_cast<const uint16_t*>(p.plane(0) + static_cast<uint64_t>(y) * p.stride(0)) +
         4 * x;
}

uint8_t Code(double v) { return static_cast<uint8_t>(std::clamp(std::lround(255 * v), 0L, 255L)); }

sluice_format WithFourcc(uint32_t fourcc, int width, int height) {
  return MakeFormat(fourcc, static_cast<uint32_t>(width), static_cast<uint32_t>(height));
}

/// What a filter of this type has but its sources.
void FillIn(const FilterSpec& spec, const std::vector<sluice_param>& params,
            const FilterPorts& ports, TestFilter& filter) {
  const sluice_param_set set{static_cast<uint32_t>(params.size()), 0, params.data()};
  FilterChoices choices;
  if (spec.choose != nullptr) {
    auto chosen = spec.choose(sdk::Params(&set));
    ASSERT_TRUE(chosen.has_value()) << chosen.error().message;
    choices = std::move(*chosen);
  }
  const auto values = FilterValues(spec, sdk::Params(&set));
  ASSERT_TRUE(values.has_value()) << values.error().message;
  auto stages = spec.stages(ports, choices);
  ASSERT_TRUE(stages.has_value()) << stages.error().message;
  filter.stages = std::move(*stages);
  filter.params = *values;
  if (spec.derive != nullptr) {
    filter.params.assign(spec.numbers, 0);
    spec.derive(*values, filter.params);
  }
  if (spec.table != nullptr) filter.table = spec.table(choices);
}

/// How far code values may be apart for other reasons than the filter's: the reference goes through
/// bytes of R'G'B' on the way from and to Y'CbCr.
constexpr double kThroughBytes = 1;

}  // namespace

Image ToImage(const Picture& picture) {
  const uint32_t fourcc = picture.format().fourcc;
  const int w = static_cast<int>(picture.width()), h = static_cast<int>(picture.height());
  if (IsYuv(fourcc)) {
    Picture rgb(WithFourcc(SLUICE_FORMAT_AB24, w, h));
    Reference(picture, rgb, "", {});
    return ToImage(rgb);
  }
  Image image(w, h);
  for (int y = 0; y < h; ++y) {
    for (int x = 0; x < w; ++x) {
      Rgba& px = image.at(x, y);
      if (fourcc == SLUICE_FORMAT_AB4H) {
        for (size_t c = 0; c < 4; ++c) px[c] = FromHalf(Halves(picture, x, y)[c]);
        continue;
      }
      const uint8_t* bytes =
          picture.plane(0) + static_cast<uint64_t>(y) * picture.stride(0) + 4 * x;
      const bool swap = fourcc == SLUICE_FORMAT_AR24 || fourcc == SLUICE_FORMAT_XR24;
      px = {bytes[swap ? 2 : 0] / 255.0, bytes[1] / 255.0, bytes[swap ? 0 : 2] / 255.0,
            HasAlpha(fourcc) ? bytes[3] / 255.0 : 1.0};
    }
  }
  return image;
}

Picture ToPicture(const Image& image, const sluice_format& format) {
  Picture picture(format);
  if (IsYuv(format.fourcc)) {
    const Picture rgb =
        ToPicture(image, WithFourcc(SLUICE_FORMAT_AB24, image.width(), image.height()));
    Reference(rgb, picture, "", {});
    return picture;
  }
  for (int y = 0; y < image.height(); ++y) {
    for (int x = 0; x < image.width(); ++x) {
      const Rgba& px = image.at(x, y);
      uint8_t* bytes = picture.plane(0) + static_cast<uint64_t>(y) * picture.stride(0);
      if (format.fourcc == SLUICE_FORMAT_AB4H) {
        for (size_t c = 0; c < 4; ++c)
          reinterpret_cast<uint16_t*>(bytes)[4 * x + static_cast<int>(c)] = ToHalf(px[c]);
        continue;
      }
      const bool swap = format.fourcc == SLUICE_FORMAT_AR24 || format.fourcc == SLUICE_FORMAT_XR24;
      bytes += 4 * x;
      bytes[swap ? 2 : 0] = Code(px[0]);
      bytes[1] = Code(px[1]);
      bytes[swap ? 0 : 2] = Code(px[2]);
      bytes[3] = Code(px[3]);
    }
  }
  return picture;
}

bool Carried(uint32_t fourcc) { return MakeLayout(WithFourcc(fourcc, 16, 16)).has_value(); }

Image Photo(int width, int height) {
  static uint32_t w = 0, h = 0;
  static const std::vector<uint8_t> rgb = LoadRgb(kPhoto, &w, &h);
  if (rgb.empty()) return {};
  Image image(width, height);
  // Every eighth pixel: all detail that the photo has is that much finer.
  constexpr size_t kStep = 8;
  const auto first = [](uint32_t of, int taken) {
    return (of - kStep * static_cast<size_t>(taken)) / 2;
  };
  const size_t left = first(w, width), top = first(h, height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const size_t px = left + kStep * static_cast<size_t>(x);
      const size_t py = top + kStep * static_cast<size_t>(y);
      const uint8_t* rgb_at = &rgb[3 * (py * w + px)];
      image.at(x, y) = {rgb_at[0] / 255.0, rgb_at[1] / 255.0, rgb_at[2] / 255.0, 1};
    }
  }
  return image;
}

Image WithAlpha(Image image) {
  for (int y = 0; y < image.height(); ++y) {
    for (int x = 0; x < image.width(); ++x) {
      const double slope = std::abs(2.0 * x / image.width() - 1);
      image.at(x, y)[3] = (x / 16 + y / 16) % 3 == 0 ? 0 : (x / 16 + y / 16) % 3 == 1 ? 1 : slope;
    }
  }
  return image;
}

Image PatternImage(Pattern pattern, int width, int height) {
  Picture picture(WithFourcc(SLUICE_FORMAT_XB24, width, height));
  Fill(picture, pattern);
  return ToImage(picture);
}

void ExpectNear(const Picture& got, const Image& want, double worst, const std::string& what) {
  const uint32_t fourcc = got.format().fourcc;
  const Picture wanted = ToPicture(want, got.format());
  if (IsYuv(fourcc)) {
    const auto differences = Compare(got, wanted);
    std::printf("%-34s %s\n", what.c_str(), ToString(differences).c_str());
    for (const Difference& d : differences) EXPECT_LE(d.worst, worst) << what;
    return;
  }
  // Halves are compared as they are, and shown in code values too.
  const Image a = ToImage(got), b = fourcc == SLUICE_FORMAT_AB4H ? want : ToImage(wanted);
  double sum = 0, most = 0;
  for (int y = 0; y < a.height(); ++y) {
    for (int x = 0; x < a.width(); ++x) {
      for (size_t c = 0; c < (HasAlpha(fourcc) ? 4 : 3); ++c) {
        // Bytes are limited by being bytes; halves hold what lies outside, too.
        const double d = std::abs(255 * (a.at(x, y)[c] - b.at(x, y)[c]));
        sum += d * d;
        most = std::max(most, d);
      }
    }
  }
  const double mean =
      sum / (static_cast<double>(a.width()) * a.height() * (HasAlpha(fourcc) ? 4 : 3));
  std::printf("%-34s %.1f dB (worst %.2f)\n", what.c_str(),
              mean == 0 ? 200 : 10 * std::log10(255 * 255 / mean), most);
  EXPECT_LE(most, worst + 1e-6) << what;
}

void FilterTest::Run(const FilterRun& run, const Picture& out) {
  FilterPorts ports;
  TestFilter filter;
  filter.sources.clear();
  std::vector<const Picture*> inputs;
  for (const Picture* input : run.inputs) {
    if (input == nullptr) {
      ports.inputs.emplace_back(std::nullopt);
      filter.sources.emplace_back();
      continue;
    }
    ports.inputs.emplace_back(input->format());
    filter.sources.push_back(FromInput(static_cast<uint32_t>(inputs.size())));
    inputs.push_back(input);
  }
  ports.output = out.format();
  ASSERT_NO_FATAL_FAILURE(FillIn(run.spec, run.params, ports, filter));
  filter.params.insert(filter.params.end(), run.numbers.begin(), run.numbers.end());
  bench_->RunChain({filter}, inputs, out);
}

std::vector<TestFilter> FilterTest::Filters(const std::vector<Link>& chain, sluice_format format) {
  std::vector<TestFilter> filters;
  for (const Link& link : chain) {
    const FilterPorts ports{{format}, WithFourcc(format.fourcc, link.width, link.height)};
    TestFilter filter;
    if (!filters.empty()) filter.sources = {FromFilter(static_cast<uint32_t>(filters.size() - 1))};
    FillIn(link.spec, link.params, ports, filter);
    filters.push_back(std::move(filter));
    format = ports.output;
  }
  return filters;
}

void FilterTest::Expect(const Check& check, const Image& source, uint32_t fourcc,
                        const std::string& content) {
  if (!Carried(fourcc)) return;
  const Picture in = ToPicture(source, WithFourcc(fourcc, source.width(), source.height()));
  const Image want = check.reference(ToImage(in));
  const Picture out(WithFourcc(fourcc, want.width(), want.height()));
  Run({check.spec, check.params, check.numbers, {&in}}, out);
  const std::string what = check.name + ", " + content + " " + FourccName(fourcc) + " " +
                           std::to_string(source.width()) + "x" + std::to_string(source.height());
  double worst = check.worst;
  if (IsYuv(fourcc)) worst += kThroughBytes + (content == "photo" ? check.own_chroma : 0);
  ExpectNear(out, want, worst, what);
}

void FilterTest::ExpectEverywhere(const Check& check) {
  Expect(check, WithAlpha(PatternImage(Pattern::kNoise, 97, 61)), SLUICE_FORMAT_AB24, "noise");
  Expect(check, PatternImage(Pattern::kZonePlate, 128, 72), SLUICE_FORMAT_XR24, "zone plate");
  Expect(check, WithAlpha(PatternImage(Pattern::kZonePlate, 75, 50)), SLUICE_FORMAT_AB4H,
         "zone plate");
  if (!check.steep)
    Expect(check, PatternImage(Pattern::kGradients, 101, 57), SLUICE_FORMAT_NV12, "gradients");
  const Image photo = Photo(256, 192);
  if (photo.width() == 0) {
    std::printf("%s is not there: apt-get install forensics-samples-files\n", kPhoto);
    return;
  }
  Expect(check, photo, SLUICE_FORMAT_AB24, "photo");
  if (!check.steep) Expect(check, photo, SLUICE_FORMAT_NV12, "photo");
}

}  // namespace sluice::vulkan::testing
