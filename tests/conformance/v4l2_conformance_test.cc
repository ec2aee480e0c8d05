// The v4l2 nodes in the conformance suite, with vivid's devices. Runs in the test guest.

#include "tests/conformance/conformance.h"

namespace sluice::conformance {
namespace {

using sdk::testing::MakeFormat;

constexpr char kV4l2[] = "nodes/v4l2/v4l2.so";
constexpr uint32_t kUnknown = SLUICE_FOURCC('Z', 'Z', 'Z', 'Z');

sluice_format Tiled(uint32_t width, uint32_t height) {
  sluice_format format = MakeFormat(SLUICE_FORMAT_YUYV, width, height);
  format.modifier = 0x0100000000000001;
  return format;
}

PortSpec Yuyv(uint32_t width, uint32_t height) {
  PortSpec port;
  port.format = MakeFormat(SLUICE_FORMAT_YUYV, width, height, {0, 0});
  port.buffers = 6;
  return port;
}

/// Two nodes that live at the same time get different devices: a device streams for one at a time.
/// The second one speaks the multi-planar API.
const char* NextDevice() {
  static unsigned count = 0;
  return ++count % 2 == 0 ? "platform:vivid-000" : "platform:vivid-001";
}

Subject Capture() {
  Subject subject{"v4l2.capture", kV4l2};
  subject.parameters = [] {
    return Parameters().String("device", NextDevice()).String("input", "0");
  };
  subject.ports = [](NodeRunner& runner) {
    PortSpec out = Yuyv(640, 360);
    out.dynamic = true;
    runner.Output("out", out);
  };
  subject.refused = {Tiled(640, 360), MakeFormat(kUnknown, 640, 360),
                     MakeFormat(SLUICE_FORMAT_YUYV, 642, 360)};
  return subject;
}

Subject Output() {
  Subject subject{"v4l2.output", kV4l2};
  subject.parameters = [] {
    return Parameters().String("device", NextDevice()).String("output", "1");
  };
  subject.ports = [](NodeRunner& runner) { runner.Input("in", Yuyv(1280, 720)); };
  subject.refused = {Tiled(1280, 720), MakeFormat(kUnknown, 1280, 720)};
  return subject;
}

const Subject kSubjects[] = {Capture(), Output()};

INSTANTIATE_TEST_SUITE_P(V4l2, ConformanceTest, testing::ValuesIn(kSubjects), NameOf);

}  // namespace
}  // namespace sluice::conformance
