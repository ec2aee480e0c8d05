#include "nodes/vulkan/testing.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "nodes/vulkan/reference.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
}

namespace sluice::vulkan::testing {
namespace {

constexpr uint64_t kPage = 4096;

bool IsBgr(uint32_t fourcc) { return fourcc == SLUICE_FORMAT_AR24 || fourcc == SLUICE_FORMAT_XR24; }

uint32_t NextRandom(uint32_t& state) {
  state = state * 1664525U + 1013904223U;
  return state >> 24;
}

std::vector<uint8_t> PatternRgb(Pattern pattern, uint32_t w, uint32_t h) {
  std::vector<uint8_t> rgb(size_t{w} * h * 3);
  for (uint32_t y = 0; y < h; ++y) {
    for (uint32_t x = 0; x < w; ++x) {
      uint8_t* px = &rgb[(size_t{y} * w + x) * 3];
      if (pattern == Pattern::kGradients) {
        px[0] = static_cast<uint8_t>(255 * x / std::max(1U, w - 1));
        px[1] = static_cast<uint8_t>(255 * y / std::max(1U, h - 1));
        px[2] = static_cast<uint8_t>(255 * (x + y) / std::max(1U, w + h - 2));
      } else if (pattern == Pattern::kBars) {
        const uint32_t bar = 8 * x / w;
        for (uint32_t i = 0; i < 3; ++i) px[i] = (bar >> i & 1U) != 0 ? 235 : 20;
      } else {
        const double dx = x - w / 2.0, dy = y - h / 2.0;
        const double v = 0.5 + 0.5 * std::cos((dx * dx + dy * dy) * 1.2 / std::max(w, h));
        px[0] = static_cast<uint8_t>(255 * v);
        px[1] = static_cast<uint8_t>(200 * v + 20);
        px[2] = static_cast<uint8_t>(255 - 230 * v);
      }
    }
  }
  return rgb;
}

AVPixelFormat AvFormat(uint32_t fourcc) {
  switch (fourcc) {
    case SLUICE_FORMAT_YU12:
      return AV_PIX_FMT_YUV420P;
    case SLUICE_FORMAT_NV12:
      return AV_PIX_FMT_NV12;
    case SLUICE_FORMAT_YUYV:
      return AV_PIX_FMT_YUYV422;
    case SLUICE_FORMAT_AB24:
      return AV_PIX_FMT_RGBA;
    case SLUICE_FORMAT_XB24:
      return AV_PIX_FMT_RGB0;
    case SLUICE_FORMAT_AR24:
      return AV_PIX_FMT_BGRA;
    case SLUICE_FORMAT_P010:
      return AV_PIX_FMT_P010LE;
    default:
      return AV_PIX_FMT_BGR0;
  }
}

/// Bytes of one sample, of R'G'B' of one pixel.
uint64_t UnitBytes(uint32_t fourcc) {
  if (IsHalf(fourcc)) return 8;
  if (!IsYuv(fourcc)) return 4;
  return fourcc == SLUICE_FORMAT_P010 ? 2 : 1;
}

/// Bytes of one row of a plane that hold the picture, and its rows.
std::pair<uint64_t, uint64_t> PlaneBytes(uint32_t fourcc, uint32_t plane, uint64_t w, uint64_t h) {
  const uint64_t half = (w + 1) / 2, unit = UnitBytes(fourcc);
  if (!IsYuv(fourcc)) return {unit * w, h};
  if (fourcc == SLUICE_FORMAT_YUYV) return {4 * half, h};
  if (plane == 0) return {unit * w, h};
  return {unit * (fourcc == SLUICE_FORMAT_YU12 ? half : 2 * half), (h + 1) / 2};
}

void SetSiting(SwsContext* context, const char* side, const sluice_format& format) {
  if (!IsYuv(format.fourcc)) return;
  const std::string prefix(side);
  av_opt_set_int(context, (prefix + "_h_chr_pos").c_str(),
                 format.color.siting == SLUICE_SITING_CENTER ? 128 : 0, 0);
  if (SubsampledV(format.fourcc)) {
    av_opt_set_int(context, (prefix + "_v_chr_pos").c_str(),
                   format.color.siting == SLUICE_SITING_TOP_LEFT ? 0 : 128, 0);
  }
}

/// A frame of even size: the last column and row repeated.
Picture Widened(const Picture& src) {
  sluice_format format = src.format();
  format.width += format.width & 1U;
  format.height += format.height & 1U;
  Picture out(format);
  const uint32_t fourcc = format.fourcc;
  for (uint32_t p = 0; p < src.layout().plane_count; ++p) {
    const auto [from_bytes, from_rows] = PlaneBytes(fourcc, p, src.width(), src.height());
    const auto [to_bytes, to_rows] = PlaneBytes(fourcc, p, format.width, format.height);
    const uint64_t unit = UnitBytes(fourcc);
    for (uint64_t y = 0; y < to_rows; ++y) {
      uint8_t* row = out.plane(p) + y * out.stride(p);
      std::memcpy(row, src.plane(p) + std::min(y, from_rows - 1) * src.stride(p), from_bytes);
      if (to_bytes > from_bytes) std::memcpy(row + from_bytes, row + from_bytes - unit, unit);
      // The second luma sample of an odd YUYV row's last word.
      if (fourcc == SLUICE_FORMAT_YUYV && (src.width() & 1U) != 0)
        row[to_bytes - 2] = row[to_bytes - 4];
    }
  }
  return out;
}

void CopyVisible(const Picture& from, Picture& to) {
  for (uint32_t p = 0; p < to.layout().plane_count; ++p) {
    const auto [bytes, rows] = PlaneBytes(to.format().fourcc, p, to.width(), to.height());
    for (uint64_t y = 0; y < rows; ++y) {
      std::memcpy(to.plane(p) + y * to.stride(p), from.plane(p) + y * from.stride(p), bytes);
    }
  }
}

const int* SwsMatrix(const sluice_format& format) {
  return sws_getCoefficients(format.color.matrix == SLUICE_MATRIX_BT601    ? SWS_CS_ITU601
                             : format.color.matrix == SLUICE_MATRIX_BT2020 ? SWS_CS_BT2020
                                                                           : SWS_CS_ITU709);
}

}  // namespace

SharedMapping::SharedMapping(uint64_t bytes) {
  if (bytes == 0) return;
  size_ = (bytes + kPage - 1) / kPage * kPage;
  const int fd = memfd_create("sluice-vulkan-test", MFD_CLOEXEC);
  void* mapped = MAP_FAILED;
  if (fd >= 0 && ftruncate(fd, static_cast<off_t>(size_)) == 0) {
    mapped = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  }
  if (fd >= 0) close(fd);
  if (mapped == MAP_FAILED) std::abort();
  data_ = static_cast<uint8_t*>(mapped);
}

SharedMapping::~SharedMapping() {
  if (data_ != nullptr) munmap(data_, size_);
}

SharedMapping& SharedMapping::operator=(SharedMapping&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Picture::Picture(const sluice_format& format) : format_(format) {
  auto layout = MakeLayout(format);
  if (!layout) std::abort();
  layout_ = *layout;
  memory_ = SharedMapping(layout_.size);
  layout_.size = memory_.size();
  std::memset(memory_.data(), 0xA5, memory_.size());
}

Shape Picture::shape() const {
  auto shape = MakeShape(format_, layout_);
  if (!shape) std::abort();
  return *shape;
}

sluice_format MakeFormat(uint32_t fourcc, uint32_t width, uint32_t height, uint8_t matrix,
                         uint8_t range, uint8_t siting) {
  sluice_format format{};
  format.fourcc = fourcc;
  format.width = width;
  format.height = height;
  format.color.matrix = IsYuv(fourcc) ? matrix : SLUICE_MATRIX_RGB;
  format.color.range = IsYuv(fourcc) ? range : SLUICE_RANGE_FULL;
  format.color.siting = siting;
  return format;
}

bool IsYuv(uint32_t fourcc) { return SubsampledV(fourcc) || fourcc == SLUICE_FORMAT_YUYV; }

bool SubsampledV(uint32_t fourcc) {
  return fourcc == SLUICE_FORMAT_YU12 || fourcc == SLUICE_FORMAT_NV12 ||
         fourcc == SLUICE_FORMAT_P010;
}

bool IsHalf(uint32_t fourcc) {
  return fourcc == SLUICE_FORMAT_AB4H || fourcc == SLUICE_FORMAT_XB4H;
}

double DoubleOfHalf(uint16_t half) {
  const int exponent = half >> 10 & 31, fraction = half & 1023;
  double value =
      exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  if (exponent == 31) {
    value = fraction == 0 ? std::numeric_limits<double>::infinity()
                          : std::numeric_limits<double>::quiet_NaN();
  }
  return (half & 0x8000) != 0 ? -value : value;
}

uint16_t HalfOfDouble(double value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const double size = std::abs(value);
  if (std::isnan(value)) return 0x7E00;
  if (size >= 65520) return sign | 0x7C00;
  const int exponent = size == 0 ? -14 : std::max(std::ilogb(size), -14);
  // The steps of the numbers with this exponent; one step too many carries into the next, as it
  // should. Rounds ties to even, as the default rounding mode is.
  const auto steps = static_cast<uint32_t>(std::nearbyint(std::ldexp(size, 10 - exponent)));
  return static_cast<uint16_t>(sign | (static_cast<uint32_t>(exponent + 14) * 1024 + steps));
}

std::string FourccName(uint32_t fourcc) {
  return std::string(reinterpret_cast<const char*>(&fourcc), 4);
}

std::unique_ptr<Bench> Bench::Create(std::string* why) {
  auto device = Device::Create(DeviceOptionsFromEnvironment());
  if (!device) {
    *why = device.error().message;
    return nullptr;
  }
  std::unique_ptr<Bench> bench(new Bench());
  bench->device_ = std::move(*device);
  bench->queue_ =
      Queue::Create(*bench->device_, {[](uint64_t) {}, [](uint64_t, uint64_t, const Error&) {}})
          .value();
  bench->kernels_ = std::make_unique<KernelLibrary>(*bench->device_, CacheDirectory());
  return bench;
}

Bench::~Bench() {
  kernels_.reset();
  queue_.reset();
  EXPECT_EQ(device_->validation_messages(), expected_messages_);
}

void Bench::Run(const Picture& src, const Picture& dst, uint32_t look, const Params& params) {
  TimeMs(src, dst, look, params, 1);
}

namespace {

/// The numbers that a test gives.
class FixedNumbers final : public NumberSource {
 public:
  explicit FixedNumbers(const std::vector<TestFilter>& filters) : filters_(filters) {}
  void CopyParams(uint32_t node, std::span<float> out) const override {
    const std::vector<float>& params = filters_[node].params;
    std::copy_n(params.begin(), std::min(out.size(), params.size()), out.begin());
  }
  uint64_t changes() const override { return 0; }

 private:
  const std::vector<TestFilter>& filters_;
};

}  // namespace

double Bench::TimeMs(const Picture& src, const Picture& dst, uint32_t look, const Params& params,
                     int rounds) {
  TestFilter filter;
  if (look != 0) filter.stages = {LookStage(Looks()[look - 1])};
  filter.params.assign(params.begin(), params.end());
  return TimeFilters({filter}, {&src}, {&dst}, {0}, {}, rounds);
}

void Bench::RunChain(const std::vector<TestFilter>& filters,
                     const std::vector<const Picture*>& inputs, const Picture& output,
                     const Program::Options& options) {
  RunFilters(filters, inputs, {&output}, {static_cast<uint32_t>(filters.size() - 1)}, options);
}

void Bench::RunFilters(const std::vector<TestFilter>& filters,
                       const std::vector<const Picture*>& inputs,
                       const std::vector<const Picture*>& outputs,
                       const std::vector<uint32_t>& output_filters,
                       const Program::Options& options) {
  TimeFilters(filters, inputs, outputs, output_filters, options, 1);
}

double Bench::TimeFilters(const std::vector<TestFilter>& filters,
                          const std::vector<const Picture*>& inputs,
                          const std::vector<const Picture*>& outputs,
                          const std::vector<uint32_t>& output_filters,
                          const Program::Options& options, int rounds) {
  Network network;
  std::vector<Program::NodeData> data;
  for (const TestFilter& filter : filters) {
    network.nodes.push_back({"filter", filter.stages, filter.sources});
    data.push_back({filter.made_with.empty() ? filter.params : filter.made_with, filter.table});
  }
  network.output_nodes = output_filters;
  std::vector<Memory> memory;
  std::vector<BoundFrame> frames[2];
  for (const auto* list : {&inputs, &outputs}) {
    for (const Picture* picture : *list) {
      auto import = Memory::ImportHost(*device_, picture->base(), picture->bytes());
      EXPECT_TRUE(import.has_value());
      if (!import) return -1;
      frames[list == &outputs ? 1 : 0].push_back({AllPlanesIn(import->buffer()), import->serial()});
      (list == &inputs ? network.inputs : network.outputs).push_back(picture->shape());
      memory.push_back(std::move(*import));
    }
  }
  auto program = Program::Create(*device_, *kernels_, std::move(network), std::move(data), options);
  EXPECT_TRUE(program.has_value()) << program.error().message;
  if (!program) return -1;
  const FixedNumbers numbers(filters);
  std::vector<double> times;
  for (int i = 0; i < rounds; ++i) {
    const auto start = std::chrono::steady_clock::now();
    auto recording = (*program)->Prepare(frames[0], frames[1], {}, queue_->completed(), numbers);
    EXPECT_TRUE(recording.has_value()) << recording.error().message;
    if (!recording) return -1;
    auto point = queue_->Submit(Program::Commands(**recording), 0);
    EXPECT_TRUE(point.has_value());
    if (!point) return -1;
    (*program)->Submitted(**recording, *point);
    const Status idle = queue_->WaitIdle(start + std::chrono::seconds(60));
    EXPECT_TRUE(idle.has_value()) << idle.error().message;
    times.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
            .count());
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

std::unique_ptr<Bench> DeviceTest::bench_;
std::string DeviceTest::why_;

void DeviceTest::SetUpTestSuite() { bench_ = Bench::Create(&why_); }
void DeviceTest::TearDownTestSuite() { bench_.reset(); }

void DeviceTest::SetUp() {
  if (bench_ == nullptr) GTEST_SKIP() << why_;
}

std::string PatternName(Pattern pattern) {
  switch (pattern) {
    case Pattern::kGradients:
      return "gradients";
    case Pattern::kBars:
      return "bars";
    case Pattern::kNoise:
      return "noise";
    default:
      return "zone plate";
  }
}

void Fill(Picture& picture, Pattern pattern) {
  if (pattern != Pattern::kNoise) {
    FillRgb(picture, PatternRgb(pattern, picture.width(), picture.height()));
    return;
  }
  uint32_t state = 7;
  if (IsHalf(picture.format().fourcc)) {
    for (uint64_t y = 0; y < picture.height(); ++y) {
      for (uint64_t i = 0; i < uint64_t{4} * picture.width(); ++i) {
        const uint32_t random = NextRandom(state) << 8 | NextRandom(state);
        const uint16_t half = HalfOfDouble(random / 32768.0 - 0.5);
        std::memcpy(picture.plane(0) + y * picture.stride(0) + 2 * i, &half, sizeof half);
      }
    }
    return;
  }
  for (uint32_t p = 0; p < picture.layout().plane_count; ++p) {
    const auto [bytes, rows] =
        PlaneBytes(picture.format().fourcc, p, picture.width(), picture.height());
    for (uint64_t y = 0; y < rows; ++y) {
      for (uint64_t x = 0; x < bytes; ++x) {
        picture.plane(p)[y * picture.stride(p) + x] = static_cast<uint8_t>(NextRandom(state));
      }
    }
  }
}

void FillRgb(Picture& picture, const std::vector<uint8_t>& rgb) {
  Picture source(
      MakeFormat(IsBgr(picture.format().fourcc) ? SLUICE_FORMAT_AR24 : SLUICE_FORMAT_AB24,
                 picture.width(), picture.height()));
  const bool swap = IsBgr(picture.format().fourcc);
  for (uint64_t y = 0; y < picture.height(); ++y) {
    for (uint64_t x = 0; x < picture.width(); ++x) {
      const uint8_t* from = &rgb[(y * picture.width() + x) * 3];
      uint8_t* px = source.plane(0) + y * source.stride(0) + 4 * x;
      px[swap ? 2 : 0] = from[0];
      px[1] = from[1];
      px[swap ? 0 : 2] = from[2];
      px[3] = static_cast<uint8_t>(3 * x + 5 * y);
    }
  }
  Reference(source, picture, "", {});
}

namespace {

/// Sample `index` of a row, in the terms of Components().
double SampleOf(uint32_t fourcc, const uint8_t* row, uint64_t index) {
  if (fourcc != SLUICE_FORMAT_P010 && !IsHalf(fourcc)) return row[index];
  uint16_t word = 0;
  std::memcpy(&word, row + 2 * index, sizeof word);
  return IsHalf(fourcc) ? 1024 * DoubleOfHalf(word) : word >> 6;
}

/// The code of white in full range, in the terms of Components().
double PeakOf(uint32_t fourcc) {
  return IsHalf(fourcc) ? 1024 : fourcc == SLUICE_FORMAT_P010 ? 1023 : 255;
}

}  // namespace

std::vector<std::vector<double>> Components(const Picture& picture) {
  const uint32_t fourcc = picture.format().fourcc;
  const uint64_t w = picture.width(), h = picture.height(), half = (w + 1) / 2;
  std::vector<std::vector<double>> out(3);
  const auto take = [&](size_t c, uint32_t plane, uint64_t rows, uint64_t count, uint64_t first,
                        uint64_t step) {
    for (uint64_t y = 0; y < rows; ++y) {
      const uint8_t* row = picture.plane(plane) + y * picture.stride(plane);
      for (uint64_t x = 0; x < count; ++x)
        out[c].push_back(SampleOf(fourcc, row, first + x * step));
    }
  };
  if (fourcc == SLUICE_FORMAT_YU12) {
    take(0, 0, h, w, 0, 1);
    take(1, 1, (h + 1) / 2, half, 0, 1);
    take(2, 2, (h + 1) / 2, half, 0, 1);
  } else if (SubsampledV(fourcc)) {
    take(0, 0, h, w, 0, 1);
    take(1, 1, (h + 1) / 2, half, 0, 2);
    take(2, 1, (h + 1) / 2, half, 1, 2);
  } else if (fourcc == SLUICE_FORMAT_YUYV) {
    take(0, 0, h, w, 0, 2);
    take(1, 0, h, half, 1, 4);
    take(2, 0, h, half, 3, 4);
  } else {
    const bool swap = IsBgr(fourcc);
    take(0, 0, h, w, swap ? 2 : 0, 4);
    take(1, 0, h, w, 1, 4);
    take(2, 0, h, w, swap ? 0 : 2, 4);
  }
  return out;
}

std::vector<Difference> Compare(const Picture& a, const Picture& b) {
  const auto ca = Components(a), cb = Components(b);
  std::vector<Difference> out;
  for (size_t c = 0; c < ca.size(); ++c) {
    Difference d;
    double sum = 0;
    for (size_t i = 0; i < ca[c].size(); ++i) {
      const double diff = std::abs(ca[c][i] - cb[c][i]);
      d.worst = std::max(d.worst, diff);
      sum += diff * diff;
    }
    const double peak = PeakOf(a.format().fourcc);
    d.psnr =
        sum == 0 ? 200 : 10 * std::log10(peak * peak * static_cast<double>(ca[c].size()) / sum);
    out.push_back(d);
  }
  return out;
}

std::string ToString(const std::vector<Difference>& differences) {
  std::string out;
  for (const Difference& d : differences) {
    char text[64];
    std::snprintf(text, sizeof text, "%s%.1f dB (worst %.3g)", out.empty() ? "" : ", ", d.psnr,
                  d.worst);
    out += text;
  }
  return out;
}

std::vector<uint8_t> LoadRgb(const std::string& path, uint32_t* width, uint32_t* height) {
  std::vector<uint8_t> rgb;
  AVFormatContext* format = nullptr;
  if (avformat_open_input(&format, path.c_str(), nullptr, nullptr) < 0) return rgb;
  avformat_find_stream_info(format, nullptr);
  const AVCodec* codec = nullptr;
  const int stream = av_find_best_stream(format, AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
  AVCodecContext* decoder = stream >= 0 ? avcodec_alloc_context3(codec) : nullptr;
  AVPacket* packet = av_packet_alloc();
  AVFrame* frame = av_frame_alloc();
  if (decoder != nullptr) {
    avcodec_parameters_to_context(decoder, format->streams[stream]->codecpar);
    avcodec_open2(decoder, codec, nullptr);
    bool have = false;
    while (!have && av_read_frame(format, packet) >= 0) {
      if (packet->stream_index == stream) avcodec_send_packet(decoder, packet);
      av_packet_unref(packet);
      have = avcodec_receive_frame(decoder, frame) >= 0;
    }
    if (!have) {
      avcodec_send_packet(decoder, nullptr);
      have = avcodec_receive_frame(decoder, frame) >= 0;
    }
    if (have) {
      *width = static_cast<uint32_t>(frame->width);
      *height = static_cast<uint32_t>(frame->height);
      rgb.resize(size_t{*width} * *height * 3);
      uint8_t* data[1] = {rgb.data()};
      const int stride[1] = {frame->width * 3};
      SwsContext* sws =
          sws_getContext(frame->width, frame->height, static_cast<AVPixelFormat>(frame->format),
                         frame->width, frame->height, AV_PIX_FMT_RGB24,
                         SWS_BILINEAR | SWS_ACCURATE_RND, nullptr, nullptr, nullptr);
      sws_scale(sws, frame->data, frame->linesize, 0, frame->height, data, stride);
      sws_freeContext(sws);
    }
  }
  av_frame_free(&frame);
  av_packet_free(&packet);
  avcodec_free_context(&decoder);
  avformat_close_input(&format);
  return rgb;
}

namespace {

/// One side of a swscale call.
struct SwsSide {
  AVPixelFormat pixels;
  sluice_format format;
  bool full_chroma = false;  ///< 4:4:4 whatever the format says
  uint8_t* data[4] = {};
  int stride[4] = {};
};

SwsSide SideOf(const Picture& picture) {
  SwsSide side{AvFormat(picture.format().fourcc), picture.format()};
  for (uint32_t p = 0; p < picture.layout().plane_count; ++p) {
    side.data[p] = picture.plane(p);
    side.stride[p] = static_cast<int>(picture.stride(p));
  }
  return side;
}

void RunSwscale(const SwsSide& from, const SwsSide& to, bool full_input) {
  SwsContext* sws = sws_alloc_context();
  av_opt_set_int(sws, "srcw", from.format.width, 0);
  av_opt_set_int(sws, "srch", from.format.height, 0);
  av_opt_set_int(sws, "dstw", to.format.width, 0);
  av_opt_set_int(sws, "dsth", to.format.height, 0);
  av_opt_set_int(sws, "src_format", from.pixels, 0);
  av_opt_set_int(sws, "dst_format", to.pixels, 0);
  av_opt_set_int(
      sws, "sws_flags",
      SWS_BILINEAR | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | (full_input ? SWS_FULL_CHR_H_INP : 0),
      0);
  if (!from.full_chroma) SetSiting(sws, "src", from.format);
  if (!to.full_chroma) SetSiting(sws, "dst", to.format);
  sws_setColorspaceDetails(sws, SwsMatrix(IsYuv(from.format.fourcc) ? from.format : to.format),
                           from.format.color.range == SLUICE_RANGE_FULL,
                           SwsMatrix(IsYuv(to.format.fourcc) ? to.format : from.format),
                           to.format.color.range == SLUICE_RANGE_FULL, 0, 1 << 16, 1 << 16);
  ASSERT_GE(sws_init_context(sws, nullptr, nullptr), 0);
  sws_scale(sws, from.data, from.stride, 0, static_cast<int>(from.format.height), to.data,
            to.stride);
  sws_freeContext(sws);
}

}  // namespace

void Swscale(const Picture& src, Picture& dst, bool full_input) {
  const Picture from = Widened(src);
  const Picture to = Widened(dst);
  RunSwscale(SideOf(from), SideOf(to), full_input);
  CopyVisible(to, dst);
}

void SwscaleVia444(const Picture& src, Picture& dst) {
  const Picture from = Widened(src);
  const Picture to = Widened(dst);
  const bool deep = src.format().fourcc == SLUICE_FORMAT_P010;
  SwsSide between{deep ? AV_PIX_FMT_YUV444P10LE : AV_PIX_FMT_YUV444P, from.format(), true};
  const size_t row = size_t{from.width()} * (deep ? 2 : 1), plane = row * from.height();
  std::vector<uint8_t> planes(3 * plane);
  for (size_t p = 0; p < 3; ++p) {
    between.data[p] = planes.data() + p * plane;
    between.stride[p] = static_cast<int>(row);
  }
  RunSwscale(SideOf(from), between, true);
  RunSwscale(between, SideOf(to), true);
  CopyVisible(to, dst);
}

}  // namespace sluice::vulkan::testing
