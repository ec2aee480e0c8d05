// Clips as phones, cameras and recorders make them, through whole graphs: what arrives in
// core.checksum and in the file that ffmpeg.write makes.

#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/harness.h"
#include "tests/integration/media_fixture.h"

namespace sluice::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class MediaGraphTest : public MediaTest {
 protected:
  /// clip -> sum and clip -> out, with more parameters of the clip and of the output.
  Ran Transcode(const std::string& clip, const std::string& out, const std::string& read = "",
                const std::string& write = ", preset: ultrafast") {
    return RunGraph("sluice: 1\nname: media\nnodes:\n  clip: { type: ffmpeg.read, path: " + clip +
                    read + " }\n  sum: { type: core.checksum, path: " + Path("sums.txt") +
                    " }\n  out: { type: ffmpeg.write, path: " + Path(out) + write +
                    " }\nedges: [ clip -> sum, clip -> out ]\n");
  }

  /// Column `index` of the checksums: sequence, pts_ns, CRC-32.
  std::vector<std::string> Column(int index) const {
    std::vector<std::string> cells;
    std::istringstream lines(Read("sums.txt"));
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string cell;
      for (int i = 0; i <= index; ++i) words >> cell;
      cells.push_back(cell);
    }
    return cells;
  }
};

void ExpectDone(const Ran& ran) {
  ASSERT_TRUE(ran.planned) << ran.problem;
  EXPECT_EQ(ran.report.result, "done") << ran.Errors();
  for (const auto& pool : ran.report.pools) EXPECT_EQ(pool.outstanding, 0u) << pool.name;
  for (const auto& edge : ran.report.edges) EXPECT_THAT(edge.drops, IsEmpty()) << edge.name;
}

TEST_F(MediaGraphTest, ADisplayMatrixOf90DegreesIsKeptInTheFile) {
  const std::string clip = Fixture("rotated.mp4");
  ExpectDone(Transcode(clip, "out.mp4"));
  const std::string rotation = Shell(
      "ffprobe -v error -select_streams v:0 -show_entries stream_side_data=rotation -of "
      "default=nw=1:nk=1 " +
      Path("out.mp4"));
  EXPECT_EQ(rotation, Shell("ffprobe -v error -select_streams v:0 -show_entries "
                            "stream_side_data=rotation -of default=nw=1:nk=1 " +
                            clip));
  EXPECT_THAT(rotation, HasSubstr("90"));
  EXPECT_EQ(StreamEntry(Path("out.mp4"), "width"), "128") << "turned by the player, not by us";
}

TEST_F(MediaGraphTest, AKeyedMovieHasThePrimariesAndTheTransferOfItsClip) {
  const std::string clip = Path("wide.mp4"), film = Path("keyed.mp4");
  Shell(
      "ffmpeg -v error -y -f lavfi -i testsrc2=size=64x48:rate=10:duration=0.3 -c:v libx264 "
      "-pix_fmt "
      "yuv420p -color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc " +
      clip);
  const Ran ran =
      RunGraph("sluice: 1\nname: keyed\nnodes:\n  clip: { type: ffmpeg.read, path: " + clip +
               " }\n  key: { type: vulkan.chroma-key }\n"
               "  film: { type: ffmpeg.write, path: " +
               film + " }\nedges: [ clip -> key -> film ]\n");
  if (ran.problem.find("Vulkan") != std::string::npos) GTEST_SKIP() << ran.problem;
  ExpectDone(ran);
  for (const char* entry : {"color_primaries", "color_transfer", "color_space"}) {
    EXPECT_EQ(StreamEntry(film, entry), StreamEntry(clip, entry)) << entry;
    EXPECT_NE(StreamEntry(film, entry), "unknown") << entry;
  }
}

TEST_F(MediaGraphTest, AMirroredClipIsShownAsMeantWhateverOfItsTurnTheGpuDoes) {
  const std::string clip = Fixture("mirrored.mp4");
  for (const std::string turn :
       {"angle: auto, size: 96x128", "angle: 0", "angle: 90", "angle: 180", "angle: 270"}) {
    const Ran ran =
        RunGraph("sluice: 1\nname: mirrored\nnodes:\n  clip: { type: ffmpeg.read, path: " + clip +
                 " }\n  turn: { type: vulkan.rotate, " + turn +
                 " }\n  out: { type: ffmpeg.write, options: { crf: 4 }, path: " + Path("out.mp4") +
                 " }\nedges: [ clip -> turn -> out ]\n");
    if (ran.problem.find("Vulkan") != std::string::npos) GTEST_SKIP() << ran.problem;
    ExpectDone(ran);
    // The tool turns and mirrors as the files say. Chroma lies elsewhere in a turned picture.
    const std::string text = Shell("ffmpeg -nostdin -nostats -i " + clip + " -i " +
                                   Path("out.mp4") + " -lavfi psnr -f null - 2>&1");
    const size_t at = text.find("PSNR y:");
    ASSERT_NE(at, std::string::npos) << text;
    const std::string psnr = text.substr(at + 7, text.find(' ', at + 7) - at - 7);
    EXPECT_GT(psnr == "inf" ? 200 : std::stod(psnr), 36) << turn;
    Shell("rm " + Path("out.mp4"));
  }
}

TEST_F(MediaGraphTest, ReorderedFramesComeInTheirOrderAndEveryTimeIsEqualAsARational) {
  const std::string clip = Fixture("bframes.mp4");
  const Ran ran = Transcode(clip, "out.mp4");
  ExpectDone(ran);
  EXPECT_EQ(ran.report.bytes_copied, 0u) << ran.report.ToTable();
  EXPECT_THAT(FrameTimes(clip), SizeIs(40));
  EXPECT_EQ(FrameTimes(Path("out.mp4")), FrameTimes(clip));
  EXPECT_EQ(Lines("sums.txt"), 40u);
}

TEST_F(MediaGraphTest, FullRangeStaysFullRange) {
  const Ran ran = Transcode(Fixture("full_range.mp4"), "out.mp4");
  ExpectDone(ran);
  EXPECT_THAT(ran.plan_table, HasSubstr(" full "));
  EXPECT_EQ(StreamEntry(Path("out.mp4"), "color_range"), "pc");
  EXPECT_EQ(ran.report.bytes_copied, 0u) << ran.report.ToTable();
}

TEST_F(MediaGraphTest, UntaggedColourIsSaidToBeAssumedInThePlanAndTaggedColourIsNot) {
  const Ran untagged = RunGraph(
      "sluice: 1\nname: untagged\nnodes:\n  clip: { type: ffmpeg.read, path: " +
      Fixture("untagged.mp4") + " }\n  end: { type: core.checksum }\nedges: [ clip -> end ]\n");
  ExpectDone(untagged);
  EXPECT_THAT(untagged.plan_table, HasSubstr("clip.out: colour assumed: "));
  EXPECT_THAT(untagged.plan_table, HasSubstr("matrix bt601"));
  const Ran tagged = RunGraph(
      "sluice: 1\nname: tagged\nnodes:\n  clip: { type: ffmpeg.read, path: " +
      Fixture("plain.mp4") + " }\n  end: { type: core.checksum }\nedges: [ clip -> end ]\n");
  ExpectDone(tagged);
  EXPECT_THAT(tagged.plan_table, Not(HasSubstr("assumed")));
}

TEST_F(MediaGraphTest, TenBitsAreAPlannedCopyOfWhichEveryByteIsCounted) {
  const Ran ran = Transcode(Fixture("ten_bit.mp4"), "out.mp4");
  ExpectDone(ran);
  EXPECT_THAT(ran.plan_table, HasSubstr("conversion from yuv420p10le to P010"));
  EXPECT_THAT(ran.plan_table, HasSubstr("P010 is repacked to yuv420p10le for the encoder"));
  ASSERT_THAT(ran.report.copies, SizeIs(2));
  EXPECT_EQ(ran.report.copies[0].place, "clip.out");
  EXPECT_EQ(ran.report.copies[1].place, "out.in");
  for (const auto& copy : ran.report.copies) EXPECT_EQ(copy.frames, 10u) << copy.reason;
  EXPECT_EQ(ran.report.bytes_copied, 2u * 10 * 320 * 240 * 3);
  EXPECT_EQ(StreamEntry(Path("out.mp4"), "pix_fmt"), "yuv420p10le");
}

TEST_F(MediaGraphTest, TenBitsBecomeEightWhereTheGraphSaysSo) {
  const Ran ran =
      Transcode(Fixture("ten_bit.mp4"), "out.mp4", "", ", preset: ultrafast, pixels: YU12");
  ExpectDone(ran);
  EXPECT_EQ(StreamEntry(Path("out.mp4"), "pix_fmt"), "yuv420p");
  // Once, and not to P010 first.
  ASSERT_THAT(ran.report.copies, SizeIs(1)) << ran.report.ToTable();
  EXPECT_THAT(ran.report.copies[0].reason, HasSubstr("conversion from yuv420p10le to YU12"));
  Shell("rm " + Path("sums.txt"));
  ExpectDone(
      Transcode(Fixture("deep_hlg.webm"), "hlg.mp4", "", ", preset: ultrafast, pixels: YU12"));
  EXPECT_EQ(StreamEntry(Path("hlg.mp4"), "pix_fmt"), "yuv420p");
  EXPECT_EQ(StreamEntry(Path("hlg.mp4"), "color_transfer"), "arib-std-b67");
  EXPECT_EQ(StreamEntry(Path("hlg.mp4"), "color_space"), "bt2020nc");
}

TEST_F(MediaGraphTest, HdrGoesThroughTheGpuAndIntoAFileWithItsColour) {
  const std::string clip = Fixture("deep_pq.mp4");
  const Ran ran =
      RunGraph("sluice: 1\nname: hdr\nnodes:\n  clip: { type: ffmpeg.read, path: " + clip +
               " }\n  look: { type: vulkan.look, look: mono }\n" +
               "  out: { type: ffmpeg.write, codec: ffv1, path: " + Path("out.mkv") +
               " }\nedges: [ clip -> look -> out ]\n");
  if (ran.problem.find("Vulkan") != std::string::npos) GTEST_SKIP() << ran.problem;
  ExpectDone(ran);
  EXPECT_EQ(StreamEntry(Path("out.mkv"), "pix_fmt"), "yuv420p10le");
  EXPECT_EQ(StreamEntry(Path("out.mkv"), "color_transfer"), "smpte2084");
  EXPECT_EQ(StreamEntry(Path("out.mkv"), "color_primaries"), "bt2020");
  EXPECT_EQ(StreamEntry(Path("out.mkv"), "color_space"), "bt2020nc");
  EXPECT_EQ(StreamEntry(Path("out.mkv"), "color_range"), "tv");
  EXPECT_THAT(FrameTimes(Path("out.mkv")), SizeIs(6));
  EXPECT_THAT(ran.plan_table, HasSubstr("P010"));
}

TEST_F(MediaGraphTest, AnOddSizeIsWrittenByACodecThatHasIt) {
  const std::string clip = Fixture("odd.mkv");
  const Ran ran = Transcode(clip, "out.mkv", "", ", codec: ffv1");
  ExpectDone(ran);
  EXPECT_EQ(ran.report.bytes_copied, 0u) << ran.report.ToTable();
  EXPECT_EQ(StreamEntry(Path("out.mkv"), "width"), "641");
  EXPECT_EQ(StreamEntry(Path("out.mkv"), "height"), "359");
  EXPECT_EQ(FrameTimes(Path("out.mkv")), FrameTimes(clip));
  // Lossless: what is read again has the same pixels, the last column and row with them.
  const std::vector<std::string> sums = Column(2);
  Shell("rm " + Path("sums.txt"));
  ExpectDone(Transcode(Path("out.mkv"), "again.mkv", "", ", codec: ffv1"));
  EXPECT_EQ(Column(2), sums);
}

TEST_F(MediaGraphTest, AnOddSizeForX264IsRefusedWithBothSizesAndNothingIsWritten) {
  const Ran ran = Transcode(Fixture("odd.mkv"), "out.mp4");
  EXPECT_FALSE(ran.planned);
  EXPECT_THAT(ran.problem, HasSubstr("641 x 359"));
  EXPECT_THAT(ran.problem, HasSubstr("clip.out -> out.in"));
  EXPECT_THAT(Outputs(), IsEmpty());
}

TEST_F(MediaGraphTest, AStartThatIsNotZeroIsKept) {
  const std::string clip = Fixture("offset.ts");
  const Ran ran = Transcode(clip, "out.mp4");
  ExpectDone(ran);
  ASSERT_THAT(FrameTimes(clip), SizeIs(10));
  EXPECT_NE(FrameTimes(clip)[0], "0/1");
  EXPECT_EQ(FrameTimes(Path("out.mp4")), FrameTimes(clip));
}

TEST_F(MediaGraphTest, AVariableRateKeepsEveryInterval) {
  const std::string clip = Fixture("vfr.mp4");
  const Ran ran = Transcode(clip, "out.mp4");
  ExpectDone(ran);
  ASSERT_THAT(FrameTimes(clip), SizeIs(6));
  EXPECT_EQ(FrameTimes(Path("out.mp4")), FrameTimes(clip));
}

TEST_F(MediaGraphTest, StartLeavesOutWhatIsBeforeItAndLoopsRepeatThePixelsWithTimesThatGoOn) {
  const Ran ran = Transcode(Fixture("plain.mp4"), "out.mp4", ", start: 800ms, loop: 2");
  ExpectDone(ran);
  const std::vector<std::string> sums = Column(2);
  ASSERT_THAT(sums, SizeIs(15));
  for (size_t i = 5; i < sums.size(); ++i) EXPECT_EQ(sums[i], sums[i - 5]) << i;
  std::vector<std::string> expected;
  for (int i = 0; i < 15; ++i) expected.push_back(std::to_string(800'000'000 + i * 40'000'000));
  EXPECT_EQ(Column(1), expected);
  EXPECT_THAT(FrameTimes(Path("out.mp4")), SizeIs(15));
}

TEST_F(MediaGraphTest, FramesEndsTheClipEarly) {
  ExpectDone(Transcode(Fixture("plain.mp4"), "out.mp4", ", frames: 7"));
  EXPECT_EQ(Lines("sums.txt"), 7u);
  EXPECT_THAT(FrameTimes(Path("out.mp4")), SizeIs(7));
}

TEST_F(MediaGraphTest, SoundIsSaidNotToBeCarried) {
  const Ran ran = Transcode(Fixture("plain.mp4"), "out.mp4");
  ExpectDone(ran);
  EXPECT_THAT(ran.report.ToTable(), HasSubstr("audio"));
}

TEST_F(MediaGraphTest, AClipThatChangesItsSizeMakesASecondEpochAndLosesNoFrame) {
  const std::string clip = Fixture("size_change.ts");
  const Ran ran =
      RunGraph("sluice: 1\nname: resize\nnodes:\n  clip: { type: ffmpeg.read, path: " + clip +
               " }\n  sum: { type: core.checksum, path: " + Path("sums.txt") +
               " }\nedges: [ clip -> sum ]\n");
  ExpectDone(ran);
  EXPECT_EQ(ran.report.epochs, 2u);
  EXPECT_EQ(ran.node("sum").frames_in, 16u);
  EXPECT_EQ(Lines("sums.txt"), 16u);
  std::vector<std::string> sequence;
  for (int i = 0; i < 16; ++i) sequence.push_back(std::to_string(i));
  EXPECT_EQ(Column(0), sequence) << "in order, none twice";
}

TEST_F(MediaGraphTest, AClipThatChangesItsSizeFailsAsAFilmWithAWayOutAndLeavesNoFile) {
  const Ran ran = Transcode(Fixture("size_change.ts"), "out.mp4");
  EXPECT_EQ(ran.report.result, "failed");
  EXPECT_THAT(ran.Errors(), HasSubstr("from 320x240 YU12 to 192x144 YU12"));
  EXPECT_THAT(ran.Errors(), HasSubstr("ffmpeg.scale"));
  EXPECT_THAT(Outputs(), IsEmpty());
  for (const auto& pool : ran.report.pools) EXPECT_EQ(pool.outstanding, 0u) << pool.name;
}

TEST_F(MediaGraphTest, AClipThatChangesItsSizeBecomesOneWholeFilmThroughAScaler) {
  const std::string clip = Fixture("size_change.ts");
  const Ran ran =
      RunGraph("sluice: 1\nname: scaled\nnodes:\n  clip: { type: ffmpeg.read, path: " + clip +
               " }\n  scale: { type: ffmpeg.scale, size: 160x120 }\n"
               "  out: { type: ffmpeg.write, preset: ultrafast, path: " +
               Path("out.mp4") + " }\nedges: [ clip -> scale -> out ]\n");
  ExpectDone(ran);
  EXPECT_EQ(ran.report.epochs, 2u);
  EXPECT_THAT(FrameTimes(clip), SizeIs(16));
  EXPECT_EQ(FrameTimes(Path("out.mp4")), FrameTimes(clip));
}

TEST_F(MediaGraphTest, AClipThatChangesItsSizeBecomesPicturesOfTwoSizes) {
  const Ran ran = RunGraph(
      "sluice: 1\nname: pictures\nnodes:\n  clip: { type: ffmpeg.read, path: " +
      Fixture("size_change.ts") + " }\n  out: { type: ffmpeg.write, path: " + Path("p-%02d.jpg") +
      " }\nedges: [ clip -> out ]\n");
  ExpectDone(ran);
  EXPECT_THAT(Outputs(), SizeIs(16));
  EXPECT_EQ(StreamEntry(Path("p-00.jpg"), "width"), "320");
  EXPECT_EQ(StreamEntry(Path("p-15.jpg"), "width"), "192");
}

}  // namespace
}  // namespace sluice::testing
