#include <sluice/sdk.hpp>

#include "nodes/core/checksum.h"
#include "nodes/core/select.h"
#include "nodes/core/simple.h"
#include "nodes/core/testsrc.h"

SLUICE_EXPORT_PLUGIN(sluice::core::TestSource, sluice::core::Null, sluice::core::Identity,
                     sluice::core::Checksum, sluice::core::Select);
