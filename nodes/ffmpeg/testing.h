#ifndef NODES_FFMPEG_TESTING_H_
#define NODES_FFMPEG_TESTING_H_

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sluice/testing/node_runner.hpp>

extern "C" {
#include <libavutil/crc.h>
}

#include "nodes/ffmpeg/formats.h"
#include "nodes/ffmpeg/libav.h"

SLUICE_EXTERN_C const sluice_entry sluice_plugin;

namespace sluice::ffmpeg::testing {

namespace st = sdk::testing;

inline constexpr const char* kPhoneClip =
    "/usr/share/forensics-samples/original-files/movie1/VID_20191220_170832.mp4";
inline constexpr const char* kSamples = "/usr/share/forensics-samples/original-files/";

/// What a shell command prints; fails the test when the command does.
inline std::string Shell(const std::string& command) {
  std::string output;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return output;
  char buffer[4096];
  while (const size_t count = fread(buffer, 1, sizeof(buffer), pipe)) output.append(buffer, count);
  EXPECT_EQ(pclose(pipe), 0) << command << "\n" << output;
  return output;
}

/// A folder of this test's own, which is empty.
inline std::string TestFolder() {
  const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
  std::string name = std::string(info->test_suite_name()) + "." + info->name();
  for (char& c : name) c = c == '/' ? '_' : c;
  const std::string folder = ::testing::TempDir() + name;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

/// Makes the file NAME.EXTENSION of tests/media/make_fixtures.sh in the test's folder.
inline std::string Fixture(const std::string& folder, const std::string& file) {
  Shell("bash tests/media/make_fixtures.sh '" + folder + "' " + file.substr(0, file.find('.')));
  return folder + "/" + file;
}

inline uint64_t RoundUp(uint64_t value, uint64_t multiple) {
  return multiple <= 1 ? value : (value + multiple - 1) / multiple * multiple;
}

/// The layout that a plan makes of an offer's multiples and tail.
inline sluice_layout LayoutOf(const sluice_format& format, const sluice_offer& offer) {
  if (PlaneCount(format.fourcc) == 0) {
    sluice_layout compressed = st::MakeLayout(format);
    compressed.size += RoundUp(offer.tail_bytes, 4096);
    return compressed;
  }
  sluice_layout layout{};
  layout.coded_width = static_cast<uint32_t>(RoundUp(format.width, offer.width_multiple));
  layout.coded_height = static_cast<uint32_t>(RoundUp(format.height, offer.height_multiple));
  layout.part_count = 1;
  for (uint32_t i = 0; i < PlaneCount(format.fourcc); ++i) {
    const PlaneShape shape = ShapeOf(format.fourcc, i, layout.coded_width, layout.coded_height);
    sluice_plane& plane = layout.planes[layout.plane_count++];
    plane.offset = RoundUp(layout.size, offer.offset_multiple);
    plane.stride = RoundUp(shape.row_bytes, offer.stride_multiple);
    plane.size = plane.stride * shape.rows;
    layout.size = plane.offset + plane.size;
  }
  layout.size = RoundUp(layout.size + offer.tail_bytes, 4096);
  return layout;
}

/// The format that a plan fixes for an offer of one fourcc and one size.
inline sluice_format FormatOf(const st::RecordedOffer& offer) {
  sluice_format format = st::MakeFormat(offer.fourccs.at(0), offer.offer.width_min,
                                        offer.offer.height_min, offer.offer.rate_min);
  format.color = offer.offer.color;
  return format;
}

/// CRC of the visible pixels, plane by plane.
inline uint32_t Checksum(const st::HeldFrame& frame) {
  const sluice_format& format = frame.Format();
  const AVCRC* table = av_crc_get_table(AV_CRC_32_IEEE);
  uint32_t sum = 0;
  for (uint32_t i = 0; i < PlaneCount(format.fourcc); ++i) {
    const PlaneShape shape = ShapeOf(format.fourcc, i, format.width, format.height);
    for (uint64_t row = 0; row < shape.rows; ++row) {
      sum = av_crc(table, sum, frame.Row(i, row), shape.row_bytes);
    }
  }
  return sum;
}

/// What one frame was, after its lease is gone.
struct Seen {
  sluice_frame_info info;
  sluice_format format;
  uint32_t checksum;
};

/// Walks a source through probe, configure, start and process as the engine does, with frames
/// given back at once (or the last `keep` of them held).
class SourceRun {
 public:
  explicit SourceRun(st::Parameters params, uint32_t keep = 0)
      : runner_(sluice_plugin, "ffmpeg.read", std::move(params)), keep_(keep) {}

  st::NodeRunner& runner() { return runner_; }
  const std::vector<Seen>& frames() const { return frames_; }

  int32_t Prepare() {
    if (const int32_t code = runner_.created(); code < 0) return code;
    if (const int32_t code = runner_.Probe(); code < 0) return code;
    st::PortSpec spec;
    spec.dynamic = true;
    Fixate(&spec);
    runner_.Output("out", spec);
    if (const int32_t code = runner_.Configure(); code < 0) return code;
    return runner_.Start();
  }
  /// Until END, an error, or `limit` frames.
  int32_t Run(size_t limit = SIZE_MAX) {
    for (int idle = 0; idle < 1000;) {
      const uint64_t renegotiations = runner_.renegotiations();
      const int32_t result = runner_.Step();
      if (runner_.renegotiations() != renegotiations) {
        if (const int32_t code = Renegotiate(); code < 0) return code;
      }
      const size_t before = frames_.size();
      Collect();
      idle = frames_.size() == before ? idle + 1 : 0;
      if (result < 0 || result == SLUICE_PROCESS_END) return result;
      if (frames_.size() >= limit) return result;
    }
    return SLUICE_E_TIMEOUT;
  }
  /// Each frame is handed to `sink` while its lease is held.
  void set_sink(std::function<void(const st::HeldFrame&)> sink) { sink_ = std::move(sink); }
  int32_t PrepareAndRun(size_t limit = SIZE_MAX) {
    const int32_t code = Prepare();
    return code < 0 ? code : Run(limit);
  }
  const sluice_offer& offer() { return runner_.offers().at(0).offer; }
  uint32_t fourcc() { return runner_.offers().at(0).fourccs.at(0); }

 private:
  void Fixate(st::PortSpec* spec) {
    spec->format = FormatOf(runner_.offers().at(0));
    spec->layout = LayoutOf(spec->format, offer());
    spec->reserve = offer().dynamic_reserve;
    spec->buffers = spec->reserve + keep_ + 1;
  }
  int32_t Renegotiate() {
    if (const int32_t code = runner_.Probe(); code < 0) return code;
    st::PortSpec spec;
    Fixate(&spec);
    runner_.SetFormat(SLUICE_PORT_OUTPUT, 0, spec.format);
    runner_.SetLayout(SLUICE_PORT_OUTPUT, 0, spec.layout);
    return runner_.Reconfigure();
  }
  void Collect() {
    while (st::HeldFrame frame = runner_.Take()) {
      frames_.push_back({frame.Info(), frame.Format(), Checksum(frame)});
      if (sink_) sink_(frame);
      held_.push_back(std::move(frame));
      if (held_.size() > keep_) held_.pop_front();
    }
  }

  st::NodeRunner runner_;
  const uint32_t keep_;
  std::vector<Seen> frames_;
  std::deque<st::HeldFrame> held_;
  std::function<void(const st::HeldFrame&)> sink_;
};

/// One compressed frame, after its lease is gone.
struct Compressed {
  sluice_frame_info info;
  std::vector<uint8_t> bytes;
};

/// What ffmpeg.read hands out of a clip without decoding it.
struct CompressedClip {
  sluice_format format{};
  std::vector<Compressed> frames;

  explicit CompressedClip(const std::string& path) {
    SourceRun run(st::Parameters().Path("path", path).Bool("decode", false));
    run.set_sink([this](const st::HeldFrame& frame) {
      format = frame.Format();
      const uint8_t* data = frame.Row(0, 0);
      frames.push_back({frame.Info(), {data, data + frame.Info().bytes_used}});
    });
    EXPECT_EQ(run.PrepareAndRun(), SLUICE_PROCESS_END) << run.runner().error();
  }
};

/// Walks ffmpeg.decode through its verbs and new epochs as the engine does.
class DecodeRun {
 public:
  explicit DecodeRun(st::Parameters params = {})
      : runner_(sluice_plugin, "ffmpeg.decode", std::move(params)) {}

  st::NodeRunner& runner() { return runner_; }
  const std::vector<Seen>& frames() const { return frames_; }
  /// The output's formats, one for each epoch.
  const std::vector<uint32_t>& fourccs() const { return fourccs_; }
  /// The layout of the input's buffers; zero: with the room that the node asks for.
  void set_input_layout(const sluice_layout& layout) { input_layout_ = layout; }
  /// Whether the output takes what the node likes best, or stays what it was.
  void set_stays(bool stays) { stays_ = stays; }

  int32_t Prepare(const sluice_format& format) {
    format_ = format;
    if (const int32_t code = runner_.created(); code < 0) return code;
    if (const int32_t code = runner_.Probe(); code < 0) return code;
    st::PortSpec in;
    in.format = format;
    in.layout =
        input_layout_.size != 0 ? input_layout_ : LayoutOf(format, Offers("in").at(0).offer);
    in.buffers = 4 + Offers("in").at(0).offer.hold_max;
    runner_.Input("in", in);
    st::PortSpec out;
    out.dynamic = true;
    Fixate(Offers("out").at(0), &out);
    runner_.Output("out", out);
    if (const int32_t code = runner_.Configure(); code < 0) return code;
    return runner_.Start();
  }
  int32_t Push(const Compressed& frame) {
    st::HeldFrame input = runner_.NewFrame();
    if (!input) return st::kNotRunnable;
    input.Info() = frame.info;
    std::copy(frame.bytes.begin(), frame.bytes.end(), input.Row(0, 0));
    const uint64_t renegotiations = runner_.renegotiations();
    const int32_t result = runner_.Push(std::move(input));
    Collect();
    if (result < 0 || runner_.renegotiations() == renegotiations) return result;
    return Renegotiate();
  }
  int32_t Drain() {
    const uint64_t renegotiations = runner_.renegotiations();
    int32_t result = runner_.Drain(20);
    if (runner_.renegotiations() != renegotiations) {
      if (const int32_t code = Renegotiate(); code < 0) return code;
      result = runner_.Drain();
    }
    Collect();
    return result;
  }
  int32_t Run(const CompressedClip& clip) {
    if (const int32_t code = Prepare(clip.format); code < 0) return code;
    for (const Compressed& frame : clip.frames) {
      if (const int32_t code = Push(frame); code < 0) return code;
    }
    return Drain();
  }
  std::vector<st::RecordedOffer> Offers(const std::string& port) const {
    std::vector<st::RecordedOffer> offers;
    for (const st::RecordedOffer& offer : runner_.offers()) {
      if (offer.port == port) offers.push_back(offer);
    }
    return offers;
  }
  int32_t Renegotiate() {
    Collect();
    if (const int32_t code = runner_.Probe(); code < 0) return code;
    st::RecordedOffer chosen = Offers("out").at(0);
    for (const st::RecordedOffer& offer : Offers("out")) {
      if (stays_ && offer.fourccs.at(0) == fourccs_.back()) chosen = offer;
    }
    st::PortSpec spec;
    Fixate(chosen, &spec);
    runner_.SetFormat(SLUICE_PORT_OUTPUT, 0, spec.format);
    runner_.SetLayout(SLUICE_PORT_OUTPUT, 0, spec.layout);
    return runner_.Reconfigure();
  }
  void Collect() {
    while (st::HeldFrame frame = runner_.Take()) {
      frames_.push_back({frame.Info(), frame.Format(), Checksum(frame)});
    }
  }

 private:
  void Fixate(const st::RecordedOffer& offer, st::PortSpec* spec) {
    spec->format = st::MakeFormat(offer.fourccs.at(0), format_.width, format_.height, format_.rate);
    spec->format.color = format_.color;
    spec->layout = LayoutOf(spec->format, offer.offer);
    // The runner's reserve is that of the first epoch: enough for what streams here want.
    spec->reserve = 40;
    spec->buffers = 44;
    fourccs_.push_back(offer.fourccs.at(0));
  }

  st::NodeRunner runner_;
  sluice_format format_{};
  sluice_layout input_layout_{};
  bool stays_ = false;
  std::vector<Seen> frames_;
  std::vector<uint32_t> fourccs_;
};

/// Walks ffmpeg.write through its verbs with frames that the test makes or copies.
class SinkRun {
 public:
  explicit SinkRun(st::Parameters params)
      : runner_(sluice_plugin, "ffmpeg.write", std::move(params)) {}

  st::NodeRunner& runner() { return runner_; }

  int32_t Prepare(const sluice_format& format) {
    if (const int32_t code = runner_.created(); code < 0) return code;
    if (const int32_t code = runner_.Probe(); code < 0) return code;
    st::PortSpec spec;
    spec.format = format;
    spec.buffers = 1;
    for (const st::RecordedOffer& offer : runner_.offers()) {
      // The plan's depth: what the node may hold, and one that it is given.
      if (offer.fourccs.at(0) == format.fourcc) spec.buffers = offer.offer.hold_max + 1;
    }
    runner_.Input("in", spec);
    if (const int32_t code = runner_.Configure(); code < 0) return code;
    return runner_.Start();
  }
  /// A frame with these pixels and this info. NOT_RUNNABLE when the node holds all buffers.
  int32_t Push(const Seen& info, const std::vector<uint8_t>& pixels) {
    st::HeldFrame frame = runner_.NewFrame();
    if (!frame) return st::kNotRunnable;
    frame.Info() = info.info;
    const uint8_t* from = pixels.data();
    ForEachRow(frame, [&](uint8_t* row, uint64_t bytes) {
      std::copy_n(from, bytes, row);
      from += bytes;
    });
    return runner_.Push(std::move(frame));
  }
  /// A grey frame at `pts` in 1/25 s.
  int32_t PushGrey(int64_t pts) {
    st::HeldFrame frame = runner_.NewFrame();
    if (!frame) return st::kNotRunnable;
    frame.Info() = {};
    frame.Info().pts_ticks = pts;
    frame.Info().duration_ticks = 1;
    frame.Info().time_base_num = 1;
    frame.Info().time_base_den = 25;
    frame.Info().pts_ns = pts * 40'000'000;
    ForEachRow(frame, [&](uint8_t* row, uint64_t bytes) {
      std::fill_n(row, bytes, static_cast<uint8_t>(128 + pts));
    });
    return runner_.Push(std::move(frame));
  }

  template <class Body>
  static void ForEachRow(const st::HeldFrame& frame, Body body) {
    const sluice_format& format = frame.Format();
    for (uint32_t i = 0; i < PlaneCount(format.fourcc); ++i) {
      const PlaneShape shape = ShapeOf(format.fourcc, i, format.width, format.height);
      for (uint64_t row = 0; row < shape.rows; ++row) body(frame.Row(i, row), shape.row_bytes);
    }
  }

 private:
  st::NodeRunner runner_;
};

inline std::vector<uint8_t> PixelsIn(const st::HeldFrame& frame) {
  std::vector<uint8_t> pixels;
  SinkRun::ForEachRow(frame, [&](const uint8_t* row, uint64_t bytes) {
    pixels.insert(pixels.end(), row, row + bytes);
  });
  return pixels;
}

/// Frames' times as ffprobe has them, as fractions of a second in lowest terms.
inline std::vector<std::string> ProbedTimes(const std::string& path) {
  const std::string base = Shell(
      "ffprobe -v error -select_streams v:0 -show_entries "
      "stream=time_base -of csv=p=0 " +
      path);
  AVRational time_base{};
  std::sscanf(base.c_str(), "%d/%d", &time_base.num, &time_base.den);
  std::istringstream lines(
      Shell("ffprobe -v error -select_streams v:0 -show_entries frame=pts -of csv=p=0 " + path));
  std::vector<std::string> times;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    int64_t numerator = std::stoll(line) * time_base.num;
    int64_t denominator = time_base.den;
    const int64_t common = std::max<int64_t>(av_gcd(numerator, denominator), 1);
    times.push_back(std::to_string(numerator / common) + "/" +
                    std::to_string(denominator / common));
  }
  return times;
}

/// Names in a folder, hidden ones too.
inline std::vector<std::string> FilesIn(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

inline st::Parameters ReadPath(const std::string& path) {
  st::Parameters params;
  params.Path("path", path);
  return params;
}

}  // namespace sluice::ffmpeg::testing

#endif  // NODES_FFMPEG_TESTING_H_
