// In a guest with vkms as its first card: //tests/vm:drm_test. drm.writeback takes no part: it
// starts only beside a drm.display of the same process.

#include "tests/conformance/conformance.h"

namespace sluice::conformance {
namespace {

using sdk::testing::MakeFormat;

sluice_format Tiled() {
  sluice_format format = MakeFormat(SLUICE_FORMAT_XR24, 640, 480);
  format.modifier = 0x0100000000000001;
  return format;
}

Subject Display() {
  Subject subject{"drm.display", "nodes/drm/drm.so"};
  subject.parameters = [] { return Parameters().String("mode", "640x480"); };
  subject.ports = [](NodeRunner& runner) {
    PortSpec port;
    port.format = MakeFormat(SLUICE_FORMAT_XR24, 640, 480);
    port.views = SLUICE_VIEW_DMABUF | SLUICE_VIEW_SHM;
    port.sync = SLUICE_SYNC_SYNC_FILE;
    port.device_access = true;
    runner.Input("in", port);
  };
  subject.refused = {Tiled(), MakeFormat(SLUICE_FORMAT_NV12, 640, 480),
                     MakeFormat(SLUICE_FOURCC('Z', 'Z', 'Z', 'Z'), 640, 480)};
  subject.exclusive = true;
  return subject;
}

const Subject kSubjects[] = {Display()};

INSTANTIATE_TEST_SUITE_P(Drm, ConformanceTest, testing::ValuesIn(kSubjects), NameOf);

}  // namespace
}  // namespace sluice::conformance
