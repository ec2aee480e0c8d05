#include "nodes/core/testsrc.h"

#include <time.h>

#include <algorithm>

#include "nodes/core/pixels.h"

namespace sluice::core {
namespace {

constexpr uint32_t kOut = 0;
constexpr int64_t kNsPerSecond = 1'000'000'000;
constexpr uint32_t kSamplesPerPlane = 8;

int64_t NowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * kNsPerSecond + now.tv_nsec;
}

}  // namespace

sdk::Expected<std::unique_ptr<TestSource>> TestSource::Create(sdk::NodeContext context,
                                                              const sdk::Params& params) {
  Options options;
  const std::string pattern = params.String("pattern", "bars");
  const std::optional<Pattern> parsed = ParsePattern(pattern);
  if (!parsed) {
    return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT, "'%s' is not a pattern", pattern.c_str());
  }
  options.pattern = *parsed;
  options.size = params.Size("size");
  options.rate = params.Rate("rate", {30, 1});
  if (options.rate.numerator == 0 || options.rate.denominator == 0) {
    return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT, "rate must be above 0");
  }
  if (params.Has("format")) {
    const std::string name = params.String("format");
    options.fourcc = ParseTestFormat(name);
    if (!options.fourcc) {
      return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT, "'%s' is not a format that is drawn",
                                name.c_str());
    }
  }
  const int64_t frames = params.Int("frames", 0);
  if (frames < 0) {
    return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT, "frames must not be negative");
  }
  options.frames = static_cast<uint64_t>(frames);
  options.seed = static_cast<uint64_t>(params.Int("seed", 1));
  options.counter = params.Bool("counter", true);
  return std::make_unique<TestSource>(context, options);
}

sdk::Status TestSource::Configure(const sdk::Configuration& configuration) {
  const sdk::Expected<const sluice_port_config*> port = configuration.Port("out");
  if (!port.ok()) return port.status();
  const sluice_format& format = (*port)->format;
  const bool drawn = PlanesOf(format.fourcc).size() > 0 && format.fourcc != SLUICE_FORMAT_XB4H;
  if (!drawn || format.modifier != SLUICE_MODIFIER_LINEAR) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "out: the format is not one that is drawn");
  }
  if (options_.fourcc && *options_.fourcc != format.fourcc) {
    return sdk::Status::Error(SLUICE_E_UNSUPPORTED, "out: another format than the parameter's");
  }
  if (format.width == 0 || format.height == 0) {
    return sdk::Status::Error(SLUICE_E_INVALID_ARGUMENT, "out: the picture has no size");
  }
  format_ = format;
  painter_ = Painter(format, options_.pattern, options_.seed, options_.counter);
  painted_.assign((*port)->buffers, 0);
  samples_.clear();
  samples_.reserve(std::size_t{kSamplesPerPlane} * SLUICE_MAX_PLANES);
  realtime_ = configuration.realtime();
  return {};
}

sdk::Status TestSource::Reconfigure(const sdk::Configuration& configuration) {
  return Configure(configuration);
}

sdk::Status TestSource::Start() {
  sequence_ = 0;
  pace_.Restart();
  return {};
}

int64_t TestSource::PtsNs(uint64_t sequence) const {
  // Split, so that neither product overflows within centuries of media time.
  const uint64_t num = options_.rate.numerator;
  const uint64_t ticks = sequence * options_.rate.denominator;
  const uint64_t rest = ticks % num;
  return static_cast<int64_t>(ticks / num * kNsPerSecond + rest * kNsPerSecond / num);
}

bool TestSource::WaitForDueTime() {
  if (!realtime_) return false;
  const int64_t now = NowNs();
  const int64_t due = pace_.DueNs(PtsNs(sequence_), now);
  if (now >= due) return false;
  context().WakeAt(due);
  return true;
}

sdk::Expected<sdk::Process> TestSource::Process(sdk::Invocation& invocation) {
  if (options_.frames != 0 && sequence_ >= options_.frames) return sdk::Process::kEnd;
  const sdk::FrameRef frame = invocation.Output(kOut);
  if (!frame || WaitForDueTime()) return sdk::Process::kNeedMore;
  // By a clock only where there is one: else the same parameters give the same frames.
  const int64_t captured_ns = realtime_ ? NowNs() : 0;
  if (sdk::Status status = Paint(frame); !status.ok()) return status;
  Stamp(*frame.InfoMut());
  frame.InfoMut()->captured_ns = captured_ns;
  if (sdk::Status status = context().EmitReserved(kOut, frame); !status.ok()) return status;
  ++sequence_;
  return sequence_ == options_.frames ? sdk::Process::kEnd : sdk::Process::kDone;
}

sdk::Status TestSource::Paint(const sdk::FrameRef& frame) {
  sdk::Expected<sdk::Mapping> mapping = frame.Map(SLUICE_MAP_WRITE);
  if (!mapping.ok()) return mapping.status();
  const uint32_t index = frame.BufferId().index;
  const bool known = painter_.still() && index < painted_.size() && painted_[index] != 0;
  if (!known || !SamplesHold(*mapping)) {
    painter_.PaintPicture(*mapping, sequence_);
    if (samples_.empty()) TakeSamples(*mapping);
    if (index < painted_.size()) painted_[index] = 1;
  }
  painter_.PaintCounter(*mapping, sequence_);
  return {};
}

void TestSource::TakeSamples(const sdk::Mapping& mapping) {
  const std::span<const PlaneShape> planes = PlanesOf(format_.fourcc);
  for (uint32_t plane = 0; plane < planes.size(); ++plane) {
    const PlaneShape& shape = planes[plane];
    const uint64_t size =
        (uint64_t{format_.width} + shape.horizontal - 1) / shape.horizontal * shape.bytes;
    const uint64_t rows = (uint64_t{format_.height} + shape.vertical - 1) / shape.vertical;
    const uint64_t below_band = (Painter::kCounterRows + shape.vertical - 1) / shape.vertical;
    if (rows <= below_band) continue;
    for (uint64_t i = 0; i < kSamplesPerPlane; ++i) {
      const uint64_t row = below_band + (rows - 1 - below_band) * i / (kSamplesPerPlane - 1);
      const uint64_t offset = row * mapping.stride(plane) + (size - 1) * i / (kSamplesPerPlane - 1);
      samples_.push_back({plane, offset, mapping.plane(plane)[offset]});
    }
  }
}

bool TestSource::SamplesHold(const sdk::Mapping& mapping) const {
  // A picture that is all band has no samples, and is painted each time.
  return !samples_.empty() && std::all_of(samples_.begin(), samples_.end(), [&](const Sample& s) {
    return mapping.plane(s.plane)[s.offset] == s.value;
  });
}

void TestSource::Stamp(sluice_frame_info& info) const {
  info.pts_ns = PtsNs(sequence_);
  info.duration_ns = PtsNs(sequence_ + 1) - info.pts_ns;
  info.pts_ticks = static_cast<int64_t>(sequence_);
  info.duration_ticks = 1;
  info.time_base_num = options_.rate.denominator;
  info.time_base_den = options_.rate.numerator;
  info.sequence = sequence_;
  info.flags = SLUICE_FRAME_KEY;
  info.field_order = SLUICE_FIELD_PROGRESSIVE;
  info.crop_x = info.crop_y = 0;
  info.crop_width = format_.width;
  info.crop_height = format_.height;
  info.aspect_num = info.aspect_den = 0;
  info.rotation_degrees = 0;
}

}  // namespace sluice::core
