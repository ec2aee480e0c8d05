#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/conformance/conformance.h"

namespace sluice::conformance {
namespace {

using sdk::testing::MakeFormat;
using sdk::testing::PlanesOf;
using sdk::testing::RecordedOffer;

constexpr char kFfmpeg[] = "nodes/ffmpeg/ffmpeg.so";

uint64_t RoundUp(uint64_t value, uint64_t multiple) {
  return multiple <= 1 ? value : (value + multiple - 1) / multiple * multiple;
}

/// What a plan makes of an offer of one format and one size.
PortSpec SpecOf(const RecordedOffer& recorded) {
  const sluice_offer& offer = recorded.offer;
  PortSpec spec;
  spec.format = MakeFormat(recorded.fourccs.at(0), offer.width_min, offer.height_min);
  spec.format.color = offer.color;
  sluice_layout& layout = spec.layout;
  layout.coded_width = static_cast<uint32_t>(RoundUp(offer.width_min, offer.width_multiple));
  layout.coded_height = static_cast<uint32_t>(RoundUp(offer.height_min, offer.height_multiple));
  layout.part_count = 1;
  for (const auto& shape : PlanesOf(spec.format.fourcc)) {
    sluice_plane& plane = layout.planes[layout.plane_count++];
    plane.offset = RoundUp(layout.size, offer.offset_multiple);
    plane.stride =
        RoundUp((layout.coded_width + shape.horizontal - 1) / shape.horizontal * shape.bytes,
                offer.stride_multiple);
    plane.size = plane.stride * ((layout.coded_height + shape.vertical - 1) / shape.vertical);
    layout.size = plane.offset + plane.size;
  }
  layout.size = RoundUp(layout.size + offer.tail_bytes, 4096);
  spec.dynamic = true;
  spec.reserve = offer.dynamic_reserve;
  spec.buffers = spec.reserve + 2;
  return spec;
}

/// A clip with B-frames and several references.
std::string Clip() {
  static const std::string path = [] {
    const std::string folder = testing::TempDir();
    const std::string command = "bash tests/media/make_fixtures.sh '" + folder + "' bframes";
    if (std::system(command.c_str()) != 0) std::abort();
    return folder + "/bframes.mp4";
  }();
  return path;
}

std::string FreshPath(const char* extension) {
  static std::atomic<int> count{0};
  return testing::TempDir() + "/out." + std::to_string(getpid()) + "." + std::to_string(++count) +
         extension;
}

PortSpec Picture(uint32_t fourcc, uint32_t width = 64, uint32_t height = 48) {
  PortSpec port;
  port.format = MakeFormat(fourcc, width, height, {25, 1});
  const bool rgb = fourcc == SLUICE_FORMAT_AB24;
  port.format.color.matrix = rgb ? SLUICE_MATRIX_RGB : SLUICE_MATRIX_BT709;
  port.format.color.range = rgb ? SLUICE_RANGE_FULL : SLUICE_RANGE_LIMITED;
  port.format.color.primaries = SLUICE_PRIMARIES_BT709;
  port.format.color.transfer = rgb ? SLUICE_TRANSFER_SRGB : SLUICE_TRANSFER_BT709;
  port.buffers = 64;  // encoders look ahead
  return port;
}

const std::vector<sluice_format>& Refused() {
  static const std::vector<sluice_format> formats = {
      MakeFormat(SLUICE_FOURCC('Z', 'Z', 'Z', 'Z'), 64, 48, {25, 1})};
  return formats;
}

Subject Read() {
  Subject subject{"ffmpeg.read", kFfmpeg};
  subject.parameters = [] {
    return Parameters()
        .Path("path", Clip())
        .Int("stream", -1)
        .DurationNs("timeout", 30'000'000'000);
  };
  subject.ports = [](NodeRunner& runner) { runner.Output("out", SpecOf(runner.offers().at(0))); };
  return subject;
}

Subject Write(const char* extension) {
  Subject subject{"ffmpeg.write", kFfmpeg};
  subject.parameters = [extension] {
    return Parameters().Path("path", FreshPath(extension)).Int("threads", 1);
  };
  subject.ports = [](NodeRunner& runner) { runner.Input("in", Picture(SLUICE_FORMAT_YU12)); };
  subject.refused = Refused();
  return subject;
}

Subject Convert() {
  Subject subject{"ffmpeg.convert", kFfmpeg};
  subject.ports = [](NodeRunner& runner) {
    runner.Input("in", Picture(SLUICE_FORMAT_NV12)).Output("out", Picture(SLUICE_FORMAT_AB24));
  };
  subject.refused = Refused();
  return subject;
}

Subject Scale() {
  Subject subject{"ffmpeg.scale", kFfmpeg};
  subject.parameters = [] { return Parameters().Size("size", 32, 24); };
  subject.ports = [](NodeRunner& runner) {
    runner.Input("in", Picture(SLUICE_FORMAT_YU12));
    runner.Output("out", Picture(SLUICE_FORMAT_YU12, 32, 24));
  };
  subject.refused = Refused();
  return subject;
}

/// One JPEG of 64x48.
const std::string& Jpeg() {
  static const std::string bytes = [] {
    const std::string path = FreshPath(".jpg");
    const std::string command =
        "ffmpeg -nostdin -loglevel error -y -f lavfi -i testsrc2=size=64x48 -frames:v 1 -pix_fmt "
        "yuvj420p '" +
        path + "'";
    if (std::system(command.c_str()) != 0) std::abort();
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }();
  return bytes;
}

Subject Decode() {
  Subject subject{"ffmpeg.decode", kFfmpeg};
  subject.parameters = [] { return Parameters().Int("threads", 1); };
  subject.ports = [](NodeRunner& runner) {
    PortSpec in;
    in.format = MakeFormat(SLUICE_FORMAT_MJPG, 64, 48, {25, 1});
    in.buffers = 16;
    PortSpec out = Picture(SLUICE_FORMAT_YU12);
    out.dynamic = true;
    out.reserve = 16;
    runner.Input("in", in).Output("out", out);
  };
  subject.fill = [](sdk::testing::HeldFrame& frame) {
    std::copy(Jpeg().begin(), Jpeg().end(), frame.Row(0, 0));
    frame.Info().bytes_used = Jpeg().size();
  };
  subject.refused = Refused();
  return subject;
}

const Subject kSubjects[] = {Read(), Decode(), Write(".mp4"), Convert(), Scale()};

INSTANTIATE_TEST_SUITE_P(Ffmpeg, ConformanceTest, testing::ValuesIn(kSubjects), NameOf);

}  // namespace
}  // namespace sluice::conformance
