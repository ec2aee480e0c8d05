// Pictures of ten bits through every node, bit for bit against what the ffmpeg tool makes of the
// same clips.

#include <cstring>

#include "nodes/ffmpeg/encoder.h"
#include "nodes/ffmpeg/testing.h"

namespace sluice::ffmpeg::testing {
namespace {

/// swscale as the nodes use it, for `ffmpeg -vf scale=...`, with chroma on the left in the result.
/// Where it lies in the clip is added: an axis that is not subsampled has no position.
const std::string kScaling =
    "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact:out_h_chr_pos=0:"
    "out_v_chr_pos=128";

/// Frames as they come out of ffmpeg.read.
struct Clip {
  sluice_format format{};
  std::vector<Seen> seen;
  std::vector<std::vector<uint8_t>> pixels;
  std::vector<st::RecordedCopy> copies;

  explicit Clip(const std::string& path) {
    SourceRun run(ReadPath(path));
    run.set_sink([this](const st::HeldFrame& frame) {
      format = frame.Format();
      pixels.push_back(PixelsIn(frame));
    });
    EXPECT_EQ(run.PrepareAndRun(), SLUICE_PROCESS_END) << run.runner().error();
    seen = run.frames();
    copies = run.runner().copies();
  }
};

/// All frames that the ffmpeg tool makes with these arguments, as P010.
std::vector<uint8_t> ToolsP010(const std::string& folder, const std::string& arguments) {
  const std::string raw = folder + "/tool.raw";
  Shell("ffmpeg -nostdin -loglevel error -y " + arguments +
        " -vsync passthrough -pix_fmt p010le -f rawvideo " + raw);
  std::ifstream file(raw, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<uint8_t> Joined(const std::vector<std::vector<uint8_t>>& frames) {
  std::vector<uint8_t> bytes;
  for (const auto& frame : frames) bytes.insert(bytes.end(), frame.begin(), frame.end());
  return bytes;
}

/// Where the first difference is; empty: none.
std::string Difference(const std::vector<uint8_t>& got, const std::vector<uint8_t>& want) {
  if (got.size() != want.size()) {
    return sdk::Format("%zu bytes, and not %zu", got.size(), want.size());
  }
  const auto at = std::mismatch(got.begin(), got.end(), want.begin());
  if (at.first == got.end()) return {};
  return sdk::Format("byte %td is %d, and not %d", at.first - got.begin(), *at.first, *at.second);
}

uint16_t Sample(const std::vector<uint8_t>& bytes, size_t index) {
  uint16_t word = 0;
  std::memcpy(&word, bytes.data() + 2 * index, sizeof word);
  return word;
}

/// Ten bits high in the word, and more of them than eight.
void ExpectTenBits(const std::vector<uint8_t>& bytes) {
  size_t finer = 0;
  for (size_t i = 0; i < bytes.size() / 2; ++i) {
    const uint16_t word = Sample(bytes, i);
    ASSERT_EQ(word & 0x3F, 0) << i;
    if ((word & 0xC0) != 0) ++finer;
  }
  EXPECT_GT(finer, bytes.size() / 20) << "hardly a sample needs ten bits";
}

TEST(DeepReadTest, TenBitsAreThoseOfTheFfmpegToolFromEveryDecoder) {
  const std::string folder = TestFolder();
  for (const char* file :
       {"deep_pq.mp4", "deep_hlg.webm", "deep_av1.mkv", "deep_odd.mkv", "ten_bit.mp4"}) {
    const std::string path = Fixture(folder, file);
    const Clip clip(path);
    EXPECT_EQ(clip.format.fourcc, SLUICE_FORMAT_P010) << file;
    const std::vector<uint8_t> bytes = Joined(clip.pixels);
    EXPECT_EQ(Difference(bytes, ToolsP010(folder, "-i " + path)), "") << file;
    if (std::string(file).starts_with("deep")) ExpectTenBits(bytes);
    ASSERT_EQ(clip.copies.size(), clip.pixels.size()) << file;
    EXPECT_EQ(clip.copies[0].reason, "conversion from yuv420p10le to P010") << file;
    EXPECT_EQ(clip.copies[0].bytes, clip.pixels[0].size()) << file;
  }
}

TEST(DeepReadTest, DeepPicturesWithMoreChromaKeepTheirDepth) {
  const std::string folder = TestFolder();
  const std::string path = Fixture(folder, "deep_prores.mov");
  const Clip clip(path);
  EXPECT_EQ(clip.format.fourcc, SLUICE_FORMAT_P010);
  EXPECT_EQ(clip.copies.at(0).reason, "conversion from yuv422p10le to P010");
  const std::vector<uint8_t> bytes = Joined(clip.pixels);
  ExpectTenBits(bytes);
  EXPECT_EQ(Difference(bytes, ToolsP010(folder, "-i " + path + " -vf scale=" + kScaling +
                                                    ":in_h_chr_pos=0")),
            "");
}

TEST(DeepReadTest, ChromaOf444IsHalvedToTheLeft) {
  EXPECT_EQ(NearestFourcc(AV_PIX_FMT_YUV444P10LE), SLUICE_FORMAT_P010);
  EXPECT_EQ(NearestFourcc(AV_PIX_FMT_YUV420P12LE), SLUICE_FORMAT_P010);
  // Neither grey nor RGB gets a matrix that it did not have.
  EXPECT_EQ(NearestFourcc(AV_PIX_FMT_GRAY10LE), SLUICE_FORMAT_R8);
  EXPECT_EQ(NearestFourcc(AV_PIX_FMT_GBRP10LE), SLUICE_FORMAT_XB24);
  const std::string folder = TestFolder();
  const std::string path = folder + "/444.mkv";
  Shell("ffmpeg -nostdin -loglevel error -i " + Fixture(folder, "deep_odd.mkv") +
        " -frames:v 2 -vsync passthrough -pix_fmt yuv444p10le -c:v ffv1 " + path);
  const Clip clip(path);
  EXPECT_EQ(clip.format.fourcc, SLUICE_FORMAT_P010);
  EXPECT_EQ(clip.format.color.siting, SLUICE_SITING_LEFT);
  EXPECT_NE(clip.format.color.matrix, SLUICE_MATRIX_RGB);
  EXPECT_EQ(
      Difference(Joined(clip.pixels), ToolsP010(folder, "-i " + path + " -vf scale=" + kScaling)),
      "");
}

TEST(DeepReadTest, EightBitsAreOfferedBehindTen) {
  SourceRun run(ReadPath(Fixture(TestFolder(), "deep_pq.mp4")));
  ASSERT_GE(run.Prepare(), 0) << run.runner().error();
  const auto& offers = run.runner().offers();
  ASSERT_EQ(offers.size(), 2u);
  EXPECT_EQ(offers[0].fourccs.at(0), SLUICE_FORMAT_P010);
  EXPECT_EQ(offers[1].fourccs.at(0), SLUICE_FORMAT_YU12);
  EXPECT_EQ(offers[1].copies, "conversion from yuv420p10le to YU12");
  EXPECT_EQ(offers[1].offer.color.transfer, SLUICE_TRANSFER_PQ);
}

TEST(DeepReadTest, ColourOfHdrPassesThrough) {
  const std::string folder = TestFolder();
  for (const auto& [file, transfer] : {std::pair("deep_pq.mp4", SLUICE_TRANSFER_PQ),
                                       std::pair("deep_hlg.webm", SLUICE_TRANSFER_HLG)}) {
    SourceRun run(ReadPath(Fixture(folder, file)));
    ASSERT_GE(run.Prepare(), 0) << run.runner().error();
    const sluice_color& color = run.offer().color;
    EXPECT_EQ(color.primaries, SLUICE_PRIMARIES_BT2020) << file;
    EXPECT_EQ(color.transfer, transfer) << file;
    EXPECT_EQ(color.matrix, SLUICE_MATRIX_BT2020) << file;
    EXPECT_EQ(color.range, SLUICE_RANGE_LIMITED) << file;
    EXPECT_EQ(run.offer().color_assumed & ~SLUICE_COLOR_FIELD_SITING, 0u) << file;
  }
}

TEST(DeepDecodeTest, PacketsBecomeTheSamePicturesInANewEpoch) {
  const std::string path = Fixture(TestFolder(), "deep_pq.mp4");
  const Clip read(path);
  DecodeRun decoded;
  ASSERT_EQ(decoded.Run(CompressedClip(path)), SLUICE_PROCESS_END) << decoded.runner().error();
  EXPECT_EQ(decoded.fourccs(), (std::vector<uint32_t>{SLUICE_FORMAT_YU12, SLUICE_FORMAT_P010}));
  ASSERT_EQ(decoded.frames().size(), read.seen.size());
  for (size_t i = 0; i < read.seen.size(); ++i) {
    EXPECT_EQ(decoded.frames()[i].checksum, read.seen[i].checksum) << i;
  }
  EXPECT_EQ(decoded.runner().copies().at(0).reason, "conversion from yuv420p10le to P010");
}

/// Writes all frames; what the node copied.
std::vector<st::RecordedCopy> Write(const Clip& clip, st::Parameters params) {
  SinkRun sink(std::move(params));
  EXPECT_EQ(sink.Prepare(clip.format), SLUICE_OK) << sink.runner().error();
  for (size_t i = 0; i < clip.seen.size(); ++i) {
    EXPECT_EQ(sink.Push(clip.seen[i], clip.pixels[i]), SLUICE_PROCESS_DONE)
        << sink.runner().error();
  }
  EXPECT_EQ(sink.runner().Drain(), SLUICE_PROCESS_END) << sink.runner().error();
  sink.runner().Stop();
  EXPECT_EQ(sink.runner().Leaked(), 0u);
  EXPECT_TRUE(sink.runner().violations().empty());
  return sink.runner().copies();
}

TEST(DeepWriteTest, LosslessEncodersKeepEveryBitTheColourAndTheTimes) {
  const std::string folder = TestFolder();
  const struct {
    const char* clip;
    const char* out;
    const char* codec;
    const char* options;
  } cases[] = {
      {"deep_pq.mp4", "/x265.mp4", "libx265", R"({"x265-params": "lossless=1:log-level=none"})"},
      {"deep_pq.mp4", "/x264.mp4", "libx264", R"({"qp": 0})"},
      {"deep_hlg.webm", "/vp9.webm", "libvpx-vp9", R"({"lossless": 1, "cpu-used": 8})"},
      {"deep_odd.mkv", "/ffv1.mkv", "ffv1", "{}"},
      // An encoder that takes anything, in a container that has no name for P010.
      {"deep_odd.mkv", "/raw.nut", "rawvideo", "{}"},
  };
  for (const auto& test : cases) {
    const Clip clip(Fixture(folder, test.clip));
    const std::string out = folder + test.out;
    const auto copies =
        Write(clip, ReadPath(out).String("codec", test.codec).Map("options", test.options));
    ASSERT_EQ(copies.size(), clip.pixels.size()) << out;
    EXPECT_EQ(copies[0].port, "in");
    EXPECT_EQ(copies[0].bytes, clip.pixels[0].size());
    EXPECT_EQ(copies[0].reason, "P010 is repacked to yuv420p10le for the encoder");
    const Clip again(out);
    EXPECT_EQ(Difference(Joined(again.pixels), Joined(clip.pixels)), "") << out;
    if (std::string(test.codec) != "rawvideo") {  // raw pictures have no tags
      EXPECT_TRUE(SameColor(again.format.color, clip.format.color)) << out;
    }
    EXPECT_EQ(Shell("ffprobe -v error -show_entries stream=pix_fmt -of csv=p=0 " + out),
              "yuv420p10le\n");
  }
}

TEST(DeepWriteTest, TheCopyStandsInTheOfferBehindEightBits) {
  const auto index_of = [](const std::string& name, uint32_t fourcc, std::string* copies) {
    SinkRun sink(ReadPath(TestFolder() + name));
    EXPECT_EQ(sink.runner().Probe(), SLUICE_OK) << sink.runner().error();
    const auto& offers = sink.runner().offers();
    for (size_t i = 0; i < offers.size(); ++i) {
      if (offers[i].fourccs.at(0) != fourcc) continue;
      *copies = offers[i].copies;
      EXPECT_EQ(offers[i].offer.height_step, name == "/out.mp4" ? 2u : 1u);
      return static_cast<int>(i);
    }
    return -1;
  };
  std::string copies;
  const int eight_bits = index_of("/out.mp4", SLUICE_FORMAT_YU12, &copies);
  EXPECT_EQ(copies, "");
  EXPECT_GT(index_of("/out.mp4", SLUICE_FORMAT_P010, &copies), eight_bits);
  EXPECT_EQ(copies, "P010 is repacked to yuv420p10le for the encoder");
  // Their containers or codecs have eight bits.
  for (const char* name : {"/out.png", "/out.jpg", "/out.y4m"}) {
    EXPECT_EQ(index_of(name, SLUICE_FORMAT_P010, &copies), -1) << name;
  }
}

TEST(DeepWriteTest, OffersThePixelsThatAreAskedForAlone) {
  SinkRun eight(ReadPath(TestFolder() + "/out.mp4").Enum("pixels", "NV12"));
  ASSERT_EQ(eight.runner().Probe(), SLUICE_OK) << eight.runner().error();
  ASSERT_EQ(eight.runner().offers().size(), 1u);
  EXPECT_EQ(eight.runner().offers()[0].fourccs.at(0), SLUICE_FORMAT_NV12);
  SinkRun none(ReadPath(TestFolder() + "/out.png").Enum("pixels", "P010"));
  EXPECT_EQ(none.runner().Probe(), SLUICE_E_UNSUPPORTED);
  EXPECT_NE(none.runner().error().find("the encoder png does not take P010, but AB24"),
            std::string::npos)
      << none.runner().error();
}

/// One frame of `pixels` through ffmpeg.convert.
std::vector<uint8_t> Converted(const std::vector<uint8_t>& pixels, uint32_t from, uint32_t to) {
  st::NodeRunner runner(sluice_plugin, "ffmpeg.convert");
  st::PortSpec port;
  port.format = st::MakeFormat(from, 65, 33);
  port.format.color.matrix = SLUICE_MATRIX_BT2020;
  port.format.color.range = SLUICE_RANGE_LIMITED;
  runner.Input("in", port);
  port.format.fourcc = to;
  runner.Output("out", port);
  EXPECT_EQ(runner.Configure(), SLUICE_OK) << runner.error();
  EXPECT_EQ(runner.Start(), SLUICE_OK);
  st::HeldFrame frame = runner.NewFrame();
  const uint8_t* next = pixels.data();
  SinkRun::ForEachRow(frame, [&](uint8_t* row, uint64_t bytes) {
    std::copy_n(next, bytes, row);
    next += bytes;
  });
  EXPECT_EQ(runner.Push(std::move(frame)), SLUICE_PROCESS_DONE) << runner.error();
  return PixelsIn(runner.Take());
}

TEST(DeepConvertTest, EightBitsBecomeTenAndComeBackAsTheyWere) {
  std::vector<uint8_t> pixels;
  for (uint64_t i = 0; i < VisibleBytes(SLUICE_FORMAT_NV12, 65, 33); ++i) {
    pixels.push_back(static_cast<uint8_t>(16 + 37 * i % 220));
  }
  const std::vector<uint8_t> deep = Converted(pixels, SLUICE_FORMAT_NV12, SLUICE_FORMAT_P010);
  ASSERT_EQ(deep.size(), 2 * pixels.size());
  for (size_t i = 0; i < pixels.size(); ++i) ASSERT_EQ(Sample(deep, i), pixels[i] << 8) << i;
  EXPECT_EQ(Converted(deep, SLUICE_FORMAT_P010, SLUICE_FORMAT_NV12), pixels);
}

TEST(DeepScaleTest, ScalesAsTheFfmpegToolDoes) {
  const std::string folder = TestFolder();
  const std::string path = Fixture(folder, "deep_pq.mp4");
  const Clip clip(path);
  st::NodeRunner runner(sluice_plugin, "ffmpeg.scale");
  st::PortSpec port;
  port.format = clip.format;
  runner.Input("in", port);
  port.format.width = 214;
  port.format.height = 121;
  runner.Output("out", port);
  ASSERT_EQ(runner.Configure(), SLUICE_OK) << runner.error();
  ASSERT_EQ(runner.Start(), SLUICE_OK);
  std::vector<uint8_t> scaled;
  for (const std::vector<uint8_t>& pixels : clip.pixels) {
    st::HeldFrame frame = runner.NewFrame();
    const uint8_t* from = pixels.data();
    SinkRun::ForEachRow(frame, [&](uint8_t* row, uint64_t bytes) {
      std::copy_n(from, bytes, row);
      from += bytes;
    });
    ASSERT_EQ(runner.Push(std::move(frame)), SLUICE_PROCESS_DONE) << runner.error();
    const std::vector<uint8_t> out = PixelsIn(runner.Take());
    scaled.insert(scaled.end(), out.begin(), out.end());
  }
  ExpectTenBits(scaled);
  // The tool scales from yuv420p10le, which has the same samples.
  EXPECT_EQ(Difference(scaled, ToolsP010(folder, "-i " + path + " -vf scale=214:121:" + kScaling +
                                                     ":in_h_chr_pos=0:in_v_chr_pos=128")),
            "");
}

}  // namespace
}  // namespace sluice::ffmpeg::testing
