#include <sluice/sdk.hpp>

#include "nodes/drm/display.h"
#include "nodes/drm/doctor.h"
#include "nodes/drm/writeback.h"

SLUICE_EXPORT_PLUGIN(sluice::drm::Display, sluice::drm::Writeback, sluice::drm::Doctor);
