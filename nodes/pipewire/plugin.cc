#include <sluice/sdk.hpp>

#include "nodes/pipewire/camera_node.h"
#include "nodes/pipewire/capture_node.h"
#include "nodes/pipewire/doctor.h"
#include "nodes/pipewire/filter_in_node.h"
#include "nodes/pipewire/filter_out_node.h"

SLUICE_EXPORT_PLUGIN(sluice::pipewire::CameraNode, sluice::pipewire::CaptureNode,
                     sluice::pipewire::Doctor, sluice::pipewire::FilterInNode,
                     sluice::pipewire::FilterOutNode);
