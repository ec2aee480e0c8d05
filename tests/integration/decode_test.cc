// Compressed frames through whole graphs: ffmpeg.read as the camera, ffmpeg.decode behind it.

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
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr const char* kPhoneClip =
    "/usr/share/forensics-samples/original-files/movie1/VID_20191220_170832.mp4";

class DecodeGraphTest : public MediaTest {
 protected:
  Ran Sum(const std::string& clip, const std::string& sums, bool through_decode,
          const std::string& more = "") {
    const std::string head =
        "sluice: 1\nname: decode\nnodes:\n  clip: { type: ffmpeg.read, path: " + clip +
        (through_decode ? ", decode: false" : "") +
        " }\n  sum: { type: core.checksum, path: " + Path(sums) + " }\n";
    return RunGraph(through_decode ? head + "  pictures: { type: ffmpeg.decode" + more +
                                         " }\nedges: [ clip -> pictures, pictures -> sum ]\n"
                                   : head + "edges: [ clip -> sum ]\n");
  }

  static void ExpectDone(const Ran& ran) {
    ASSERT_TRUE(ran.planned) << ran.problem;
    EXPECT_EQ(ran.report.result, "done") << ran.Errors();
    for (const auto& pool : ran.report.pools) EXPECT_EQ(pool.outstanding, 0u) << pool.name;
    for (const auto& edge : ran.report.edges) EXPECT_THAT(edge.drops, IsEmpty()) << edge.name;
  }

  /// Bytes copied at a port.
  static uint64_t CopiedAt(const Ran& ran, const std::string& place) {
    uint64_t bytes = 0;
    for (const auto& copy : ran.report.copies) bytes += copy.place == place ? copy.bytes : 0;
    return bytes;
  }

  /// What both ways make of a clip: sequence, pts and pixels of each frame.
  void ExpectSamePictures(const std::string& clip, size_t frames, const std::string& more = "") {
    ExpectDone(Sum(clip, "read.txt", false));
    decoded_ = Sum(clip, "decoded.txt", true, more);
    ExpectDone(decoded_);
    EXPECT_EQ(Lines("read.txt"), frames);
    if (sequence_differs_) {
      EXPECT_EQ(WithoutSequence("decoded.txt"), WithoutSequence("read.txt"));
    } else {
      EXPECT_EQ(Read("decoded.txt"), Read("read.txt"));
    }
  }
  std::vector<std::string> WithoutSequence(const std::string& name) const {
    std::vector<std::string> rows;
    std::istringstream lines(Read(name));
    for (std::string line; std::getline(lines, line);) {
      rows.push_back(line.substr(line.find(' ') + 1));
    }
    return rows;
  }

  Ran decoded_;
  /// Pictures that are reordered carry the number of their packet.
  bool sequence_differs_ = false;
};

TEST_F(DecodeGraphTest, ThePhoneClipsPicturesAreTheSameThroughPacketsAndNoneIsCopied) {
  ExpectSamePictures(kPhoneClip, 41);
  EXPECT_EQ(CopiedAt(decoded_, "pictures.out"), 0u) << decoded_.report.ToTable();
  EXPECT_EQ(CopiedAt(decoded_, "pictures.in"), 0u) << decoded_.report.ToTable();
  EXPECT_GT(CopiedAt(decoded_, "clip.out"), 0u) << "packets are copied into the pool";
}

TEST_F(DecodeGraphTest, ReorderedPicturesComeInTheirOrder) {
  sequence_differs_ = true;
  ExpectSamePictures(Fixture("bframes.mp4"), 40);
}

TEST_F(DecodeGraphTest, ThreadsDelayPicturesAndChangeNone) {
  sequence_differs_ = true;
  ExpectSamePictures(Fixture("bframes.mp4"), 40, ", threads: 3");
}

TEST_F(DecodeGraphTest, HevcDecodesTheSame) {
  sequence_differs_ = true;
  ExpectSamePictures(Fixture("hevc.mp4"), 12);
  EXPECT_EQ(CopiedAt(decoded_, "pictures.out"), 0u) << decoded_.report.ToTable();
}

TEST_F(DecodeGraphTest, JpegsDecodeTheSameWithoutACopy) {
  ExpectSamePictures(Fixture("mjpeg.avi"), 12);
  EXPECT_EQ(CopiedAt(decoded_, "pictures.out"), 0u) << decoded_.report.ToTable();
  EXPECT_THAT(decoded_.plan_table, HasSubstr("MJPG 322x182"));
}

TEST_F(DecodeGraphTest, JpegsWithHalvedColumnsOnlyKeepTheirChroma) {
  ExpectSamePictures(Fixture("mjpeg_422.avi"), 8);
  EXPECT_EQ(CopiedAt(decoded_, "pictures.out"), 8u * 320 * 180 * 2) << decoded_.report.ToTable();
}

TEST_F(DecodeGraphTest, ACameraWithJpegsIsRecorded) {
  const Ran ran = RunGraph(
      "sluice: 1\nname: record\nnodes:\n  clip: { type: ffmpeg.read, decode: false, path: " +
      Fixture("mjpeg_422.avi") + " }\n  pictures: { type: ffmpeg.decode }\n" +
      "  out: { type: ffmpeg.write, path: " + Path("out.mkv") +
      ", preset: ultrafast }\nedges: [ clip -> pictures, pictures -> out ]\n");
  ExpectDone(ran);
  EXPECT_EQ(FrameTimes(Path("out.mkv")).size(), 8u);
}

TEST_F(DecodeGraphTest, AnEdgeThatTakesNoCopiesRefusesPacketsOutOfAFile) {
  const Ran ran = RunGraph(
      "sluice: 1\nname: strict\nnodes:\n  clip: { type: ffmpeg.read, decode: false, path: " +
      Fixture("mjpeg.avi") +
      " }\n  pictures: { type: ffmpeg.decode }\n  sum: { type: core.checksum }\n"
      "edges:\n  - { from: clip, to: pictures, require: zero-copy }\n  - pictures -> sum\n");
  EXPECT_FALSE(ran.planned);
  EXPECT_THAT(ran.problem, HasSubstr("zero-copy is required"));
}

TEST_F(DecodeGraphTest, TenBitsStandAmongThePlansCopiesAndAreRefusedWhereNoneAreTaken) {
  const std::string clip = Fixture("ten_bit.mp4");
  const Ran planned =
      RunGraph("sluice: 1\nname: ten\nnodes:\n  clip: { type: ffmpeg.read, path: " + clip +
               " }\n  sum: { type: core.checksum }\nedges: [ clip -> sum ]\n");
  ExpectDone(planned);
  EXPECT_EQ(planned.planned_copy_bytes, 320u * 240 * 3);
  EXPECT_THAT(planned.plan_table, HasSubstr("conversion from yuv420p10le to P010"));
  const Ran refused =
      RunGraph("sluice: 1\nname: ten\nnodes:\n  clip: { type: ffmpeg.read, path: " + clip +
               " }\n  sum: { type: core.checksum }\nedges: [ { from: clip, to: sum, require: zero-copy } ]\n");
  EXPECT_FALSE(refused.planned);
  EXPECT_THAT(refused.problem, HasSubstr("zero-copy is required"));
}

}  // namespace
}  // namespace sluice::testing
