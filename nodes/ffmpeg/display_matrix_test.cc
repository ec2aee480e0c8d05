// Clips that are to be shown turned and mirrored: what the frames say, against what the ffmpeg tool
// shows.

#include <array>

#include "nodes/ffmpeg/testing.h"

namespace sluice::ffmpeg::testing {
namespace {

/// Where a pixel (p, q) goes: (a p + c q, b p + d q), y downwards.
struct Turn {
  int a, b, c, d;
};
constexpr std::array<Turn, 4> kTurned{
    {{1, 0, 0, 1}, {0, 1, -1, 0}, {-1, 0, 0, -1}, {0, -1, 1, 0}}};  // by quarters, clockwise

/// A quarter turn, and left and right exchanged afterwards.
Turn Mirrored(Turn turn) { return {-turn.a, turn.b, -turn.c, turn.d}; }

std::array<int32_t, 9> MatrixOf(Turn turn) {
  constexpr int32_t kOne = 1 << 16;
  return {turn.a * kOne, turn.b * kOne, 0, turn.c * kOne, turn.d * kOne, 0, 0, 0, 1 << 30};
}

std::array<int32_t, 9> Written(int32_t degrees, bool mirrored) {
  std::array<int32_t, 9> matrix{};
  WriteDisplayMatrix(degrees, mirrored, matrix.data());
  return matrix;
}

TEST(DisplayMatrixTest, IsAQuarterTurnAndThenAMirror) {
  for (int quarters = 0; quarters < 4; ++quarters) {
    const Turn turn = kTurned[static_cast<size_t>(quarters)];
    const Rotation plain = ReadDisplayMatrix(MatrixOf(turn).data());
    EXPECT_EQ(plain.degrees, 90 * quarters);
    EXPECT_TRUE(plain.exact);
    EXPECT_FALSE(plain.mirrored);
    const Rotation mirrored = ReadDisplayMatrix(MatrixOf(Mirrored(turn)).data());
    EXPECT_EQ(mirrored.degrees, 90 * quarters);
    EXPECT_TRUE(mirrored.exact);
    EXPECT_TRUE(mirrored.mirrored);
    EXPECT_EQ(Written(90 * quarters, false), MatrixOf(turn));
    EXPECT_EQ(Written(90 * quarters, true), MatrixOf(Mirrored(turn)));
  }
}

TEST(DisplayMatrixTest, OddAnglesAndWhatIsNoTurnAreSaid) {
  std::array<int32_t, 9> odd{};
  av_display_rotation_set(odd.data(), -37);
  EXPECT_EQ(ReadDisplayMatrix(odd.data()).degrees, 0);
  EXPECT_FALSE(ReadDisplayMatrix(odd.data()).exact);
  av_display_matrix_flip(odd.data(), 1, 0);
  EXPECT_EQ(ReadDisplayMatrix(odd.data()).degrees, 0);
  EXPECT_FALSE(ReadDisplayMatrix(odd.data()).exact);
  EXPECT_TRUE(ReadDisplayMatrix(odd.data()).mirrored);
  for (const Turn flat : {Turn{0, 0, 0, 0}, Turn{1, 1, 1, 1}, Turn{1, 0, 1, 0}}) {
    EXPECT_EQ(ReadDisplayMatrix(MatrixOf(flat).data()).degrees, 0);
    EXPECT_FALSE(ReadDisplayMatrix(MatrixOf(flat).data()).exact);
  }
  EXPECT_TRUE(ReadDisplayMatrix(nullptr).exact);
}

/// A copy of a film of one track, with another matrix in its track's header.
std::string WithMatrix(const std::string& film, const std::string& to, Turn turn) {
  std::ifstream in(film, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const size_t header = bytes.find("tkhd");
  EXPECT_NE(header, std::string::npos);
  EXPECT_EQ(bytes[header + 4], 0) << "version";
  size_t at = header + 4 + 40;
  for (const int32_t value : MatrixOf(turn)) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes[at++] = static_cast<char>(value >> shift);
  }
  std::ofstream(to, std::ios::binary) << bytes;
  return to;
}

struct Luma {
  size_t width = 0;
  size_t height = 0;
  std::vector<uint8_t> samples;
  bool operator==(const Luma&) const = default;
};

Luma Turned(const Luma& from) {
  Luma to{from.height, from.width, std::vector<uint8_t>(from.samples.size())};
  for (size_t y = 0; y < to.height; ++y) {
    for (size_t x = 0; x < to.width; ++x) {
      to.samples[y * to.width + x] = from.samples[(from.height - 1 - x) * from.width + y];
    }
  }
  return to;
}

Luma Mirrored(Luma luma) {
  for (auto row = luma.samples.begin(); row != luma.samples.end();
       row += static_cast<ptrdiff_t>(luma.width)) {
    std::reverse(row, row + static_cast<ptrdiff_t>(luma.width));
  }
  return luma;
}

TEST(DisplayMatrixTest, TurnedAndMirroredAsTheFramesSayAClipIsAsTheToolShowsIt) {
  const std::string folder = TestFolder();
  const std::string film = Fixture(folder, "untagged.mp4");
  for (const bool mirrored : {false, true}) {
    for (const Turn turn : kTurned) {
      const std::string clip =
          WithMatrix(film, folder + "/turned.mp4", mirrored ? Mirrored(turn) : turn);
      SourceRun run(ReadPath(clip));
      Luma luma;
      run.set_sink([&](const st::HeldFrame& frame) {
        luma = {frame.Format().width, frame.Format().height, {}};
        for (uint32_t y = 0; y < luma.height; ++y) {
          luma.samples.insert(luma.samples.end(), frame.Row(0, y), frame.Row(0, y) + luma.width);
        }
      });
      ASSERT_EQ(run.PrepareAndRun(1), SLUICE_PROCESS_DONE) << run.runner().error();
      const sluice_frame_info& info = run.frames()[0].info;
      for (int i = 0; i < info.rotation_degrees; i += 90) luma = Turned(luma);
      if ((info.flags & SLUICE_FRAME_MIRRORED) != 0) luma = Mirrored(std::move(luma));
      const std::string raw = folder + "/tool.raw";
      Shell("ffmpeg -nostdin -loglevel error -y -i " + clip +
            " -frames:v 1 -pix_fmt yuv420p -f rawvideo " + raw);
      std::ifstream file(raw, std::ios::binary);
      std::vector<uint8_t> shown{std::istreambuf_iterator<char>(file), {}};
      ASSERT_EQ(shown.size(), luma.samples.size() * 3 / 2);
      shown.resize(luma.samples.size());
      EXPECT_TRUE(shown == luma.samples) << info.rotation_degrees << (mirrored ? ", mirrored" : "");
      EXPECT_TRUE(run.runner().notes().empty()) << run.runner().notes()[0];
      for (const Compressed& packet : CompressedClip(clip).frames) {
        EXPECT_EQ(packet.info.rotation_degrees, info.rotation_degrees);
        EXPECT_EQ(packet.info.flags & SLUICE_FRAME_MIRRORED, info.flags & SLUICE_FRAME_MIRRORED);
      }
    }
  }
}

}  // namespace
}  // namespace sluice::ffmpeg::testing
