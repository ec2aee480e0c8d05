#include "nodes/ffmpeg/testing.h"

#include "nodes/ffmpeg/packet_frames.h"

namespace sluice::ffmpeg::testing {
namespace {

uint64_t CopiedBytes(const st::NodeRunner& runner) {
  uint64_t bytes = 0;
  for (const st::RecordedCopy& copy : runner.copies()) bytes += copy.bytes;
  return bytes;
}

uint64_t Drops(const st::NodeRunner& runner) {
  uint64_t frames = 0;
  for (const st::RecordedDrop& drop : runner.drops()) frames += drop.frames;
  return frames;
}

void ExpectClean(DecodeRun& run) {
  run.runner().Stop();
  EXPECT_EQ(run.runner().Leaked(), 0u);
  EXPECT_TRUE(run.runner().violations().empty()) << run.runner().violations().at(0);
}

/// The same pictures at the same times as ffmpeg.read makes of the file.
void ExpectAsRead(const std::string& path, const std::vector<Seen>& frames) {
  SourceRun read(ReadPath(path));
  ASSERT_EQ(read.PrepareAndRun(), SLUICE_PROCESS_END) << read.runner().error();
  ASSERT_EQ(frames.size(), read.frames().size());
  for (size_t i = 0; i < frames.size(); ++i) {
    EXPECT_EQ(frames[i].checksum, read.frames()[i].checksum) << i;
    EXPECT_EQ(frames[i].info.pts_ticks, read.frames()[i].info.pts_ticks) << i;
    EXPECT_EQ(frames[i].info.pts_ns, read.frames()[i].info.pts_ns) << i;
    EXPECT_EQ(frames[i].info.time_base_den, read.frames()[i].info.time_base_den) << i;
    EXPECT_EQ(frames[i].info.flags, read.frames()[i].info.flags) << i;
    EXPECT_EQ(frames[i].info.aspect_num, read.frames()[i].info.aspect_num) << i;
    EXPECT_EQ(frames[i].info.crop_width, read.frames()[i].info.crop_width) << i;
    EXPECT_EQ(frames[i].format.fourcc, read.frames()[i].format.fourcc) << i;
    EXPECT_TRUE(SameColor(frames[i].format.color, read.frames()[i].format.color)) << i;
  }
}

TEST(DecodeNodeTest, MakesOfThePhoneClipsPacketsWhatReadMakesOfTheFile) {
  const CompressedClip clip(kPhoneClip);
  EXPECT_EQ(clip.format.fourcc, SLUICE_FORMAT_H264);
  EXPECT_EQ(clip.frames.size(), 41u);
  DecodeRun run;
  ASSERT_EQ(run.Run(clip), SLUICE_PROCESS_END) << run.runner().error();
  ExpectAsRead(kPhoneClip, run.frames());
  EXPECT_EQ(CopiedBytes(run.runner()), 0u) << run.runner().copies().at(0).reason;
  EXPECT_EQ(Drops(run.runner()), 0u);
  ExpectClean(run);
}

TEST(DecodeNodeTest, GivesEveryReorderedPictureTheInfoOfItsOwnFrame) {
  const std::string path = Fixture(TestFolder(), "bframes.mp4");
  CompressedClip clip(path);
  for (size_t i = 0; i < clip.frames.size(); ++i) {
    clip.frames[i].info.captured_ns = 1'000'000 + clip.frames[i].info.pts_ns;
    clip.frames[i].info.rotation_degrees = 90;
  }
  for (const int threads : {1, 3}) {
    DecodeRun run(st::Parameters().Int("threads", threads));
    ASSERT_EQ(run.Run(clip), SLUICE_PROCESS_END) << run.runner().error();
    ExpectAsRead(path, run.frames());
    for (const Seen& frame : run.frames()) {
      EXPECT_EQ(frame.info.captured_ns, 1'000'000 + frame.info.pts_ns);
      EXPECT_EQ(frame.info.rotation_degrees, 90);
      EXPECT_EQ(frame.info.bytes_used, 0u);
    }
    ExpectClean(run);
  }
}

TEST(DecodeNodeTest, APictureIsMirroredWhereItsFrameSaysSo) {
  CompressedClip clip(Fixture(TestFolder(), "bframes.mp4"));
  const auto is_second = [](const sluice_frame_info& info) {
    return info.pts_ns / 40'000'000 % 2 != 0;
  };
  for (Compressed& frame : clip.frames) {
    if (is_second(frame.info)) frame.info.flags |= SLUICE_FRAME_MIRRORED;
  }
  DecodeRun run;
  ASSERT_EQ(run.Run(clip), SLUICE_PROCESS_END) << run.runner().error();
  ASSERT_EQ(run.frames().size(), 40u);
  for (const Seen& frame : run.frames()) {
    EXPECT_EQ((frame.info.flags & SLUICE_FRAME_MIRRORED) != 0, is_second(frame.info))
        << frame.info.pts_ns;
  }
  ExpectClean(run);
}

TEST(DecodeNodeTest, DecodesHevc) {
  const std::string path = Fixture(TestFolder(), "hevc.mp4");
  DecodeRun run;
  ASSERT_EQ(run.Run(CompressedClip(path)), SLUICE_PROCESS_END) << run.runner().error();
  ExpectAsRead(path, run.frames());
  EXPECT_EQ(CopiedBytes(run.runner()), 0u);
  ExpectClean(run);
}

TEST(DecodeNodeTest, DecodesJpegsInPlaceAndWithoutANewFormat) {
  const std::string path = Fixture(TestFolder(), "mjpeg.avi");
  const CompressedClip clip(path);
  EXPECT_EQ(clip.format.fourcc, SLUICE_FORMAT_MJPG);
  EXPECT_EQ(clip.format.color.range, SLUICE_RANGE_FULL);
  DecodeRun run;
  ASSERT_EQ(run.Prepare(clip.format), SLUICE_OK) << run.runner().error();
  for (size_t i = 0; i < clip.frames.size(); ++i) {
    ASSERT_GE(run.Push(clip.frames[i]), 0) << run.runner().error();
    EXPECT_EQ(run.frames().size(), i + 1) << "a picture of each frame, at once";
  }
  EXPECT_EQ(run.Drain(), SLUICE_PROCESS_END);
  ExpectAsRead(path, run.frames());
  EXPECT_EQ(run.fourccs().size(), 1u);
  EXPECT_EQ(CopiedBytes(run.runner()), 0u);
  ExpectClean(run);
}

TEST(DecodeNodeTest, AsksForAFormatWithTheChromaOfTheFirstPicture) {
  const std::string path = Fixture(TestFolder(), "mjpeg_422.avi");
  DecodeRun run;
  ASSERT_EQ(run.Run(CompressedClip(path)), SLUICE_PROCESS_END) << run.runner().error();
  EXPECT_EQ(run.fourccs(), (std::vector<uint32_t>{SLUICE_FORMAT_YU12, SLUICE_FORMAT_YUYV}));
  EXPECT_EQ(run.Offers("out").at(0).copies, "conversion from yuvj422p to YUYV");
  ExpectAsRead(path, run.frames());
  EXPECT_EQ(CopiedBytes(run.runner()), 8u * 320 * 180 * 2);
  ExpectClean(run);
}

TEST(DecodeNodeTest, ConvertsWhereTheGraphCannotFollow) {
  DecodeRun run;
  run.set_stays(true);
  ASSERT_EQ(run.Run(CompressedClip(Fixture(TestFolder(), "mjpeg_422.avi"))), SLUICE_PROCESS_END)
      << run.runner().error();
  EXPECT_EQ(run.fourccs(), (std::vector<uint32_t>{SLUICE_FORMAT_YU12, SLUICE_FORMAT_YU12}));
  EXPECT_EQ(run.frames().size(), 8u);
  EXPECT_EQ(run.runner().copies().at(0).reason, "conversion from yuvj422p to YU12");
  EXPECT_EQ(CopiedBytes(run.runner()), 8u * 320 * 180 * 3 / 2);
  ExpectClean(run);
}

TEST(DecodeNodeTest, KeepsWhatArrivesWhileTheNewFormatIsAwaited) {
  const std::string path = Fixture(TestFolder(), "mjpeg_422.avi");
  const CompressedClip clip(path);
  DecodeRun run;
  ASSERT_EQ(run.Prepare(clip.format), SLUICE_OK);
  for (size_t i = 0; i < 3; ++i) {
    // As the engine does: the frames under way arrive before the new epoch.
    st::HeldFrame input = run.runner().NewFrame();
    ASSERT_TRUE(input);
    input.Info() = clip.frames[i].info;
    std::copy(clip.frames[i].bytes.begin(), clip.frames[i].bytes.end(), input.Row(0, 0));
    EXPECT_EQ(run.runner().Push(std::move(input)), SLUICE_PROCESS_DONE);
  }
  EXPECT_EQ(run.runner().renegotiations(), 1u);
  EXPECT_EQ(run.runner().emitted(), 0u);
  ASSERT_GE(run.Renegotiate(), 0) << run.runner().error();
  for (size_t i = 3; i < clip.frames.size(); ++i) ASSERT_GE(run.Push(clip.frames[i]), 0);
  EXPECT_EQ(run.Drain(), SLUICE_PROCESS_END);
  ExpectAsRead(path, run.frames());
  ExpectClean(run);
}

TEST(DecodeNodeTest, AClipThatEndsWhileTheNewFormatIsAwaitedIsWhole) {
  CompressedClip clip(Fixture(TestFolder(), "mjpeg_422.avi"));
  clip.frames.resize(1);
  DecodeRun run;
  ASSERT_EQ(run.Prepare(clip.format), SLUICE_OK);
  st::HeldFrame input = run.runner().NewFrame();
  input.Info() = clip.frames[0].info;
  std::copy(clip.frames[0].bytes.begin(), clip.frames[0].bytes.end(), input.Row(0, 0));
  EXPECT_EQ(run.runner().Push(std::move(input)), SLUICE_PROCESS_DONE);
  EXPECT_EQ(run.runner().Drain(1), SLUICE_PROCESS_NEED_MORE)
      << "nothing to do before the new epoch";
  ASSERT_GE(run.Renegotiate(), 0);
  EXPECT_EQ(run.Drain(), SLUICE_PROCESS_END);
  EXPECT_EQ(run.frames().size(), 1u);
  ExpectClean(run);
}

TEST(DecodeNodeTest, ABrokenJpegIsCountedAndTheOthersArrive) {
  CompressedClip clip(Fixture(TestFolder(), "mjpeg.avi"));
  clip.frames[3].bytes.assign(1000, 0x55);
  clip.frames[3].info.bytes_used = 1000;
  clip.frames[3].info.flags |= SLUICE_FRAME_DISCONTINUITY;
  DecodeRun run;
  ASSERT_EQ(run.Run(clip), SLUICE_PROCESS_END) << run.runner().error();
  ASSERT_EQ(run.frames().size(), 11u);
  EXPECT_EQ(Drops(run.runner()), 1u);
  EXPECT_EQ(run.frames()[3].info.pts_ticks, clip.frames[4].info.pts_ticks);
  EXPECT_NE(run.frames()[3].info.flags & SLUICE_FRAME_DISCONTINUITY, 0u)
      << "the mark of the lost one is the next one's";
  ExpectClean(run);
}

TEST(DecodeNodeTest, ABrokenJpegEndsTheRunWhereThatIsAskedFor) {
  CompressedClip clip(Fixture(TestFolder(), "mjpeg.avi"));
  clip.frames[3].bytes.assign(1000, 0x55);
  clip.frames[3].info.bytes_used = 1000;
  DecodeRun run(st::Parameters().Enum("damage", "fail"));
  EXPECT_EQ(run.Run(clip), SLUICE_E_IO);
  EXPECT_NE(run.runner().error().find("input 3"), std::string::npos) << run.runner().error();
  ExpectClean(run);
}

TEST(DecodeNodeTest, AJpegThatWasCutOffIsMarkedCorrupt) {
  CompressedClip clip(Fixture(TestFolder(), "mjpeg.avi"));
  clip.frames[2].bytes.resize(clip.frames[2].bytes.size() / 2);
  clip.frames[2].info.bytes_used = clip.frames[2].bytes.size();
  DecodeRun run;
  ASSERT_EQ(run.Run(clip), SLUICE_PROCESS_END) << run.runner().error();
  ASSERT_EQ(run.frames().size(), 12u);
  for (size_t i = 0; i < 12; ++i) {
    EXPECT_EQ((run.frames()[i].info.flags & SLUICE_FRAME_CORRUPT) != 0, i == 2) << i;
  }
  ExpectClean(run);
}

TEST(DecodeNodeTest, NothingThatDecodesIsAnError) {
  CompressedClip clip(Fixture(TestFolder(), "mjpeg.avi"));
  for (Compressed& frame : clip.frames) {
    frame.bytes.assign(500, 0);
    frame.info.bytes_used = 500;
  }
  DecodeRun run;
  EXPECT_EQ(run.Run(clip), SLUICE_E_IO);
  EXPECT_NE(run.runner().error().find("none of 12 inputs"), std::string::npos)
      << run.runner().error();
  ExpectClean(run);
}

TEST(DecodeNodeTest, AStreamThatIsJoinedInTheMiddleBeginsAtItsNextKeyFrame) {
  const std::string path = Fixture(TestFolder(), "bframes.mp4");
  CompressedClip clip(path);
  clip.frames.erase(clip.frames.begin(), clip.frames.begin() + 3);
  DecodeRun run;
  ASSERT_EQ(run.Run(clip), SLUICE_PROCESS_END) << run.runner().error();
  ASSERT_FALSE(run.frames().empty());
  EXPECT_NE(run.frames()[0].info.flags & SLUICE_FRAME_KEY, 0u);
  EXPECT_EQ(run.frames().size(), 40u - 12) << "a key frame every 12";
  ExpectClean(run);
}

TEST(DecodeNodeTest, MoreBytesThanTheBufferHasAreRefusedFrameByFrame) {
  CompressedClip clip(Fixture(TestFolder(), "mjpeg.avi"));
  clip.frames[1].info.bytes_used = uint64_t{1} << 40;
  clip.frames[5].info.bytes_used = 0;
  clip.frames[5].info.flags |= SLUICE_FRAME_CORRUPT;
  DecodeRun run;
  ASSERT_EQ(run.Run(clip), SLUICE_PROCESS_END) << run.runner().error();
  EXPECT_EQ(run.frames().size(), 10u);
  EXPECT_EQ(Drops(run.runner()), 2u);
  ExpectClean(run);
}

TEST(DecodeNodeTest, WithoutALengthTheWholeBufferIsTheFrame) {
  CompressedClip clip(Fixture(TestFolder(), "mjpeg.avi"));
  for (Compressed& frame : clip.frames) frame.info.bytes_used = 0;
  DecodeRun run;
  ASSERT_EQ(run.Run(clip), SLUICE_PROCESS_END) << run.runner().error();
  EXPECT_EQ(run.frames().size(), 12u);
  ExpectClean(run);
}

TEST(DecodeNodeTest, ABufferThatIsFilledToItsEndIsCopiedWithACount) {
  const std::string path = Fixture(TestFolder(), "mjpeg.avi");
  CompressedClip clip(path);
  sluice_layout layout = st::MakeLayout(clip.format);
  for (Compressed& frame : clip.frames) {
    // Zeros behind the end marker, as some cameras pad.
    frame.bytes.resize(layout.planes[0].size);
    frame.info.bytes_used = frame.bytes.size();
  }
  DecodeRun run;
  run.set_input_layout(layout);
  ASSERT_EQ(run.Run(clip), SLUICE_PROCESS_END) << run.runner().error();
  ExpectAsRead(path, run.frames());
  EXPECT_EQ(CopiedBytes(run.runner()), 12 * layout.planes[0].size);
  EXPECT_EQ(run.runner().copies().at(0).port, "in");
  ExpectClean(run);
}

TEST(DecodeNodeTest, AnInputThatIsSaidToBeLimitedIsMadeLimited) {
  CompressedClip clip(Fixture(TestFolder(), "mjpeg.avi"));
  clip.format.color.range = SLUICE_RANGE_LIMITED;
  DecodeRun run;
  ASSERT_EQ(run.Run(clip), SLUICE_PROCESS_END) << run.runner().error();
  EXPECT_EQ(run.frames().size(), 12u);
  EXPECT_EQ(run.runner().copies().at(0).reason, "conversion between colour encodings");
  ExpectClean(run);
}

TEST(DecodeNodeTest, APictureOfAnotherSizeIsDroppedAndNamed) {
  CompressedClip clip(Fixture(TestFolder(), "mjpeg.avi"));
  clip.format.width = 640;
  DecodeRun run;
  EXPECT_EQ(run.Run(clip), SLUICE_E_IO);
  EXPECT_NE(run.runner().error().find("a picture of 322x182 where 640x182"), std::string::npos)
      << run.runner().error();
  EXPECT_EQ(Drops(run.runner()), 12u);
  ExpectClean(run);
}

TEST(DecodeNodeTest, ADriverThatSaysLessThanWholeMacroblocksGetsThem) {
  CompressedClip clip(Fixture(TestFolder(), "mjpeg.avi"));
  clip.format.width = 320;
  clip.format.height = 180;
  DecodeRun run;
  ASSERT_EQ(run.Run(clip), SLUICE_PROCESS_END) << run.runner().error();
  ASSERT_EQ(run.frames().size(), 12u);
  EXPECT_EQ(run.frames()[0].format.width, 320u);
  ExpectClean(run);
}

TEST(DecodeNodeTest, RunsAgainAfterAStop) {
  const std::string path = Fixture(TestFolder(), "mjpeg.avi");
  const CompressedClip clip(path);
  DecodeRun run;
  ASSERT_EQ(run.Prepare(clip.format), SLUICE_OK);
  for (const Compressed& frame : clip.frames) ASSERT_GE(run.Push(frame), 0);
  run.runner().Stop(false);
  EXPECT_EQ(run.runner().Leaked(), 0u);
  ASSERT_EQ(run.runner().Start(), SLUICE_OK);
  for (const Compressed& frame : clip.frames) ASSERT_GE(run.Push(frame), 0);
  EXPECT_EQ(run.Drain(), SLUICE_PROCESS_END);
  EXPECT_EQ(run.frames().size(), 24u);
  ExpectClean(run);
}

TEST(ReadNodeTest, HandsOutPacketsWithTheirTimesAndCountsTheirBytes) {
  SourceRun run(st::Parameters().Path("path", kPhoneClip).Bool("decode", false));
  uint64_t bytes = 0;
  run.set_sink([&](const st::HeldFrame& frame) {
    bytes += frame.Info().bytes_used;
    const uint8_t* data = frame.Row(0, 0);
    EXPECT_EQ(data[0] | data[1], 0) << "a start code";
    EXPECT_EQ(frame.Info().flags & SLUICE_FRAME_KEY, frame.Info().sequence == 0
                                                         ? SLUICE_FRAME_KEY
                                                         : frame.Info().flags & SLUICE_FRAME_KEY);
  });
  ASSERT_EQ(run.PrepareAndRun(), SLUICE_PROCESS_END) << run.runner().error();
  EXPECT_EQ(run.frames().size(), 41u);
  EXPECT_EQ(CopiedBytes(run.runner()), bytes);
  EXPECT_FALSE(run.runner().offers().at(0).copies.empty()) << "said before";
}

TEST(ReadNodeTest, HasNoPacketsOfOtherCodecsToHandOut) {
  SourceRun run(
      st::Parameters().Path("path", Fixture(TestFolder(), "vp9.webm")).Bool("decode", false));
  EXPECT_EQ(run.Prepare(), SLUICE_E_UNSUPPORTED);
  EXPECT_NE(run.runner().error().find("vp9"), std::string::npos) << run.runner().error();
}

TEST(ReadNodeTest, LoopsPacketsWithTimesThatGoOn) {
  SourceRun run(st::Parameters()
                    .Path("path", Fixture(TestFolder(), "mjpeg.avi"))
                    .Bool("decode", false)
                    .Int("loop", 1));
  ASSERT_EQ(run.PrepareAndRun(), SLUICE_PROCESS_END) << run.runner().error();
  ASSERT_EQ(run.frames().size(), 24u);
  for (size_t i = 0; i < 24; ++i) {
    EXPECT_EQ(run.frames()[i].info.pts_ticks, static_cast<int64_t>(i));
  }
  EXPECT_NE(run.frames()[12].info.flags & SLUICE_FRAME_DISCONTINUITY, 0u);
}

TEST(EndOfImageTest, IsFoundBeforePaddingAndOnlyAsAWholeMarker) {
  const auto has = [](std::vector<uint8_t> bytes) {
    return HasEndOfImage(bytes.data(), bytes.size());
  };
  EXPECT_TRUE(has({0xff, 0xd9}));
  EXPECT_TRUE(has({0xff, 0xd8, 0xff, 0xd9, 0, 0, 0xd9}));
  EXPECT_FALSE(has({0xff, 0xd8, 0xd9, 0xd9}));
  EXPECT_FALSE(has({0xd9}));
  EXPECT_FALSE(has({}));
  EXPECT_FALSE(has({0xd9, 0xff}));
}

}  // namespace
}  // namespace sluice::ffmpeg::testing
