#include <sys/resource.h>

#include <csignal>

#include "nodes/ffmpeg/encoder.h"
#include "nodes/ffmpeg/testing.h"

namespace sluice::ffmpeg::testing {
namespace {

sluice_format Grey(uint32_t fourcc = SLUICE_FORMAT_YU12, uint32_t width = 64,
                   uint32_t height = 48) {
  return st::MakeFormat(fourcc, width, height, {25, 1});
}

/// ffmpeg.read of `source` into ffmpeg.write of `params`; what write said at the end.
int32_t Transcode(st::Parameters source, st::Parameters params, std::string* error,
                  std::vector<std::string>* notes = nullptr) {
  SinkRun sink(std::move(params));
  bool prepared = false;
  int32_t result = SLUICE_OK;
  SourceRun read(std::move(source));
  read.set_sink([&](const st::HeldFrame& frame) {
    if (!prepared) {
      result = sink.Prepare(frame.Format());
      prepared = true;
    }
    if (result >= 0) result = sink.Push({frame.Info(), frame.Format(), 0}, PixelsIn(frame));
  });
  EXPECT_EQ(read.PrepareAndRun(), SLUICE_PROCESS_END) << read.runner().error();
  if (result >= 0) result = sink.runner().Drain();
  *error = sink.runner().error();
  if (notes != nullptr) *notes = sink.runner().notes();
  sink.runner().Stop(result == SLUICE_PROCESS_END);
  EXPECT_EQ(sink.runner().Leaked(), 0u);
  EXPECT_TRUE(sink.runner().violations().empty());
  EXPECT_TRUE(sink.runner().copies().empty());
  return result;
}

TEST(WriteNodeTest, WritesThePhoneClipWithEveryTimeAsItWas) {
  const std::string folder = TestFolder();
  const std::string out = folder + "/out.mp4";
  std::string error;
  ASSERT_EQ(Transcode(ReadPath(kPhoneClip), ReadPath(out).Enum("preset", "ultrafast"), &error),
            SLUICE_PROCESS_END)
      << error;
  EXPECT_EQ(ProbedTimes(out).size(), 41u);
  EXPECT_EQ(ProbedTimes(out), ProbedTimes(kPhoneClip));
  EXPECT_EQ(FilesIn(folder), std::vector<std::string>{"out.mp4"});
  EXPECT_EQ(Shell("ffprobe -v error -select_streams v:0 -show_entries "
                  "stream=codec_name,color_space,color_transfer,color_primaries,color_range -of "
                  "csv=p=0 " +
                  out),
            "h264,tv,bt709,bt709,bt709\n");
}

TEST(WriteNodeTest, KeepsTimesWithReorderingAStartThatIsNotZeroAndVariableIntervals) {
  const std::string folder = TestFolder();
  for (const char* name : {"bframes.mp4", "offset.ts", "vfr.mp4"}) {
    const std::string source = Fixture(folder, name);
    for (const char* extension : {".out.mp4", ".out.mov"}) {
      const std::string out = source + extension;
      std::string error;
      ASSERT_EQ(Transcode(ReadPath(source), ReadPath(out).Map("options", R"({"bf": 3})"), &error),
                SLUICE_PROCESS_END)
          << error;
      EXPECT_EQ(ProbedTimes(out), ProbedTimes(source)) << out;
    }
  }
  const std::string hello = std::string(kSamples) + "movie2/movie-hello.mp4";
  const std::string out = folder + "/hello.mp4";
  std::string error;
  ASSERT_EQ(Transcode(ReadPath(hello).Int("frames", 12), ReadPath(out).Enum("preset", "ultrafast"),
                      &error),
            SLUICE_PROCESS_END)
      << error;
  std::vector<std::string> expected = ProbedTimes(hello);
  expected.resize(12);
  EXPECT_EQ(ProbedTimes(out), expected);
}

TEST(WriteNodeTest, WritesRotationAspectAndRange) {
  const std::string folder = TestFolder();
  for (const char* name : {"rotated.mp4", "aspect.mp4", "full_range.mp4"}) {
    const std::string source = Fixture(folder, name);
    const std::string out = folder + "/out-" + name;
    std::string error;
    ASSERT_EQ(Transcode(ReadPath(source), ReadPath(out), &error), SLUICE_PROCESS_END) << error;
    SourceRun before(ReadPath(source));
    SourceRun after(ReadPath(out));
    ASSERT_EQ(before.PrepareAndRun(), SLUICE_PROCESS_END);
    ASSERT_EQ(after.PrepareAndRun(), SLUICE_PROCESS_END);
    EXPECT_EQ(after.frames()[0].info.rotation_degrees, before.frames()[0].info.rotation_degrees);
    EXPECT_EQ(after.frames()[0].info.aspect_num, before.frames()[0].info.aspect_num);
    EXPECT_EQ(after.frames()[0].info.aspect_den, before.frames()[0].info.aspect_den);
    EXPECT_EQ(after.offer().color.range, before.offer().color.range);
  }
}

TEST(WriteNodeTest, WritesEveryTurnWithAndWithoutAMirror) {
  const std::string folder = TestFolder();
  for (const char* extension : {".mp4", ".mov", ".mkv"}) {
    for (const uint32_t mirrored : {0U, SLUICE_FRAME_MIRRORED}) {
      for (const int degrees : {0, 90, 180, 270}) {
        const std::string path = folder + "/" + std::to_string(degrees + mirrored) + extension;
        SinkRun sink(ReadPath(path).Enum("preset", "ultrafast"));
        ASSERT_EQ(sink.Prepare(Grey()), SLUICE_OK) << sink.runner().error();
        st::HeldFrame frame = sink.runner().NewFrame();
        frame.Info() = {};
        frame.Info().rotation_degrees = degrees;
        frame.Info().flags = mirrored;
        ASSERT_EQ(sink.runner().Push(std::move(frame)), SLUICE_PROCESS_DONE);
        ASSERT_EQ(sink.runner().Drain(), SLUICE_PROCESS_END) << sink.runner().error();
        SourceRun read(ReadPath(path));
        ASSERT_EQ(read.PrepareAndRun(), SLUICE_PROCESS_END) << read.runner().error();
        const sluice_frame_info& info = read.frames().at(0).info;
        const uint32_t flag = info.flags & SLUICE_FRAME_MIRRORED;
        // Matroska has it with newer libraries: then all of it.
        const bool lost = path.ends_with(".mkv") && info.rotation_degrees == 0 && flag == 0;
        if (lost) continue;
        EXPECT_EQ(info.rotation_degrees, degrees) << path;
        EXPECT_EQ(flag, mirrored) << path;
      }
    }
  }
}

TEST(WriteNodeTest, KeepsInterlacedFieldsAndOddSizesWhereTheCodecCan) {
  const std::string folder = TestFolder();
  const std::string odd = Fixture(folder, "odd.mkv");
  std::string error;
  std::vector<std::string> notes;
  ASSERT_EQ(Transcode(ReadPath(odd), ReadPath(folder + "/out.mkv").String("codec", "ffv1"), &error,
                      &notes),
            SLUICE_PROCESS_END)
      << error;
  SourceRun before(ReadPath(odd));
  SourceRun after(ReadPath(folder + "/out.mkv"));
  ASSERT_EQ(before.PrepareAndRun(), SLUICE_PROCESS_END);
  ASSERT_EQ(after.PrepareAndRun(), SLUICE_PROCESS_END) << after.runner().error();
  ASSERT_EQ(after.frames().size(), before.frames().size());
  for (size_t i = 0; i < before.frames().size(); ++i) {
    EXPECT_EQ(after.frames()[i].checksum, before.frames()[i].checksum) << i;
  }
}

TEST(WriteNodeTest, SaysThatAContainerRoundsTimes) {
  const std::string folder = TestFolder();
  const std::string source = Fixture(folder, "bframes.mp4");
  std::string error;
  std::vector<std::string> notes;
  ASSERT_EQ(Transcode(ReadPath(source), ReadPath(folder + "/out.mkv"), &error, &notes),
            SLUICE_PROCESS_END)
      << error;
  EXPECT_NE(std::find(notes.begin(), notes.end(),
                      "the container matroska rounds timestamps from 1/12800 to 1/1000 s"),
            notes.end());
}

TEST(WriteNodeTest, OffersEvenSizesForX264AndRgbForPng) {
  SinkRun film(ReadPath(TestFolder() + "/out.mp4"));
  ASSERT_EQ(film.runner().Probe(), SLUICE_OK);
  EXPECT_EQ(film.runner().offers().at(0).fourccs.at(0), SLUICE_FORMAT_YU12);
  EXPECT_EQ(film.runner().offers().at(0).offer.width_step, 2u);
  for (const st::RecordedOffer& offer : film.runner().offers()) {
    EXPECT_NE(offer.fourccs.at(0), SLUICE_FORMAT_AB24);
    // An odd size would be carried in grey rather than not at all.
    EXPECT_NE(offer.fourccs.at(0), SLUICE_FORMAT_R8);
  }
  SinkRun picture(ReadPath(TestFolder() + "/out.png"));
  ASSERT_EQ(picture.runner().Probe(), SLUICE_OK);
  EXPECT_EQ(picture.runner().offers().at(0).fourccs.at(0), SLUICE_FORMAT_AB24);
  SinkRun jpeg(ReadPath(TestFolder() + "/out.jpg"));
  ASSERT_EQ(jpeg.runner().Probe(), SLUICE_OK);
  EXPECT_EQ(jpeg.runner().offers().at(0).fourccs.at(0), SLUICE_FORMAT_YU12);
  EXPECT_EQ(jpeg.runner().offers().at(0).offer.color.range, SLUICE_RANGE_FULL);
}

TEST(WriteNodeTest, RefusesAnOddSizeForX264WithAWayOut) {
  SinkRun sink(ReadPath(TestFolder() + "/out.mp4"));
  EXPECT_LT(sink.Prepare(Grey(SLUICE_FORMAT_YU12, 641, 359)), 0);
  EXPECT_NE(sink.runner().error().find("641x359"), std::string::npos) << sink.runner().error();
  EXPECT_NE(sink.runner().error().find("ffmpeg.scale"), std::string::npos);
}

TEST(WriteNodeTest, LeavesNothingWhenItIsCutShort) {
  const std::string folder = TestFolder();
  SinkRun sink(ReadPath(folder + "/out.mp4"));
  ASSERT_EQ(sink.Prepare(Grey()), SLUICE_OK) << sink.runner().error();
  EXPECT_EQ(FilesIn(folder).size(), 1u);
  EXPECT_EQ(FilesIn(folder)[0].substr(0, 14), ".out.mp4.part-");
  ASSERT_EQ(sink.PushGrey(0), SLUICE_PROCESS_DONE);
  sink.runner().Stop(false);
  EXPECT_TRUE(FilesIn(folder).empty());
  EXPECT_EQ(sink.runner().Leaked(), 0u);
}

TEST(WriteNodeTest, ReplacesAFileOnlyWhenItIsTold) {
  const std::string folder = TestFolder();
  std::ofstream(folder + "/out.mp4") << "mine";
  SinkRun careful(ReadPath(folder + "/out.mp4"));
  EXPECT_EQ(careful.Prepare(Grey()), SLUICE_E_ALREADY_EXISTS);
  EXPECT_NE(careful.runner().error().find("out.mp4"), std::string::npos);

  SinkRun forced(ReadPath(folder + "/out.mp4"));
  forced.runner().set_overwrite(true);
  ASSERT_EQ(forced.Prepare(Grey()), SLUICE_OK) << forced.runner().error();
  ASSERT_EQ(forced.PushGrey(0), SLUICE_PROCESS_DONE);
  // Until the end it is the old one.
  EXPECT_EQ(std::filesystem::file_size(folder + "/out.mp4"), 4u);
  ASSERT_EQ(forced.runner().Drain(), SLUICE_PROCESS_END);
  EXPECT_GT(std::filesystem::file_size(folder + "/out.mp4"), 100u);
}

TEST(WriteNodeTest, StartsAgainAfterAStop) {
  const std::string folder = TestFolder();
  SinkRun sink(ReadPath(folder + "/out.mp4"));
  ASSERT_EQ(sink.Prepare(Grey()), SLUICE_OK);
  ASSERT_EQ(sink.PushGrey(3), SLUICE_PROCESS_DONE);
  sink.runner().Stop(false);
  ASSERT_EQ(sink.runner().Start(), SLUICE_OK);
  ASSERT_EQ(sink.PushGrey(0), SLUICE_PROCESS_DONE) << sink.runner().error();
  ASSERT_EQ(sink.runner().Drain(), SLUICE_PROCESS_END) << sink.runner().error();
  sink.runner().Stop();
  EXPECT_EQ(FilesIn(folder), std::vector<std::string>{"out.mp4"});
  EXPECT_EQ(sink.runner().Start(), SLUICE_E_ALREADY_EXISTS);
}

TEST(WriteNodeTest, DoesNotReplaceAFileThatAppearedMeanwhile) {
  const std::string folder = TestFolder();
  SinkRun sink(ReadPath(folder + "/out.mp4"));
  ASSERT_EQ(sink.Prepare(Grey()), SLUICE_OK);
  ASSERT_EQ(sink.PushGrey(0), SLUICE_PROCESS_DONE);
  std::ofstream(folder + "/out.mp4") << "mine";
  EXPECT_EQ(sink.runner().Drain(), SLUICE_E_ALREADY_EXISTS);
  sink.runner().Stop(false);
  EXPECT_EQ(FilesIn(folder), std::vector<std::string>{"out.mp4"});
  EXPECT_EQ(std::filesystem::file_size(folder + "/out.mp4"), 4u);
}

TEST(WriteNodeTest, RefusesASecondWriterOfTheSameFile) {
  const std::string folder = TestFolder();
  SinkRun first(ReadPath(folder + "/out.mp4"));
  ASSERT_EQ(first.Prepare(Grey()), SLUICE_OK);
  SinkRun second(
      ReadPath(folder + "/../" + std::filesystem::path(folder).filename().string() + "/out.mp4"));
  EXPECT_EQ(second.Prepare(Grey()), SLUICE_E_ALREADY_EXISTS);
  EXPECT_NE(second.runner().error().find("another node"), std::string::npos);
}

TEST(WriteNodeTest, FailsWithTheFilesNameWhenNothingMoreCanBeWritten) {
  const std::string folder = TestFolder();
  SinkRun sink(ReadPath(folder + "/out.mkv").String("codec", "ffv1"));
  ASSERT_EQ(sink.Prepare(Grey(SLUICE_FORMAT_YU12, 640, 480)), SLUICE_OK) << sink.runner().error();
  rlimit old_limit{};
  getrlimit(RLIMIT_FSIZE, &old_limit);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{2000, old_limit.rlim_max};
  setrlimit(RLIMIT_FSIZE, &limit);
  int32_t result = SLUICE_PROCESS_DONE;
  for (int i = 0; i < 20 && result >= 0; ++i) result = sink.PushGrey(i);
  if (result >= 0) result = sink.runner().Drain();
  setrlimit(RLIMIT_FSIZE, &old_limit);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(result, SLUICE_E_IO);
  EXPECT_NE(sink.runner().error().find("out.mkv: File too large"), std::string::npos)
      << sink.runner().error();
  sink.runner().Stop(false);
  EXPECT_TRUE(FilesIn(folder).empty());
}

TEST(WriteNodeTest, WritesPicturesByIndexFromThreadsWithinItsHold) {
  const std::string folder = TestFolder();
  SinkRun sink(ReadPath(folder + "/p-%03d.png").Int("threads", 4).Int("first_index", 8));
  ASSERT_EQ(sink.Prepare(Grey(SLUICE_FORMAT_AB24)), SLUICE_OK) << sink.runner().error();
  for (int i = 0; i < 12; ++i) ASSERT_EQ(sink.PushGrey(i), SLUICE_PROCESS_DONE) << i;
  ASSERT_EQ(sink.runner().Drain(), SLUICE_PROCESS_END) << sink.runner().error();
  sink.runner().Stop();
  ASSERT_EQ(FilesIn(folder).size(), 12u);
  EXPECT_EQ(FilesIn(folder).front(), "p-008.png");
  EXPECT_EQ(FilesIn(folder).back(), "p-019.png");
  // In order, with their pixels.
  SourceRun read(ReadPath(folder + "/p-010.png"));
  uint8_t value = 0;
  read.set_sink([&](const st::HeldFrame& frame) { value = frame.Row(0, 0)[0]; });
  ASSERT_EQ(read.PrepareAndRun(), SLUICE_PROCESS_END) << read.runner().error();
  EXPECT_EQ(value, 130);

  SinkRun again(ReadPath(folder + "/p-%03d.png"));
  EXPECT_EQ(again.Prepare(Grey(SLUICE_FORMAT_AB24)), SLUICE_E_ALREADY_EXISTS);
}

TEST(WriteNodeTest, WritesOnePictureAndRefusesASecondOne) {
  const std::string folder = TestFolder();
  SinkRun one(ReadPath(folder + "/one.png"));
  ASSERT_EQ(one.Prepare(Grey(SLUICE_FORMAT_AB24, 65, 49)), SLUICE_OK);
  ASSERT_EQ(one.PushGrey(0), SLUICE_PROCESS_DONE);
  ASSERT_EQ(one.runner().Drain(), SLUICE_PROCESS_END);
  EXPECT_EQ(FilesIn(folder), std::vector<std::string>{"one.png"});

  SinkRun jpeg(ReadPath(folder + "/two.jpg").Float("quality", 2));
  sluice_format format = Grey(SLUICE_FORMAT_YU12, 65, 49);
  format.color.range = SLUICE_RANGE_FULL;
  ASSERT_EQ(jpeg.Prepare(format), SLUICE_OK) << jpeg.runner().error();
  ASSERT_EQ(jpeg.PushGrey(0), SLUICE_PROCESS_DONE) << jpeg.runner().error();
  EXPECT_EQ(jpeg.PushGrey(1), SLUICE_E_INVALID_ARGUMENT);
  EXPECT_NE(jpeg.runner().error().find("%05d"), std::string::npos) << jpeg.runner().error();
  jpeg.runner().Stop(false);
  EXPECT_EQ(FilesIn(folder), std::vector<std::string>{"one.png"});
}

TEST(WriteNodeTest, GivesPicturesANewSizeAndRefusesItForAFilm) {
  const std::string folder = TestFolder();
  SinkRun pictures(ReadPath(folder + "/p-%d.png").Int("threads", 2));
  ASSERT_EQ(pictures.Prepare(Grey(SLUICE_FORMAT_AB24)), SLUICE_OK);
  ASSERT_EQ(pictures.PushGrey(0), SLUICE_PROCESS_DONE);
  pictures.runner().SetFormat(SLUICE_PORT_INPUT, 0, Grey(SLUICE_FORMAT_AB24, 32, 16));
  ASSERT_EQ(pictures.runner().Reconfigure(), SLUICE_OK) << pictures.runner().error();
  ASSERT_EQ(pictures.PushGrey(1), SLUICE_PROCESS_DONE);
  ASSERT_EQ(pictures.runner().Drain(), SLUICE_PROCESS_END);
  EXPECT_EQ(FilesIn(folder).size(), 2u);

  SinkRun film(ReadPath(folder + "/out.mp4"));
  ASSERT_EQ(film.Prepare(Grey()), SLUICE_OK);
  film.runner().SetFormat(SLUICE_PORT_INPUT, 0, Grey(SLUICE_FORMAT_YU12, 32, 16));
  EXPECT_EQ(film.runner().Reconfigure(), SLUICE_E_UNSUPPORTED);
  EXPECT_NE(film.runner().error().find("ffmpeg.scale"), std::string::npos);
}

TEST(WriteNodeTest, RefusesTimesThatDoNotGrow) {
  SinkRun sink(ReadPath(TestFolder() + "/out.mp4"));
  ASSERT_EQ(sink.Prepare(Grey()), SLUICE_OK);
  ASSERT_EQ(sink.PushGrey(5), SLUICE_PROCESS_DONE);
  EXPECT_EQ(sink.PushGrey(5), SLUICE_E_INVALID_ARGUMENT);
}

TEST(WriteNodeTest, FailsWhenNoFrameCame) {
  const std::string folder = TestFolder();
  SinkRun sink(ReadPath(folder + "/out.mp4"));
  ASSERT_EQ(sink.Prepare(Grey()), SLUICE_OK);
  EXPECT_EQ(sink.runner().Drain(), SLUICE_E_IO);
  sink.runner().Stop(false);
  EXPECT_TRUE(FilesIn(folder).empty());
}

TEST(WriteNodeTest, NamesWhatItDoesNotKnow) {
  const std::string folder = TestFolder();
  struct Case {
    st::Parameters params;
    const char* message;
  };
  std::vector<Case> cases;
  cases.push_back({ReadPath(folder + "/out.xyz"), "no container is known"});
  cases.push_back({ReadPath(folder + "/out.mp4").String("codec", "h265x"), "h265x"});
  cases.push_back(
      {ReadPath(folder + "/out.webm").String("codec", "libx264"), "does not carry h264"});
  cases.push_back({ReadPath(folder + "/out.mp4").Map("options", R"({"crff": 20})"), "'crff'"});
  cases.push_back({ReadPath(folder + "/out.mp4").String("bitrate", "many"), "bitrate"});
  cases.push_back({ReadPath(folder + "/o-%d-%d.png"), "one number"});
  cases.push_back({ReadPath(folder + "/none/out.mp4"), "none"});
  for (Case& test : cases) {
    SinkRun sink(std::move(test.params));
    EXPECT_LT(sink.Prepare(Grey()), 0) << test.message;
    EXPECT_NE(sink.runner().error().find(test.message), std::string::npos) << sink.runner().error();
  }
  EXPECT_TRUE(FilesIn(folder).empty());
}

TEST(WriteNodeTest, TakesOptionsOfTheEncoderAndOfTheContainer) {
  const std::string folder = TestFolder();
  SinkRun sink(ReadPath(folder + "/out.mp4")
                   .Map("options", R"({"tune": "stillimage", "movflags": "+faststart"})")
                   .Float("quality", 30));
  ASSERT_EQ(sink.Prepare(Grey()), SLUICE_OK) << sink.runner().error();
  ASSERT_EQ(sink.PushGrey(0), SLUICE_PROCESS_DONE);
  ASSERT_EQ(sink.runner().Drain(), SLUICE_PROCESS_END) << sink.runner().error();
}

TEST(WriteNodeTest, WritesNothingOfItsOwnBetweenTheLeaseAndTheEncoder) {
  st::FakeHost host;
  st::FakePool& pool = host.MakePool(Grey(), 1);
  sluice_frame* lease = pool.TakeBuffer(st::Holder::kNode)->c();
  auto frame = WrapLease(sdk::Frame(host.host().frames(), lease), AV_PIX_FMT_YUV420P);
  ASSERT_TRUE(frame.ok());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(pool.Contains((*frame)->data[i])) << i;
  // libav refuses to write to it, and keeps references instead of copies.
  EXPECT_EQ(av_frame_is_writable(frame->get()), 0);
  const FramePtr reference(av_frame_clone(frame->get()));
  EXPECT_EQ(reference->data[0], (*frame)->data[0]);
  frame->reset();
  EXPECT_EQ(host.LeasesOfNode(), 1u);
}

}  // namespace
}  // namespace sluice::ffmpeg::testing
