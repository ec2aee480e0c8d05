#include <sluice/plugin.hpp>

#include "nodes/v4l2/capture_node.h"
#include "nodes/v4l2/doctor.h"
#include "nodes/v4l2/output_node.h"

SLUICE_EXPORT_PLUGIN(sluice::v4l2::CaptureNode, sluice::v4l2::OutputNode, sluice::v4l2::Doctor);
