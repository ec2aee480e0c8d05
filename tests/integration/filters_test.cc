// The graphs of the GPU filters as they stand in graphs/, and beside FFmpeg's filters on the same
// pictures.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/integration/harness.h"

namespace sluice::testing {
namespace {

namespace fs = std::filesystem;

const std::string kSamples = "/usr/share/forensics-samples/original-files/";
const std::string kClip = kSamples + "movie1/VID_20191220_170832.mp4";

std::string Shell(const std::string& command) {
  std::string text;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  char buffer[4096];
  while (const size_t n = fread(buffer, 1, sizeof buffer, pipe)) text.append(buffer, n);
  EXPECT_EQ(pclose(pipe), 0) << command << "\n" << text;
  return text;
}

class FiltersTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(kClip)) GTEST_SKIP() << kClip << " is missing: run ./setup";
    dir_ = fs::path(::testing::TempDir()) /
           ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::create_directories(dir_);
  }
  std::string Path(const std::string& name) const { return (dir_ / name).string(); }

  /// Runs graphs/NAME.yaml with its results in the test's own folder, and three frames of movies.
  void RunIt(const std::string& name) {
    std::ifstream file("graphs/" + name + ".yaml");
    std::stringstream content;
    content << file.rdbuf();
    std::string text = content.str();
    for (const std::string ending : {".mp4", ".png"}) {
      const size_t at = text.find(": " + name + ending);
      if (at != std::string::npos) text.replace(at + 2, name.size() + 4, Path(name + ending));
    }
    if (const size_t at = text.find("frames: 0 "); at != std::string::npos)
      text.replace(at, 9, "frames: 3");
    ran_ = RunGraph(text);
    if (ran_.problem.find("Vulkan") != std::string::npos) GTEST_SKIP() << ran_.problem;
    ASSERT_TRUE(ran_.planned) << ran_.problem;
    ASSERT_EQ(ran_.report.result, "done") << ran_.Errors();
    for (const auto& pool : ran_.report.pools) EXPECT_EQ(pool.outstanding, 0U) << pool.name;
    result_ = Path(name + ".png");
    ASSERT_TRUE(fs::exists(result_));
  }

  void ExpectFrames(const std::string& movie, int frames) {
    EXPECT_EQ(std::stoi(Shell("ffprobe -v error -select_streams v:0 -count_frames -show_entries "
                              "stream=nb_read_frames -of csv=p=0 " +
                              Path(movie))),
              frames);
  }

  /// PSNR of the result against the first picture that `graph`, of FFmpeg's filters, makes of
  /// `inputs`, dB.
  double AgainstFfmpeg(const std::string& inputs, const std::string& graph) {
    const std::string peer = Path("ffmpeg.png");
    Shell("ffmpeg -v error -y " + inputs + " -filter_complex \"" + graph + "\" -frames:v 1 " +
          peer);
    const std::string text =
        Shell("ffmpeg -nostats -i " + result_ + " -i " + peer +
              " -lavfi \"[0]format=gbrp[a];[1]format=gbrp[b];[a][b]psnr\" -f null -");
    const size_t at = text.find("average:");
    EXPECT_NE(at, std::string::npos) << text;
    if (at == std::string::npos) return 0;
    const std::string value = text.substr(at + 8);
    const double psnr = value.starts_with("inf") ? 200 : std::strtod(value.c_str(), nullptr);
    std::printf("%s: %.1f dB against FFmpeg\n", fs::path(result_).stem().c_str(), psnr);
    return psnr;
  }

  fs::path dir_;
  std::string result_;
  Ran ran_;
};

TEST_F(FiltersTest, AClipIsShownInTheCornerOfAnother) {
  RunIt("picture-in-picture");
  if (HasFailure() || IsSkipped()) return;
  EXPECT_EQ(ran_.report.bytes_copied, 0U) << ran_.report.ToTable();
  ExpectFrames("picture-in-picture.mp4", 3);
  EXPECT_GT(AgainstFfmpeg("-i " + kClip + " -i " + kSamples + "movie2/movie-hello.mp4",
                          "[0]select=eq(n\\,2),format=gbrp[a];"
                          "[1]select=eq(n\\,2),format=gbrp,scale=560:315:flags=lanczos[b];"
                          "[a][b]overlay=1328:733:format=gbrp"),
            40);
}

TEST_F(FiltersTest, AClipIsGradedByATable) {
  RunIt("lut-grade");
  if (HasFailure() || IsSkipped()) return;
  EXPECT_EQ(ran_.report.bytes_copied, 0U) << ran_.report.ToTable();
  ExpectFrames("lut-grade.mp4", 3);
  EXPECT_GT(AgainstFfmpeg("-i " + kClip,
                          "select=eq(n\\,2),format=gbrp,"
                          "lut3d=graphs/luts/teal-orange.cube:interp=tetrahedral"),
            44);
}

TEST_F(FiltersTest, WhatAMaskLeavesOutIsBlurred) {
  RunIt("blur-background");
  if (HasFailure() || IsSkipped()) return;
  ExpectFrames("blur-background.mp4", 3);
  EXPECT_GT(AgainstFfmpeg("-i " + kClip + " -i graphs/masks/middle.png",
                          "[0]select=eq(n\\,2),"
                          "scale=960:540:flags=bicubic+accurate_rnd+full_chroma_int,"
                          "format=gbrp,split[a][b];[b]gblur=sigma=9:steps=6[c];"
                          "[1]scale=960:540:flags=bilinear,format=gbrp[m];[c][a][m]maskedmerge"),
            44);
}

TEST_F(FiltersTest, AKeyedColourShowsWhatIsBehind) {
  RunIt("chroma-key");
  if (HasFailure() || IsSkipped()) return;
  EXPECT_GT(AgainstFfmpeg("-i " + kSamples + "pic1/IMG_1054.JPG -i " + kSamples +
                              "pic2/IMG_20191224_234846.jpg",
                          "[0]scale=800:600,format=gbrp[a];"
                          "[1]scale=800:600,format=yuva444p,chromakey=0xa5430e:0.07:0.05,"
                          "format=gbrap[b];[a][b]overlay=format=gbrp"),
            20);
}

TEST_F(FiltersTest, AShaderOfTheGraphsOwnIsAFilter) {
  RunIt("user-shader");
  if (HasFailure() || IsSkipped()) return;
  EXPECT_EQ(ran_.report.bytes_copied, 0U) << ran_.report.ToTable();
  ExpectFrames("user-shader.mp4", 3);
  const std::string darker = "if(lt(mod(Y\\,4)\\,2)\\,1\\,0.5)";
  EXPECT_GT(
      AgainstFfmpeg("-i " + kClip, "select=eq(n\\,2),format=gbrp,geq=r='r(X\\,Y)*" + darker +
                                       "':g='g(X\\,Y)*" + darker + "':b='b(X\\,Y)*" + darker + "'"),
      40);
}

TEST(IslandsApartTest, OnOneDeviceKeepTheirFramesInMemoryThatItMade) {
  const Ran ran = RunGraph(R"(
sluice: 1
name: apart
nodes:
  source: { type: core.testsrc, size: 320x180, format: AB24, frames: 20 }
  warm: { type: vulkan.look, look: warm }
  sepia: { type: vulkan.look, look: sepia, island: cut }
  sum: { type: core.checksum }
edges: [ source -> warm -> sepia -> sum ]
)");
  ASSERT_TRUE(ran.planned) << ran.problem;
  EXPECT_EQ(ran.report.result, "done") << ran.Errors();
  EXPECT_EQ(ran.report.bytes_copied, 0u);
  std::string allocator;
  for (const auto& pool : ran.report.pools) {
    if (pool.name == "warm.out") allocator = pool.allocator;
  }
  EXPECT_TRUE(allocator == "warm.out" || allocator == "sepia.in") << allocator;
}

}  // namespace
}  // namespace sluice::testing
