// The nodes of a domain have no process(): what they do is tested through the domain. Here is the
// rest of their life.
#include "tests/conformance/conformance.h"

namespace sluice::conformance {
namespace {

using sdk::testing::MakeFormat;

constexpr char kVulkan[] = "nodes/vulkan/vulkan.so";

Subject Of(const char* type, std::function<Parameters()> parameters) {
  Subject subject{type, kVulkan};
  subject.parameters = std::move(parameters);
  subject.ports = [](NodeRunner& runner) {
    PortSpec port;
    port.format = MakeFormat(SLUICE_FORMAT_NV12, 32, 16);
    port.views = SLUICE_VIEW_SHM;
    port.sync = SLUICE_SYNC_TIMELINE;
    port.device_access = true;
    runner.Input("in", port).Output("out", port);
  };
  subject.refused = {MakeFormat(SLUICE_FORMAT_NV12, 48, 16)};  // another size than the output's
  return subject;
}

Subject Shader() {
  Subject subject = Of("vulkan.shader", [] {
    return Parameters()
        .String("source", "vec3 shade(vec3 color, ivec2 position) { return color * gain; }")
        .Float("gain", 0.5);
  });
  subject.costly = true;  // compiles
  return subject;
}

const Subject kSubjects[] = {
    Of("vulkan.look", [] { return Parameters().Enum("look", "noir").Float("amount", 1); }),
    Of("vulkan.convert", [] { return Parameters(); }),
    Shader(),
};

INSTANTIATE_TEST_SUITE_P(Vulkan, ConformanceTest, testing::ValuesIn(kSubjects), NameOf);

}  // namespace
}  // namespace sluice::conformance
