#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <new>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <sluice/testing/node_runner.hpp>

#include "nodes/core/crc32.h"
#include "nodes/core/frame_ranges.h"
#include "nodes/core/testing.h"

extern "C" const sluice_entry sluice_plugin;

namespace {

std::atomic<uint64_t> g_allocations{0};

}  // namespace

// Counted, to see that a frame costs no allocation.
void* operator new(std::size_t size) {
  ++g_allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace sluice::core {
namespace {

using sdk::testing::HeldFrame;
using sdk::testing::kNotRunnable;
using sdk::testing::MakeFormat;
using sdk::testing::NodeRunner;
using sdk::testing::Parameters;
using sdk::testing::PlanesOf;
using sdk::testing::PortSpec;

constexpr uint32_t kAllFormats[] = {SLUICE_FORMAT_YU12, SLUICE_FORMAT_NV12, SLUICE_FORMAT_YUYV,
                                    SLUICE_FORMAT_AB24, SLUICE_FORMAT_XB24, SLUICE_FORMAT_AR24,
                                    SLUICE_FORMAT_XR24, SLUICE_FORMAT_R8,   SLUICE_FORMAT_P010,
                                    SLUICE_FORMAT_AB4H};

void Fill(const HeldFrame& frame, uint8_t value) {
  const auto shapes = PlanesOf(frame.Format().fourcc);
  for (uint32_t plane = 0; plane < shapes.size(); ++plane) {
    const uint32_t rows =
        (frame.Format().height + shapes[plane].vertical - 1) / shapes[plane].vertical;
    std::memset(frame.Row(plane, 0), value, rows * frame.stride(plane));
  }
}

std::string ReadFile(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

/// A fresh path in the test's own folder.
std::string TempPath(const std::string& name) {
  const auto* info = testing::UnitTest::GetInstance()->current_test_info();
  const std::string path = testing::TempDir() + "/" + info->name() + "_" + name;
  unlink(path.c_str());
  return path;
}

/// What the counter band of a frame says.
uint32_t ReadCounter(const HeldFrame& frame) {
  const sluice_format& format = frame.Format();
  const uint32_t width = std::max(1u, format.width / 32);
  const uint32_t cell = width == 1 ? 1 : width & ~1u;
  const uint32_t pixel_bytes =
      format.fourcc == SLUICE_FORMAT_YUYV ? 2 : PlanesOf(format.fourcc)[0].bytes;
  // The upper byte of samples that have two; white is 0x3C there in half floats, and black 0x10 in
  // P010.
  const bool deep = format.fourcc == SLUICE_FORMAT_P010 || format.fourcc == SLUICE_FORMAT_AB4H;
  uint32_t value = 0;
  for (uint32_t i = 0; i < 32; ++i) {
    const uint8_t sample = frame.Row(0, 0)[i * cell * pixel_bytes + (deep ? 1 : 0)];
    value = value << 1 | (sample > 0x20 ? 1 : 0);
  }
  return value;
}

class Source {
 public:
  explicit Source(Parameters params, const sluice_format& format, uint32_t buffers = 4,
                  bool realtime = false)
      : runner_(sluice_plugin, "core.testsrc", std::move(params)) {
    PortSpec out;
    out.format = format;
    out.buffers = buffers;
    runner_.Output("out", out);
    runner_.set_realtime(realtime);
    EXPECT_EQ(runner_.created(), SLUICE_OK);
    EXPECT_EQ(runner_.Configure(), SLUICE_OK) << runner_.error();
    EXPECT_EQ(runner_.Start(), SLUICE_OK);
  }
  ~Source() {
    runner_.Stop();
    EXPECT_EQ(runner_.Leaked(), 0u);
    EXPECT_TRUE(runner_.violations().empty()) << runner_.violations().front();
  }
  HeldFrame Next() {
    const int32_t result = runner_.Step();
    EXPECT_TRUE(result == SLUICE_PROCESS_DONE || result == SLUICE_PROCESS_END) << result;
    return runner_.Take();
  }
  NodeRunner& runner() { return runner_; }

 private:
  NodeRunner runner_;
};

TEST(TestSourceTest, StampsFramesByItsRateExactly) {
  Source source(Parameters().Rate("rate", 30000, 1001),
                MakeFormat(SLUICE_FORMAT_YU12, 64, 32, {30000, 1001}));
  for (int64_t i = 0; i < 5; ++i) {
    const HeldFrame frame = source.Next();
    EXPECT_EQ(frame.Info().sequence, static_cast<uint64_t>(i));
    EXPECT_EQ(frame.Info().pts_ns, i * 1001 * 1'000'000'000 / 30000);
    EXPECT_EQ(frame.Info().pts_ticks, i);
    EXPECT_EQ(frame.Info().time_base_num, 1001u);
    EXPECT_EQ(frame.Info().time_base_den, 30000u);
  }
}

TEST(TestSourceTest, CarriesItsSequenceInEveryFormatAlsoWhenBuffersAreReused) {
  for (const uint32_t fourcc : kAllFormats) {
    Source source({}, MakeFormat(fourcc, 200, 40), 2);
    for (uint32_t i = 0; i < 9; ++i) EXPECT_EQ(ReadCounter(source.Next()), i) << fourcc;
  }
}

TEST(TestSourceTest, AStillPictureDiffersFromFrameToFrameInItsCounterOnly) {
  for (const uint32_t fourcc : kAllFormats) {
    Source source({}, MakeFormat(fourcc, 130, 50), 2);
    const HeldFrame zero = source.Next();
    source.Next();
    source.Next();
    const HeldFrame three = source.Next();
    EXPECT_NE(Bytes(zero), Bytes(three));
    for (uint32_t plane = 0; plane < zero.planes(); ++plane) {
      const auto shape = PlanesOf(fourcc)[plane];
      for (uint32_t y = 16 / shape.vertical; y < 50 / shape.vertical; ++y) {
        const uint32_t size = 130 / shape.horizontal * shape.bytes;
        ASSERT_TRUE(std::equal(zero.Row(plane, y), zero.Row(plane, y) + size, three.Row(plane, y)));
      }
    }
  }
}

TEST(TestSourceTest, PaintsABufferAgainThatSomebodyOverwrote) {
  Source source({}, MakeFormat(SLUICE_FORMAT_NV12, 64, 64), 1);
  std::vector<uint8_t> first = Bytes(source.Next());
  source.runner().output_pool(0)->PoisonFree(0xA5);
  std::vector<uint8_t> second = Bytes(source.Next());
  // The counter's band apart: 16 rows of luma.
  EXPECT_TRUE(std::equal(first.begin() + 64 * 16, first.end(), second.begin() + 64 * 16));
}

TEST(TestSourceTest, ColoursOfTheBarsAreTheStandards) {
  Source source(Parameters().Bool("counter", false), MakeFormat(SLUICE_FORMAT_YU12, 160, 16));
  const HeldFrame frame = source.Next();
  // 75 % bars, BT.709 limited: white, yellow, ..., blue, black.
  const int luma[] = {180, 168, 145, 133, 63, 51, 28, 16};
  const int cb[] = {128, 44, 147, 63, 193, 109, 212, 128};
  const int cr[] = {128, 136, 44, 52, 204, 212, 120, 128};
  for (int bar = 0; bar < 8; ++bar) {
    EXPECT_NEAR(frame.Row(0, 8)[bar * 20 + 10], luma[bar], 1) << bar;
    EXPECT_NEAR(frame.Row(1, 4)[bar * 10 + 5], cb[bar], 1) << bar;
    EXPECT_NEAR(frame.Row(2, 4)[bar * 10 + 5], cr[bar], 1) << bar;
  }
}

TEST(TestSourceTest, GivesTheSameBytesOnEveryMachine) {
  const struct {
    const char* pattern;
    uint32_t crc;
  } golden[] = {{"bars", 0x296CF1DB},
                {"gradient", 0x985232B7},
                {"checker", 0x0DF37777},
                {"noise", 0xC875A4F6}};
  for (const auto& entry : golden) {
    Source source(Parameters().Enum("pattern", entry.pattern).Int("seed", 7),
                  MakeFormat(SLUICE_FORMAT_YU12, 97, 43));
    const std::vector<uint8_t> bytes = Bytes(source.Next());
    EXPECT_EQ(Crc32(0, bytes.data(), bytes.size()), entry.crc) << entry.pattern;
  }
}

TEST(TestSourceTest, NoiseIsSeededAndDiffersFromFrameToFrame) {
  const auto frames = [](int64_t seed) {
    Source source(Parameters().Enum("pattern", "noise").Int("seed", seed).Bool("counter", false),
                  MakeFormat(SLUICE_FORMAT_AB24, 33, 17));
    return std::vector{Bytes(source.Next()), Bytes(source.Next())};
  };
  const auto one = frames(1);
  EXPECT_NE(one[0], one[1]);
  EXPECT_EQ(one, frames(1));
  EXPECT_NE(one[0], frames(2)[0]);
  for (std::size_t i = 3; i < one[0].size(); i += 4) ASSERT_EQ(one[0][i], 255);
}

TEST(TestSourceTest, DrawsPicturesOfOneByOnePixel) {
  for (const uint32_t fourcc : kAllFormats) {
    for (const char* pattern : {"bars", "gradient", "checker", "noise"}) {
      Source source(Parameters().Enum("pattern", pattern), MakeFormat(fourcc, 1, 1));
      EXPECT_TRUE(source.Next());
      EXPECT_TRUE(source.Next());
    }
  }
}

TEST(TestSourceTest, EndsWithItsLastFrame) {
  Source source(Parameters().Int("frames", 2), MakeFormat(SLUICE_FORMAT_R8, 8, 8));
  EXPECT_EQ(source.runner().Step(), SLUICE_PROCESS_DONE);
  EXPECT_EQ(source.runner().Step(), SLUICE_PROCESS_END);
  EXPECT_EQ(source.runner().Step(), SLUICE_PROCESS_END);
  EXPECT_EQ(source.runner().emitted(), 2u);
}

TEST(TestSourceTest, InRealTimeAsksToBeWokenWhenTheNextFrameIsDue) {
  // One frame in a thousand seconds: the second is never due while the test runs.
  Source source(Parameters().Rate("rate", 1, 1000), MakeFormat(SLUICE_FORMAT_R8, 8, 8, {1, 1000}),
                4, true);
  EXPECT_EQ(source.runner().Step(), SLUICE_PROCESS_DONE);
  EXPECT_EQ(source.runner().wake_at_ns(), -1);
  EXPECT_EQ(source.runner().Step(), SLUICE_PROCESS_NEED_MORE);
  EXPECT_GT(source.runner().wake_at_ns(), 1'000'000'000'000);
  EXPECT_EQ(source.runner().emitted(), 1u);
}

TEST(TestSourceTest, RefusesAFormatThatIsNotItsParameters) {
  NodeRunner runner(sluice_plugin, "core.testsrc", Parameters().Enum("format", "NV12"));
  PortSpec out;
  out.format = MakeFormat(SLUICE_FORMAT_YU12, 8, 8);
  runner.Output("out", out);
  EXPECT_EQ(runner.Configure(), SLUICE_E_UNSUPPORTED);
}

TEST(TestSourceTest, RefusesBadParametersWithTheirName) {
  NodeRunner runner(sluice_plugin, "core.testsrc", Parameters().Rate("rate", 0, 1));
  EXPECT_EQ(runner.created(), SLUICE_E_INVALID_ARGUMENT);
  EXPECT_EQ(runner.error(), "rate must be above 0");
}

TEST(CoreNodesTest, AFrameCostsNoAllocation) {
  for (const char* pattern : {"bars", "noise"}) {
    NodeRunner source(sluice_plugin, "core.testsrc", Parameters().Enum("pattern", pattern));
    NodeRunner sum(sluice_plugin, "core.checksum", Parameters().Path("path", TempPath("sums")));
    PortSpec port;
    port.format = MakeFormat(SLUICE_FORMAT_YU12, 64, 64);
    source.Output("out", port);
    sum.Input("in", port).Output("out", PortSpec{.connected = false});
    ASSERT_EQ(source.Configure(), SLUICE_OK);
    ASSERT_EQ(source.Start(), SLUICE_OK);
    ASSERT_EQ(sum.Configure(), SLUICE_OK);
    ASSERT_EQ(sum.Start(), SLUICE_OK);
    source.set_on_emit([](uint32_t, HeldFrame) {});
    uint64_t before = 0;
    for (int i = 0; i < 200; ++i) {
      if (i == 100) before = g_allocations;
      ASSERT_EQ(source.Step(), SLUICE_PROCESS_DONE);
    }
    EXPECT_EQ(g_allocations - before, 0u);
    for (int i = 0; i < 200; ++i) {
      if (i == 100) before = g_allocations;
      std::vector<HeldFrame> inputs(1);
      inputs[0] = sum.NewFrame();
      ASSERT_EQ(sum.Process(std::move(inputs)), SLUICE_PROCESS_DONE);
    }
    // The vector of the test itself.
    EXPECT_EQ(g_allocations - before, 100u);
  }
}

/// A node with one input and one output that passes through.
class Hop {
 public:
  Hop(const char* type, Parameters params, const sluice_format& format, bool out = true)
      : runner_(sluice_plugin, type, std::move(params)) {
    PortSpec in;
    in.format = format;
    runner_.Input("in", in);
    PortSpec pass;
    pass.format = format;
    pass.passthrough = true;
    pass.connected = out;
    runner_.Output("out", pass);
  }
  ~Hop() {
    EXPECT_EQ(runner_.Leaked(), 0u);
    EXPECT_TRUE(runner_.violations().empty()) << runner_.violations().front();
  }
  int32_t Begin() {
    if (runner_.created() < 0) return runner_.created();
    const int32_t code = runner_.Configure();
    return code < 0 ? code : runner_.Start();
  }
  int32_t Push(uint64_t sequence, int64_t pts_ns, uint8_t fill = 0) {
    HeldFrame frame = runner_.NewFrame();
    Fill(frame, fill);
    frame.Info().sequence = sequence;
    frame.Info().pts_ns = pts_ns;
    return runner_.Push(std::move(frame));
  }
  NodeRunner& runner() { return runner_; }

 private:
  NodeRunner runner_;
};

TEST(NullTest, ReleasesEveryFrame) {
  NodeRunner runner(sluice_plugin, "core.null");
  PortSpec in;
  in.format = MakeFormat(SLUICE_FORMAT_R8, 4, 4);
  in.buffers = 1;
  runner.Input("in", in);
  ASSERT_EQ(runner.Configure(), SLUICE_OK);
  ASSERT_EQ(runner.Start(), SLUICE_OK);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(runner.Push(runner.NewFrame()), SLUICE_PROCESS_DONE);
    EXPECT_EQ(runner.Leaked(), 0u);
  }
}

TEST(IdentityTest, PassesTheSameBufferOn) {
  Hop hop("core.identity", {}, MakeFormat(SLUICE_FORMAT_R8, 4, 4));
  ASSERT_EQ(hop.Begin(), SLUICE_OK);
  HeldFrame in = hop.runner().NewFrame();
  const uint32_t index = in.BufferId().index;
  in.Info().pts_ns = 77;
  ASSERT_EQ(hop.runner().Push(std::move(in)), SLUICE_PROCESS_DONE);
  const HeldFrame out = hop.runner().Take();
  EXPECT_EQ(out.BufferId().index, index);
  EXPECT_EQ(out.Info().pts_ns, 77);
}

TEST(ChecksumTest, WritesALineForEachFrameAndTheFileWhenItEnds) {
  const std::string path = TempPath("sums");
  Hop hop("core.checksum", Parameters().Path("path", path), MakeFormat(SLUICE_FORMAT_R8, 3, 3),
          false);
  ASSERT_EQ(hop.Begin(), SLUICE_OK);
  ASSERT_EQ(hop.Push(5, 1000, '1'), SLUICE_PROCESS_DONE);
  ASSERT_EQ(hop.Push(6, SLUICE_PTS_NONE, '2'), SLUICE_PROCESS_DONE);
  EXPECT_FALSE(Exists(path));
  ASSERT_EQ(hop.runner().Drain(), SLUICE_PROCESS_END);
  const std::string nine_ones = "111111111", nine_twos = "222222222";
  char expected[120];
  std::snprintf(expected, sizeof(expected), "5 1000 %08x\n6 none %08x\n",
                Crc32(0, reinterpret_cast<const uint8_t*>(nine_ones.data()), 9),
                Crc32(0, reinterpret_cast<const uint8_t*>(nine_twos.data()), 9));
  EXPECT_EQ(ReadFile(path), expected);
  EXPECT_FALSE(Exists(path + ".part"));
}

TEST(ChecksumTest, LeavesNothingWhenItIsCutShort) {
  const std::string path = TempPath("sums");
  Hop hop("core.checksum", Parameters().Path("path", path), MakeFormat(SLUICE_FORMAT_R8, 3, 3),
          false);
  ASSERT_EQ(hop.Begin(), SLUICE_OK);
  ASSERT_EQ(hop.Push(0, 0), SLUICE_PROCESS_DONE);
  EXPECT_TRUE(Exists(path + ".part"));
  hop.runner().Stop(false);
  EXPECT_FALSE(Exists(path));
  EXPECT_FALSE(Exists(path + ".part"));
}

TEST(ChecksumTest, DoesNotReplaceAFileUnlessToldTo) {
  const std::string path = TempPath("sums");
  std::ofstream(path) << "old";
  const sluice_format format = MakeFormat(SLUICE_FORMAT_R8, 3, 3);
  Hop refused("core.checksum", Parameters().Path("path", path), format, false);
  EXPECT_EQ(refused.Begin(), SLUICE_E_ALREADY_EXISTS);
  EXPECT_EQ(ReadFile(path), "old");

  Hop allowed("core.checksum", Parameters().Path("path", path).Bool("overwrite", true), format,
              false);
  ASSERT_EQ(allowed.Begin(), SLUICE_OK);
  ASSERT_EQ(allowed.runner().Drain(), SLUICE_PROCESS_END);
  EXPECT_EQ(ReadFile(path), "");
}

TEST(ChecksumTest, DoesNotReplaceAFileThatAppearedMeanwhile) {
  const std::string path = TempPath("sums");
  Hop hop("core.checksum", Parameters().Path("path", path), MakeFormat(SLUICE_FORMAT_R8, 3, 3),
          false);
  ASSERT_EQ(hop.Begin(), SLUICE_OK);
  std::ofstream(path) << "other";
  EXPECT_EQ(hop.runner().Drain(), SLUICE_E_ALREADY_EXISTS);
  EXPECT_EQ(ReadFile(path), "other");
  EXPECT_FALSE(Exists(path + ".part"));
}

TEST(ChecksumTest, NamesThePathThatItCannotWrite) {
  Hop hop("core.checksum", Parameters().Path("path", "/nonexistent/sums"),
          MakeFormat(SLUICE_FORMAT_R8, 3, 3), false);
  EXPECT_EQ(hop.Begin(), SLUICE_E_IO);
  EXPECT_NE(hop.runner().error().find("/nonexistent/sums"), std::string::npos);
}

TEST(ChecksumTest, PassesFramesOnWhenItsOutputIsConnected) {
  Hop hop("core.checksum", {}, MakeFormat(SLUICE_FORMAT_NV12, 4, 4));
  ASSERT_EQ(hop.Begin(), SLUICE_OK);
  ASSERT_EQ(hop.Push(9, 0), SLUICE_PROCESS_DONE);
  EXPECT_EQ(hop.runner().Take().Info().sequence, 9u);
}

/// The total that the node reports over one frame, whose bytes `paint` wrote.
template <class Paint>
std::string SumOf(const sluice_format& format, Paint&& paint) {
  Hop hop("core.checksum", {}, format, false);
  EXPECT_EQ(hop.Begin(), SLUICE_OK);
  HeldFrame frame = hop.runner().NewFrame();
  Fill(frame, 0);
  paint(frame);
  EXPECT_EQ(hop.runner().Push(std::move(frame)), SLUICE_PROCESS_DONE);
  EXPECT_EQ(hop.runner().Drain(), SLUICE_PROCESS_END);
  return hop.runner().notes().at(0);
}

TEST(ChecksumTest, CountsVisiblePixelsOnly) {
  const auto nothing = [](HeldFrame&) {};
  const sluice_format yuyv = MakeFormat(SLUICE_FORMAT_YUYV, 3, 2);
  EXPECT_EQ(SumOf(yuyv, [](HeldFrame& f) { f.Row(0, 1)[6] = 9; }), SumOf(yuyv, nothing));
  EXPECT_NE(SumOf(yuyv, [](HeldFrame& f) { f.Row(0, 1)[7] = 9; }), SumOf(yuyv, nothing));
  const sluice_format xb24 = MakeFormat(SLUICE_FORMAT_XB24, 3, 2);
  EXPECT_EQ(SumOf(xb24, [](HeldFrame& f) { f.Row(0, 1)[7] = 9; }), SumOf(xb24, nothing));
  EXPECT_NE(SumOf(xb24, [](HeldFrame& f) { f.Row(0, 1)[6] = 9; }), SumOf(xb24, nothing));
  // Longer than what is packed at once.
  const sluice_format xb4h = MakeFormat(SLUICE_FORMAT_XB4H, 300, 2);
  EXPECT_EQ(SumOf(xb4h, [](HeldFrame& f) { f.Row(0, 1)[8 * 299 + 7] = 9; }), SumOf(xb4h, nothing));
  EXPECT_NE(SumOf(xb4h, [](HeldFrame& f) { f.Row(0, 1)[8 * 299 + 5] = 9; }), SumOf(xb4h, nothing));
  const sluice_format yu12 = MakeFormat(SLUICE_FORMAT_YU12, 5, 3);
  EXPECT_EQ(SumOf(yu12, [](HeldFrame& f) { f.Row(0, 2)[5] = f.Row(2, 1)[3] = 9; }),
            SumOf(yu12, nothing));
  EXPECT_NE(SumOf(yu12, [](HeldFrame& f) { f.Row(2, 1)[2] = 9; }), SumOf(yu12, nothing));
}

TEST(ChecksumTest, KeepsToTheVisibleRectangle) {
  const sluice_format format = MakeFormat(SLUICE_FORMAT_R8, 8, 8);
  const auto crop = [](HeldFrame& f) {
    f.Info().crop_x = f.Info().crop_y = 2;
    f.Info().crop_width = f.Info().crop_height = 3;
  };
  const std::string plain = SumOf(format, crop);
  const auto marked = [&](uint32_t x, uint32_t y) {
    return SumOf(format, [&](HeldFrame& f) {
      crop(f);
      f.Row(0, y)[x] = 9;
    });
  };
  EXPECT_EQ(marked(1, 2), plain);
  EXPECT_EQ(marked(5, 2), plain);
  EXPECT_EQ(marked(2, 5), plain);
  EXPECT_NE(marked(2, 2), plain);
  EXPECT_NE(marked(4, 4), plain);
}

/// The sequences that come out of 20 frames, 100 ms apart; `ended_at` = the frame that ended the
/// node.
std::vector<uint64_t> Selected(Parameters params, uint64_t* ended_at = nullptr) {
  Hop hop("core.select", std::move(params), MakeFormat(SLUICE_FORMAT_R8, 2, 2));
  EXPECT_EQ(hop.Begin(), SLUICE_OK) << hop.runner().error();
  std::vector<uint64_t> passed;
  for (uint64_t i = 0; i < 20; ++i) {
    const int32_t result = hop.Push(i, static_cast<int64_t>(i) * 100'000'000);
    while (HeldFrame frame = hop.runner().Take()) passed.push_back(frame.Info().sequence);
    if (result != SLUICE_PROCESS_END) continue;
    if (ended_at != nullptr) *ended_at = i;
    break;
  }
  return passed;
}

using Sequences = std::vector<uint64_t>;

TEST(SelectTest, PassesTheFramesOfAListAndEndsAfterTheLast) {
  uint64_t ended_at = 99;
  EXPECT_EQ(Selected(Parameters().String("frames", "10"), &ended_at), Sequences{10});
  EXPECT_EQ(ended_at, 10u);
  EXPECT_EQ(Selected(Parameters().String("frames", "7, 1,3-5"), &ended_at),
            (Sequences{1, 3, 4, 5, 7}));
  EXPECT_EQ(ended_at, 7u);
}

TEST(SelectTest, PassesEachNthOfTheFramesThatMeetTheRest) {
  EXPECT_EQ(Selected(Parameters().Int("every", 6)), (Sequences{0, 6, 12, 18}));
  EXPECT_EQ(Selected(Parameters().Int("every", 2).String("frames", "3-8")), (Sequences{3, 5, 7}));
}

TEST(SelectTest, PassesASpanOfTimeAndEndsBehindIt) {
  uint64_t ended_at = 99;
  EXPECT_EQ(Selected(Parameters().DurationNs("from", 250'000'000).DurationNs("to", 500'000'000),
                     &ended_at),
            (Sequences{3, 4}));
  EXPECT_EQ(ended_at, 5u);
}

TEST(SelectTest, RefusesAListThatIsNone) {
  for (const char* text : {"", "x", "3-1", "1,,2", "-4", "1 2"}) {
    NodeRunner runner(sluice_plugin, "core.select", Parameters().String("frames", text));
    EXPECT_EQ(runner.created(), SLUICE_E_INVALID_ARGUMENT) << text;
    EXPECT_EQ(runner.error().rfind("frames: ", 0), 0u) << runner.error();
  }
}

TEST(FrameRangesTest, JoinsWhatOverlapsAndReadsBrackets) {
  const auto ranges = FrameRanges::Parse("[4-9, 2, 6-7, 8-12]");
  ASSERT_TRUE(ranges.ok());
  std::set<uint64_t> in;
  for (uint64_t i = 0; i < 20; ++i) {
    if (ranges->Contains(i)) in.insert(i);
  }
  EXPECT_EQ(in, (std::set<uint64_t>{2, 4, 5, 6, 7, 8, 9, 10, 11, 12}));
  EXPECT_FALSE(ranges->EndsAt(11));
  EXPECT_TRUE(ranges->EndsAt(12));
}

TEST(FrameRangesTest, AnOpenRangeNeverEnds) {
  const auto ranges = FrameRanges::Parse("100-");
  ASSERT_TRUE(ranges.ok());
  EXPECT_FALSE(ranges->Contains(99));
  EXPECT_TRUE(ranges->Contains(1'000'000'000'000));
  EXPECT_FALSE(ranges->EndsAt(1'000'000'000'000));
}

TEST(Crc32Test, GivesTheStandardsCheckValueInOnePieceAndInMany) {
  const auto* text = reinterpret_cast<const uint8_t*>("123456789");
  EXPECT_EQ(Crc32(0, text, 9), 0xCBF43926u);
  EXPECT_EQ(Crc32(Crc32(0, text, 4), text + 4, 5), 0xCBF43926u);
  EXPECT_EQ(Crc32(0, text, 0), 0u);
}

}  // namespace
}  // namespace sluice::core
