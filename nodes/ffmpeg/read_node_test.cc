#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <iterator>
#include <set>
#include <sstream>
#include <string_view>
#include <thread>

#include "nodes/ffmpeg/testing.h"

namespace sluice::ffmpeg::testing {
namespace {

/// Frames' pts as ffprobe has them, in ticks.
std::vector<int64_t> ProbedTicks(const std::string& path, const std::string& entry = "pts") {
  std::istringstream lines(Shell("ffprobe -v error -select_streams v:0 -show_entries frame=" +
                                 entry + " -of csv=p=0 " + path));
  std::vector<int64_t> ticks;
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty()) ticks.push_back(std::stoll(line));
  }
  return ticks;
}

std::vector<int64_t> TicksOf(const std::vector<Seen>& frames) {
  std::vector<int64_t> ticks;
  for (const Seen& frame : frames) ticks.push_back(frame.info.pts_ticks);
  return ticks;
}

bool AnyContains(const std::vector<std::string>& texts, const std::string& part) {
  for (const std::string& text : texts) {
    if (text.find(part) != std::string::npos) return true;
  }
  return false;
}

uint64_t CopiedBytes(const st::NodeRunner& runner) {
  uint64_t bytes = 0;
  for (const st::RecordedCopy& copy : runner.copies()) bytes += copy.bytes;
  return bytes;
}

TEST(ReadNodeTest, DeliversEveryFrameOfThePhoneClipWithItsOwnTimeAndWithoutACopy) {
  SourceRun run(ReadPath(kPhoneClip));
  EXPECT_EQ(run.PrepareAndRun(), SLUICE_PROCESS_END) << run.runner().error();
  EXPECT_EQ(run.frames().size(), 41u);
  EXPECT_EQ(TicksOf(run.frames()), ProbedTicks(kPhoneClip));
  EXPECT_TRUE(run.runner().copies().empty());
  for (size_t i = 0; i < run.frames().size(); ++i) {
    const Seen& frame = run.frames()[i];
    EXPECT_EQ(frame.info.sequence, i);
    EXPECT_EQ(frame.info.time_base_num, 1u);
    EXPECT_EQ(frame.info.time_base_den, 90000u);
    EXPECT_EQ(frame.info.pts_ns, (frame.info.pts_ticks * 100000 + 4) / 9);
  }
  EXPECT_TRUE(AnyContains(run.runner().notes(), "audio stream 1 (aac) is not carried"));
  EXPECT_EQ(run.offer().color.matrix, SLUICE_MATRIX_BT709);
  EXPECT_EQ(run.offer().color_assumed & SLUICE_COLOR_FIELD_MATRIX, 0u);
  run.runner().Stop();
  EXPECT_EQ(run.runner().Leaked(), 0u);
  EXPECT_TRUE(run.runner().violations().empty());
}

TEST(ReadNodeTest, KeepsOrderAndPixelsWithReorderingAndHeldFrames) {
  const std::string clip = Fixture(TestFolder(), "bframes.mp4");
  SourceRun alone(ReadPath(clip).Int("threads", 1));
  ASSERT_EQ(alone.PrepareAndRun(), SLUICE_PROCESS_END) << alone.runner().error();
  SourceRun held(ReadPath(clip).Int("threads", 4), 6);
  ASSERT_EQ(held.PrepareAndRun(), SLUICE_PROCESS_END) << held.runner().error();
  ASSERT_EQ(held.frames().size(), 40u);
  EXPECT_EQ(TicksOf(held.frames()), ProbedTicks(clip));
  for (size_t i = 0; i < 40; ++i) {
    EXPECT_EQ(held.frames()[i].checksum, alone.frames()[i].checksum) << i;
  }
  EXPECT_EQ(CopiedBytes(held.runner()), 0u);
  EXPECT_TRUE(held.runner().violations().empty());
}

TEST(ReadNodeTest, DecodesOddSizesIntoThePool) {
  SourceRun run(ReadPath(Fixture(TestFolder(), "odd.mkv")));
  ASSERT_EQ(run.PrepareAndRun(), SLUICE_PROCESS_END) << run.runner().error();
  EXPECT_EQ(run.frames().size(), 10u);
  EXPECT_EQ(run.frames()[0].format.width, 641u);
  EXPECT_EQ(run.frames()[0].format.height, 359u);
  EXPECT_EQ(CopiedBytes(run.runner()), 0u);
}

TEST(ReadNodeTest, DecodesVp9AndHevcAndMpeg2IntoThePool) {
  const std::string folder = TestFolder();
  for (const auto& [file, count] : std::vector<std::pair<std::string, size_t>>{
           {"vp9.webm", 10}, {"hevc.mp4", 12}, {"interlaced.mpg", 6}}) {
    SourceRun run(ReadPath(Fixture(folder, file)));
    ASSERT_EQ(run.PrepareAndRun(), SLUICE_PROCESS_END) << file << run.runner().error();
    EXPECT_EQ(run.frames().size(), count) << file;
    EXPECT_EQ(CopiedBytes(run.runner()), 0u) << file;
  }
}

TEST(ReadNodeTest, CarriesTheDisplayMatrixAsRotation) {
  SourceRun run(ReadPath(Fixture(TestFolder(), "rotated.mp4")));
  ASSERT_EQ(run.PrepareAndRun(), SLUICE_PROCESS_END) << run.runner().error();
  EXPECT_EQ(run.frames().at(0).info.rotation_degrees, 270);
  EXPECT_EQ(run.frames().at(0).info.flags & SLUICE_FRAME_MIRRORED, 0u);
}

TEST(ReadNodeTest, SaysOfEachFrameOfAMirroredClipThatItIsMirrored) {
  SourceRun run(ReadPath(Fixture(TestFolder(), "mirrored.mp4")));
  ASSERT_EQ(run.PrepareAndRun(), SLUICE_PROCESS_END) << run.runner().error();
  ASSERT_EQ(run.frames().size(), 5u);
  for (const Seen& frame : run.frames()) {
    EXPECT_EQ(frame.info.rotation_degrees, 90);
    EXPECT_NE(frame.info.flags & SLUICE_FRAME_MIRRORED, 0u);
  }
}

TEST(ReadNodeTest, CarriesPixelAspectAndFieldOrder) {
  const std::string folder = TestFolder();
  SourceRun aspect(ReadPath(Fixture(folder, "aspect.mp4")));
  ASSERT_EQ(aspect.PrepareAndRun(), SLUICE_PROCESS_END) << aspect.runner().error();
  EXPECT_EQ(aspect.frames().at(0).info.aspect_num, 4u);
  EXPECT_EQ(aspect.frames().at(0).info.aspect_den, 3u);
  EXPECT_EQ(aspect.frames().at(0).info.field_order, SLUICE_FIELD_PROGRESSIVE);
  SourceRun fields(ReadPath(Fixture(folder, "interlaced.mpg")));
  ASSERT_EQ(fields.PrepareAndRun(), SLUICE_PROCESS_END) << fields.runner().error();
  EXPECT_EQ(fields.frames().at(0).info.field_order, SLUICE_FIELD_TOP_FIRST);
}

TEST(ReadNodeTest, SaysFullRangeWhereTheStreamDoes) {
  SourceRun run(ReadPath(Fixture(TestFolder(), "full_range.mp4")));
  ASSERT_EQ(run.PrepareAndRun(), SLUICE_PROCESS_END) << run.runner().error();
  EXPECT_EQ(run.offer().color.range, SLUICE_RANGE_FULL);
  EXPECT_EQ(run.offer().color_assumed & SLUICE_COLOR_FIELD_RANGE, 0u);
  EXPECT_EQ(run.fourcc(), SLUICE_FORMAT_YU12);
}

TEST(ReadNodeTest, AssumesBt601BelowAndBt709From720LinesWhereNothingIsTagged) {
  const std::string folder = TestFolder();
  SourceRun low(ReadPath(Fixture(folder, "untagged.mp4")));
  ASSERT_GE(low.Prepare(), 0) << low.runner().error();
  EXPECT_EQ(low.offer().color.matrix, SLUICE_MATRIX_BT601);
  EXPECT_EQ(low.offer().color.range, SLUICE_RANGE_LIMITED);
  EXPECT_EQ(low.offer().color_assumed & (SLUICE_COLOR_FIELD_MATRIX | SLUICE_COLOR_FIELD_RANGE),
            SLUICE_COLOR_FIELD_MATRIX | SLUICE_COLOR_FIELD_RANGE);
  SourceRun high(ReadPath(Fixture(folder, "untagged_high.mp4")));
  ASSERT_GE(high.Prepare(), 0) << high.runner().error();
  EXPECT_EQ(high.offer().color.matrix, SLUICE_MATRIX_BT709);
}

TEST(ReadNodeTest, ConvertsTenBitsWithACountAndSaysSoInThePlan) {
  SourceRun run(ReadPath(Fixture(TestFolder(), "ten_bit.mp4")));
  ASSERT_EQ(run.PrepareAndRun(), SLUICE_PROCESS_END) << run.runner().error();
  EXPECT_EQ(run.frames().size(), 10u);
  EXPECT_EQ(run.fourcc(), SLUICE_FORMAT_P010);
  EXPECT_EQ(CopiedBytes(run.runner()), 10u * 320 * 240 * 3);
  EXPECT_EQ(run.runner().copies().at(0).reason, "conversion from yuv420p10le to P010");
  EXPECT_EQ(run.runner().offers().at(0).copies, "conversion from yuv420p10le to P010");
}

TEST(ReadNodeTest, AMatroskaFileThatWasCutOffDeliversWhatItHasAndFails) {
  const std::string folder = TestFolder();
  SourceRun cut(ReadPath(Fixture(folder, "cut_mkv.mkv")));
  EXPECT_EQ(cut.PrepareAndRun(), SLUICE_E_IO);
  EXPECT_GT(cut.frames().size(), 10u);
  EXPECT_LT(cut.frames().size(), 40u);
  EXPECT_NE(cut.runner().error().find("bytes are missing at the end"), std::string::npos)
      << cut.runner().error();
  SourceRun whole(ReadPath(Fixture(folder, "vp9.webm")));
  EXPECT_EQ(whole.PrepareAndRun(), SLUICE_PROCESS_END) << whole.runner().error();
}

TEST(ReadNodeTest, AMatroskaStreamOfUnknownLengthIsWhole) {
  const std::string path = TestFolder() + "/live.mkv";
  Shell(
      "ffmpeg -nostdin -loglevel error -f lavfi -i testsrc2=size=64x48:rate=25 -frames:v 5 -c:v "
      "mjpeg -f matroska - > " +
      path);
  SourceRun run(ReadPath(path));
  EXPECT_EQ(run.PrepareAndRun(), SLUICE_PROCESS_END) << run.runner().error();
  EXPECT_EQ(run.frames().size(), 5u);
}

/// A named pipe with a film to write into it.
class FifoTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = TestFolder();
    path_ = folder_ + "/pipe";
    ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
    const std::string film = folder_ + "/film.y4m";
    Shell(
        "ffmpeg -nostdin -loglevel error -f lavfi -i testsrc2=size=64x48:rate=25 -frames:v 200 "
        "-pix_fmt yuv420p " +
        film);
    std::ifstream file(film, std::ios::binary);
    film_.assign(std::istreambuf_iterator<char>(file), {});
  }
  st::Parameters Params(int64_t timeout_ns) const {
    return ReadPath(path_).DurationNs("timeout", timeout_ns);
  }
  /// Opens for both, so that it does not wait for the reader, with room for the whole film.
  int OpenWriter() const {
    const int fd = open(path_.c_str(), O_RDWR | O_CLOEXEC);
    EXPECT_GE(fcntl(fd, F_SETPIPE_SZ, 1 << 20), static_cast<int>(film_.size()));
    return fd;
  }
  static void Write(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = write(fd, bytes.data(), bytes.size());
      ASSERT_GT(count, 0);
      bytes.remove_prefix(static_cast<size_t>(count));
    }
  }

  std::string folder_, path_, film_;
};

TEST_F(FifoTest, IsReadLikeAFile) {
  std::thread writer([this] {
    const int fd = open(path_.c_str(), O_WRONLY | O_CLOEXEC);
    Write(fd, film_);
    close(fd);
  });
  SourceRun run(Params(20'000'000'000));
  ASSERT_GE(run.Prepare(), 0) << run.runner().error();
  size_t frames = 0;
  int32_t result = SLUICE_PROCESS_DONE;
  while (result >= 0 && result != SLUICE_PROCESS_END) {
    result = run.runner().Step();
    while (run.runner().Take()) ++frames;
    if (result == SLUICE_PROCESS_NEED_MORE) {
      ASSERT_TRUE(run.runner().WaitForFd(20'000));
    }
  }
  writer.join();
  EXPECT_EQ(result, SLUICE_PROCESS_END) << run.runner().error();
  EXPECT_EQ(frames, 200u);
}

TEST_F(FifoTest, ThatNobodyWritesIntoDoesNotHoldTheNode) {
  const int writer = OpenWriter();
  // Between two pictures.
  const size_t part = film_.size() - 20 * (6 + 64 * 48 * 3 / 2);
  Write(writer, std::string_view(film_).substr(0, part));
  SourceRun run(Params(20'000'000'000));
  ASSERT_GE(run.Prepare(), 0) << run.runner().error();
  // It waits for the fd, and can be stopped meanwhile.
  size_t frames = 0;
  int32_t result = SLUICE_PROCESS_DONE;
  while (result == SLUICE_PROCESS_DONE) {
    result = run.runner().Step();
    while (run.runner().Take()) ++frames;
  }
  EXPECT_EQ(result, SLUICE_PROCESS_NEED_MORE) << run.runner().error();
  EXPECT_EQ(frames, 180u);
  EXPECT_FALSE(run.runner().WaitForFd(0));
  Write(writer, std::string_view(film_).substr(part));
  EXPECT_TRUE(run.runner().WaitForFd(20'000));
  EXPECT_EQ(run.runner().Step(), SLUICE_PROCESS_DONE) << run.runner().error();
  run.runner().Stop(false);
  EXPECT_EQ(run.runner().Leaked(), 0u);
  close(writer);
}

TEST_F(FifoTest, ThatNeverFillsIsGivenUpAfterTheTimeout) {
  const int writer = OpenWriter();
  SourceRun run(Params(1));
  EXPECT_LT(run.Prepare(), 0);
  close(writer);
}

TEST(ReadNodeTest, ConvertsPackedRgbToTheFormatWithTheSameColours) {
  const std::string folder = TestFolder();
  SourceRun run(ReadPath(Fixture(folder, "rgb.mkv")));
  ASSERT_EQ(run.PrepareAndRun(), SLUICE_PROCESS_END) << run.runner().error();
  EXPECT_EQ(run.fourcc(), SLUICE_FORMAT_XB24);
  EXPECT_EQ(run.offer().color.matrix, SLUICE_MATRIX_RGB);
  // The same picture with alpha needs no conversion.
  SourceRun exact(ReadPath(Fixture(folder, "rgba.mkv")));
  ASSERT_EQ(exact.PrepareAndRun(), SLUICE_PROCESS_END) << exact.runner().error();
  EXPECT_EQ(exact.fourcc(), SLUICE_FORMAT_AB24);
  EXPECT_EQ(CopiedBytes(exact.runner()), 0u);
}

TEST(ReadNodeTest, CountsACopyWhereTheDecoderFillsMemoryOfItsOwn) {
  SourceRun run(ReadPath(Fixture(TestFolder(), "yuyv.avi")));
  ASSERT_EQ(run.PrepareAndRun(), SLUICE_PROCESS_END) << run.runner().error();
  EXPECT_EQ(run.fourcc(), SLUICE_FORMAT_YUYV);
  EXPECT_EQ(CopiedBytes(run.runner()), 3u * 64 * 32 * 2);
  EXPECT_EQ(run.runner().copies().at(0).reason, "the rawvideo decoder fills memory of its own");
}

TEST(ReadNodeTest, CopiesPicturesThatAreCroppedAtTheirLeftOrTop) {
  SourceRun run(ReadPath(Fixture(TestFolder(), "cropped.mp4")));
  ASSERT_EQ(run.PrepareAndRun(), SLUICE_PROCESS_END) << run.runner().error();
  EXPECT_EQ(run.frames().at(0).format.width, 124u);
  EXPECT_EQ(run.frames().at(0).format.height, 92u);
  EXPECT_EQ(CopiedBytes(run.runner()), 5u * 124 * 92 * 3 / 2);
}

TEST(ReadNodeTest, ReadsAPhotoWithItsFullRangeAndColour) {
  SourceRun run(ReadPath(std::string(kSamples) + "pic1/IMG_20200827_231612.jpg"));
  ASSERT_EQ(run.PrepareAndRun(), SLUICE_PROCESS_END) << run.runner().error();
  EXPECT_EQ(run.frames().size(), 1u);
  EXPECT_EQ(run.offer().color.range, SLUICE_RANGE_FULL);
}

TEST(ReadNodeTest, KeepsAStartThatIsNotZeroAndVariableIntervals) {
  const std::string folder = TestFolder();
  for (const char* file : {"offset.ts", "vfr.mp4"}) {
    const std::string clip = Fixture(folder, file);
    SourceRun run(ReadPath(clip));
    ASSERT_EQ(run.PrepareAndRun(), SLUICE_PROCESS_END) << file << run.runner().error();
    EXPECT_EQ(TicksOf(run.frames()), ProbedTicks(clip)) << file;
  }
  for (const char* name : {"movie2/movie-hello.mp4", "movie2/movie-hello.mpeg"}) {
    SourceRun run(ReadPath(std::string(kSamples) + name));
    ASSERT_EQ(run.PrepareAndRun(20), SLUICE_PROCESS_DONE) << name << run.runner().error();
    std::vector<int64_t> expected =
        ProbedTicks(std::string(kSamples) + name, "best_effort_timestamp");
    expected.resize(20);
    EXPECT_EQ(TicksOf(run.frames()), expected) << name;
  }
}

TEST(ReadNodeTest, StartsExactlyAtTheStartTime) {
  const std::string clip = Fixture(TestFolder(), "bframes.mp4");
  SourceRun whole(ReadPath(clip));
  ASSERT_EQ(whole.PrepareAndRun(), SLUICE_PROCESS_END) << whole.runner().error();
  for (const size_t first : {1u, 11u, 17u, 39u}) {
    SourceRun run(ReadPath(clip).DurationNs("start", static_cast<int64_t>(first) * 40'000'000));
    ASSERT_EQ(run.PrepareAndRun(), SLUICE_PROCESS_END) << run.runner().error();
    ASSERT_EQ(run.frames().size(), 40 - first);
    EXPECT_EQ(run.frames()[0].info.pts_ticks, whole.frames()[first].info.pts_ticks);
    EXPECT_EQ(run.frames()[0].checksum, whole.frames()[first].checksum);
  }
}

TEST(ReadNodeTest, FailsWhereNothingComesAfterTheStartTime) {
  SourceRun run(ReadPath(Fixture(TestFolder(), "vfr.mp4")).DurationNs("start", 60'000'000'000));
  EXPECT_EQ(run.PrepareAndRun(), SLUICE_E_NOT_FOUND);
}

TEST(ReadNodeTest, StopsAfterTheNumberOfFrames) {
  SourceRun run(ReadPath(Fixture(TestFolder(), "bframes.mp4")).Int("frames", 7));
  EXPECT_EQ(run.PrepareAndRun(), SLUICE_PROCESS_END);
  EXPECT_EQ(run.frames().size(), 7u);
}

TEST(ReadNodeTest, LoopsWithTimesThatGoOnAndADiscontinuity) {
  SourceRun run(ReadPath(Fixture(TestFolder(), "vfr.mp4")).Int("loop", 2));
  ASSERT_EQ(run.PrepareAndRun(), SLUICE_PROCESS_END) << run.runner().error();
  ASSERT_EQ(run.frames().size(), 18u);
  for (size_t i = 1; i < run.frames().size(); ++i) {
    EXPECT_GT(run.frames()[i].info.pts_ticks, run.frames()[i - 1].info.pts_ticks);
    EXPECT_EQ(run.frames()[i].info.sequence, i);
    EXPECT_EQ((run.frames()[i].info.flags & SLUICE_FRAME_DISCONTINUITY) != 0, i % 6 == 0) << i;
    EXPECT_EQ(run.frames()[i].checksum, run.frames()[i % 6].checksum);
  }
}

TEST(ReadNodeTest, RunsAgainAfterAStop) {
  SourceRun run(ReadPath(Fixture(TestFolder(), "vfr.mp4")));
  ASSERT_EQ(run.PrepareAndRun(), SLUICE_PROCESS_END);
  run.runner().Stop();
  ASSERT_EQ(run.runner().Start(), SLUICE_OK);
  EXPECT_EQ(run.Run(), SLUICE_PROCESS_END);
  EXPECT_EQ(run.frames().size(), 12u);
  EXPECT_EQ(run.frames()[6].info.pts_ticks, run.frames()[0].info.pts_ticks);
}

TEST(ReadNodeTest, LosesNoFrameWhenTheSizeChanges) {
  const std::string clip = Fixture(TestFolder(), "size_change.ts");
  SourceRun run(ReadPath(clip), 3);
  ASSERT_EQ(run.PrepareAndRun(), SLUICE_PROCESS_END) << run.runner().error();
  ASSERT_EQ(run.frames().size(), 16u);
  EXPECT_EQ(TicksOf(run.frames()), ProbedTicks(clip));
  EXPECT_EQ(run.runner().renegotiations(), 1u);
  for (size_t i = 0; i < 16; ++i) {
    EXPECT_EQ(run.frames()[i].format.width, i < 8 ? 320u : 192u) << i;
    EXPECT_EQ(run.frames()[i].format.height, i < 8 ? 240u : 144u) << i;
  }
  for (const st::RecordedCopy& copy : run.runner().copies()) {
    EXPECT_EQ(copy.reason, "decoded before the new format was negotiated");
  }
  EXPECT_TRUE(run.runner().violations().empty());
}

TEST(ReadNodeTest, CopiesWithAReasonWhenThePoolLendsNothing) {
  SourceRun run(ReadPath(Fixture(TestFolder(), "vfr.mp4")).Int("threads", 1));
  ASSERT_GE(run.Prepare(), 0);
  run.runner().set_refuse_acquire(true);
  // Decoded into libav's memory, and then there is no buffer to copy it to.
  EXPECT_EQ(run.runner().Step(), SLUICE_PROCESS_NEED_MORE);
  EXPECT_GE(run.runner().wake_at_ns(), 0);
  run.runner().set_refuse_acquire(false);
  EXPECT_EQ(run.Run(), SLUICE_PROCESS_END);
  EXPECT_EQ(run.frames().size(), 6u);
  ASSERT_FALSE(run.runner().copies().empty());
  EXPECT_EQ(run.runner().copies()[0].reason, "no buffer was free when the decoder asked for one");
}

TEST(ReadNodeTest, DeliversWhatDecodesOfATruncatedClipAndFailsWithBothNumbers) {
  SourceRun run(ReadPath(Fixture(TestFolder(), "truncated.mp4")));
  EXPECT_EQ(run.PrepareAndRun(), SLUICE_E_IO);
  EXPECT_GT(run.frames().size(), 10u);
  EXPECT_LT(run.frames().size(), 40u);
  const std::string error = run.runner().error();
  EXPECT_NE(error.find("frames delivered " + std::to_string(run.frames().size())),
            std::string::npos)
      << error;
  EXPECT_NE(error.find("expected 40"), std::string::npos) << error;
  run.runner().Stop(false);
  EXPECT_EQ(run.runner().Leaked(), 0u);
}

TEST(ReadNodeTest, FailsForTheTruncatedPhoneClip) {
  const std::string clip = TestFolder() + "/clip.mp4";
  std::filesystem::copy_file(kPhoneClip, clip);
  std::filesystem::permissions(clip, std::filesystem::perms::owner_all);
  std::filesystem::resize_file(clip, std::filesystem::file_size(clip) * 6 / 10);
  SourceRun run(ReadPath(clip));
  EXPECT_EQ(run.PrepareAndRun(), SLUICE_E_IO);
  EXPECT_NE(run.runner().error().find("expected 41"), std::string::npos) << run.runner().error();
}

TEST(ReadNodeTest, ReadsWholeClipsOfOtherContainersWithoutCallingThemDamaged) {
  // Headers of the first two promise a frame more than there is.
  const std::vector<std::pair<const char*, size_t>> clips{{"movie2/movie-hello.avi", 208},
                                                          {"movie2/movie-hello.mp4", 249},
                                                          {"movie2/movie-hello.mpeg", 249},
                                                          {"movie2/movie-hello.ogg", 242}};
  for (const auto& [name, count] : clips) {
    SourceRun run(ReadPath(std::string(kSamples) + name));
    EXPECT_EQ(run.PrepareAndRun(), SLUICE_PROCESS_END) << name << ": " << run.runner().error();
    EXPECT_EQ(run.frames().size(), count) << name;
    EXPECT_EQ(CopiedBytes(run.runner()), 0u) << name << run.runner().copies().at(0).reason;
  }
}

TEST(ReadNodeTest, RefusesWhatIsNoVideoInWords) {
  const std::string folder = TestFolder();
  SourceRun missing(ReadPath(folder + "/none.mp4"));
  EXPECT_EQ(missing.Prepare(), SLUICE_E_NOT_FOUND);
  EXPECT_NE(missing.runner().error().find("none.mp4: No such file or directory"),
            std::string::npos);

  SourceRun audio(ReadPath(Fixture(folder, "no_video.m4a")));
  EXPECT_EQ(audio.Prepare(), SLUICE_E_NOT_FOUND);
  EXPECT_NE(audio.runner().error().find("no video stream (it has: audio (aac))"), std::string::npos)
      << audio.runner().error();

  std::ofstream(folder + "/text.mp4") << "this is no film";
  SourceRun text(ReadPath(folder + "/text.mp4"));
  EXPECT_LT(text.Prepare(), 0);
  EXPECT_NE(text.runner().error().find("text.mp4"), std::string::npos);

  SourceRun stream(ReadPath(kPhoneClip).Int("stream", 1));
  EXPECT_EQ(stream.Prepare(), SLUICE_E_NOT_FOUND);

  SourceRun neither{st::Parameters()};
  EXPECT_EQ(neither.Prepare(), SLUICE_E_INVALID_ARGUMENT);
}

TEST(ReadNodeTest, WaitsForAFramesTimeInARealtimeGraph) {
  SourceRun run(ReadPath(Fixture(TestFolder(), "vfr.mp4")));
  run.runner().set_realtime(true);
  ASSERT_GE(run.Prepare(), 0);
  EXPECT_EQ(run.runner().Step(), SLUICE_PROCESS_DONE);
  EXPECT_EQ(run.runner().emitted(), 1u);
  // The second frame is due 40 ms after the first, and no test waits for it.
  EXPECT_EQ(run.runner().Step(), SLUICE_PROCESS_NEED_MORE);
  EXPECT_EQ(run.runner().emitted(), 1u);
  EXPECT_GT(run.runner().wake_at_ns(), 0);
}

}  // namespace
}  // namespace sluice::ffmpeg::testing
