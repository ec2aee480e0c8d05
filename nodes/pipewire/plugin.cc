#include <sluice/sdk.hpp>

#include "nodes/pipewire/camera_node.h"
#include "nodes/pipewire/doctor.h"
#include "nodes/pipewire/filter_in_node.h"
#include "nodes/pipewire/filter_out_node.h"

namespace sluice::pipewire {
namespace {

/// The manifest's other type, until it is there.
class CaptureToCome final : public sdk::Node<CaptureToCome> {
 public:
  static constexpr const char* kType = "pipewire.capture";
  static sdk::Expected<std::unique_ptr<CaptureToCome>> Create(sdk::NodeContext,
                                                              const sdk::Params&) {
    return sdk::Status(SLUICE_E_UNSUPPORTED, "pipewire.capture is not there yet");
  }
  CaptureToCome(sdk::NodeContext context, const sdk::Params&) : Node(context) {}
};

}  // namespace
}  // namespace sluice::pipewire

SLUICE_EXPORT_PLUGIN(sluice::pipewire::CameraNode, sluice::pipewire::CaptureToCome,
                     sluice::pipewire::Doctor, sluice::pipewire::FilterInNode,
                     sluice::pipewire::FilterOutNode);
