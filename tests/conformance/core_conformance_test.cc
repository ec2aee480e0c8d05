#include <unistd.h>

#include <atomic>
#include <string>

#include "tests/conformance/conformance.h"

namespace sluice::conformance {
namespace {

using sdk::testing::MakeFormat;

constexpr char kCore[] = "nodes/core/core.so";
constexpr char kInvert[] = "plugins/examples/invert.so";
constexpr char kCounter[] = "plugins/examples/counter_c.so";

sluice_format Tiled() {
  sluice_format format = MakeFormat(SLUICE_FORMAT_NV12, 32, 16);
  format.modifier = 0x0100000000000001;
  return format;
}

PortSpec Nv12() {
  PortSpec port;
  port.format = MakeFormat(SLUICE_FORMAT_NV12, 32, 16);
  return port;
}

PortSpec Passing() {
  PortSpec port = Nv12();
  port.passthrough = true;
  return port;
}

void Sink(NodeRunner& runner) { runner.Input("in", Nv12()); }
void Through(NodeRunner& runner) { runner.Input("in", Nv12()).Output("out", Passing()); }

/// A path that no other node writes to.
std::string FreshPath() {
  static std::atomic<int> count{0};
  return testing::TempDir() + "/sums." + std::to_string(getpid()) + "." + std::to_string(++count);
}

Subject TestSource(const char* pattern) {
  Subject subject{"core.testsrc", kCore};
  subject.parameters = [pattern] {
    return Parameters().Enum("pattern", pattern).Int("frames", 20).Rate("rate", 30, 1);
  };
  subject.ports = [](NodeRunner& runner) { runner.Output("out", Nv12()); };
  subject.refused = {MakeFormat(SLUICE_FORMAT_XB4H, 32, 16), Tiled(),
                     MakeFormat(SLUICE_FOURCC('Z', 'Z', 'Z', 'Z'), 32, 16)};
  subject.frames = 25;  // past its end
  return subject;
}

Subject ChecksumSink() {
  Subject subject{"core.checksum", kCore};
  subject.parameters = [] { return Parameters().Path("path", FreshPath()); };
  subject.ports = Sink;
  subject.refused = {Tiled(), MakeFormat(SLUICE_FOURCC('Z', 'Z', 'Z', 'Z'), 32, 16)};
  return subject;
}

Subject Invert() {
  Subject subject{"example.invert", kInvert};
  subject.ports = [](NodeRunner& runner) {
    PortSpec port;
    port.format = MakeFormat(SLUICE_FORMAT_AB24, 32, 16);
    runner.Input("in", port).Output("out", port);
  };
  subject.refused = {MakeFormat(SLUICE_FORMAT_NV12, 32, 16)};
  return subject;
}

Subject Of(const char* type, const char* plugin, void (*ports)(NodeRunner&)) {
  Subject subject{type, plugin};
  subject.ports = ports;
  return subject;
}

const Subject kSubjects[] = {
    TestSource("bars"),
    ChecksumSink(),
    Of("core.null", kCore, Sink),
    Of("core.identity", kCore, Through),
    Of("core.select", kCore, Through),
    Invert(),
    Of("example.counter", kCounter, Through),
};

INSTANTIATE_TEST_SUITE_P(Core, ConformanceTest, testing::ValuesIn(kSubjects), NameOf);

}  // namespace
}  // namespace sluice::conformance
