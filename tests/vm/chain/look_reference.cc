// Holds frames that a GPU has filtered against the look in double precision, and prepares software Vulkan for them.
//
//   look_reference compare WIDTH HEIGHT LOOK IN OUT     files of XR24 frames; fails where they differ by more than 2
//   look_reference warm WIDTH HEIGHT LOOK [to-yuv]      runs the look once on XR24, and a conversion to YU12

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "nodes/vulkan/looks.h"
#include "nodes/vulkan/reference.h"
#include "nodes/vulkan/testing.h"

namespace sluice::vulkan::testing {
namespace {

// What the look's own tests allow, for a look that sees one pixel at a time.
constexpr int kTolerance = 2;

sluice_format Rgb(uint32_t fourcc, uint32_t width, uint32_t height) {
  return MakeFormat(fourcc, width, height, SLUICE_MATRIX_RGB, SLUICE_RANGE_FULL);
}

bool Read(std::ifstream& file, Picture& picture) {
  std::vector<char> row(size_t{picture.width()} * 4);
  for (uint32_t y = 0; y < picture.height(); ++y) {
    if (!file.read(row.data(), static_cast<std::streamsize>(row.size()))) return false;
    std::memcpy(picture.plane(0) + y * picture.stride(0), row.data(), row.size());
  }
  return true;
}

int CompareFiles(const std::string& look, uint32_t width, uint32_t height, const char* in,
                 const char* out) {
  std::ifstream sent(in, std::ios::binary), shown(out, std::ios::binary);
  Picture source(Rgb(SLUICE_FORMAT_XR24, width, height)), got(source.format()),
      want(source.format());
  int frames = 0;
  double worst = 0;
  for (; Read(sent, source) && Read(shown, got); ++frames) {
    Reference(source, want, look, {{"amount", 1}, {"contrast", 1.25}});
    for (const Difference& difference : Compare(got, want)) {
      worst = std::max(worst, difference.worst);
    }
  }
  std::printf("%d pictures against the reference of %s: worst difference %g of 255\n", frames,
              look.c_str(), worst);
  return frames > 0 && worst <= kTolerance ? 0 : 1;
}

int Warm(uint32_t width, uint32_t height, const std::string& name, bool to_yuv) {
  std::string why;
  const auto bench = Bench::Create(&why);
  const auto look = FindLook(name);
  if (bench == nullptr || !look.has_value()) {
    std::printf("no look %s: %s\n", name.c_str(), why.c_str());
    return 1;
  }
  Picture source(Rgb(SLUICE_FORMAT_XR24, width, height));
  Fill(source, Pattern::kBars);
  const Picture result(source.format());
  bench->Run(source, result, (*look)->id, LookParams(**look, {0, 0, nullptr}).value());
  if (to_yuv) {
    const Picture converted(MakeFormat(SLUICE_FORMAT_YU12, width, height));
    bench->Run(source, converted, 0, Params{});
  }
  return ::testing::Test::HasFailure() ? 1 : 0;
}

int Main(int argc, char** argv) {
  if (argc < 5) return 2;
  const std::string command = argv[1], look = argv[4];
  const auto width = static_cast<uint32_t>(std::atoi(argv[2]));
  const auto height = static_cast<uint32_t>(std::atoi(argv[3]));
  if (command == "warm") return Warm(width, height, look, argc > 5);
  return argc == 7 ? CompareFiles(look, width, height, argv[5], argv[6]) : 2;
}

}  // namespace
}  // namespace sluice::vulkan::testing

int main(int argc, char** argv) { return sluice::vulkan::testing::Main(argc, argv); }
